"""``crnn inspect`` of an OM."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crnn.ascend.sidecar import Sidecar, write_sidecar
from crnn.cli.main import main
from crnn.filekind import sha256
from crnn.spec import ModelSpec
from tests.ascend import om_writer


@pytest.fixture
def om(tmp_path: Path) -> Path:
    path = tmp_path / "crnn.om"
    path.write_bytes(om_writer.static())
    return path


def test_it_is_shown_without_the_paths_of_whoever_compiled_it(
    om: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(om)]) == 0
    out = capsys.readouterr().out
    assert "inputs            actual_input_1 float32 (1, 1, 32, 100) NCHW, 12800 bytes" in out
    assert "soc_version       Ascend310" in out
    assert "precision         FP16 compute (ATC's default)" in out
    assert "spec_from         default (no crnn.om.json stands beside it)" in out
    assert "/home/ada" not in out


def test_the_command_line_is_shown_on_request(om: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(om), "--command"]) == 0
    assert "--model=/home/ada/crnn.onnx" in capsys.readouterr().out


def test_json_with_what_stands_beside_it(om: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = ModelSpec(time_steps=41)
    write_sidecar(
        om, Sidecar(spec, sha256(om), "2" * 64, "3" * 64, ("atc",), {"crnn": "0.1.0"}, (1,), False)
    )
    assert main(["inspect", str(om), "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["format"], data["sha256"], data["simulated"]) == ("OM", sha256(om), False)
    assert data["inputs"][0]["shape"] == [1, 1, 32, 100]
    assert (data["spec_from"], data["spec"]["time_steps"], data["checkpoint_sha256"]) == (
        "file",
        41,
        "3" * 64,
    )
    assert "atc_cmdline" not in data


def test_it_is_told_by_content(
    om: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "model.bin"
    om.rename(other)
    assert main(["inspect", str(other)]) == 0
    assert "format            OM" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not an om", "is not an OM: it begins with b'not '"),
        (om_writer.static()[:-9], "is cut short"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    ],
)
def test_another_file_by_that_name(
    om: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    om.write_bytes(content)
    assert main(["inspect", str(om)]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("name", ["hh_om", "ge_st_root_model", "ge_st_flow_model"])
def test_real_files(shared_data: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    path = shared_data / "om" / f"{name}.om"
    assert main(["inspect", str(path), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == path.stat().st_size
