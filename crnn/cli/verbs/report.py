"""``crnn report``."""

from __future__ import annotations

import argparse
from pathlib import Path

from crnn.cli import console
from crnn.cli.arguments import add_json, add_written, natural, path, put_json

HELP = (
    "Make one HTML page of saved results: accuracy, the worst words with their pictures,"
    " confusions, how far confidences can be trusted, what changed between two runs. No model is"
    " run, and the page needs no network."
)
EXAMPLE = """  crnn evaluate crnn.onnx words_lmdb --json r.json --readings r.jsonl
  crnn report r.json r.jsonl --data words_lmdb -o report.html
  crnn report run --data words_lmdb -o report.html                  the folder of evaluate --run
  crnn report old.json old.jsonl new.json new.jsonl -o changes.html --lang zh"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "results",
        type=path,
        nargs="+",
        metavar="RESULT",
        help=(
            "JSON of evaluate, score, compare or bench; readings (JSON Lines or CSV) right after"
            " the result of the same run, or alone; the folder of a run (evaluate --run), complete"
            " or not; NAME.om.json for where an OM comes from."
            " Readings of a second run over the same data are compared with the first's"
        ),
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.html", help="the page to write"
    )
    parser.add_argument(
        "--data",
        type=path,
        action="append",
        default=[],
        metavar="DATA",
        help="an LMDB or folder of images that has the pictures; may be given several times",
    )
    parser.add_argument(
        "--top",
        type=natural,
        default=300,
        metavar="N",
        help="the most words of a table (default: 300)",
    )
    parser.add_argument("--lang", default="en", metavar="LANG", help="en or zh (default: en)")
    parser.add_argument(
        "--common",
        action="store_true",
        help="compare the words that two runs share, where they do not hold the same",
    )
    add_json(parser)
    add_written(parser, "output")


def run(args: argparse.Namespace) -> int:
    """Write the page and say what is in it."""
    from crnn.errors import needs

    with needs("Jinja2", extra="report"):
        import jinja2  # noqa: F401
    from crnn.cli.verbs.evaluate import request_of
    from crnn.jobs.report.build import ReportRequest, report

    outcome = report(request_of(ReportRequest, args))
    for note in outcome.notes:
        console.note(f"not shown: {note}")
    told = {
        "report": str(outcome.path),
        "bytes": outcome.size,
        "shown": outcome.shown,
        "misses": outcome.misses,
    }
    if not put_json(told, args.json):
        console.say(
            f"{outcome.path}: {outcome.size} bytes, {outcome.shown} of {outcome.misses} wrong words"
        )
    return 0
