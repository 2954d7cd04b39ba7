"""Sixty-four pictures of code alone, and what a spec makes of them here: the inputs' fingerprint.

Gray, RGB, RGBA and palette, tall, wide, small and of a word's size, in the bytes of a PNG, since
that is what a model's images come as. Whole numbers only, of a generator whose stream NumPy
promises to keep (`numpy.random.RandomState`); no font and no file.
"""

from __future__ import annotations

import functools
import hashlib
import struct
import zlib
from typing import List, Optional, Sequence, Tuple

import numpy as np

from crnn.errors import UnavailableError
from crnn.fingerprint import Fingerprint, other_keys
from crnn.image import Bounds, decode_into
from crnn.spec import ModelSpec

SEED = 64
SIZES: Sequence[Tuple[int, int]] = (
    *((1, 1), (2, 3), (5, 4), (7, 31)),
    *((9, 40), (14, 64), (31, 48), (24, 90)),
    *((100, 32), (118, 36), (64, 48), (73, 29)),
    *((160, 20), (231, 17), (300, 32), (377, 61)),
)
"""Width and height of the patterns: small, tall, of a word, wide; each in every one of `MODES`."""
MODES = ("L", "RGB", "RGBA", "P")
_COLOR_TYPES = {"L": 0, "RGB": 2, "RGBA": 6, "P": 3}
_CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4, "P": 1}
_BOUNDS = Bounds(1 << 20, 1 << 12)
# An EXIF block that says only "turn by 90 degrees": TIFF's head, one entry, orientation 6.
_TURNED = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


@functools.lru_cache(maxsize=8)
def fingerprint_of(spec: ModelSpec) -> Optional[Fingerprint]:
    """Return what a spec makes of the patterns on this machine, once per process.

    Args:
        spec: Size, colour, resizer, orientation, background, widths and normalisation.

    Returns:
        None where the spec's resizer is not installed here.
    """
    pixels = []
    for width in spec.read_widths:
        try:
            pixels.append((width, _digest(spec.at_width(width, spec.time_steps))))
        except UnavailableError:
            return None
    constants = (float(spec.divisor), float(spec.mean), float(spec.std))
    return Fingerprint(tuple(pixels), constants)


def fingerprint_after(
    carried: Optional[Fingerprint], before: ModelSpec, after: ModelSpec
) -> Optional[Fingerprint]:
    """Return the fingerprint of a copy of a model whose spec may be another.

    Args:
        carried: The model's own fingerprint.
        before: The model's spec.
        after: The copy's.

    Returns:
        The model's own where images are prepared alike, else one that is made here.
    """
    if carried is not None and not other_keys(before, after):
        return carried
    return fingerprint_of(after)


def _digest(spec: ModelSpec) -> str:
    """Return the SHA-256 of all patterns' pixels at the spec's one width."""
    sum_of_all = hashlib.sha256()
    out = np.empty(spec.channels * spec.height * spec.width, dtype=np.uint8)
    for data in patterns():
        decode_into(data, spec, out, _BOUNDS)
        sum_of_all.update(out.tobytes())
    return sum_of_all.hexdigest()


@functools.lru_cache(maxsize=1)
def patterns() -> Sequence[bytes]:
    """Draw the patterns.

    Returns:
        Sixty-four PNG files, the same on every machine.
    """
    random = np.random.RandomState(SEED)
    files: List[bytes] = []
    for number, (width, height) in enumerate(SIZES):
        for mode in MODES:
            files.append(_file(random, mode, width, height, number))
    return tuple(files)


def _file(random: np.random.RandomState, mode: str, width: int, height: int, number: int) -> bytes:
    """Draw one: squares of 1 to 4 pixels, of all values, so that every step of a resizer shows."""
    side = 1 + number % 4
    shape = (height // side + 1, width // side + 1, _CHANNELS[mode])
    squares = random.randint(0, 256, size=shape)
    values = squares.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
    extra = b""
    if mode == "P":
        extra += _chunk(b"PLTE", random.randint(0, 256, size=768).astype(np.uint8).tobytes())
        if number % 2:
            extra += _chunk(b"tRNS", random.randint(0, 256, size=256).astype(np.uint8).tobytes())
    if mode == "RGB" and number % 4 == 3:
        extra += _chunk(b"eXIf", _TURNED)
    return _png(values.astype(np.uint8), _COLOR_TYPES[mode], extra)


def _png(values: np.ndarray, color_type: int, extra: bytes) -> bytes:
    """Return a PNG (ISO/IEC 15948) of 8 bits a sample whose rows have no filter."""
    height, width = values.shape[:2]
    rows = np.zeros((height, 1 + values[0].size), dtype=np.uint8)
    rows[:, 1:] = values.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", head),
            extra,
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 1)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    content = kind + data
    return struct.pack(">I", len(data)) + content + struct.pack(">I", zlib.crc32(content))
