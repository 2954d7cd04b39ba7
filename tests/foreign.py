"""The fixtures that MindSpore and TensorFlow have written (tests/fixtures/*/make.py say how), and
words to read.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Tuple

import numpy as np

from crnn.samples.lmdb import LmdbSamples
from crnn.samples.lmdb_writer import LmdbWriter
from tests.conftest import ROOT

FIXTURES = Path(__file__).parent / "fixtures"
MINDSPORE = FIXTURES / "mindspore"
TENSORFLOW = FIXTURES / "tensorflow"
EXAMPLES = ROOT / "examples" / "words_lmdb"


def case(name: str) -> Tuple[np.ndarray, np.ndarray]:
    """Return pixels (N, C, H, W) and the framework's logits (T, N, K) for a fixture."""
    if name == "tensorflow":
        with np.load(TENSORFLOW / "crnn.npz") as data:
            return data["pixels"].transpose(0, 3, 1, 2), data["logits"]
    with np.load(MINDSPORE / f"{name}.npz") as data:
        return data["pixels"], data["logits"]


def few_words(folder: Path, count: int) -> Path:
    """Write the first words of the examples as a folder of images with its annotation file, and
    return it.
    """
    folder.mkdir()
    lines = []
    for sample in itertools.islice(LmdbSamples(EXAMPLES), count):
        assert sample.image is not None
        (folder / f"{sample.key}.png").write_bytes(sample.image)
        lines.append(f"{sample.key}.png\t{sample.label}\n")
    (folder / "gt.txt").write_text("".join(lines), encoding="utf-8")
    return folder


def few_words_lmdb(folder: Path, count: int, source: Path = EXAMPLES) -> Path:
    """Write the first words of an LMDB, which without one is the examples', as an LMDB of their
    own, for what needs no more, and return it.
    """
    folder.mkdir()
    writer = LmdbWriter(folder)
    for sample in itertools.islice(LmdbSamples(source), count):
        assert sample.image is not None
        writer.add(sample.image, sample.label)
    writer.finish()
    writer.close()
    return folder
