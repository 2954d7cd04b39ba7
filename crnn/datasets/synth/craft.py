"""How signs are made and pictures printed: blocks, lamps, reliefs, glow, fills, screens, things
behind, and pieces of other words at the edges.

Each a small function of an image and how strong it is, as those of `effects` are.
"""

from __future__ import annotations

import math
import random
from typing import Any, Tuple

import numpy as np

from crnn.datasets.synth.effects import ramp
from crnn.errors import needs

with needs("opencv-python or opencv-python-headless", extra="datasets"):
    import cv2

LEFT, TOP, RIGHT, BOTTOM = range(4)


# --- letters
# --------------------------------------------------------------------------------------------------


def block(mask: np.ndarray, depth: float, angle: float) -> np.ndarray:
    """Return the sides of letters that stand out: the mask moved along ``depth`` pixels."""
    sides = mask.copy()
    for step in range(1, max(2, round(depth)) + 1):
        move = np.array(
            [[1, 0, step * math.cos(angle)], [0, 1, step * math.sin(angle)]], dtype=np.float32
        )
        np.maximum(sides, cv2.warpAffine(mask, move, mask.shape[::-1]), out=sides)
    return sides


def lamps(mask: np.ndarray, pitch: float) -> np.ndarray:
    """Return the letters made of round lamps that stand ``pitch`` pixels apart."""
    rows, columns = (max(1, round(side / pitch)) for side in mask.shape)
    lit = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_AREA) > 96
    fine = 8
    spot = np.zeros((fine, fine), dtype=np.uint8)
    cv2.circle(spot, (fine // 2, fine // 2), 3, 255, -1)
    board = np.kron(lit.astype(np.uint8), spot)
    return _array(cv2.resize(board, mask.shape[::-1], interpolation=cv2.INTER_AREA))


# --- the painted picture
# --------------------------------------------------------------------------------------------------


def relief(
    picture: np.ndarray, mask: np.ndarray, depth: float, span: float, angle: float
) -> np.ndarray:
    """Return the picture with the mask raised from it: lit from a direction, dark on the
    other side.
    """
    reach = max(1.0, depth)
    soft = cv2.GaussianBlur(mask, (0, 0), reach).astype(np.float32)
    x, y = reach * math.cos(angle), reach * math.sin(angle)
    size = mask.shape[::-1]
    lit = cv2.warpAffine(soft, np.array([[1, 0, x], [0, 1, y]], dtype=np.float32), size)
    dark = cv2.warpAffine(soft, np.array([[1, 0, -x], [0, 1, -y]], dtype=np.float32), size)
    return _array(picture + ((lit - dark) * np.float32(span / 255))[:, :, None])


def filled(shape: Tuple[int, int], ink: np.ndarray, span: float, angle: float) -> np.ndarray:
    """Return the ink as a picture whose lightness runs over ``span`` in a direction."""
    return _array(np.clip(ink + np.float32(span) * ramp(shape, angle)[:, :, None], 0, 255))


def clutter(picture: np.ndarray, count: int, span: float, rng: random.Random) -> np.ndarray:
    """Return the picture with so many things behind: discs, bars and corners, lighter or darker."""
    height, width = picture.shape[:2]
    change = np.zeros((height, width), dtype=np.float32)
    for _ in range(count):
        x, y = rng.randint(0, width), rng.randint(0, height)
        tone = span * rng.uniform(-1, 1)
        if rng.random() < 0.4:
            cv2.circle(change, (x, y), max(1, round(height * rng.uniform(0.05, 0.6))), tone, -1)
        else:
            other = (rng.randint(0, width), rng.randint(0, height))
            thick = max(1, round(height * rng.uniform(0.02, 0.3)))
            cv2.line(change, (x, y), other, tone, thick)
    return picture + change[:, :, None]


def screen(picture: np.ndarray, cell: float, span: float, angle: float) -> np.ndarray:
    """Return the picture as printed or shown through a screen of ``cell`` pixels."""
    height, width = picture.shape[:2]
    x = np.arange(width, dtype=np.float32)[None, :] * np.float32(2 * math.pi / cell)
    y = np.arange(height, dtype=np.float32)[:, None] * np.float32(2 * math.pi / cell)
    across = x * math.cos(angle) + y * math.sin(angle)
    down = y * math.cos(angle) - x * math.sin(angle)
    return _array(picture + (np.float32(span / 2) * np.sin(across) * np.sin(down))[:, :, None])


def sharpen(picture: np.ndarray, amount: float) -> np.ndarray:
    """Return the picture with its edges overdone, as cameras and editors store it."""
    soft = cv2.GaussianBlur(picture, (0, 0), 1.0)
    return _array(picture + np.float32(amount) * (picture - soft))


# --- the edges
# --------------------------------------------------------------------------------------------------


def piece(
    layers: np.ndarray, layer: int, mask: np.ndarray, side: int, shown: int, gap: int
) -> np.ndarray:
    """Return the layers, longer on one side by ``gap`` pixels and ``shown`` of another word.

    The piece is the part of ``mask`` that lies next to the word: its right end on the left side,
    its lowest rows above. It is drawn on ``layer``, in the middle of the side.
    """
    before = [0, 0, 0, 0]
    before[side] = shown + gap
    left, top, right, bottom = before
    wider = cv2.copyMakeBorder(layers, top, bottom, left, right, cv2.BORDER_CONSTANT)
    height, width = wider.shape[:2]
    if side in (LEFT, RIGHT):
        y = (height - mask.shape[0]) // 2
        if side == LEFT:
            paste(wider[:, :shown, layer], mask, shown - mask.shape[1], y)
        else:
            paste(wider[:, width - shown :, layer], mask, 0, y)
    else:
        x = (width - mask.shape[1]) // 2
        if side == TOP:
            paste(wider[:shown, :, layer], mask, x, shown - mask.shape[0])
        else:
            paste(wider[height - shown :, :, layer], mask, x, 0)
    return _array(wider)


def paste(layer: np.ndarray, mask: np.ndarray, left: int, top: int) -> None:
    """Draw the mask on the layer, where it is inside."""
    bottom = min(layer.shape[0], top + mask.shape[0])
    right = min(layer.shape[1], left + mask.shape[1])
    inside = mask[max(0, -top) : max(0, bottom - top), max(0, -left) : max(0, right - left)]
    if inside.size:
        there = layer[max(0, top) : bottom, max(0, left) : right]
        np.maximum(there, inside, out=there)


def _array(image: Any) -> np.ndarray:
    return np.asarray(image)
