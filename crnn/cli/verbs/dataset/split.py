"""``crnn dataset split``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Tuple

from crnn.cli import console
from crnn.cli.arguments import add_json, fraction, natural, put_json

HELP = "Share an LMDB's words out to several, the same image (or label) never on two sides."
EXAMPLE = "  crnn dataset split all_lmdb --part tr=0.9 --part val=0.1 --seed 1 --by label"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("data", type=Path, metavar="LMDB", help="the LMDB")
    parser.add_argument(
        "--part",
        type=_part,
        action="append",
        required=True,
        metavar="LMDB=FRACTION",
        help="an LMDB to write and its share of the words; repeat it, the shares add up to 1",
    )
    parser.add_argument(
        "--seed", type=natural, required=True, metavar="S", help="which words go where"
    )
    parser.add_argument(
        "--by",
        choices=("image", "label"),
        default="image",
        help="keep together what has the same image, or label too (default: image)",
    )
    parser.add_argument("--force", action="store_true", help="replace LMDBs that are there")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Split, and say what went where."""
    from crnn.datasets.merge import split

    with console.progress("words", None) as advance:
        done = split(
            args.data, args.part, seed=args.seed, by=args.by, force=args.force, advance=advance
        )
    if not put_json({"words": dict(done.words), "skipped": dict(done.skipped)}, args.json):
        console.out_fields({**done.words, **done.skipped})
    return 0


def _part(text: str) -> Tuple[Path, float]:
    name, sign, share = text.rpartition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an LMDB=FRACTION, such as train_lmdb=0.9"
        )
    return Path(name), fraction(share)
