"""``--cluster`` without a cluster: what is refused, and what is said where Ray is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crnn.cli.main import main
from tests.conftest import ROOT
from tests.models import write_bins, write_echo_model
from tests.processes import measured

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
    "verb", [["evaluate", "m.onnx", "input_bin", "--label", "label.txt"], ["read", "m.onnx", "x"]]
)
def test_without_ray_the_line_that_installs_it_is_said(place: Path, verb: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY, *verb, "--run", "run", "--cluster", "local"],
        env={"PYTHONPATH": str(ROOT), **measured()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 4
    assert "pip install -e '.[cluster]'" in " ".join(ended.stderr.split())
    assert not (place / "run").exists()


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
