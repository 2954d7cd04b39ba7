"""The word's layers painted on a ground, and the picture as a camera would have stored it."""

from __future__ import annotations

import math
import random
from typing import Tuple

import numpy as np

from crnn.datasets.synth import craft, effects
from crnn.datasets.synth.table import Table


def painted(layers: np.ndarray, size: float, table: Table, rng: random.Random) -> np.ndarray:
    """Paint a word on a ground.

    Args:
        layers: uint8 (H, W, 4): ink, rim, shadow, and what stands beside.
        size: The word's font size in pixels.
        table: The effects.
        rng: Draws them.

    Returns:
        A picture, float32 (H, W, 3), 0 to 255.
    """
    paper, ink, third = _colours(table, rng)
    picture = _ground((layers.shape[0], layers.shape[1]), size, paper, table, rng)
    if table["border"].happens(rng):
        picture = effects.border(
            picture, ink, table["border"].draw_whole(rng, "pixels"), rng.randint(0, 3)
        )
    if layers[:, :, effects.BESIDE].any():
        picture = effects.paint(picture, layers[:, :, effects.BESIDE], ink)
    if layers[:, :, effects.SHADOW].any():
        # Dark under light letters as under dark ones; lighter than the ground now and then.
        tone = np.float32(rng.choice((0, 0, 20, 255)))
        opacity = table["shadow"].draw(rng, "opacity") * (0.5 if ink.mean() < 90 else 1.0)
        picture = effects.paint(picture, layers[:, :, effects.SHADOW], np.full(3, tone), opacity)
    if table["glow"].happens(rng):
        line = table["glow"]
        halo = effects.shadow(layers[:, :, effects.INK], (0, 0), line.draw(rng, "blur") * size)
        picture = effects.paint(picture, halo, ink, line.draw(rng, "opacity"))
    if layers[:, :, effects.RIM].any():
        picture = effects.paint(picture, layers[:, :, effects.RIM], third)
    return _inked(picture, layers[:, :, effects.INK], size, ink, table, rng)


def _ground(
    shape: Tuple[int, int], size: float, paper: np.ndarray, table: Table, rng: random.Random
) -> np.ndarray:
    picture = effects.ground(shape, paper)
    if table["gradient"].happens(rng):
        span = table["gradient"].draw(rng, "span")
        picture = effects.gradient(picture, span, rng.uniform(0, 2 * math.pi))
    if table["panel"].happens(rng):
        change = table["panel"].draw(rng, "span") * rng.choice((-1, 1))
        angle = rng.uniform(0, 2 * math.pi)
        picture = effects.panel(picture, change, angle, rng.uniform(0.2, 0.45))
    if table["clutter"].happens(rng):
        line = table["clutter"]
        count = line.draw_whole(rng, "count")
        picture = craft.clutter(picture, count, line.draw(rng, "span"), rng)
    if table["texture"].happens(rng):
        line = table["texture"]
        span = line.draw(rng, "span")
        picture = effects.texture(picture, span, line.draw(rng, "cell") * size, rng)
    return np.asarray(np.clip(picture, 0, 255))


def _inked(
    picture: np.ndarray,
    mask: np.ndarray,
    size: float,
    ink: np.ndarray,
    table: Table,
    rng: random.Random,
) -> np.ndarray:
    """Return the picture with the letters themselves."""
    colour = ink
    if table["fill"].happens(rng):
        span = table["fill"].draw(rng, "span")
        colour = craft.filled((mask.shape[0], mask.shape[1]), ink, span, rng.uniform(0, 6.3))
    if not table["relief"].happens(rng):
        return effects.paint(picture, mask, colour)
    line = table["relief"]
    picture = effects.paint(picture, mask, colour, line.draw(rng, "opacity"))
    span, depth = line.draw(rng, "span"), line.draw(rng, "depth") * size
    raised = craft.relief(picture, mask, depth, span, rng.uniform(0, 2 * math.pi))
    return np.asarray(np.clip(raised, 0, 255))


def _colours(table: Table, rng: random.Random) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the colours of the ground, the ink and the rim."""
    gap = table["contrast"].draw(rng, "gap")
    dark = rng.uniform(0, 255 - gap)
    levels = [dark, dark + gap]
    rng.shuffle(levels)
    found = []
    for level in (*levels, levels[0] if rng.random() < 0.3 else 255 - levels[1]):
        saturation = 0.0
        if table["colour"].happens(rng):
            saturation = table["colour"].draw(rng, "saturation")
        found.append(effects.colour(level, saturation, _hue(table, rng)))
    return found[0], found[1], found[2]


def _hue(table: Table, rng: random.Random) -> float:
    """Return a hue, 0 to 1:

    signs are red, brown and yellow or blue far more often than any other colour.
    """
    line, which = table["hue"].ranges, rng.random()
    if which < line["warm"][0]:
        return rng.uniform(-0.04, 0.16) % 1.0
    if which < line["warm"][0] + line["blue"][0]:
        return rng.uniform(0.52, 0.68)
    return rng.random()


def photographed(picture: np.ndarray, table: Table, rng: random.Random) -> bytes:
    """Store a picture as a camera would have.

    Args:
        picture: float32 (H, W, 3), 0 to 255.
        table: The effects.
        rng: Draws them.

    Returns:
        A JPEG or PNG file.
    """
    low, high = table["resolution"].ranges["height"]
    height = round(math.exp(rng.uniform(math.log(low), math.log(high))))
    picture = effects.resize(picture, height)
    if table["light"].happens(rng):
        span = table["light"].draw(rng, "span")
        picture = effects.light(picture, span, rng.uniform(0, 2 * math.pi))
    if table["screen"].happens(rng):
        line = table["screen"]
        cell, span = line.draw(rng, "cell"), line.draw(rng, "span")
        picture = craft.screen(picture, cell, span, rng.uniform(0, math.pi / 2))
    picture = _focused(picture, table, rng)
    if table["gamma"].happens(rng):
        picture = effects.gamma(picture, table["gamma"].draw(rng, "exponent"))
    if table["noise"].happens(rng):
        picture = effects.noise(picture, table["noise"].draw(rng, "sigma"), rng)
    if table["gray"].happens(rng):
        picture = effects.gray(picture)
    quality = None
    if table["jpeg"].happens(rng):
        quality = table["jpeg"].draw_whole(rng, "quality")
    return effects.encode(picture, quality)


def _focused(picture: np.ndarray, table: Table, rng: random.Random) -> np.ndarray:
    if table["blur"].happens(rng):
        sigma = table["blur"].draw(rng, "sigma") * picture.shape[0]
        picture = effects.blur(picture, max(0.2, sigma))
    if table["motion"].happens(rng):
        pixels = table["motion"].draw_whole(rng, "pixels")
        picture = effects.motion(picture, pixels, rng.uniform(0, math.pi))
    if table["sharpen"].happens(rng):
        picture = craft.sharpen(picture, table["sharpen"].draw(rng, "amount"))
    return picture
