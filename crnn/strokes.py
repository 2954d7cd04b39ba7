"""Sixteen pictures that every machine draws alike, by NumPy alone: digits of seven strokes each.

They need no font, no Pillow and no data, so that what an ONNX model read of them where it was
compiled can be read again by its OM on a box. Whole numbers only, of a generator whose stream NumPy
promises to keep (`numpy.random.RandomState`).
"""

from __future__ import annotations

import hashlib
from typing import Mapping, Tuple

import numpy as np

from crnn.spec import ModelSpec

COUNT = 16
SEED = 310
_DIGITS = (2, 3, 4, 5, 6)
"""How many digits a picture may have."""

# Left, top, right and bottom of each of the seven strokes, in a box of 2 by 4.
_STROKES: Mapping[str, Tuple[int, int, int, int]] = {
    "a": (0, 0, 2, 0),
    "b": (2, 0, 2, 2),
    "c": (2, 2, 2, 4),
    "d": (0, 4, 2, 4),
    "e": (0, 2, 0, 4),
    "f": (0, 0, 0, 2),
    "g": (0, 2, 2, 2),
}
_SHAPES = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")


def stroke_pictures(spec: ModelSpec) -> np.ndarray:
    """Draw the pictures for a model's size.

    Args:
        spec: The model's spec; its height, width and channels count.

    Returns:
        uint8 pixels (16, C, H, W), in the model's own order of channels.
    """
    random = np.random.RandomState(SEED)
    channels, height, width = spec.image_shape
    pictures = np.empty((COUNT, channels, height, width), dtype=np.uint8)
    for picture in pictures:
        paper = random.randint(160, 256)
        ink = random.randint(0, 96)
        canvas = np.full((height, width), paper, dtype=np.int64)
        _write(canvas, random, ink)
        if random.randint(0, 2):
            canvas = 255 - canvas
        noise = random.randint(-6, 7, size=(channels, height, width))
        picture[:] = np.clip(canvas + noise, 0, 255)
    return pictures


def digest(pictures: np.ndarray) -> str:
    """Return the SHA-256 of pictures, which tells whether two machines drew the same.

    Args:
        pictures: uint8 pixels.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(np.ascontiguousarray(pictures).tobytes()).hexdigest()


def _write(canvas: np.ndarray, random: np.random.RandomState, ink: int) -> None:
    """Draw some digits side by side."""
    height, width = canvas.shape
    count = _DIGITS[random.randint(0, len(_DIGITS))]
    place = max(3, width // count)
    thick = max(1, height // random.randint(8, 14))
    margin = max(1, height // 8)
    for number in range(count):
        shape = _SHAPES[random.randint(0, len(_SHAPES))]
        left = number * place + place // 6
        box = (left, margin, max(2, place * 2 // 3), max(4, height - 2 * margin - thick))
        for stroke in shape:
            _draw(canvas, _STROKES[stroke], box, thick, ink)


def _draw(
    canvas: np.ndarray,
    stroke: Tuple[int, int, int, int],
    box: Tuple[int, int, int, int],
    thick: int,
    ink: int,
) -> None:
    left, top, wide, high = box
    first_column = left + stroke[0] * wide // 2
    last_column = left + stroke[2] * wide // 2
    first_row = top + stroke[1] * high // 4
    last_row = top + stroke[3] * high // 4
    canvas[first_row : last_row + thick, first_column : last_column + thick] = ink
