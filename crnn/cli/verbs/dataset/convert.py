"""``crnn dataset convert``."""

from __future__ import annotations

import argparse
from pathlib import Path

from crnn.cli import console
from crnn.cli.arguments import (
    add_json,
    add_list_options,
    add_written,
    listing,
    put_json,
    read_alphabet,
)
from crnn.errors import CheckError, UsageError

HELP = (
    "Turn a download into an LMDB, or into a folder of images with an annotation file; say what was"
    " dropped and why."
)
EXAMPLE = """  crnn dataset convert iiit5k IIIT5K/ IIIT5K_lmdb --split test
  crnn dataset convert svt svt1/ svt_lmdb --split test
  crnn dataset convert synth90k max/90kDICT32px MJ_lmdb --split train
  crnn dataset convert folder words/ words_lmdb --annotation words/labels.jsonl
  crnn dataset convert ic03 SceneTrialTest/ ic03_words --as folder"""

KINDS = (
    "folder",
    "ic03",
    "ic13",
    "ic15",
    "iiit5k",
    "svt",
    "synth90k",
    "synthtext",
    "tfrecord",
    "tsv",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="the download's folder, or its annotation file"
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="the LMDB (or folder) to write; its parent must exist"
    )
    parser.add_argument(
        "--as",
        dest="form",
        choices=("lmdb", "folder"),
        default="lmdb",
        help="what to write (default: lmdb)",
    )
    _add_source_options(parser)
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="list all that was dropped, a JSON object a line",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace an LMDB (or folder of this kit's) that is there",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit 3 if anything was dropped, or a lexicon is not an image's",
    )
    add_json(parser)
    add_written(parser, "report")


def _add_source_options(parser: argparse.ArgumentParser) -> None:
    """Declare what a source's form needs to be told."""
    parser.add_argument(
        "--split", choices=("train", "val", "test", "all"), help="train, val, test or all, by kind"
    )
    parser.add_argument(
        "--annotation",
        type=listing,
        metavar="FILE",
        help="the annotation file, if it has another name",
    )
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="the folder that image names are relative to"
    )
    parser.add_argument(
        "--form",
        dest="lines",
        metavar="FORM",
        help="the form of an annotation's lines (default: told by content)",
    )
    add_list_options(parser)
    parser.add_argument(
        "--classes",
        type=Path,
        metavar="FILE|none",
        help=(
            "labels are class numbers: the characters of class 1, 2, … a line each (a first line"
            " blank is class 0); none: the numbers are the texts"
        ),
    )
    parser.add_argument(
        "--label-from-name",
        choices=("last", "middle", "text", "stem"),
        help=(
            "folder: take labels from file names: after the last _, between the first and last _,"
            " before the last _ (text: TextRecognitionDataGenerator's TEXT_ID), or the whole stem"
        ),
    )
    parser.add_argument(
        "--lexicon", type=Path, metavar="FILE", help="the lexicon of the whole set, a word a line"
    )
    parser.add_argument(
        "--lexicons",
        type=Path,
        metavar="FILE",
        help="images' lexicons, lines of: image word,word,…",
    )
    parser.add_argument(
        "--alphabet", metavar="TEXT|@FILE", help="tfrecord: the characters in class order"
    )
    parser.add_argument(
        "--ord-map", type=Path, metavar="FILE", help="tfrecord: the training's ord_map.json"
    )


def run(args: argparse.Namespace) -> int:
    """Convert, and say what became of the source."""
    from crnn.datasets.convert import convert
    from crnn.datasets.options import ConvertOptions

    if args.ord_map and args.alphabet:
        raise UsageError(
            "--ord-map and --alphabet both say which class is which character; give one of them"
        )
    options = ConvertOptions(
        split=args.split,
        annotation=args.annotation,
        images=args.images,
        form=args.lines,
        label_from_name=args.label_from_name,
        lexicon=args.lexicon,
        lexicons=args.lexicons,
        alphabet=read_alphabet(args.alphabet),
        ord_map=args.ord_map,
        columns=args.columns,
        encoding=args.encoding,
        classes=args.classes,
    )
    with console.progress("words", None) as advance:
        report = convert(
            args.kind,
            args.source,
            args.out,
            options,
            form=args.form,
            force=args.force,
            report_file=args.report,
            advance=advance,
        )
    dropped, unmatched = sum(report.dropped.values()), len(report.unmatched)
    fields = {"out": str(args.out), "written": report.written, "dropped": dict(report.dropped)}
    if unmatched:
        names = ", ".join(map(repr, report.unmatched[:3])) + (" …" if unmatched > 3 else "")
        console.note(
            f"lines of {args.lexicons} for no image, or for several by a short name: {unmatched}"
            f" ({names})"
        )
    for text in report.notes:
        console.note(text)
    if not put_json({**fields, "unmatched_lexicons": unmatched}, args.json):
        for one in report.examples:
            console.note(f"dropped: {one.name}: {one.problem.reason}: {one.problem.detail}")
        if dropped > len(report.examples):
            console.note(f"… and {dropped - len(report.examples)} more; --report FILE lists all")
        console.out_fields({"written": report.written, "dropped": dropped, **report.dropped})
    if dropped and args.strict:
        raise CheckError(
            f"{dropped} of {dropped + report.written} were dropped, and --strict allows none"
        )
    if unmatched and args.strict:
        raise CheckError(
            f"{unmatched} lines of {args.lexicons} are not an image's; --strict allows none"
        )
    return 0
