"""What is to be read: a sample, a batch of samples, and why one, or its label, cannot be read."""

from __future__ import annotations

import collections
import mmap
from dataclasses import dataclass, field
from typing import (
    Counter,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
    cast,
)

import numpy as np

from crnn import labels
from crnn.spec import ModelSpec


@dataclass(frozen=True)
class Problem:
    """Why a sample cannot be read:

    ``reason`` is one of few phrases, to be counted; ``detail`` is about this sample.
    """

    reason: str
    detail: str = ""


MISSING_IMAGE = "missing image"
UNREADABLE_IMAGE = "unreadable image"
IMAGE_TOO_LARGE = "image too large"

NOT_FINITE = Problem("output not finite", "the model gave NaN or infinity for this image")

NAMED = 3
"""The most samples of each reason that are remembered by name."""


class ProblemCounts:
    """Counts problems by their reasons, and remembers the first few samples of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = collections.Counter()
        self.named: List[Tuple[str, Problem]] = []

    def add(self, key: str, problem: Problem) -> None:
        """Count a problem.

        Args:
            key: The sample, or what else of the data set the problem is about.
            problem: What is wrong.
        """
        self.counts[problem.reason] += 1
        if self.counts[problem.reason] <= NAMED:
            self.named.append((key, problem))


def problem_lines(counts: Mapping[str, int], named: Sequence[Tuple[str, Problem]]) -> Iterator[str]:
    """Yield each reason with its count and its first few samples.

    Args:
        counts: How many problems there are of each reason.
        named: Samples by name, each with its problem.

    Yields:
        A line each.
    """
    for reason, count in counts.items():
        yield f"{reason}: {count}"
        shown = 0
        for key, problem in named:
            if problem.reason != reason:
                continue
            shown += 1
            line = f"  {key}"
            if problem.detail:
                line += f": {problem.detail}"
            yield line
        if count > shown:
            yield f"  and {count - shown} more"


@dataclass(frozen=True)
class Sample:
    """A word as a data set holds it: encoded image bytes and label, each None where it is missing.

    ``problem`` says why the image is missing. ``key`` names the sample within its data set.
    ``number`` is set where another process reads the image again by it at less cost than it would
    be sent there. ``file`` names the file that holds the image, where that is read only when the
    image is decoded.
    """

    key: str
    image: Optional[bytes]
    label: Optional[str]
    problem: Optional[Problem] = None
    number: Optional[int] = field(default=None, compare=False)
    ends: bool = field(default=False, compare=False)
    """Whether its batch ends with it, full or not."""
    file: Optional[str] = None

    def fault(self) -> Problem:
        """Return why there is no image."""
        return self.problem or Problem(MISSING_IMAGE)


class Span(NamedTuple):
    """Where the left and the right edge of a model's input lie in a picture of so many columns."""

    left: float
    right: float
    columns: int


@dataclass(frozen=True)
class Batch:
    """Samples, in data order unless ``positions`` says otherwise, their images as one array.

    Row i of ``keys`` and ``labels`` has a problem where ``problems`` holds i; the other rows'
    images stand in ``images`` (n, C, H, W), float32 or uint8, in the same order. The array may be
    reused once later batches are taken.
    """

    keys: Sequence[str]
    labels: Sequence[Optional[str]]
    images: np.ndarray
    problems: Mapping[int, Problem] = field(default_factory=dict)
    remarks: Mapping[str, int] = field(default_factory=dict)
    """What else the images' pictures depend on, counted (`crnn.image.remark_lines`)."""
    positions: Optional[Sequence[int]] = None
    """Where each row stands in the data, from 0; None where the rows are in data order. Rows of one
    position are views of one word, of which one reading is kept (`crnn.scoring.order`).
    """
    settled: int = 0
    """Where there are positions: all rows of those below this number have been given out, in this
    batch or in earlier ones.
    """
    views: Optional[Sequence[str]] = None
    """Which view of its word each row is, by name; None where a word has one view."""
    spans: Optional[Sequence[Optional[Span]]] = None
    """Where each row's image lies in its picture; None where nobody asked."""
    width: Optional[int] = None
    """The images' columns, where the model reads at several widths."""

    @property
    def is_plain(self) -> bool:
        """Whether the rows are a word each, all read at the model's one width."""
        return self.positions is None and self.width is None and self.views is None

    @property
    def readable(self) -> Sequence[int]:
        """The rows that have an image."""
        if not self.problems:
            return range(len(self.keys))
        return [row for row in range(len(self.keys)) if row not in self.problems]


class LabelCheck:
    """Says what keeps a model from ever reading a label right.

    Args:
        spec: The model's.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._known = frozenset(spec.characters)

    def problem(self, label: Optional[str], steps: Optional[int] = None) -> Optional[Problem]:
        """Look at a label.

        Args:
            label: As the data set holds it; None where the image has none.
            steps: The time steps that the image is read in; None for the spec's, or, of a model
                with several widths, where they are not known: no label is then too long.

        Returns:
            What is wrong with it, in the words of `crnn.labels`; None where nothing is.
        """
        if label is None:
            return Problem(labels.NO_LABEL)
        text = self._spec.fold(label)
        if not self._known.issuperset(text):
            outside = labels.outside(text, self._known)
            return Problem(labels.OUTSIDE, f"{text!r} has {outside!r}")
        most = steps or self._spec.time_steps
        if steps is None and self._spec.widths is not None:
            return None
        # A label of n characters needs at most 2 n - 1 steps.
        if 2 * len(text) > most and labels.steps(text) > most:
            needed = labels.steps(text)
            return Problem(
                labels.TOO_LONG, f"{text!r} needs {needed} time steps; the model has {most}"
            )
        return None

    def problems(
        self, given: Sequence[Optional[str]], folded: Sequence[Optional[str]]
    ) -> Iterator[Tuple[int, Problem]]:
        """Look at a batch's labels: most batches have none that is worth a closer look.

        Args:
            given: The labels as the data set holds them; None where an image has none.
            folded: The same, as the spec folds them.

        Yields:
            The row of each label with a problem, and `problem` of it.
        """
        for row in self._doubtful(folded):
            problem = self.problem(given[row])
            if problem:
                yield row, problem

    def _doubtful(self, folded: Sequence[Optional[str]]) -> Iterable[int]:
        """Return the rows that are to be looked at one by one."""
        every = range(len(folded))
        if None in folded:
            return every
        texts = cast("Sequence[str]", folded)
        if not self._known.issuperset("".join(texts)):
            return every
        most = self._spec.time_steps
        rows: List[int] = []
        for row, text in enumerate(texts):
            if 2 * len(text) > most:
                rows.append(row)
        return rows


def label_problems(every: Iterable[Tuple[str, Optional[str]]], spec: ModelSpec) -> ProblemCounts:
    """Look at all labels of a data set.

    Args:
        every: Each sample's name and its label, None where it has none.
        spec: The model's.

    Returns:
        The problems, by their reasons.
    """
    check = LabelCheck(spec)
    found = ProblemCounts()
    for key, label in every:
        problem = check.problem(label)
        if problem:
            found.add(key, problem)
    return found


def ring(count: int, shape: Sequence[int], dtype: Union[str, type, np.dtype]) -> List[np.ndarray]:
    """Make arrays whose memory goes back to the system once they are let go of.

    What `numpy.empty` takes may stay with the C library, and again for each thread that has ever
    read batches: a worker that reads shard after shard would hold a hundred megabytes.

    Args:
        count: How many arrays.
        shape: Of each.
        dtype: Of each.

    Returns:
        The arrays, zeros.
    """
    kind = np.dtype(dtype)
    values = int(np.prod(shape))
    size = max(1, values * kind.itemsize)
    found: List[np.ndarray] = []
    for _ in range(count):
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        found.append(np.frombuffer(memory, kind, values).reshape(shape))
    return found
