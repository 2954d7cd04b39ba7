"""2000 photographed words:

whatever runs the model, and however it is fed, the text of every word is the same. What depends on
the size of a batch is tried on the first of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest

from crnn.cli.main import main
from tests.conftest import ROOT
from tests.foreign import few_words_lmdb

CHECKPOINT = ROOT / "examples" / "crnn_small.pth"
FEW = 300
"""No multiple of the batches of 7 and 64."""


@pytest.fixture(scope="module")
def every(
    shared_data: Path, shipped: Path, tmp_path_factory: pytest.TempPathFactory
) -> Dict[str, str]:
    """All words, as an LMDB and as bins, and what is read of them."""
    folder = tmp_path_factory.mktemp("real")
    paths = prepared(shipped, shared_data / "IIIT5K_train_lmdb", folder)
    command = ["evaluate", paths["onnx"], paths["lmdb"], "--batch", "64", "--strict"]
    command += ["--readings", paths["readings"], "--min-accuracy", "0.91"]
    assert main(command) == 0
    return paths


@pytest.fixture(scope="module")
def few(
    every: Dict[str, str], shipped: Path, tmp_path_factory: pytest.TempPathFactory
) -> Dict[str, str]:
    """The same of the first words, and what was read of them among all."""
    folder = tmp_path_factory.mktemp("few")
    words = few_words_lmdb(folder / "words", FEW, Path(every["lmdb"]))
    paths = prepared(shipped, words, folder)
    lines = Path(every["readings"]).read_text(encoding="utf-8").splitlines(keepends=True)
    Path(paths["readings"]).write_text("".join(lines[:FEW]), encoding="utf-8")
    return paths


def prepared(onnx: Path, words: Path, folder: Path) -> Dict[str, str]:
    """Write the words' bins, and return where everything is."""
    paths = {
        "onnx": str(onnx),
        "lmdb": str(words),
        "bins": str(folder / "input_bin"),
        "label": str(folder / "label.txt"),
        "readings": str(folder / "onnx.jsonl"),
    }
    assert main(["prepare", paths["lmdb"], paths["bins"], "--label", paths["label"]]) == 0
    return paths


def reads_the_same(paths: Dict[str, str], model: str, feed: str, batch: str) -> bool:
    """Whether a model reads the words as they were read."""
    command = ["evaluate", model, paths[feed], "--batch", batch, "--against", paths["readings"]]
    if feed == "bins":
        command += ["--label", paths["label"]]
    return main(command) == 0


def test_bins_read_the_same(every: Dict[str, str]) -> None:
    assert reads_the_same(every, every["onnx"], "bins", "64")


@pytest.mark.parametrize("batch", ["1", "7", "64"])
@pytest.mark.parametrize("feed", ["lmdb", "bins"])
def test_onnx_runtime_reads_the_same(few: Dict[str, str], feed: str, batch: str) -> None:
    assert reads_the_same(few, few["onnx"], feed, batch)


def test_pytorch_reads_the_same(every: Dict[str, str]) -> None:
    assert reads_the_same(every, str(CHECKPOINT), "lmdb", "64")
