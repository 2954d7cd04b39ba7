"""Images as a program gives them: paths, bytes, files, arrays, pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any, NamedTuple, Union

import numpy as np
from PIL import Image

from crnn.errors import InputError
from crnn.filekind import require_file
from crnn.files import read_bounded
from crnn.image import ImageError
from crnn.limits import advice, limit

Given = Union[
    str,
    "os.PathLike[str]",
    bytes,
    bytearray,
    memoryview,
    IO[bytes],
    np.ndarray,
    Image.Image,
]
"""What an image may be."""
WHAT = (
    "an image is a path (str or Path), the bytes of an image file, a file opened for bytes, a NumPy"
    " array of uint8 (H, W) or (H, W, 3), or a PIL image"
)


class Taken(NamedTuple):
    """An image to decode, or one that is decoded; its name, where it has one; and what a notebook
    shows of it: its path, bytes, or the picture.
    """

    key: str
    image: Union[bytes, Image.Image]
    shown: Union[str, Path, bytes, Image.Image]


def is_one(given: object) -> bool:
    """Say whether something is an image, not several.

    Args:
        given: What a program gives.

    Returns:
        True for all that `taken` takes, and for an array or a file that it refuses.
    """
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, np.ndarray, Image.Image)
    return isinstance(given, kinds) or hasattr(given, "read")


def taken(given: object, *, bgr: bool = False) -> Taken:
    """Take an image.

    Args:
        given: A path, bytes, a file opened for bytes, an array, or a picture.
        bgr: Whether the channels of an array stand in OpenCV's order.

    Returns:
        The image; a path's is read.

    Raises:
        TypeError: It is something else.
        InputError: A file cannot be read, or is too large.
    """
    if isinstance(given, (str, os.PathLike)):
        return _of_path(given)
    if isinstance(given, (bytes, bytearray, memoryview)):
        return Taken("", bytes(given), bytes(given))
    if isinstance(given, np.ndarray):
        picture = _of_array(given, bgr=bgr)
        return Taken("", picture, picture)
    if isinstance(given, Image.Image):
        return Taken("", given, given)
    if hasattr(given, "read"):
        return _of_file(given)
    raise TypeError(f"{WHAT}, not {type(given).__name__}")


def _of_path(given: Any) -> Taken:
    path = Path(given)
    require_file(path, "an image")
    return Taken(os.fspath(given), read_bounded(path, "image_bytes"), path)


def _of_file(file: Any) -> Taken:
    most = limit("image_bytes")
    data = file.read(most + 1)
    if not isinstance(data, bytes):
        raise TypeError(f"{WHAT}; this file gives {type(data).__name__}: open it with 'rb'")
    name = getattr(file, "name", "")
    if not isinstance(name, str):
        name = ""
    if len(data) > most:
        raise InputError(
            f"{name or 'the file'} has more than {most} bytes", hint=advice("image_bytes")
        )
    return Taken(name, data, data)


def _of_array(pixels: np.ndarray, *, bgr: bool) -> Image.Image:
    is_gray = pixels.ndim == 2
    is_colour = pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (is_gray or is_colour):
        raise TypeError(f"{WHAT}, not one of {pixels.dtype} {pixels.shape}")
    if not pixels.size:
        raise ImageError(ImageError.EMPTY, f"an array of shape {pixels.shape}")
    if is_colour and bgr:
        pixels = pixels[:, :, ::-1]
    return Image.fromarray(np.ascontiguousarray(pixels))
