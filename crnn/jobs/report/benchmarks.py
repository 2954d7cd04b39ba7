"""Saved benchmarks as rows and bars of a page."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any, List, Mapping, Tuple

from crnn.errors import InputError
from crnn.jobs.sweep import SCHEMA as SWEEP
from crnn.reports.html.charts import amounts
from crnn.reports.html.model import BenchmarkRows, Plot

Data = Mapping[str, Any]
Rows = List[Tuple[str, str, str, str]]
Amounts = List[Tuple[str, float]]
MOST_BARS = 24


def benchmark_of(data: Data, path: Path) -> BenchmarkRows:
    """Return what a page shows of a benchmark.

    Args:
        data: The JSON of ``crnn bench``.
        path: Its file, for errors.

    Returns:
        Its rows, and what its bars stand for.

    Raises:
        InputError: It is not as ``crnn bench`` writes it.
    """
    rows: Rows = []
    speeds: Amounts = []
    stages: Amounts = []
    try:
        simulated = _simulated(data)
        for run in data["runs"]:
            simulated = _simulated(run) or simulated
            _add_run(run, rows, speeds, stages)
        machine = ", ".join(f"{name} {value}" for name, value in data["machine"].items())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: not a benchmark as crnn bench writes it: {type(error).__name__} {error}",
            hint="Run that benchmark again.",
        ) from error
    return BenchmarkRows(str(data.get("data")), machine, rows, simulated, speeds, stages)


def _simulated(data: Data) -> bool:
    flag = data.get("simulated", False)
    if not isinstance(flag, bool):
        raise TypeError(f"simulated is {str(flag)[:40]!r}")
    return flag


def sweep_of(data: Data, path: Path) -> BenchmarkRows:
    """Return what a page shows of a benchmark with several counts of threads.

    Args:
        data: The JSON of ``crnn bench --threads 1,2``.
        path: Its file, for errors.

    Returns:
        The rows of all its counts, one after another.

    Raises:
        InputError: It is not as ``crnn bench`` writes it.
    """
    results = data.get("results")
    if not isinstance(results, list) or not results:
        raise _not_a_sweep(path)
    found: List[BenchmarkRows] = []
    for result in results:
        if not isinstance(result, dict):
            raise _not_a_sweep(path)
        found.append(benchmark_of(result, path))
    first = found[0]
    for other in found[1:]:
        first = dataclasses.replace(
            first,
            rows=[*first.rows, *other.rows],
            simulated=first.simulated or other.simulated,
            speeds=[*first.speeds, *other.speeds],
            stages=[*first.stages, *other.stages],
        )
    try:
        simulated = first.simulated or _simulated(data)
    except TypeError as error:
        raise _not_a_sweep(path) from error
    return dataclasses.replace(first, simulated=simulated)


def _not_a_sweep(path: Path) -> InputError:
    return InputError(
        f"{path}: its 'results' is not as crnn bench writes it ({SWEEP})",
        hint="Run that benchmark again.",
    )


def drawn(benchmark: BenchmarkRows, texts: Mapping[str, str]) -> BenchmarkRows:
    """Return a benchmark with its bars.

    Args:
        benchmark: What its file holds.
        texts: The words of the page.

    Returns:
        The same with its plots.
    """
    plots: List[Plot] = []
    for name, values, unit in (
        ("speed_by_batch", benchmark.speeds, ""),
        ("stages_of_batch", benchmark.stages, "ms"),
    ):
        if values:
            bars = amounts(texts[name], values[:MOST_BARS], unit)
            plots.append(Plot(texts[name], bars))
    return dataclasses.replace(benchmark, plots=plots)


def _add_run(run: Data, rows: Rows, speeds: Amounts, stages: Amounts) -> None:
    threads = run.get("threads")
    where = f"{run['backend']}, {run['device']}"
    short = str(run["backend"])
    if threads is not None:
        where += f", threads {threads}"
        short += f" {threads}T"
    name = f"{run['model']['path']} · {where}"
    fastest = -1.0
    of_fastest: Amounts = []
    for timing in run["batches"]:
        batch = str(timing["batch"])
        speed = _amount(timing["throughput"]["transfers"])
        latency = _amount(timing["latency"]["p50"])
        rows.append((name, batch, f"{speed:.0f}", f"{latency:.3f}"))
        speeds.append((f"{short} by {batch}", speed))
        if speed > fastest:
            fastest = speed
            of_fastest = []
            for stage, spent in (timing.get("stages") or {}).items():
                of_fastest.append((f"{stage}, {short} by {batch}", _amount(spent["p50"])))
    stages.extend(of_fastest)


def _amount(value: Any) -> float:
    """Return an amount that can be drawn.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{str(value)[:40]!r} in the place of a number")
    # A comparison, not a conversion: JSON may hold an integer that no float can.
    if not 0 <= value <= sys.float_info.max:
        raise ValueError("a number that cannot be an amount")
    return float(value)
