"""2000 photographed words, each read at the width of its aspect: what that is worth, and that
whatever runs the model reads the same.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Dict, List

import pytest

from crnn.cli.main import main
from crnn.metrics import paired_test
from tests.conftest import FIRST_WEIGHTS

SHA256 = "79d32d8eaa0673da13fc11a8e103085b15b124fceb86d4ee22f2e3c9d5a723ae"
FIXED, FIVE, THREE = "fixed", "five", "three"
OPTIONS = {
    FIXED: ["--width-rule", "off"],
    FIVE: [],
    THREE: ["--spec", '{"widths": [80, 128, 200]}'],
}


@pytest.fixture(scope="module")
def place(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, str]:
    """Return the readings of each set of widths by ONNX Runtime, and the files."""
    folder = tmp_path_factory.mktemp("real")
    paths = {"onnx": str(folder / "m.onnx"), "lmdb": str(shared_data / "IIIT5K_train_lmdb")}
    widths = ["--widths", "80,100,128,160,200"]
    assert main(["export", str(FIRST_WEIGHTS), paths["onnx"], *widths]) == 0
    for name, options in OPTIONS.items():
        paths[name] = str(folder / f"{name}.jsonl")
        command = ["evaluate", paths["onnx"], paths["lmdb"], "--batch", "64", *options]
        assert main([*command, "--readings", paths[name], "--strict"]) == 0
    return paths


def rights(path: str) -> List[bool]:
    lines = Path(path).read_text("utf-8").splitlines()
    assert len(lines) == 2000
    readings = [json.loads(line) for line in lines]
    assert [reading["key"] for reading in readings] == [f"test_{at}" for at in range(1, 2001)]
    return [reading["text"] == reading["label"].lower() for reading in readings]


def test_the_weights_are_those_of_the_figures() -> None:
    assert hashlib.sha256(FIRST_WEIGHTS.read_bytes()).hexdigest() == SHA256


@pytest.mark.parametrize(("name", "least"), [(FIVE, 0.884), (THREE, 0.880)])
def test_the_width_of_the_aspect_reads_more(place: Dict[str, str], name: str, least: float) -> None:
    fixed, found = rights(place[FIXED]), rights(place[name])
    assert sum(fixed) / 2000 == 0.862
    assert sum(found) / 2000 >= least
    # Both halves gain: what was chosen on the odd numbers holds on the even ones.
    for start in (0, 1):
        assert sum(found[start::2]) > sum(fixed[start::2])
    lost = sum(one and not other for one, other in zip(fixed, found))
    gained = sum(other and not one for one, other in zip(fixed, found))
    assert paired_test(lost, gained, 2000).p_value < 0.001


def test_pytorch_reads_the_same_at_each_width(place: Dict[str, str]) -> None:
    command = ["evaluate", str(FIRST_WEIGHTS), place["lmdb"], "--batch", "64"]
    widths = ["--spec", '{"widths": [80, 100, 128, 160, 200]}']
    assert main([*command, *widths, "--against", place[FIVE]]) == 0


def test_small_batches_read_the_same(place: Dict[str, str]) -> None:
    command = ["evaluate", place["onnx"], place["lmdb"], "--batch", "7"]
    assert main([*command, "--against", place[FIVE]]) == 0
