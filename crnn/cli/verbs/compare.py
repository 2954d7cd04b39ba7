"""``crnn compare``."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Mapping, Sequence, Tuple, Union

from crnn.cli import console
from crnn.cli.arguments import (
    STDOUT,
    add_json,
    add_label,
    add_list_options,
    bound_threads,
    filled,
    fraction,
    natural,
    positive,
    put_json,
)
from crnn.errors import CheckError, UsageError

if TYPE_CHECKING:
    from crnn.jobs.comparison.job import CompareRequest
    from crnn.jobs.comparison.layers import Insight
    from crnn.results import SideBySide

HELP = "Say whether models, and what runs have left, read the same words alike; exit 3 if not."
EXAMPLE = """  crnn compare crnn.pth crnn.onnx crnn.om --data words_lmdb
  crnn compare crnn.onnx crnn_int8.onnx --data words_lmdb --max-drop 0.005
  crnn compare crnn.onnx float16:crnn.onnx --data words_lmdb   as a chip would compute it
  crnn compare box.jsonl crnn.onnx --data words_lmdb           readings of another machine
  crnn compare raw_outputs crnn.onnx --data input_bin --label label.txt
  crnn compare crnn.pth crnn.onnx --data words_lmdb --layers   and which layer is off
  crnn compare crnn.onnx --data words_lmdb --batches 1,2,3,7,tail --threads 1,2"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "sides",
        nargs="+",
        metavar="SIDE",
        help=(
            "two or more, the reference first, or one with --batches, --devices, --threads: a .pth,"
            " .onnx, .om or a set of OMs, float16:MODEL.onnx, readings (.jsonl, .csv), a result's"
            " JSON, the folder of a run (evaluate --run) or of raw outputs"
        ),
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DATA",
        help="the words: bins, an LMDB, a folder of images; needed by models and raw outputs",
    )
    add_label(parser)
    add_list_options(parser)
    _add_running(parser)
    _add_checks(parser)
    _add_layers(parser)
    add_json(parser)


def _add_running(parser: argparse.ArgumentParser) -> None:
    """Declare how models are run, once or in every combination."""
    parser.add_argument(
        "--batch", type=positive, default=16, metavar="N", help="images a batch (default 16)"
    )
    parser.add_argument(
        "--device", default="", help="cpu or cuda; for an OM a chip's number, or several: 0,1"
    )
    parser.add_argument(
        "--threads",
        type=_counts,
        default=(),
        metavar="N[,N…]",
        help="processor threads (default: all usable); with several each model reads with each",
    )
    parser.add_argument(
        "--batches",
        type=_batches,
        default=(),
        metavar="N[,N…]",
        help=(
            "let each model read with each of these batches, as in 1,2,3,7,16,tail: the text must"
            " be the same; tail leaves a short batch at the end"
        ),
    )
    parser.add_argument(
        "--devices",
        type=_devices,
        default=(),
        metavar="D[,D…]",
        help="the same with devices: 0,1,0+1 of an OM (last both chips), cpu,cuda:1 of others",
    )


def _add_checks(parser: argparse.ArgumentParser) -> None:
    """Declare what is compared, checked and shown."""
    parser.add_argument(
        "--max-differ",
        type=natural,
        metavar="N",
        help="words that may differ (default 0; any number where --max-drop alone is given)",
    )
    parser.add_argument(
        "--max-drop",
        type=fraction,
        metavar="F",
        help="how much accuracy a side may lose against the first, such as 0.005",
    )
    parser.add_argument(
        "--common",
        action="store_true",
        help="compare the words that all sides have, where they do not have the same",
    )
    parser.add_argument(
        "--show-differences",
        type=natural,
        default=20,
        metavar="N",
        help="print N of the words that a side reads otherwise, regressions first (default 20)",
    )
    parser.add_argument(
        "--spec",
        metavar="FILE|NAME",
        help="read raw outputs by this spec (default: the first model's)",
    )


def _add_layers(parser: argparse.ArgumentParser) -> None:
    """Declare what looks inside the sides."""
    parser.add_argument(
        "--layers",
        type=natural,
        nargs="?",
        const=0,
        metavar="N",
        help=(
            "compare checkpoints, ONNX and the outputs of a probing OM node by node for N words"
            " (default: those that differ, at most 64), and name the first node that is off"
        ),
    )
    parser.add_argument(
        "--save-layers",
        type=Path,
        metavar="DIR",
        help="write pair, inputs, table, plot and the command that does it again into a new folder",
    )


def _counts(text: str) -> Tuple[int, ...]:
    return tuple(positive(part) for part in text.split(","))


def _batches(text: str) -> Tuple[Union[int, str], ...]:
    found: List[Union[int, str]] = []
    for part in text.split(","):
        if part == "tail":
            found.append(part)
        else:
            found.append(positive(part))
    return tuple(found)


def _devices(text: str) -> Tuple[str, ...]:
    return tuple(filled(part) for part in text.split(","))


def run(args: argparse.Namespace) -> int:
    """Compare, show the verdict, and say which checks failed."""
    if any(side.startswith("float16:") for side in args.sides):
        bound_threads(next(iter(args.threads), None))
    from crnn.jobs.comparison.job import CompareRequest, compare
    from crnn.jobs.comparison.sweep import SweepRequest, compare_and_sweep
    from crnn.reports import comparison as report

    request = CompareRequest(
        sides=args.sides,
        data=args.data,
        label=args.label,
        batch=args.batch,
        device=args.device,
        threads=next(iter(args.threads), None),
        max_differ=args.max_differ,
        max_drop=args.max_drop,
        common=args.common,
        spec=args.spec,
        columns=args.columns,
        encoding=args.encoding,
        typed=args.typed,
    )
    sweep = SweepRequest(args.batches, args.devices, args.threads)
    if args.layers is not None:
        return _by_layers(args, request, sweep_too=sweep.wanted)
    if args.save_layers is not None:
        raise UsageError("--save-layers goes with --layers")
    if sweep.wanted:
        result = compare_and_sweep(request, sweep, console.progress)
    else:
        result = compare(request, console.progress).result
    return _shown(args, result, report.to_dict(result), ())


def _by_layers(args: argparse.Namespace, request: CompareRequest, *, sweep_too: bool) -> int:
    """Compare words, then nodes."""
    from crnn.jobs.comparison.job import compare
    from crnn.jobs.comparison.layers import insights, words_wanted
    from crnn.reports import comparison as report

    if sweep_too:
        raise UsageError("--layers is about one way to run: leave --batches and their like out")
    request = dataclasses.replace(request, examples=words_wanted(args.layers), keep=None)
    outcome = compare(request, console.progress)
    found = insights(request, outcome, args.layers, args.save_layers)
    data = report.to_dict(outcome.result)
    for insight, one in zip(found, data["comparisons"]):
        if insight.report is not None:
            one["layers"] = {**insight.report.to_dict(), "words": insight.words}
    return _shown(args, outcome.result, data, found)


def _shown(
    args: argparse.Namespace,
    result: SideBySide,
    data: Mapping[str, Any],
    found: Sequence[Insight],
) -> int:
    """Print a comparison, write it where asked, and fail where a check did not hold."""
    from crnn.reports import comparison as report

    for note in result.notes:
        console.note(note)
    put_json(data, args.json)
    say = console.say
    if args.json == STDOUT:
        say = console.note
    for line in report.lines(result, shown=args.show_differences):
        say(line)
    for insight in found:
        for line in insight.lines():
            say(line)
        if insight.report is not None and args.json != STDOUT:
            from crnn.jobs.comparison.layers import table

            head, rows = table(insight)
            console.out_table(head, rows)
    if result.failures:
        raise CheckError("; ".join(result.failures))
    return 0
