"""The file beside an OM."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from crnn.ascend.sidecar import (
    Sidecar,
    describe_sidecar,
    find_sidecar,
    find_spec,
    read_sidecar,
    sidecar_path,
    write_sidecar,
)
from crnn.errors import InputError
from crnn.filekind import sha256
from crnn.spec import ModelSpec

SIDECAR = Sidecar(
    spec=ModelSpec(width=160),
    om_sha256="1" * 64,
    onnx_sha256="2" * 64,
    checkpoint_sha256=None,
    command=("atc", "--model=crnn.onnx", "--output=Übung"),
    versions={"crnn": "0.1.0", "cann": "8.0.RC1"},
    batch_sizes=(1, 4),
    simulated=True,
)

GOLDEN = """{
 "batch_sizes": [
  1,
  4
 ],
 "checkpoint_sha256": null,
 "command": [
  "atc",
  "--model=crnn.onnx",
  "--output=Übung"
 ],
 "format": "crnn-om/1",
 "om_sha256": "1111111111111111111111111111111111111111111111111111111111111111",
 "onnx_sha256": "2222222222222222222222222222222222222222222222222222222222222222",
 "simulated": true,
 "spec": {
  "alphabet": "0123456789abcdefghijklmnopqrstuvwxyz",
  "blank": 0,
  "color": "gray",
  "divisor": 255.0,
  "fold_case": true,
  "format": "crnn-spec/1",
  "height": 32,
  "input_dtype": "float32",
  "mean": 0.5,
  "output_axes": "TNK",
  "resizer": "pil-bicubic",
  "std": 0.5,
  "time_steps": 26,
  "width": 160
 },
 "versions": {
  "cann": "8.0.RC1",
  "crnn": "0.1.0"
 }
}
"""


@pytest.fixture
def om(tmp_path: Path) -> Path:
    path = tmp_path / "crnn_bs1.om"
    path.write_bytes(b"IMOD and more")
    return path


def fitting(om: Path) -> Sidecar:
    return dataclasses.replace(SIDECAR, om_sha256=sha256(om))


def test_the_bytes_are_golden(om: Path) -> None:
    path = write_sidecar(om, SIDECAR)
    assert path == om.parent / "crnn_bs1.om.json"
    assert path.read_bytes() == GOLDEN.encode("utf-8")


def test_what_is_written_is_read(om: Path) -> None:
    assert read_sidecar(write_sidecar(om, SIDECAR)) == SIDECAR


def test_nothing_is_half_written(om: Path) -> None:
    odd = dataclasses.replace(SIDECAR, versions={"crnn": object()})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        write_sidecar(om, odd)
    assert [entry.name for entry in om.parent.iterdir()] == ["crnn_bs1.om"]


def test_a_fitting_file_gives_the_spec(om: Path) -> None:
    write_sidecar(om, fitting(om))
    assert find_spec(om) == (ModelSpec(width=160), "file")
    assert find_spec(om, sha256(om)) == (ModelSpec(width=160), "file")


def test_a_bare_om_is_read_by_the_default_spec(om: Path) -> None:
    assert find_sidecar(om) is None
    assert find_spec(om) == (ModelSpec.default(), "default")


def test_a_stale_file_is_refused_with_what_to_do(om: Path) -> None:
    write_sidecar(om, fitting(om))
    om.write_bytes(b"IMOD and other")
    with pytest.raises(
        InputError, match=r"crnn_bs1.om.json belongs to another OM: it names 246755af7332…"
    ) as caught:
        find_spec(om)
    assert "crnn compile MODEL.onnx crnn_bs1" in caught.value.hint
    assert "move crnn_bs1.om.json away" in caught.value.hint


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "crnn-om/7", "the format is 'crnn-om/7'; expected 'crnn-om/1' to 'crnn-om/6'"),
        ("extra", 1, "unknown or missing keys: extra"),
        ("spec", [], "spec is ..; expected an object"),
        ("om_sha256", "1" * 63, "om_sha256 is '1+[.]+1+'; expected a SHA-256"),
        ("om_sha256", "G" * 64, "om_sha256 is 'G+[.]+G+'; expected a SHA-256"),
        ("onnx_sha256", None, "onnx_sha256 is None; expected a SHA-256"),
        (
            "checkpoint_sha256",
            5,
            "checkpoint_sha256 is 5; expected a SHA-256 of 64 hexadecimal digits, or null",
        ),
        ("command", "atc --model", "command is 'atc --model'; expected a list of texts"),
        ("command", [1], "command is .1.; expected a list of texts"),
        ("versions", {"cann": 8}, "versions is .'cann': 8.; expected texts by name"),
        ("versions", [], "versions is ..; expected texts by name"),
        ("batch_sizes", [], "batch_sizes is ..; expected a list of positive numbers"),
        ("batch_sizes", 5, "batch_sizes is 5; expected a list of positive numbers"),
        ("batch_sizes", [4, "8"], "batch_sizes is .4, '8'.; expected a list of positive"),
        ("command", ["atc", 1], "command is .'atc', 1.; expected a list of texts"),
        ("versions", {"crnn": "1", "cann": 8}, "versions is .*; expected texts by name"),
        ("batch_sizes", [0], "batch_sizes is .0.; expected a list of positive numbers"),
        ("batch_sizes", [True], "batch_sizes is .True.; expected a list of positive numbers"),
        ("simulated", 1, "simulated is 1; expected true or false"),
        (
            "spec",
            {**json.loads(GOLDEN)["spec"], "divisor": 10**400},
            "json: spec: divisor is 10+; expected a finite",
        ),
        ("spec", [], "spec is ..; expected an object"),
        ("spec", {"format": "crnn-spec/1"}, "json: unknown or missing keys: alphabet"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(om: Path, key: str, value: Any, message: str) -> None:
    path = sidecar_path(om)
    path.write_text(json.dumps({**json.loads(GOLDEN), key: value}), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_sidecar(path)


@pytest.mark.parametrize("key", sorted(set(json.loads(GOLDEN)) - {"format"}))
def test_a_missing_key_is_named(om: Path, key: str) -> None:
    data = json.loads(GOLDEN)
    del data[key]
    path = sidecar_path(om)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError, match=f"unknown or missing keys: {key}"):
        read_sidecar(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"format": "\\ud800"}', "is not JSON"),
        (b"[]", "the format is 'list'; expected 'crnn-om/1' to 'crnn-om/6'"),
        (b" " * (1 << 20) + b"1", "has 1048577 bytes; at most 1048576"),
    ],
    ids=["cut short", "not UTF-8", "nested", "half a character", "a list", "too large"],
)
def test_a_file_that_is_none(om: Path, content: bytes, message: str) -> None:
    path = sidecar_path(om)
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_sidecar(path)


def test_what_is_shown(om: Path) -> None:
    assert (
        describe_sidecar(om, sha256(om))["spec_from"]
        == "default (no crnn_bs1.om.json stands beside it)"
    )
    write_sidecar(om, fitting(om))
    shown = describe_sidecar(om, sha256(om))
    assert (shown["spec_from"], shown["spec"]["width"], shown["checkpoint_sha256"]) == (
        "file",
        160,
        "unknown",
    )
    shown = describe_sidecar(om, "3" * 64)
    assert shown["spec_from"].startswith("nothing: ")
    assert "belongs to another OM" in shown["spec_from"]


def test_external_data_takes_the_next_number(om: Path) -> None:
    sidecar = dataclasses.replace(SIDECAR, external_data={"weights.bin": "a" * 64})
    path = write_sidecar(om, sidecar)
    assert json.loads(path.read_text(encoding="utf-8"))["format"] == "crnn-om/2"
    assert read_sidecar(path) == sidecar
    # The first format does not know the key.
    path.write_text(path.read_text(encoding="utf-8").replace("crnn-om/2", "crnn-om/1"), "utf-8")
    with pytest.raises(InputError, match="unknown or missing keys: external_data"):
        read_sidecar(path)


def test_what_is_known_of_an_om_is_described(om: Path) -> None:
    whole = dataclasses.replace(
        SIDECAR,
        om_sha256=sha256(om),
        checkpoint_sha256="3" * 64,
        widths=(80, 128),
        external_data={"weights.bin": "a" * 64},
    )
    write_sidecar(om, whole)
    assert read_sidecar(sidecar_path(om)) == whole
    assert describe_sidecar(om, sha256(om)) == {
        "spec_from": "file",
        "spec": SIDECAR.spec.to_dict(),
        "versions": SIDECAR.versions,
        "widths": [80, 128],
        "onnx_sha256": "2" * 64,
        "checkpoint_sha256": "3" * 64,
        "external_data": {"weights.bin": "a" * 64},
    }
    write_sidecar(om, dataclasses.replace(SIDECAR, om_sha256=sha256(om)))
    assert describe_sidecar(om, sha256(om)) == {
        "spec_from": "file",
        "spec": SIDECAR.spec.to_dict(),
        "versions": SIDECAR.versions,
        "onnx_sha256": "2" * 64,
        "checkpoint_sha256": "unknown",
    }


@pytest.mark.parametrize(
    "value",
    [[], "a", {"weights.bin": 5}, {"weights.bin": "a"}, {"a.bin": "a" * 64, "b.bin": "a"}],
)
def test_wrong_external_data_is_refused(om: Path, value: Any) -> None:
    data = {**json.loads(GOLDEN), "format": "crnn-om/2", "external_data": value}
    path = sidecar_path(om)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError, match="external_data is .*; expected a SHA-256 of 64 .* each"):
        read_sidecar(path)
