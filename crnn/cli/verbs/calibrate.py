"""``crnn calibrate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from crnn.cli import console
from crnn.cli.arguments import (
    add_batch,
    add_devices,
    add_json,
    add_label,
    add_list_options,
    add_threads,
    add_written,
    put_json,
)
from crnn.cli.verbs.evaluate import request_of

HELP = "Fit the temperature that makes probabilities honest, and write a model that carries it."
EXAMPLE = """  crnn calibrate crnn.onnx words_lmdb -o calibrated.onnx
  crnn calibrate crnn.om words_lmdb -o calibrated.om     the sidecar of the copy takes it"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="an .onnx, an .om or a .pth, told by content"
    )
    parser.add_argument(
        "data", type=Path, metavar="DATA", help="labelled words that training has not seen"
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="COPY", help="the model to write"
    )
    add_label(parser)
    add_list_options(parser)
    add_batch(parser)
    add_devices(parser)
    add_threads(parser)
    add_json(parser)
    add_written(parser, "out")


def run(args: argparse.Namespace) -> int:
    """Calibrate, and say what it does."""
    from crnn.jobs.calibrate import CalibrateRequest, calibrate
    from crnn.reports.text import SIMULATED

    found = calibrate(request_of(CalibrateRequest, args), console.progress)
    for note in found.notes:
        console.note(note)
    if found.simulated:
        console.note(SIMULATED)
    if put_json(found.to_dict(), args.json):
        return 0
    console.say(f"{args.out}: temperature {found.temperature:g}, fitted on {found.words} words")
    rows = (
        ("at temperature 1", found.before),
        ("at the fitted one", found.after),
        ("each half at the other's", found.crossed),
    )
    for name, figures in rows:
        separation = "-"
        if figures.auroc is not None:
            separation = f"{figures.auroc:.4f}"
        console.say(
            f"{name:<26}calibration error {figures.ece:.4f}, log loss {figures.log_loss:.4f},"
            f" AUROC {separation}"
        )
    for width, words, temperature in found.by_width:
        console.say(f"width {width:<4} alone: {temperature:.3f} on {words} words")
    return 0
