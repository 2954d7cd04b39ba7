"""A contact sheet: many words on one picture, each with its label."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any, Iterable, List, Optional, Sequence, Tuple

from PIL import Image, ImageDraw, ImageFont

from crnn.batch import Sample
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
_GAP = 6
_PAPER, _INK, _FAINT = "white", "black", "#b0b0b0"


def choose(
    samples: Iterable[Sample], count: int, *, keys: Optional[Sequence[str]], seed: int
) -> List[Sample]:
    """Choose samples of a data set.

    Args:
        samples: The data, which are streamed once.
        count: How many are taken at random.
        keys: The names of the samples to take, in the place of random ones.
        seed: Of the random choice.

    Returns:
        The samples in data order.

    Raises:
        InputError: A key is not there.
    """
    if keys is not None:
        wanted = set(keys)
        return [sample for sample in samples if sample.key in wanted]
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


def contact_sheet(samples: Sequence[Sample], columns: int = 8) -> Image.Image:
    """Draw the words row by row, each scaled to fit its place, with its label; one that cannot be
    read says so.

    Raises `InputError` where they are too many for one picture.
    """
    columns = max(1, min(columns, len(samples)))
    rows = -(-len(samples) // columns)
    width, height = CELL
    size = (columns * (width + _GAP) + _GAP, rows * (height + _LINE + _GAP) + _GAP)
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            f"a sheet of {len(samples)} words, {columns} in a row, would be {size[0]}x{size[1]}"
            f" pixels; expected at most {MAX_PIXELS} in all",
            hint="Give a lower --count, fewer --keys, or fewer --columns.",
        )
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), _label_font()
    for place, sample in enumerate(samples):
        row, column = divmod(place, columns)
        corner = (_GAP + column * (width + _GAP), _GAP + row * (height + _LINE + _GAP))
        _place(sheet, draw, sample, corner)
        draw.text((corner[0], corner[1] + height), _short(sample.label), font=font, fill=_INK)
    return sheet


def write_sheet(samples: Sequence[Sample], path: Path, columns: int = 8) -> None:
    """Write the contact sheet as PNG.

    Args:
        samples: The words.
        path: The PNG to write.
        columns: Words in a row.

    Raises:
        InputError: The sheet would be too large, or cannot be written.
    """
    file = io.BytesIO()
    contact_sheet(samples, columns).save(file, "PNG")
    with atomic_file(path) as out:
        out.write(file.getvalue())


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


def _label_font() -> Any:
    # Pillow's own font has no more than Latin letters; it is for where this one is not found.
    try:
        return ImageFont.truetype("DejaVuSans.ttf", 13)
    except OSError:
        return ImageFont.load_default()


def _short(label: Optional[str]) -> str:
    if label is None:
        text = "(no label)"
    else:
        text = label.replace("\n", " ")
    if len(text) <= 24:
        return text
    return text[:23] + "…"
