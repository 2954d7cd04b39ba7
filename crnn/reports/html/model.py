"""What a page shows, ready to be laid out: no figure is computed in a template."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Tuple

from markupsafe import Markup


@dataclass(frozen=True)
class Pair:
    """A character of the label beside the one that was read; ``probability`` is the latter's, None
    where the run does not have it.
    """

    wanted: str
    read: str
    probability: Optional[float] = None

    @property
    def percent(self) -> int:
        """The probability in whole percent, 100 only where it is."""
        return int(100 * (self.probability or 0.0))


@dataclass(frozen=True)
class Miss:
    """A word that was read wrong; ``picture`` is a ``data:`` address, empty where there is none.

    ``rejected`` says that its run did not trust it.
    """

    key: str
    label: str
    text: str
    sure: Optional[float]
    notes: str
    pairs: Sequence[Pair]
    picture: str = ""
    rejected: bool = False


@dataclass(frozen=True)
class Plot:
    """A plot with its heading and a sentence on how to read it."""

    title: str
    drawing: Markup
    note: str = ""


@dataclass(frozen=True)
class Figures:
    """The figures of a run, or of several together."""

    title: str
    correct: int
    total: int
    interval: Tuple[float, float]
    cer: Optional[float]
    sure: Optional[float]
    length: Optional[float]
    simulated: bool
    throughput: Optional[float] = None

    @property
    def accuracy(self) -> float:
        """The share of words that are right."""
        if self.total:
            return self.correct / self.total
        return 0.0


@dataclass(frozen=True)
class Changed:
    """A word that two runs read differently."""

    key: str
    label: str
    text: str
    other: str
    change: str
    picture: str = ""


@dataclass(frozen=True)
class Compared:
    """A run (``second``) against another (``first``); ``data`` is the name of their data set,
    ``simulated`` says that one of them was simulated.
    """

    first: str
    second: str
    total: int
    differing: int
    regressions: int
    improvements: int
    difference: float
    interval: Tuple[float, float]
    p_value: float
    words: Sequence[Changed]
    uncommon: int = 0
    data: str = ""
    simulated: bool = False
    logits: Optional[Tuple[float, float]] = None
    """The largest and the mean difference of their log-probabilities."""

    def with_pictures(self, pictures: Mapping[str, str]) -> Compared:
        """Return the same with pictures, ``data:`` addresses by name."""
        words = []
        for word in self.words:
            words.append(dataclasses.replace(word, picture=pictures.get(word.key, "")))
        return dataclasses.replace(self, words=words)


@dataclass(frozen=True)
class RunPage:
    """A run, as the page shows it; ``left_out`` says what its files do not hold, ``kept`` what
    became of the words where unsure ones were rejected.
    """

    figures: Figures
    misses: Sequence[Miss]
    misses_total: int
    confusions: Sequence[Tuple[str, str, int]]
    plots: Sequence[Plot]
    problems: Mapping[str, int]
    provenance: Sequence[Tuple[str, str]]
    left_out: Sequence[str]
    rehearsed: str = ""
    kept: str = ""


@dataclass(frozen=True)
class BenchmarkRows:
    """A benchmark: rows of the model, the batch, words a second and milliseconds a batch."""

    data: str
    machine: str
    rows: Sequence[Tuple[str, str, str, str]]
    simulated: bool
    speeds: Sequence[Tuple[str, float]] = ()
    """Words a second, by name."""
    stages: Sequence[Tuple[str, float]] = ()
    """Milliseconds of each stage of a batch, by the names of run and stage."""
    plots: Sequence[Plot] = ()


@dataclass(frozen=True)
class ReadWord:
    """A word that was read, with its picture as a ``data:`` address, empty where there is none."""

    key: str
    label: str
    text: str
    sure: Optional[float]
    picture: str = ""
    rejected: bool = False


@dataclass(frozen=True)
class Part:
    """What a notebook shows of one value; ``more`` are words that are left out."""

    runs: Sequence[RunPage] = ()
    compared: Sequence[Compared] = ()
    benchmarks: Sequence[BenchmarkRows] = ()
    words: Sequence[ReadWord] = ()
    more: int = 0


@dataclass(frozen=True)
class Page:
    """The whole page; ``combined`` has a row for each model with several data sets."""

    runs: Sequence[RunPage]
    combined: Sequence[Figures]
    compared: Sequence[Compared]
    benchmarks: Sequence[BenchmarkRows]
    simulated: bool
    made: str
    sides: Sequence[Figures] = ()
    """Those of saved comparisons."""

    @property
    def rows(self) -> Sequence[Figures]:
        """The figures of each run, then of all data sets of a model together, and of
        the sides of comparisons.
        """
        return [*(run.figures for run in self.runs), *self.combined, *self.sides]
