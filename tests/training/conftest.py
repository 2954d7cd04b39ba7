"""A small rendered LMDB, and a network small enough to train on it in a test."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import List

import lmdb
import pytest
from PIL import Image, ImageDraw, ImageFont

TINY = [
    "channels=[4,4,6,6,8,8,8]",
    "hidden=8",
    "batch_size=8",
    "plot=false",
    "workers=0",
    "threads=1",
]


def picture(text: str) -> bytes:
    """Return a PNG of a word in Pillow's built-in font."""
    font = ImageFont.load_default()
    if hasattr(font, "getbbox"):
        width = int(font.getbbox(text)[2])
    else:  # Pillow before 9.2
        width = font.getmask(text).size[0]
    image = Image.new("L", (width + 8, 20), 255)
    ImageDraw.Draw(image).text((4, 4), text, fill=0, font=font)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def write_lmdb(folder: Path, labels: List[str]) -> Path:
    """Write rendered words."""
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 24, lock=False) as environment, environment.begin(
        write=True
    ) as writing:
        for index, label in enumerate(labels, 1):
            writing.put(b"image-%09d" % index, picture(label))
            writing.put(b"label-%09d" % index, label.encode())
        writing.put(b"num-samples", str(len(labels)).encode())
    return folder


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty words of one to four letters."""
    draw = random.Random(7)
    labels = ["".join(draw.choice("abc123") for _ in range(draw.randint(1, 4))) for _ in range(40)]
    return write_lmdb(tmp_path_factory.mktemp("data") / "words", labels)


@pytest.fixture(scope="session")
def tiny(words: Path) -> List[str]:
    """The pairs that make any recipe a test's: five steps an epoch."""
    return [f"train={words}", f"valid={words}", *TINY]
