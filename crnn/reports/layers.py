"""Two models node by node: the table, the plot and the JSON of ``crnn-layers/1``."""

from __future__ import annotations

import dataclasses
import html
import math
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

SCHEMA = "crnn-layers/1"
_WIDTH, _ROW, _LEFT, _RIGHT, _TOP = 640, 18, 220, 90, 30
_LOWEST, _HIGHEST = -8, 1
"""The decades that the plot shows."""


@dataclass(frozen=True)
class Layer:
    """A tensor of two models.

    ``broken`` counts NaN and infinity that only one has; ``largest`` is the largest difference,
    ``relative`` |a - b| / |a| (L2), ``cosine`` that of the two as vectors; 0, 0 and 1 where both
    are equal. ``turned`` says that the second holds the first's values with its axes in another
    order; ``blamed`` that the error is beyond the limit.
    """

    name: str
    operator: str
    shape: Tuple[int, ...]
    broken: int
    largest: float
    relative: float
    cosine: float
    turned: bool
    blamed: bool


@dataclass(frozen=True)
class LayerReport:
    """Two models node by node.

    ``limit`` is the relative error from which on a node is blamed; ``unmatched`` names the first
    model's tensors that the second does not have.
    """

    layers: Sequence[Layer]
    limit: float
    unmatched: Sequence[str]

    @property
    def first(self) -> Optional[Layer]:
        """The first node that is blamed: where to look. None where none is."""
        return next((layer for layer in self.layers if layer.blamed), None)

    def to_dict(self) -> Dict[str, Any]:
        """Return plain data; a number that JSON cannot hold is null."""
        rows = [{**dataclasses.asdict(layer), "shape": list(layer.shape)} for layer in self.layers]
        for row in rows:
            for key in ("largest", "relative", "cosine"):
                if not math.isfinite(row[key]):
                    row[key] = None
        first = None
        if self.first is not None:
            first = self.first.name
        return {
            "schema": SCHEMA,
            "first": first,
            "limit": self.limit,
            "layers": rows,
            "unmatched": list(self.unmatched),
        }


HEADS = ("tensor", "made by", "relative", "largest", "cosine", "NaN, inf", "")


def verdict(report: LayerReport) -> str:
    """Say in a sentence where to look.

    Args:
        report: The comparison.

    Returns:
        A sentence.
    """
    first = report.first
    if not report.layers:
        return "no tensor of the first model has one of its name in the second"
    if first is None:
        return (
            f"no node is beyond {report.limit:.0e}, ten times a healthy pair's error:"
            f" {len(report.layers)} tensors compared"
        )
    what = f"its relative error is {first.relative:.1e}; the limit is {report.limit:.0e}"
    if first.broken:
        what = f"{first.broken} of its values are NaN or infinite in one of the two alone"
    if first.turned:
        what = "its values are right, and its axes stand in another order"
    return f"look at {first.name} ({first.operator}) first: {what}"


def rows_of(report: LayerReport) -> List[List[str]]:
    """Return the table, without its head.

    Args:
        report: The comparison.

    Returns:
        The cells of `HEADS`, a row for each tensor; the first that is blamed is marked.
    """
    rows = []
    for layer in report.layers:
        mark = ""
        if layer.blamed:
            mark = "beyond"
        if layer is report.first:
            mark = "FIRST"
        row = [layer.name, layer.operator, f"{layer.relative:.1e}", f"{layer.largest:.1e}"]
        rows.append([*row, f"{layer.cosine:.6f}", str(layer.broken), mark])
    return rows


def plot(report: LayerReport) -> str:
    """Draw each tensor's relative error on a logarithmic axis, with the limit.

    Args:
        report: The comparison.

    Returns:
        A whole SVG file.
    """
    height = _TOP + _ROW * len(report.layers) + 30
    parts = [_line(_x(report.limit), _TOP - 8, height - 26, "#b00020")]
    parts.append(_text(_x(report.limit) + 4, _TOP - 12, f"limit {report.limit:.0e}"))
    for decade in range(_LOWEST, _HIGHEST + 1):
        at = _x(10.0**decade)
        parts.append(_line(at, _TOP, height - 26, "#cccccc"))
        parts.append(_text(at - 12, height - 10, f"1e{decade}"))
    for number, layer in enumerate(report.layers):
        middle = _TOP + _ROW * number + _ROW / 2
        colour = "#2b6cb0"
        if layer.blamed:
            colour = "#b00020"
        weight = "normal"
        if layer is report.first:
            weight = "bold"
        parts.append(_text(8, middle + 4, layer.name, weight))
        parts.append(
            f'<circle cx="{_x(layer.relative):.1f}" cy="{middle:.1f}" r="4" fill="{colour}">'
            f"<title>{html.escape(layer.name)}: {layer.relative:.2e}</title></circle>"
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="sans-serif" font-size="11" role="img"'
        f' aria-label="{html.escape(verdict(report))}">'
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _x(error: float) -> float:
    """Return where an error stands across; the plot's edges hold what lies beyond them."""
    decade = float(_LOWEST)
    if error > 0:
        decade = math.log10(error)
    if not math.isfinite(decade):
        decade = _HIGHEST
    share = (min(max(decade, _LOWEST), _HIGHEST) - _LOWEST) / (_HIGHEST - _LOWEST)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _line(across: float, top: float, bottom: float, colour: str) -> str:
    return (
        f'<line x1="{across:.1f}" x2="{across:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"'
        f' stroke="{colour}"/>'
    )


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-weight="{weight}">{html.escape(text)}</text>'
