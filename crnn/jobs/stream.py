"""Batches through a runner to an Evaluation: reading and inference overlap, memory stays flat."""

from __future__ import annotations

import collections
import contextlib
import time
from dataclasses import dataclass
from typing import (
    Callable,
    Deque,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

import numpy as np

from crnn.jobs.prefetch import prefetch
from crnn.jobs.score import OnReading, Scorer
from crnn.jobs.timing import Stages
from crnn.metrics import wilson
from crnn.results import Batch, Evaluation, Problem
from crnn.runners.base import Model, Runner
from crnn.versions import versions

OnLogits = Callable[[Batch, np.ndarray], None]
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Scored:
    """An evaluation and the problems that a person should see:

    the first few of each reason, with their keys.
    """

    evaluation: Evaluation
    named: Sequence[Tuple[str, Problem]]


def score_batches(
    runner: Runner,
    batches: Iterable[Batch],
    *,
    batch: int,
    extras: Callable[[], Sequence[Tuple[str, Problem]]] = lambda: (),
    on_reading: Optional[OnReading] = None,
    on_logits: Optional[OnLogits] = None,
    advance: Advance = lambda count: None,
) -> Scored:
    """Run every batch through an entered runner and score it.

    ``batches`` must keep the arrays of the last `batches_alive` batches intact. ``extras``, called
    at the end, gives problems of the data set that belong to no labelled sample. ``on_reading``
    gets every reading in data order, ``on_logits`` each batch that has readable rows with its
    logits (T, n, K), ``advance`` the number of samples done.
    """
    stages = Stages()
    scorer = Scorer(runner.spec, on_reading)
    start = time.perf_counter()
    with contextlib.closing(run_batches(runner, batches, stages)) as results:
        for group, logits in results:
            begin = time.perf_counter()
            scorer.add(group, logits)
            stages.add("score", time.perf_counter() - begin)
            if on_logits and logits is not None:
                on_logits(group, logits)
            advance(len(group.keys))
    seconds = time.perf_counter() - start
    for key, problem in extras():
        scorer.report(key, problem)
    return Scored(evaluation_of(runner, scorer, stages, batch, seconds), scorer.named)


READ_AHEAD = 2
"""Batches that are read while earlier ones are inferred."""


def batches_alive(runner: Runner) -> int:
    """Return how many batches' arrays are in use at a time:

    queued, being read, in the runner and being scored.
    """
    return READ_AHEAD + runner.ahead + 2


def run_batches(
    runner: Runner, batches: Iterable[Batch], stages: Stages
) -> Generator[Tuple[Batch, Optional[np.ndarray]], None, None]:
    """Yield each batch with the logits (T, n, K) of its readable rows, None where it has none, in
    order.
    """
    waiting: Deque[Batch] = collections.deque()
    idle = 0.0

    def images(source: Iterator[Batch]) -> Generator[np.ndarray, None, None]:
        nonlocal idle
        while True:
            begin = time.perf_counter()
            group = next(source, None)
            idle += time.perf_counter() - begin
            if group is None:
                return
            waiting.append(group)
            if len(group.images):
                yield group.images

    with contextlib.closing(
        prefetch(stages.timed("read", batches), READ_AHEAD)
    ) as source, contextlib.closing(runner.stream(images(source))) as outputs:
        while True:
            begin, idle = time.perf_counter(), 0.0
            logits = next(outputs, None)
            if logits is not None:
                # Waiting for data inside the runner's call is not inference.
                stages.add("infer", time.perf_counter() - begin - idle)
            while waiting and not len(waiting[0].images):
                yield waiting.popleft(), None
            if logits is None:
                return
            yield waiting.popleft(), logits


class RunBy(Protocol):
    """What an evaluation says of what has run the model; a `Runner` has all of it."""

    model: Model
    backend: str
    device: str
    threads: int
    simulated: bool
    versions: Mapping[str, str]


def evaluation_of(
    runner: RunBy, scorer: Scorer, stages: Stages, batch: int, seconds: float
) -> Evaluation:
    """Return the evaluation that a scorer has come to, in ``seconds`` of wall time."""
    metric, model = scorer.metric, runner.model
    return Evaluation(
        accuracy=metric.accuracy,
        correct=metric.correct,
        total=metric.total,
        interval95=wilson(metric.correct, metric.total),
        cer=metric.cer,
        ned1=metric.ned1,
        skipped=dict(scorer.skipped),
        by_length=metric.by_length,
        throughput=scorer.read / seconds if seconds else 0.0,
        stages=stages.summary(),
        batch=batch,
        threads=runner.threads,
        backend=runner.backend,
        device=runner.device,
        simulated=runner.simulated,
        model={
            "path": model.path.name,
            "sha256": model.sha256,
            "spec": model.spec.to_dict(),
            "spec_from": model.spec_from,
        },
        misses=tuple(scorer.misses),
        misses_total=scorer.misses_total,
        versions={**versions(), **runner.versions},
    )
