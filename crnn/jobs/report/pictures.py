"""The pictures of some words of a data set, small enough for a page, and the sizes of many."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from crnn.samples.source import open_labelled

HEIGHT = 48
WIDEST = 480
QUALITY = 60
_BICUBIC = 3
"""Pillow's number: the name moved between its releases."""
MOST_SIZES = 20_000
"""Pictures whose sizes are looked at, taken evenly from the data."""


@dataclass(frozen=True)
class Pictures:
    """``shown`` holds pictures as data addresses, by the words' names; ``sizes`` the width and
    height of pictures, and ``of`` how many the data set has.
    """

    shown: Mapping[str, str]
    sizes: Sequence[Tuple[str, int, int]]
    of: int


def find_pictures(places: Sequence[Path], wanted: Set[str]) -> Pictures:
    """Look the pictures of words up in their data sets.

    Args:
        places: LMDBs or folders of images; a name that two of them have is the first one's.
        wanted: The names of the words to be shown.

    Returns:
        The pictures that could be read, and the sizes of at most `MOST_SIZES`.

    Raises:
        InputError: A place is not a data set.
    """
    shown: Dict[str, str] = {}
    sizes: List[Tuple[str, int, int]] = []
    total = 0
    for place in places:
        source = open_labelled(place)
        try:
            total += len(source)
            step = max(1, -(-len(source) // MOST_SIZES))
            for count, number in enumerate(source.numbers()):
                key = source.key_of(number)
                show = key in wanted and key not in shown
                if count % step and not show:
                    continue
                image = source.sample(number).image or b""
                if show:
                    address = data_address(image)
                    if address:
                        shown[key] = address
                if count % step == 0:
                    size = _size(image)
                    if size is not None and all(size):
                        sizes.append((key, *size))
        finally:
            source.close()
    return Pictures(shown, sizes, total)


def data_address(image: bytes) -> str:
    """Return a picture as an address that holds it, WebP of `HEIGHT` rows at most.

    Args:
        image: An image file's bytes.

    Returns:
        A ``data:`` address; empty where the image cannot be read.
    """
    from crnn.image import ImageError, picture

    try:
        drawn = picture(image, "RGB")
    except ImageError:
        return ""
    scale = min(1.0, HEIGHT / drawn.height, WIDEST / drawn.width)
    size = (max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale)))
    small = drawn.resize(size, _BICUBIC)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _size(image: bytes) -> Optional[Tuple[int, int]]:
    from crnn.image import ImageError, size_of

    try:
        return size_of(image)
    except ImageError:
        return None
