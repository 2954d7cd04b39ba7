"""Logits and truths to the figures of an Evaluation, batch by batch, in memory that does not grow
with the data.
"""

from __future__ import annotations

import collections
import heapq
from typing import Counter, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from crnn import ctc
from crnn.batch import Batch, LabelCheck, Problem, ProblemCounts
from crnn.metrics import TextMetric, wilson
from crnn.results import Evaluation, Reading, RunInfo
from crnn.scoring.stream import Stages
from crnn.spec import ModelSpec

MISSES_KEPT = 1000
NOT_FINITE = Problem("output not finite", "the model gave NaN or infinity for this image")


class Scorer:
    """Decodes batches, counts them and keeps the worst misses.

    A row with a problem is read as the empty text and counts as wrong where it has a label; so does
    a row whose logits are not finite. Labels that the model cannot read, and rows without one, are
    counted among the problems, and otherwise as all others.

    Args:
        spec: What the logits mean and how labels are compared.
        confidences: Whether every reading gets its confidence; misses get theirs in any case.
    """

    def __init__(self, spec: ModelSpec, *, confidences: bool = False) -> None:
        self.metric = TextMetric()
        self.read = 0
        """Rows that a model has read."""
        self.remarks: Counter[str] = collections.Counter()
        """What else the images' pictures depend on, counted."""
        self._problems = ProblemCounts()
        self._check = LabelCheck(spec)
        self._spec = spec
        self._alphabet = spec.alphabet
        self._confidences = confidences
        self._worst: List[Tuple[float, int, Reading]] = []
        self._seen = 0

    def add(self, batch: Batch, logits: Optional[np.ndarray]) -> List[Reading]:
        """Count a batch.

        Args:
            batch: The samples, n of them readable.
            logits: float32 (T, n, K), those of the readable rows in their order; None where there
                are none.

        Returns:
            The reading of every row, in the batch's order.
        """
        problems = dict(batch.problems)
        self.remarks.update(batch.remarks)
        texts = [""] * len(batch.keys)
        columns: Dict[int, int] = {}
        if logits is not None:
            self.read += logits.shape[1]
            columns = self._decode(batch.readable, logits, texts, problems)
        truths = self._truths(batch.labels)
        sure = self._confidence_of(logits, columns, texts, truths)
        for row, problem in problems.items():
            self.report(batch.keys[row], problem)
        for row, label in enumerate(batch.labels):
            if label is None and row in problems:
                continue
            unreadable = self._check.problem(label)
            if unreadable:
                self.report(batch.keys[row], unreadable)
        readings: List[Reading] = []
        for row, text in enumerate(texts):
            reading = Reading(batch.keys[row], text, sure.get(row), batch.labels[row])
            readings.append(reading)
            self._count(reading, truths[row], row in problems)
        return readings

    def report(self, key: str, problem: Problem) -> None:
        """Count a problem, of a row or of the data set, and remember the first few of its kind.

        Args:
            key: The sample, or what else of the data set the problem is about.
            problem: What is wrong.
        """
        self._problems.add(key, problem)

    @property
    def skipped(self) -> Mapping[str, int]:
        """How many problems there are of each reason."""
        return self._problems.counts

    @property
    def named(self) -> Sequence[Tuple[str, Problem]]:
        """The first few samples of each reason, by name."""
        return self._problems.named

    @property
    def misses(self) -> List[Reading]:
        """The worst misses, worst first: by normalised edit distance, then in data order."""
        worst = sorted(self._worst, key=lambda entry: (-entry[0], -entry[1]))
        return [reading for _, _, reading in worst]

    @property
    def misses_total(self) -> int:
        """How many words were wrong."""
        return self.metric.total - self.metric.correct

    def _decode(
        self,
        rows: Sequence[int],
        logits: np.ndarray,
        texts: List[str],
        problems: Dict[int, Problem],
    ) -> Dict[int, int]:
        """Put the readable rows' texts in their places, and a problem where a row's logits are not
        finite; return the column, in the logits, of each of the others.
        """
        columns: Dict[int, int] = {}
        finite = np.isfinite(logits).all(axis=(0, 2)).tolist()
        for column, text in enumerate(ctc.greedy(logits, self._alphabet)):
            row = rows[column]
            if finite[column]:
                texts[row] = text
                columns[row] = column
            else:
                problems[row] = NOT_FINITE
        return columns

    def _truths(self, labels: Sequence[Optional[str]]) -> List[Optional[str]]:
        truths: List[Optional[str]] = []
        for label in labels:
            if label is None:
                truths.append(None)
            else:
                truths.append(self._spec.fold(label))
        return truths

    def _confidence_of(
        self,
        logits: Optional[np.ndarray],
        columns: Mapping[int, int],
        texts: Sequence[str],
        truths: Sequence[Optional[str]],
    ) -> Dict[int, float]:
        """Return the confidence of each row that is to have one."""
        rows = list(columns)
        if not self._confidences:
            rows = [row for row in rows if texts[row] != truths[row]]
        if logits is None or not rows:
            return {}
        values = ctc.confidences(logits[:, [columns[row] for row in rows]])
        return dict(zip(rows, values.tolist()))

    def _count(self, reading: Reading, truth: Optional[str], has_problem: bool) -> None:
        if truth is None:
            return
        # A sample that could not be read is wrong even where its label is empty.
        distance = self.metric.update(reading.text, truth, wrong=has_problem)
        if distance or has_problem:
            self._keep(reading, distance, truth)

    def _keep(self, reading: Reading, distance: int, truth: str) -> None:
        self._seen += 1
        badness = distance / (max(len(reading.text), len(truth)) or 1)
        # The heap's smallest is the first to go: the mildest, and of equals the latest.
        entry = (badness, -self._seen, reading)
        if len(self._worst) < MISSES_KEPT:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heappushpop(self._worst, entry)


def evaluation_of(
    scorer: Scorer,
    run: RunInfo,
    *,
    stages: Stages,
    batch: int,
    seconds: float,
    protocol: Mapping[str, object],
) -> Evaluation:
    """Return the evaluation that a scorer has come to.

    Args:
        scorer: Has counted every batch and every problem of the data set.
        run: What has run the model.
        stages: The time of each stage.
        batch: Images a batch.
        seconds: Wall time from the first batch to the last.
        protocol: What counted: the protocol's name and its rules.

    Returns:
        The figures, ready for the reports.
    """
    metric = scorer.metric
    throughput = 0.0
    if seconds:
        throughput = scorer.read / seconds
    return Evaluation(
        accuracy=metric.accuracy,
        correct=metric.correct,
        total=metric.total,
        interval95=wilson(metric.correct, metric.total),
        cer=metric.cer,
        one_minus_ned=metric.one_minus_ned,
        skipped=dict(scorer.skipped),
        by_length=metric.by_length,
        throughput=throughput,
        stages=stages.summary(),
        batch=batch,
        run=run,
        misses=tuple(scorer.misses),
        misses_total=scorer.misses_total,
        protocol=protocol,
    )
