"""Logits and truths to the figures of an Evaluation, batch by batch, in memory that does not grow
with the data.
"""

from __future__ import annotations

import collections
import heapq
from typing import Callable, Counter, List, Optional, Tuple

import numpy as np

from crnn import ctc
from crnn.metrics import TextMetric
from crnn.results import Batch, Problem, Reading
from crnn.spec import ModelSpec

MISSES_KEPT = 1000
NOT_FINITE = Problem("output not finite", "the model gave NaN or infinity for this image")

OnReading = Callable[[Reading], None]


class Scorer:
    """Decodes batches, counts them and keeps the worst misses.

    A row with a problem is read as the empty text and counts as wrong where it has a label; so does
    a row whose logits are not finite. ``on_reading`` gets every reading in data order, with its
    confidence.
    """

    def __init__(self, spec: ModelSpec, on_reading: Optional[OnReading] = None) -> None:
        self.metric = TextMetric()
        self.skipped: Counter[str] = collections.Counter()
        self.read = 0
        """Rows that a model has read."""
        self.named: List[Tuple[str, Problem]] = []
        self._spec = spec
        self._alphabet = spec.characters
        self._on_reading = on_reading
        self._worst: List[Tuple[float, int, Reading]] = []
        self._seen = 0

    def add(self, batch: Batch, logits: Optional[np.ndarray]) -> None:
        """Count a batch; ``logits`` (T, n, K) are those of its readable rows, None where there are
        none.
        """
        problems = dict(batch.problems)
        rows = batch.readable
        texts = [""] * len(batch.keys)
        sure: List[Optional[float]] = [None] * len(batch.keys)
        columns = {}
        if logits is not None:
            self.read += logits.shape[1]
            columns = dict(zip(rows, range(len(rows))))
            for row, text in zip(rows, ctc.greedy(logits, self._alphabet)):
                texts[row] = text
            for column in np.flatnonzero(~np.isfinite(logits).all(axis=(0, 2))).tolist():
                problems[rows[column]] = NOT_FINITE
                texts[rows[column]] = ""
                del columns[rows[column]]
        truths = [None if label is None else self._spec.fold(label) for label in batch.labels]
        asked = (
            list(columns)
            if self._on_reading
            else [row for row in columns if texts[row] != truths[row]]
        )
        if logits is not None and asked:
            values = ctc.confidences(logits[:, [columns[row] for row in asked]])
            for row, value in zip(asked, values.tolist()):
                sure[row] = value
        for row, problem in problems.items():
            self.report(batch.keys[row], problem)
        for row, (key, text, truth) in enumerate(zip(batch.keys, texts, truths)):
            if truth is not None:
                # A sample that could not be read is wrong even where its label is empty.
                distance = self.metric.update(text, truth, wrong=row in problems)
                if distance or row in problems:
                    self._keep(Reading(key, text, sure[row], batch.labels[row]), distance, truth)
            if self._on_reading:
                self._on_reading(Reading(key, text, sure[row], batch.labels[row]))

    def report(self, key: str, problem: Problem) -> None:
        """Count a problem, of a row or of the data set, and remember the first few of its kind."""
        self.skipped[problem.reason] += 1
        if self.skipped[problem.reason] <= 3:
            self.named.append((key, problem))

    @property
    def misses(self) -> List[Reading]:
        """The worst misses, worst first: by normalised edit distance, then in data order."""
        return [
            reading
            for _, _, reading in sorted(self._worst, key=lambda entry: (-entry[0], -entry[1]))
        ]

    @property
    def misses_total(self) -> int:
        """How many words were wrong."""
        return self.metric.total - self.metric.correct

    def _keep(self, reading: Reading, distance: int, truth: str) -> None:
        self._seen += 1
        badness = distance / (max(len(reading.text), len(truth)) or 1)
        # The heap's smallest is the first to go: the mildest, and of equals the latest.
        entry = (badness, -self._seen, reading)
        if len(self._worst) < MISSES_KEPT:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heappushpop(self._worst, entry)
