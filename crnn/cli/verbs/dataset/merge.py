"""``crnn dataset merge``."""

from __future__ import annotations

import argparse
from pathlib import Path

from crnn.cli import console
from crnn.cli.arguments import add_json, put_json

HELP = "Write several LMDBs' words into one."
EXAMPLE = "  crnn dataset merge MJ_lmdb ST_lmdb --out train_lmdb --drop-duplicates"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("sources", type=Path, nargs="+", metavar="LMDB", help="the LMDBs, in order")
    parser.add_argument("--out", type=Path, required=True, metavar="LMDB", help="the LMDB to write")
    parser.add_argument(
        "--drop-duplicates",
        action="store_true",
        help="leave out the same image and label (in the same case) again",
    )
    parser.add_argument("--force", action="store_true", help="replace an LMDB that is there")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Merge, and say what was left out."""
    from crnn.datasets.merge import merge

    with console.progress("words", None) as advance:
        done = merge(
            args.sources,
            args.out,
            drop_duplicates=args.drop_duplicates,
            force=args.force,
            advance=advance,
        )
    if not put_json({"words": dict(done.words), "skipped": dict(done.skipped)}, args.json):
        console.out_fields({**done.words, **done.skipped})
    return 0
