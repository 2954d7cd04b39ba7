"""Plots as SVG inside a page: a few elements each, coloured by the page's style sheet, with the
figures as text for those who cannot see them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from markupsafe import Markup, escape

WIDTH, HEIGHT = 460, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 10, 40
_PLOT_WIDTH = WIDTH - LEFT - RIGHT
_PLOT_HEIGHT = HEIGHT - TOP - BOTTOM
MOST_BARS = 24
_LETTER = 6
"""About the width of a letter of 10 pixels."""
_VALUE = 72
"""What the figure after a bar takes."""


@dataclass(frozen=True)
class Bar:
    """A bar: its name below, its height from 0 to 1, how many words it stands for, and the ends of
    its 95 % interval.
    """

    name: str
    share: float
    total: int
    interval: Tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line through points (x, y), each from 0 to 1; ``style`` is the style sheet's class."""

    points: Sequence[Tuple[float, float]]
    style: str = "first"


def bars(title: str, rows: Sequence[Bar], across: str) -> Markup:
    """Draw shares as bars, with their intervals and counts.

    Args:
        title: What the plot shows, for readers that cannot see it.
        rows: The bars from left to right; the first `MOST_BARS` are drawn.
        across: The name of the axis below.

    Returns:
        An ``svg`` element.
    """
    rows = rows[:MOST_BARS]
    parts: List[str] = [_percent_axis()]
    step = _PLOT_WIDTH / max(1, len(rows))
    for number, row in enumerate(rows):
        left = LEFT + number * step + step * 0.12
        wide = step * 0.76
        top = _y(row.share)
        tall = HEIGHT - BOTTOM - top
        told = f"{row.name}: {100 * row.share:.1f} % of {row.total}"
        parts.append(
            f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}"'
            f' height="{tall:.1f}"><title>{escape(told)}</title></rect>'
        )
        middle = left + wide / 2
        low, high = _y(row.interval[0]), _y(row.interval[1])
        parts.append(
            f'<line class="whisker" x1="{middle:.1f}" x2="{middle:.1f}" y1="{low:.1f}"'
            f' y2="{high:.1f}"/>'
        )
        parts.append(_text(middle, HEIGHT - BOTTOM + 12, row.name))
        parts.append(_text(middle, HEIGHT - BOTTOM + 23, str(row.total), "count"))
    parts.append(_text(LEFT + _PLOT_WIDTH / 2, HEIGHT - 4, across, "axis-name"))
    return _svg(title, parts)


def curve(
    title: str, lines: Sequence[Line], across: str, *, diagonal: bool, lowest: float = 0.0
) -> Markup:
    """Draw lines over a square of shares.

    Args:
        title: What the plot shows.
        lines: What to draw; x from 0 to 1, y from ``lowest`` to 1.
        across: The name of the axis below.
        diagonal: Whether y = x is drawn too.
        lowest: Where the axis on the left begins.

    Returns:
        An ``svg`` element.
    """
    parts = [_percent_axis(lowest)]
    if diagonal:
        parts.append(_polyline(Line([(lowest, lowest), (1, 1)], "diagonal"), lowest))
    for line in lines:
        parts.append(_polyline(line, lowest))
    for tenth in range(0, 11, 2):
        x = LEFT + _PLOT_WIDTH * tenth / 10
        parts.append(_text(x, HEIGHT - BOTTOM + 12, f"{tenth * 10}"))
    parts.append(_text(LEFT + _PLOT_WIDTH / 2, HEIGHT - 4, across, "axis-name"))
    return _svg(title, parts)


def amounts(title: str, rows: Sequence[Tuple[str, float]], unit: str) -> Markup:
    """Draw amounts as bars lying one above the other.

    Args:
        title: What the plot shows.
        rows: Names and amounts.
        unit: What the amounts are in.

    Returns:
        An ``svg`` element.
    """
    most = max((amount for _, amount in rows), default=0.0)
    longest = max((len(name) for name, _ in rows), default=0)
    left = min(WIDTH // 2, max(104, longest * _LETTER + 8))
    parts: List[str] = []
    step = 26
    for number, (name, amount) in enumerate(rows):
        y = TOP + number * step
        share = 0.0
        if most:
            share = amount / most
        wide = share * (WIDTH - left - _VALUE)
        parts.append(_text(left - 8, y + 14, name, "end"))
        parts.append(
            f'<rect class="bar" x="{left}" y="{y}" width="{max(wide, 1):.1f}" height="20">'
            f"<title>{escape(name)}: {amount:.4g} {escape(unit)}</title></rect>"
        )
        parts.append(_text(left + 4 + wide, y + 14, f"{amount:.4g} {unit}", "start"))
    return _svg(title, parts, height=TOP + step * max(1, len(rows)))


def _percent_axis(lowest: float = 0.0) -> str:
    parts = []
    for step in range(5):
        share = lowest + (1 - lowest) * step / 4
        y = _y(share, lowest)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(_text(LEFT - 5, y + 4, f"{100 * share:.0f} %", "end"))
    return "".join(parts)


def _y(share: float, lowest: float = 0.0) -> float:
    inside = min(1.0, max(0.0, (share - lowest) / (1 - lowest)))
    return TOP + _PLOT_HEIGHT * (1 - inside)


def _polyline(line: Line, lowest: float) -> str:
    places = []
    for x, y in line.points:
        places.append(f"{LEFT + _PLOT_WIDTH * x:.1f},{_y(y, lowest):.1f}")
    return f'<polyline class="{line.style}" points="{" ".join(places)}"/>'


def _text(x: float, y: float, text: str, style: Optional[str] = None) -> str:
    kind = ""
    if style:
        kind = f' class="{style}"'
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _svg(title: str, parts: Sequence[str], height: int = HEIGHT) -> Markup:
    told = escape(title)
    return Markup(  # noqa: S704  every text in it was escaped
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{told}">{"".join(parts)}</svg>'
    )
