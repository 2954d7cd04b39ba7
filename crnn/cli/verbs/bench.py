"""``crnn bench``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Tuple

from crnn.cli import console
from crnn.cli.arguments import (
    add_devices,
    add_json,
    add_list_options,
    add_output_axes,
    add_reading,
    add_written,
    listing,
    milliseconds,
    natural,
    positive,
    put_json,
)
from crnn.cli.reading_options import add_nearest_width, add_views, add_width_rule
from crnn.errors import UsageError
from crnn.files import require_target

if TYPE_CHECKING:
    from crnn.results import Benchmark

HELP = "Measure how fast a model is at each batch size, and where the time goes."
EXAMPLE = """  crnn bench crnn.onnx --data words_lmdb --batch 1,4,16,64 --plot speed.png
  crnn bench crnn.om --data input_bin --label label.txt --budget 20
  crnn bench crnn.onnx --data words_lmdb --versus crnn_int8.onnx
  crnn bench crnn.onnx --data photos --batch 16 --threads 1,2,4"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="an .onnx, an .om or a .pth, told by content"
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DATA",
        help="a folder of bins, an LMDB or a folder of images",
    )
    parser.add_argument(
        "--label",
        "--annotation",
        type=listing,
        metavar="FILE",
        help="label file of bins, annotation file of images (default: none is needed)",
    )
    _add_loops(parser)
    add_devices(parser)
    parser.add_argument(
        "--threads",
        type=_sizes,
        metavar="N[,N…]",
        help="processor threads (default: all usable); several are measured in a process each",
    )
    _add_other(parser)
    add_nearest_width(parser)
    add_reading(parser)
    parser.add_argument(
        "--budget",
        type=milliseconds,
        metavar="MS",
        help="suggest the fastest batch whose p99 latency is within this",
    )
    add_list_options(parser)
    add_output_axes(parser)
    add_width_rule(parser)
    add_views(parser)
    add_json(parser)
    add_written(parser, "plot")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="OUT.png",
        help="draw throughput and latency (needs matplotlib)",
    )


def _add_loops(parser: argparse.ArgumentParser) -> None:
    """Declare how much is measured."""
    parser.add_argument(
        "--batch",
        type=_sizes,
        default=(1, 4, 16, 64),
        metavar="N,…",
        help="batch sizes (default 1,4,16,64)",
    )
    parser.add_argument(
        "--loop", type=positive, default=50, metavar="N", help="batches of each size (default 50)"
    )
    parser.add_argument(
        "--warm-up",
        type=natural,
        default=3,
        metavar="N",
        help="batches of each size before that (default 3)",
    )


def _add_other(parser: argparse.ArgumentParser) -> None:
    """Declare the model that is measured besides."""
    parser.add_argument(
        "--versus", type=Path, metavar="OTHER", help="measure another model too, in turn with MODEL"
    )
    parser.add_argument("--versus-device", default="", metavar="DEVICE", help="the device of OTHER")
    parser.add_argument(
        "--versus-spec", metavar="FILE|NAME", help="the spec of OTHER, where it needs one"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, then print tables or JSON."""
    if args.threads is not None and len(args.threads) > 1:
        return _sweep(args)
    if args.threads is not None:
        (args.threads,) = args.threads
    if args.plot:
        require_target(args.plot)
        from crnn.reports.bench_plot import draw, require_matplotlib

        # Said before the measurement, not after it.
        require_matplotlib()
    benchmark = _measured(args)
    if args.plot:
        draw(benchmark, args.plot)
    from crnn.reports import bench as report

    if not put_json(report.to_dict(benchmark), args.json):
        _show(benchmark)
    return 0


def _measured(args: argparse.Namespace) -> Benchmark:
    """Measure, and say what is to be known of the data and the models."""
    import dataclasses

    from crnn.jobs.bench import BenchRequest, bench

    request = BenchRequest(
        **{field.name: getattr(args, field.name) for field in dataclasses.fields(BenchRequest)}
    )
    with console.progress("measuring", request.loop) as advance:
        benchmark = bench(request, advance)
    for note in dict.fromkeys(note for timing in benchmark.runs for note in timing.notes):
        console.note(note)
    return benchmark


def _show(benchmark: Benchmark) -> None:
    from crnn.reports import bench as report

    for line in report.head(benchmark):
        console.say(line)
    for timing in benchmark.runs:
        console.out()
        console.say(f"{report.title(timing)}: milliseconds a batch, one stage after another")
        console.out_table(*report.stage_table(timing))
        console.say("words a second, and milliseconds of computation alone")
        console.out_table(*report.speed_table(timing))
    busy = report.busy_line(benchmark)
    if busy is not None:
        console.say(busy)
    console.out()
    for ratio in benchmark.ratios:
        console.say(report.ratio_line(ratio, benchmark.runs))
    if benchmark.suggestion:
        console.say(report.suggestion_line(benchmark.suggestion, benchmark.runs[0]))


def _sweep(args: argparse.Namespace) -> int:
    """Measure with one count of threads after another, and show a table of all."""
    from crnn.jobs.sweep import SCHEMA, sweep
    from crnn.reports import bench as report

    if args.plot:
        raise UsageError("--plot is for one count of --threads")
    if args.budget is not None:
        raise UsageError("--budget is for one count of --threads")
    results = sweep(args.typed[1:], args.threads)
    simulated = any(result["simulated"] for result in results)
    if put_json({"schema": SCHEMA, "simulated": simulated, "results": results}, args.json):
        return 0
    if simulated:
        console.say(report.SIMULATED)
    console.say("words a second, and milliseconds a batch, all stages one after another")
    console.out_table(*report.sweep_table(results))
    if any(report.was_busy(result) for result in results):
        console.say(f"* {report.BUSY}")
    return 0


def _sizes(text: str) -> Tuple[int, ...]:
    return tuple(sorted({positive(word) for word in text.split(",")}))
