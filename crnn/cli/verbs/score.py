"""``crnn score``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from crnn.cli import console
from crnn.cli.arguments import add_json, add_list_options, listing
from crnn.cli.verbs.evaluate import add_checks, present, request_of, require_format
from crnn.errors import UsageError

HELP = (
    "Score the raw outputs that benchmark, ais_bench, msame or MindSpore have left, as"
    " evaluate would; or join the parts of a run of evaluate."
)
EXAMPLE = """  crnn score result/dumpOutput_device0 --label label.txt
  crnn score result --label label.txt --json result.json
  crnn score out --label ann.txt --spec mindspore-native --format mindspore-310
  crnn score run_of_host1 run_of_host2 --json result.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "results",
        type=Path,
        nargs="+",
        metavar="DIR",
        help=(
            "NAME_0.bin or NAME_1.bin, msame's NAME_output_0.bin, the same as .npy or .txt; or the"
            " folder above them; or folders of evaluate --run, which have their labels"
        ),
    )
    parser.add_argument(
        "--label",
        type=listing,
        metavar="FILE",
        help="label.txt of the bins, or an annotation file",
    )
    add_list_options(parser)
    add_json(parser)
    add_checks(parser)


def run(args: argparse.Namespace) -> int:
    """Score, write the result, then say which checks failed."""
    from crnn.jobs.evaluate import ScoreRequest, score
    from crnn.jobs.runs import is_run, score_runs

    require_format(args)
    folders: Sequence[Path] = args.results
    args.results = folders[0]
    if is_run(folders[0]):
        _refuse_kept(args)
        request = request_of(ScoreRequest, args)
        return present(args, score_runs(request, folders, console.progress, console))
    if len(folders) > 1:
        raise UsageError(f"several folders are those of runs, and {folders[0]} is not one")
    outcome = score(request_of(ScoreRequest, args), console.progress, screen=console)
    return present(args, outcome)


def _refuse_kept(args: argparse.Namespace) -> None:
    """Refuse options that say again how words were read, which a run keeps."""
    of_data = ("label", "spec", "output_axes", "columns", "encoding", "width_rule")
    of_texts = ("lexicon", "lexicons", "allow", "pattern", "alternatives", "characters")
    for option in (*of_data, *of_texts):
        if getattr(args, option):
            raise UsageError(f"--{option.replace('_', '-')} does not go with a run, which keeps it")
