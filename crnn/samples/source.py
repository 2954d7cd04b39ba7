"""What the user calls "the data", told apart by what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

from crnn.errors import InputError
from crnn.samples.annotations import ListOptions
from crnn.samples.folders import FolderSamples, find_annotation
from crnn.samples.lmdb import DATA_FILE, LmdbSamples

LabelledSource = Union[LmdbSamples, FolderSamples]


def open_labelled(
    path: Path,
    annotation_file: Optional[Path] = None,
    options: ListOptions = ListOptions(),  # noqa: B008  frozen
) -> LabelledSource:
    """Open a data set of words.

    Args:
        path: An LMDB (its folder or ``data.mdb``), or a folder of images.
        annotation_file: The folder's annotation; its only text file where none is named.
        options: The form, columns and encoding of the annotation, where the content is not to
            decide.

    Returns:
        A source that is iterable, can be sent to other processes, and has ``len()``,
        ``numbered()``, ``numbers()``, ``sample(number)``, ``label_problem(number)``, ``faults()``
        and ``extras()``.

    Raises:
        InputError: There is no such data set.
    """
    is_lmdb = path.is_file() or (path / DATA_FILE).exists()
    if not is_lmdb and path.is_dir():
        return FolderSamples(path, annotation_file or find_annotation(path), options)
    if annotation_file or options != ListOptions():
        raise InputError(
            f"{path} is not a folder of images; an annotation file goes with such a folder only"
        )
    return LmdbSamples(path)
