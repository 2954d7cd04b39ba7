"""Logits and truths to the figures of an Evaluation, batch by batch, in memory that does not grow
with the data.
"""

from __future__ import annotations

import collections
import heapq
from typing import (
    TYPE_CHECKING,
    Any,
    Counter,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np

from crnn.batch import NOT_FINITE, Batch, LabelCheck, Problem, ProblemCounts
from crnn.ctc import confidences as confidences_of
from crnn.ctc import greedy
from crnn.decoding.decoder import NOTHING, Decoded, Decoder
from crnn.labels import fold_all
from crnn.metrics import TextMetric, wilson
from crnn.results import Evaluation, Reading, RunInfo
from crnn.scoring.rows import KeptReadings, Row, judged, of_row, worth_of
from crnn.scoring.stream import Stages, WidthTime
from crnn.spec import ModelSpec

if TYPE_CHECKING:
    from crnn.scoring.order import DataOrder
    from crnn.scoring.sureness import SurenessCounter
    from crnn.scoring.view_counts import ViewCounts

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
        self.confidences = confidences
        """Those of the rows that have one; none where nobody asked, or nothing was read."""

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, row: int) -> Reading:
        key, label = self._keys[row], self._labels[row]
        column = self._columns.get(row)
        if column is None:
            return Reading(key, "", None, label)
        if self.bare:
            return Reading(key, self.texts[row], self.confidences.get(row), label)
        return self._decoded.reading(column, key, self.confidences.get(row), label)

    def __iter__(self) -> Iterator[Reading]:
        return map(self.__getitem__, range(len(self._keys)))

    @property
    def bare(self) -> bool:
        """Whether nothing is known of a reading but its text and its confidence."""
        decoded = self._decoded
        more = (decoded.probabilities, decoded.posteriors, decoded.alternatives, decoded.characters)
        return all(field is None for field in more)


class PlainRows(NamedTuple):
    """A batch's rows, of which nothing is asked but to be counted.

    ``problems`` says of some why they are wrong whatever their texts are.
    """

    keys: Sequence[str]
    labels: Sequence[Optional[str]]
    readings: Union[Readings, KeptReadings]
    problems: Mapping[int, Problem]


Sequenced = Union[List[Reading], Readings, KeptReadings]
"""Some readings in their order."""


class Scorer:
    """Decodes batches, counts them and keeps the worst misses.

    A row with a problem is read as the empty text and counts as wrong where it has a label; so does
    a row whose logits are not finite. Labels that the model cannot read, and rows without one, are
    counted among the problems, and otherwise as all others.

    Args:
        spec: What the logits mean and how labels are compared.
        confidences: Whether every reading gets its confidence; misses get theirs in any case.
        decoder: What makes texts of logits; None for greedy CTC.
        sureness: Counts the labelled words' probabilities, which the decoder must give.
        threshold: Less probable readings are marked as rejected, and so is what cannot be read;
            None where nothing is.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        confidences: bool = False,
        decoder: Optional[Decoder] = None,
        sureness: Optional[SurenessCounter] = None,
        threshold: Optional[float] = None,
    ) -> None:
        self.metric = TextMetric()
        self.read = 0
        """Words that a model has read."""
        self.remarks: Counter[str] = collections.Counter()
        """What else the images' pictures depend on, counted."""
        self._problems = ProblemCounts()
        self._check = LabelCheck(spec)
        self.spec = spec
        self._alphabet = spec.alphabet
        self._decoder = decoder
        self._confidences = confidences
        self._sureness = sureness
        self._threshold = threshold
        self.plain = sureness is None and threshold is None
        """Whether nothing is asked of single rows."""
        self._worst: List[Tuple[float, int, Reading]] = []
        self._seen = 0
        self._order: Optional[DataOrder] = None
        self._view_counts: Optional[ViewCounts] = None
        self._at_width: Dict[int, Tuple[int, int]] = {}

    def add(self, batch: Batch, logits: Optional[np.ndarray]) -> Sequenced:
        """Count a batch.

        Args:
            batch: The samples, n of them readable.
            logits: float32 (T, n, K), those of the readable rows in their order; None where there
                are none.

        Returns:
            The reading of every row, in the batch's order. Where the batch has positions: the
            readings that are complete with it, one a position, in data order.
        """
        self.remarks.update(batch.remarks)
        return self.count(self.decode(batch, logits))

    def decode(self, batch: Batch, logits: Optional[np.ndarray]) -> Union[PlainRows, Sequence[Row]]:
        """Decode a batch without counting it.

        Args:
            batch: As for `add`.
            logits: As for `add`.

        Returns:
            What came of the rows whose readings `add` returns.
        """
        if self.plain and batch.is_plain:
            return self._decode_plain(batch, logits)
        return self.rows(batch, logits)

    def count(self, rows: Union[PlainRows, Sequence[Row]]) -> Sequenced:
        """Count decoded rows.

        Args:
            rows: The next ones in data order, as `decode` returns them.

        Returns:
            Their readings.
        """
        if isinstance(rows, PlainRows):
            self._count_plain(rows)
            return rows.readings
        self._report(rows)
        for row in rows:
            self._count(row)
        return [row.reading for row in rows]

    def _decode_plain(self, batch: Batch, logits: Optional[np.ndarray]) -> PlainRows:
        problems = dict(batch.problems)
        readable: Sequence[int] = ()
        decoded = NOTHING
        if logits is not None:
            self.read += logits.shape[1]
            readable, logits = _finite(batch.readable, logits, problems)
            decoded = self._decoded(batch, readable, logits)
        columns = dict(zip(readable, range(len(readable))))
        truths = self._truths(batch.labels)
        sure = self._confidence_of(logits, columns, decoded.texts, truths, everyone=False)
        readings = Readings(batch, decoded, columns, sure)
        return PlainRows(batch.keys, batch.labels, readings, problems)

    def _count_plain(self, rows: PlainRows) -> None:
        """Count rows as `count` does, all of them at once."""
        keys, given, readings, problems = rows
        truths = self._truths(given)
        for row, problem in problems.items():
            self.report(keys[row], problem)
        for row, unreadable in self._check.problems(given, truths):
            if given[row] is not None or row not in problems:
                self.report(keys[row], unreadable)
        # A sample that could not be read is wrong even where its label is empty.
        missed = self.metric.update_all(readings.texts, truths, problems)
        for row, distance in missed.items():
            badness = _badness(readings.texts[row], truths[row] or "", distance)
            # Where all are wrong alike, hardly one is kept.
            if self._is_among_the_worst(badness):
                self._keep(readings[row], badness)
            else:
                self._seen += 1

    @property
    def waits(self) -> bool:
        """Whether rows were decoded that are given out only once others are."""
        return self._order is not None and self._order.waits

    def rows(self, batch: Batch, logits: Optional[np.ndarray]) -> Sequence[Row]:
        """Decode a batch without counting it.

        Args:
            batch: As for `add`.
            logits: As for `add`.

        Returns:
            What came of the rows whose readings `add` returns.
        """
        rows = self._rows(batch, logits)
        if batch.positions is None:
            return rows
        complete = self._in_order(batch, rows)
        # Of several views a word was read once.
        self.read += sum(row.reading.view is not None for row in complete)
        return complete

    def _in_order(self, batch: Batch, rows: Sequence[Row]) -> List[Row]:
        if self._order is None:
            # Only models of several widths, and views, need it.
            from crnn.scoring.order import DataOrder

            self._order = DataOrder()
        return self._order.add(batch, rows)

    def _rows(self, batch: Batch, logits: Optional[np.ndarray]) -> List[Row]:
        """Decode a batch."""
        problems = dict(batch.problems)
        readable: Sequence[int] = ()
        decoded = NOTHING
        steps = None
        if logits is not None:
            if batch.views is None:
                self.read += logits.shape[1]
            readable, logits = _finite(batch.readable, logits, problems)
            decoded = self._decoded(batch, readable, logits)
            if batch.width is not None:
                steps = logits.shape[0]
        columns = dict(zip(readable, range(len(readable))))
        truths = self._truths(batch.labels)
        several = batch.views is not None
        sure = self._confidence_of(logits, columns, decoded.texts, truths, everyone=several)
        rows: List[Row] = []
        for row, key in enumerate(batch.keys):
            label = batch.labels[row]
            if row in columns:
                reading = decoded.reading(columns[row], key, sure.get(row), label)
                reading = of_row(reading, batch, row)
            else:
                reading = Reading(key, "", None, label)
            if self._threshold is not None:
                reading = judged(reading, self._threshold)
            worth = worth_of(reading)
            rows.append(Row(reading, truths[row], problems.get(row), steps, worth))
        return rows

    def _decoded(self, batch: Batch, readable: Sequence[int], logits: np.ndarray) -> Decoded:
        """Return what the logits of a batch's readable rows say."""
        if self._decoder is None:
            return Decoded(greedy(logits, self._alphabet))
        keys = [batch.keys[row] for row in readable]
        spans = None
        if batch.spans is not None:
            spans = [batch.spans[row] for row in readable]
        return self._decoder.decode(logits, keys, spans, batch.width)

    def _report(self, rows: Sequence[Row]) -> None:
        """Count what is wrong with rows and with their labels."""
        for late in (False, True):
            for row in rows:
                if row.problem and (row.problem is NOT_FINITE) is late:
                    self.report(row.reading.key, row.problem)
        for row in rows:
            label = row.reading.label
            if label is None and row.problem:
                continue
            unreadable = self._check.problem(label, row.steps)
            if unreadable:
                self.report(row.reading.key, unreadable)

    def report(self, key: str, problem: Problem) -> None:
        """Count a problem, of a row or of the data set, and remember the first few of its kind.

        Args:
            key: The sample, or what else of the data set the problem is about.
            problem: What is wrong.
        """
        self._problems.add(key, problem)

    def by_width(self, stages: Stages) -> Mapping[int, Mapping[str, float]]:
        """Return what was read at each width of a model with several.

        Args:
            stages: Has the time that inference took at each.

        Returns:
            The fields of `Evaluation.by_width`, narrowest first.
        """
        found: Dict[int, Mapping[str, float]] = {}
        for width in sorted({*self._at_width, *stages.by_width}):
            words, correct = self._at_width.get(width, (0, 0))
            rows, seconds = stages.by_width.get(width, WidthTime())
            found[width] = {
                "words": words,
                "correct": correct,
                "accuracy": correct / max(1, words),
                "words_per_second": rows / (seconds or float("inf")),
            }
        return found

    @property
    def decoding(self) -> Mapping[str, Any]:
        """The fields of `Evaluation.decoding`."""
        if self._decoder is None:
            return {}
        return self._decoder.described()

    @property
    def notes(self) -> Sequence[str]:
        """What a user should be told of what may be read, a line each; complete once all is
        decoded.
        """
        if self._decoder is None:
            return ()
        return self._decoder.notes()

    @property
    def views(self) -> Mapping[str, Any]:
        """The fields of `Evaluation.views`."""
        if self._view_counts is None:
            return {}
        return self._view_counts.summary()

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

    def _truths(self, given: Sequence[Optional[str]]) -> Sequence[Optional[str]]:
        return fold_all(given, folds_case=self.spec.fold_case)

    def _confidence_of(
        self,
        logits: Optional[np.ndarray],
        columns: Mapping[int, int],
        texts: Sequence[str],
        truths: Sequence[Optional[str]],
        *,
        everyone: bool,
    ) -> Dict[int, float]:
        """Return the confidence of each row that is to have one; ``texts`` are the columns'."""
        rows = list(columns)
        if not (self._confidences or everyone):
            rows = [row for row in rows if texts[columns[row]] != truths[row]]
        if logits is None or not rows:
            return {}
        values = confidences_of(logits[:, [columns[row] for row in rows]])
        return dict(zip(rows, values.tolist()))

    def _count(self, row: Row) -> None:
        if row.truth is None:
            return
        wrong = row.problem is not None
        # A sample that could not be read is wrong even where its label is empty.
        distance = self.metric.update(row.reading.text, row.truth, wrong=wrong)
        right = not (distance or wrong)
        if row.reading.width is not None:
            words, correct = self._at_width.get(row.reading.width, (0, 0))
            self._at_width[row.reading.width] = (words + 1, correct + right)
        if self._sureness is not None:
            self._sureness.add(row.reading.probability, right)
        if row.reading.view is not None:
            self._count_view(row.reading, right)
        if not right:
            self._keep(row.reading, _badness(row.reading.text, row.truth, distance))

    def _count_view(self, reading: Reading, right: bool) -> None:
        if self._view_counts is None:
            from crnn.scoring.view_counts import ViewCounts

            self._view_counts = ViewCounts()
        self._view_counts.add(reading, right)

    def _is_among_the_worst(self, badness: float) -> bool:
        """Say whether the next miss, of this badness, would be kept."""
        if len(self._worst) < MISSES_KEPT:
            return True
        return (badness, -self._seen - 1) > self._worst[0][:2]

    def _keep(self, reading: Reading, badness: float) -> None:
        self._seen += 1
        # The heap's smallest is the first to go: the mildest, and of equals the latest.
        entry = (badness, -self._seen, reading)
        if len(self._worst) < MISSES_KEPT:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heappushpop(self._worst, entry)


def _badness(text: str, truth: str, distance: int) -> float:
    """Return the edit distance as a share of the longer of text and truth."""
    return distance / (max(len(text), len(truth)) or 1)


def _finite(
    rows: Sequence[int], logits: np.ndarray, problems: Dict[int, Problem]
) -> Tuple[Sequence[int], np.ndarray]:
    """Return the rows whose logits are finite, with their logits; the others get a problem."""
    every = np.isfinite(logits)
    # Of all at once it takes a twentieth of the time that it takes of each row.
    if every.all():
        return rows, logits
    finite = every.all(axis=(0, 2))
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
        decoding=scorer.decoding,
        by_width=scorer.by_width(stages),
        views=scorer.views,
    )
