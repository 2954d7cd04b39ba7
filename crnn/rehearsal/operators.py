"""The operators that compute: inputs and outputs are float16, sums are float32.

A product of two float16 values is exact in float32. The matrix unit adds such products in float32
and rounds once, at the end; in which order it adds is not known, and here the order is that of
NumPy's matrix library.
"""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import numpy as np

from crnn.rehearsal.half import to_half

COLUMNS = 1024
"""Pixels of the result that one matrix product of a convolution computes, about: what fits into a
processor's cache.
"""


def convolve(
    images: np.ndarray,
    weight: np.ndarray,
    bias: Optional[np.ndarray],
    *,
    strides: Sequence[int],
    pads: Sequence[int],
) -> np.ndarray:
    """Convolve, add the bias to the float32 sums, and round.

    Args:
        images: (N, C, H, W).
        weight: (O, C, rows, columns).
        bias: (O,), or None.
        strides: Of rows and columns.
        pads: Zeros before the rows and columns, then after them.

    Returns:
        (N, O, H', W').
    """
    count, channels = images.shape[:2]
    outputs, _, rows, columns = weight.shape
    padded = _padded(images, pads, 0.0)
    height = (padded.shape[2] - rows) // strides[0] + 1
    width = (padded.shape[3] - columns) // strides[1] + 1
    matrix = weight.reshape(outputs, -1)
    result = np.empty((count, outputs, height, width), dtype=np.float32)
    together = max(1, COLUMNS // (height * width))
    for start in range(0, count, together):
        piece = padded[start : start + together].transpose(1, 0, 2, 3)
        size = piece.shape[1]
        patches = np.empty((channels, rows, columns, size, height, width), dtype=np.float32)
        for row in range(rows):
            for column in range(columns):
                patches[:, row, column] = _window(piece, row, column, (height, width), strides)
        sums = matrix @ patches.reshape(matrix.shape[1], -1)
        if bias is not None:
            sums += bias[:, np.newaxis]
        rounded = to_half(sums).reshape(outputs, size, height, width)
        result[start : start + size] = rounded.transpose(1, 0, 2, 3)
    return result


def max_pool(
    images: np.ndarray, *, kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> np.ndarray:
    """Return the largest value of each window, which needs no rounding.

    Args:
        images: (N, C, H, W).
        kernel: Rows and columns of the window.
        strides: Of rows and columns.
        pads: What surrounds the images and is never the largest, before and after.

    Returns:
        (N, C, H', W').
    """
    padded = _padded(images, pads, -np.inf)
    height = (padded.shape[2] - kernel[0]) // strides[0] + 1
    width = (padded.shape[3] - kernel[1]) // strides[1] + 1
    size = (height, width)
    result: np.ndarray = _window(padded, 0, 0, size, strides).copy()
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            window = _window(padded, row, column, size, strides)
            np.maximum(result, window, out=result)
    return result


def product(left: np.ndarray, right: np.ndarray, bias: Optional[np.ndarray] = None) -> np.ndarray:
    """Multiply matrices, add the bias to the float32 sums, and round.

    Args:
        left: (…, M, K).
        right: (…, K, N).
        bias: Added with broadcasting, or None.

    Returns:
        (…, M, N).
    """
    sums = np.matmul(left, right)
    if bias is not None:
        sums = sums + bias
    return to_half(sums)


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Return the logarithms of the probabilities along the last axis: float32 within, one rounding.

    Args:
        scores: (…, K).

    Returns:
        (…, K).
    """
    shifted = scores - scores.max(axis=-1, keepdims=True)
    total = np.exp(shifted).sum(axis=-1, keepdims=True)
    return to_half(shifted - np.log(total))


def lstm(
    sequence: np.ndarray,
    weight: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray,
    *,
    states: Tuple[np.ndarray, np.ndarray],
    reverse: bool,
) -> np.ndarray:
    """Run an LSTM in one direction.

    As DynamicRNN's public code has it where its bias is float32: x, the weights and h are float16;
    the four sums, the bias, the gates and the cell stay in float32; h is rounded at each step, and
    the next step and the output both get the rounded one. The exponential is float32's.

    Args:
        sequence: (T, N, I).
        weight: (4H, I); the gates are input, output, forget, cell.
        recurrent: (4H, H).
        bias: (4H,), float32 that need not be float16: both of ONNX's biases, summed.
        states: The first h, float16, and the first cell, float32, both (N, H).
        reverse: Whether to begin at the last step.

    Returns:
        Each step's h, (T, N, H), in the sequence's own order.
    """
    steps, count, inputs = sequence.shape
    size = recurrent.shape[1]
    hidden, cell = states
    sums = (sequence.reshape(steps * count, inputs) @ weight.T).reshape(steps, count, -1)
    result = np.empty((steps, count, size), dtype=np.float32)
    order = range(steps)
    if reverse:
        order = range(steps - 1, -1, -1)
    for step in order:
        gates = sums[step] + hidden @ recurrent.T
        gates += bias
        opened = _sigmoid(gates[:, : 3 * size])
        candidate = np.tanh(gates[:, 3 * size :])
        cell = opened[:, 2 * size :] * cell + opened[:, :size] * candidate
        hidden = to_half(opened[:, size : 2 * size] * np.tanh(cell))
        result[step] = hidden
    return result


def _sigmoid(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # an endless exponential gives 0, which is right
        result: np.ndarray = np.float32(1.0) / (np.float32(1.0) + np.exp(-values))
    return result


def _padded(images: np.ndarray, pads: Sequence[int], value: float) -> np.ndarray:
    if not any(pads):
        return images
    top, left, bottom, right = pads
    around = ((0, 0), (0, 0), (top, bottom), (left, right))
    return np.pad(images, around, constant_values=value)


def _window(
    images: np.ndarray, row: int, column: int, size: Tuple[int, int], strides: Sequence[int]
) -> np.ndarray:
    """Return one pixel of each window, as a view."""
    bottom = row + strides[0] * (size[0] - 1) + 1
    right = column + strides[1] * (size[1] - 1) + 1
    return images[:, :, row : bottom : strides[0], column : right : strides[1]]
