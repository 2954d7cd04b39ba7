"""Examples written as TFRecord files, as TensorFlow writes them."""

from __future__ import annotations

import struct
from typing import IO, Mapping, Sequence

import numpy as np

from crnn.crc32c import masked_crc
from crnn.datasets.tfrecord_file import Values
from tests.ascend.om_writer import varint


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
            feature = _tagged(3, _tagged(1, b"".join(varint(int(value)) for value in values)))
        entries += _tagged(1, _tagged(1, name.encode("utf-8")) + _tagged(2, feature))
    return _tagged(1, entries)


def _tagged(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data
