"""TensorFlow's TFRecord files of Example messages, read without TensorFlow.

A record is a little-endian uint64 length, the masked CRC-32C of those 8 bytes, the data, and the
data's masked CRC-32C (tensorflow/core/lib/io/record_writer.h). An Example
(tensorflow/core/example/example.proto) maps names to lists of bytes, float32 or int64.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Dict, Iterator, List, Union

import numpy as np

from crnn.crc32c import masked_crc
from crnn.errors import InputError
from crnn.filekind import refuse_lfs_pointer, require_file
from crnn.protobuf import WireError, fields, packed, payload

Values = Union[List[bytes], List[int], List[float]]

MAX_RECORD = 256 << 20
"""Longer records are refused: a broken length would ask for as much memory."""


def read_examples(path: Path) -> Iterator[Dict[str, Values]]:
    """Stream the Examples of a file, checksums checked.

    Args:
        path: The TFRecord file.

    Yields:
        The features of each Example, by name.

    Raises:
        InputError: A record is damaged; the message has its number and place.
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
    """Return an Example's features.

    Args:
        data: The message, as a record holds it.

    Returns:
        The values by name; of two of one name, the last.

    Raises:
        ValueError: The bytes are not an Example.
    """
    found: Dict[str, Values] = {}
    for features in _messages(memoryview(data), 1):
        for entry in _messages(features, 1):
            names = list(_messages(entry, 1))
            name = ""
            if names:
                name = bytes(names[-1]).decode("utf-8")
            for value in _messages(entry, 2):
                found[name] = _feature(value)
    return found


def _feature(data: memoryview) -> Values:
    for number, value in fields(data):
        if number in _READERS:
            return _READERS[number](payload(value))
    return []


def _bytes_list(data: memoryview) -> Values:
    return [bytes(content) for content in _messages(data, 1)]


def _float_list(data: memoryview) -> Values:
    packed_values = b"".join(_messages(data, 1))
    if len(packed_values) % 4:
        raise WireError(f"{len(packed_values)} bytes of float32 values")
    return [float(value) for value in np.frombuffer(packed_values, dtype="<f4")]


def _int64_list(data: memoryview) -> Values:
    integers: List[int] = []
    for number, value in fields(data):
        if number == 1:
            integers += packed(value)
    return integers


_READERS = {1: _bytes_list, 2: _float_list, 3: _int64_list}
"""How a Feature's one field is read, by its number."""


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """Yield the contents of the fields of one number."""
    for number, value in fields(data):
        if number == wanted:
            yield payload(value)
