"""The readers of other frameworks' files."""

from __future__ import annotations

import random
import zlib
from pathlib import Path
from typing import Dict

from crnn.crc32c import masked_crc
from crnn.presets import VARIANTS
from crnn.protobuf import varint
from crnn.weights.checkpoint import check_weights
from crnn.weights.renaming import from_mindspore, from_tensorflow
from crnn.weights.tensorflow_file import read_tensorflow
from tests.foreign import MINDSPORE, TENSORFLOW
from tests.fuzz.run import Target, by_path


def _parse_mindspore(path: Path) -> None:
    foreign = from_mindspore(path)
    check_weights(path, foreign.weights, VARIANTS[foreign.variant])


def _mindspore_seeds() -> Dict[str, bytes]:
    names = ("v2.ckpt", "v2_crc.ckpt", "v2_sliced.ckpt", "v2.safetensors", "v2_encrypted.ckpt")
    tiny = b"\x0a\x1c\x0a\x01x\x12\x17\x08\x01\x08\x02\x12\x07Float32\x1a\x08" + bytes(8)
    return {"tiny": tiny, **{name: (MINDSPORE / name).read_bytes() for name in names}}


def _mend_mindspore(data: bytearray, chance: random.Random) -> None:
    """Put the checksum at the end right again."""
    if data[-17:-10] == b"crc_num":
        data[-10:] = zlib.crc32(data[:-17]).to_bytes(10, "big")


def _parse_index(path: Path) -> None:
    """Read an index beside the real data, of which it may ask for anything."""
    data = path.with_name("crnn.data-00000-of-00001")
    if not data.exists():
        data.symlink_to(TENSORFLOW / data.name)
    read_tensorflow(path, lambda variable: "bn3" in variable)


def _index_seeds() -> Dict[str, bytes]:
    return {"crnn.index": (TENSORFLOW / "crnn.index").read_bytes()}


def _mend_index(data: bytearray, chance: random.Random) -> None:
    """Take what stands before the original's last parts for the entries, and write these parts
    anew.
    """
    original = memoryview(_index_seeds()["crnn.index"])
    entries = bytes(data[: max(0, len(data) - _after_entries(original))])
    handle = _varint(0) + _varint(len(entries))
    index = b"\x00\x01" + _varint(len(handle)) + b"z" + handle + bytes(4) + b"\x01\x00\x00\x00"
    start = len(entries) + 5
    end = _varint(0) * 2 + _varint(start) + _varint(len(index))
    data[:] = (
        _sealed(entries)
        + _sealed(index)
        + end.ljust(40, b"\x00")
        + (0xDB4775248B80FB57).to_bytes(8, "little")
    )


def _after_entries(data: memoryview) -> int:
    """Return how many bytes an index file has after its one block of entries."""
    _, position = varint(data, len(data) - 48)
    _, position = varint(data, position)
    start, position = varint(data, position)
    position = start + 3 + data[start + 1]
    _, position = varint(data, position)
    size, _ = varint(data, position)
    return len(data) - size


def _sealed(block: bytes) -> bytes:
    return block + b"\x00" + masked_crc(block + b"\x00").to_bytes(4, "little")


def _varint(value: int) -> bytes:
    parts = b""
    while value > 127:
        parts += bytes([value & 127 | 128])
        value >>= 7
    return parts + bytes([value])


def _parse_frozen(path: Path) -> None:
    foreign = from_tensorflow(path)
    check_weights(path, foreign.weights, VARIANTS[foreign.variant])


def _frozen_seeds() -> Dict[str, bytes]:
    data = (TENSORFLOW / "crnn.pb").read_bytes()
    return {"crnn.pb": data, "start": data[:2000]}


PROTOBUF_TOKENS = (
    b"\x0a\x00",
    b"\x12\x00",
    b"\xff" * 9 + b"\x01",
    b"\x08" + b"\xff" * 9 + b"\x01",
    b"\x0a\xff\xff\xff\xff\x07",
    b"\x12\x07Float16",
    b"\x12\x08BFloat16",
    b"\x12\x03str",
    b"crc_num" + bytes(10),
)

TARGETS = (
    Target(
        "mindspore",
        by_path(_parse_mindspore, "x.ckpt"),
        _mindspore_seeds,
        mend=_mend_mindspore,
        tokens=PROTOBUF_TOKENS,
        short=1500,
    ),
    Target(
        "tensorflow",
        by_path(_parse_index, "crnn.index"),
        _index_seeds,
        mend=_mend_index,
        tokens=PROTOBUF_TOKENS,
        short=1500,
    ),
    Target(
        "frozen", by_path(_parse_frozen, "x.pb"), _frozen_seeds, tokens=PROTOBUF_TOKENS, short=1500
    ),
)
