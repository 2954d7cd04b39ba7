"""Sides that are what runs have left: readings, raw outputs, results that name their misses."""

from __future__ import annotations

import collections
import contextlib
import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any, Container, Counter, Dict, Iterator, Optional, Set, Tuple

from crnn.errors import InputError, UsageError
from crnn.filekind import is_pack
from crnn.files import open_input, read_bounded
from crnn.jobs.compare import SameLabels, other_lengths
from crnn.jobs.comparison.models import WordData
from crnn.jobs.comparison.words import Word
from crnn.jobs.raw_outputs import Labels, ResultFolder
from crnn.jobs.runs import open_evaluation
from crnn.metrics import wilson
from crnn.reports.result_json import (
    COLUMNS,
    SEPARATORS,
    SIMULATED,
    EarlierRun,
    entries,
    entry_of,
    is_newer,
    read_run,
    require_schema,
)
from crnn.results import OUTPUTS, READINGS, RESULT, RUN, RunInfo, Side
from crnn.samples.source import holds_bins, open_source
from crnn.scoring.scorer import Scorer
from crnn.spec import ModelSpec

_NAMES_ALL = "Give runs over the same data; readings (--readings) name every word."


class Counts:
    """How many words a side has, and how many of those with a label it read right."""

    def __init__(self) -> None:
        self.words = self.correct = self.total = 0

    def add(self, text: str, label: Optional[str], spec: ModelSpec) -> None:
        """Count a word by the folding of a spec."""
        self.words += 1
        if label is not None:
            self.total += 1
            self.correct += text == spec.fold(label)

    def of(self, side: Side) -> Side:
        """Return a side with these counts in the place of its own."""
        return dataclasses.replace(
            side,
            words=self.words,
            correct=self.correct,
            total=self.total,
            interval95=wilson(self.correct, self.total),
        )

    def side(self, name: str, kind: str, *, simulated: bool, run: Optional[RunInfo]) -> Side:
        """Return a side of these counts."""
        interval = wilson(self.correct, self.total)
        return Side(name, kind, self.words, self.correct, self.total, interval, {}, simulated, run)


def word_of(entry: Any, where: str) -> Word:
    """Return a reading as a word.

    Args:
        entry: What a line held.
        where: The file and line, for errors.

    Returns:
        The word.

    Raises:
        InputError: It is not a reading.
    """
    if not isinstance(entry, dict):
        raise InputError(f"{where}: not a reading (an object with key and text)")
    key, text, label = entry.get("key"), entry.get("text"), entry.get("label")
    sound = isinstance(key, str) and isinstance(text, str)
    if not sound or not isinstance(label, (str, type(None))):
        raise InputError(f"{where}: not a reading; expected its key, text and label as strings")
    return Word(str(key), label, str(text))


class ReadingsSide:
    """The readings that ``--readings`` has written: texts and labels, no logits.

    Args:
        name: As the user gave it.
        path: JSON Lines, or CSV by the name's ending.
    """

    kind = READINGS
    spec: Optional[ModelSpec] = None

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        self.simulated = False
        self.lacks = "holds texts alone: its log-probabilities are not compared"

    def words(self) -> Iterator[Word]:
        """Yield the words in the file's order.

        Raises:
            InputError: A line is not a reading.
        """
        separator = SEPARATORS.get(self._path.suffix.lower())
        if separator is None:
            return self._lines()
        return self._table(separator)

    def _lines(self) -> Iterator[Word]:
        for entry, where in entries(self._path):
            yield self._word(entry, where)

    def _table(self, separator: str) -> Iterator[Word]:
        with open_input(self._path) as file:
            text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
            rows = csv.DictReader(text, delimiter=separator, strict=True)
            try:
                if tuple((rows.fieldnames or ())[: len(COLUMNS)]) != COLUMNS:
                    raise InputError(
                        f"{self._path}: its first line is not {separator.join(COLUMNS)}, as"
                        " --readings writes it"
                    )
                for row in rows:
                    entry: Dict[str, Any] = dict(row)
                    entry[SIMULATED] = row.get(SIMULATED) == "true"
                    yield self._word(entry, f"{self._path}, line {rows.line_num}")
            except csv.Error as error:
                raise InputError(f"{self._path}, line {rows.line_num}: {error}") from error

    def require_once(self, keys: Container[str]) -> None:
        """Refuse keys that stand twice in the file.

        Args:
            keys: Those that are looked for.

        Raises:
            InputError: One of them stands twice.
        """
        seen: Set[str] = set()
        for word in self.words():
            if word.key not in keys:
                continue
            if word.key in seen:
                raise InputError(f"{self.name}: the key {word.key!r} stands twice")
            seen.add(word.key)

    def _word(self, entry: Any, where: str) -> Word:
        word = word_of(entry, where)
        self.simulated = self.simulated or entry.get(SIMULATED) is True
        return word


class RunSide:
    """The folder of ``crnn evaluate --run``, once all of its words are read.

    Args:
        name: As the user gave it.
        path: The folder.
    """

    kind = RUN

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._run = open_evaluation(path)
        missing = len(self._run.unfinished())
        if missing:
            raise InputError(
                f"{name} is not complete: {missing} of its {len(self._run.shards)} shards are"
                " missing",
                hint="Go on with it first: crnn evaluate … --run DIR --resume",
            )
        kept = self._run.configuration
        self.spec: Optional[ModelSpec] = ModelSpec.from_dict(kept.get("spec"), where=str(path))
        about = kept.get("run")
        self.simulated = isinstance(about, dict) and about.get(SIMULATED) is True
        self.lacks = "keeps texts alone: its log-probabilities are not compared"

    def words(self) -> Iterator[Word]:
        """Yield the words in the data's order.

        Raises:
            InputError: A shard is damaged.
        """
        for shard in self._run.shards:
            where = str(self._run.whole(shard))
            for lines in self._run.records(shard):
                for line in lines[:-1]:
                    yield word_of(entry_of(line, where), where)


class ResultSide:
    """A result JSON, which names its misses alone: what it does not name, it read right.

    Args:
        name: As the user gave it.
        path: The JSON of ``crnn evaluate`` or ``score``.
    """

    kind = RESULT

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        data = result_of(path)
        self._run: EarlierRun = read_run(path)
        self.simulated = self._run.simulated
        self._unseen = set(self._run.texts)
        self._labels = SameLabels(every=True)
        self._lengths: Counter[int] = collections.Counter()
        self._path = path
        model = data.get("model")
        self.spec: Optional[ModelSpec] = None
        if isinstance(model, dict):
            self.spec = ModelSpec.from_dict(model.get("spec"), where=str(path))
        self.lacks = "names its misses alone: its log-probabilities are not compared"

    def word(self, key: str, label: Optional[str]) -> Optional[Word]:
        """Return what it read of a word; None of one without a label, which it does not name."""
        self._unseen.discard(key)
        text = self._run.texts.get(key)
        self._labels.add(key, label, self._run.labels.get(key))
        if label is not None:
            truth = (self.spec or ModelSpec.default()).fold(label)
            self._lengths[len(truth)] += 1
            if text is None:
                text = truth
        if text is None:
            return None
        return Word(key, label, text)

    def require_same(self, labelled: int) -> None:
        """Refuse other data than its own.

        Args:
            labelled: How many words with a label the other sides have.

        Raises:
            InputError: It names words that were not among them, or has another number.
        """
        if self._unseen:
            raise InputError(
                f"{self._path}: {len(self._unseen)} of the words that it names are not in the other"
                f" sides (one: {min(self._unseen)})"
            )
        if self._run.total != labelled:
            raise InputError(
                f"{self._path} is over {self._run.total} labels, the other sides have {labelled}",
                hint=_NAMES_ALL,
            )
        problem = self._labels.problem() or other_lengths(self._run.lengths, self._lengths)
        if problem:
            raise InputError(
                f"{self._path} is over other words than the other sides: {problem}",
                hint=_NAMES_ALL,
            )


class OutputsSide:
    """A folder of raw outputs, a file a word, as ``--save-outputs`` and the tools write them.

    Args:
        name: As the user gave it.
        folder: The files.
        data: The data that they are of, whose labels and names count; a label file alone stands in
            the place of both.
        spec: By which they are read; None for what their size tells.
    """

    kind = OUTPUTS

    def __init__(
        self, name: str, folder: Path, data: Optional[WordData], spec: Optional[ModelSpec]
    ) -> None:
        self.name = name
        if data is None:
            raise UsageError(
                f"{name} is a folder of raw outputs: say which words they are of, with --data or"
                " --label"
            )
        labels, self._keys = _labels_of(data)
        self._results = ResultFolder(folder, data.label or data.path, spec, labels=labels)
        self.spec = self._results.spec
        self.simulated = self._results.simulated
        self.notes = [f"{name}: {note}" for note in self._results.notes]
        self._scorer = Scorer(self.spec)
        self._words = 0

    def words(self) -> Iterator[Word]:
        """Yield the words in the order of the labels."""
        with contextlib.closing(self._results.batches()) as batches:
            for batch, logits in batches:
                kept = {}
                if logits is not None:
                    for column, row in enumerate(batch.readable):
                        kept[batch.keys[row]] = logits[:, column]
                for reading in self._scorer.add(batch, logits):
                    key = self._keys.get(reading.key, reading.key)
                    self._words += 1
                    yield Word(key, reading.label, reading.text, kept.get(reading.key))

    def finish(self) -> Side:
        """Return what came of it."""
        for key, problem in self._results.extras():
            self._scorer.report(key, problem)
        metric = self._scorer.metric
        return Side(
            self.name,
            OUTPUTS,
            self._words,
            metric.correct,
            metric.total,
            wilson(metric.correct, metric.total),
            dict(self._scorer.skipped),
            self.simulated,
            self._results.info(),
        )


def _labels_of(data: WordData) -> Tuple[Optional[Labels], Dict[str, str]]:
    """Return the labels of the files of raw outputs, and the data's own name for each; None of a
    label file alone, which names its samples as the files are named.
    """
    if data.path == data.label:
        return None, {}
    if holds_bins(data.path) and not is_pack(data.path):
        if data.label is None:
            raise UsageError(f"{data.path} holds bins: give their label file too, with --label")
        return None, {}
    labels: Dict[str, Optional[str]] = {}
    keys: Dict[str, str] = {}
    source = open_source(data.path, ModelSpec.default(), label=data.label, options=data.options)
    with contextlib.closing(source):
        for key, label in source.every_label():
            stem = Path(key).stem
            if stem in labels:
                raise InputError(f"{data.path}: two words are called {stem}, as one file would be")
            labels[stem] = label
            keys[stem] = key
    return labels, keys


def result_of(path: Path) -> Dict[str, Any]:
    """Read a result JSON.

    Args:
        path: Its file.

    Returns:
        Its content.

    Raises:
        InputError: It is something else, or a newer kit's.
    """
    try:
        data = json.loads(read_bounded(path, "result").decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: neither a model nor a result or readings: {error}") from error
    schema = ""
    if isinstance(data, dict):
        schema = str(data.get("schema"))
    hint = "Sides are models, readings, raw outputs, and results of crnn evaluate and score."
    if is_newer(schema):
        hint = "A newer kit wrote it: compare with that one."
    require_schema(schema, path, hint=hint)
    found: Dict[str, Any] = data
    return found
