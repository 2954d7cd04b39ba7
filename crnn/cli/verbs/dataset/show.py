"""``crnn dataset show``."""

from __future__ import annotations

import argparse
from pathlib import Path

from crnn.cli import console
from crnn.cli.arguments import add_json, add_labelled_data, add_written, natural, positive, put_json
from crnn.errors import InputError

HELP = "Draw a contact sheet of chosen or random words with their labels."
EXAMPLE = """  crnn dataset show IIIT5K_lmdb sheet.png --count 96 --seed 1
  crnn dataset show IIIT5K_lmdb three.png --keys test_7 test_23 test_1009"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_labelled_data(parser)
    parser.add_argument("out", type=Path, metavar="PNG", help="the picture to write")
    parser.add_argument(
        "--count",
        type=positive,
        default=96,
        metavar="N",
        help="so many words at random (default: 96)",
    )
    parser.add_argument(
        "--seed", type=natural, default=0, metavar="S", help="which words (default: 0)"
    )
    parser.add_argument(
        "--keys",
        nargs="+",
        metavar="KEY",
        help="these words instead, in this order, as the results name them",
    )
    parser.add_argument(
        "--columns", type=positive, default=8, metavar="N", help="words in a row (default: 8)"
    )
    parser.add_argument(
        "--font",
        type=Path,
        metavar="FILE",
        help="a .ttf, .otf or .ttc for the labels (default: the installed ones that have them)",
    )
    add_json(parser)
    add_written(parser, "out")


def run(args: argparse.Namespace) -> int:
    """Draw the sheet."""
    from crnn.datasets.glyphs import names_of
    from crnn.datasets.show import MAX_WORDS, choose, write_sheet
    from crnn.samples.source import open_labelled

    samples = choose(
        open_labelled(args.data), min(args.count, MAX_WORDS), keys=args.keys, seed=args.seed
    )
    missing = set(args.keys or ()) - {sample.key for sample in samples}
    if missing:
        raise InputError(
            f"{args.data} has no {', '.join(sorted(missing))}",
            hint="An LMDB's keys are test_1, test_2, …",
        )
    lacking = write_sheet(
        samples, args.out, args.columns, keys=args.keys is not None, font=args.font
    )
    if lacking:
        console.note(
            f"no font here has {names_of(lacking)}: drawn as ?; --font FILE gives one that has them"
        )
    fields = {"words": len(samples), "sheet": str(args.out)}
    if not put_json(fields, args.json):
        console.out_fields(fields)
    return 0
