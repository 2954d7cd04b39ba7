"""A Benchmark as JSON (``crnn-bench/1``; docs/formats.md) and as text."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from crnn.results import Benchmark, ModelTiming, PairedRatio, Suggestion
from crnn.runners.base import COMPUTED

SCHEMA = "crnn-bench/1"
SIMULATED = "SIMULATED: no chip ran this; its times are no chip's"

Table = Tuple[Sequence[str], Sequence[Sequence[str]]]


def to_dict(benchmark: Benchmark) -> Dict[str, Any]:
    """Return the benchmark as plain data."""
    return {**dataclasses.asdict(benchmark), "schema": SCHEMA, "simulated": simulated(benchmark)}


def simulated(benchmark: Benchmark) -> bool:
    """Say whether a simulated chip took part."""
    return any(run.simulated for run in benchmark.runs)


def title(run: ModelTiming) -> str:
    """Return which model ran where, and that it was simulated where it was."""
    threads = f"{run.threads} thread{'' if run.threads == 1 else 's'}"
    return (
        f"{run.model['path']} on {run.backend}, {run.device},"
        f" {threads}{', SIMULATED' if run.simulated else ''}"
    )


def head(benchmark: Benchmark) -> Iterator[str]:
    """Yield what the figures depend on."""
    if simulated(benchmark):
        yield SIMULATED
    machine = benchmark.machine
    yield (
        f"machine    {machine['processor']}, {machine['usable']} usable, {machine['system']}; load"
        f" before {machine['load']}"
    )
    yield (
        f"data       {benchmark.data}; {benchmark.loop} batches of each size, {benchmark.warm_up}"
        " to warm up"
    )


def stage_table(run: ModelTiming) -> Table:
    """Return the milliseconds a batch of each stage (p50), and of all of them together."""
    names = list(run.batches[0].stages)
    rows: List[List[str]] = []
    for timing in run.batches:
        medians = [f"{timing.stages[name]['p50']:.3f}" for name in names]
        rows.append(
            [
                str(timing.batch),
                *medians,
                *(f"{timing.latency[q]:.3f}" for q in ("p50", "p90", "p99")),
            ]
        )
    return ["batch", *names, "all p50", "p90", "p99"], rows


def speed_table(run: ModelTiming) -> Table:
    """Return words per second, batch by batch, and what computation alone takes."""
    rows = []
    for timing in run.batches:
        speeds = [
            f"{timing.throughput[name]:.0f}" for name in ("compute", "transfers", "stream", "data")
        ]
        compute = [f"{timing.stages[COMPUTED][q]:.3f}" for q in ("p50", "p90", "p99")]
        rows.append([str(timing.batch), *speeds, *compute])
    return [
        "batch",
        "without transfers",
        "with transfers",
        "streamed",
        "from the data",
        "compute p50",
        "p90",
        "p99",
    ], rows


def ratio_line(ratio: PairedRatio, runs: Sequence[ModelTiming]) -> str:
    """Return a paired ratio as a sentence."""
    values = ratio.ratio
    return (
        f"batch {ratio.batch}: {runs[0].model['path']} is {values['p50']:.3f} times as fast as"
        f" {runs[1].model['path']} (middle 80 % of {ratio.pairs} pairs: {values['p10']:.3f} to"
        f" {values['p90']:.3f})"
    )


def suggestion_line(suggestion: Suggestion, run: ModelTiming) -> str:
    """Return the suggested batch as a sentence, or why there is none."""
    if suggestion.batch is None:
        best = min(run.batches, key=lambda timing: timing.latency["p99"])
        return (
            f"no measured batch keeps within {suggestion.budget_ms:g} ms; batch {best.batch} comes"
            f" nearest with {best.latency['p99']:.3f} ms (p99)"
        )
    timing = next(timing for timing in run.batches if timing.batch == suggestion.batch)
    return (
        f"suggested  batch {timing.batch}: {timing.throughput['transfers']:.0f} words/s, "
        f"{timing.latency['p99']:.3f} ms (p99) of the {suggestion.budget_ms:g} ms allowed"
    )
