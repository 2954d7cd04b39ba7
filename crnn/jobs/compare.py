"""Two runs over the same words: what they read differently, and whether one is better."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Callable, Counter, Dict, List, Mapping, Optional, Tuple

from crnn.errors import InputError, brief
from crnn.metrics import paired_test
from crnn.reports.result_json import EarlierRun, read_run
from crnn.results import (
    IMPROVEMENT,
    REGRESSION,
    Comparison,
    Difference,
    LogDifferences,
    Reading,
)
from crnn.spec import ModelSpec

Fold = Callable[[str], str]


class Differences:
    """Counts what two runs read differently, word by word, and keeps such words.

    Args:
        fold: Brings a label into the form that this run's texts are compared with.
        other_fold: The same for the other run.
        keep: The most words of each change that are kept; None for all.
    """

    def __init__(self, fold: Fold, other_fold: Fold, keep: Optional[int] = None) -> None:
        self._folds = (other_fold, fold)
        self._keep = keep
        self._kept: Dict[str, List[Difference]] = {REGRESSION: [], IMPROVEMENT: [], "": []}
        self.words = 0
        self.differ = 0
        self.labelled = 0
        self._only_this = self._only_other = self._both_wrong = 0

    def add(
        self,
        key: str,
        label: Optional[str],
        text: str,
        other: str,
        margins: Optional[Tuple[float, float]] = None,
    ) -> None:
        """Count a word that both runs have.

        Args:
            key: Its name.
            label: The truth as it was given; None where there is none.
            text: What this run read.
            other: What the other run read.
            margins: The other run's and this one's, where both are known.
        """
        self.words += 1
        right_there = right_here = False
        if label is not None:
            right_there = other == self._folds[0](label)
            right_here = text == self._folds[1](label)
            self.labelled += 1
            self._only_this += right_here and not right_there
            self._only_other += right_there and not right_here
            self._both_wrong += not (right_here or right_there)
        if other == text:
            return
        self.differ += 1
        change = ""
        if right_there and not right_here:
            change = REGRESSION
        elif right_here and not right_there:
            change = IMPROVEMENT
        kept = self._kept[change]
        if self._keep is None or len(kept) < self._keep:
            kept.append(Difference(key, label, text, other, change, margins))

    def finish(
        self,
        *,
        simulated: bool,
        file: str,
        logits: Optional[LogDifferences] = None,
        left_out: Optional[Mapping[str, int]] = None,
        alone: Tuple[int, int] = (0, 0),
    ) -> Comparison:
        """Return the comparison.

        Args:
            simulated: Whether the other run was.
            file: The other run's name.
            logits: How far the log-probabilities are apart; None where they are not known.
            left_out: Words whose logits were not compared, by reason.
            alone: The words that only the other run, and only this one has.

        Returns:
            Everything that was counted.
        """
        words: List[Difference] = []
        for change in (REGRESSION, IMPROVEMENT, ""):
            words.extend(self._kept[change])
        test = paired_test(self._only_other, self._only_this, self.labelled)
        return Comparison(
            differing=tuple(words),
            test=test,
            simulated=simulated,
            file=file,
            unlisted=self.differ - len(words),
            words=self.words,
            both_wrong=self._both_wrong,
            logits=logits,
            left_out=left_out or {},
            alone=alone,
        )


class SameLabels:
    """Tells runs over other data by their labels: names do not, since LMDBs number their words.

    Args:
        every: Whether each label must be the same. Else some may have been corrected since then,
            which changes nothing about the texts.
    """

    def __init__(self, *, every: bool = False) -> None:
        self._every = every
        self._words = self._other = 0
        self._one = ""

    def add(self, key: str, label: Optional[str], other: Optional[str]) -> None:
        """Compare the labels of a word, whatever their case; one that a run lacks says nothing.

        Args:
            key: The word's name.
            label: In this run.
            other: In the other run.
        """
        if not label or not other:
            return
        self._words += 1
        if label == other or label.lower() == other.lower():
            return
        self._other += 1
        if not self._one:
            self._one = f"{key}, here {brief(label)!r}, there {brief(other)!r}"

    def problem(self) -> str:
        """Return why the runs are over other data; empty where they are not."""
        most = 0
        if not self._every:
            most = self._words // 2
        if self._other <= most:
            return ""
        return self._said()

    def remark(self) -> str:
        """Return what is to be said of labels that differ; empty where none does."""
        if not self._other:
            return ""
        return self._said()

    def _said(self) -> str:
        return f"{self._other} of {self._words} words have another label there (one: {self._one})"


def other_lengths(lengths: Mapping[int, int], labels: Mapping[int, int]) -> str:
    """Say whether labels cannot be those of a result, by how many have each length.

    Args:
        lengths: The count of each length in the result; empty where it does not say.
        labels: The same of the labels at hand.

    Returns:
        What differs; empty where nothing does.
    """
    if not lengths:
        return ""
    for length in sorted({*lengths, *labels}):
        here, there = labels.get(length, 0), lengths.get(length, 0)
        if here != there:
            return f"it has {there} labels of {length} characters, this run {here}"
    return ""


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
        self._differences = Differences(spec.fold, spec.fold)
        self._labels = SameLabels(every=self._run.only_misses)
        self._lengths: Counter[int] = collections.Counter()

    def add(self, reading: Reading) -> None:
        """Compare a reading.

        Args:
            reading: Of this run.
        """
        self._unseen.discard(reading.key)
        self._labels.add(reading.key, reading.label, self._run.labels.get(reading.key))
        if reading.label is not None:
            self._lengths[len(self._spec.fold(reading.label))] += 1
        other = self._run.texts.get(reading.key)
        if other is None and self._run.only_misses and reading.label is not None:
            # A result JSON names its misses only: what it does not name, it read right.
            other = self._spec.fold(reading.label)
        if other is None:
            self._missing.append(reading.key)
            return
        self._differences.add(reading.key, reading.label, reading.text, other)

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
        labelled = self._differences.labelled
        if self._run.only_misses and self._run.total != labelled:
            problems.append(f"it has {self._run.total} labels, this run {labelled}")
        else:
            problems.append(other_lengths(self._run.lengths, self._lengths))
        problems = list(filter(None, [*problems, self._labels.problem()]))
        if problems:
            raise InputError(
                f"{self._path} is over other words than this run: {'; '.join(problems)}"
            )
        return self._differences.finish(simulated=self._run.simulated, file=self._path.name)

    @property
    def notes(self) -> List[str]:
        """What is to be said beside the comparison."""
        remark = self._labels.remark()
        if not remark:
            return []
        return [f"{self._path}: {remark}; both runs are judged by the labels of this one"]


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
