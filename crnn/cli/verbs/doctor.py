"""``crnn doctor``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from crnn.cli import console
from crnn.cli.arguments import add_json, add_spec, put_json
from crnn.errors import UsageError, needs
from crnn.filekind import require_file

HELP = "Show what this machine has and lacks for the kit, with the remedy for each line."
EXAMPLE = """  crnn doctor                      would an ONNX model run here?
  crnn doctor --ascend             would an OM run here?
  crnn doctor crnn_bs1.om          would this OM run here, on this chip?
  crnn doctor crnn_bs1.om --run    … and does it read what its ONNX read?
  crnn doctor --chip-report out    what is worth sending from a box with a chip"""


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
    add_spec(parser)
    parser.add_argument(
        "--run",
        dest="reads",
        action="store_true",
        help="let the OM read the built-in pictures and compare with what its ONNX read; exit 3"
        " where a text differs",
    )
    parser.add_argument(
        "--chip-report",
        type=Path,
        metavar="DIR",
        help="on a box with a chip: compile, run and measure for about ten minutes, go on where a"
        " step fails, and pack what to send into DIR (with MODEL, of that .onnx or .om)",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table; exit 4 when what was asked for would not run, 3 when it reads otherwise."""
    if args.reads and args.model is None:
        raise UsageError("--run needs an OM: crnn doctor NAME.om --run")
    if args.chip_report is not None:
        return _chip_report(args)
    with needs("numpy"):
        from crnn.jobs.doctor.diagnosis import diagnose, rows
        from crnn.jobs.read_again import read_again

    found = diagnose(args.model, ascend=args.ascend, environ=os.environ, spec=args.spec)
    data = found.to_dict()
    readings = []
    if args.reads and found.ready:
        readings = read_again(args.model)
        data["run"] = [reading.to_dict() for reading in readings]
    if not put_json(data, args.json):
        console.out_remedies(["", "check", "found", "remedy"], rows(found.checks))
        console.out()
        console.say(found.verdict)
        for reading in readings:
            for line in reading.lines():
                console.say(line)
    if not found.ready:
        return 4
    if all(reading.same for reading in readings):
        return 0
    return 3


def _chip_report(args: argparse.Namespace) -> int:
    from crnn.jobs.chip_report import make_report

    if args.model is not None:
        require_file(args.model, "an .onnx or an .om")
    made = make_report(args.chip_report, model=args.model, environ=os.environ, say=console.note)
    console.out_text(made.page.read_text(encoding="utf-8").rstrip())
    console.out()
    console.out(str(made.archive))
    return 0
