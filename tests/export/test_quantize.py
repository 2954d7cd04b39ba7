"""``crnn quantize`` on the shipped model and words."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import shutil
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import lmdb
import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from PIL import Image

from crnn.cli.main import main
from crnn.errors import CheckError
from crnn.export.quantize import Quantised, _require
from crnn.machine import describe
from tests.conftest import ROOT
from tests.foreign import few_words_lmdb
from tests.models import SPEC, write_echo_model

WORDS = ROOT / "examples" / "words_lmdb"


@pytest.fixture(scope="module")
def model(shipped: Path) -> Path:
    return shipped


@pytest.fixture(scope="module")
def by_the_package(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuple[Path, str]:
    """An int8 copy that the words inside the package have calibrated, and what was printed."""
    target = tmp_path_factory.mktemp("int8") / "i8.onnx"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["quantize", str(model), str(target), "--json", "-"]) == 0
    return target, printed.getvalue()


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
    assert "a net loss of" in err
    assert "words, 2.99 are allowed (--max-drop 0.01)" in err
    assert "McNemar's p is" in err
    assert f"float 0.9933, on {describe()['processor']}, which " in err
    assert "was not written" in err
    assert [path.name for path in tmp_path.iterdir()] == ["words"]


def test_words_without_label_or_image_neither_calibrate_nor_count(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = few_words_lmdb(tmp_path / "words", 60)
    with lmdb.open(str(words), lock=False) as env, env.begin(write=True) as txn:
        txn.put(b"image-000000001", b"not an image")
        txn.delete(b"label-000000030")
        txn.delete(b"image-000000060")
    target = tmp_path / "i8.onnx"
    command = ["quantize", str(model), str(target), "--calibrate", str(words), "--count", "20"]
    assert main([*command, "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["calibrated_on"], result["held_back"]) == (20, 57 - 20)
    assert result["accuracy"]["float"] == 1


@pytest.mark.parametrize(
    ("count", "code", "message"),
    [
        ("200", 1, "has 300 usable words; expected at least 400"),
        ("0", 2, "'0' is not a whole number from 1"),
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


@pytest.mark.parametrize(
    "operator",
    ["QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "DequantizeLinear", "MatMulNBits"],
)
def test_a_quantised_model_is_refused(
    operator: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_echo_model(tmp_path / "m.onnx")
    proto = onnx.load(str(path))
    proto.graph.node[0].op_type = operator
    onnx.save(proto, str(path))
    assert main(["quantize", str(path), str(tmp_path / "o.onnx"), "--calibrate", str(WORDS)]) == 1
    assert "is quantised already" in capsys.readouterr().err


def test_an_int8_model_of_the_kits_own_is_refused(
    by_the_package: Tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, _ = by_the_package
    assert main(["quantize", str(target), str(tmp_path / "again.onnx")]) == 1
    assert "is quantised already" in capsys.readouterr().err


def few(folder: Path) -> List[str]:
    """Write forty words, and return the options that calibrate by eight of them."""
    words = few_words_lmdb(folder / "few", 40)
    return ["--calibrate", str(words), "--count", "8"]


def _changed(model: Path, path: Path, change: Callable[[Dict[str, np.ndarray]], None]) -> Path:
    """Write a copy of a model with other weights."""
    proto = onnx.load(str(model))
    weights = {one.name: onnx.numpy_helper.to_array(one).copy() for one in proto.graph.initializer}
    change(weights)
    for one in proto.graph.initializer:
        one.CopyFrom(onnx.numpy_helper.from_array(weights[one.name], one.name))
    onnx.save(proto, str(path))
    return path


def _largest(weights: Dict[str, np.ndarray]) -> np.ndarray:
    return max(weights.values(), key=lambda array: array.size)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_model_that_gives_no_numbers_is_refused(
    model: Path, tmp_path: Path, value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(weights: Dict[str, np.ndarray]) -> None:
        for array in weights.values():
            if 37 in array.shape:  # the last layer's
                array.flat[0] = value

    path = _changed(model, tmp_path / "m.onnx", change)
    command = ["quantize", str(path), str(tmp_path / "o.onnx"), *few(tmp_path)]
    assert main(command) == 3
    assert "gives NaN or infinity for 32 of 32 held-back words" in capsys.readouterr().err
    assert not (tmp_path / "o.onnx").exists()


@pytest.mark.parametrize("how", ["zero", "reversed", "alphabet"])
def test_a_model_that_reads_nothing_is_refused(
    model: Path, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(weights: Dict[str, np.ndarray]) -> None:
        if how == "zero":
            _largest(weights)[...] = 0
        if how == "reversed":
            _largest(weights)[...] *= -1

    path = _changed(model, tmp_path / "m.onnx", change)
    if how == "alphabet":
        proto = onnx.load(str(path))
        spec = dataclasses.replace(SPEC, characters=SPEC.characters[::-1])
        for entry in proto.metadata_props:
            if entry.key == "crnn.spec":
                entry.value = spec.to_json()
        onnx.save(proto, str(path))
    assert main(["quantize", str(path), str(tmp_path / "o.onnx"), *few(tmp_path)]) == 3
    err = capsys.readouterr().err
    assert "of 32 held-back words, so there is nothing to compare" in err
    assert "alphabet" in err
    assert not (tmp_path / "o.onnx").exists()


def test_without_an_lmdb_the_words_inside_the_package_serve(
    by_the_package: Tuple[Path, str],
) -> None:
    result = json.loads(by_the_package[1])
    assert (result["calibrated_on"], result["held_back"]) == (128, 272)
    assert result["accuracy"]["float"] > 0.85
    assert result["accuracy"]["int8"] >= result["accuracy"]["float"] - 0.005


def test_an_alphabet_that_spells_none_of_them_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    greek = "".join(chr(0x3B1 + index) for index in range(36))
    spec = dataclasses.replace(SPEC, characters=greek)
    path = write_echo_model(tmp_path / "greek.onnx", spec=spec)
    assert main(["quantize", str(path), str(tmp_path / "o.onnx")]) == 1
    err = capsys.readouterr().err
    assert "leave 0 that this model's alphabet spells; expected at least 256" in err
    assert "Give words in the model's own alphabet: --calibrate LMDB" in err


@pytest.mark.parametrize(
    ("held_back", "lost", "gained", "refused"),
    [
        (172, 1, 0, False),  # one word may always be lost
        (172, 5, 0, False),  # p = 0.0625: may be chance
        (172, 6, 0, True),  # p = 0.031
        (2000, 10, 0, False),  # 0.005 of 2000
        (2000, 11, 0, True),
        (2000, 40, 29, False),  # a net loss of 11 of 69 that differ may be chance
        (2000, 0, 50, False),
    ],
)
def test_only_a_large_loss_that_is_not_chance_refuses(
    held_back: int, lost: int, gained: int, refused: bool
) -> None:
    right = held_back - lost
    result = Quantised(
        target=Path("o.onnx"),
        bytes_before=4,
        bytes_after=1,
        calibrated_on=128,
        held_back=held_back,
        accuracy_float=right / held_back,
        accuracy_int8=(right - lost + gained) / held_back,
        differing=lost + gained,
        lost=lost,
        gained=gained,
    )
    if refused:
        with pytest.raises(CheckError, match=r"McNemar's p is 0\.0"):
            _require(result, 0.005)
    else:
        _require(result, 0.005)
