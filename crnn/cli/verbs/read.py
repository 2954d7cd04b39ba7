"""``crnn read``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List

from crnn.cli import console
from crnn.cli.arguments import (
    STDOUT,
    add_batch,
    add_json,
    add_output_axes,
    add_reading,
    add_threads,
    put_json,
)
from crnn.cli.reading_options import (
    add_decoding,
    add_nearest_width,
    add_sure,
    add_views,
    add_width_rule,
    decoding_arguments,
    sure_options,
)
from crnn.errors import InputError

if TYPE_CHECKING:
    from crnn.results import Reading

HELP = "Read the words in images: a line each, with path, text and confidence."
EXAMPLE = "  crnn read crnn.onnx word1.png word2.jpg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="an .onnx, an .om or a .pth, told by content"
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files, one word each")
    add_json(parser)
    add_batch(parser)
    add_reading(parser)
    add_output_axes(parser)
    add_width_rule(parser)
    add_views(parser)
    add_sure(parser, labelled=False)
    add_decoding(parser, samples=False)
    parser.add_argument("--device", default="", help="cpu or cuda; for an OM a chip's number")
    add_threads(parser)
    add_nearest_width(parser)


def run(args: argparse.Namespace) -> int:
    """Read every image that can be read; exit 1 after them if one could not."""
    from crnn.image import remark_lines
    from crnn.recognizer import Recognizer
    from crnn.reports.result_json import reading_dict
    from crnn.reports.text import SIMULATED

    unreadable: List[InputError] = []
    with Recognizer(
        args.model,
        device=args.device,
        threads=args.threads,
        batch=args.batch,
        spec=args.spec,
        output=args.output,
        output_axes=args.output_axes,
        nearest_width=args.nearest_width,
        width_rule=args.width_rule,
        views=args.views,
        **_sure(args),
        **decoding_arguments(args),
    ) as recognizer:
        for note in recognizer.notes:
            console.note(note)
        if recognizer.simulated:
            console.note(SIMULATED)
        readings = []
        for reading in recognizer.read_each(args.images, on_error=unreadable.append):
            readings.append(reading_dict(reading))
            if args.json != STDOUT:
                console.out(_line(reading))
        put_json(
            {"schema": "crnn-readings/1", "readings": readings, "simulated": recognizer.simulated},
            args.json,
        )
    for line in remark_lines(recognizer.remarks, recognizer.spec):
        console.note(line)
    if recognizer.views_left_out:
        left_out = len(recognizer.views_left_out) * len(readings)
        console.note(f"{left_out} views of {len(readings)} images were left out")
    for problem in unreadable:
        console.error(problem)
    if unreadable:
        raise InputError(f"{len(unreadable)} of {len(args.images)} images could not be read")
    return 0


def _line(reading: Reading) -> str:
    """Return path, text and confidence; where asked for, the probability and the verdict too."""
    parts = [reading.key, reading.text, f"{reading.confidence:.4f}"]
    if reading.probability is not None:
        parts.append(f"{reading.probability:.4f}")
    if reading.rejected is not None:
        verdict = "kept"
        if reading.rejected:
            verdict = "rejected"
        parts.append(verdict)
    return "\t".join(parts)


def _sure(args: argparse.Namespace) -> Dict[str, Any]:
    """Return the arguments of `Recognizer` that say how sure it is."""
    options = sure_options(args)
    if options is None:
        return {}
    from crnn.jobs.sure import SureJob

    job = SureJob(options)
    return {
        "probability": job.decoding.probability,
        "characters": options.characters,
        "reject": job.threshold,
    }
