"""Several views of a word: what they take of a host that feeds a simulated chip from an LMDB.

crnn export examples/crnn_small.pth w.onnx --widths 80,100,128,160,200
mkdir set && python -m crnn.simulator -- crnn compile w.onnx set/w --widths all --batch 64
python benchmarks/views_chip.py set --data words_lmdb

No chip is involved, and the simulated one's time is not a chip's: the simulator, in timing-only
mode, computes nothing and is given the published 17 815 images/s for any width. What is measured
is the host: the processor time, of all its threads, of reading the LMDB, decoding, making the
views, batches, pyACL's calls and greedy CTC with the probabilities, without what the simulator's
own calls take; of several runs the least, since other programs only add to it. Batches are counted,
since a chip takes as long for one that is not full.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import List, NamedTuple, Sequence

import common
from simulated_chip import RATE, Meter

from crnn.ascend import acl_state as process
from crnn.decoding.decoder import Decoder, DecodingOptions
from crnn.runners.open import open_runner
from crnn.samples.source import ImageSource
from crnn.samples.views import PictureViews
from crnn.scoring.scorer import Scorer
from crnn.scoring.stream import run_batches
from crnn.simulator import Knobs, Simulator, installed
from crnn.views import SETS, View, available


class Spent(NamedTuple):
    """What a run took: the host's microseconds of processor a word, and batches."""

    host: float
    batches: int


def run(folder: Path, words: common.Repeated, views: Sequence[View], batch: int) -> Spent:
    """Evaluate the words in these views on the simulated chip."""
    knobs = Knobs(soc="Ascend310P3", timing_only=True, compute_ms=1000 * batch / RATE)
    batches = 0
    with installed(Simulator(knobs)) as acl:
        meter = Meter(acl)
        with open_runner(folder) as runner:
            spec = runner.spec
            kept = available(views, len(spec.read_widths))
            maker, decoder = None, None
            if len(kept) > 1:
                maker = PictureViews(spec, kept)
                decoder = Decoder(spec, DecodingOptions(probability=True))
            source = ImageSource(words, spec, 1, views=maker)
            scorer = Scorer(spec, decoder=decoder)
            meter.seconds = 0.0
            start = time.process_time()
            for group, logits in run_batches(runner, source, batch):
                scorer.add(group, logits)
                batches += 1
            seconds = time.process_time() - start - meter.seconds
        # Otherwise the next run's machine would be taken for one that is initialised.
        process.finalize()
    if scorer.metric.total != len(words):
        raise SystemExit(f"{scorer.metric.total} words were counted; expected {len(words)}")
    return Spent(1e6 * seconds / len(words), batches)


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__, runs=3)
    parser.add_argument("set", type=Path, help="a folder of simulated OMs of several widths")
    parser.add_argument("--words", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--views", default="1,3,5,8", help="sets of views (default 1,3,5,8)")
    args = parser.parse_args()
    common.head(f"views on a SIMULATED chip at {RATE:.0f} images/s, batch {args.batch}", args)
    counts = [int(word) for word in args.views.split(",")]
    found: List[List[Spent]] = [[] for _ in counts]
    words = common.Repeated(args.data, args.words)
    for _ in range(args.runs):
        for count, spent in zip(counts, found):
            spent.append(run(args.set, words, SETS[count], args.batch))
    print(f"{'views':<8}{'host':>10}{'chip':>10}   us a word; words/s by the slower; batches")
    for count, spent in zip(counts, found):
        host = min(each.host for each in spent)
        # Each batch takes the chip as long as a full one.
        chip = 1e6 * spent[0].batches * args.batch / RATE / args.words
        rate = 1e6 / max(host, chip)
        print(f"{count:<8}{host:>10.0f}{chip:>10.0f}   {rate:.0f}; {spent[0].batches} batches")


if __name__ == "__main__":
    common.run(main)
