"""Sides of any kind over the same words: what they read differently, and by how much."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from crnn.errors import InputError, UsageError
from crnn.jobs.compare import Differences, SameLabels
from crnn.jobs.comparison.fingerprints import fingerprint_differences
from crnn.jobs.comparison.inputs import input_differences
from crnn.jobs.comparison.logits import NOT_FINITE, LogComparer, Margins
from crnn.jobs.comparison.models import Models, ModelSide, WordData, reading
from crnn.jobs.comparison.recorded import Counts, OutputsSide, ReadingsSide, ResultSide, RunSide
from crnn.jobs.comparison.sides import AnySide, How, open_sides
from crnn.jobs.comparison.words import Row, Word, joined
from crnn.jobs.evaluate import Progress
from crnn.machine import by_name, now
from crnn.reports.result_json import reading_line
from crnn.results import Comparison, Reading, RunInfo, Side, SideBySide
from crnn.samples.annotations import ListOptions
from crnn.spec import ModelSpec

ROWS = 256
"""Words that are compared at once."""
KEPT = 1000
"""The most words of each change that are kept by name."""
NAMED = 3


@dataclass(frozen=True)
class CompareRequest:
    """What to compare and what to check; the fields are the options of ``crnn compare``.

    ``sides`` are as the user gives them, the first is the reference. ``max_differ`` None stands for
    0, unless ``max_drop``, the largest loss of accuracy, is given alone. ``common`` takes the words
    that all sides have where they do not have the same. ``keep`` None keeps every word that
    differs. ``examples`` are the words whose images come with the outcome. ``models_only`` takes
    every side for a model. ``record`` is a folder that gets what each model has read, by
    `texts_file`; a single side will then do.
    """

    sides: Sequence[str]
    data: Optional[Path] = None
    label: Optional[Path] = None
    batch: int = 16
    device: str = ""
    threads: Optional[int] = None
    max_differ: Optional[int] = None
    max_drop: Optional[float] = None
    common: bool = False
    spec: Optional[str] = None
    columns: Optional[Tuple[str, str]] = None
    encoding: Optional[str] = None
    typed: Sequence[str] = ()
    keep: Optional[int] = KEPT
    examples: int = 0
    models_only: bool = False
    record: Optional[Path] = None


@dataclass(frozen=True)
class Example:
    """A word and what each model took of it: images (C, H, W) by the number of the side, from 0.
    ``differs`` says whether the sides read it differently.
    """

    key: str
    images: Mapping[int, np.ndarray]
    differs: bool
    label: Optional[str] = None


@dataclass(frozen=True)
class CompareOutcome:
    """The comparison, and the words whose images were asked for, those that differ first."""

    result: SideBySide
    examples: Sequence[Example]


def compare(request: CompareRequest, progress: Progress) -> CompareOutcome:
    """Compare sides word by word; the data are read once for all models.

    Args:
        request: What to compare.
        progress: Shows how far it is: called with a label and the number of words.

    Returns:
        The comparison; failed checks are in it.

    Raises:
        InputError: A side cannot be used, or sides are over other words.
        UsageError: There are not two sides, or a model has no data.
    """
    if len(request.sides) < 2 and request.record is None:
        raise UsageError("expected two sides or more, the reference first")
    how = How(
        _data(request),
        request.device,
        request.threads,
        request.spec,
        with_images=request.examples > 0,
        models_only=request.models_only,
    )
    sides = open_sides(request.sides, how)
    models = [side for side in sides if isinstance(side, ModelSide)]
    with contextlib.ExitStack() as stack:
        source = None
        if models:
            assert how.data is not None
            source = stack.enter_context(reading(models, how.data, request.batch))
        recorded: Dict[int, IO[bytes]] = {}
        if request.record is not None:
            for number, side in enumerate(sides):
                if isinstance(side, ModelSide):
                    path = texts_file(request.record, number)
                    recorded[number] = stack.enter_context(open(path, "wb"))
        table = _Table(sides, source, request, recorded)
        total = None
        if source is not None:
            total = len(source)
        with progress("comparing", total) as advance:
            for count in table.run():
                advance(count)
        return table.outcome()


def texts_file(folder: Path, number: int) -> Path:
    """Return where the readings of a side are kept.

    Args:
        folder: The ``record`` of a request.
        number: The side's, from 0.

    Returns:
        A file of JSON Lines.
    """
    return folder / f"{number}.jsonl"


def _data(request: CompareRequest) -> Optional[WordData]:
    options = ListOptions(None, request.columns, request.encoding)
    path = request.data or request.label
    if path is None:
        return None
    return WordData(path, request.label, options, request.threads)


class _Pair:
    """A side beside the reference."""

    def __init__(self, first: ModelSpec, second: ModelSpec, keep: Optional[int]) -> None:
        self.differences = Differences(second.fold, first.fold, keep)
        self.logs = LogComparer(first, second)
        self.labels = SameLabels()

    def add(self, words: Sequence[Tuple[Word, Word]]) -> None:
        """Count some words that both have."""
        keys: List[str] = []
        first: List[np.ndarray] = []
        second: List[np.ndarray] = []
        for one, other in words:
            if one.logits is not None and other.logits is not None:
                keys.append(one.key)
                first.append(one.logits)
                second.append(other.logits)
        margins: Iterator[Margins] = iter(self.logs.add(keys, first, second))
        for one, other in words:
            pair: Margins = None
            if one.logits is not None and other.logits is not None:
                pair = next(margins)
            label = one.label
            if label is None:
                label = other.label
            self.labels.add(one.key, one.label, other.label)
            self.differences.add(one.key, label, other.text, one.text, pair)


class _Table:
    """The words of all sides, counted as they come."""

    def __init__(
        self,
        sides: Sequence[AnySide],
        models: Optional[Models],
        request: CompareRequest,
        recorded: Mapping[int, IO[bytes]],
    ) -> None:
        self._sides = sides
        self._recorded = recorded
        self._models = models
        self._request = request
        known = [side.spec for side in sides if side.spec is not None]
        default = next(iter(known), ModelSpec.default())
        self._specs = [side.spec or default for side in sides]
        self._pairs: List[_Pair] = []
        for spec in self._specs[1:]:
            self._pairs.append(_Pair(self._specs[0], spec, request.keep))
        self._counts = [Counts() for _ in sides]
        self._labelled = 0
        self._alone: Dict[int, List[str]] = {}
        self._missing = [0] * len(sides)
        self._rows = 0
        self._first: List[Example] = []
        self._differing: List[Example] = []

    def run(self) -> Iterator[int]:
        """Count everything; yields how many words were counted since the last time."""
        block: List[Row] = []
        for row in self._joined():
            block.append(row)
            if len(block) == ROWS:
                self._add(block)
                yield len(block)
                block = []
        self._add(block)
        yield len(block)

    def outcome(self) -> CompareOutcome:
        """Return what came of it."""
        self._require_same()
        notes: List[str] = self._label_notes()
        sides: List[Side] = []
        for number, side in enumerate(self._sides):
            found = self._side(number, side, notes)
            if self._alone:
                found = self._counts[number].of(found)
            sides.append(found)
        comparisons: List[Comparison] = []
        for number, pair in enumerate(self._pairs, 1):
            comparisons.append(
                pair.differences.finish(
                    simulated=sides[0].simulated,
                    file=sides[0].name,
                    logits=pair.logs.finish(),
                    left_out=pair.logs.left_out,
                    alone=(self._missing[number], self._missing[0]),
                )
            )
        runs: List[Tuple[str, RunInfo]] = []
        for one in sides:
            if one.run is not None:
                runs.append((one.name, one.run))
        result = SideBySide(
            sides=sides,
            comparisons=comparisons,
            inputs=[*input_differences(runs), *fingerprint_differences(runs, self._request.data)],
            notes=notes,
            failures=list(_failures(sides, comparisons, self._request)),
            checks=_checks(self._request),
            data=_name(self._request.data),
            date=now(),
            command=by_name(self._request.typed),
        )
        wanted = [*self._differing, *self._first]
        return CompareOutcome(result, wanted[: self._request.examples])

    def _joined(self) -> Iterator[Row]:
        """Yield the words of all sides; those of results, which name misses alone, by the label."""
        streams: List[Iterator[Word]] = []
        places: List[int] = []
        for number, side in enumerate(self._sides):
            if isinstance(side, ResultSide):
                continue
            places.append(number)
            if isinstance(side, ModelSide):
                assert self._models is not None
                streams.append(self._models.words(side))
            else:
                streams.append(side.words())
        if not streams:
            raise UsageError(
                "results name their misses alone: compare them with a model or with readings",
                hint="crnn evaluate --readings FILE.jsonl writes every word.",
            )
        names = [self._sides[place].name for place in places]
        for found in joined(streams, names):
            row: Row = [None] * len(self._sides)
            for place, word in zip(places, found):
                row[place] = word
            yield self._with_results(row)

    def _with_results(self, row: Row) -> Row:
        given = next(word for word in row if word is not None)
        labels = [word.label for word in row if word is not None and word.label is not None]
        label = next(iter(labels), None)
        for number, side in enumerate(self._sides):
            if isinstance(side, ResultSide):
                row[number] = side.word(given.key, label)
        return row

    def _add(self, block: Sequence[Row]) -> None:
        whole: List[List[Word]] = []
        for row in block:
            words = [word for word in row if word is not None]
            if len(words) < len(row):
                self._note_alone(row, words[0].key)
                continue
            self._count(words)
            whole.append(words)
        for number, pair in enumerate(self._pairs, 1):
            pair.add([(words[0], words[number]) for words in whole])

    def _count(self, words: Sequence[Word]) -> None:
        labels = [word.label for word in words if word.label is not None]
        label = next(iter(labels), None)
        self._labelled += label is not None
        for number, word in enumerate(words):
            self._counts[number].add(word.text, label, self._specs[number])
            if number in self._recorded:
                line = reading_line(Reading(word.key, word.text, None, label))
                self._recorded[number].write(line.encode("utf-8"))
        self._keep_example(words)

    def _keep_example(self, words: Sequence[Word]) -> None:
        differs = len({word.text for word in words}) > 1
        kept = self._first
        if differs:
            kept = self._differing
        if len(kept) >= self._request.examples:
            return
        images: Dict[int, np.ndarray] = {}
        for number, word in enumerate(words):
            if word.image is not None:
                images[number] = word.image
        labels = [word.label for word in words if word.label is not None]
        kept.append(Example(words[0].key, images, differs, next(iter(labels), None)))

    def _note_alone(self, row: Row, key: str) -> None:
        for number, word in enumerate(row):
            if word is None:
                self._missing[number] += 1
                named = self._alone.setdefault(number, [])
                if len(named) < NAMED:
                    named.append(key)

    def _require_same(self) -> None:
        """Refuse sides over other words."""
        self._require_once()
        if self._request.common and not self._counts[0].words:
            raise InputError("there is not one word that all sides have")
        for side in self._sides:
            # Even where only common words count: what a result does not name it may never have
            # seen.
            if isinstance(side, ResultSide) and (self._request.common or not self._alone):
                side.require_same(self._labelled)
        if self._request.common or not self._alone:
            return
        lines: List[str] = []
        for number, named in self._alone.items():
            count = self._missing[number]
            more = ""
            if count > len(named):
                more = " …"
            lines.append(
                f"{self._sides[number].name} lacks {count} of the others' words:"
                f" {', '.join(named)}{more}"
            )
        raise InputError(
            f"the sides are over other words: {self._counts[0].words} stand in all of them",
            lines=lines,
            hint="Give runs over the same data, or compare what they share: --common",
        )

    def _label_notes(self) -> List[str]:
        """Refuse sides whose labels say that they are over other data; return what else is to be
        said of them.
        """
        notes: List[str] = []
        first = self._sides[0].name
        for side, pair in zip(self._sides[1:], self._pairs):
            problem = pair.labels.problem()
            if problem:
                raise InputError(
                    f"{first} and {side.name} are over other words: {problem}",
                    hint="The words have the same names; give runs over the same data.",
                )
            remark = pair.labels.remark()
            if remark:
                notes.append(f"{side.name}: {remark}; all are judged by the labels of {first}")
        return notes

    def _require_once(self) -> None:
        """Refuse a file of readings in which a key stands twice: the second one has nothing beside
        it, and looks as if the others lacked it.
        """
        alone = frozenset(key for named in self._alone.values() for key in named)
        for side in self._sides:
            if alone and isinstance(side, ReadingsSide):
                side.require_once(alone)

    def _side(self, number: int, side: AnySide, notes: List[str]) -> Side:
        if isinstance(side, ModelSide):
            assert self._models is not None
            found, said = self._models.finish(side)
            notes.extend(said)
            assert found.evaluation is not None
            evaluation = dataclasses.replace(
                found.evaluation,
                data=_name(self._request.data),
                date=now(),
                command=by_name(self._request.typed),
            )
            return dataclasses.replace(found, evaluation=evaluation)
        if isinstance(side, OutputsSide):
            notes.extend(side.notes)
            return side.finish()
        return self._left(number, side, notes)

    def _left(
        self, number: int, side: Union[ReadingsSide, ResultSide, RunSide], notes: List[str]
    ) -> Side:
        notes.append(f"{side.name} {side.lacks}")
        return self._counts[number].side(side.name, side.kind, simulated=side.simulated, run=None)


def _name(data: Optional[Path]) -> str:
    if data is None:
        return ""
    return data.resolve().name


def _checks(request: CompareRequest) -> Dict[str, float]:
    checks: Dict[str, float] = {}
    most = _most(request)
    if most is not None:
        checks["max_differ"] = most
    if request.max_drop is not None:
        checks["max_drop"] = request.max_drop
    return checks


def _most(request: CompareRequest) -> Optional[int]:
    """Return how many words may differ; None where only the accuracy counts."""
    if request.max_differ is None and request.max_drop is None:
        return 0
    return request.max_differ


def _failures(
    sides: Sequence[Side], comparisons: Sequence[Comparison], request: CompareRequest
) -> Iterator[str]:
    most = _most(request)
    for side, comparison in zip(sides[1:], comparisons):
        broken = comparison.left_out.get(NOT_FINITE, 0)
        if broken:
            yield (
                f"{sides[0].name} or {side.name} gave outputs that are not finite for {broken} of"
                f" {comparison.words} words, which says nothing of their text"
            )
        if most is not None and comparison.differ > most:
            yield (
                f"{side.name} reads {comparison.differ} of {comparison.words} words otherwise than"
                f" {sides[0].name}; --max-differ allows {most}"
            )
        if request.max_drop is None:
            continue
        if not comparison.test.total:
            raise InputError("--max-drop needs labels, and none of these words has one")
        if -comparison.test.difference > request.max_drop:
            yield (
                f"{side.name} loses {-comparison.test.difference:.4f} of accuracy against"
                f" {sides[0].name}; --max-drop allows {request.max_drop}"
            )
