"""What the library costs: importing it, opening a model, reading one image, and its memory.

    crnn export examples/crnn_small.pth crnn.onnx
    python benchmarks/library.py crnn.onnx examples/words_lmdb

Processor time, which other programs on the machine do not lengthen, on one thread.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    start = time.process_time()
    import crnn

    _tell("import crnn", start)
    start = time.process_time()
    recognizer = crnn.Recognizer(args.model, threads=1)
    _tell("open the first model, its libraries with it", start)
    start = time.process_time()
    with crnn.Recognizer(args.model, threads=1):
        pass
    _tell("open another", start)
    from crnn.samples.source import open_labelled

    images = [sample.image or b"" for sample in open_labelled(args.data)]
    recognizer.read(images[0])
    start = time.process_time()
    for image in images:
        recognizer.read(image)
    _tell(f"read {len(images)} images one by one", start)
    start = time.process_time()
    recognizer.read(images)
    _tell(f"read {len(images)} images as a list", start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{peak / 1024:8.0f} MB  most memory")
    recognizer.close()


def _tell(what: str, start: float) -> None:
    print(f"{1000 * (time.process_time() - start):8.1f} ms  {what}")


if __name__ == "__main__":
    main()
