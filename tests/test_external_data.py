"""ONNX files whose weights lie in files of their own, used from another folder than theirs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import onnx
import pytest

from crnn.cli.main import main
from crnn.spec import ModelSpec
from tests.conftest import ROOT
from tests.lstm_models import lstm_model
from tests.models import write_bins
from tests.simulated import simulated

DATA = "weights.bin"


def write_model(folder: Path) -> Path:
    """Write a small LSTM network twice: whole, and with its weights in a file of its own."""
    folder.mkdir()
    onnx.save_model(lstm_model(spec=ModelSpec()), str(folder / "whole.onnx"))
    path = folder / "outside.onnx"
    onnx.save_model(
        lstm_model(spec=ModelSpec()),
        str(path),
        save_as_external_data=True,
        location=DATA,
        size_threshold=100,
    )
    return path


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of that kind, the current folder being another one with bins in it."""
    path = write_model(tmp_path / "model")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_bins(elsewhere, ["tree", "4u", "net"])
    monkeypatch.chdir(elsewhere)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


EVALUATION = ["input_bin", "--label", "label.txt", "--json", "r.json", "--readings", "r.jsonl"]


def evaluated(model: Path) -> Dict[str, Any]:
    """Evaluate a model in a process of its own; its result and texts."""
    run([sys.executable, "-m", "crnn", "evaluate", str(model), *EVALUATION])
    return written()


def written() -> Dict[str, Any]:
    """Return the result and texts of an evaluation."""
    result: Dict[str, Any] = json.loads(Path("r.json").read_text(encoding="utf-8"))
    lines = Path("r.jsonl").read_text(encoding="utf-8").splitlines()
    result["texts"] = [json.loads(line)["text"] for line in lines]
    return result


def run(command: List[str]) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_evaluated_as_the_whole_file_is(model: Path) -> None:
    got = evaluated(model)
    whole = evaluated(model.with_name("whole.onnx"))
    assert got["texts"] == whole["texts"]
    assert any(got["texts"])
    assert got["model"]["sha256"] == digest(model)
    assert got["model"]["external_data"] == {DATA: digest(model.with_name(DATA))}
    assert "external_data" not in whole["model"]


def test_one_byte_of_the_data_changes_its_hash_alone(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for _ in range(2):
        assert main(["inspect", str(model), "--json", "-"]) == 0
        shown.append(json.loads(capsys.readouterr().out))
        data = bytearray(model.with_name(DATA).read_bytes())
        data[5] ^= 1
        model.with_name(DATA).write_bytes(data)
    assert shown[0]["sha256"] == shown[1]["sha256"]
    assert list(shown[0]["external_data"]) == list(shown[1]["external_data"]) == [DATA]
    assert shown[0]["external_data"] != shown[1]["external_data"]
    assert main(["inspect", str(model)]) == 0
    assert DATA in capsys.readouterr().out


@pytest.mark.slow
def test_the_simulator_compiles_it_and_the_om_reads_the_same(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = simulated(Path.cwd(), "compile", str(model), "made")
    assert done.returncode == 0, done.stderr
    texts = evaluated(model)["texts"]
    hashes = {DATA: digest(model.with_name(DATA))}
    sidecar = json.loads(Path("made.om.json").read_text(encoding="utf-8"))
    assert (sidecar["format"], sidecar["external_data"]) == ("crnn-om/5", hashes)
    assert sidecar["onnx_sha256"] == digest(model)
    # The OM needs neither the model nor its data.
    shutil.rmtree(str(model.parent))
    done = simulated(Path.cwd(), "evaluate", "made.om", *EVALUATION)
    assert done.returncode == 0, done.stderr
    assert written()["texts"] == texts
    assert main(["inspect", "made.om", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["external_data"] == hashes


def test_the_doctor_names_the_file(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", str(model)])
    said = " ".join(capsys.readouterr().out.split())
    assert f"weights in {DATA}, sha256 {digest(model.with_name(DATA))[:16]}" in said


def test_bench_has_the_hash(model: Path) -> None:
    words = [
        "--data",
        "input_bin",
        "--label",
        "label.txt",
        "--batch",
        "1",
        "--loop",
        "1",
        "--json",
        "b.json",
    ]
    assert main(["bench", str(model), *words]) == 0
    found = json.loads(Path("b.json").read_text(encoding="utf-8"))["runs"][0]["model"]
    assert found["external_data"] == {DATA: digest(model.with_name(DATA))}


VERBS = {
    "evaluate": ["evaluate", "{}", "input_bin", "--label", "label.txt"],
    "bench": ["bench", "{}", "--data", "input_bin", "--label", "label.txt", "--loop", "1"],
    "inspect": ["inspect", "{}"],
    "compile": ["compile", "{}", "made"],
    "quantize": ["quantize", "{}", "int8.onnx"],
}


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize(
    "place", ["../weights.bin", "a/../../weights.bin", "{}/weights.bin", "a\\..\\b"]
)
def test_weights_that_leave_the_folder_are_refused(
    verb: str, place: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The weights are there, so that nothing but the name can refuse them.
    place = place.format(model.parent)
    shutil.copy(str(model.with_name(DATA)), str(model.parent.parent / DATA))
    proto = onnx.load(str(model), load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = place
    model.write_bytes(proto.SerializeToString())
    assert main([word.format(model) for word in VERBS[verb]]) == 1
    said = capsys.readouterr().err
    assert f"its weights lie in {place!r}; expected a file in the model's folder" in said


def test_data_that_is_missing_is_named(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model.with_name(DATA).unlink()
    assert main(["evaluate", str(model), "input_bin", "--label", "label.txt"]) == 1
    assert f"{model.with_name(DATA)} does not exist; expected weights" in capsys.readouterr().err
