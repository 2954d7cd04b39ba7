"""``crnn dataset extract``."""

from __future__ import annotations

import argparse
from pathlib import Path

from crnn.cli import console
from crnn.cli.arguments import add_json, put_json

HELP = "Write an LMDB's images and labels as files."
EXAMPLE = """  crnn dataset extract IIIT5K_lmdb IIIT5K_words
  crnn dataset extract IIIT5K_lmdb sdk/ --form sdk"""

FORMS = ("tab", "comma", "space", "quoted", "sdk")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("data", type=Path, metavar="LMDB", help="the LMDB")
    parser.add_argument(
        "out", type=Path, metavar="DIR", help="the folder to write; its parent must exist"
    )
    parser.add_argument(
        "--form",
        choices=FORMS,
        default="tab",
        help="the annotation's lines (default: tab); sdk: NAME_img/image-%%09d.jpg and NAME_gt.txt",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace a folder of this kit's that is there"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Write the files, and say what was left out."""
    from crnn.datasets.extract import extract, extract_sdk

    with console.progress("words", None) as advance:
        if args.form == "sdk":
            done = extract_sdk(args.data, args.out, force=args.force, advance=advance)
        else:
            done = extract(args.data, args.out, form=args.form, force=args.force, advance=advance)
    fields = {"out": str(args.out), "written": done.written}
    if not put_json(
        {**fields, "skipped": dict(done.skipped), "changed": dict(done.changed)}, args.json
    ):
        console.out_fields({**fields, **done.skipped, **done.changed})
    return 0
