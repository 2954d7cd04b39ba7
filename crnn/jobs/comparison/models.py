"""Sides that are models: runners over one reading of the data, their words in data order."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Deque, Dict, Generator, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from crnn.batch import Batch
from crnn.decoding.decoder import Decoder, DecodingOptions
from crnn.jobs.comparison.words import Word
from crnn.jobs.protocol import CountingProtocol
from crnn.jobs.views import ViewJob
from crnn.results import MODEL, Evaluation, Side
from crnn.runners.base import Runner, batch_note
from crnn.samples.annotations import ListOptions
from crnn.samples.source import LabelledSource, WordSource, holds_bins, open_labelled, open_source
from crnn.scoring.scorer import Scorer, evaluation_of
from crnn.scoring.stream import Shared, Stages, run_shared
from crnn.spec import ModelSpec

_NORMALISES = ("divisor", "mean", "std", "input_dtype")
_PICTURE = ("height", "width", "color", "resizer", "orient", "background", "widths", "views")
"""What of a spec says which pixels a model takes."""


@dataclass(frozen=True)
class WordData:
    """The data that models read: where they are, their label file, and how it is read."""

    path: Path
    label: Optional[Path] = None
    options: ListOptions = field(default_factory=ListOptions)
    workers: Optional[int] = None


class _Kept(NamedTuple):
    logits: Optional[np.ndarray]
    image: Optional[np.ndarray]


class ModelSide:
    """A model that reads the words.

    Args:
        name: As the user gave it.
        runner: Entered by `opened`.
        data: What it reads.
        with_images: Whether each word brings what the model took.
    """

    kind = MODEL

    def __init__(self, name: str, runner: Runner, data: WordData, *, with_images: bool) -> None:
        self.name = name
        self.runner = runner
        self.views = ViewJob(data.path, None, runner.spec, characters=False)
        decoder = None
        if self.views.several:
            decoder = Decoder(runner.spec, DecodingOptions(probability=True))
        self.scorer = Scorer(runner.spec, decoder=decoder)
        self.stages = Stages()
        self.waiting: Deque[Word] = collections.deque()
        """Words in data order that nobody has taken yet."""
        self._with_images = with_images
        self._kept: Dict[str, _Kept] = {}
        self._words = 0

    @property
    def spec(self) -> ModelSpec:
        """The spec that the model is read by."""
        return self.runner.spec

    def take(self, batch: Batch, logits: Optional[np.ndarray]) -> None:
        """Read a batch.

        Args:
            batch: The samples, n of them readable.
            logits: Theirs, (T, n, K); None where there are none.
        """
        if logits is not None and not self.views.several:
            self._keep(batch, logits)
        begin = time.perf_counter()
        readings = self.scorer.add(batch, logits)
        self.stages.add("score", time.perf_counter() - begin)
        for reading in readings:
            kept = self._kept.pop(reading.key, _Kept(None, None))
            self.waiting.append(Word(reading.key, reading.label, reading.text, *kept))
        self._words += len(readings)

    def finish(self, source: WordSource, batch: int) -> Side:
        """Return what came of it.

        Args:
            source: Has been read to its end.
            batch: Images a batch.

        Returns:
            The side, with its evaluation.
        """
        for key, problem in source.extras():
            self.scorer.report(key, problem)
        evaluation = self._evaluation(batch)
        return Side(
            name=self.name,
            kind=MODEL,
            words=self._words,
            correct=evaluation.correct,
            total=evaluation.total,
            interval95=evaluation.interval95,
            skipped=evaluation.skipped,
            simulated=self.runner.simulated,
            run=evaluation.run,
            evaluation=evaluation,
        )

    def notes(self, batch: int, words: int) -> List[str]:
        """Say what should be known of how it read.

        Args:
            batch: Images a batch.
            words: How many words there were.

        Returns:
            A line each.
        """
        found = [*batch_note(batch, self.runner.batch_sizes), *self.runner.notes]
        found.extend(self.views.notes(words))
        if self.views.several:
            found.append("several views of a word: its log-probabilities are not compared")
        return [f"{self.name}: {note}" for note in found]

    def _evaluation(self, batch: int) -> Evaluation:
        milliseconds = 0.0
        for spent in self.stages.summary().values():
            milliseconds += spent["sum"]
        return evaluation_of(
            self.scorer,
            self.runner.info(),
            stages=self.stages,
            batch=batch,
            seconds=milliseconds / 1000,
            protocol={"name": None, **dataclasses.asdict(CountingProtocol())},
        )

    def _keep(self, batch: Batch, logits: np.ndarray) -> None:
        """Remember the logits, and the images, of a batch's rows until their readings come."""
        for column, row in enumerate(batch.readable):
            image = None
            if self._with_images:
                image = batch.images[column].copy()
            self._kept[batch.keys[row]] = _Kept(logits[:, column], image)


class _Group:
    """Models that take the same pixels, and the source that gives these."""

    def __init__(self, sides: Sequence[ModelSide], source: WordSource, batch: int) -> None:
        self.sides = sides
        self.source = source
        runners = [side.runner for side in sides]
        self.results = run_shared(runners, source, batch, [side.stages for side in sides])

    def words(self, side: ModelSide) -> Iterator[Word]:
        """Yield the words of a side, reading on where none waits."""
        while self._there(side):
            yield side.waiting.popleft()

    def _there(self, side: ModelSide) -> bool:
        while not side.waiting:
            found = next(self.results, None)
            if found is None:
                return False
            batch, outputs = found
            for one, logits in zip(self.sides, outputs):
                one.take(batch, logits)
        return True


class Models:
    """The models of a comparison while they read: each one's words, and in the end what came of it.

    Args:
        groups: The models by the pixels that they take.
        batch: Images a batch.
    """

    def __init__(self, groups: Sequence[_Group], batch: int) -> None:
        self._batch = batch
        self._group: Dict[str, _Group] = {}
        for group in groups:
            for side in group.sides:
                self._group[side.name] = group

    def __len__(self) -> int:
        for group in self._group.values():
            return len(group.source)
        return 0

    def words(self, side: ModelSide) -> Iterator[Word]:
        """Yield the words of a side, in data order."""
        return self._group[side.name].words(side)

    def finish(self, side: ModelSide) -> Tuple[Side, List[str]]:
        """Return what came of a side, and what should be known of it."""
        source = self._group[side.name].source
        notes = side.notes(self._batch, len(source))
        return side.finish(source, self._batch), [*source.notes, *notes]


@contextlib.contextmanager
def reading(
    sides: Sequence[ModelSide], data: WordData, batch: int
) -> Generator[Models, None, None]:
    """Enter the models' runners and open the data, once for all.

    Args:
        sides: The models, each of another name.
        data: What they read.
        batch: Images a batch.

    Yields:
        The models, ready to be asked for their words.
    """
    with contextlib.ExitStack() as stack:
        for side in sides:
            stack.enter_context(side.runner)
        by_pixels = _by_pixels(sides)
        sources = _sources(by_pixels, data, stack)
        groups = []
        for members, source in zip(by_pixels, sources):
            group = _Group(members, source, batch)
            stack.enter_context(contextlib.closing(group.results))
            groups.append(group)
        yield Models(groups, batch)


def _by_pixels(sides: Sequence[ModelSide]) -> List[List[ModelSide]]:
    groups: Dict[Tuple[object, ...], List[ModelSide]] = {}
    for side in sides:
        pixels = tuple(getattr(side.spec, name) for name in _PICTURE)
        groups.setdefault(pixels, []).append(side)
    return list(groups.values())


def _spec_of(members: Sequence[ModelSide]) -> ModelSpec:
    """Return by which spec images are made for some models: where these normalise differently, they
    get pixels, and each one normalises by its own.
    """
    first = members[0].spec
    ways = {tuple(getattr(side.spec, name) for name in _NORMALISES) for side in members}
    if len(ways) > 1:
        return dataclasses.replace(first, input_dtype="uint8")
    return first


def _sources(
    groups: Sequence[Sequence[ModelSide]], data: WordData, stack: contextlib.ExitStack
) -> List[WordSource]:
    if len(groups) == 1 or holds_bins(data.path):
        return [_own_source(members, data) for members in groups]
    samples = open_labelled(data.path, data.label, data.options)
    stack.enter_context(contextlib.closing(samples))
    return _shared_sources(groups, samples, data)


def _own_source(members: Sequence[ModelSide], data: WordData) -> WordSource:
    spec = members[0].spec
    if data.path.exists() and not holds_bins(data.path):
        spec = _spec_of(members)
    views = members[0].views
    return open_source(
        data.path,
        spec,
        label=data.label,
        workers=data.workers,
        options=data.options,
        views=views.maker,
        prepared=views.prepared,
    )


def _shared_sources(
    groups: Sequence[Sequence[ModelSide]], samples: LabelledSource, data: WordData
) -> List[WordSource]:
    from crnn.samples.shared import SharedImages

    shared = Shared(iter(samples), len(groups))
    sources: List[WordSource] = []
    for number, members in enumerate(groups):
        taken = shared.of(number)
        maker = members[0].views.maker
        sources.append(SharedImages(samples, taken, _spec_of(members), data.workers, maker))
    return sources
