"""The pictures of some words of a data set, small enough for a page, and the sizes of many."""

from __future__ import annotations

import base64
import io
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from crnn.samples.source import LabelledSource, open_labelled

HEIGHT = 48
ADDRESS = "data:image/webp;base64,"
"""How the address of a picture begins that holds the picture itself."""
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


NO_PICTURES = Pictures({}, (), 0)


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
            shown.update(pictures_in(source, wanted.difference(shown)))
            sizes.extend(_sizes_in(source))
        finally:
            source.close()
    return Pictures(shown, sizes, total)


def pictures_in(source: LabelledSource, wanted: Set[str]) -> Mapping[str, str]:
    """Return pictures of one data set.

    Args:
        source: The data set.
        wanted: The names of the words.

    Returns:
        Pictures as data addresses, by name, of the words that it has and that can be read.
    """
    shown: Dict[str, str] = {}
    if not wanted:
        return shown
    for number in source.numbers():
        key = source.key_of(number)
        if key not in wanted:
            continue
        address = data_address(source.sample(number).image or b"")
        if address:
            shown[key] = address
    return shown


def _sizes_in(source: LabelledSource) -> Iterator[Tuple[str, int, int]]:
    """Yield name, width and height of pictures taken evenly from a data set."""
    step = max(1, -(-len(source) // MOST_SIZES))
    for number in itertools.islice(source.numbers(), None, None, step):
        size = _size(source.sample(number).image or b"")
        if size is not None and all(size):
            yield (source.key_of(number), *size)


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
    return ADDRESS + base64.b64encode(file.getvalue()).decode("ascii")


def _size(image: bytes) -> Optional[Tuple[int, int]]:
    from crnn.image import ImageError, size_of

    try:
        return size_of(image)
    except ImageError:
        return None
