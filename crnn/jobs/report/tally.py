"""What a million readings come to: counts by length and width, confusions, and how far a confidence
can be trusted. Memory grows by five bytes a word.
"""

from __future__ import annotations

import collections
import heapq
from array import array
from dataclasses import dataclass, field
from typing import Callable, Counter, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np

from crnn.metrics import TextMetric, align
from crnn.scoring.sureness import BINS, curve, expected_calibration_error, reliability

MOST_CONFUSIONS = 20_000
"""Pairs that are told apart; more than any alphabet of a benchmark has."""
MOST_KEYS = 500_000
STEPS = 100
"""Points of the curve of the surest words."""
NOTHING = ""
"""What stands in the place of a character that was inserted or left out."""


@dataclass(frozen=True)
class Word:
    """A reading, as a report shows it.

    ``label`` and ``text`` are as they were written; ``sure`` is the probability of the text where
    the run has it, else the confidence of its path; ``characters`` holds the probability of each
    character of the text, where the run has them; ``of_path`` says that ``sure`` is a confidence.
    """

    key: str
    label: Optional[str]
    text: str
    sure: Optional[float] = None
    width: Optional[int] = None
    view: str = ""
    rejected: bool = False
    characters: Sequence[float] = ()
    of_path: bool = False


@dataclass(frozen=True)
class Reliability:
    """How often words are right that are equally sure, as `crnn.scoring.sureness` has it.

    ``points`` are the mean confidence of each bin and the share of its words that are right;
    ``error`` is the expected calibration error.
    """

    points: Sequence[Tuple[float, float]]
    error: float
    kept: Sequence[Tuple[float, float]]
    """The share of words kept, and how many of them are right, the surest kept first."""


@dataclass
class Tally:
    """Counts words; feed it with `add`.

    Args:
        kept: The most wrong words that are kept, the surest first.
        fold: What is done to labels before texts are compared with them.
    """

    kept: int
    fold: Callable[[str], str]
    metric: TextMetric = field(default_factory=TextMetric)
    words: int = 0
    confusions: Counter[Tuple[str, str]] = field(default_factory=collections.Counter)
    by_width: Dict[int, List[int]] = field(default_factory=dict)
    wrong_keys: Optional[Set[str]] = field(default_factory=set)
    """The names of the wrong words; None where they are more than `MOST_KEYS`."""
    of_paths: bool = False
    """Whether a word has the confidence of its path in the place of a probability."""
    rejected: int = 0
    """The labelled words that their run rejected as too unsure."""
    rejected_right: int = 0
    """Those of them that were read right."""
    _characters: int = 0
    _sure: array[float] = field(default_factory=lambda: array("f"))
    _right: array[int] = field(default_factory=lambda: array("b"))
    _worst: List[Tuple[float, int, Word]] = field(default_factory=list)

    def add(self, word: Word) -> None:
        """Count a word.

        Args:
            word: What was read; without a label it counts for nothing but the order.
        """
        self.words += 1
        self.of_paths = self.of_paths or word.of_path
        if word.label is None:
            return
        truth, text = self.folded(word)
        self._characters += len(truth)
        right = self.metric.update(text, truth) == 0
        if word.width is not None:
            counts = self.by_width.setdefault(word.width, [0, 0])
            counts[0] += right
            counts[1] += 1
        if word.rejected:
            self.rejected += 1
            self.rejected_right += right
        if word.sure is not None:
            self._sure.append(word.sure)
            self._right.append(right)
        if not right:
            self._count_confusions(text, truth)
            self._keep(word)
            self._name(word.key)

    def folded(self, word: Word) -> Tuple[str, str]:
        """Return a word's label, folded, and its text."""
        return self.fold(word.label or ""), word.text

    @property
    def mean_sure(self) -> Optional[float]:
        """The mean probability of labelled words; None where no word has one."""
        if not self._sure:
            return None
        return float(np.frombuffer(self._sure, dtype=np.float32).mean(dtype=np.float64))

    @property
    def mean_length(self) -> Optional[float]:
        """The mean length of the labels."""
        if not self.metric.total:
            return None
        return self._characters / self.metric.total

    def misses(self) -> List[Word]:
        """Return the wrong words that were kept, the surest first."""
        ordered = sorted(self._worst, key=lambda entry: (-entry[0], -entry[1]))
        return [word for _, _, word in ordered]

    def reliability(self) -> Optional[Reliability]:
        """Return how far the confidences can be trusted; None where fewer than two words a bin have
        one.
        """
        if len(self._sure) < 2 * BINS:
            return None
        sure = np.frombuffer(self._sure, dtype=np.float32)
        right = np.frombuffer(self._right, dtype=np.int8).astype(bool)
        points: List[Tuple[float, float]] = []
        for one in reliability(sure, right):
            points.append((one.probability, one.correct / one.count))
        error = expected_calibration_error(sure, right)
        surest = np.argsort(-sure, kind="stable")
        kept: List[Tuple[float, float]] = []
        for share, _, accuracy in curve(sure[surest], right[surest], list(_shares(len(sure)))):
            kept.append((share, accuracy))
        return Reliability(points, error, kept)

    def _name(self, key: str) -> None:
        if self.wrong_keys is None:
            return
        self.wrong_keys.add(key)
        if len(self.wrong_keys) > MOST_KEYS:
            self.wrong_keys = None

    def _count_confusions(self, text: str, truth: str) -> None:
        for wanted, read in align(truth, text):
            if wanted == read:
                continue
            pair = (wanted, read)
            if pair in self.confusions or len(self.confusions) < MOST_CONFUSIONS:
                self.confusions[pair] += 1

    def _keep(self, word: Word) -> None:
        sure = word.sure
        if sure is None:
            sure = 0.0
        entry = (sure, -self.words, word)
        if len(self._worst) < self.kept:
            heapq.heappush(self._worst, entry)
        elif self._worst and entry > self._worst[0]:
            heapq.heapreplace(self._worst, entry)


def _shares(words: int) -> Iterator[float]:
    """Yield shares in equal steps, each of a whole number of words."""
    for step in range(1, STEPS + 1):
        yield max(1, round(words * step / STEPS)) / words


def top_confusions(
    confusions: Mapping[Tuple[str, str], int], most: int = 40
) -> List[Tuple[str, str, int]]:
    """Return the most frequent confusions.

    Args:
        confusions: Counts by wanted and read character, one of them `NOTHING` where a character
            was left out or put in.
        most: How many.

    Returns:
        Wanted, read and count, the most frequent first; of equal counts by their characters.
    """
    ordered = sorted(confusions.items(), key=lambda entry: (-entry[1], entry[0]))
    return [(wanted, read, count) for (wanted, read), count in ordered[:most]]
