"""``crnn calibrate``: OMs, models of several widths, words that say nothing, and what it prints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import List, Tuple

import pytest

from crnn.ascend.sidecar import read_sidecar
from crnn.cli.main import main
from tests.conftest import ROOT
from tests.models import write_bins, write_echo_model, write_images
from tests.simulated import simulated

WORDS = ROOT / "examples" / "words_lmdb"
FEW = "a temperature from so few"
"""What is said of a set with few wrong words."""


def labelled(count: int, wrong: int) -> Tuple[List[str], List[str]]:
    """Return the texts that a model reads, and labels of which some are others."""
    texts = [f"a{number % 10}b" for number in range(count)]
    return texts, [*texts[:-wrong], *(["other"] * wrong)]


@pytest.fixture(scope="module")
def chip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``m.om`` and ``input_bin``, 120 words of which 3 are read wrongly."""
    folder = tmp_path_factory.mktemp("calibrate")
    write_echo_model(folder / "m.onnx")
    write_bins(folder, *labelled(120, 3))
    done = simulated(folder, "compile", "m.onnx", "m", "--batch", "4", "--soc", "Ascend310")
    assert done.returncode == 0, done.stderr
    return folder


COMMAND = ["calibrate", "m.om", "input_bin", "--label", "label.txt", "-o", "copy.om"]


def test_an_oms_sidecar_carries_the_temperature(chip: Path) -> None:
    done = simulated(chip, *COMMAND, "--json", "r.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((chip / "r.json").read_text())
    assert (found["words"], found["correct"], found["simulated"]) == (120, 117, True)
    assert "SIMULATED" in done.stderr
    assert FEW in " ".join(done.stderr.split())
    assert (chip / "copy.om").read_bytes() == (chip / "m.om").read_bytes()
    old, new = read_sidecar(chip / "m.om.json"), read_sidecar(chip / "copy.om.json")
    assert (old.spec.temperature, new.spec.temperature) == (1, found["temperature"])
    assert new.om_sha256 == old.om_sha256


def test_an_om_without_its_sidecar_has_no_place_for_it(chip: Path) -> None:
    (chip / "alone.om").write_bytes((chip / "m.om").read_bytes())
    done = simulated(chip, "calibrate", "alone.om", *COMMAND[2:-1], "new.om")
    assert done.returncode == 1
    assert "alone.om has no alone.om.json beside it" in " ".join(done.stderr.split())
    assert not (chip / "new.om").exists()


def test_a_folder_of_models_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "set").mkdir()
    copy = tmp_path / "copy"
    assert main(["calibrate", str(tmp_path / "set"), str(WORDS), "-o", str(copy)]) == 1
    assert "is a folder; expected one model" in capsys.readouterr().err


def test_widths_have_temperatures_of_their_own(
    shipped_wide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["calibrate", str(shipped_wide), str(WORDS), "-o", str(tmp_path / "copy.onnx")]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "fitted on 300 words" in shown
    for row in ("at temperature 1 ", "at the fitted one ", "each half at the other's "):
        assert row in shown
    assert main([*command, "--json", "-"]) == 0
    widths = json.loads(capsys.readouterr().out)["by_width"]
    assert sum(width["words"] for width in widths.values()) == 300
    for name, width in widths.items():
        line = f"width {name:<4} alone: {width['temperature']:.3f} on {width['words']} words"
        assert line in shown


def test_words_without_label_or_image_say_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_echo_model(tmp_path / "echo.onnx")
    images = write_images(tmp_path / "images", *labelled(120, 2))
    (images / "5.png").write_bytes(b"no image")
    command = ["calibrate", str(model), str(images), "-o", str(tmp_path / "copy.onnx")]
    assert main([*command, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == 119
    shutil.rmtree(images)
    write_images(images, *labelled(100, 2))
    for number in range(1, 101):
        (images / f"{number}.png").write_bytes(b"no image")
    assert main(command) == 1
    assert "0 labelled words, 0 of them read wrongly" in capsys.readouterr().err
