"""Start-up: ``--help`` of crnn and of each historical script, against importing NumPy; and reading
one image, in processor time, against what it cannot do without.

python benchmarks/startup.py
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Sequence

import common

from crnn.export.graph import GraphOptions, build_graph
from crnn.samples.lmdb import LmdbSamples
from crnn.weights.checkpoint import load_checkpoint

SCRIPTS = (
    "pth2onnx.py",
    "parse_testdata.py",
    "get_info.py",
    "post_CRNN_pytorch_acl.py",
    "postpossess_CRNN_pytorch.py",
)


LEAST = """
import sys
import numpy, onnxruntime, PIL.Image
options = onnxruntime.SessionOptions()
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
"""
"""What reading an image cannot do without."""


def process(words: Sequence[str]) -> Callable[[], object]:
    """Return a run of Python with these arguments."""
    return lambda: subprocess.run(
        [sys.executable, *words], cwd=common.ROOT, stdout=subprocess.DEVNULL, check=True
    )


def main() -> None:
    """Measure and print."""
    args = common.arguments(__doc__, runs=21).parse_args()
    common.head("start-up", args)
    contenders = {
        "import numpy": process(["-c", "import numpy"]),
        "crnn": process(["-m", "crnn", "--help"]),
    }
    contenders.update({script: process([script, "--help"]) for script in SCRIPTS})
    contenders["python alone"] = process(["-c", ""])
    seconds = common.interleaved(contenders, args, warm_up=2)
    for name in ("crnn", *SCRIPTS):
        common.show_ratio(
            f"{name} --help / import numpy", seconds[name], seconds["import numpy"], "at most 2"
        )
    common.show_ratio(
        "python alone / import numpy", seconds["python alone"], seconds["import numpy"]
    )
    with tempfile.TemporaryDirectory() as name:
        reading(Path(name), args.runs)


def reading(folder: Path, runs: int) -> None:
    """Measure ``crnn read`` of one image, and print."""
    model, image = folder / "crnn.onnx", folder / "word.png"
    checkpoint = load_checkpoint(common.ROOT / "examples" / "crnn_small.pth")
    model.write_bytes(build_graph(checkpoint, GraphOptions()))
    image.write_bytes(next(iter(LmdbSamples(common.ROOT / "examples" / "words_lmdb"))).image or b"")
    least = process(["-c", LEAST, str(model)])
    whole = process(["-m", "crnn", "read", str(model), str(image)])
    pairs = [(processor_seconds(whole), processor_seconds(least)) for _ in range(runs)]
    common.show_ratio(
        "crnn read / its imports and the session, processor time", *zip(*pairs), "at most 2"
    )


def processor_seconds(run: Callable[[], object]) -> float:
    """Return the processor seconds of a process that is run and waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    common.run(main)
