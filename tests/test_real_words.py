"""2000 photographed words:

whatever runs the model, and however it is fed, the text of every word is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest

from crnn.cli.main import main
from tests.conftest import ROOT

CHECKPOINT = ROOT / "examples" / "crnn_small.pth"


@pytest.fixture(scope="module")
def place(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, str]:
    folder = tmp_path_factory.mktemp("real")
    paths = {
        "onnx": str(folder / "m.onnx"),
        "lmdb": str(shared_data / "IIIT5K_train_lmdb"),
        "bins": str(folder / "input_bin"),
        "label": str(folder / "label.txt"),
        "readings": str(folder / "onnx.jsonl"),
    }
    assert main(["export", str(CHECKPOINT), paths["onnx"]]) == 0
    assert main(["prepare", paths["lmdb"], paths["bins"], "--label", paths["label"]]) == 0
    command = [
        "evaluate",
        paths["onnx"],
        paths["lmdb"],
        "--batch",
        "64",
        "--readings",
        paths["readings"],
        "--strict",
    ]
    assert main([*command, "--min-accuracy", "0.91"]) == 0
    return paths


@pytest.mark.parametrize("batch", ["1", "7", "64"])
@pytest.mark.parametrize("feed", ["lmdb", "bins"])
def test_onnx_runtime_reads_the_same(place: Dict[str, str], feed: str, batch: str) -> None:
    label = ["--label", place["label"]] if feed == "bins" else []
    command = [
        "evaluate",
        place["onnx"],
        place[feed],
        *label,
        "--batch",
        batch,
        "--against",
        place["readings"],
    ]
    assert main(command) == 0


def test_pytorch_reads_the_same(place: Dict[str, str]) -> None:
    assert (
        main(
            [
                "evaluate",
                str(CHECKPOINT),
                place["lmdb"],
                "--batch",
                "64",
                "--against",
                place["readings"],
            ]
        )
        == 0
    )
