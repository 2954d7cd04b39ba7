"""What the user calls "the data", told apart by what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

from crnn.errors import InputError
from crnn.samples.folders import FolderSamples, find_annotation
from crnn.samples.lmdb import DATA_FILE, LmdbSamples

Source = Union[LmdbSamples, FolderSamples]


def open_labelled(
    path: Path, annotation_file: Optional[Path] = None, form: Optional[str] = None
) -> Source:
    """Open an LMDB (its folder or ``data.mdb``) or a folder of images with an annotation file.

    The annotation file is the folder's only text file where none is named; ``form`` names its form
    where the content is not to decide. Both kinds of source are iterable, can be sent to other
    processes, and have ``len()``, ``numbered()``, ``numbers()``, ``sample(number)``,
    ``label_problem(number)``, ``faults()`` and ``extras()``. Raises `InputError`.
    """
    is_lmdb = path.is_file() or (path / DATA_FILE).exists()
    if not is_lmdb and path.is_dir():
        return FolderSamples(path, annotation_file or find_annotation(path), form)
    if annotation_file or form:
        raise InputError(
            f"{path} is no folder of images; an annotation file goes with such a folder only"
        )
    return LmdbSamples(path)
