"""TensorFlow's TFRecord files of Example messages, read and written without TensorFlow.

A record is a little-endian uint64 length, the masked CRC-32C of those 8 bytes, the data, and the
data's masked CRC-32C (tensorflow/core/lib/io/record_writer.h). An Example
(tensorflow/core/example/example.proto) maps names to lists of bytes, float32 or int64.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Dict, Iterator, List, Mapping, Sequence, Tuple, Union

import numpy as np

from crnn.crc32c import masked_crc
from crnn.errors import InputError
from crnn.files import refuse_lfs_pointer, require_file

Values = Union[List[bytes], List[int], List[float]]

MAX_RECORD = 256 << 20
"""Longer records are refused: a broken length would ask for as much memory."""


def read_examples(path: Path) -> Iterator[Dict[str, Values]]:
    """Stream the Examples of a file, checksums checked.

    Raises `InputError` with the record's number and place.
    """
    require_file(path, "a TFRecord file")
    refuse_lfs_pointer(path)
    with open(path, "rb") as file:
        number = 0
        while True:
            number += 1
            where = f"{path} record {number} at byte {file.tell()}"
            data = _record(file, where)
            if data is None:
                return
            try:
                yield parse_example(data)
            except ValueError as error:
                raise InputError(f"{where}: no Example message: {error}") from error


def write_examples(file: IO[bytes], examples: Sequence[Mapping[str, Values]]) -> None:
    """Write Examples as records, their features sorted by name."""
    for example in examples:
        data = encode_example(example)
        length = struct.pack("<Q", len(data))
        file.write(
            length
            + struct.pack("<I", masked_crc(length))
            + data
            + struct.pack("<I", masked_crc(data))
        )


def _record(file: IO[bytes], where: str) -> Union[bytes, None]:
    head = file.read(12)
    if not head:
        return None
    if len(head) < 12 or masked_crc(head[:8]) != struct.unpack("<I", head[8:])[0]:
        raise InputError(
            f"{where}: the length's checksum is wrong; expected a TFRecord file, not compressed"
        )
    (length,) = struct.unpack("<Q", head[:8])
    if length > MAX_RECORD:
        raise InputError(f"{where}: {length} bytes; the limit is {MAX_RECORD}")
    data, tail = file.read(length), file.read(4)
    if len(data) < length or len(tail) < 4:
        raise InputError(
            f"{where}: the file ends inside the record",
            hint="The download is incomplete: fetch it again.",
        )
    if masked_crc(data) != struct.unpack("<I", tail)[0]:
        raise InputError(
            f"{where}: the data's checksum is wrong", hint="The file is damaged: fetch it again."
        )
    return data


def parse_example(data: bytes) -> Dict[str, Values]:
    """Return an Example's features. Raises ValueError for what is none."""
    found: Dict[str, Values] = {}
    for features in _fields(data, 1):
        for entry in _fields(_message(features), 1):
            names = [_message(value) for value in _fields(_message(entry), 1)]
            for value in _fields(_message(entry), 2):
                found[(names[-1] if names else b"").decode("utf-8")] = _feature(_message(value))
    return found


def encode_example(example: Mapping[str, Values]) -> bytes:
    """Return the Example message of these features."""
    entries = b""
    for name in sorted(example):
        values = example[name]
        if values and isinstance(values[0], bytes):
            feature = _tagged(1, b"".join(_tagged(1, bytes(value)) for value in values))
        elif values and isinstance(values[0], float):
            feature = _tagged(2, _tagged(1, np.asarray(values, dtype="<f4").tobytes()))
        else:
            feature = _tagged(
                3, _tagged(1, b"".join(_varint(int(value) & (2**64 - 1)) for value in values))
            )
        entries += _tagged(1, _tagged(1, name.encode("utf-8")) + _tagged(2, feature))
    return _tagged(1, entries)


def _feature(data: bytes) -> Values:
    for items in _fields(data, 1):
        return [_message(value) for value in _fields(_message(items), 1)]
    for items in _fields(data, 2):
        packed = b"".join(_message(value) for value in _fields(_message(items), 1))
        if len(packed) % 4:
            raise ValueError(f"{len(packed)} bytes of float32 values")
        return [float(value) for value in np.frombuffer(packed, dtype="<f4")]
    integers: List[int] = []
    for items in _fields(data, 3):
        for value in _fields(_message(items), 1):
            integers += [value] if isinstance(value, int) else _packed(value)
    return [value - (1 << 64) if value >> 63 else value for value in integers]


def _packed(data: bytes) -> List[int]:
    values, position = [], 0
    while position < len(data):
        value, position = _read_varint(data, position)
        values.append(value)
    return values


def _fields(data: bytes, wanted: int) -> Iterator[Union[bytes, int]]:
    """Yield the values of one field of a protocol buffer message, its bytes or its number."""
    position = 0
    while position < len(data):
        key, position = _read_varint(data, position)
        value, position = _read_value(data, position, key & 7)
        if key >> 3 == wanted:
            yield value


def _read_value(data: bytes, position: int, kind: int) -> Tuple[Union[bytes, int], int]:
    if kind == 0:
        return _read_varint(data, position)
    sizes = {1: 8, 5: 4}
    if kind == 2:
        size, position = _read_varint(data, position)
    elif kind in sizes:
        size = sizes[kind]
    else:
        raise ValueError(f"wire type {kind} at byte {position}")
    if position + size > len(data):
        raise ValueError(f"a field of {size} bytes at byte {position} of {len(data)}")
    return data[position : position + size], position + size


def _read_varint(data: bytes, position: int) -> Tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), position
    raise ValueError(f"a number without end at byte {position}")


def _message(value: Union[bytes, int]) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message was expected")
    return value


def _tagged(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
