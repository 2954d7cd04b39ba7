"""Several views of a word: what decoding, making the views and reading them take of a processor.

python benchmarks/views.py MODEL.onnx --data words_lmdb
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, List, Sequence

import common

from crnn.batch import Sample
from crnn.image import spec_picture
from crnn.runners.onnx_runner import OnnxRunner
from crnn.samples.batches import image_batches
from crnn.samples.views import PictureViews
from crnn.views import SETS, View, available


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__, runs=1)
    parser.add_argument("model", type=Path, help="an ONNX of several widths")
    parser.add_argument("--words", type=int, default=200)
    args = parser.parse_args()
    common.head("views", args)
    samples = common.Repeated(args.data, args.words)
    words = [sample for sample in samples if sample.image is not None]
    print(f"{'views':<8}{'decode':>10}{'make':>10}{'read':>10}   us of processor a word; words/s")
    with OnnxRunner(args.model, threads=1) as runner:
        for count, views in SETS.items():
            kept = available(views, len(runner.spec.read_widths))
            runs = [measured(runner, words, kept) for _ in range(args.runs)]
            # Other programs only add to it.
            each = [1e6 * min(parts) / len(words) for parts in zip(*runs)]
            columns = "".join(f"{value:>10.0f}" for value in each)
            together, host = 1e6 / sum(each), 1e6 / sum(each[:2])
            print(f"{count:<8}{columns}   {together:.0f}; without reading {host:.0f}")


def measured(runner: OnnxRunner, words: List[Sample], views: Sequence[View]) -> Sequence[float]:
    """Return the processor seconds of decoding words, of making their views and of reading them."""
    spec = runner.spec
    maker = PictureViews(spec, views)
    begin = time.process_time()
    for sample in words:
        spec_picture(sample.image or b"", spec)
    decoded = time.process_time()
    pictures = [spec_picture(sample.image or b"", spec)[0] for sample in words]
    loaded = time.process_time()
    for picture in pictures:
        for view in views:
            maker.made(picture, view)
    made = time.process_time()
    batches: List[Any] = list(image_batches(words, spec, 64, views=maker, workers=1))
    ready = time.process_time()
    for batch in batches:
        runner.run(batch.images)
    return decoded - begin, made - loaded, time.process_time() - ready


if __name__ == "__main__":
    main()
