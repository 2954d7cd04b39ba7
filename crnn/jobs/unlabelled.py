"""Data without labels, for what needs none: a list of the files stands in for them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Iterator, List, Optional

from crnn.errors import InputError
from crnn.files import unnamed_file
from crnn.samples.annotations import IMAGE_SUFFIXES
from crnn.samples.bins import bin_index, label_line
from crnn.samples.folders import find_annotation

NO_LABEL = "0"
"""Stands where a label would; nobody reads it."""


@contextlib.contextmanager
def list_of(data: Path) -> Iterator[Optional[Path]]:
    """Write a list of a folder's bins or images, where it has none of its own.

    Args:
        data: A folder of bins, a folder of images, or anything else.

    Yields:
        A label file of all bins, or an annotation of all images; None for an LMDB, for a folder
        of images with its annotation, and for what is not a folder. It is gone after the block.
    """
    lines = list(_lines(data))
    if not lines:
        yield None
        return
    with unnamed_file("".join(lines).encode("utf-8")) as written:
        yield written


def _lines(data: Path) -> Iterator[str]:
    if not data.is_dir():
        return
    names = sorted(entry.name for entry in data.iterdir())
    if "data.mdb" in names:
        return
    numbers = [bin_index(name) for name in names if name.endswith(".bin")]
    if numbers:
        for number in sorted(filter(None, numbers)):
            yield label_line(number, NO_LABEL)
        return
    if _is_annotated(data):
        return
    for name in _images(data):
        yield json.dumps({"filename": name, "text": NO_LABEL}) + "\n"


def _is_annotated(folder: Path) -> bool:
    try:
        find_annotation(folder)
    except InputError:
        return False
    return True


def _images(folder: Path) -> List[str]:
    """Return the images of a folder and of those below it, by their names from it."""
    found: List[str] = []
    for file in folder.rglob("*"):
        if file.name.lower().endswith(IMAGE_SUFFIXES):
            found.append(file.relative_to(folder).as_posix())
    return sorted(found)
