"""The rehearsal in float16 against ONNX Runtime in float32: its time, and the words that differ.

python benchmarks/rehearsal.py crnn.onnx --data words_lmdb

NumPy's matrix library has threads of its own: for one, set OPENBLAS_NUM_THREADS=1 as well.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import common
import numpy as np
from evaluate import Run, bare_session, groups

from crnn.cli import console
from crnn.jobs.evaluate import EvaluateRequest, evaluate
from crnn.runners.onnx_runner import OnnxRunner
from crnn.runners.rehearsal_runner import RehearsalRunner

MANY = 1_000_000


def bare_rehearsal(runner: RehearsalRunner, images: np.ndarray, batch: int) -> Run:
    """Return nothing but the graph's runs, over batches that are there."""
    graph, name = runner._graph, runner.inputs[0].name
    assert graph is not None
    return lambda: [graph.run({name: group}) for group in groups(images, batch)]


def show_speed(model: Path, args: object) -> None:
    """Print how many times as long the rehearsal takes."""
    images = common.pixels(args.data, 64)
    with OnnxRunner(model, threads=args.threads) as single, RehearsalRunner(model) as half:
        for batch in (16, 64):
            contenders = {
                "float16": bare_rehearsal(half, images, batch),
                "float32": bare_session(single, images, batch),
            }
            seconds = common.interleaved(contenders, args)
            what = f"{model.name}, batch {batch}: float16 rehearsed / float32"
            common.show_ratio(what, seconds["float16"], seconds["float32"])


def show_words(model: Path, data: Path) -> None:
    """Print both accuracies, and how many words are read differently."""
    with tempfile.TemporaryDirectory() as folder:
        readings = Path(folder) / "float32.jsonl"
        single = evaluate(
            EvaluateRequest(model, data, batch=64, readings=readings), console.progress
        )
        half = evaluate(
            EvaluateRequest(
                model, data, batch=64, rehearse="float16", against=readings, max_differ=MANY
            ),
            console.progress,
        )
    assert half.comparison is not None
    print(
        f"{model.name}: {len(half.comparison.differing)} of {half.evaluation.total} words differ;"
        f" right {single.evaluation.correct} in float32, {half.evaluation.correct} in float16"
    )


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__)
    parser.add_argument("models", nargs="+", type=Path, help="ONNX files of the default spec")
    args = parser.parse_args()
    common.head("rehearsal", args)
    for model in args.models:
        show_speed(model, args)
        show_words(model, args.data)


if __name__ == "__main__":
    common.run(main)
