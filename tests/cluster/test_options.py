"""``--cluster`` without a cluster: what is refused, and what is said where Ray is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crnn.cli.main import main
from tests.conftest import ROOT
from tests.fonts import needs_fonts
from tests.models import write_bins, write_echo_model
from tests.processes import measured

RENDER = ["dataset", "synth", "out", "--count", "1", "--seed", "1", "--pattern", "[0-9]{4}"]

WITHOUT_RAY = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
sys.meta_path.insert(0, Wall())
from crnn.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_echo_model(tmp_path / "m.onnx")
    write_bins(tmp_path, ["1", "2"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "verb",
    [
        ["evaluate", "m.onnx", "input_bin", "--label", "label.txt", "--run", "run"],
        ["read", "m.onnx", "x", "--run", "run"],
        pytest.param(RENDER, marks=needs_fonts),
        ["prepare", str(ROOT / "examples" / "words_lmdb"), "out", "--label", "prepared.txt"],
    ],
)
def test_without_ray_the_line_that_installs_it_is_said(place: Path, verb: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY, *verb, "--cluster", "local"],
        env={"PYTHONPATH": str(ROOT), **measured()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 4
    assert "pip install -e '.[cluster]'" in " ".join(ended.stderr.split())
    assert not (place / "run").exists()
    assert not list(place.glob("*out*"))
    assert not (place / "prepared.txt").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cluster", "local"], "--cluster goes with --run DIR"),
        (["--cluster-cpus", "2"], "--cluster-cpus goes with --cluster"),
        (["--run", "r", "--cluster", "local", "--shard", "1/2"], "--shard does not go with"),
        (["--run", "r", "--cluster", "local", "--device", "0"], "--device 0 does not go with"),
    ],
)
def test_what_does_not_go_together_is_refused(
    place: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["evaluate", "m.onnx", "input_bin", "--label", "label.txt"]
    assert main([*data, *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "head",
        "x y",
        "-x",
        "http://head:1",
        "head:",
        ":1",
        "head:123456",
        "ray://head:1",
    ],
)
def test_what_is_not_an_address_is_refused(
    place: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["evaluate", "m.onnx", "input_bin", "--label", "label.txt", "--run", "run"]
    assert main([*data, f"--cluster={address}"]) == 2
    assert f"crnn: error: --cluster {address}: " in capsys.readouterr().err
    assert not (place / "run").exists()


def test_a_cluster_renders_with_workers_and_not_with_processes(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*RENDER, "--cluster", "local", "--processes", "2"]) == 2
    assert "--processes does not go with --cluster" in capsys.readouterr().err
    assert main([*RENDER, "--cluster-cpus", "2"]) == 2
    assert "--cluster-cpus goes with --cluster" in capsys.readouterr().err
