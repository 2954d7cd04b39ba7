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

from crnn.datasets.glyphs import Glyphs, names_of
from crnn.datasets.widths import LEAST, propose
from crnn.errors import needs
from crnn.files import atomic_file
from crnn.image import ImageError, size_of
from crnn.samples.source import open_labelled

QUANTILES = (0, 5, 25, 50, 75, 95, 100)
ASPECTS = tuple(half / 2 for half in range(1, 21))
SIZES = tuple(range(16, 257, 16))
"""The bounds of equal bins, so that a bar is as high as there are words."""


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
        from matplotlib.font_manager import FontProperties

    figure = Figure(figsize=(12, 8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{found.samples} words")
    panels: Sequence[Tuple[str, Dict[str, int]]] = (
        ("characters in a label", _every_length(found.lengths)),
        ("the 40 most frequent characters", dict(list(found.characters.items())[:40])),
        ("height of an image, pixels", held(found.histograms["height"])),
        ("width / height", held(found.histograms["aspect"])),
    )
    glyphs = Glyphs("".join(found.characters))
    axes: Any = figure.subplots(2, 2)
    for axis, (title, counts) in zip(axes.flat, panels):
        names = [_drawable(name, glyphs) for name in counts]
        axis.bar(range(len(names)), list(counts.values()), color="#4878a8")
        axis.set_xticks(
            range(len(names)), names, rotation=90 if len("".join(names)) > 40 else 0, fontsize=8
        )
        for tick, name in zip(axis.get_xticklabels(), counts):
            if name in glyphs.files and len(name) == 1:
                tick.set_fontproperties(FontProperties(fname=str(glyphs.files[name]), size=9))
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=100)


def _every_length(lengths: Mapping[int, int]) -> Dict[str, int]:
    """Return the counts of all lengths up to the longest, those that no label has too."""
    first, last = min(lengths, default=1), max(lengths, default=0)
    return {str(length): lengths.get(length, 0) for length in range(first, last + 1)}


def held(counts: Mapping[str, int]) -> Dict[str, int]:
    """Return the bins from the first that holds something to the last.

    Args:
        counts: A histogram.

    Returns:
        A part of it, empty bins between included; all where none holds anything.
    """
    names = list(counts)
    filled = [place for place, name in enumerate(names) if counts[name]]
    if not filled:
        return dict(counts)
    return {name: counts[name] for name in names[filled[0] : filled[-1] + 1]}


def _drawable(name: str, glyphs: Glyphs) -> str:
    """Return a name that a font here can draw, and that begins no formula."""
    if len(name) == 1 and name not in glyphs.files:
        return names_of(name)
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
