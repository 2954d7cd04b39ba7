"""What a converter says of its source, and how it becomes words:

images read, crops cut, every loss with a reason.
"""

from __future__ import annotations

import functools
import io
import math
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, List, Optional, Sequence, Tuple, Union

from PIL import Image

from crnn.batch import Problem
from crnn.errors import InputError
from crnn.image import ImageError, picture
from crnn.labels import EMPTY_LABEL
from crnn.samples.folders import read_inside

BAD_LINE = "bad annotation"
BAD_BOX = "bad box"
DAMAGED_LABEL = "damaged label"

Box = Tuple[float, float, float, float]
"""Left, top, right and bottom in pixels, right and bottom excluded."""
Lexicons = Tuple[Tuple[str, ...], ...]

# U+FFFD stands for bytes that were lost; written out as UTF-8 and read as Latin-1 it is the second.
_LOST = ("\ufffd", "\u00ef\u00bf\u00bd")
_MAX_LABEL = 1000


@dataclass(frozen=True)
class Tag:
    """A word in a picture:

    the label as the source has it, its box or None for the whole picture, its lexicons.
    """

    label: str
    box: Optional[Box] = None
    lexicons: Lexicons = ()


@dataclass(frozen=True)
class Picture:
    """An image of the source and the words in it.

    ``data`` is the encoded image where it is not a file of its own.
    """

    name: str
    tags: Sequence[Tag]
    data: Optional[bytes] = None


@dataclass(frozen=True)
class Dropped:
    """A part of the source that gives no word, and why."""

    name: str
    problem: Problem


@dataclass(frozen=True)
class Word:
    """A word as it is to be stored."""

    name: str
    label: str
    image: bytes
    lexicons: Lexicons = ()


Item = Union[Picture, Dropped]


@dataclass(frozen=True)
class PictureSource:
    """What a converter found:

    pictures, whose names are relative to ``root``, and the lexicon of the whole set. ``notes`` are
    what a user should be told of the source; all are there once ``items`` is used up.
    """

    root: Path
    items: Iterable[Item]
    lexicon: Sequence[str] = ()
    notes: Sequence[str] = ()


class WordLoader:
    """Turns an item into its words, in the item's order. May be called from several threads."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise InputError(
                f"{root} is not a folder; expected the folder that image names are relative to"
            )
        self._root = os.path.realpath(root)

    def __call__(self, item: Item) -> List[Union[Word, Dropped]]:
        """Read the item's image, check it by decoding it in full, and cut its words out."""
        if isinstance(item, Dropped):
            return [item]
        data: Union[bytes, Problem, None] = item.data
        if data is None:
            data = read_inside(self._root, item.name)
        if isinstance(data, Problem):
            return [Dropped(item.name, data)] * max(1, len(item.tags))
        open_image = functools.lru_cache(maxsize=1)(functools.partial(picture, data, "RGB"))
        words: List[Union[Word, Dropped]] = []
        for number, tag in enumerate(item.tags, start=1):
            if len(item.tags) > 1:
                name = f"{item.name}#{number}"
            else:
                name = item.name
            try:
                label = clean_label(tag.label)
                image = open_image()
                words.append(
                    Word(
                        name,
                        label,
                        data if tag.box is None else _png(cut(image, tag.box)),
                        tag.lexicons,
                    )
                )
            except _LossError as loss:
                words.append(Dropped(name, loss.problem))
            except ImageError as error:
                words.append(Dropped(name, error.problem))
        return words


class _LossError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.problem = Problem(reason, detail)


def clean_label(label: str) -> str:
    """Return a label without white space around it; one that cannot be a word's truth ends the
    word, with a reason.
    """
    label = label.strip()
    if not label:
        raise _LossError(EMPTY_LABEL, "nothing but white space")
    if any(lost in label for lost in _LOST):
        raise _LossError(DAMAGED_LABEL, f"{label!r} has lost characters")
    if len(label) > _MAX_LABEL:
        raise _LossError(DAMAGED_LABEL, f"{len(label)} characters")
    control = next(
        (character for character in label if unicodedata.category(character) in ("Cc", "Cs")), None
    )
    if control is not None:
        raise _LossError(DAMAGED_LABEL, f"{label[:80]!r} holds the control character {control!r}")
    return label


def cut(image: Image.Image, box: Box) -> Image.Image:
    """Return the part of an image inside a box, both axes clipped to the image.

    Fractions are cut off, as int() does. A box without finite numbers, or with no pixel of the
    image in it, ends the word, with a reason.
    """
    if not all(math.isfinite(value) and abs(value) < 1e9 for value in box):
        raise _LossError(BAD_BOX, f"{box} holds what is not a number of pixels")
    left, top, right, bottom = (int(value) for value in box)
    left, top, right, bottom = (
        max(left, 0),
        max(top, 0),
        min(right, image.width),
        min(bottom, image.height),
    )
    if left >= right or top >= bottom:
        raise _LossError(BAD_BOX, f"{box} has no pixel of the image's {image.width}x{image.height}")
    return image.crop((left, top, right, bottom))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=3)
    return file.getvalue()
