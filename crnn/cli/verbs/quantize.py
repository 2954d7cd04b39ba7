"""``crnn quantize``."""

from __future__ import annotations

import argparse
from pathlib import Path

from crnn.cli import console
from crnn.cli.arguments import (
    add_annotation,
    add_json,
    add_output_axes,
    add_reading,
    add_written,
    fraction,
    positive,
    put_json,
)
from crnn.cli.reading_options import add_width_rule

HELP = "Write an int8 copy of an ONNX model for processors, and check that it reads as well."
EXAMPLE = """  crnn quantize crnn.onnx crnn_int8.onnx
  crnn quantize crnn.onnx crnn_int8.onnx --calibrate words_lmdb"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL.onnx", help="a float model")
    parser.add_argument(
        "target", type=Path, metavar="OUT.onnx", help="for ONNX Runtime on processors, not for ATC"
    )
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="DATA",
        help=(
            "words, an LMDB or a folder of images: some set the ranges, the others check (default:"
            " 400 inside the package)"
        ),
    )
    add_annotation(parser)
    parser.add_argument(
        "--count",
        type=positive,
        default=128,
        metavar="N",
        help="words that set ranges (default 128)",
    )
    parser.add_argument(
        "--max-drop",
        type=fraction,
        default=0.005,
        metavar="F",
        help="accuracy that may be lost (default 0.005); one word always may",
    )
    add_reading(parser)
    add_output_axes(parser)
    add_width_rule(parser)
    add_json(parser)
    add_written(parser, "target")


def run(args: argparse.Namespace) -> int:
    """Quantise and print both accuracies."""
    from crnn.batch import problem_lines
    from crnn.export.quantize import quantise

    result = quantise(
        args.model,
        args.target,
        args.calibrate,
        args.annotation,
        calibrate=args.count,
        max_drop=args.max_drop,
        spec=args.spec,
        output=args.output,
        output_axes=args.output_axes,
        width_rule=args.width_rule,
    )
    for line in problem_lines(result.problems.counts, result.problems.named):
        console.note(line)
    if put_json(result.to_dict(), args.json):
        return 0
    console.say(
        f"{result.target}: {result.bytes_after} bytes, of {result.bytes_before}; for processors,"
        " not for ATC"
    )
    console.say(
        f"accuracy   {result.accuracy_int8:.4f} int8, {result.accuracy_float:.4f} float, on"
        f" {result.held_back} words held back; {result.differing} of them read differently"
        f" ({result.calibrated_on} set the ranges)"
    )
    for width, counts in result.by_width.items():
        console.say(
            f"width {width:<4} {counts['int8']:.4f} int8, {counts['float']:.4f} float, on"
            f" {counts['held_back']} words"
        )
    return 0
