"""``crnn quantize`` on the shipped model and words."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import lmdb
import onnx
import pytest
from PIL import Image

from crnn.cli import main
from tests.conftest import ROOT
from tests.models import write_echo_model

WORDS = ROOT / "examples" / "words_lmdb"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("float") / "m.onnx"
    assert main(["export", str(ROOT / "examples" / "crnn_small.pth"), str(path)]) == 0
    return path


def test_the_int8_model_reads_as_well_and_says_what_it_is_for(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "i8.onnx"
    assert (
        main(["quantize", str(model), str(target), "--calibrate", str(WORDS), "--json", "-"]) == 0
    )
    result = json.loads(capsys.readouterr().out)
    assert (result["calibrated_on"], result["held_back"]) == (128, 172)
    assert result["accuracy"]["int8"] >= result["accuracy"]["float"] - 0.005
    assert result["bytes"]["int8"] < 0.35 * result["bytes"]["float"]
    proto = onnx.load(str(target))
    onnx.checker.check_model(proto, full_check=True)
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    source = {entry.key: entry.value for entry in onnx.load(str(model)).metadata_props}
    assert properties == {
        **source,
        "crnn.quantised": "int8 for ONNX Runtime on processors; not for ATC",
    }
    assert {entry.domain: entry.version for entry in proto.opset_import} == {
        "": 13,
        "com.microsoft": 1,
    }
    assert {"DynamicQuantizeLSTM", "QuantizeLinear"} <= {node.op_type for node in proto.graph.node}
    assert main(["evaluate", str(target), str(WORDS), "--min-accuracy", "0.95"]) == 0


def test_a_model_that_loses_too_much_is_not_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Ranges from one empty image alone are too narrow for words.
    words = tmp_path / "words"
    shutil.copytree(WORDS, words)
    blank = io.BytesIO()
    Image.new("L", (100, 32), 128).save(blank, "PNG")
    with lmdb.open(str(words), lock=False) as env, env.begin(write=True) as txn:
        txn.put(b"image-000000001", blank.getvalue())
    target = tmp_path / "i8.onnx"
    command = [
        "quantize",
        str(model),
        str(target),
        "--calibrate",
        str(words),
        "--count",
        "1",
        "--max-drop",
        "0.01",
    ]
    assert main(command) == 3
    err = capsys.readouterr().err
    assert "lower, 0.01 are allowed" in err
    assert "was not written" in err
    assert [path.name for path in tmp_path.iterdir()] == ["words"]


@pytest.mark.parametrize(
    ("count", "code", "message"),
    [
        ("200", 1, "has 300 usable words; expected at least 400"),
        ("0", 2, "'0' is no whole number from 1"),
    ],
)
def test_bad_counts(
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    count: str,
    code: int,
    message: str,
) -> None:
    target = tmp_path / "i8.onnx"
    assert (
        main(["quantize", str(model), str(target), "--calibrate", str(WORDS), "--count", count])
        == code
    )
    assert message in capsys.readouterr().err


def test_a_quantised_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_echo_model(tmp_path / "m.onnx")
    proto = onnx.load(str(path))
    proto.graph.node[0].op_type = "QuantizeLinear"
    onnx.save(proto, str(path))
    assert main(["quantize", str(path), str(tmp_path / "o.onnx"), "--calibrate", str(WORDS)]) == 1
    assert "is quantised already" in capsys.readouterr().err
