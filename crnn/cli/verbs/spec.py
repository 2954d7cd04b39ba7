"""``crnn spec``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Optional

from crnn.cli import console
from crnn.cli.arguments import add_json, add_written, put_json
from crnn.cli.main import add_parser

HELP = "Show how a model's images are prepared and its classes read, or write that into an ONNX."
EXAMPLE = """  crnn spec set others.onnx spec.json -o crnn.onnx
  crnn spec set wide.onnx '{"width": 160}' -o wide_crnn.onnx
  crnn spec set others.onnx mindspore-native -o crnn.onnx
  crnn spec set free.onnx '{"widths": [80, 128, 200]}' -o crnn.onnx
  crnn spec show crnn.onnx"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    show = add_parser(commands, "show", "Show a model's spec.", "  crnn spec show crnn.onnx")
    show.add_argument(
        "model", type=Path, metavar="MODEL", help="an .onnx, an .om or a .pth, told by content"
    )
    add_json(show)
    put = add_parser(commands, "set", "Write a copy of an ONNX model that carries a spec.", EXAMPLE)
    put.add_argument("model", type=Path, metavar="MODEL.onnx", help="a model without a spec")
    put.add_argument(
        "spec",
        metavar="SPEC",
        help=(
            "a preset, another model, a file of a spec's JSON, or the JSON itself; it may hold only"
            " the keys that differ"
        ),
    )
    put.add_argument(
        "-o",
        "--out",
        dest="target",
        type=Path,
        required=True,
        metavar="OUT.onnx",
        help="the copy to write",
    )
    put.add_argument(
        "--output", metavar="NAME", help="the output with the logits, where there are several"
    )
    add_json(put)
    add_written(put, "target")


def run(args: argparse.Namespace) -> int:
    """Show a spec, or write the copy and print its spec."""
    if args.command == "show":
        return _show(args.model, args.json)
    from crnn.export.adjust import set_spec

    spec = set_spec(args.model, args.target, spec=args.spec, output=args.output)
    data = {"schema": "crnn-spec-set/1", "target": args.target.name, "spec": spec.to_dict()}
    if put_json(data, args.json):
        return 0
    console.out(f"{args.target}: {args.model.name} with the spec")
    console.out_fields(spec.to_dict())
    return 0


def _show(model: Path, json: Optional[str]) -> int:
    from crnn.runners.open import open_runner

    found = open_runner(model).model
    spec = found.spec.to_dict()
    data = {"schema": "crnn-spec-show/1", "spec": spec, "spec_from": found.spec_from}
    if not put_json(data, json):
        console.out_fields(spec)
    return 0
