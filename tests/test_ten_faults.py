"""Ten faults that conversions of CRNNs are known for, each planted alone: crnn compare finds that
something differs, and --layers, the fingerprint or the alphabets name the place. A healthy pair of
each precision is not blamed.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Tuple

import onnx
import pytest

from crnn import image
from crnn.cli.main import main
from crnn.patterns import fingerprint_of
from crnn.spec import ModelSpec
from tests.conftest import ROOT
from tests.faults import FAULTS, exported, small_scale
from tests.foreign import few_words
from tests.lines import joined

CHECKPOINT = ROOT / "examples" / "crnn_small.pth"
CHARACTERS = ModelSpec.default().characters
DATA = ["--data", "words"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words, the sound model, and its int8 copy."""
    folder = tmp_path_factory.mktemp("faults")
    few_words(folder / "words", 24)
    onnx.save(exported(CHECKPOINT), str(folder / "sound.onnx"))
    words = ["quantize", str(folder / "sound.onnx"), str(folder / "int8.onnx"), "--max-drop", "1"]
    assert main(words) == 0
    return folder


@pytest.fixture
def place(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def compared(*words: str) -> Tuple[int, Dict[str, Any]]:
    """Return the exit code and the JSON of a comparison."""
    code = main(["compare", *words, "--json", "c.json"])
    data: Dict[str, Any] = json.loads(Path("c.json").read_text(encoding="utf-8"))
    return code, data


def differs(comparison: Dict[str, Any]) -> bool:
    """Whether texts differ, or log-probabilities, which of a graph and itself are the same."""
    return bool(comparison["differing"]) or comparison["log_probabilities"]["largest"] > 1e-4


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "swapped axes"])
def test_a_faulty_layer_is_named(place: Path, fault: str) -> None:
    plant, tensor = FAULTS[fault]
    onnx.save(plant(CHECKPOINT), "bad.onnx")
    _, data = compared("sound.onnx", "bad.onnx", *DATA, "--layers")
    (one,) = data["comparisons"]
    assert differs(one)
    assert one["layers"]["first"] == tensor
    assert data["inputs"] == []


def test_a_scale_ten_times_too_small_is_named(place: Path) -> None:
    model = onnx.load("int8.onnx")
    tensor = small_scale(model)
    onnx.save(model, "bad.onnx")
    _, data = compared("sound.onnx", "bad.onnx", *DATA, "--layers")
    assert differs(data["comparisons"][0])
    assert data["comparisons"][0]["layers"]["first"] == tensor


def test_swapped_axes_are_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(FAULTS["swapped axes"][0](CHECKPOINT), "bad.onnx")
    assert main(["compare", "sound.onnx", "bad.onnx", *DATA, "--layers"]) == 1
    assert "axes TNK: the output's are NTK" in joined(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"std": 0.25}, "std 0.5 and 0.25"),
        ({"alphabet": CHARACTERS[1:] + CHARACTERS[0]}, "the same characters in other classes"),
        ({"blank": 36}, "blank 0 and 36"),
    ],
)
def test_a_wrong_spec_is_named(place: Path, change: Dict[str, Any], named: str) -> None:
    spec = ["spec", "set", "sound.onnx", json.dumps(change), "-o", "bad.onnx"]
    assert main(spec) == 0
    _, data = compared("sound.onnx", "bad.onnx", *DATA)
    assert differs(data["comparisons"][0])
    assert named in " ".join(data["inputs"])


@pytest.mark.parametrize("pack", [False, True])
def test_the_wrong_order_of_resizing_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, pack: bool
) -> None:
    bins = ["bins", "--label", "label.txt"]
    assert main(["evaluate", "sound.onnx", "words", "--save-outputs", f"right{pack}"]) == 0
    for name in ("bins", "bins.json", "label.txt"):
        subprocess.run(["rm", "-rf", name], check=True)
    with monkeypatch.context() as context:
        context.setattr(image, "MAX_PIXELS", 0)  # down first
        fingerprint_of.cache_clear()
        assert main(["prepare", "words", *bins, *["--pack"][: int(pack)]]) == 0
        fingerprint_of.cache_clear()
    _, data = compared(f"right{pack}", "sound.onnx", "--data", *bins)
    assert differs(data["comparisons"][0])
    assert data["inputs"] == [
        "the bins and sound.onnx make other pixels of the same pictures at width 100: resized,"
        " coloured, turned or laid on a ground otherwise"
    ]


@pytest.mark.parametrize("side", ["sound.onnx", "float16:sound.onnx", "int8.onnx", str(CHECKPOINT)])
def test_a_healthy_pair_is_not_blamed(place: Path, side: str) -> None:
    _, data = compared("sound.onnx", side, *DATA, "--layers", "8", "--max-differ", "1")
    layers = data["comparisons"][0]["layers"]
    assert layers["first"] is None
    assert (len(layers["layers"]) > 20, layers["words"]) == (True, 8)
    assert data["inputs"] == []


def test_this_machine_is_compared_too(place: Path) -> None:
    model = onnx.load("sound.onnx")
    for entry in model.metadata_props:
        if entry.key == "crnn.inputs":
            stored = json.loads(entry.value)
            stored["pixels"]["100"] = "0" * 64
            entry.value = json.dumps(stored)
    onnx.save(model, "elsewhere.onnx")
    _, data = compared("sound.onnx", "elsewhere.onnx", *DATA)
    sentences: List[str] = data["inputs"]
    assert len(sentences) == 2
    assert sentences[0].startswith("this machine and elsewhere.onnx make other pixels")
    assert sentences[1].startswith("sound.onnx and elsewhere.onnx make other pixels")


def test_the_pair_can_be_compared_again(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(FAULTS["transposed kernel"][0](CHECKPOINT), "bad.onnx")
    saved = tmp_path / "saved"
    pair = [str(CHECKPOINT), "bad.onnx", *DATA, "--save-layers", str(saved)]
    _, data = compared(*pair, "--layers")
    layers = data["comparisons"][0]["layers"]
    assert sorted(entry.name for entry in saved.iterdir()) == [
        *("a.pth", "b.onnx", "input_bin", "input_bin.json", "label.txt"),
        *("layers.json", "layers.svg", "replay.sh"),
    ]
    kept = json.loads((saved / "layers.json").read_text(encoding="utf-8"))
    assert kept["layers"] == layers["layers"]
    differing = {word["key"] for word in data["comparisons"][0]["words"]}
    assert set(kept["keys"]) == differing
    monkeypatch.chdir(saved)
    _, *again = (saved / "replay.sh").read_text(encoding="utf-8").split("\n")[1].split(" ")
    assert again[0] == "compare"
    _, data = compared(*again[1:])
    assert data["comparisons"][0]["layers"]["layers"] == layers["layers"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--layers", "65"], 2, "at most 64 words"),
        (["--save-layers", "x"], 2, "--save-layers goes with --layers"),
        (["--layers", "--batches", "1,2"], 2, "leave --batches and their like out"),
        (["--layers", "--save-layers", "words"], 1, "it exists; name a new folder"),
    ],
)
def test_what_does_not_go_together(
    place: Path, capsys: pytest.CaptureFixture[str], words: List[str], code: int, message: str
) -> None:
    assert main(["compare", "sound.onnx", "sound.onnx", *DATA, *words]) == code
    assert message in joined(capsys.readouterr().err)


def test_readings_show_no_inside(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "sound.onnx", "words", "--readings", "r.jsonl"]) == 0
    assert main(["compare", "sound.onnx", "r.jsonl", *DATA, "--layers"]) == 0
    assert "r.jsonl: it does not show its inside" in joined(capsys.readouterr().out)
    assert main(["compare", "r.jsonl", "sound.onnx", *DATA, "--layers"]) == 1
    assert "expected a checkpoint or an ONNX as the first side" in joined(capsys.readouterr().err)
