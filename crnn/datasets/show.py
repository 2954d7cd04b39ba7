"""A contact sheet: many words on one picture, each with its label."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any, Iterable, List, Optional, Sequence, Tuple

from PIL import Image, ImageDraw

from crnn.batch import Sample
from crnn.datasets.glyphs import Glyphs, names_of
from crnn.errors import InputError
from crnn.files import atomic_file
from crnn.image import ImageError, picture

CELL = (168, 72)
"""Width and height of a word's place; the label's line comes below it."""

MAX_WORDS = 10_000
"""More would be a picture that nothing opens."""

MAX_PIXELS = 178_956_970
"""As many as Pillow opens."""

_LINE = 18
_LETTERS = 13
# Every font has dots; few have an ellipsis.
_MORE = "..."
_GAP = 6
_PAPER, _INK, _FAINT = "white", "black", "#b0b0b0"


def choose(
    samples: Iterable[Sample], count: int, *, keys: Optional[Sequence[str]], seed: int
) -> List[Sample]:
    """Choose samples of a data set.

    Args:
        samples: The data, which are streamed once.
        count: How many are taken at random.
        keys: The names of the samples to take, in the place of random ones, in this order.
        seed: Of the random choice.

    Returns:
        The samples, random ones in data order; keys that are not there have none.
    """
    if keys is not None:
        wanted = set(keys)
        found = {sample.key: sample for sample in samples if sample.key in wanted}
        return [found[key] for key in keys if key in found]
    # Reservoir sampling: every sample is as likely, and only those kept are held.
    chance, kept = random.Random(seed), []  # noqa: S311
    for number, sample in enumerate(samples):
        if number < count:
            kept.append((number, sample))
            continue
        place = chance.randrange(number + 1)
        if place < count:
            kept[place] = (number, sample)
    return [sample for _, sample in sorted(kept, key=lambda entry: entry[0])]


def contact_sheet(
    samples: Sequence[Sample],
    columns: int = 8,
    *,
    keys: bool = False,
    glyphs: Optional[Glyphs] = None,
) -> Image.Image:
    """Draw the words row by row, each scaled to fit its place, with its label; one that cannot be
    read says so.

    ``keys`` writes each word's key below its label. What no font draws is said in the last line.
    Raises `InputError` where they are too many for one picture.
    """
    if glyphs is None:
        glyphs = glyphs_for(samples)
    columns = max(1, min(columns, len(samples)))
    rows = -(-len(samples) // columns)
    width, height = CELL
    lines = [_label]
    if keys:
        lines.append(_key)
    row_height = height + len(lines) * _LINE + _GAP
    size = (columns * (width + _GAP) + _GAP, rows * row_height + _GAP)
    if glyphs.lacking:
        size = (size[0], size[1] + _LINE)
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            f"a sheet of {len(samples)} words, {columns} in a row, would be {size[0]}x{size[1]}"
            f" pixels; expected at most {MAX_PIXELS} in all",
            hint="Give a lower --count, fewer --keys, or fewer --columns.",
        )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, sample in enumerate(samples):
        row, column = divmod(place, columns)
        corner = (_GAP + column * (width + _GAP), _GAP + row * row_height)
        _place(sheet, draw, sample, corner)
        for number, line in enumerate(lines):
            top = corner[1] + height + number * _LINE
            _write(draw, (corner[0], top), line(sample), glyphs, width)
    if glyphs.lacking:
        said = f"no font here has {names_of(glyphs.lacking)}, drawn as ?"
        _write(draw, (_GAP, size[1] - _LINE), said, glyphs, size[0] - _GAP)
    return sheet


def glyphs_for(samples: Sequence[Sample], font: Optional[Path] = None) -> Glyphs:
    """Return the fonts that the samples' labels and keys need.

    Args:
        samples: The words.
        font: A file to take first.

    Returns:
        The fonts, and what they lack.

    Raises:
        InputError: The font cannot be read.
    """
    texts = [text for sample in samples for text in (sample.label, sample.key)]
    return Glyphs("".join(filter(None, texts)), font)


def write_sheet(
    samples: Sequence[Sample],
    path: Path,
    columns: int = 8,
    *,
    keys: bool = False,
    font: Optional[Path] = None,
) -> str:
    """Write the contact sheet as PNG.

    Args:
        samples: The words.
        path: The PNG to write.
        columns: Words in a row.
        keys: Whether each word's key stands below its label.
        font: A font for the labels, before those that are installed.

    Returns:
        The characters that no font draws.

    Raises:
        InputError: The sheet would be too large, or cannot be written.
    """
    glyphs = glyphs_for(samples, font)
    file = io.BytesIO()
    contact_sheet(samples, columns, keys=keys, glyphs=glyphs).save(file, "PNG")
    with atomic_file(path) as out:
        out.write(file.getvalue())
    return glyphs.lacking


def _place(sheet: Image.Image, draw: Any, sample: Sample, corner: Tuple[int, int]) -> None:
    width, height = CELL
    draw.rectangle(
        (corner[0], corner[1], corner[0] + width - 1, corner[1] + height - 1), outline=_FAINT
    )
    try:
        image = picture(sample.image or b"", "RGB")
    except ImageError as error:
        draw.text((corner[0] + 4, corner[1] + 4), error.problem.reason, fill="red")
        return
    scale = min(width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    sheet.paste(
        image.resize(size, 2),
        (corner[0] + (width - size[0]) // 2, corner[1] + (height - size[1]) // 2),
    )


def _write(draw: Any, corner: Tuple[int, int], text: str, glyphs: Glyphs, room: int) -> None:
    """Write a line; what does not fit ends in dots."""
    left = float(corner[0])
    end = left + room
    for part, font in glyphs.runs(text, _LETTERS):
        written = part
        while written and left + _length(font, written) > end:
            written = _shorter(written)
        draw.text((left, corner[1]), _drawable(font, written), font=font, fill=_INK)
        if written != part:
            return
        left += _length(font, part)


def _shorter(text: str) -> str:
    """Return a text without its last letter, whose place dots take."""
    letters = text.rstrip(_MORE)[:-1]
    if not letters:
        return ""
    return letters + _MORE


def _label(sample: Sample) -> str:
    if sample.label is None:
        return "(no label)"
    return sample.label.replace("\n", " ")


def _key(sample: Sample) -> str:
    return sample.key


def _length(font: Any, text: str) -> float:
    if hasattr(font, "getlength"):
        return float(font.getlength(text))
    return float(font.getmask(_drawable(font, text)).size[0])


def _drawable(font: Any, text: str) -> str:
    """Return what a font can draw: that of a Pillow before 9.2, where no other is there, is of
    Latin-1 and has no ``getlength``.
    """
    if hasattr(font, "getlength"):
        return text
    return text.encode("latin-1", "replace").decode("latin-1")
