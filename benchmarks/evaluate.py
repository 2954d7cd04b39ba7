"""evaluate: the full-width model from bins and from an LMDB, against the bare session and other
ways to run it.

python benchmarks/evaluate.py --data words_lmdb --words 512

Peers that are not installed (PyTorch, OpenCV, OpenVINO) are left out, which is said. The model is
the published network with random weights: what it reads means nothing, how long it takes does.
"""

from __future__ import annotations

import importlib.util
import itertools
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator

import common
import numpy as np

from crnn.image import decode
from crnn.jobs.prepare import PrepareRequest, prepare
from crnn.runners.onnx_runner import OnnxRunner
from crnn.samples.bins import BinFolder
from crnn.samples.source import ImageSource
from crnn.scoring.scorer import Scorer
from crnn.scoring.stream import run_batches

Run = Callable[[], object]


def evaluation(runner: OnnxRunner, source: Any, batch: int) -> Run:
    """Return what ``crnn evaluate`` does once the model is loaded."""

    def run() -> None:
        scorer = Scorer(runner.spec)
        for group, logits in run_batches(runner, source, batch):
            scorer.add(group, logits)

    return run


def bare_session(runner: OnnxRunner, images: np.ndarray, batch: int) -> Run:
    """Return nothing but the session's calls, over batches that are there."""
    session, name = runner._session, runner.inputs[0].name
    return lambda: [session.run(None, {name: group}) for group in groups(images, batch)]


def decoding(words: common.Repeated) -> Run:
    """Return decoding, resizing and normalising on one core."""
    return lambda: [
        common.SPEC.normalise(decode(sample.image or b"", common.SPEC)) for sample in words
    ]


def torch_eager(checkpoint: Path, images: np.ndarray, batch: int, threads: int) -> Run:
    """Return PyTorch without gradients over batches that are there."""
    import torch

    from crnn.weights.checkpoint import load_checkpoint

    torch.set_num_threads(threads)
    network = load_checkpoint(checkpoint).model

    def run() -> None:
        with torch.inference_mode():
            for group in groups(images, batch):
                network(torch.from_numpy(group)).numpy()

    return run


def opencv_model(onnx: Path, words: common.Repeated, threads: int) -> Run:
    """Return OpenCV's TextRecognitionModel, which takes one image at a time, decoded already; it
    resizes itself.
    """
    import cv2

    cv2.setNumThreads(threads)
    model = cv2.dnn.TextRecognitionModel(str(onnx))
    model.setDecodeType("CTC-greedy")
    model.setVocabulary(list(common.SPEC.characters))
    model.setInputParams(1 / 127.5, (100, 32), (127.5,))
    images = [
        cv2.imdecode(np.frombuffer(sample.image or b"", dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
        for sample in words
    ]
    return lambda: [model.recognize(image) for image in images]


def openvino_model(onnx: Path, images: np.ndarray, batch: int, threads: int) -> Run:
    """Return OpenVINO's compiled model, in float32, over batches that are there."""
    import openvino

    core = openvino.Core()
    options = {
        "INFERENCE_NUM_THREADS": str(threads),
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(core.read_model(str(onnx)), "CPU", options)
    request = compiled.create_infer_request()
    return lambda: [request.infer([group]) for group in groups(images, batch)]


def groups(images: np.ndarray, batch: int) -> Iterator[np.ndarray]:
    """Yield the images batch by batch."""
    return (images[start : start + batch] for start in range(0, len(images), batch))


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__)
    parser.add_argument("--words", type=int, default=512, help="words a run (default 512)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--no-peers", action="store_true", help="the kit and its bounds alone")
    args = parser.parse_args()
    common.head(f"evaluate, full width, batch {args.batch}", args)
    with tempfile.TemporaryDirectory() as name, common.scratch() as memory:
        checkpoint, onnx = common.full_width(Path(name))
        words = common.Repeated(args.data, args.words)
        bins, labels = Path(memory) / "bins", Path(memory) / "label.txt"
        prepare(PrepareRequest(words, str(bins), labels, common.SPEC))
        folder = BinFolder(bins, labels, common.SPEC)
        images = np.concatenate([group.images.copy() for group in folder.batches(args.batch)])
        with OnnxRunner(onnx, threads=args.threads) as runner:
            contenders = {
                "bare session.run": bare_session(runner, images, args.batch),
                "evaluate, bins": evaluation(runner, folder, args.batch),
                "evaluate, LMDB": evaluation(
                    runner, ImageSource(words, common.SPEC, args.threads), args.batch
                ),
                "decode + resize + normalise, one core": decoding(words),
            }
            if not args.no_peers:
                peers = {
                    "PyTorch eager": (
                        "torch",
                        lambda: torch_eager(checkpoint, images, args.batch, args.threads),
                    ),
                    "OpenCV dnn TextRecognitionModel, one by one": (
                        "cv2",
                        lambda: opencv_model(onnx, words, args.threads),
                    ),
                    "OpenVINO": (
                        "openvino",
                        lambda: openvino_model(onnx, images, args.batch, args.threads),
                    ),
                    "bare session.run, one by one": (
                        "onnxruntime",
                        lambda: bare_session(runner, images, 1),
                    ),
                }
                for peer, (package, make) in peers.items():
                    if importlib.util.find_spec(package):
                        contenders[peer] = make()
                    else:
                        print(f"{peer}: left out, {package} is not installed")
            seconds = common.interleaved(contenders, args)
    common.show_rates(seconds, args.words)
    bare, decoded = seconds["bare session.run"], seconds["decode + resize + normalise, one core"]
    bound = [first + second / args.threads for first, second in zip(bare, decoded)]
    common.show_ratio("evaluate from bins / bare", bare, seconds["evaluate, bins"], "at least 0.97")
    common.show_ratio(
        "evaluate from the LMDB / its bound", bound, seconds["evaluate, LMDB"], "at least 0.97"
    )
    for peer in itertools.islice(seconds, 4, None):
        common.show_ratio(f"evaluate from bins / {peer}", seconds[peer], seconds["evaluate, bins"])


if __name__ == "__main__":
    common.run(main)
