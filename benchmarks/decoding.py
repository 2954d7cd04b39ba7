"""Words that may be read: lexicons of 50, 1000 and 50 000 words, patterns and n-best lists, beside
peers.

python benchmarks/decoding.py MODEL --data WORDS_LMDB --words WORD_LIST

How fast each is on one core, and how many words it reads right. Each lexicon holds the true word;
the others are drawn from the list with a fixed seed, so the accuracies are not those of the
lexicons that the data sets' authors made.
"""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import common
import numpy as np

from crnn import ctc
from crnn.decoding.choosers import LexiconChooser
from crnn.decoding.decoder import Decoder, DecodingOptions
from crnn.decoding.lexicon import lexicon_of, read_words
from crnn.image import decode
from crnn.runners.open import open_runner
from crnn.samples.lmdb import LmdbSamples
from crnn.spec import ModelSpec

LARGE = 50_958
SEED = 1


class Words(NamedTuple):
    """The data: logits (T, N, K), the folded truths, and a list of other words."""

    logits: np.ndarray
    truths: Sequence[str]
    others: Sequence[str]
    spec: ModelSpec


class Lists:
    """A lexicon for each sample: its truth among others."""

    def __init__(self, words: Words, size: int) -> None:
        rng = random.Random(SEED)
        self._lists: List[List[str]] = []
        for truth in words.truths:
            self._lists.append([truth, *rng.sample(words.others, size - 1)])

    def words(self, key: str, number: int) -> Sequence[str]:
        """Return a sample's words."""
        return self._lists[int(key)]

    def require(self, number: int) -> None:
        """Do nothing: every sample has its list."""

    def whole(self) -> Sequence[str]:
        """Return nothing."""
        return ()


def load(model: Path, data: Path, word_list: Path, most: int) -> Words:
    """Run the model over the data once."""
    labels: List[str] = []
    parts: List[np.ndarray] = []
    with open_runner(model, threads=1) as runner:
        spec = runner.spec
        pixels: List[np.ndarray] = []
        for sample in LmdbSamples(data):
            if sample.image is None or sample.label is None or len(labels) == most:
                continue
            labels.append(spec.fold(sample.label))
            pixels.append(decode(sample.image, spec))
        for begin in range(0, len(pixels), 100):
            parts.append(runner.run(spec.table[np.stack(pixels[begin : begin + 100])]))
    lexicon = lexicon_of(read_words(word_list), spec, str(word_list))
    known = set(labels)
    others = [word for word in lexicon.texts if word not in known]
    return Words(np.concatenate(parts, axis=1), labels, others, spec)


def run(words: Words, decoder: Decoder, batch: int, rows: Sequence[int]) -> Tuple[float, List[str]]:
    """Decode rows in batches; return the processor seconds and the texts."""
    texts: List[str] = []
    start = time.process_time()
    for begin in range(0, len(rows), batch):
        part = list(rows[begin : begin + batch])
        texts += decoder.decode(words.logits[:, part], [str(row) for row in part]).texts
    return time.process_time() - start, texts


def show(
    name: str, words: Words, decoder: Decoder, runs: int, batch: int, rows: Optional[Sequence[int]]
) -> None:
    """Print speed and accuracy of a decoder."""
    rows = range(len(words.truths)) if rows is None else rows
    found = [run(words, decoder, batch, rows) for _ in range(runs)]
    seconds = statistics.median(spent for spent, _ in found)
    right = [text == words.truths[row] for text, row in zip(found[0][1], rows)]
    # Keys count from 1: the rows 1, 3, 5 … are the even-numbered words.
    even = [good for good, row in zip(right, rows) if row % 2]
    print(
        f"{name:<48} batch {batch:<4} {len(rows) / seconds:9.0f} words/s   {np.mean(right):7.2%} of"
        f" {len(rows)}, {np.mean(even):7.2%} of the even-numbered"
    )


def peers(words: Words, large: Sequence[str], runs: int) -> None:
    """Print what decoders of other people do, where they are installed."""
    softmax = np.exp(words.logits - words.logits.max(axis=2, keepdims=True))
    softmax /= softmax.sum(axis=2, keepdims=True)
    try:
        import fast_ctc_decode
    except ImportError:
        print("fast_ctc_decode is not installed: left out")
    else:
        # Its blank is the first class; "." stands for it.
        alphabet = "." + words.spec.characters
        rows = np.ascontiguousarray(softmax.transpose(1, 0, 2), dtype=np.float32)
        for width in (5, 10, 25):

            def beam(width: int = width) -> List[str]:
                return [
                    fast_ctc_decode.beam_search(row, alphabet, beam_size=width)[0] for row in rows
                ]

            _show_peer(f"fast_ctc_decode (Rust), beam {width}, no lexicon", words, beam, runs)
    try:
        from pyctcdecode import build_ctcdecoder
    except ImportError:
        print("pyctcdecode is not installed: left out")
        return
    labels = ["", *words.spec.characters]
    logs = np.log(np.maximum(softmax, 1e-30)).transpose(1, 0, 2)[:200]
    for name, unigrams in (("no lexicon", None), (f"{len(large)} unigrams", list(large))):
        decoder: Any = build_ctcdecoder(labels, unigrams=unigrams)

        def other(decoder: Any = decoder) -> List[str]:
            return [decoder.decode(row, beam_width=10) for row in logs]

        _show_peer(f"pyctcdecode, beam 10, {name}", words, other, 1)


def _show_peer(name: str, words: Words, task: Callable[[], List[str]], runs: int) -> None:
    spent: List[float] = []
    for _ in range(runs):
        start = time.process_time()
        texts = task()
        spent.append(time.process_time() - start)
    right = [text == truth for text, truth in zip(texts, words.truths)]
    speed = len(texts) / statistics.median(spent)
    print(f"{name:<48} one by one {speed:8.0f} words/s   {np.mean(right):7.2%} of {len(texts)}")


def built(words: Sequence[str], spec: ModelSpec, runs: int) -> None:
    """Print how long a lexicon takes to be made: sorted, spelled, its tries built."""
    spent: Dict[str, List[float]] = {"words to a trie": [], "and the trie of the turned words": []}
    for _ in range(runs):
        start = time.process_time()
        lexicon = lexicon_of(words, spec, "words")
        middle = time.process_time()
        LexiconChooser(lexicon, spec, DecodingOptions(lexicon=words), "words")
        spent["words to a trie"].append(middle - start)
        spent["and the trie of the turned words"].append(time.process_time() - start)
    for name, seconds in spent.items():
        what = f"{name} ({len(words)} words)"
        print(f"{what:<60} {statistics.median(seconds):8.3f} s   at most 0.5")


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__, runs=5)
    parser.add_argument("model", type=Path)
    parser.add_argument("--words", type=Path, required=True, help="a word a line")
    parser.add_argument("--most", type=int, default=2000, help="how many words of the data")
    args = parser.parse_args()
    words = load(args.model, args.data, args.words, args.most)
    common.head("decoding", args)
    rng = random.Random(SEED)
    known = sorted(set(words.truths))
    filled = rng.sample(list(words.others), min(LARGE - len(known), len(words.others)))
    large = sorted([*known, *filled])
    built(large, words.spec, args.runs)

    def decoder(samples: Optional[Lists] = None, **options: Any) -> Decoder:
        return Decoder(words.spec, DecodingOptions(**options), samples)

    start = time.process_time()
    for _ in range(20):
        ctc.greedy(words.logits, words.spec.alphabet)
    speed = 20 * len(words.truths) / (time.process_time() - start)
    print(f"{'greedy, all at once':<60} {speed:9.0f} words/s")
    for batch in (16, 64):
        per_sample = {"lexicon": "per-sample"}
        for size in (50, 1000):
            lists = decoder(Lists(words, size), **per_sample)
            show(f"{size} words a sample, exact", words, lists, args.runs, batch, None)
        for width in (5, 10, 20):
            large_beam = decoder(lexicon=large, beam=width)
            show(f"{len(large)} words, beam {width}", words, large_beam, args.runs, batch, None)
        nbest = decoder(alternatives=5)
        show("5 alternatives, no lexicon", words, nbest, args.runs, batch, None)
    few = range(min(400, len(words.truths)))
    show(f"{len(large)} words, exact", words, decoder(lexicon=large, method="exact"), 1, 16, few)
    show(f"{len(large)} words, paper", words, decoder(lexicon=large, method="paper"), 1, 16, few)
    digits = [row for row, truth in enumerate(words.truths) if truth.isdigit()]
    if digits:
        show("all-digit words, greedy", words, decoder(), args.runs, 16, digits)
        show("all-digit words, --allow 0-9", words, decoder(allow="0-9"), args.runs, 16, digits)
        pattern = decoder(pattern="[0-9]+")
        show("all-digit words, --pattern [0-9]+", words, pattern, args.runs, 16, digits)
    peers(words, large, args.runs)


if __name__ == "__main__":
    common.run(main)
