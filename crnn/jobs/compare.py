"""Two runs over the same words: what they read differently, and whether one is better."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from crnn.errors import InputError
from crnn.metrics import paired_test
from crnn.reports.result_json import EarlierRun, read_run
from crnn.results import IMPROVEMENT, REGRESSION, Comparison, Difference, Reading
from crnn.spec import ModelSpec


class Comparer:
    """Compares readings, as they come, with those of an earlier run's file (its result JSON or JSON
    Lines).
    """

    def __init__(self, path: Path, spec: ModelSpec) -> None:
        self._path = path
        self._spec = spec
        self._run: EarlierRun = read_run(path)
        self._unseen = set(self._run.texts)
        self._missing: List[str] = []
        self._differing: List[Difference] = []
        self._only_this = self._only_other = self._total = 0

    def add(self, reading: Reading) -> None:
        """Compare a reading.

        Args:
            reading: Of this run.
        """
        self._unseen.discard(reading.key)
        truth = None
        if reading.label is not None:
            truth = self._spec.fold(reading.label)
        other = self._run.texts.get(reading.key)
        if other is None and self._run.only_misses:
            # A result JSON names its misses only: what it does not name, it read right.
            other = truth
        if other is None:
            self._missing.append(reading.key)
            return
        if other != reading.text:
            change = change_of(reading.text, other, truth)
            word = Difference(reading.key, reading.label, reading.text, other, change)
            self._differing.append(word)
        if truth is not None:
            self._total += 1
            right_here = reading.text == truth
            right_there = other == truth
            self._only_this += right_here and not right_there
            self._only_other += right_there and not right_here

    def finish(self) -> Comparison:
        """Return the comparison; `InputError` where the two runs are not over the same words."""
        problems = []
        if self._missing:
            problems.append(
                f"{len(self._missing)} words of this run are not in it (the first:"
                f" {self._missing[0]})"
            )
        if self._unseen:
            problems.append(
                f"{len(self._unseen)} of its words are not in this run (one: {min(self._unseen)})"
            )
        if self._run.only_misses and self._run.total != self._total:
            problems.append(f"it has {self._run.total} labels, this run {self._total}")
        if problems:
            raise InputError(
                f"{self._path} is over other words than this run: {'; '.join(problems)}"
            )
        test = paired_test(self._only_other, self._only_this, self._total)
        order = {REGRESSION: 0, IMPROVEMENT: 1}
        words = sorted(self._differing, key=lambda word: order.get(word.change, 2))
        return Comparison(tuple(words), test, self._run.simulated, self._path.name)


def change_of(text: str, other: str, truth: Optional[str]) -> str:
    """Say what became of a word that two runs read differently.

    Args:
        text: What this run read.
        other: What the other run read.
        truth: The folded label; None where there is none.

    Returns:
        `REGRESSION`, `IMPROVEMENT`, or "" where neither run was right or nobody knows.
    """
    if other == truth:
        return REGRESSION
    if text == truth:
        return IMPROVEMENT
    return ""
