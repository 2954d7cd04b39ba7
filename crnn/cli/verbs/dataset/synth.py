"""``crnn dataset synth``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict

from crnn.cli import console
from crnn.cli.arguments import (
    add_cluster,
    add_json,
    asks_for_cluster,
    cluster_of,
    natural,
    positive,
    put_json,
    read_alphabet,
)
from crnn.errors import UsageError
from crnn.labels import DIGITS_AND_LETTERS
from crnn.machine import usable_cpus

if TYPE_CHECKING:
    from crnn.datasets.synth.render import Renderer

HELP = (
    "Render words in open fonts into an LMDB; the same seed and fonts give the same words on any"
    " number of cores."
)
EXAMPLE = """  crnn dataset synth words_lmdb --count 100000 --seed 1
  crnn dataset synth plates_lmdb --count 5000 --seed 2 --words plates.txt
  crnn dataset synth out_lmdb --count 500 --seed 3 --fonts ttf/ --effects e.yaml
  crnn dataset synth words_lmdb --count 1000000 --seed 1 --cluster 10.0.0.1:6379"""


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
    add_cluster(parser, "render", "that render")
    parser.add_argument("--force", action="store_true", help="replace an LMDB that is there")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Render, and say how fast."""
    from crnn.datasets.synth.render import Renderer

    if asks_for_cluster(args) and args.processes is not None:
        raise UsageError(
            "--processes does not go with --cluster, whose workers --cluster-cpus counts"
        )
    renderer = Renderer.create(
        args.seed,
        alphabet=read_alphabet(args.alphabet) or DIGITS_AND_LETTERS,
        words=args.words,
        fonts=args.fonts,
        effects_file=args.effects,
        pattern=args.pattern,
    )
    by: Dict[str, Any]
    start = time.perf_counter()
    if asks_for_cluster(args):
        by = {"cluster": args.cluster}
        there = _render_on_cluster(renderer, args)
    else:
        by = {"processes": args.processes or usable_cpus()}
        there = _render_here(renderer, args, by["processes"])
    seconds = time.perf_counter() - start
    fields = {
        "out": str(args.out),
        "words": args.count,
        "rendered before": there,
        "fonts": len(renderer.fonts),
        **by,
        "seconds": round(seconds, 2),
        "words per second": round((args.count - there) / seconds, 1),
    }
    if not put_json({name.replace(" ", "_"): value for name, value in fields.items()}, args.json):
        console.out_fields(fields)
    return 0


def _render_here(renderer: Renderer, args: argparse.Namespace, processes: int) -> int:
    """Render in processes of this machine, and return how many words were there."""
    from crnn.datasets.synth.generate import generate

    with console.progress("words", args.count) as advance:
        return generate(
            renderer, args.out, args.count, processes=processes, force=args.force, advance=advance
        )


def _render_on_cluster(renderer: Renderer, args: argparse.Namespace) -> int:
    """Have a cluster render, and return how many words were there."""
    cluster = cluster_of(args, 1)
    from crnn.cluster.rendering import render_on
    from crnn.datasets.synth.generate import generate

    elsewhere = render_on(cluster, console.progress, console.note)
    return generate(
        renderer, args.out, args.count, processes=1, force=args.force, elsewhere=elsewhere
    )
