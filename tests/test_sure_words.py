"""How sure, on 2000 photographed words: the figures that the docs promise."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict

import pytest

from crnn.cli.main import main
from tests.conftest import FIRST_WEIGHTS

SHA256 = "79d32d8eaa0673da13fc11a8e103085b15b124fceb86d4ee22f2e3c9d5a723ae"


@pytest.fixture(scope="module")
def result(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Any]:
    assert hashlib.sha256(FIRST_WEIGHTS.read_bytes()).hexdigest() == SHA256
    folder = tmp_path_factory.mktemp("sure")
    model, words = folder / "m.onnx", str(shared_data / "IIIT5K_train_lmdb")
    assert main(["export", str(FIRST_WEIGHTS), str(model)]) == 0
    files = {name: folder / f"{name}.json" for name in ("evaluated", "calibrated")}
    readings = folder / "readings.jsonl"
    command = ["evaluate", str(model), words, "--batch", "64", "--readings", str(readings)]
    command += ["--probability", "--characters", "--reject-for", "0.99"]
    assert main([*command, "--json", str(files["evaluated"])]) == 0
    command = ["calibrate", str(model), words, "-o", str(folder / "c.onnx"), "--batch", "64"]
    assert main([*command, "--json", str(files["calibrated"])]) == 0
    found = {name: json.loads(file.read_text()) for name, file in files.items()}
    lines = readings.read_text(encoding="utf-8").splitlines()
    return {**found, "readings": [json.loads(line) for line in lines]}


def test_probabilities_tell_right_from_wrong(result: Dict[str, Any]) -> None:
    sureness = result["evaluated"]["sureness"]
    assert sureness["auroc"] >= 0.945
    assert sureness["rejection"]["kept_share"] >= 0.68
    assert sureness["rejection"]["kept_accuracy"] >= 0.99
    assert sureness["rejection"]["transferred"]["kept_accuracy"] >= 0.98


def test_they_are_calibrated_on_words_that_were_not_fitted(result: Dict[str, Any]) -> None:
    assert result["calibrated"]["crossed"]["ece"] <= 0.02
    assert result["calibrated"]["after"]["ece"] < result["calibrated"]["before"]["ece"]


def test_characters_stand_where_they_were_annotated(
    result: Dict[str, Any], shared_data: Path
) -> None:
    io = pytest.importorskip("scipy.io")
    path = shared_data / "annotations" / "iiit5k" / "trainCharBound.mat"
    annotated = io.loadmat(str(path))["trainCharBound"][0]
    every = inside = 0
    for reading in result["readings"]:
        entry = annotated[int(reading["key"].rpartition("_")[2]) - 1]
        boxes = entry["charBB"]
        every += len(boxes)
        if reading["text"] != str(entry["chars"][0]).lower():
            continue
        for character, (left, _, width, _) in zip(reading["characters"], boxes):
            middle = (character["first"] + character["last"] + 1) / 2
            inside += left <= middle <= left + width
    # Of all annotated characters: those of words that were read wrongly count as outside.
    assert inside >= 0.76 * every
