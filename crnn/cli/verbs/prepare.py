"""``crnn prepare``, and ``parse_testdata.py``, its historical name."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Optional, Sequence

from crnn.cli import console
from crnn.cli.arguments import (
    add_cluster,
    add_json,
    add_list_options,
    add_picture_options,
    add_written,
    asks_for_cluster,
    by_picture_options,
    cluster_of,
    filled,
    listing,
    positive,
    put_json,
)
from crnn.cli.main import run_script, script_parser
from crnn.cli.reading_options import add_width_rule, add_widths, by_widths
from crnn.errors import InputError

HELP = "Turn an LMDB, or a folder of images with their labels, into bins and a label file."
EXAMPLE = """  crnn prepare IIIT5K_lmdb input_bin
  crnn prepare IIIT5K_lmdb bins --label iiit5k.txt --info crnn.info --oov drop
  crnn prepare photos input_bin --annotation photos/gt.txt --dtype uint8
  crnn prepare IIIT5K_lmdb words.pack --pack
  crnn prepare IIIT5K_lmdb input_bin --views 3
  crnn prepare words_lmdb words.pack --pack --cluster 10.0.0.1:6379"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "data",
        type=Path,
        metavar="DATA",
        help="an LMDB (folder or data.mdb), or a folder of images",
    )
    parser.add_argument(
        "out",
        type=filled,
        metavar="OUT_DIR",
        help="folder for the bins; one of an earlier run is replaced",
    )
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare all arguments but the positional ones."""
    _add_targets(parser)
    parser.add_argument(
        "--dtype",
        choices=("float32", "uint8"),
        help="uint8: pixels, for models with AIPP (default: as the spec says)",
    )
    parser.add_argument(
        "--spec",
        metavar="FILE|NAME",
        help=(
            "the model to prepare for, its .om.json, its spec, or a preset such as mindspore-v2"
            " (default: the kit's own: gray, 32x100, 0-9a-z)"
        ),
    )
    _add_widths(parser)
    _add_out_options(parser)
    parser.add_argument(
        "--annotation",
        type=listing,
        metavar="FILE",
        help="image and label a line, for a folder of images",
    )
    parser.add_argument(
        "--form", metavar="FORM", help="the annotation's form, where its content does not tell"
    )
    add_list_options(parser)
    add_picture_options(parser)
    parser.add_argument(
        "--oov",
        choices=("keep", "drop", "strip"),
        default="keep",
        help=(
            "labels with characters outside the alphabet: keep them, to count as wrong (default),"
            " drop their samples, or strip the characters"
        ),
    )
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="threads that decode (default: all usable)"
    )
    add_cluster(parser, "decode", "that decode, of --threads each")
    add_json(parser)
    add_written(parser, "label", "info")


def _add_out_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pack",
        action="store_true",
        help="write one file, OUT_DIR, with an index beside it, in the place of a file a word",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace OUT_DIR with all that is in it"
    )
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave words without usable image out of the labels too",
    )


def _add_targets(parser: argparse.ArgumentParser) -> None:
    """Declare what is written beside the bins."""
    parser.add_argument(
        "--label",
        type=Path,
        default=Path("label.txt"),
        metavar="FILE",
        help="label file to write (default label.txt)",
    )
    parser.add_argument(
        "--info",
        type=Path,
        metavar="FILE",
        help=(
            "write the info file for benchmark tools too; of several widths one each, FILE_w80.info"
        ),
    )


def _add_widths(parser: argparse.ArgumentParser) -> None:
    """Declare what is about several widths, and several views."""
    add_widths(parser)
    add_width_rule(parser)
    parser.add_argument(
        "--per-width",
        action="store_true",
        help="put each width's bins into a folder of its own in OUT_DIR, such as w80",
    )
    parser.add_argument(
        "--views",
        type=filled,
        default="1",
        metavar="N|NAMES",
        help=(
            "write a bin for each of several views of a word, of which evaluate keeps the most"
            " probable reading: 1, 3, 5, 8, 18, or names such as near2,rot+3,inv (default 1)"
        ),
    )


def run(args: argparse.Namespace) -> int:
    """Prepare and print the summary."""
    from crnn.jobs.prepare import PrepareRequest, prepare, summary_lines
    from crnn.runners.open import by_width_rule, open_spec
    from crnn.samples.annotations import ListOptions
    from crnn.samples.source import open_labelled
    from crnn.spec import ModelSpec
    from crnn.views import parsed

    if args.spec:
        spec = open_spec(args.spec)
    else:
        spec = ModelSpec.default()
    spec = by_widths(by_picture_options(spec, args), args)
    spec = by_width_rule(spec, args.width_rule, args.spec or "the default spec")
    options = ListOptions(args.form, args.columns, args.encoding)
    source = open_labelled(args.data, args.annotation, options)
    request = PrepareRequest(
        source=source,
        out=args.out,
        label_file=args.label,
        spec=spec,
        info_file=args.info,
        dtype=args.dtype or ("uint8" if spec.input_dtype == "uint8" else "float32"),
        oov=args.oov,
        skip_bad=args.skip_bad,
        force=args.force,
        workers=args.threads,
        pack=args.pack,
        per_width=args.per_width,
        views=parsed(args.views),
    )
    for note in source.notes:
        console.note(note)
    if asks_for_cluster(args):
        cluster = cluster_of(args, args.threads)
        from crnn.cluster.preparing import prepare_on

        elsewhere = prepare_on(cluster, args.out, console.progress, console.note)
        summary = prepare(request, elsewhere=elsewhere)
    else:
        with console.progress("preparing", len(source)) as advance:
            summary = prepare(request, advance)
    if not put_json(summary.to_dict(), args.json):
        for line in summary_lines(summary):
            console.say(line)
    return 0


def parse_testdata(test_dir: str, output_bin: str, argv: Optional[Sequence[str]] = None) -> int:
    """``parse_testdata.py``: the verb with both positional arguments optional."""
    parser = script_parser(
        "parse_testdata.py",
        HELP,
        "  python parse_testdata.py ./IIIT5K_lmdb ./input_bin",
    )
    parser.add_argument(
        "data",
        type=Path,
        nargs="?",
        default=Path(test_dir),
        metavar="LMDB",
        help=f"the folder or its data.mdb, or a folder of images (default {test_dir})",
    )
    parser.add_argument(
        "out",
        type=filled,
        nargs="?",
        default=output_bin,
        metavar="OUT_DIR",
        help=f"folder for the bins; one of an earlier run is replaced (default {output_bin})",
    )
    add_options(parser)

    def command(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except InputError as error:
            if args.data != Path(test_dir) or args.data.exists():
                raise
            hint = "It is the default. Name yours: python parse_testdata.py LMDB OUT_DIR"
            raise InputError(error.message, hint=hint) from error

    return run_script(parser, argv, command)
