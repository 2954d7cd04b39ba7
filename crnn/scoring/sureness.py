"""How well the probabilities of texts tell right words from wrong ones.

Nine bytes a word are kept, and only where somebody asks: what is reported needs the words' order.
"""

from __future__ import annotations

from array import array
from typing import List, Optional, Sequence, Tuple

import numpy as np

from crnn.metrics import wilson
from crnn.results import Kept, Rejection, ReliabilityBin, Sureness

BINS = 10
"""The bins of equal count of the expected calibration error."""
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""The shares of the words for which the accuracy of the surest ones is reported."""
NOTHING = 2.0
"""A threshold that no probability reaches."""


class SurenessCounter:
    """Remembers of every labelled word how probable its text was and whether it was right."""

    def __init__(self) -> None:
        self._probabilities = array("d")
        self._right = array("b")

    def add(self, probability: Optional[float], right: bool) -> None:
        """Count a labelled word.

        Args:
            probability: That of its text; None where it could not be read: nothing is then kept.
            right: Whether the text is the label.
        """
        if probability is None:
            probability = -1.0
        self._probabilities.append(probability)
        self._right.append(right)

    def summary(self, rejection: Optional[Rejection]) -> Sureness:
        """Return what all words say.

        Args:
            rejection: What `rejection` gave, or None.

        Returns:
            The figures.
        """
        probabilities, right = self._read()
        surest = np.argsort(-probabilities, kind="stable")
        return Sureness(
            words=len(probabilities),
            auroc=auroc(probabilities, right),
            ece=expected_calibration_error(probabilities, right),
            bins=reliability(probabilities, right),
            curve=curve(probabilities[surest], right[surest], SHARES),
            rejection=rejection,
        )

    def rejection(self, threshold: float) -> Rejection:
        """Return what is kept where less probable words are rejected.

        Args:
            threshold: The least probability that is kept.

        Returns:
            The counts.
        """
        kept = self._kept(self._every(), threshold)
        return Rejection(threshold=threshold, total=len(self._right), kept=kept)

    def rejection_for(self, accuracy: float) -> Rejection:
        """Find the threshold that keeps the most words of which so many are right.

        A threshold fits the words that it was found on. So it is also found on every other word
        and used on the rest, and the other way round: what both halves keep together is what it
        would do on words that it has not seen.

        Args:
            accuracy: The fraction of the kept words that is to be right.

        Returns:
            The threshold with its counts, and those of the halves.
        """
        every = self._every()
        threshold = self._threshold(every, accuracy)
        crossed_kept = crossed_right = 0
        for own, other in ((every[::2], every[1::2]), (every[1::2], every[::2])):
            crossed = self._kept(other, self._threshold(own, accuracy))
            crossed_kept += crossed.count
            crossed_right += crossed.correct
        return Rejection(
            threshold=threshold,
            total=len(every),
            kept=self._kept(every, threshold),
            wanted=accuracy,
            transferred=_counted(crossed_kept, crossed_right),
        )

    def _every(self) -> np.ndarray:
        return np.arange(len(self._right))

    def _read(self) -> Tuple[np.ndarray, np.ndarray]:
        """Return the probabilities, and which are right, of the words that were read."""
        probabilities = np.array(self._probabilities)
        was_read = probabilities >= 0
        return probabilities[was_read], np.array(self._right, dtype=bool)[was_read]

    def _threshold(self, words: np.ndarray, accuracy: float) -> float:
        """Return the threshold that keeps the most of some words.

        Args:
            words: Their places.
            accuracy: The fraction of the kept ones that is to be right.

        Returns:
            The threshold; `NOTHING` where none keeps so good a part.
        """
        probabilities = np.array(self._probabilities)[words]
        right = np.array(self._right)[words]
        surest = np.argsort(-probabilities, kind="stable")
        surest = surest[probabilities[surest] >= 0]
        if not len(surest):
            return NOTHING
        ordered = probabilities[surest]
        share = np.cumsum(right[surest]) / np.arange(1, len(surest) + 1)
        # Equally probable words are kept or rejected together.
        is_last = np.append(ordered[1:] != ordered[:-1], True)
        fitting = np.flatnonzero((share >= accuracy) & is_last)
        if not len(fitting):
            return NOTHING
        return float(ordered[fitting[-1]])

    def _kept(self, words: np.ndarray, threshold: float) -> Kept:
        right = np.array(self._right)[words]
        kept = np.array(self._probabilities)[words] >= threshold
        return _counted(int(kept.sum()), int(right[kept].sum()))


def _counted(count: int, correct: int) -> Kept:
    return Kept(count, correct, wilson(correct, count))


def auroc(probabilities: np.ndarray, right: np.ndarray) -> Optional[float]:
    """Return the chance that a right word is more probable than a wrong one (the area under the
    ROC curve, by ranks: Mann and Whitney's U; equals count half).

    Args:
        probabilities: Of n words, float (n,).
        right: Which are right, bool (n,).

    Returns:
        0 to 1; None where all are right or all are wrong.
    """
    correct = int(right.sum())
    wrong = len(right) - correct
    if not correct or not wrong:
        return None
    _, place, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    above = ranks[place][right].sum() - correct * (correct + 1) / 2
    return float(above / (correct * wrong))


def expected_calibration_error(probabilities: np.ndarray, right: np.ndarray) -> float:
    """Return the mean distance between how probable words are said to be and how many are right.

    Args:
        probabilities: Of n words, float (n,).
        right: Which are right, bool (n,).

    Returns:
        The mean over `BINS` bins of equal count, weighted by the count; 0 without words.
    """
    total = 0.0
    for one in reliability(probabilities, right):
        total += one.count * abs(one.probability - one.correct / one.count)
    return total / max(1, len(right))


def reliability(probabilities: np.ndarray, right: np.ndarray) -> List[ReliabilityBin]:
    """Return bins of equally many words, the least probable ones first.

    Args:
        probabilities: Of n words, float (n,).
        right: Which are right, bool (n,).

    Returns:
        `BINS` bins, or fewer where there are fewer words.
    """
    order = np.argsort(probabilities, kind="stable")
    bins: List[ReliabilityBin] = []
    for words in np.array_split(order, BINS):
        if len(words):
            mean = float(probabilities[words].mean())
            bins.append(ReliabilityBin(len(words), mean, int(right[words].sum())))
    return bins


def curve(
    probabilities: np.ndarray, right: np.ndarray, shares: Sequence[float]
) -> Sequence[Tuple[float, float, float]]:
    """Return how right the surest words are.

    Args:
        probabilities: Of n words, float (n,), the surest first.
        right: Which are right, bool (n,), in the same order.
        shares: Of the words, each above 0 and at most 1.

    Returns:
        Share, threshold and accuracy for each of the shares; none without words.
    """
    points: List[Tuple[float, float, float]] = []
    if not len(right):
        return points
    sums = np.cumsum(right)
    for share in shares:
        count = max(1, round(share * len(right)))
        accuracy = float(sums[count - 1] / count)
        points.append((share, float(probabilities[count - 1]), accuracy))
    return points
