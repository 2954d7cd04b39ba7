"""The protocol buffers' wire format, read without the package: field numbers, values, and tensors
in them.

https://protobuf.dev/programming-guides/encoding/. What the fields of a message mean is the caller's
to know.
"""

from __future__ import annotations

import math
from typing import Iterator, Tuple, Union

import numpy as np

MAX_BYTES = 2 << 30
"""No file and no tensor of a CRNN is larger."""

Value = Union[int, memoryview]


class WireError(ValueError):
    """Bytes that are no message."""


def fields(data: memoryview, *, most: int = 100_000) -> Iterator[Tuple[int, Value]]:
    """Yield each field of a message as its number and its value, in order, without a copy.

    A varint is an int from 0 to 2**64 - 1; everything else is a view of its bytes. Raises
    `WireError` for bytes that are no message, and for more than ``most`` fields, so that a small
    file cannot cost much.
    """
    position, end = 0, len(data)
    for _ in range(most):
        if position == end:
            return
        tag, position = varint(data, position)
        number, kind = tag >> 3, tag & 7
        if not number:
            raise WireError("a field has the number 0")
        if kind == 0:
            value, position = varint(data, position)
            yield number, value
            continue
        if kind == 2:
            length, position = varint(data, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise WireError(f"a field has the wire type {kind}")
        if length > end - position:
            raise WireError(
                f"a field of {length} bytes begins {end - position} bytes before the end"
            )
        yield number, data[position : position + length]
        position += length
    if position != end:
        raise WireError(f"more than {most} fields")


def varint(data: memoryview, position: int) -> Tuple[int, int]:
    """Return the varint at ``position`` and the position after it."""
    value = 0
    for index in range(10):
        if position + index >= len(data):
            raise WireError("a number is cut off")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position + index + 1
    raise WireError("a number has more than ten bytes")


def signed(value: int) -> int:
    """Return a varint as the int64 that it stands for."""
    return value - (1 << 64) if value >> 63 else value


def packed(value: Value) -> Iterator[int]:
    """Yield the int64 values of one occurrence of a repeated field, alone or packed."""
    if isinstance(value, int):
        yield signed(value)
        return
    position = 0
    while position < len(value):
        number, position = varint(value, position)
        yield signed(number)


def payload(value: Value) -> memoryview:
    """Return the bytes of a field; `WireError` for a number."""
    if isinstance(value, int):
        raise WireError(f"a field is the number {value}; expected bytes")
    return value


def array_of(name: str, dtype: str, shape: Tuple[int, ...], content: memoryview) -> np.ndarray:
    """Return bytes as an array; `WireError` where they do not fit the shape, ``name`` says whose
    they are.
    """
    size = np.dtype(dtype).itemsize
    if (
        len(shape) > 8
        or any(not 0 <= side <= MAX_BYTES for side in shape)
        or math.prod(shape) * size != len(content)
    ):
        raise WireError(
            f"{name} has the shape {shape} of {dtype} and {len(content)} bytes, which do not fit"
        )
    return np.frombuffer(content, dtype=dtype).reshape(shape)
