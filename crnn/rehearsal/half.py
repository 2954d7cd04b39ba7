"""float16, kept in float32 arrays: a value that float16 has, in a type that multiplies fast."""

from __future__ import annotations

import numpy as np

LARGEST = 65504.0
"""The largest finite value of float16."""

# float32 has 13 more bits of fraction than float16.
_BITS = np.uint32(13)
_LAST = np.uint32(1)
_ALMOST_HALF = np.uint32(0x0FFF)
_KEPT = np.uint32(0xFFFFE000)
_MAGNITUDE = np.uint32(0x7FFFFFFF)
# As float32: 2 ** -14, float16's least normal value, and 65520, the least that becomes infinity.
_LEAST_NORMAL = np.uint32(0x38800000)
_PLAIN = np.uint32(0x477FF000 - 0x38800000)


def to_half(values: np.ndarray) -> np.ndarray:
    """Round to the nearest value of float16, ties to the even one, as IEEE 754 has it.

    The same values as ``values.astype(np.float16)``, several times faster: where the result is a
    normal value of float16, by adding to the bits and cutting them.

    Args:
        values: float32, any shape.

    Returns:
        float32 of the same shape, each a value that float16 has; 65520 and above are infinity.
    """
    source = np.ascontiguousarray(values, dtype=np.float32)
    bits = source.view(np.uint32)
    rounded = bits >> _BITS
    rounded &= _LAST
    rounded += bits
    rounded += _ALMOST_HALF
    rounded &= _KEPT
    result: np.ndarray = rounded.view(np.float32)
    # What lies below the least normal value wraps around, and so is large too.
    distance = bits & _MAGNITUDE
    distance -= _LEAST_NORMAL
    special = distance >= _PLAIN
    if special.any():
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            result[special] = source[special].astype(np.float16)
    return result.reshape(np.shape(values))
