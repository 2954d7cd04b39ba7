"""``crnn dataset stats``."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any, Dict, Mapping

from crnn.cli import console
from crnn.cli.arguments import add_json, add_labelled_data, add_written, positive, put_json

HELP = "Count lengths, characters, sizes and aspects of a data set's words, as a table and a plot."
EXAMPLE = "  crnn dataset stats IIIT5K_lmdb --plot iiit5k.png"


USUAL_NARROWEST = 80
"""What is advised for a network that was trained at one width."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_labelled_data(parser)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw them, too")
    parser.add_argument(
        "--narrowest",
        type=_narrowest,
        default=32,
        metavar="W",
        help="propose no width below this, a multiple of 4 (default 32)",
    )
    add_json(parser)
    add_written(parser, "plot")


def run(args: argparse.Namespace) -> int:
    """Print the counts."""
    from crnn.datasets.stats import QUANTILES, held, plot, stats

    with console.progress("samples", None) as advance:
        found = stats(args.data, narrowest=args.narrowest, advance=advance)
    if args.plot:
        plot(found, args.plot)
    if put_json({**dataclasses.asdict(found), "percentiles": QUANTILES}, args.json):
        return 0
    console.out_fields(
        {"samples": found.samples, "labelled": found.labelled, "images measured": found.measured}
    )
    console.out()
    console.out_table(
        ["", *(f"{q} %" for q in QUANTILES)],
        [[n, *map(str, v)] for n, v in found.quantiles.items()],
    )
    tables: Dict[str, Mapping[Any, int]] = {
        "characters": found.lengths,
        "case": found.cases,
        "character": found.characters,
        **{name: held(counts) for name, counts in found.histograms.items()},
    }
    for name, counts in tables.items():
        console.out()
        rows = [
            [str(key), str(count), f"{_percent(count, sum(counts.values()))}"]
            for key, count in counts.items()
        ]
        console.out_table([name, "words" if name != "character" else "times", "%"], rows)
    _show_widths(found.widths, args.narrowest)
    return 0


def _show_widths(widths: Mapping[str, Any], narrowest: int) -> None:
    from crnn.datasets.widths import rows

    if not widths["best"]:
        return
    console.out()
    console.say(
        "the widths that fit these words best: a word's ideal one is"
        f" {widths['factor']:g} x its image's width / height; the error is the mean"
        " |ln(chosen / ideal)|"
    )
    console.out_table(["widths", "which", "error", ""], rows(widths))
    proposed = ",".join(map(str, widths["proposed"]))
    advice = ""
    if narrowest < USUAL_NARROWEST:
        advice = f": --narrowest {USUAL_NARROWEST} keeps to wider ones"
    console.say(
        f"crnn export --widths {proposed} writes them;"
        f" a network that was trained at one width may read worse far from it{advice}"
    )


def _narrowest(text: str) -> int:
    width = positive(text)
    if not 32 <= width <= 512 or width % 4:
        raise argparse.ArgumentTypeError(f"{text}: expected a multiple of 4 from 32 to 512")
    return width


def _percent(count: int, total: int) -> str:
    if total:
        return f"{100 * count / total:.1f}"
    return "0.0"
