"""``crnn dataset synth``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from crnn.cli import console
from crnn.cli.arguments import add_json, natural, positive, put_json, read_alphabet
from crnn.labels import DIGITS_AND_LETTERS

HELP = (
    "Render words in open fonts into an LMDB; the same seed and fonts give the same words on any"
    " number of cores."
)
EXAMPLE = """  crnn dataset synth words_lmdb --count 100000 --seed 1
  crnn dataset synth plates_lmdb --count 5000 --seed 2 --words plates.txt
  crnn dataset synth out_lmdb --count 500 --seed 3 --fonts ttf/ --effects e.yaml"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "out", type=Path, metavar="OUT_LMDB", help="the LMDB to write; its parent must exist"
    )
    parser.add_argument("--count", type=positive, required=True, metavar="N", help="how many words")
    parser.add_argument("--seed", type=natural, required=True, metavar="S", help="which words")
    texts = parser.add_mutually_exclusive_group()
    texts.add_argument(
        "--pattern",
        metavar="PATTERN",
        help=(
            "texts of a pattern, such as '[A-Z]{2}[0-9]{4}', in the place of words"
            " (docs/decoding.md)"
        ),
    )
    texts.add_argument(
        "--words", type=Path, metavar="FILE", help="words, one a line (default: the system's list)"
    )
    parser.add_argument(
        "--fonts",
        type=Path,
        metavar="DIR",
        help="a folder of fonts (default: the installed ones of an open licence)",
    )
    parser.add_argument(
        "--effects", type=Path, metavar="FILE", help="YAML: lines of the table of effects to change"
    )
    parser.add_argument(
        "--alphabet", metavar="TEXT|@FILE", help="the model's characters (default: 0-9a-z)"
    )
    parser.add_argument(
        "--processes", type=positive, metavar="N", help="processes (default: one for each core)"
    )
    parser.add_argument("--force", action="store_true", help="replace an LMDB that is there")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Render, and say how fast."""
    from crnn.datasets.synth.generate import generate
    from crnn.datasets.synth.render import Renderer
    from crnn.machine import usable_cpus

    renderer = Renderer.create(
        args.seed,
        alphabet=read_alphabet(args.alphabet) or DIGITS_AND_LETTERS,
        words=args.words,
        fonts=args.fonts,
        effects_file=args.effects,
        pattern=args.pattern,
    )
    processes = args.processes or usable_cpus()
    start = time.perf_counter()
    with console.progress("words", args.count) as advance:
        there = generate(
            renderer, args.out, args.count, processes=processes, force=args.force, advance=advance
        )
    seconds = time.perf_counter() - start
    fields = {
        "out": str(args.out),
        "words": args.count,
        "rendered before": there,
        "fonts": len(renderer.fonts),
        "processes": processes,
        "seconds": round(seconds, 2),
        "words per second": round((args.count - there) / seconds, 1),
    }
    if not put_json({name.replace(" ", "_"): value for name, value in fields.items()}, args.json):
        console.out_fields(fields)
    return 0
