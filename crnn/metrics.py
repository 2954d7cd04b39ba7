"""Texts against truths: distances, intervals and the paired test, each with its definition."""

from __future__ import annotations

import math
from typing import Dict, List, Tuple

from crnn.results import PairedTest

Z95 = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""


def edit_distance(first: str, second: str) -> int:
    """Return the Levenshtein distance:

    the fewest insertions, deletions and substitutions of one character.
    """
    if first == second:
        return 0
    if len(first) < len(second):
        first, second = second, first
    row = list(range(len(second) + 1))
    for left, character in enumerate(first, 1):
        diagonal, row[0] = row[0], left
        for right, other in enumerate(second, 1):
            diagonal, row[right] = (
                row[right],
                min(row[right] + 1, row[right - 1] + 1, diagonal + (character != other)),
            )
    return row[-1]


def align(truth: str, text: str) -> List[Tuple[str, str]]:
    """Lay a text beside the truth, so that the fewest edits part them.

    >>> align("ship", "hips")
    [('s', ''), ('h', 'h'), ('i', 'i'), ('p', 'p'), ('', 's')]

    Args:
        truth: What should have been read.
        text: What was read.

    Returns:
        Pairs of characters, truth first; one of the two is empty where a character was left out or
        put in. Of ways with equally many edits, one that changes characters is taken before one
        that leaves out and puts in.
    """
    rows = [list(range(len(text) + 1))]
    for line, wanted in enumerate(truth, 1):
        above, row = rows[-1], [line]
        for place, read in enumerate(text, 1):
            row.append(min(above[place - 1] + (wanted != read), above[place] + 1, row[-1] + 1))
        rows.append(row)
    pairs: List[Tuple[str, str]] = []
    line, place = len(truth), len(text)
    while line or place:
        here = rows[line][place]
        if line and place:
            same = truth[line - 1] == text[place - 1]
            if here == rows[line - 1][place - 1] + (not same):
                line, place = line - 1, place - 1
                pairs.append((truth[line], text[place]))
                continue
        if line and here == rows[line - 1][place] + 1:
            line -= 1
            pairs.append((truth[line], ""))
        else:
            place -= 1
            pairs.append(("", text[place]))
    pairs.reverse()
    return pairs


def wilson(correct: int, total: int) -> Tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion (Wilson, JASA 22, 1927).

    Args:
        correct: How many are right.
        total: Of how many.

    Returns:
        Lower and upper bound; (0, 1) where total is 0.
    """
    if not total:
        return (0.0, 1.0)
    share, z2 = correct / total, Z95 * Z95
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = (
        Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    )
    # At 0 and 1 the bound is exact; rounding must not push it past.
    return (0.0 if correct == 0 else centre - half, 1.0 if correct == total else centre + half)


class TextMetric:
    """Counts texts against truths: word accuracy, character error rate, 1 - NED and a table by the
    truth's length.

    Feed it with `update`, one text and one truth at a time, both already folded. The character
    error rate is the sum of edit distances over the sum of the truths' lengths. 1 - NED is the mean
    over words of 1 - distance / (the longer of text and truth), the ICDAR 2019 definition (ReCTS,
    arXiv:1912.09641); two empty strings count as 1. Of no words at all, accuracy and 1 - NED are 0
    and so is the error rate.
    """

    def __init__(self) -> None:
        self.total = 0
        self.correct = 0
        self._distance = 0
        self._characters = 0
        self._similarity = 0.0
        self._by_length: Dict[int, List[int]] = {}

    def update(self, text: str, truth: str, *, wrong: bool = False) -> int:
        """Count one word and return its edit distance; ``wrong`` counts it as wrong whatever the
        text.
        """
        distance = edit_distance(text, truth)
        right = distance == 0 and not wrong
        self.total += 1
        self.correct += right
        self._distance += distance
        self._characters += len(truth)
        self._similarity += 1 - distance / (max(len(text), len(truth)) or 1)
        counts = self._by_length.setdefault(len(truth), [0, 0])
        counts[0] += right
        counts[1] += 1
        return distance

    @property
    def accuracy(self) -> float:
        """The fraction of words that are right."""
        if self.total:
            return self.correct / self.total
        return 0.0

    @property
    def cer(self) -> float:
        """The character error rate; above 1 where more was read than is there."""
        if self._characters:
            return self._distance / self._characters
        return 0.0

    @property
    def one_minus_ned(self) -> float:
        """1 - the mean normalised edit distance."""
        if self.total:
            return self._similarity / self.total
        return 0.0

    @property
    def by_length(self) -> Dict[int, Dict[str, float]]:
        """Accuracy, correct and total by the truth's length."""
        return {
            length: {"accuracy": correct / total, "correct": correct, "total": total}
            for length, (correct, total) in sorted(self._by_length.items())
        }


def paired_test(only_first: int, only_second: int, total: int) -> PairedTest:
    """Compare two runs by the words that exactly one of them got right.

    Args:
        only_first: Words that only the first run got right.
        only_second: Words that only the second run got right.
        total: Words that both runs read.

    Returns:
        The difference of the accuracies, its 95 % interval, and McNemar's exact p.
    """
    difference = 0.0
    if total:
        difference = (only_second - only_first) / total
    if total:
        first, second, words = only_first + 0.5, only_second + 0.5, total + 2
        centre = (second - first) / words
        half = Z95 * math.sqrt(first + second - (second - first) ** 2 / words) / words
        interval = (max(-1.0, centre - half), min(1.0, centre + half))
    else:
        interval = (-1.0, 1.0)
    return PairedTest(
        total, only_first, only_second, difference, interval, _mcnemar(only_first, only_second)
    )


def _mcnemar(only_first: int, only_second: int) -> float:
    differing = only_first + only_second
    log_half = differing * math.log(0.5)
    tail = math.fsum(
        math.exp(
            math.lgamma(differing + 1)
            - math.lgamma(k + 1)
            - math.lgamma(differing - k + 1)
            + log_half
        )
        for k in range(min(only_first, only_second) + 1)
    )
    return min(1.0, 2 * tail)
