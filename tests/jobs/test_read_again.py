"""``crnn compile`` keeps what the ONNX read; ``crnn doctor NAME.om --run`` reads it again."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np
import onnx
import pytest

from crnn.ascend.reference import MAX_LOGITS, make_reference, parse_reference
from crnn.ascend.sidecar import read_sidecar
from crnn.cli.main import main
from crnn.ctc import greedy
from crnn.runners.onnx_runner import OnnxRunner
from crnn.spec import METADATA_KEY, ModelSpec
from crnn.strokes import digest, stroke_pictures
from tests.ascend import om_writer
from tests.lstm_models import lstm_model
from tests.simulated import simulated


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    onnx.save(lstm_model(), str(folder / "m.onnx"))
    for words in (["m.onnx", "gears", "--batch", "1,4"], ["m.onnx", "u8", "--aipp"]):
        done = simulated(folder, "compile", *words)
        assert done.returncode == 0, done.stderr
    return folder


def test_the_onnxs_texts_and_logits_stand_beside_the_om(compiled: Path) -> None:
    sidecar = read_sidecar(compiled / "gears.om.json")
    data = json.loads((compiled / "gears.om.json").read_text(encoding="utf-8"))
    assert data["format"] == "crnn-om/5"
    reference = sidecar.reference
    assert reference is not None
    pictures = stroke_pictures(sidecar.spec)
    assert reference.pictures_sha256 == digest(pictures)
    with OnnxRunner(compiled / "m.onnx") as runner:
        logits = runner.run(pictures)
    np.testing.assert_allclose(reference.logits, logits, rtol=0, atol=1e-5)
    assert list(reference.texts) == greedy(logits, sidecar.spec.alphabet)
    assert len(set(reference.texts)) > 1


@pytest.mark.parametrize("kind", ["output", "spec"])
@pytest.mark.slow
def test_readings_are_kept_where_compile_is_told_output_or_spec(tmp_path: Path, kind: str) -> None:
    """The OM then has another output, or another spec, than the ONNX alone would be read by."""
    proto = lstm_model()
    if kind == "output":
        proto.graph.output.append(onnx.ValueInfoProto(name="features"))
        words = ["--output", "output1"]
    else:
        given = ModelSpec(blank=36)
        # What the file itself says does not fit it: 38 classes.
        own = ModelSpec(characters=given.characters + "é")
        onnx.helper.set_model_props(proto, {METADATA_KEY: own.to_json()})
        (tmp_path / "spec.json").write_text(given.to_json(), encoding="utf-8")
        words = ["--spec", "spec.json"]
    onnx.save(proto, str(tmp_path / "m.onnx"))
    done = simulated(tmp_path, "compile", "m.onnx", "m", *words)
    assert done.returncode == 0, done.stderr
    assert read_sidecar(tmp_path / "m.om.json").reference is not None, done.stderr
    done = simulated(tmp_path, "doctor", "m.om", "--run", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"][0]["same"] is True


@pytest.mark.parametrize("name", ["gears", "u8"])
def test_an_om_that_reads_the_same_says_so(compiled: Path, name: str) -> None:
    done = simulated(compiled, "doctor", f"{name}.om", "--run", "--json", "-")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["run"]
    assert found["same"] is True
    assert found["simulated"] is True
    assert (found["pictures"], found["compared"], found["differ"]) == (16, 16, [])
    assert found["largest_difference"] < 0.1


def changed(compiled: Path, folder: Path, **values: Any) -> Path:
    """Copy an OM with a file beside it whose reference says something else."""
    om = folder / "gears.om"
    om.write_bytes((compiled / "gears.om").read_bytes())
    data: Dict[str, Any] = json.loads((compiled / "gears.om.json").read_text(encoding="utf-8"))
    data["reference"].update(values)
    (folder / "gears.om.json").write_text(json.dumps(data), encoding="utf-8")
    return om


def test_a_text_that_differs_is_exit_3(compiled: Path, tmp_path: Path) -> None:
    data = json.loads((compiled / "gears.om.json").read_text(encoding="utf-8"))["reference"]
    texts = [*data["texts"][:15], "somethingelse"]
    om = changed(compiled, tmp_path, texts=texts)
    done = simulated(tmp_path, "doctor", str(om), "--run")
    assert done.returncode == 3
    said = " ".join(done.stdout.split())
    assert "15 of 16 built-in pictures read as the ONNX" in said
    assert "picture 15: the ONNX read 'somethingelse'" in said
    assert "SIMULATED" in done.stdout


def test_logits_that_differ_are_measured(compiled: Path, tmp_path: Path) -> None:
    data = json.loads((compiled / "gears.om.json").read_text(encoding="utf-8"))["reference"]
    logits = np.frombuffer(base64.b64decode(data["logits"]), dtype="<f4").copy()
    logits[7] += 0.5
    text = base64.b64encode(logits.tobytes()).decode()
    om = changed(compiled, tmp_path, logits=text)
    done = simulated(tmp_path, "doctor", str(om), "--run", "--json", "-")
    (found,) = json.loads(done.stdout)["run"]
    assert found["largest_difference"] == pytest.approx(0.5, abs=0.01)


UNUSABLE: Dict[str, Tuple[Dict[str, Any], str]] = {
    "other pictures": ({"pictures_sha256": "0" * 64}, "the readings are of the pictures strokes/1"),
    "unknown pictures": ({"pictures": "words/9"}, "the readings are of the pictures words/9"),
    "too few texts": ({"texts": ["a"]}, "1 texts; expected 16"),
    "not base64": ({"logits": "!"}, "logits are not base64"),
    "too few logits": ({"logits": "AAAA"}, "logits have 3 bytes"),
    "another shape": ({"shape": [1, 2]}, "shape is not what crnn compile writes"),
    "another key": ({"more": 1}, "unknown or missing keys: more"),
}


@pytest.fixture(scope="module")
def refused(compiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Tuple[int, str]]:
    """How the doctor of an OM with each of them ended, and what it said."""
    folder = tmp_path_factory.mktemp("refused")
    ended = {}
    for kind, (values, _) in UNUSABLE.items():
        (folder / kind).mkdir()
        om = changed(compiled, folder / kind, **values)
        done = simulated(folder, "doctor", str(om), "--run")
        ended[kind] = (done.returncode, done.stdout + done.stderr)
    return ended


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_reference_that_cannot_be_used(refused: Dict[str, Tuple[int, str]], kind: str) -> None:
    code, said = refused[kind]
    assert code in (1, 4)
    assert UNUSABLE[kind][1] in " ".join(said.split())


def test_an_om_without_a_reference_is_told_of(compiled: Path, tmp_path: Path) -> None:
    om = tmp_path / "bare.om"
    om.write_bytes((compiled / "gears.om").read_bytes())
    done = simulated(tmp_path, "doctor", str(om), "--run")
    assert done.returncode == 1
    assert "there is no bare.om.json beside it" in " ".join(done.stderr.split())


def test_run_with_an_onnx_says_that_it_is_not_an_om(
    compiled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (onnx,) = compiled.glob("*.onnx")
    assert main(["doctor", str(onnx), "--run"]) == 1
    error = capsys.readouterr().err
    assert f"{onnx.name} is not an OM" in error
    assert "crnn compile" in error


def test_run_needs_an_om(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--run"]) == 2
    assert "--run needs an OM" in capsys.readouterr().err


def test_of_very_many_classes_fewer_pictures_are_kept() -> None:
    logits = np.zeros((26, 16, 2000), dtype=np.float32)
    reference = make_reference("0" * 64, ("",) * 16, logits)
    assert reference.logits.shape == (26, 2, 2000)
    assert reference.logits.nbytes <= MAX_LOGITS
    again = parse_reference(reference.to_dict(), "m.om.json")
    assert again.texts == reference.texts
    np.testing.assert_array_equal(again.logits, reference.logits)
    wide = make_reference("0" * 64, ("",) * 16, np.zeros((26, 16, 7000), dtype=np.float32))
    assert parse_reference(wide.to_dict(), "m.om.json").logits.shape == (26, 0, 7000)


def test_without_onnx_runtime_the_om_is_compiled_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.cann_trees import cann_6_0, write

    tree = cann_6_0(tmp_path / "root")
    write(tmp_path / "made.om", "").write_bytes(om_writer.static())
    onnx.save(lstm_model(), str(tmp_path / "m.onnx"))
    monkeypatch.setenv("PATH", f"{tree.home}/bin:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_ATC_OM", str(tmp_path / "made.om"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["compile", str(tmp_path / "m.onnx"), str(tmp_path / "m")]) == 0
    assert "no readings are kept for crnn doctor --run" in capsys.readouterr().err
    assert read_sidecar(tmp_path / "m.om.json").reference is None
    assert ModelSpec.default() == read_sidecar(tmp_path / "m.om.json").spec
