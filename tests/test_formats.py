"""Files that an early kit wrote, read by this one (tests/fixtures/formats/README.md)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest

from crnn.ascend.sidecar import read_sidecar
from crnn.cli.main import main
from crnn.filekind import sha256
from crnn.reports.result_json import read_run
from crnn.spec import ModelSpec, read_spec
from tests.conftest import ROOT
from tests.simulated import simulated

OLD = ROOT / "tests" / "fixtures" / "formats"
TEXTS = ["tree", "4u", "net"]
BINS = [str(OLD / "input_bin"), "--label", str(OLD / "label.txt")]


def texts(path: Path) -> List[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def read(path: Path) -> Dict[str, Any]:
    data: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def test_the_onnx_is_read_by_its_spec(tmp_path: Path) -> None:
    out = ["--readings", str(tmp_path / "r.jsonl"), "--json", str(tmp_path / "r.json")]
    assert main(["evaluate", str(OLD / "echo.onnx"), *BINS, *out]) == 0
    assert texts(tmp_path / "r.jsonl") == TEXTS
    now, then = read(tmp_path / "r.json"), read(OLD / "result.json")
    assert now["model"] == then["model"]
    assert set(now) >= set(then)


@pytest.mark.parametrize("name", ["echo.onnx", "lstm.onnx", "echo.om", "run/last.pth"])
def test_inspect_shows_each_model(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(OLD / name), "--json", "-"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["spec"] == ModelSpec.default().to_dict()


def test_the_simulated_om_runs(tmp_path: Path) -> None:
    words = ["evaluate", str(OLD / "echo.om"), *BINS, "--readings", str(tmp_path / "r.jsonl")]
    done = simulated(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert texts(tmp_path / "r.jsonl") == TEXTS


def test_the_sidecar_is_read_and_written_alike() -> None:
    path = OLD / "echo.om.json"
    sidecar = read_sidecar(path)
    assert sidecar.om_sha256 == sha256(OLD / "echo.om")
    assert sidecar.onnx_sha256 == sha256(OLD / "echo.onnx")
    assert sidecar.to_json() == path.read_text(encoding="utf-8")


def test_the_spec_is_read_and_written_alike() -> None:
    path = OLD / "spec.json"
    assert read_spec(path).to_json() + "\n" == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["result.json", "readings.jsonl"])
def test_an_earlier_run_is_compared_with(name: str) -> None:
    assert read_run(OLD / name).total == len(TEXTS)
    against = ["--against", str(OLD / name), "--max-differ", "0"]
    assert main(["evaluate", str(OLD / "echo.onnx"), *BINS, *against]) == 0


def test_a_comparison_is_reported_on_and_keeps_its_keys(tmp_path: Path) -> None:
    out = str(tmp_path / "c.html")
    assert main(["report", str(OLD / "comparison.json"), "-o", out]) == 0
    sides = [str(OLD / name) for name in ("echo.onnx", "readings.jsonl", "echo.onnx")]
    new = tmp_path / "c.json"
    assert main(["compare", *sides, "--data", *BINS, "--json", str(new)]) == 0
    now, then = read(new), read(OLD / "comparison.json")
    assert set(now) >= set(then)
    for name in ("sides", "comparisons"):
        for entry, earlier in zip(now[name], then[name]):
            assert set(entry) >= set(earlier)
    assert now["comparisons"][0]["differing"] == then["comparisons"][0]["differing"] == 0


@pytest.mark.parametrize("verb", ["bench", "evaluations"])
def test_tables_keep_their_keys(verb: str, tmp_path: Path) -> None:
    # No verb reads these; who does finds every key of then.
    out = tmp_path / "out.json"
    words = ["bench", str(OLD / "echo.onnx"), "--data", *BINS, "--batch", "1,2", "--loop", "2"]
    if verb == "evaluations":
        models = tmp_path / "models"
        models.mkdir()
        for name in ("a.onnx", "b.onnx"):
            shutil.copy(str(OLD / "echo.onnx"), str(models / name))
        words = ["evaluate", str(models), *BINS]
    assert main([*words, "--json", str(out)]) == 0
    lost = missing(read(OLD / f"{verb}.json"), read(out))
    assert lost == []


def missing(then: Any, now: Any, where: str = "") -> List[str]:
    """Return the keys of an old file that a new one lacks."""
    if isinstance(then, list):
        found: List[str] = []
        for index, (old, new) in enumerate(zip(then, now)):
            found += missing(old, new, f"{where}[{index}]")
        return found
    if not isinstance(then, dict):
        return []
    lost = [f"{where}.{key}" for key in then if key not in now]
    for key in set(then) & set(now):
        lost += missing(then[key], now[key], f"{where}.{key}")
    return lost


def test_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.training.runs import CPU_FLOAT16

    if not CPU_FLOAT16:
        pytest.skip("the run is one in float16, which PyTorch before 2.3 lacks on the CPU")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(str(OLD / "run"), "run")
    shutil.copytree(str(OLD / "words"), "words")
    words = ["train", "run/recipe.yaml", "--out", "run", "--resume", "--device", "cpu"]
    assert main([*words, "length=2 epochs"]) == 0
    lines = Path("run/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line)["step"] for line in lines if '"train"' in line]
    assert steps == [1, 2]
