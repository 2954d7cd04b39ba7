"""The operators again, as plain loops: slow, and simple enough to be seen right."""

from __future__ import annotations

from typing import List, Sequence, Tuple

import numpy as np

Single = np.float32


def half(value: np.ndarray) -> np.ndarray:
    """NumPy's own rounding, kept in float32."""
    with np.errstate(over="ignore"):
        return np.asarray(value, dtype=Single).astype(np.float16).astype(Single)


def ulps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How many values of float16 apart two arrays are; the first must hold nothing else."""
    assert np.array_equal(first, half(first)), "values that float16 does not have"

    def place(values: np.ndarray) -> np.ndarray:
        bits = np.ascontiguousarray(values, dtype=np.float16).view(np.int16).astype(np.int64)
        return np.where(bits < 0, -(bits & 0x7FFF), bits)

    return np.abs(place(first) - place(second))


def convolve(
    images: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    strides: Sequence[int],
    pads: Sequence[int],
) -> np.ndarray:
    top, left, bottom, right = pads
    count, channels, height, width = images.shape
    outputs, _, rows, columns = weight.shape
    size = (
        (height + top + bottom - rows) // strides[0] + 1,
        (width + left + right - columns) // strides[1] + 1,
    )
    result = np.empty((count, outputs, *size), dtype=Single)
    for n, o, y, x in np.ndindex(*result.shape):
        total = Single(0)
        for c, row, column in np.ndindex(channels, rows, columns):
            source = (y * strides[0] + row - top, x * strides[1] + column - left)
            if 0 <= source[0] < height and 0 <= source[1] < width:
                total += images[n, c, source[0], source[1]] * weight[o, c, row, column]
        result[n, o, y, x] = half(total + bias[o])
    return result


def max_pool(
    images: np.ndarray, kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> np.ndarray:
    top, left, bottom, right = pads
    count, channels, height, width = images.shape
    size = (
        (height + top + bottom - kernel[0]) // strides[0] + 1,
        (width + left + right - kernel[1]) // strides[1] + 1,
    )
    result = np.full((count, channels, *size), -np.inf, dtype=Single)
    for n, c, y, x in np.ndindex(*result.shape):
        for row, column in np.ndindex(*kernel):
            source = (y * strides[0] + row - top, x * strides[1] + column - left)
            if 0 <= source[0] < height and 0 <= source[1] < width:
                result[n, c, y, x] = max(result[n, c, y, x], images[n, c, source[0], source[1]])
    return result


def product(left: np.ndarray, right: np.ndarray, bias: np.ndarray) -> np.ndarray:
    result = np.empty((left.shape[0], right.shape[1]), dtype=Single)
    for row, column in np.ndindex(*result.shape):
        total = Single(0)
        for inner in range(left.shape[1]):
            total += left[row, inner] * right[inner, column]
        result[row, column] = half(total + bias[column])
    return result


def lstm(
    sequence: np.ndarray,
    weight: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray,
    *,
    reverse: bool = False,
    round_h: bool = True,
) -> np.ndarray:
    """One direction from zero states, gates iofc; ``round_h`` False keeps h in float32 within."""
    steps, count, inputs = sequence.shape
    size = recurrent.shape[1]
    result = np.empty((steps, count, size), dtype=Single)
    order: List[int] = list(range(steps))
    if reverse:
        order.reverse()
    for n in range(count):
        hidden = [Single(0)] * size
        cell = [Single(0)] * size
        for step in order:
            gates = []
            for gate in range(4 * size):
                total = Single(0)
                for inner in range(inputs):
                    total += sequence[step, n, inner] * weight[gate, inner]
                for inner in range(size):
                    total += hidden[inner] * recurrent[gate, inner]
                gates.append(total + bias[gate])
            after = []
            for unit in range(size):
                cell[unit], value = _unit(gates[unit::size], cell[unit])
                after.append(half(value)[()] if round_h else value)
            hidden = after
            result[step, n] = half(np.array(hidden))
    return result


def _unit(gates: Sequence[Single], cell: Single) -> Tuple[Single, Single]:
    opened, out, kept = (Single(1) / (Single(1) + np.exp(-gate)) for gate in gates[:3])
    cell = kept * cell + opened * np.tanh(gates[3])
    return cell, out * np.tanh(cell)
