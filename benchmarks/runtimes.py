"""ONNX Runtime beside OpenVINO, in float32 and in int8, over batches that are there.

python benchmarks/runtimes.py MODEL.onnx --data words_lmdb

Without a model the published network with random weights alone. The int8 contenders run the same
file: convolutions and products between quantised values, the LSTMs in float32, since OpenVINO has
no dynamically quantised LSTM; beside them stands the kit's own int8, whose LSTMs are in int8 too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Dict

import common
import numpy as np
import onnx
from evaluate import Run, bare_session, openvino_model

from crnn.errors import needs
from crnn.export.quantize import quantised
from crnn.runners.onnx_runner import OnnxRunner

BATCHES = (1, 16, 64)
WANTED = {"OpenVINO": "above 1.05: a runner for it", "OpenVINO, int8, LSTMs float": ""}


def contenders(runners: Dict[str, OnnxRunner], batch: int, args: Any) -> Dict[str, Run]:
    """Return each way of running a model over the same images."""
    images = common.pixels(args.data, max(batch, args.words))
    found: Dict[str, Run] = {}
    for name, runner in runners.items():
        found[name] = bare_session(runner, images, batch)
        path = runner.model.path
        other = name.replace("ONNX Runtime", "OpenVINO")
        if "LSTMs int8" not in name:
            found[other] = openvino_model(path, images, batch, args.threads)
    return found


def measure(model: Path, args: Any) -> None:
    """Quantise a model and print the ratios at each batch."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = folder / "int8.onnx"
        seen = np.split(common.pixels(args.data, 128), 8)
        whole.write_bytes(quantised(onnx.load(str(model)), seen, folder))
        files = {
            "ONNX Runtime": model,
            "ONNX Runtime, int8, LSTMs float": folder / "static.onnx",
            "ONNX Runtime, int8, LSTMs int8": whole,
        }
        runners = {what: OnnxRunner(path, threads=args.threads) for what, path in files.items()}
        for runner in runners.values():
            runner.__enter__()
        for batch in BATCHES:
            seconds = common.interleaved(contenders(runners, batch, args), args)
            for what, values in seconds.items():
                if what != "ONNX Runtime":
                    title = f"{model.name}, batch {batch}: {what} / ONNX Runtime"
                    wanted = WANTED.get(what, "") if batch > 1 else ""
                    common.show_ratio(title, seconds["ONNX Runtime"], values, wanted)
        for runner in runners.values():
            runner.__exit__(None, None, None)


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__, runs=9)
    parser.add_argument("models", nargs="*", type=Path, help="float ONNX files")
    parser.add_argument("--words", type=int, default=128, help="words a run (default 128)")
    parser.add_argument("--narrow-only", action="store_true", help="not the full width")
    args = parser.parse_args()
    with needs("openvino"):
        import openvino
    common.head(f"ONNX Runtime and OpenVINO {openvino.__version__}", args)
    for model in args.models:
        measure(model, args)
    if not args.narrow_only:
        with tempfile.TemporaryDirectory() as name:
            measure(common.full_width(Path(name))[1], args)


if __name__ == "__main__":
    common.run(main)
