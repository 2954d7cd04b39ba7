"""``crnn evaluate --rehearse float16``: what it says, marks and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from crnn.cli.main import main
from crnn.cli.scripts import post_processing
from crnn.filekind import OM_MAGIC
from crnn.machine import usable_cpus
from crnn.spec import METADATA_KEY
from tests.conftest import ROOT
from tests.lines import joined
from tests.lstm_models import lstm_model
from tests.models import SPEC, write_bins, write_echo_model
from tests.simulated import simulated

DATA = ["input_bin", "--label", "label.txt"]
SIMULATED = (
    "SIMULATED  no chip ran this; its times are no chip's; float16 was rehearsed on this processor"
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The echo model, an LSTM and three words, one of them wrong, in the current directory."""
    write_echo_model(tmp_path / "echo.onnx")
    onnx.save(lstm_model(spec=SPEC), str(tmp_path / "lstm.onnx"))
    write_bins(tmp_path, ["aa1", "0", "lamp"], ["aa1", "0", "lamb"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rehearse(model: str, *words: str) -> int:
    return main(["evaluate", model, *DATA, "--rehearse", "float16", *words])


def read(name: str) -> Dict[str, Any]:
    data: Dict[str, Any] = json.loads(Path(name).read_text(encoding="utf-8"))
    return data


def doubled(path: Path, factor: float, *nodes: Any) -> None:
    """The echo model with its logits multiplied, after other nodes."""
    model = onnx.load(str(write_echo_model(path)))
    model.graph.node[-1].output[0] = "logits"
    factors = numpy_helper.from_array(np.float32([factor]), "factor")
    model.graph.initializer.append(factors)
    model.graph.node.extend(nodes)
    model.graph.node.append(helper.make_node("Mul", ["logits", "factor"], ["output1"], name="up"))
    onnx.save(model, str(path))


def test_it_counts_as_ever_and_says_that_it_was_simulated(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rehearse("echo.onnx", "--json", "r.json", "--readings", "r.jsonl") == 0
    assert joined(capsys.readouterr().out).splitlines()[0] == SIMULATED
    data = read("r.json")
    assert (data["simulated"], data["rehearsed"], data["backend"]) == (True, "float16", "rehearsal")
    assert (data["correct"], data["total"]) == (2, 3)
    lines = Path("r.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["simulated"] for line in lines)


def test_raw_outputs_of_it_are_scored_as_simulated(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rehearse("echo.onnx", "--save-outputs", "raw") == 0
    capsys.readouterr()
    assert main(["score", "raw", "--label", "label.txt"]) == 0
    assert capsys.readouterr().out.startswith("SIMULATED  ")


def test_a_plain_run_has_no_word_of_it(place: Path) -> None:
    assert main(["evaluate", "echo.onnx", *DATA, "--json", "r.json"]) == 0
    data = read("r.json")
    assert data["simulated"] is False
    assert "rehearsed" not in data


def test_several_models_are_marked_in_each_cell(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "models").mkdir()
    for name in ("a.onnx", "b.onnx"):
        write_echo_model(place / "models" / name)
    assert rehearse("models", "--json", "t.json") == 0
    capsys.readouterr()
    assert rehearse("models") == 0
    out = capsys.readouterr().out
    assert joined(out).startswith(SIMULATED)
    assert out.count(", SIMULATED)") == 2
    results = [model["results"][0]["result"] for model in read("t.json")["models"]]
    assert [result["rehearsed"] for result in results] == ["float16", "float16"]


def test_the_values_are_float16s_and_not_float32s(place: Path) -> None:
    assert rehearse("lstm.onnx", "--save-outputs", "half") == 0
    assert main(["evaluate", "lstm.onnx", *DATA, "--save-outputs", "single"]) == 0
    for name in ("test_1_0.bin", "test_2_0.bin"):
        half, single = (
            np.fromfile(place / folder / name, dtype="<f4") for folder in ("half", "single")
        )
        assert np.array_equal(half, half.astype(np.float16))
        assert 0 < np.abs(half - single).max() < 0.01


def test_a_comparison_with_float32s_readings(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "echo.onnx", *DATA, "--readings", "f.jsonl"]) == 0
    capsys.readouterr()
    assert rehearse("echo.onnx", "--against", "f.jsonl") == 0
    assert "against    0 words read differently" in capsys.readouterr().out


def test_values_beyond_float16s_are_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doubled(place / "loud.onnx", 70000.0)
    rehearse("loud.onnx")
    said = " ".join(capsys.readouterr().err.split())
    assert "Mul up gave values beyond float16's 65504, which are infinities here" in said
    rehearse("echo.onnx")
    assert "beyond float16" not in capsys.readouterr().err


def test_an_operator_that_is_not_modelled_is_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doubled(place / "other.onnx", 1.0, helper.make_node("Erf", ["logits"], ["e"], name="erf1"))
    assert rehearse("other.onnx") == 1
    assert " ".join(capsys.readouterr().err.split()) == (
        "crnn: error: other.onnx: float16 is rehearsed for the operators of the kit's own exports,"
        " and Erf (node erf1) is not one of them"
    )


def test_a_graph_that_is_not_valid_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doubled(place / "broken.onnx", 1.0, helper.make_node("Relu", [], ["e"], name="bare"))
    assert rehearse("broken.onnx") == 1
    assert "broken.onnx: not a valid ONNX graph" in " ".join(capsys.readouterr().err.split())


def test_one_of_several_outputs_is_rehearsed_alone(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What only the others need is not, so that it may be what the rehearsal does not model."""
    model = onnx.load("echo.onnx")
    model.graph.node.append(helper.make_node("Erf", ["output1"], ["e"], name="erf1"))
    model.graph.output.append(helper.make_tensor_value_info("e", 1, [26, "batch", 37]))
    onnx.save(model, "several.onnx")
    assert rehearse("several.onnx", "--output", "output1", "--json", "r.json") == 0
    assert (read("r.json")["correct"], read("r.json")["rehearsed"]) == (2, "float16")
    assert rehearse("echo.onnx", "--output", "output1") == 0
    capsys.readouterr()
    assert rehearse("several.onnx", "--output", "other") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "several.onnx has no output 'other'; it has output1, e" in said


def test_a_fixed_batch_is_kept(place: Path) -> None:
    write_echo_model(place / "two.onnx", batch=2)
    assert rehearse("two.onnx", "--batch", "3", "--json", "r.json") == 0
    assert read("r.json")["correct"] == 2


def test_pixels_and_weights_in_another_file(place: Path) -> None:
    from dataclasses import replace

    write_echo_model(place / "u8.onnx", spec=replace(SPEC, input_dtype="uint8"), dtype=2)
    assert rehearse("u8.onnx", "--json", "r.json") == 0
    assert read("r.json")["correct"] == 2
    model = lstm_model(spec=SPEC)
    onnx.save(model, "out.onnx", save_as_external_data=True, location="out.data", size_threshold=0)
    assert rehearse("out.onnx", "--json", "r.json") == 0
    assert list(read("r.json")["model"]["external_data"]) == ["out.data"]


@pytest.mark.slow
def test_an_om_under_the_simulator_gives_the_same_values(place: Path) -> None:
    """The same batches too: a product of other sizes may add in another order."""
    outputs = ["--batch", "3", "--save-outputs"]
    done = simulated(place, "compile", "lstm.onnx", "lstm", "--batch", "3")
    assert done.returncode == 0, done.stderr
    evaluate = ["evaluate", "lstm.om", *DATA, *outputs, "om"]
    done = simulated(place, *evaluate, options="--compute float16")
    assert done.returncode == 0, done.stderr
    assert rehearse("lstm.onnx", *outputs, "half") == 0
    for number in (1, 2, 3):
        name = f"test_{number}_0.bin"
        assert (place / "om" / name).read_bytes() == (place / "half" / name).read_bytes()


def test_two_inputs_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = lstm_model(spec=SPEC)
    more = helper.make_tensor_value_info("more", TensorProto.FLOAT, [1])
    model.graph.input.append(more)
    onnx.save(model, "two.onnx")
    assert rehearse("two.onnx") == 1
    assert "2 inputs and 1 outputs" in " ".join(capsys.readouterr().err.split())


REFUSED: List[Any] = [
    (["m.om"], "is not one"),
    (["m.pth"], "is not one"),
    (["echo.onnx", "--device", "cuda"], "--device cuda is another one"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_other_models_and_devices_are_refused(
    place: Path, capsys: pytest.CaptureFixture[str], words: List[str], said: str
) -> None:
    (place / "m.om").write_bytes(OM_MAGIC)
    torch.save({}, "m.pth")
    model, *more = words
    assert rehearse(model, *more) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_the_historical_script_takes_it_too(place: Path) -> None:
    words = ["--pre_dir", "input_bin", "--modelpath", "echo.onnx", "--label", "label.txt"]
    assert post_processing([*words, "--rehearse", "float16"]) == 0
    assert read("result.json")["rehearsed"] == "float16"


def test_the_threads_are_those_of_numpys_library(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert rehearse("echo.onnx", "--json", "r.json") == 0
    assert read("r.json")["threads"] == 1


def test_the_command_has_one_thread_or_as_many_as_are_asked_for(place: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    seen = []
    for more in ([], ["--threads", str(usable_cpus())]):
        words = ["evaluate", "echo.onnx", *DATA, "--rehearse", "float16", "--json", "r.json", *more]
        command = [sys.executable, "-m", "crnn", *words]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        seen.append(read("r.json")["threads"])
    assert seen == [1, usable_cpus()]


def test_a_spec_that_is_given_is_read_by(place: Path) -> None:
    model = onnx.load("echo.onnx")
    assert model.metadata_props[0].key == METADATA_KEY
    del model.metadata_props[:]
    onnx.save(model, "bare.onnx")
    assert rehearse("bare.onnx", "--spec", "modelzoo", "--json", "r.json") == 0
    assert read("r.json")["model"]["spec_from"] == "given"
