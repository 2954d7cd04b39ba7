"""Bytes of a weight file as an array, where they fit the shape that it gives them."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from crnn.protobuf import WireError
from crnn.python37 import prod

MAX_BYTES = 2 << 30
"""No file and no tensor of a CRNN is larger."""
_MOST_SIDES = 8


def array_of(name: str, dtype: str, shape: Tuple[int, ...], content: memoryview) -> np.ndarray:
    """Return bytes as an array, without a copy.

    Args:
        name: Whose they are, for the error.
        dtype: NumPy's name of the elements' type, with its byte order.
        shape: The array's shape, as the file gives it.
        content: The elements, the last axis fastest.

    Returns:
        A read-only array of this shape and dtype.

    Raises:
        WireError: The bytes do not fit the shape.
    """
    size = np.dtype(dtype).itemsize
    sound = len(shape) <= _MOST_SIDES and all(0 <= side <= MAX_BYTES for side in shape)
    if not sound or prod(shape) * size != len(content):
        raise WireError(
            f"{name} has the shape {shape} of {dtype} and {len(content)} bytes, which do not fit"
        )
    return np.frombuffer(content, dtype=dtype).reshape(shape)
