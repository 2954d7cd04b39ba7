"""How fast a model is, where the time goes, and at which batch: stage by stage, and with everything
overlapping.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from crnn import ctc
from crnn.batch import Batch, Sample, label_problems, problem_lines
from crnn.errors import InputError, UsageError
from crnn.jobs.others import Others
from crnn.jobs.unlabelled import list_of
from crnn.machine import by_name, describe, now
from crnn.python37 import Protocol
from crnn.results import BatchTiming, Benchmark, ModelTiming, PairedRatio, Suggestion
from crnn.runners.base import COMPUTED, COPIED_IN, Runner, batch_note
from crnn.runners.open import by_width_rule, open_runner, read_as_asked
from crnn.samples.annotations import ListOptions
from crnn.samples.source import BatchSource, ImageSource, open_source
from crnn.samples.source import WordSource as DataSource
from crnn.scoring.stream import Stages, run_batches
from crnn.spec import ModelSpec
from crnn.views import SETS, View, available, chosen, left_out_note

READ, DECODE, RESIZE, COPIED_OUT, CTC = "read", "decode", "resize", "device to host", "ctc"
PRELOADED = 8
"""Different batches at hand for the stream: enough that processor caches do not hold them."""
MOST_VALUES = 1 << 28
"""Values of a batch's images: one GiB as float32."""

Advance = Callable[[int], None]


@dataclass(frozen=True)
class BenchRequest:
    """What to measure; the fields are the options of ``crnn bench``."""

    model: Path
    data: Path
    typed: Sequence[str] = ()
    label: Optional[Path] = None
    batch: Tuple[int, ...] = (1, 4, 16, 64)
    loop: int = 50
    warm_up: int = 3
    device: str = ""
    threads: Optional[int] = None
    versus: Optional[Path] = None
    versus_device: str = ""
    budget: Optional[float] = None
    spec: Optional[str] = None
    output: Optional[str] = None
    versus_spec: Optional[str] = None
    output_axes: Optional[str] = None
    columns: Optional[Tuple[str, str]] = None
    encoding: Optional[str] = None
    nearest_width: bool = False
    width_rule: Optional[str] = None
    views: Optional[str] = None


def bench(request: BenchRequest, advance: Advance = lambda count: None) -> Benchmark:
    """Measure each batch size ``loop`` times, one model or two in turn.

    The sizes, and the models within each, take turns, so that what else the machine does falls on
    all alike.

    Args:
        request: What to measure.
        advance: Gets the number of rounds done.

    Returns:
        The timings.

    Raises:
        InputError: The data holds no usable image.
    """
    machine = describe()
    decoding: Mapping[str, str] = {}
    with contextlib.ExitStack() as stack:
        labelled = request.label is not None
        if not labelled:
            made = stack.enter_context(list_of(request.data))
            labelled = made is None
            request = dataclasses.replace(request, label=made)
        runners = [stack.enter_context(runner) for runner in _runners(request)]
        for runner in runners:
            _require_bearable(request.batch, runner.spec)
        subjects: List[_Subject] = []
        for runner, words in zip(runners, _open_words(request, runners)):
            notes = list(_views_left_out(request, runner.spec, words))
            if labelled:
                notes.extend(_label_notes(request, runner.spec))
            subjects.append(_Subject(runner, words, notes))
        _measure(subjects, request, advance)
        if subjects[0].decodes:
            decoding = _decoders()
        runs = tuple(subject.result(request) for subject in subjects)
    ratios: Tuple[PairedRatio, ...] = ()
    if len(subjects) == 2:
        ratios = tuple(_ratio(size, *subjects) for size in request.batch)
    suggestion = None
    if request.budget is not None:
        suggestion = suggest(runs[0].batches, request.budget)
    return Benchmark(
        data=request.data.name,
        loop=request.loop,
        warm_up=request.warm_up,
        machine={**machine, **decoding},
        runs=runs,
        ratios=ratios,
        suggestion=suggestion,
        date=now(),
        command=by_name(request.typed),
    )


def _decoders() -> Mapping[str, str]:
    from crnn import image_decoders

    told = [f"{kind} by {used.decoder}" for kind, used in image_decoders.used().items()]
    return {"decoders": ", ".join(told)}


def _require_bearable(sizes: Sequence[int], spec: ModelSpec) -> None:
    """Refuse batches that no memory holds: the data go round, so any could be filled."""
    channels, height, _ = spec.image_shape
    values = channels * height * max(spec.read_widths)
    most = MOST_VALUES // values
    if max(sizes) > most:
        raise UsageError(
            f"--batch {max(sizes)}: {PRELOADED} batches are held at a time; expected at most"
            f" {most} of images of {values} values",
            hint="Give smaller sizes with --batch.",
        )


def _runners(request: BenchRequest) -> Iterator[Runner]:
    runner = open_runner(request.model, device=request.device, threads=request.threads)
    read_as_asked(runner, request.output, request.spec, request.output_axes)
    runner = _by_rule(runner, request)
    if request.nearest_width:
        runner.take_nearest()
    yield runner
    if request.versus is not None:
        other = open_runner(request.versus, device=request.versus_device, threads=request.threads)
        read_as_asked(other, None, request.versus_spec, None)
        yield _by_rule(other, request)


def _by_rule(runner: Runner, request: BenchRequest) -> Runner:
    # Of two models one may have a single width, which "aspect" would refuse.
    if request.width_rule == "off":
        runner.read_by(by_width_rule(runner.spec, "off", request.model))
    return runner


def _measure(subjects: Sequence[_Subject], request: BenchRequest, advance: Advance) -> None:
    """Measure what is measured in turn, so that it falls on all alike what others do meanwhile."""
    for subject in subjects:
        subject.times = {size: _Times() for size in request.batch}
        for size in request.batch:
            for _ in range(request.warm_up):
                subject.serial(size)
    others = Others()
    for turn in range(request.loop):
        for size in request.batch:
            # Who goes first alternates: a second run may find warmer caches.
            order = list(subjects)
            if turn % 2:
                order.reverse()
            for subject in order:
                subject.times[size].add(subject.serial(size))
        advance(1)
    for subject in subjects:
        subject.others = others.in_the_way(subject.runner.info().threads)


def suggest(batches: Sequence[BatchTiming], budget: float) -> Suggestion:
    """Choose a batch size.

    Args:
        batches: The timing of each size.
        budget: Milliseconds.

    Returns:
        The fastest batch whose p99 latency is within the budget; None where none is.
    """
    within = [timing for timing in batches if timing.latency["p99"] <= budget]
    if not within:
        return Suggestion(budget, None)
    best = max(within, key=lambda timing: timing.throughput["transfers"])
    return Suggestion(budget, best.batch)


class _Words(BatchSource, Protocol):
    """A data set's words, over and over: `batches` gives full ones without end."""

    views: Sequence[View]
    """Those of a word."""

    def fill(self, size: int, lap: Callable[[str], None]) -> np.ndarray:
        """Return a batch of images, made in this thread; ``lap`` is told of each stage that
        ends.
        """


class _FirstBatches:
    """The first ``count`` batches of words without end."""

    def __init__(self, words: _Words, count: int) -> None:
        self._words = words
        self._count = count
        self._endless: Optional[Iterator[Batch]] = None

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        self._endless = self._words.batches(size, keep=keep)
        return itertools.islice(self._endless, self._count)

    def close(self) -> None:
        close = getattr(self._endless, "close", None)
        if close is not None:
            close()
        self._words.close()


class _Images:
    """Encoded images: read, decoded, resized."""

    def __init__(
        self, source: ImageSource, spec: ModelSpec, data: Path, views: Sequence[View]
    ) -> None:
        from crnn.samples.views import PictureViews

        self.views = views
        self._maker = PictureViews(spec, views)
        self._source = source
        self._spec = spec
        self._dtype = source.dtype
        self._require_one(data)
        self._serial = self._endless()
        self._waiting: Dict[int, List[Tuple[Any, View]]] = {}
        """Decoded pictures, each with a view, by the width that it is read at."""

    def fill(self, size: int, lap: Callable[[str], None]) -> np.ndarray:
        loaded = self._load(size, lap)
        images = np.stack([self._maker.made(picture, view)[0] for picture, view in loaded])
        if self._dtype != "uint8":
            images = self._spec.normalise(images)
        lap(RESIZE)
        return images

    def _load(self, size: int, lap: Callable[[str], None]) -> List[Tuple[Any, View]]:
        """Return as many decoded pictures of one width, each with a view; what was loaded on the
        way to them waits for later batches, so that each width has its share of the batches.
        """
        missing = size
        while True:
            group = list(itertools.islice(self._serial, missing))
            lap(READ)
            for picture in self._decoded(group):
                for view in self.views:
                    width = self._maker.width(picture, view)
                    self._waiting.setdefault(width, []).append((picture, view))
            lap(DECODE)
            width = max(self._waiting, key=lambda each: len(self._waiting[each]), default=0)
            waiting = self._waiting.get(width, [])
            missing = size - len(waiting)
            if missing <= 0:
                self._waiting[width] = waiting[size:]
                return waiting[:size]

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        from crnn.samples.batches import image_batches

        maker = None
        if len(self.views) > 1:
            maker = self._maker
        return image_batches(
            self._endless(),
            self._spec,
            size,
            dtype=self._dtype,
            keep=keep,
            workers=self._source.workers,
            views=maker,
        )

    def close(self) -> None:
        """Leave the data open: the next round goes on with it."""

    def _decoded(self, group: Sequence[Sample]) -> Iterator[Any]:
        from crnn.image import ImageError, spec_picture

        for sample in group:
            if sample.image is not None:
                with contextlib.suppress(ImageError):
                    yield spec_picture(sample.image, self._spec)[0]

    def _endless(self) -> Iterator[Sample]:
        return itertools.chain.from_iterable(self._source.samples for _ in itertools.count())

    def _require_one(self, data: Path) -> None:
        from crnn.image import ImageError, decode

        for sample in self._source.samples:
            if sample.image is not None:
                with contextlib.suppress(ImageError):
                    decode(sample.image, self._spec)
                    return
        raise InputError(
            f"{data} holds no image that can be decoded, so there is nothing to measure with"
        )


class _Bins:
    """Bins: read."""

    views: Sequence[View] = SETS[1]

    def __init__(self, folder: DataSource) -> None:
        self._folder = folder
        self._serial: Dict[int, Iterator[Batch]] = {}

    def fill(self, size: int, lap: Callable[[str], None]) -> np.ndarray:
        if size not in self._serial:
            self._serial[size] = self.batches(size, keep=1)
        images = next(self._serial[size]).images
        lap(READ)
        return images

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        while True:
            full = 0
            for batch in self._folder.batches(size, keep=keep):
                if len(batch.images) == size:
                    full += 1
                    yield batch
            if not full:
                raise InputError(
                    f"the data holds fewer than {size} usable bins, so a batch of {size} cannot be"
                    " filled",
                    hint="Give smaller sizes with --batch, or more bins.",
                )

    def close(self) -> None:
        """Do nothing: no bin stays open."""


def _source(request: BenchRequest, spec: ModelSpec) -> DataSource:
    return open_source(
        request.data,
        spec,
        label=request.label,
        workers=request.threads,
        options=ListOptions(None, request.columns, request.encoding),
    )


def _label_notes(request: BenchRequest, spec: ModelSpec) -> Sequence[str]:
    """Return what is wrong with the data's labels for a model, and how their list was read."""
    with contextlib.closing(_source(request, spec)) as source:
        found = label_problems(source.every_label(), spec)
    return [*source.notes, *problem_lines(found.counts, found.named)]


def _open_words(request: BenchRequest, runners: Sequence[Runner]) -> List[_Words]:
    source = _source(request, runners[0].spec)
    if isinstance(source, ImageSource):
        # A process can open an LMDB once only.
        return [
            _Images(source, runner.spec, request.data, _views(request, runner.spec))
            for runner in runners
        ]
    if request.views is not None and len(chosen(request.views, "")) > 1:
        raise UsageError(
            f"--views {request.views}: {request.data} holds bins, which are prepared already, and"
            " views need the pictures: measure with the LMDB or the images"
        )
    return [_Bins(_source(request, runner.spec)) for runner in runners]


def _views(request: BenchRequest, spec: ModelSpec) -> Sequence[View]:
    return available(chosen(request.views, spec.views), len(spec.read_widths))


def _views_left_out(request: BenchRequest, spec: ModelSpec, words: _Words) -> Sequence[str]:
    """Say which views of pictures the model has no width for."""
    if isinstance(words, _Bins):
        return ()
    return left_out_note(chosen(request.views, spec.views), len(spec.read_widths))


class _Laps:
    """A stop watch: each call ends a stage."""

    def __init__(self) -> None:
        self.seconds: Dict[str, float] = {}
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


class _Times:
    """The stages of one size of batch, and what they add up to: eight bytes a measurement."""

    def __init__(self) -> None:
        self.stages = Stages()
        self.latency = Stages()
        self.runs = array("d")

    def add(self, seconds: Mapping[str, float]) -> None:
        for stage, value in seconds.items():
            self.stages.add(stage, value)
        self.latency.add("all", sum(seconds.values()))
        self.runs.append(_transfers(seconds))


class _Subject:
    """A model that is measured: its runner, entered, and its words."""

    def __init__(self, runner: Runner, words: _Words, notes: Sequence[str]) -> None:
        self.runner = runner
        self._notes = notes
        self.others = 0.0
        self.times: Dict[int, _Times] = {}
        self._words = words
        self.decodes = isinstance(words, _Images)

    def serial(self, size: int) -> Mapping[str, float]:
        """Take a batch through one stage after another and return the seconds of each."""
        self.runner.lap = laps = _Laps()
        images = self._words.fill(size, laps)
        logits = self.runner.run(images)
        laps(COPIED_OUT)
        ctc.greedy(logits, self.runner.spec.alphabet)
        laps(CTC)
        return laps.seconds

    def result(self, request: BenchRequest) -> ModelTiming:
        """Measure what overlaps, and return everything."""
        notes: List[str] = []
        for size in request.batch:
            notes.extend(batch_note(size, self.runner.batch_sizes))
        notes.extend(self.runner.notes)
        notes.extend(self._notes)
        views = len(self._words.views)
        if views > 1:
            notes.append(
                f"{views} views of a word: what is from the data counts words, all else images"
            )
        batches = tuple(self._timing(size, request.loop) for size in request.batch)
        return ModelTiming(self.runner.info(), tuple(notes), batches)

    def _timing(self, size: int, loop: int) -> BatchTiming:
        times = self.times[size]
        summary = times.stages.summary()
        seconds = {stage: values["sum"] / 1000 for stage, values in summary.items()}
        words = size * loop
        others = Others()
        throughput = {
            "compute": words / seconds[COMPUTED],
            "transfers": words / _transfers(seconds),
            "stream": words / self._stream_seconds(size, loop),
            "data": self._data_speed(size, loop),
        }
        return BatchTiming(
            batch=size,
            stages={stage: _percentiles(values) for stage, values in summary.items()},
            latency=_percentiles(times.latency.summary()["all"]),
            throughput=throughput,
            busy=max(self.others, others.in_the_way(self.runner.info().threads)),
        )

    def _stream_seconds(self, size: int, loop: int) -> float:
        batches: List[np.ndarray] = []
        for _ in range(min(loop, PRELOADED)):
            images = self._words.fill(size, _Laps())
            batches.append(images.copy())
        start = time.perf_counter()
        for _ in self.runner.stream(itertools.islice(itertools.cycle(batches), loop)):
            pass
        return time.perf_counter() - start

    def _data_speed(self, size: int, loop: int) -> float:
        """Return the words a second of ``loop`` batches from the data; of several widths one that
        is rare may not be full.
        """
        words = _FirstBatches(self._words, loop)
        read = 0
        start = time.perf_counter()
        with contextlib.closing(run_batches(self.runner, words, size)) as results:
            for _, logits in results:
                if logits is not None:
                    read += logits.shape[1]
                    ctc.greedy(logits, self.runner.spec.alphabet)
        return read / len(self._words.views) / (time.perf_counter() - start)


def _transfers(seconds: Mapping[str, float]) -> float:
    """Return what a run takes with its copies; on several chips they are part of the
    computation.
    """
    return seconds.get(COPIED_IN, 0.0) + seconds[COMPUTED] + seconds[COPIED_OUT]


def _percentiles(summary: Mapping[str, float]) -> Mapping[str, float]:
    return {name: summary[name] for name in ("p50", "p90", "p99")}


def _ratio(size: int, first: _Subject, second: _Subject) -> PairedRatio:
    ratios = np.array(second.times[size].runs) / np.array(first.times[size].runs)
    quantiles = {f"p{q}": float(np.percentile(ratios, q)) for q in (10, 50, 90)}
    return PairedRatio(size, len(ratios), quantiles)
