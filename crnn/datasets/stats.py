"""How long the words are, of which characters, how large their images:

counts, and a plot of them.
"""

from __future__ import annotations

import collections
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Counter, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from crnn.datasets.widths import LEAST, propose
from crnn.errors import needs
from crnn.files import atomic_file
from crnn.image import ImageError, size_of
from crnn.samples.source import open_labelled

QUANTILES = (0, 5, 25, 50, 75, 95, 100)
ASPECTS = (0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
SIZES = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024)


@dataclass(frozen=True)
class Stats:
    """The counts: of labels by length and case, of characters, of images by width, height and
    aspect (width/height).

    ``quantiles`` holds the percentiles of `QUANTILES`; a histogram's key is its bin, from one bound
    to below the next. ``widths`` are those that fit the aspects (`crnn.datasets.widths`).
    """

    samples: int
    labelled: int
    measured: int
    lengths: Mapping[int, int]
    cases: Mapping[str, int]
    characters: Mapping[str, int]
    quantiles: Mapping[str, Sequence[float]]
    histograms: Mapping[str, Mapping[str, int]]
    widths: Mapping[str, Any]


def stats(
    path: Path, *, narrowest: int = LEAST, advance: Callable[[int], None] = lambda count: None
) -> Stats:
    """Count what a data set holds; of the images, the headers alone are read.

    Args:
        path: An LMDB, or a folder of images with its annotation file.
        narrowest: The least width in pixels that is proposed to read at.
        advance: Called with a count of samples that were read.

    Returns:
        Counts by length, character, size and aspect.

    Raises:
        InputError: It is not a data set.
    """
    lengths: Counter[int] = collections.Counter()
    cases: Counter[str] = collections.Counter()
    characters: Counter[str] = collections.Counter()
    sizes: List[Tuple[int, int]] = []
    samples = 0
    for sample in open_labelled(path):
        samples += 1
        if sample.label is not None:
            lengths[len(sample.label)] += 1
            cases[_case(sample.label)] += 1
            characters.update(sample.label)
        # Those that cannot be read are what `measured` lacks; check says why.
        with contextlib.suppress(ImageError):
            sizes.append(size_of(sample.image or b""))
        advance(1)
    columns = _columns(sizes)
    return Stats(
        samples=samples,
        labelled=sum(lengths.values()),
        measured=len(sizes),
        lengths=dict(sorted(lengths.items())),
        cases=dict(cases.most_common()),
        characters=dict(characters.most_common()),
        quantiles={name: _quantiles(values) for name, values in columns.items()},
        histograms={
            name: _histogram(values, ASPECTS if name == "aspect" else SIZES)
            for name, values in columns.items()
        },
        widths=propose(sizes, narrowest=narrowest).to_dict(),
    )


def plot(found: Stats, path: Path) -> None:
    """Draw lengths, characters, heights and aspects.

    Args:
        found: What `stats` gave.
        path: The PNG to write.

    Raises:
        UnavailableError: matplotlib is not installed.
    """
    with needs("matplotlib", extra="plot"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{found.samples} words")
    panels: Sequence[Tuple[str, Dict[str, int]]] = (
        ("characters in a label", {str(length): count for length, count in found.lengths.items()}),
        ("the 40 most frequent characters", dict(list(found.characters.items())[:40])),
        ("height of an image, pixels", dict(found.histograms["height"])),
        ("width / height", dict(found.histograms["aspect"])),
    )
    axes: Any = figure.subplots(2, 2)
    for axis, (title, counts) in zip(axes.flat, panels):
        names = [_drawable(name) for name in counts]
        axis.bar(range(len(names)), list(counts.values()), color="#4878a8")
        axis.set_xticks(
            range(len(names)), names, rotation=90 if len("".join(names)) > 40 else 0, fontsize=8
        )
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=100)


def _drawable(name: str) -> str:
    """Return a name that the plot's font can draw, and that begins no formula."""
    if len(name) == 1 and ord(name) > 0x24F:
        return f"U+{ord(name):04X}"
    return name.replace("$", r"\$")


def _columns(sizes: Sequence[Tuple[int, int]]) -> Dict[str, np.ndarray]:
    array = np.array(sizes, dtype=np.float64).reshape(-1, 2)
    return {"width": array[:, 0], "height": array[:, 1], "aspect": array[:, 0] / array[:, 1]}


def _quantiles(values: np.ndarray) -> List[float]:
    if len(values):
        return [round(float(value), 3) for value in np.percentile(values, QUANTILES)]
    return []


def _histogram(values: np.ndarray, bounds: Sequence[float]) -> Dict[str, int]:
    counts = np.bincount(np.searchsorted(bounds, values, side="right"), minlength=len(bounds) + 1)
    names = [
        f"< {bounds[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in zip(bounds, bounds[1:])),
        f"≥ {bounds[-1]:g}",
    ]
    return {name: int(count) for name, count in zip(names, counts)}


def _case(label: str) -> str:
    if label.isdigit():
        return "digits"
    for name, holds in (
        ("upper", label.isupper()),
        ("lower", label.islower()),
        ("title", label.istitle()),
    ):
        if holds:
            return name
    return "mixed"
