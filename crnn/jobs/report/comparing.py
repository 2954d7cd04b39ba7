"""Two runs over the same words, side by side, from what they left."""

from __future__ import annotations

import collections
import itertools
from dataclasses import dataclass, field, replace
from typing import Counter, Dict, Iterator, List, Optional, Sequence, Tuple

from crnn.errors import InputError
from crnn.jobs.compare import SameLabels, change_of
from crnn.jobs.report.inputs import Data, Run, words_of
from crnn.jobs.report.tally import Word
from crnn.metrics import paired_test
from crnn.reports.html.model import Changed, Compared
from crnn.results import IMPROVEMENT, REGRESSION
from crnn.spec import ModelSpec


def compared_of(runs: Sequence[Run], most: int, *, common: bool) -> List[Compared]:
    """Compare each later run with the first one over the same data, and show saved comparisons.

    Args:
        runs: In the order given; those without readings are compared only where their result holds
            a comparison (``--against``).
        most: The most words that are kept of each.
        common: Whether words that only one run has are left out instead of refused.

    Returns:
        The comparisons.

    Raises:
        InputError: Two runs over one data set hold different words.
    """
    found = []
    for run in runs:
        saved = run.result.get("against")
        if isinstance(saved, dict):
            simulated = run.result.get("simulated") is True
            found.append(saved_comparison(run.title, saved, most, run.data, simulated=simulated))
    first: Dict[str, Run] = {}
    for run in runs:
        if run.readings is None:
            continue
        other = first.setdefault(run.data, run)
        if other is not run:
            found.append(_compare(other, run, most, common=common))
    return found


def compared_in(data: Data, most: int) -> List[Compared]:
    """Return what ``crnn compare`` found.

    Args:
        data: Its JSON.
        most: The most words that are kept of each side.

    Returns:
        Each side beside the first.
    """
    found: List[Compared] = []
    for saved in data["comparisons"]:
        title = str(saved.get("second"))
        simulated = data.get("simulated") is True
        place = str(data.get("data") or "")
        one = saved_comparison(title, saved, most, place, simulated=simulated)
        alone = 0
        for name in ("only_in_first", "only_in_second"):
            count = saved.get(name)
            if isinstance(count, int):
                alone += count
        words = saved.get("words_compared")
        if not isinstance(words, int):
            words = one.total
        first = str(saved.get("first"))
        logits = _logits(saved.get("log_probabilities"))
        found.append(replace(one, first=first, total=words, uncommon=alone, logits=logits))
    return found


def _logits(saved: object) -> Optional[Tuple[float, float]]:
    """Return the largest and the mean difference of log-probabilities."""
    if not isinstance(saved, dict):
        return None
    largest, mean = saved.get("largest"), saved.get("mean")
    if isinstance(largest, float) and isinstance(mean, float):
        return largest, mean
    return None


def saved_comparison(
    title: str, saved: Data, most: int, data: str = "", *, simulated: bool = False
) -> Compared:
    """Return a comparison that a run has made itself.

    Args:
        title: The run's.
        saved: What stands under ``against`` in its result.
        most: The most words that are kept.
        data: The name of its data set.
        simulated: Whether it was simulated.

    Returns:
        The comparison.
    """
    words = []
    for word in saved["words"][:most]:
        words.append(
            Changed(
                str(word["key"]),
                str(word.get("label") or ""),
                str(word["text"]),
                str(word["other"]),
                str(word.get("change") or ""),
            )
        )
    low, high = saved["interval95"]
    return Compared(
        str(saved.get("file")),
        title,
        saved["total"],
        saved["differing"],
        saved["regressions"],
        saved["improvements"],
        saved["difference"],
        (low, high),
        saved["p_value"],
        words,
        data=data,
        simulated=simulated or saved.get("simulated") is True,
    )


@dataclass
class _Counts:
    spec: ModelSpec
    most: int
    total: int = 0
    alone: int = 0
    changes: Counter[str] = field(default_factory=collections.Counter)

    def __post_init__(self) -> None:
        self.kept: Dict[str, List[Changed]] = {REGRESSION: [], IMPROVEMENT: [], "": []}
        self.labels = SameLabels()

    def add(self, old: Word, new: Word) -> None:
        self.total += 1
        self.labels.add(new.key, new.label, old.label)
        if old.text == new.text:
            return
        label = new.label
        if label is None:
            label = old.label
        truth = None
        if label is not None:
            truth = self.spec.fold(label)
        change = change_of(new.text, old.text, truth)
        self.changes[change] += 1
        if len(self.kept[change]) < self.most:
            changed = Changed(new.key, label or "", new.text, old.text, change)
            self.kept[change].append(changed)

    def words(self) -> List[Changed]:
        every = itertools.chain(self.kept[REGRESSION], self.kept[IMPROVEMENT], self.kept[""])
        return list(itertools.islice(every, self.most))


def _compare(first: Run, second: Run, most: int, *, common: bool) -> Compared:
    counts = _Counts(second.spec, most)
    for old, new in _pairs(first, second):
        if old is None or new is None:
            counts.alone += 1
        else:
            counts.add(old, new)
    if counts.alone and not common:
        raise InputError(
            f"{first.title} and {second.title}: {counts.alone} words stand in one of them alone,"
            f" {counts.total} in both; expected the same words",
            hint="Give runs over the same data, or compare what they share: --common",
        )
    problem = counts.labels.problem()
    if problem:
        raise InputError(
            f"{second.title} and {first.title} are over other words: {problem}",
            hint="The words have the same names; report on each data set by itself.",
        )
    worse, better = counts.changes[REGRESSION], counts.changes[IMPROVEMENT]
    test = paired_test(worse, better, counts.total)
    return Compared(
        first.title,
        second.title,
        counts.total,
        sum(counts.changes.values()),
        worse,
        better,
        test.difference,
        test.interval95,
        test.p_value,
        counts.words(),
        counts.alone,
        second.data,
        first.simulated or second.simulated,
    )


def _pairs(first: Run, second: Run) -> Iterator[Tuple[Optional[Word], Optional[Word]]]:
    """Yield each word of two runs; of one that only one run has, the other is None.

    Runs over the same data have their words in the same order: only what is out of step is kept.
    """
    if first.readings is None or second.readings is None:
        return
    waiting: Dict[str, Word] = {}
    other: Dict[str, Word] = {}
    for old, new in itertools.zip_longest(words_of(first.readings), words_of(second.readings)):
        if old is not None and new is not None and old.key == new.key:
            yield old, new
            continue
        if old is not None:
            match = other.pop(old.key, None)
            if match is None:
                waiting[old.key] = old
            else:
                yield old, match
        if new is not None:
            match = waiting.pop(new.key, None)
            if match is None:
                other[new.key] = new
            else:
                yield match, new
    for old in waiting.values():
        yield old, None
    for new in other.values():
        yield None, new
