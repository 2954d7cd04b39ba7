"""A Benchmark as JSON (``crnn-bench/3``; docs/formats.md) and as text."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from crnn.reports.result_json import run_dict
from crnn.results import BatchTiming, Benchmark, ModelTiming, PairedRatio, Suggestion
from crnn.runners.base import COMPUTED
from crnn.spec import numbered

SCHEMA = "crnn-bench/1"
ADDED = (frozenset(["command", "date"]), frozenset(["busy"]))
"""The keys that the formats 2, 3 … added."""
SIMULATED = "SIMULATED: no chip ran this; its times are no chip's"

BUSY = "taken while other programs left too few processors: measure again on a quiet machine"

QUANTILES = ("p50", "p90", "p99")
ENDS = ("p50", "p99")
"""Those of the wider table; JSON has all."""
SPEEDS = {
    "compute": "without transfers",
    "transfers": "with transfers",
    "stream": "streamed",
    "data": "from the data",
}
"""Each throughput's key, and its column."""

Table = Tuple[Sequence[str], Sequence[Sequence[str]]]


def to_dict(benchmark: Benchmark) -> Dict[str, Any]:
    """Return the benchmark as plain data.

    Args:
        benchmark: The result of a benchmark.

    Returns:
        The fields of ``crnn-bench/1``, or of a later one where it has keys of that.
    """
    data = {field.name: getattr(benchmark, field.name) for field in dataclasses.fields(benchmark)}
    data["machine"] = dict(benchmark.machine)
    data["runs"] = [_timing_dict(timing) for timing in benchmark.runs]
    data["ratios"] = [dataclasses.asdict(ratio) for ratio in benchmark.ratios]
    if benchmark.suggestion:
        data["suggestion"] = dataclasses.asdict(benchmark.suggestion)
    data["command"] = list(benchmark.command)
    for name in ("command", "date"):
        if not data[name]:
            del data[name]
    nested = {key for run in data["runs"] for batch in run["batches"] for key in batch}
    data["schema"] = numbered(SCHEMA, ADDED, {*data, *nested})
    data["simulated"] = simulated(benchmark)
    return data


def _timing_dict(timing: ModelTiming) -> Dict[str, Any]:
    data = run_dict(timing.run)
    data["notes"] = list(timing.notes)
    data["batches"] = [_batch_dict(batch) for batch in timing.batches]
    return data


def _batch_dict(batch: BatchTiming) -> Dict[str, Any]:
    data = dataclasses.asdict(batch)
    if not batch.busy:
        del data["busy"]
    return data


def simulated(benchmark: Benchmark) -> bool:
    """Say whether a simulated chip took part.

    Args:
        benchmark: The result of a benchmark.

    Returns:
        Whether one of its models ran on the Ascend simulator.
    """
    return any(timing.run.simulated for timing in benchmark.runs)


def title(timing: ModelTiming) -> str:
    """Return which model ran where, and that it was simulated where it was.

    Args:
        timing: A model's timing.

    Returns:
        A line.
    """
    run = timing.run
    text = f"{_name(timing)} on {run.backend}, {run.device}, {run.threads} thread"
    if run.threads != 1:
        text += "s"
    if run.simulated:
        text += ", SIMULATED"
    return text


def _name(timing: ModelTiming) -> str:
    return timing.run.model.path.name


def head(benchmark: Benchmark) -> Iterator[str]:
    """Yield what the figures depend on.

    Args:
        benchmark: The result of a benchmark.

    Yields:
        A line each.
    """
    if simulated(benchmark):
        yield SIMULATED
    machine = benchmark.machine
    yield (
        f"machine    {machine['processor']}, {machine['usable']} usable, {machine['system']}; load"
        f" before {machine['load']}"
    )
    if "decoders" in machine:
        yield f"images     {machine['decoders']}"
    yield (
        f"data       {benchmark.data}; {benchmark.loop} batches of each size, {benchmark.warm_up}"
        " to warm up"
    )


def _marked(timing: BatchTiming) -> str:
    """Return a row's batch, with a sign where others were in the way of what it says."""
    if timing.busy:
        return f"{timing.batch} *"
    return str(timing.batch)


def busy_line(benchmark: Benchmark) -> Optional[str]:
    """Return what the sign before a row means, where there is one.

    Args:
        benchmark: The result of a benchmark.

    Returns:
        A line, or None where the machine was quiet.
    """
    most = max(batch.busy for run in benchmark.runs for batch in run.batches)
    if not most:
        return None
    return f"* {BUSY} (up to {most:.1f} processors)"


def was_busy(result: Mapping[str, Any]) -> bool:
    """Say whether other programs were in the way of a row.

    Args:
        result: What ``crnn bench --json`` writes.

    Returns:
        Whether a row has the sign.
    """
    return any("busy" in batch for run in result["runs"] for batch in run["batches"])


def stage_table(run: ModelTiming) -> Table:
    """Return the milliseconds a batch of each stage (p50), and of all of them together.

    Args:
        run: A model's timing.

    Returns:
        The head of the table and its rows.
    """
    names = list(run.batches[0].stages)
    rows: List[List[str]] = []
    for timing in run.batches:
        row = [_marked(timing)]
        row += [f"{timing.stages[name]['p50']:.3f}" for name in names]
        row += [f"{timing.latency[q]:.3f}" for q in ENDS]
        rows.append(row)
    return ["batch", *names, "all p50", "p99"], rows


def speed_table(run: ModelTiming) -> Table:
    """Return words per second, batch by batch, and what computation alone takes.

    Args:
        run: A model's timing.

    Returns:
        The head of the table and its rows.
    """
    rows: List[List[str]] = []
    for timing in run.batches:
        row = [_marked(timing)]
        row += [f"{timing.throughput[name]:.0f}" for name in SPEEDS]
        row += [f"{timing.stages[COMPUTED][q]:.3f}" for q in QUANTILES]
        rows.append(row)
    return ["batch", *SPEEDS.values(), "compute p50", "p90", "p99"], rows


def ratio_line(ratio: PairedRatio, runs: Sequence[ModelTiming]) -> str:
    """Return a paired ratio as a sentence, told of the faster model.

    Args:
        ratio: Of the two models' times.
        runs: The two models.

    Returns:
        A line.
    """
    low, middle, high = (ratio.ratio[name] for name in ("p10", "p50", "p90"))
    faster, slower = runs[0], runs[1]
    if middle < 1:
        faster, slower = slower, faster
        low, middle, high = 1 / high, 1 / middle, 1 / low
    return (
        f"batch {ratio.batch}: {_name(faster)} is {middle:.2f} times as fast as {_name(slower)}"
        f" (middle 80 % of {ratio.pairs} pairs: {low:.2f} to {high:.2f})"
    )


def sweep_table(results: Sequence[Mapping[str, Any]]) -> Table:
    """Return the speeds of several benchmarks that differ in their threads.

    Args:
        results: What ``crnn bench --json`` writes, for each count of threads.

    Returns:
        The head of the table and its rows: a row for each count, model and batch.
    """
    names = [SPEEDS["transfers"], SPEEDS["data"]]
    rows: List[List[str]] = []
    for result in results:
        for run in result["runs"]:
            for batch in run["batches"]:
                mark = ""
                if batch.get("busy"):
                    mark = " *"
                row = [str(run["threads"]), run["model"]["path"], f"{batch['batch']}{mark}"]
                row += [f"{batch['throughput'][name]:.0f}" for name in ("transfers", "data")]
                rows.append(
                    [*row, f"{batch['latency']['p50']:.3f}", f"{batch['latency']['p99']:.3f}"]
                )
    return ["threads", "model", "batch", *names, "all p50", "p99"], rows


def suggestion_line(suggestion: Suggestion, run: ModelTiming) -> str:
    """Return the suggested batch as a sentence, or why there is none.

    Args:
        suggestion: Which batch, and for which budget.
        run: The timing that it was chosen from.

    Returns:
        A line.
    """
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
