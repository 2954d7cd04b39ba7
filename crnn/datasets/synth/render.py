"""One word, from the letters to the camera.

Word i of a seed is the same whoever renders it, and when.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional, Sequence, Tuple

import numpy as np

from crnn.batch import Sample
from crnn.datasets.synth import craft, effects
from crnn.datasets.synth.beside import add_neighbours, add_pieces
from crnn.datasets.synth.fonts import (
    Families,
    Letter,
    drawable,
    families,
    find_fonts,
    fingerprint,
    letters_mask,
    load_font,
    text_mask,
)
from crnn.datasets.synth.surface import painted, photographed
from crnn.datasets.synth.table import Table, load_table
from crnn.datasets.synth.words import (
    PatternWords,
    Text,
    Words,
    characters_of,
    load_pattern,
    load_words,
)
from crnn.labels import DIGITS_AND_LETTERS

_TRIES = 20


@dataclass(frozen=True)
class Renderer:
    """Everything that decides what word ``i`` looks like. Can be sent to other processes."""

    seed: int
    words: Words
    fonts: Sequence[Path]
    table: Table
    by_family: Families = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_family", families(self.fonts))

    @classmethod
    def create(
        cls,
        seed: int,
        *,
        alphabet: str = DIGITS_AND_LETTERS,
        words: Optional[Path] = None,
        fonts: Optional[Path] = None,
        effects_file: Optional[Path] = None,
        pattern: Optional[str] = None,
    ) -> Renderer:
        """Find words, fonts and table; the defaults are the system's list, its open fonts, and the
        built-in table.
        """
        characters = characters_of(alphabet)
        table = load_table(effects_file)
        texts: Words
        if pattern is None:
            texts = load_words(words, characters)
        else:
            texts = load_pattern(pattern, characters)
        return cls(seed, texts, find_fonts(fonts, characters), table)

    def sample(self, index: int) -> Sample:
        """Render word ``index``, from 1: an encoded image and its label."""
        rng = random.Random(f"{self.seed}/{index}")  # noqa: S311
        for _ in range(_TRIES):
            text = self.words.draw(rng, self.table)
            layers, size = _letters(text, self.by_family.draw(rng, plain=text.sign), self, rng)
            if layers[:, :, effects.INK].any():
                break
        picture = painted(layers, size, self.table, rng)
        return Sample(f"synth_{index}", photographed(picture, self.table, rng), text.label)

    def fingerprint(self) -> str:
        """Return a digest of all that decides the words."""
        table = {name: [effect.chance, dict(effect.ranges)] for name, effect in self.table.items()}
        words = {str(length): list(words) for length, words in self.words.by_length.items()}
        data = [self.seed, table, words, self.words.characters, fingerprint(self.fonts)]
        if isinstance(self.words, PatternWords):
            data.append(self.words.pattern)
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _letters(
    text: Text, file: Path, renderer: Renderer, rng: random.Random
) -> Tuple[np.ndarray, float]:
    """Return the layers of a word with all that is done to its letters, in its place, and the
    font size.
    """
    table = renderer.table
    font = load_font(str(file), table["size"].draw_whole(rng, "pixels"))
    mask = _mask(text, file, font, renderer, rng)
    size = float(font.size)
    pad = math.ceil(0.5 * size)
    canvas = np.zeros((mask.shape[0] + 2 * pad, mask.shape[1] + 2 * pad), dtype=np.uint8)
    canvas[pad:-pad, pad:-pad] = mask
    if table["heavier"].happens(rng):
        canvas = effects.heavier(canvas, table["heavier"].draw_whole(rng, "pixels"))
    elif table["lighter"].happens(rng):
        canvas = effects.lighter(canvas, table["lighter"].draw_whole(rng, "pixels"))
    if table["lamps"].happens(rng):
        canvas = craft.lamps(canvas, table["lamps"].draw(rng, "pitch") * size)
    layers = np.zeros((*canvas.shape, 4), dtype=np.uint8)
    if table["outline"].happens(rng):
        layers[:, :, effects.RIM] = effects.rim(canvas, table["outline"].draw_whole(rng, "pixels"))
    elif table["hollow"].happens(rng):
        canvas = effects.hollow(canvas, table["hollow"].draw_whole(rng, "pixels"))
    elif table["block"].happens(rng):
        depth = table["block"].draw(rng, "depth") * size
        layers[:, :, effects.RIM] = craft.block(canvas, depth, rng.uniform(0, 2 * math.pi))
    if table["shadow"].happens(rng):
        layers[:, :, effects.SHADOW] = _shadow(canvas, size, table, rng)
    if table["worn"].happens(rng):
        line = table["worn"]
        canvas = effects.worn(canvas, line.draw(rng, "cell") * size, line.draw(rng, "share"), rng)
    layers[:, :, effects.INK] = canvas
    if table["neighbours"].happens(rng):
        add_neighbours(layers[:, :, effects.BESIDE], pad, font, renderer.words, table, rng)
    return _placed(layers, size, renderer, rng), size


def _shadow(canvas: np.ndarray, size: float, table: Table, rng: random.Random) -> np.ndarray:
    line, angle = table["shadow"], rng.uniform(0, 2 * math.pi)
    reach = line.draw(rng, "offset") * size
    offset = (reach * math.cos(angle), reach * math.sin(angle))
    return effects.shadow(canvas, offset, line.draw(rng, "blur") * size)


def _mask(text: Text, file: Path, font: Any, renderer: Renderer, rng: random.Random) -> np.ndarray:
    """Return the ink of the letters, in their spacing and width."""
    table = renderer.table
    gap = 0.0
    if table["spacing"].happens(rng):
        gap = table["spacing"].draw(rng, "gap") * font.size
    elif table["wide"].happens(rng):
        gap = table["wide"].draw(rng, "gap") * font.size
    shown = drawable(text.shown, file, renderer.words.characters)
    letters = [Letter(character, font) for character in shown]
    changed = _moved(letters, text.raised, file, table, rng)
    if changed == letters:
        mask = text_mask(shown, font, gap)
    else:
        mask = letters_mask(changed, gap)
    for name in ("stretch", "condensed", "extended"):
        if table[name].happens(rng):
            mask = effects.stretch(mask, table[name].draw(rng, "factor"))
            break
    if mask.shape[1] > effects.MAX_WIDTH:
        raise effects.too_large(mask.shape, "can be drawn")
    return mask


def _moved(
    letters: Sequence[Letter], raised: int, file: Path, table: Table, rng: random.Random
) -> Sequence[Letter]:
    """Return the letters with some larger, smaller or higher."""
    moved = list(letters)
    size = float(letters[0].font.size)
    if table["dance"].happens(rng):
        for place, letter in enumerate(moved):
            rise = table["dance"].draw(rng, "rise") * size
            moved[place] = replace(letter, rise=rise)
    if raised and raised < len(moved):
        factor = table["raised"].draw(rng, "factor")
        small = load_font(str(file), max(1, round(size * factor)))
        for place in range(len(moved) - raised, len(moved)):
            # Of capitals' height, about 0.7 of the size.
            moved[place] = replace(moved[place], font=small, rise=0.7 * size * (1 - factor))
    elif table["initial"].happens(rng):
        factor = table["initial"].draw(rng, "factor")
        moved[0] = replace(moved[0], font=load_font(str(file), round(size * factor)))
    return moved


def _placed(layers: np.ndarray, size: float, renderer: Renderer, rng: random.Random) -> np.ndarray:
    """Return the layers bent, turned and cropped, with what the crop shows beside the word."""
    table = renderer.table
    if table["curve"].happens(rng):
        layers = effects.curve(layers, table["curve"].draw(rng, "rise") * size)
    degrees = 0.0
    if table["rotation"].happens(rng):
        degrees = table["rotation"].draw(rng, "degrees")
    shear = 0.0
    if table["slant"].happens(rng):
        shear = math.tan(math.radians(table["slant"].draw(rng, "degrees")))
    elif table["shear"].happens(rng):
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
    layers = effects.crop(layers, (margins[0], margins[1], margins[2], margins[3]))
    if table["pieces"].happens(rng):
        layers = add_pieces(layers, round(size), renderer.fonts, renderer.words, table, rng)
    return layers
