"""2000 photographed words, read at the fixed width: what lexicons and an allow-list give.

Each lexicon holds the true word. The others are made up here, letter by letter after the two
letters before, as in the words themselves: they look like words, and the seed is fixed. The figures
are therefore not those of the lists that the data sets' authors made.
"""

from __future__ import annotations

import collections
import random
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import pytest

from crnn.decoding.decoder import Decoder, DecodingOptions
from crnn.filekind import sha256
from crnn.image import decode
from crnn.runners.torch_runner import TorchRunner
from crnn.samples.lmdb import LmdbSamples
from crnn.spec import ModelSpec
from tests.conftest import FIRST_WEIGHTS

SHA256 = "79d32d8eaa0673da13fc11a8e103085b15b124fceb86d4ee22f2e3c9d5a723ae"
SPEC = ModelSpec.default()
LARGE = 50_958


class Real(NamedTuple):
    """Logits (26, 2000, 37) and the folded truths."""

    logits: np.ndarray
    truths: Sequence[str]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Real:
    assert sha256(FIRST_WEIGHTS) == SHA256
    truths: List[str] = []
    pixels: List[np.ndarray] = []
    for sample in LmdbSamples(shared_data / "IIIT5K_train_lmdb"):
        truths.append(SPEC.fold(sample.label))
        pixels.append(decode(sample.image, SPEC))
    with TorchRunner(FIRST_WEIGHTS) as runner:
        parts = [
            runner.run(SPEC.table[np.stack(pixels[begin : begin + 200])])
            for begin in range(0, len(pixels), 200)
        ]
    return Real(np.concatenate(parts, axis=1), truths)


def made_up(truths: Sequence[str], count: int) -> List[str]:
    """Return distinct words that are none of the truths."""
    after: Dict[str, List[str]] = collections.defaultdict(list)
    for word in truths:
        padded = f"^^{word}$"
        for place in range(2, len(padded)):
            after[padded[place - 2 : place]].append(padded[place])
    rng = random.Random(7)
    known = set(truths)
    found: Dict[str, None] = {}
    while len(found) < count:
        text = "^^"
        while text[-1] != "$" and len(text) < 17:
            text += rng.choice(after[text[-2:]])
        word = text[2:].rstrip("$")
        if len(word) > 2 and word not in known:
            found[word] = None
    return list(found)


class Lists:
    """A lexicon for each sample."""

    def __init__(self, real: Real, others: Sequence[str], size: int) -> None:
        rng = random.Random(size)
        self._lists = [[truth, *rng.sample(others, size - 1)] for truth in real.truths]

    def words(self, key: str, number: int) -> Sequence[str]:
        return self._lists[int(key)]

    def require(self, number: int) -> None:
        pass

    def whole(self) -> Sequence[str]:
        return ()


def accuracy(
    real: Real, options: DecodingOptions, samples: Optional[Lists] = None, digits: bool = False
) -> float:
    rows = [row for row, truth in enumerate(real.truths) if truth.isdigit() or not digits]
    decoder = Decoder(SPEC, options, samples)
    right = 0
    for begin in range(0, len(rows), 64):
        part = rows[begin : begin + 64]
        texts = decoder.decode(real.logits[:, part], [str(row) for row in part]).texts
        right += sum(text == real.truths[row] for text, row in zip(texts, part))
    return right / len(rows)


def test_lexicons_lift_what_is_read(real: Real) -> None:
    others = made_up(real.truths, LARGE)
    per_sample = DecodingOptions(lexicon="per-sample")
    assert accuracy(real, DecodingOptions()) == pytest.approx(0.862)
    assert accuracy(real, per_sample, Lists(real, others, 50)) >= 0.99
    assert accuracy(real, per_sample, Lists(real, others, 1000)) >= 0.985
    known = sorted(set(real.truths))
    large = [*known, *others[: LARGE - len(known)]]
    narrow = accuracy(real, DecodingOptions(lexicon=large, beam=10))
    wide = accuracy(real, DecodingOptions(lexicon=large, beam=20))
    assert narrow >= 0.955
    assert wide - narrow <= 0.005


def test_the_beam_finds_the_best_of_1000_words(real: Real) -> None:
    others = made_up(real.truths, 999)
    part = Real(real.logits[:, :500], real.truths[:500])
    known = sorted(set(part.truths))
    lexicon = [*known, *others[: 1000 - len(known)]]
    found = {}
    for method in ("exact", "beam"):
        decoder = Decoder(SPEC, DecodingOptions(lexicon=lexicon, method=method))
        found[method] = decoder.decode(part.logits, [""] * 500).texts
    same = sum(one == other for one, other in zip(found["exact"], found["beam"]))
    assert same >= 490


def test_an_allow_list_lifts_words_of_digits(real: Real) -> None:
    assert accuracy(real, DecodingOptions(), digits=True) == pytest.approx(0.851, abs=0.001)
    allowed = DecodingOptions(allow="0123456789")
    assert accuracy(real, allowed, digits=True) >= 0.865
    assert accuracy(real, DecodingOptions(pattern=r"\d+"), digits=True) >= 0.865
