"""``crnn inspect`` on ONNX files and on what is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crnn.cli.main import main
from crnn.filekind import sha256
from tests.models import SPEC, write_echo_model


def test_json_of_an_onnx(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_echo_model(tmp_path / "m.onnx")
    assert main(["inspect", str(path), "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["inputs"] == ["actual_input_1 float (batch, 1, 32, 100)"]
    assert data["outputs"] == ["output1 float (26, batch, 37)"]
    assert (data["opset"], data["ir_version"]) == ({"ai.onnx": 11}, 6)
    assert (data["bytes"], data["sha256"]) == (path.stat().st_size, sha256(path))
    assert data["spec"] == SPEC.to_dict()
    assert data["operators"]["Slice"] == 1


def test_table_of_an_onnx_without_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_echo_model(tmp_path / "m.onnx", spec=None, batch=4)
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "actual_input_1 float (4, 1, 32, 100)" in out
    assert "default (the file carries none)" in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\nsize 3\n", "Git LFS pointer"),
        (b"\x00" * 64, "not an ONNX file"),
        (b"words, words, words", "not an ONNX file"),
    ],
)
def test_what_is_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    assert main(["inspect", str(path)]) == 1
    assert message in capsys.readouterr().err


def test_a_spec_that_cannot_be_read_is_an_error_not_a_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnx

    proto = onnx.load(str(write_echo_model(tmp_path / "m.onnx")))
    proto.metadata_props[0].value = '{"format": "crnn-spec/9"}'
    onnx.save(proto, str(tmp_path / "m.onnx"))
    assert main(["inspect", str(tmp_path / "m.onnx")]) == 1
    assert (
        "crnn.spec: the format is 'crnn-spec/9'; expected 'crnn-spec/2'" in capsys.readouterr().err
    )
