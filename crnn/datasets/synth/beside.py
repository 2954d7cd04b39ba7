"""What stands beside a word: other words, whole or in pieces."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from crnn.datasets.synth import craft, effects
from crnn.datasets.synth.fonts import drawable, load_font, text_mask
from crnn.datasets.synth.table import Table
from crnn.datasets.synth.words import Words

_SIDES = (craft.LEFT, craft.TOP, craft.RIGHT, craft.BOTTOM)


def add_neighbours(
    layer: np.ndarray, pad: int, face: Any, words: Words, table: Table, rng: random.Random
) -> None:
    """Draw one or two other words, in the word's own font, around it.

    Args:
        layer: uint8 (H, W), on which the word stands ``pad`` pixels inside; changed.
        pad: Pixels around the word.
        face: The word's font.
        words: Where the others are drawn from.
        table: Its line ``neighbours`` says how far away they are, in font sizes.
        rng: Draws them.
    """
    height, width = layer.shape
    for side in rng.sample(_SIDES, rng.choice((1, 1, 2))):
        mask = _other(face, words, table, rng)
        gap = round(table["neighbours"].draw(rng, "gap") * face.size)
        left = rng.randint(-mask.shape[1] // 2, width - mask.shape[1] // 2)
        top = (height - mask.shape[0]) // 2
        if side == craft.LEFT:
            left = pad - gap - mask.shape[1]
        elif side == craft.RIGHT:
            left = width - pad + gap
        elif side == craft.TOP:
            top = pad - gap - mask.shape[0]
        else:
            top = height - pad + gap
        craft.paste(layer, mask, left, top)


def add_pieces(
    layers: np.ndarray,
    size: int,
    fonts: Sequence[Path],
    words: Words,
    table: Table,
    rng: random.Random,
) -> np.ndarray:
    """Return the layers with ends of other words at one or two of their edges.

    Args:
        layers: uint8 (H, W, 4), cut around the word.
        size: The word's font size in pixels.
        fonts: One of them draws the others.
        words: Where the others are drawn from.
        table: Its line ``pieces`` says how much of them is seen and how far away, in font sizes.
        rng: Draws them.

    Returns:
        Layers that are larger by what was added.
    """
    line = table["pieces"]
    face = load_font(str(rng.choice(fonts)), size)
    for side in rng.sample(_SIDES, rng.choice((1, 1, 2))):
        mask = _other(face, words, table, rng)
        if side in (craft.TOP, craft.BOTTOM):
            # A line is as long as the word at least.
            for _ in range(3):
                space = np.zeros((mask.shape[0], round(0.3 * size)), dtype=np.uint8)
                if mask.shape[1] < layers.shape[1]:
                    mask = _line(mask, space, _other(face, words, table, rng))
        shown = max(1, round(line.draw(rng, "shown") * size))
        gap = round(line.draw(rng, "gap") * size)
        layers = craft.piece(layers, effects.BESIDE, mask, side, shown, gap)
    return layers


def _other(face: Any, words: Words, table: Table, rng: random.Random) -> np.ndarray:
    shown = words.draw(rng, table).shown
    return text_mask(drawable(shown, Path(face.path), words.characters), face, 0.0)


def _line(first: np.ndarray, space: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return two words as one line, on one lower edge."""
    height = max(first.shape[0], second.shape[0])
    parts = []
    for part in (first, space, second):
        above = np.zeros((height - part.shape[0], part.shape[1]), dtype=np.uint8)
        parts.append(np.concatenate([above, part]))
    return np.concatenate(parts, axis=1)
