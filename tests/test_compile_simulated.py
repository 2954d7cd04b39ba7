"""From an ONNX file to an OM that reads the same, with the simulator in the place of CANN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import onnx
import pytest

from crnn.ascend.sidecar import read_sidecar
from crnn.cli.main import main
from crnn.runners.open import open_runner
from crnn.samples.lmdb import LmdbSamples
from tests.conftest import ROOT
from tests.lines import joined
from tests.lstm_models import lstm_model, outputs_of, traced_model
from tests.simulated import host, ran

IMAGES = np.random.default_rng(1).normal(size=(5, 1, 32, 100)).astype(np.float32)
"""Those that outputs_of takes."""
PIXELS = np.random.default_rng(2).integers(0, 256, size=(5, 1, 32, 100), dtype=np.uint8)


def simulate(folder: Path, jobs: Dict[str, List[str]], options: str) -> Dict[str, Any]:
    """Compile, run each OM on the images and keep the logits, on one simulated host; the answers by
    job.
    """
    answers: Dict[str, Any] = {}
    with host(folder, options):
        for name, words in jobs.items():
            done = ran(["compile", *words])
            answers[name] = {"code": done.returncode, "said": done.stderr}
            if done.returncode == 0:
                answers[name].update(run(folder, name, words))
        done = ran(["doctor", "static.om", "--json", "-"])
        answers["doctor"] = {"code": done.returncode, "json": json.loads(done.stdout)}
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    return answers


def run(folder: Path, name: str, words: List[str]) -> Dict[str, Any]:
    """Run what ``crnn compile WORDS…`` has made."""
    om, images = Path(words[1] + ".om"), IMAGES
    if "--static-set" in words:
        om = Path(words[1]).parent
    if "--aipp" in words:
        images = PIXELS
    with open_runner(om) as runner:
        np.save(str(folder / name), runner.run(images))
        return {"batches": list(runner.batch_sizes), "simulated": runner.simulated}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    onnx.save(lstm_model(), str(folder / "crnn.onnx"))
    traced_model(folder / "traced.onnx", split=False, open_batch=True)
    traced_model(folder / "traced_split.onnx", split=True, open_batch=True)
    return folder


def expected(models: Path, name: str) -> np.ndarray:
    return outputs_of(onnx.load(str(models / f"{name}.onnx")), 5)


@pytest.fixture(scope="module")
def modern(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modern")
    (folder / "set").mkdir()
    crnn = str(models / "crnn.onnx")
    jobs = {
        "static": [crnn, "static", "--batch", "4"],
        "gears": [crnn, "gears", "--batch", "1,4"],
        "dims": [crnn, "dims", "--batch", "1,4", "--gears", "dims"],
        "set": [crnn, "set/crnn", "--batch", "1,4", "--static-set"],
        "aipp": [crnn, "aipp", "--aipp"],
        "traced": [str(models / "traced.onnx"), "traced"],
        "traced_split": [str(models / "traced_split.onnx"), "traced_split", "--batch", "4"],
        "traced_gears": [str(models / "traced.onnx"), "never", "--batch", "1,4"],
    }
    simulate(folder, jobs, "--soc Ascend310P3")
    return folder


def answer(folder: Path, name: str) -> Dict[str, Any]:
    found: Dict[str, Any] = json.loads((folder / "answers.json").read_text(encoding="utf-8"))[name]
    if "said" in found:
        found["said"] = joined(found["said"])
    return found


@pytest.mark.parametrize(
    ("name", "source", "batches"),
    [
        ("static", "crnn", [4]),
        ("gears", "crnn", [1, 4]),
        ("dims", "crnn", [1, 4]),
        ("set", "crnn", [1, 4]),
        ("traced", "traced", [1]),
        ("traced_split", "traced_split", [4]),
    ],
)
def test_the_om_gives_what_the_onnx_gives(
    name: str, source: str, batches: List[int], modern: Path, models: Path
) -> None:
    got = answer(modern, name)
    assert (got["code"], got["batches"], got["simulated"]) == (0, batches, True), got["said"]
    assert "compiling for Ascend310P3, the chip that npu-smi lists" in got["said"]
    np.testing.assert_allclose(
        np.load(modern / f"{name}.npy"), expected(models, source), rtol=0, atol=1e-5
    )


def test_with_aipp_the_om_takes_bytes(modern: Path, models: Path) -> None:
    import onnxruntime

    from crnn.spec import ModelSpec

    session = onnxruntime.InferenceSession(
        str(models / "crnn.onnx"), providers=["CPUExecutionProvider"]
    )
    wanted = session.run(None, {"actual_input_1": ModelSpec.default().table[PIXELS]})[0]
    # AIPP's numbers are half floats.
    np.testing.assert_allclose(np.load(modern / "aipp.npy"), wanted, rtol=0, atol=2e-3)


def test_a_traced_graph_cannot_have_gears_and_atc_is_not_even_started(modern: Path) -> None:
    got = answer(modern, "traced_gears")
    assert got["code"] == 1
    assert "initial states are given, so the batch cannot have gears (1, 4)" in got["said"]
    assert "atc:" not in got["said"]


def test_what_the_simulator_compiled_says_so(modern: Path) -> None:
    assert read_sidecar(modern / "gears.om.json").simulated
    got = answer(modern, "doctor")
    assert got["code"] == 0
    assert got["json"]["simulated"] is True
    assert "SIMULATED" in got["json"]["verdict"]
    lines = {check["name"]: check for check in got["json"]["checks"]}
    for name in ("CANN", "import acl", "devices", "OM", "ATC"):
        assert "(SIMULATED)" in lines[name]["found"]


def test_cann_5_0_takes_both_forms_and_3_3_none(models: Path, tmp_path: Path) -> None:
    crnn = str(models / "crnn.onnx")
    jobs = {
        "static": [crnn, "static"],
        "split": [crnn, "split", "--split-bilstm"],
        "gears": [crnn, "gears", "--batch", "1,4"],
        "traced": [str(models / "traced.onnx"), "traced", "--batch", "4"],
    }
    answers = simulate(tmp_path, jobs, "--cann 5.0")
    for name in jobs:
        source = "crnn"
        if name == "traced":
            source = name
        assert answers[name]["code"] == 0, answers[name]["said"]
        assert ("two forward ones" in answers[name]["said"]) == (name == "split")
        np.testing.assert_allclose(
            np.load(tmp_path / f"{name}.npy"), expected(models, source), rtol=0, atol=1e-5
        )
    older = {"static": jobs["static"], "split": jobs["split"]}
    answers = simulate(tmp_path, older, "--cann 3.3")
    for name in older:
        assert answers[name]["code"] == 1
        assert "E19999" in answers[name]["said"]
        assert "compile with CANN 5.0.2 or newer" in joined(answers[name]["said"])


def test_what_a_simulated_chip_has_read_says_so_wherever_it_appears(
    modern: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    samples = {sample.key: sample for sample in LmdbSamples(ROOT / "examples" / "words_lmdb")}
    (tmp_path / "word.png").write_bytes(samples["test_1"].image or b"")
    words = str(ROOT / "examples" / "words_lmdb")
    with host(tmp_path, "--soc Ascend310P3"):
        evaluated = ran(["evaluate", f"{modern}/gears.om", words, "--save-outputs", "outputs"])
        read = ran(["read", f"{modern}/gears.om", "word.png"])
    assert (evaluated.returncode, read.returncode) == (0, 0), evaluated.stderr + read.stderr
    assert "SIMULATED  no chip ran this" in evaluated.stdout
    assert "SIMULATED  no chip ran this" in read.stderr
    # The outputs are scored elsewhere, where there is no simulator.
    (tmp_path / "labels.txt").write_text(
        "".join(f"{key}.bin:{sample.label}\n" for key, sample in samples.items()), encoding="utf-8"
    )
    assert main(["score", "outputs", "--label", "labels.txt", "--json", "scored.json"]) == 0
    assert json.loads((tmp_path / "scored.json").read_text(encoding="utf-8"))["simulated"] is True
    assert "SIMULATED" in capsys.readouterr().out
