"""What MindSpore has written, and what nobody should have."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Callable, Dict

import numpy as np
import pytest

from crnn.errors import InputError
from crnn.weights.mindspore_file import read_mindspore_file
from tests.foreign import MINDSPORE


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def parameter(tag: str, kind: str, dims: bytes, content: bytes) -> bytes:
    return field(
        1, field(1, tag.encode()) + field(2, dims + field(2, kind.encode()) + field(3, content))
    )


def dims(*sizes: int) -> bytes:
    return b"".join(b"\x08" + varint(size) for size in sizes)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def plain() -> Dict[str, np.ndarray]:
    return read_mindspore_file(MINDSPORE / "v2.ckpt")


@pytest.mark.parametrize("name", ["v2_crc.ckpt", "v2_sliced.ckpt", "v2.safetensors"])
def test_every_form_holds_the_same(plain: Dict[str, np.ndarray], name: str) -> None:
    other = read_mindspore_file(MINDSPORE / name)
    assert len(plain) == 59
    assert set(plain) == set(other)
    for tag, array in plain.items():
        assert array.dtype == other[tag].dtype == np.float32
        np.testing.assert_array_equal(array, other[tag])


def test_training_file_has_slots_and_scalars(plain: Dict[str, np.ndarray]) -> None:
    training = read_mindspore_file(MINDSPORE / "v2_training.ckpt")
    assert training["epoch_num"].shape == () and int(training["epoch_num"]) == 3
    assert (
        training["accum.rnn.1.embedding.weight"].shape == training["rnn.1.embedding.weight"].shape
    )
    assert training["momentum"] == np.float32(0.95)
    np.testing.assert_array_equal(training["vgg.conv7.conv.weight"], plain["vgg.conv7.conv.weight"])


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("Float16", np.array([1.5, -2], "<f2").tobytes(), [1.5, -2]),
        ("Float64", np.array([1.5, -2], "<f8").tobytes(), [1.5, -2]),
        ("BFloat16", b"\xc0\x3f\x00\xc0", [1.5, -2]),
        ("Int64", np.array([7, -7], "<i8").tobytes(), [7, -7]),
        ("Bool", b"\x01\x00", [True, False]),
    ],
)
def test_types(tmp_path: Path, kind: str, content: bytes, expected: object) -> None:
    file = write(tmp_path / "x.ckpt", parameter("x", kind, dims(2), content))
    assert read_mindspore_file(file)["x"].tolist() == expected


def test_packed_dims_old_scalars_and_texts(tmp_path: Path) -> None:
    packed = b"\x0a\x02\x02\x01"
    data = parameter("a", "Float32", packed, bytes(8)) + parameter(
        "b", "Float32", dims(0), bytes(4)
    )
    tensors = read_mindspore_file(
        write(tmp_path / "x.ckpt", data + parameter("c", "str", dims(0), b"hello"))
    )
    assert {name: array.shape for name, array in tensors.items()} == {"a": (2, 1), "b": ()}


CHECKED = (MINDSPORE / "v2_crc.ckpt").read_bytes()


def _crc(data: bytes) -> bytes:
    return data + b"crc_num" + zlib.crc32(data).to_bytes(10, "big")


def _safe(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


BAD: Dict[str, Callable[[Path], Path]] = {
    r"encrypted \(saved with enc_key\)": lambda folder: MINDSPORE / "v2_encrypted.ckpt",
    r"is a MindIR, a compiled graph, .*\n.*checkpoint that it was exported from": lambda folder: (
        MINDSPORE / "v2.mindir"
    ),
    r"is a MindIR": lambda folder: write(
        folder / "renamed.ckpt", (MINDSPORE / "v2.mindir").read_bytes()
    ),
    r"is an AIR": lambda folder: write(folder / "crnn.air", b"\x0a\x03abc"),
    r"as PyTorch writes; .*\n.*crnn import torch": lambda folder: write(
        folder / "x.ckpt", b"PK\x03\x04" + bytes(99)
    ),
    r"is an OM": lambda folder: write(folder / "x.ckpt", b"IMOD" + bytes(99)),
    r"is a Git LFS pointer": lambda folder: write(
        folder / "x.ckpt", b"version https://git-lfs.github.com/spec/v1\n"
    ),
    r"does not exist; expected a MindSpore checkpoint": lambda folder: folder / "none.ckpt",
    r"is empty": lambda folder: write(folder / "x.ckpt", b""),
    r"its checksum is 0x\w+, the file says 0x": lambda folder: write(
        folder / "x.ckpt", CHECKED[:100] + b"\x55" + CHECKED[101:]
    ),
    r"damaged, or no MindSpore checkpoint: a field of \d+ bytes begins": lambda folder: write(
        folder / "x.ckpt", (MINDSPORE / "v2.ckpt").read_bytes()[:-1]
    ),
    r"a number is cut off": lambda folder: write(folder / "x.ckpt", b"\x0a\xff"),
    r"more than ten bytes": lambda folder: write(folder / "x.ckpt", b"\xff" * 30),
    r"field 1 only, this one 3": lambda folder: write(folder / "x.ckpt", field(3, b"abc")),
    r"wire type 3": lambda folder: write(folder / "x.ckpt", b"\x0b"),
    r"more than 100000 fields": lambda folder: write(
        folder / "x.ckpt", parameter("x", "Bool", dims(1), b"1") * 100_001
    ),
    r"x stands twice": lambda folder: write(
        folder / "x.ckpt", b"".join(parameter(name, "Bool", dims(1), b"1") for name in "xyx")
    ),
    r"x has the shape \(3,\) of <f4 and 8 bytes": lambda folder: write(
        folder / "x.ckpt", parameter("x", "Float32", dims(3), bytes(8))
    ),
    r"x has the shape .* which do not fit": lambda folder: write(
        folder / "x.ckpt", parameter("x", "Float32", dims(1 << 31, 1 << 31), bytes(8))
    ),
    r"x has the type 'Int4'": lambda folder: write(
        folder / "x.ckpt", parameter("x", "Int4", dims(1), b"1")
    ),
    r"no name or no tensor": lambda folder: write(
        folder / "x.ckpt", _crc(field(1, field(1, b"x")))
    ),
    r"is not a tensor \(field 3\)": lambda folder: write(
        folder / "x.ckpt", field(1, field(1, b"x") + field(3, b""))
    ),
    r"a name is not text": lambda folder: write(folder / "x.ckpt", field(1, field(1, b"\xff\xff"))),
    r"a lies at 0 to 9 of 8 bytes": lambda folder: write(
        folder / "x.safetensors",
        _safe({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 9]}}, bytes(8)),
    ),
    r"a has no shape or no data_offsets": lambda folder: write(
        folder / "x.safetensors", _safe({"a": 1})
    ),
    r"a has the type F8": lambda folder: write(
        folder / "x.safetensors",
        _safe({"a": {"dtype": "F8", "shape": [8], "data_offsets": [0, 8]}}, bytes(8)),
    ),
    r"its header is not JSON": lambda folder: write(
        folder / "x.safetensors", (9).to_bytes(8, "little") + b"{" * 9
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_files_are_refused_with_the_reason(tmp_path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_mindspore_file(BAD[message](tmp_path))
