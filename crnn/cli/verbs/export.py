"""``crnn export``, which ``pth2onnx.py`` is too."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, Optional

from crnn.cli import console
from crnn.cli.arguments import (
    add_color,
    add_json,
    add_picture_options,
    add_written,
    by_picture_options,
    positive,
    put_json,
    read_alphabet,
)
from crnn.cli.reading_options import add_width_rule, add_widths, by_widths
from crnn.errors import needs
from crnn.files import require_target

if TYPE_CHECKING:
    from crnn.export.sample_images import WordImages
    from crnn.export.to_onnx import Export
    from crnn.spec import ModelSpec
    from crnn.weights.checkpoint import Checkpoint

HELP = "Write a checkpoint's network as ONNX (opset 11) and prove that it computes the same."
EXAMPLE = """  crnn export crnn.pth crnn.onnx
  crnn export crnn.pth crnn_bs16.onnx --batch 16 --split-bilstm   for CANN 5.0 and older
  crnn export chinese.pth chinese.onnx --alphabet @characters.txt --width 160
  crnn export crnn.pth wide.onnx --widths 80,128,200   words at the width of their aspect"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "checkpoint", type=Path, metavar="IN.pth", help="a PyTorch checkpoint, of any known layout"
    )
    parser.add_argument(
        "target", type=Path, metavar="OUT.onnx", help="the file to write; its folder must exist"
    )
    parser.add_argument(
        "--batch", type=positive, metavar="N", help="fix the batch size (default: any)"
    )
    parser.add_argument(
        "--split-bilstm",
        action="store_true",
        help="write each bidirectional LSTM as two forward ones, which CANN 5.0 and older need",
    )
    parser.add_argument(
        "--log-softmax",
        action="store_true",
        help="end with log-probabilities in place of raw scores",
    )
    parser.add_argument(
        "--width", type=positive, metavar="W", help="the images' width (default: 100)"
    )
    add_widths(parser)
    add_width_rule(parser)
    parser.add_argument(
        "--alphabet",
        metavar="CHARS|@FILE",
        help=(
            "the characters, in class order after the blank, or a UTF-8 file of them (default:"
            " 0-9a-z)"
        ),
    )
    add_color(parser)
    parser.add_argument(
        "--lstm-gate-order",
        choices=("ifgo", "igfo"),
        default="ifgo",
        help=(
            "igfo for checkpoints of the first NPU training stack, which no file says of itself"
            " (default: ifgo)"
        ),
    )
    parser.add_argument(
        "--words",
        type=Path,
        metavar="LMDB",
        help="check with the first 2000 words of an LMDB too, and show how many are read right",
    )
    add_picture_options(parser)
    add_json(parser)
    add_written(parser, "target")


def run(args: argparse.Namespace) -> int:
    """Export, print the figures, and fail if one is outside its limit."""
    require_target(args.target)
    alphabet = read_alphabet(args.alphabet)
    with needs("torch", extra="torch"):
        import torch  # noqa: F401  the modules below import it at their top

    from crnn.export.graph import GraphOptions
    from crnn.export.to_onnx import OtherOrder, export_onnx
    from crnn.runners.open import by_width_rule
    from crnn.weights.checkpoint import load_checkpoint

    def load(order: str) -> Checkpoint:
        found = load_checkpoint(
            args.checkpoint,
            alphabet=alphabet,
            width=args.width,
            lstm_gate_order=order,
            color=args.color,
        )
        spec = by_widths(by_picture_options(found.spec, args), args)
        spec = by_width_rule(spec, args.width_rule, args.checkpoint)
        return dataclasses.replace(found, spec=spec)

    checkpoint = load(args.lstm_gate_order)
    others = {"ifgo": "igfo", "igfo": "ifgo"}
    order = others[args.lstm_gate_order]
    other = OtherOrder(order, functools.partial(load, order))
    options = GraphOptions(
        batch=args.batch, split_bilstm=args.split_bilstm, log_softmax=args.log_softmax
    )
    with _words(args.words, checkpoint.spec) as words:
        export = export_onnx(checkpoint, args.target, options, words=words, other=other)
    if words and words.skipped:
        console.note(
            f"{words.skipped} words of {args.words} have no image that can be read, and were"
            " left out"
        )
    _print(export, args.json)
    export.require_passed()
    return 0


@contextlib.contextmanager
def _words(path: Optional[Path], spec: ModelSpec) -> Iterator[Optional[WordImages]]:
    if path is None:
        yield None
        return
    from crnn.export.sample_images import WordImages

    words = WordImages(path, spec)
    with console.progress("words", len(words)) as advance:
        words.advance = advance
        yield words


def _print(export: Export, json: Optional[str]) -> None:
    if put_json(export.to_dict(), json):
        return
    checkpoint = export.checkpoint
    console.say(
        f"{checkpoint.path}: {checkpoint.parameters} parameters, {checkpoint.spec.classes} classes"
    )
    for note in checkpoint.notes:
        console.say(f"  {note}")
    rows = [
        [
            figure.name,
            f"{figure.value:.3g}",
            figure.bound,
            "ok" if figure.passed else "FAILED",
        ]
        for figure in export.figures
    ]
    console.out_table(["check", "measured", "limit", ""], rows)
    places = dict.fromkeys(figure.where for figure in export.figures)
    console.say(f"on {'; '.join(places)}")
    if export.words:
        console.say(
            f"words read right: {export.words.right} of {export.words.labelled}"
            f" ({export.words.accuracy:.4f})"
        )
    if export.passed:
        from crnn.export.graph import INPUT, OPSET, OUTPUT

        batch = export.options.batch or "batch"
        channels, height, width = checkpoint.spec.image_shape
        steps = str(checkpoint.spec.time_steps)
        columns = str(width)
        if checkpoint.spec.widths is not None:
            steps, columns = "T", "W"
        console.say(
            f"{export.target}: {len(export.graph)} bytes, {export.nodes} nodes, opset {OPSET}"
        )
        console.say(
            f"  {INPUT} ({batch}, {channels}, {height}, {columns}) to"
            f" {OUTPUT} ({steps}, {batch}, {checkpoint.spec.classes})"
        )
        if checkpoint.spec.widths is not None:
            shown = ", ".join(map(str, checkpoint.spec.widths.list))
            console.say(f"  W one of {shown}, the nearest to {_rule(checkpoint.spec)}")


def _rule(spec: ModelSpec) -> str:
    assert spec.widths is not None
    return f"{spec.widths.factor:g} times the picture's width over its height"
