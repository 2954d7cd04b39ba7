"""Logits and truths to the figures of an Evaluation, batch by batch, in memory that does not grow
with the data.
"""

from __future__ import annotations

import collections
import heapq
from typing import Counter, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from crnn import ctc, labels
from crnn.batch import NOT_FINITE, Batch, Problem, ProblemCounts
from crnn.decoding.decoder import NOTHING, Decoded, Decoder
from crnn.metrics import TextMetric, wilson
from crnn.results import Evaluation, Reading, RunInfo
from crnn.samples.label_check import LabelCheck
from crnn.scoring.stream import Stages
from crnn.spec import ModelSpec

MISSES_KEPT = 1000


class Readings:
    """The readings of a batch's rows, each made when it is asked for: most are only counted.

    Args:
        batch: The samples.
        decoded: What was read of the columns of logits.
        columns: The column of each row that was read.
        confidences: Those of the rows that have one.
    """

    def __init__(
        self,
        batch: Batch,
        decoded: Decoded,
        columns: Mapping[int, int],
        confidences: Mapping[int, float],
    ) -> None:
        self.texts: Sequence[str] = decoded.texts
        """What was read of each row; "" of one that could not be read."""
        if len(columns) < len(batch.keys):
            texts = [""] * len(batch.keys)
            for row, column in columns.items():
                texts[row] = decoded.texts[column]
            self.texts = texts
        self._keys, self._labels = batch.keys, batch.labels
        self._decoded = decoded
        self._columns = columns
        self._confidences = confidences

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, row: int) -> Reading:
        key, label = self._keys[row], self._labels[row]
        column = self._columns.get(row)
        if column is None:
            return Reading(key, "", None, label)
        return self._decoded.reading(column, key, self._confidences.get(row), label)

    def __iter__(self) -> Iterator[Reading]:
        return map(self.__getitem__, range(len(self._keys)))


class Scorer:
    """Decodes batches, counts them and keeps the worst misses.

    A row with a problem is read as the empty text and counts as wrong where it has a label; so does
    a row whose logits are not finite. Labels that the model cannot read, and rows without one, are
    counted among the problems, and otherwise as all others.

    Args:
        spec: What the logits mean and how labels are compared.
        confidences: Whether every reading gets its confidence; misses get theirs in any case.
        decoder: What makes texts of logits; None for greedy CTC.
    """

    def __init__(
        self, spec: ModelSpec, *, confidences: bool = False, decoder: Optional[Decoder] = None
    ) -> None:
        self.metric = TextMetric()
        self.read = 0
        """Rows that a model has read."""
        self.remarks: Counter[str] = collections.Counter()
        """What else the images' pictures depend on, counted."""
        self._problems = ProblemCounts()
        self._check = LabelCheck(spec)
        self._spec = spec
        self._decoder = decoder or Decoder(spec)
        self._confidences = confidences
        self._worst: List[Tuple[float, int, Reading]] = []
        self._seen = 0

    def add(self, batch: Batch, logits: Optional[np.ndarray]) -> Readings:
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
        rows: Sequence[int] = ()
        decoded = NOTHING
        if logits is not None:
            self.read += logits.shape[1]
            rows, logits = _finite(batch.readable, logits, problems)
            decoded = self._decoder.decode(logits, [batch.keys[row] for row in rows])
        columns = dict(zip(rows, range(len(rows))))
        truths = labels.fold_all(batch.labels, folds_case=self._spec.fold_case)
        sure = self._confidence_of(logits, columns, decoded.texts, truths)
        for row, problem in problems.items():
            self.report(batch.keys[row], problem)
        for row, unreadable in self._check.problems(batch.labels, truths):
            if batch.labels[row] is not None or row not in problems:
                self.report(batch.keys[row], unreadable)
        readings = Readings(batch, decoded, columns, sure)
        # A sample that could not be read is wrong even where its label is empty.
        missed = self.metric.update_all(readings.texts, truths, problems)
        for row, distance in missed.items():
            self._keep(readings, row, distance, truths[row] or "")
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

    def _confidence_of(
        self,
        logits: Optional[np.ndarray],
        columns: Mapping[int, int],
        texts: Sequence[str],
        truths: Sequence[Optional[str]],
    ) -> Dict[int, float]:
        """Return the confidence of each row that is to have one; ``texts`` are the columns'."""
        rows = list(columns)
        if not self._confidences:
            rows = [row for row in rows if texts[columns[row]] != truths[row]]
        if logits is None or not rows:
            return {}
        values = ctc.confidences(logits[:, [columns[row] for row in rows]])
        return dict(zip(rows, values.tolist()))

    def _keep(self, readings: Readings, row: int, distance: int, truth: str) -> None:
        self._seen += 1
        badness = distance / (max(len(readings.texts[row]), len(truth)) or 1)
        # The heap's smallest is the first to go: the mildest, and of equals the latest.
        place = (badness, -self._seen)
        full = len(self._worst) >= MISSES_KEPT
        if full and place < self._worst[0][:2]:
            return
        entry = (*place, readings[row])
        if full:
            heapq.heappushpop(self._worst, entry)
        else:
            heapq.heappush(self._worst, entry)


def _finite(
    rows: Sequence[int], logits: np.ndarray, problems: Dict[int, Problem]
) -> Tuple[Sequence[int], np.ndarray]:
    """Return the rows whose logits are finite, with their logits; the others get a problem."""
    finite = np.isfinite(logits).all(axis=(0, 2))
    if finite.all():
        return rows, logits
    kept: List[int] = []
    for row, good in zip(rows, finite.tolist()):
        if good:
            kept.append(row)
        else:
            problems[row] = NOT_FINITE
    return kept, logits[:, finite]


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
