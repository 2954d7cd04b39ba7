"""int8: ``crnn quantize``'s model against the float one, on one or several models, and how both
read.

python benchmarks/int8.py crnn.onnx --data words_lmdb

Without a model, the published network with random weights is measured, whose accuracy means
nothing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import common
import numpy as np
import onnx
from evaluate import bare_session

from crnn.errors import KitError
from crnn.export.quantize import quantise, quantised
from crnn.jobs.evaluate import EvaluateRequest, evaluate
from crnn.runners.int8 import saturates
from crnn.runners.onnx_runner import OnnxRunner

VNNI = {True: "no VNNI: wide int8 sums saturate", False: "int8 sums are exact"}


def accuracy(model: Path, data: Path, threads: int) -> float:
    """Return the accuracy on all words of the data set."""
    from crnn.cli import console

    return evaluate(
        EvaluateRequest(model, data, batch=64, threads=threads), console.progress
    ).evaluation.accuracy


def measure(model: Path, args: object, folder: Path, *, trained: bool) -> None:
    """Quantise a model, print the ratio at each batch and, of a trained one, both accuracies."""
    target = folder / "int8.onnx"
    if trained:
        try:
            quantise(model, target, args.data)
        except KitError as error:
            print(f"{model.name}: not measured: {error.message}")
            return
    else:
        # Random weights read nothing, for which `quantise` would refuse them.
        seen = np.split(common.pixels(args.data, 128), 8)
        target.write_bytes(quantised(onnx.load(str(model)), seen, folder))
    for batch in (1, 16, 64):
        images = common.pixels(args.data, max(batch, 64))
        with OnnxRunner(model, threads=args.threads) as plain, OnnxRunner(
            target, threads=args.threads
        ) as small:
            seconds = common.interleaved(
                {
                    "float": bare_session(plain, images, batch),
                    "int8": bare_session(small, images, batch),
                },
                args,
            )
        wanted = "at least 1.8" if batch > 1 else ""
        common.show_ratio(
            f"{model.name}, batch {batch}: int8 / float", seconds["float"], seconds["int8"], wanted
        )
    if trained:
        before, after = (accuracy(each, args.data, args.threads) for each in (model, target))
        print(
            f"{model.name}: accuracy {before:.4f} float, {after:.4f} int8: {after - before:+.4f},"
            " within 0.005 wanted"
        )


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__)
    parser.add_argument("models", nargs="*", type=Path, help="float ONNX files")
    args = parser.parse_args()
    common.head("int8", args)
    print(f"this processor: {VNNI[saturates()]}")
    with tempfile.TemporaryDirectory() as name:
        for model in args.models:
            measure(model, args, Path(name), trained=True)
        measure(common.full_width(Path(name))[1], args, Path(name), trained=False)


if __name__ == "__main__":
    common.run(main)
