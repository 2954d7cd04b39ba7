"""Texts against truths: distances, intervals and the paired test, each with its definition."""

from __future__ import annotations

import math
from typing import Container, Dict, List, Optional, Sequence, Tuple

from crnn.results import PairedTest

Z95 = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""


def edit_distance(first: str, second: str) -> int:
    """Return the Levenshtein distance:

    the fewest insertions, deletions and substitutions of one character.

    The usual table column by column, all rows of one at once as the bits of a whole number: Myers,
    "A fast bit-vector algorithm for approximate string matching based on dynamic programming", J.
    ACM 46 (1999), in the form of Hyyrö (2003) for the distance of two whole
    strings. Python's numbers have as many bits as there are rows.

    Args:
        first: Any text.
        second: Any text.

    Returns:
        The distance, in code points.
    """
    if first == second:
        return 0
    if len(first) > len(second):
        first, second = second, first
    if not first:
        return len(second)
    places: Dict[str, int] = {}
    bit = 1
    for character in second:
        places[character] = places.get(character, 0) | bit
        bit <<= 1
    every, last = bit - 1, bit >> 1
    # Where the table grows, and where it shrinks, from a row to the next one.
    grows, shrinks = every, 0
    distance = len(second)
    for character in first:
        same = places.get(character, 0)
        diagonal = (((same & grows) + grows) ^ grows) | same | shrinks
        # The same from this column to the next one.
        more = shrinks | ~(diagonal | grows)
        fewer = grows & diagonal
        if more & last:
            distance += 1
        elif fewer & last:
            distance -= 1
        more = more << 1 | 1
        fewer <<= 1
        grows = (fewer | ~(diagonal | more)) & every
        shrinks = more & diagonal & every
    return distance


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

    Feed it with `update_all`, or with `update` one text at a time; texts and truths are folded
    already. The character error rate is the sum of edit distances over the sum of the truths'
    lengths. 1 - NED is the mean over words of 1 - distance / (the longer of text and truth), the
    ICDAR 2019 definition (ReCTS, arXiv:1912.09641); two empty strings count as 1. Of no words at
    all, accuracy and 1 - NED are 0 and so is the error rate.
    """

    def __init__(self) -> None:
        self._distance = 0
        self._similarity = 0.0
        self._by_length: Dict[int, List[int]] = {}

    def update(self, text: str, truth: str, *, wrong: bool = False) -> int:
        """Count one word and return its edit distance; ``wrong`` counts it as wrong whatever the
        text.
        """
        rows: List[int] = []
        if wrong:
            rows.append(0)
        return self.update_all([text], [truth], rows).get(0, 0)

    def update_all(
        self,
        texts: Sequence[str],
        truths: Sequence[Optional[str]],
        wrong: Container[int] = (),
    ) -> Dict[int, int]:
        """Count a batch of words.

        Args:
            texts: What was read, n of them.
            truths: The n truths; a word whose truth is None does not count.
            wrong: Rows, from 0, that count as wrong whatever their text.

        Returns:
            The edit distance of each row that is wrong, in the rows' order.
        """
        missed: Dict[int, int] = {}
        # In this order, whatever the batches: a sum of floats depends on it.
        similarity = self._similarity
        for row, truth in enumerate(truths):
            if truth is None:
                continue
            length = len(truth)
            counts = self._by_length.get(length)
            if counts is None:
                counts = self._by_length[length] = [0, 0]
            counts[1] += 1
            if texts[row] == truth:
                distance = 0
                similarity += 1
            else:
                distance = edit_distance(texts[row], truth)
                similarity += 1 - distance / max(len(texts[row]), length)
            if distance or row in wrong:
                missed[row] = distance
            else:
                counts[0] += 1
        self._similarity = similarity
        self._distance += sum(missed.values())
        return missed

    @property
    def total(self) -> int:
        """How many words were counted."""
        return sum(total for _, total in self._by_length.values())

    @property
    def correct(self) -> int:
        """How many of them are right."""
        return sum(correct for correct, _ in self._by_length.values())

    @property
    def accuracy(self) -> float:
        """The fraction of words that are right."""
        if self.total:
            return self.correct / self.total
        return 0.0

    @property
    def cer(self) -> float:
        """The character error rate; above 1 where more was read than is there."""
        characters = sum(length * counts[1] for length, counts in self._by_length.items())
        if characters:
            return self._distance / characters
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
    interval = (-1.0, 1.0)
    if total:
        difference = (only_second - only_first) / total
        first, second, words = only_first + 0.5, only_second + 0.5, total + 2
        centre = (second - first) / words
        half = Z95 * math.sqrt(first + second - (second - first) ** 2 / words) / words
        interval = (max(-1.0, centre - half), min(1.0, centre + half))
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
