"""``crnn inspect``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict

from crnn.cli import console
from crnn.cli.arguments import add_json, put_json
from crnn.filekind import OM, TORCH, kind_of

HELP = "Show what a model file holds: inputs, outputs, versions, spec and hashes."
EXAMPLE = """  crnn inspect crnn.onnx
  crnn inspect crnn.om --json -
  crnn inspect crnn_set                 a folder of OMs: which has which width and batch"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="an .onnx, .om or .pth, told by content, or the folder of a set of OMs",
    )
    parser.add_argument(
        "--command",
        action="store_true",
        help="show an OM's ATC command line too (it names local paths)",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print what the file holds."""
    if args.file.is_dir():
        return _show_set(args)
    kind = kind_of(args.file)
    if kind == OM or args.file.suffix == ".om":
        return _show_om(args)
    if kind == TORCH:
        data = _describe_checkpoint(args.file)
    else:
        data = _describe_onnx(args.file)
    if not put_json(data, args.json):
        console.out_fields(data)
    return 0


def _describe_checkpoint(path: Path) -> Dict[str, Any]:
    from crnn.weights.checkpoint import load_checkpoint

    return load_checkpoint(path).to_dict()


def _describe_onnx(path: Path) -> Dict[str, Any]:
    from crnn.export.describe import describe_onnx

    return describe_onnx(path)


def _show_set(args: argparse.Namespace) -> int:
    from crnn.jobs.om_set import COLUMNS, set_rows

    rows = set_rows(args.file)
    if put_json({"path": args.file.name, "oms": [row.to_dict() for row in rows]}, args.json):
        return 0
    console.out_table(COLUMNS, [row.cells() for row in rows])
    return 0


def _show_om(args: argparse.Namespace) -> int:
    from crnn.ascend.om_reader import read_om
    from crnn.ascend.sidecar import describe_sidecar

    om = read_om(args.file)
    beside = describe_sidecar(args.file, om.sha256)
    if not put_json({**om.to_dict(command=args.command), **beside}, args.json):
        console.out_fields({**om.fields(command=args.command), **beside})
    return 0
