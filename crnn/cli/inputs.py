"""What a command reads that its line does not name: what lies in its folders, and beside its files.

A result that is written there would be the end of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Sequence

from crnn.errors import InputError

_SIDECARS = (b'"format": "crnn-om/', b'"format": "crnn-bins/')
"""What a description beside an OM or a folder of bins has in its JSON."""
_SMALL = 1 << 20


def unnamed_input(place: Path, inputs: Sequence[Path]) -> str:
    """Say what a file is to a command that reads something else.

    Args:
        place: Where the command would write, links followed.
        inputs: The files and folders that it is to read, links followed.

    Returns:
        Such as "an image of words"; empty where the command does not need it.
    """
    if not place.is_file():
        return ""
    for one in inputs:
        if place.parent == one.parent and place.name == f"{one.name}.json" and _describes(place):
            return f"the description of {one.name}, which stands beside it"
        if one in place.parents and one.is_dir():
            what = _in_folder(place, one)
            if what:
                return what
    return ""


def _describes(place: Path) -> bool:
    try:
        with open(place, "rb") as file:
            start = file.read(_SMALL)
    except OSError:
        return False
    return any(mark in start for mark in _SIDECARS)


def _in_folder(place: Path, folder: Path) -> str:
    """Return what a file is in a folder that is read."""
    if place.suffix.lower() == ".bin":
        return f"one of the bins in {folder.name}"
    # These need what a box with bins alone may lack.
    if place.parent == folder and _holds_bins(folder):
        return ""
    from crnn.samples.annotations import IMAGE_SUFFIXES
    from crnn.samples.folders import find_annotation

    if place.suffix.lower() in IMAGE_SUFFIXES:
        return f"one of the images in {folder.name}"
    if place.parent != folder:
        return ""
    try:
        annotation = find_annotation(folder)
    except (InputError, OSError):
        return ""
    if place == annotation:
        return f"the annotation file of {folder.name}"
    return ""


def _holds_bins(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(".bin") for entry in entries)
    except OSError:
        return False
