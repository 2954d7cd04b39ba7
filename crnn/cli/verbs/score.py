"""``crnn score``."""

from __future__ import annotations

import argparse
from pathlib import Path

from crnn.cli import console
from crnn.cli.arguments import add_json, add_list_options, listing
from crnn.cli.verbs.evaluate import add_checks, present, request_of, require_format

HELP = (
    "Score the raw outputs that benchmark, ais_bench, msame or MindSpore have left, as"
    " evaluate would."
)
EXAMPLE = """  crnn score result/dumpOutput_device0 --label label.txt
  crnn score result --label label.txt --json result.json
  crnn score out --label ann.txt --spec mindspore-native --format mindspore-310"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "results",
        type=Path,
        metavar="DIR",
        help=(
            "NAME_0.bin or NAME_1.bin, msame's NAME_output_0.bin, the same as .npy or .txt; or the"
            " folder above them"
        ),
    )
    parser.add_argument(
        "--label",
        type=listing,
        required=True,
        metavar="FILE",
        help="label.txt of the bins, or an annotation file",
    )
    add_list_options(parser)
    add_json(parser)
    add_checks(parser)


def run(args: argparse.Namespace) -> int:
    """Score, write the result, then say which checks failed."""
    from crnn.jobs.evaluate import ScoreRequest, score

    require_format(args)
    outcome = score(request_of(ScoreRequest, args), console.progress, screen=console)
    return present(args, outcome)
