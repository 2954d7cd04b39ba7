"""``crnn doctor``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from crnn.cli import console
from crnn.cli.arguments import add_json, put_json
from crnn.errors import needs

HELP = "Show what this machine has and lacks for the kit, with the remedy for each line."
EXAMPLE = """  crnn doctor                 would an ONNX model run here?
  crnn doctor --ascend        would an OM run here?
  crnn doctor crnn_bs1.om     would this OM run here, on this chip?"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "model",
        type=Path,
        nargs="?",
        metavar="MODEL",
        help="an .om, .onnx or checkpoint to look at",
    )
    parser.add_argument(
        "--ascend", action="store_true", help="ask for running OMs on a chip (default: ONNX)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table; exit 4 when what was asked for would not run."""
    with needs("numpy"):
        from crnn.jobs.doctor.diagnosis import diagnose, rows

    found = diagnose(args.model, ascend=args.ascend, environ=os.environ)
    if not put_json(found.to_dict(), args.json):
        console.out_remedies(["", "check", "found", "remedy"], rows(found.checks))
        console.out()
        console.out(found.verdict)
    if found.ready:
        return 0
    return 4
