"""One word, from the letters to the camera.

Word i of a seed is the same whoever renders it, and when.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Sequence, Tuple

import numpy as np

from crnn.alphabet import DIGITS_AND_LETTERS
from crnn.batch import Sample
from crnn.datasets.synth import effects
from crnn.datasets.synth.fonts import find_fonts, fingerprint, load_font, text_mask
from crnn.datasets.synth.table import Table, load_table
from crnn.datasets.synth.words import Words, characters_of, load_words

_TRIES = 20


@dataclass(frozen=True)
class Renderer:
    """Everything that decides what word ``i`` looks like. Can be sent to other processes."""

    seed: int
    words: Words
    fonts: Sequence[Path]
    table: Table

    @classmethod
    def create(
        cls,
        seed: int,
        *,
        alphabet: str = DIGITS_AND_LETTERS,
        words: Optional[Path] = None,
        fonts: Optional[Path] = None,
        effects_file: Optional[Path] = None,
    ) -> Renderer:
        """Find words, fonts and table; the defaults are the system's list, its open fonts, and the
        built-in table.
        """
        characters = characters_of(alphabet)
        table = load_table(effects_file)
        return cls(seed, load_words(words, characters), find_fonts(fonts, characters), table)

    def sample(self, index: int) -> Sample:
        """Render word ``index``, from 1: an encoded image and its label."""
        rng = random.Random(f"{self.seed}/{index}")  # noqa: S311
        for _ in range(_TRIES):
            label, shown = self.words.draw(rng, self.table)
            font = load_font(
                str(rng.choice(self.fonts)), self.table["size"].draw_whole(rng, "pixels")
            )
            layers = _letters(shown, font, self, rng)
            if layers[:, :, effects.INK].any():
                break
        picture = _ground(_placed(layers, font.size, self.table, rng), font.size, self.table, rng)
        return Sample(f"synth_{index}", _camera(picture, self.table, rng), label)

    def fingerprint(self) -> str:
        """Return a digest of all that decides the words."""
        table = {name: [effect.chance, dict(effect.ranges)] for name, effect in self.table.items()}
        words = {str(length): list(words) for length, words in self.words.by_length.items()}
        data = [self.seed, table, words, self.words.characters, fingerprint(self.fonts)]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _letters(shown: str, font: Any, renderer: Renderer, rng: random.Random) -> np.ndarray:
    """Return the layers of a word with all that is done to its letters, and its neighbours."""
    table = renderer.table
    mask = _mask(shown, font, table, rng)
    size = float(font.size)
    pad = math.ceil(0.5 * size)
    canvas = np.zeros((mask.shape[0] + 2 * pad, mask.shape[1] + 2 * pad), dtype=np.uint8)
    canvas[pad:-pad, pad:-pad] = mask
    if table["heavier"].happens(rng):
        canvas = effects.heavier(canvas, table["heavier"].draw_whole(rng, "pixels"))
    elif table["lighter"].happens(rng):
        canvas = effects.lighter(canvas, table["lighter"].draw_whole(rng, "pixels"))
    layers = np.zeros((*canvas.shape, 4), dtype=np.uint8)
    if table["outline"].happens(rng):
        layers[:, :, effects.RIM] = effects.rim(canvas, table["outline"].draw_whole(rng, "pixels"))
    elif table["hollow"].happens(rng):
        canvas = effects.hollow(canvas, table["hollow"].draw_whole(rng, "pixels"))
    if table["shadow"].happens(rng):
        line, angle = table["shadow"], rng.uniform(0, 2 * math.pi)
        reach = line.draw(rng, "offset") * size
        offset = (reach * math.cos(angle), reach * math.sin(angle))
        layers[:, :, effects.SHADOW] = effects.shadow(canvas, offset, line.draw(rng, "blur") * size)
    if table["worn"].happens(rng):
        line = table["worn"]
        canvas = effects.worn(canvas, line.draw(rng, "cell") * size, line.draw(rng, "share"), rng)
    layers[:, :, effects.INK] = canvas
    if table["neighbours"].happens(rng):
        _add_neighbours(layers[:, :, effects.BESIDE], pad, font, renderer, rng)
    return layers


def _mask(text: str, font: Any, table: Table, rng: random.Random) -> np.ndarray:
    gap = 0.0
    if table["spacing"].happens(rng):
        gap = table["spacing"].draw(rng, "gap") * font.size
    mask = text_mask(text, font, gap)
    if table["stretch"].happens(rng):
        mask = effects.stretch(mask, table["stretch"].draw(rng, "factor"))
    if mask.shape[1] > effects.MAX_WIDTH:
        raise effects.too_large(mask.shape, "can be drawn")
    return mask


def _add_neighbours(
    layer: np.ndarray, pad: int, font: Any, renderer: Renderer, rng: random.Random
) -> None:
    """Draw one or two other words around the word that stands ``pad`` pixels inside."""
    height, width = layer.shape
    for side in rng.sample(("left", "right", "above", "below"), rng.choice((1, 1, 2))):
        mask = text_mask(renderer.words.draw(rng, renderer.table)[1], font, 0.0)
        gap = round(renderer.table["neighbours"].draw(rng, "gap") * font.size)
        if side in ("left", "right"):
            top = (height - mask.shape[0]) // 2
            if side == "left":
                left = pad - gap - mask.shape[1]
            else:
                left = width - pad + gap
        else:
            left = rng.randint(-mask.shape[1] // 2, width - mask.shape[1] // 2)
            if side == "above":
                top = pad - gap - mask.shape[0]
            else:
                top = height - pad + gap
        _paste(layer, mask, left, top)


def _paste(layer: np.ndarray, mask: np.ndarray, left: int, top: int) -> None:
    bottom, right = (
        min(layer.shape[0], top + mask.shape[0]),
        min(layer.shape[1], left + mask.shape[1]),
    )
    inside = mask[max(0, -top) : max(0, bottom - top), max(0, -left) : max(0, right - left)]
    if inside.size:
        there = layer[max(0, top) : bottom, max(0, left) : right]
        np.maximum(there, inside, out=there)


def _placed(layers: np.ndarray, size: float, table: Table, rng: random.Random) -> np.ndarray:
    """Return the layers bent, turned and cropped."""
    if table["curve"].happens(rng):
        layers = effects.curve(layers, table["curve"].draw(rng, "rise") * size)
    degrees = 0.0
    if table["rotation"].happens(rng):
        degrees = table["rotation"].draw(rng, "degrees")
    shear = 0.0
    if table["shear"].happens(rng):
        shear = table["shear"].draw(rng, "factor")
    shifts = np.zeros((4, 2))
    if table["perspective"].happens(rng):
        shifts = np.array(
            [[table["perspective"].draw(rng, "shift") for _ in range(2)] for _ in range(4)]
        )
    if degrees or shear or shifts.any():
        # A long word turned as far as a short one would leave its line's height.
        degrees *= min(1.0, 4 * layers.shape[0] / layers.shape[1])
        layers = effects.place(layers, degrees, shear, shifts)
    margins = [table["crop"].draw(rng, "margin") * size for _ in range(4)]
    return effects.crop(layers, (margins[0], margins[1], margins[2], margins[3]))


def _ground(layers: np.ndarray, size: float, table: Table, rng: random.Random) -> np.ndarray:
    """Return the layers painted on a ground."""
    paper, ink, third = _colours(table, rng)
    picture = effects.ground((layers.shape[0], layers.shape[1]), paper)
    if table["gradient"].happens(rng):
        picture = effects.gradient(
            picture, table["gradient"].draw(rng, "span"), rng.uniform(0, 2 * math.pi)
        )
    if table["panel"].happens(rng):
        change = table["panel"].draw(rng, "span") * rng.choice((-1, 1))
        picture = effects.panel(
            picture, change, rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.45)
        )
    if table["texture"].happens(rng):
        line = table["texture"]
        picture = effects.texture(
            picture, line.draw(rng, "span"), line.draw(rng, "cell") * size, rng
        )
    picture = np.clip(picture, 0, 255)
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
    if layers[:, :, effects.RIM].any():
        picture = effects.paint(picture, layers[:, :, effects.RIM], third)
    return effects.paint(picture, layers[:, :, effects.INK], ink)


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


def _camera(picture: np.ndarray, table: Table, rng: random.Random) -> bytes:
    """Return the picture as a camera would have stored it."""
    low, high = table["resolution"].ranges["height"]
    picture = effects.resize(picture, round(math.exp(rng.uniform(math.log(low), math.log(high)))))
    if table["light"].happens(rng):
        picture = effects.light(
            picture, table["light"].draw(rng, "span"), rng.uniform(0, 2 * math.pi)
        )
    if table["blur"].happens(rng):
        picture = effects.blur(
            picture, max(0.2, table["blur"].draw(rng, "sigma") * picture.shape[0])
        )
    if table["motion"].happens(rng):
        picture = effects.motion(
            picture, table["motion"].draw_whole(rng, "pixels"), rng.uniform(0, math.pi)
        )
    if table["gamma"].happens(rng):
        picture = effects.gamma(picture, table["gamma"].draw(rng, "exponent"))
    if table["noise"].happens(rng):
        picture = effects.noise(picture, table["noise"].draw(rng, "sigma"), rng)
    if table["gray"].happens(rng):
        picture = effects.gray(picture)
    return effects.encode(
        picture, table["jpeg"].draw_whole(rng, "quality") if table["jpeg"].happens(rng) else None
    )
