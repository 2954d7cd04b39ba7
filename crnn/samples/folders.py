"""A folder of images with an annotation file that names and labels them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Iterator, List, Optional, Tuple, Union

from crnn.batch import Problem, Sample
from crnn.errors import InputError
from crnn.files import read_bounded
from crnn.limits import limit
from crnn.samples.annotations import IMAGE_SUFFIXES, Annotation, read_annotations

MISSING_IMAGE = "missing image"
UNSAFE = "unsafe name"
UNREADABLE = "unreadable image"
TOO_LARGE = "image too large"


class FolderSamples:
    """The images that an annotation file names, in its order, with its labels; `form` says how it
    was read.

    Names are relative to ``folder`` and stay inside it: absolute ones, ``..`` and links that lead
    out are problems of their samples, as are missing files. A name without suffix, as lists
    extracted from an LMDB have them, stands for the image file of that name. Raises `InputError`
    for an annotation file that cannot be read.
    """

    gaps = 0

    def __init__(self, folder: Path, annotation_file: Path, form: Optional[str] = None) -> None:
        _require_folder(folder)
        self.path = folder
        self.annotation_file = annotation_file
        self.form, self._entries = read_annotations(annotation_file, form)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Sample]:
        root = os.path.realpath(self.path)
        return (self._sample(root, entry) for entry in self._entries)

    def numbered(self) -> Iterator[Tuple[int, Sample]]:
        """Yield each sample with its place in the annotation file, from 1."""
        return enumerate(self, start=1)

    def numbers(self) -> Iterator[int]:
        """Yield the places in the annotation file, from 1."""
        return iter(range(1, len(self) + 1))

    def sample(self, number: int) -> Sample:
        """Return the sample of a place."""
        return self._sample(os.path.realpath(self.path), self._entries[number - 1])

    def label_problem(self, number: int) -> Optional[Problem]:
        """Return nothing: the annotation file was read as a whole."""
        return None

    def faults(self) -> List[Tuple[str, Problem]]:
        """Return nothing: all problems are single samples'."""
        return []

    extras = faults

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _sample(self, root: str, entry: Annotation) -> Sample:
        image = read_inside(root, entry.name)
        if isinstance(image, Problem):
            problem = Problem(
                image.reason, f"{self.annotation_file.name} line {entry.line}: {image.detail}"
            )
            return Sample(entry.name, None, entry.label, problem)
        return Sample(entry.name, image, entry.label)


def find_annotation(folder: Path) -> Path:
    """Find the annotation file of a folder of images.

    Args:
        folder: A folder of images.

    Returns:
        Its only text file.

    Raises:
        InputError: There is none, or more than one.
    """
    endings = (".txt", ".jsonl", ".tsv", ".csv")
    found = sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.name.lower().endswith(endings) and entry.is_file()
    )
    if len(found) == 1:
        return folder / found[0]
    if found:
        what = ", ".join(found[:5])
    else:
        what = f"none that ends in {', '.join(endings)}"
    raise InputError(
        f"{folder} needs one annotation file, with an image and a label a line; found {what}",
        hint=(
            "Leave one of them in the folder, or name it where the command has --annotation FILE"
            " (evaluate, prepare, dataset convert: that makes an LMDB, which every command reads)."
        ),
    )


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        what = "does not exist"
        if folder.exists():
            what = "is a file"
        raise InputError(f"{folder} {what}; expected a folder of images")


def read_inside(root: str, name: str) -> Union[bytes, Problem]:
    """Read an image below a folder.

    Absolute names, ``..`` and links that lead out of ``root`` are refused, as are pipes and files
    above the limit (`crnn.limits`).

    Args:
        root: A folder, as a real path.
        name: A name below it, from data.

    Returns:
        The file's bytes, or why there are none.
    """
    if not name or "\0" in name:
        return Problem(UNSAFE, f"{name!r} is not a file name")
    if name.startswith(os.sep) or ".." in name.replace("\\", "/").split("/"):
        return Problem(UNSAFE, f"{name!r} leads out of the folder")
    try:
        place = _with_suffix(f"{root}{os.sep}{name}")
        # Of millions that are missing, each ends here: what follows takes longer.
        Path(place).stat()
        path = Path(os.path.realpath(place))
        if os.path.commonpath([root, path]) != root:
            return Problem(UNSAFE, f"{name!r} is a link that leads out of the folder")
        state = path.stat()
        # Opening a pipe would wait for ever.
        if not stat.S_ISREG(state.st_mode):
            return Problem(UNREADABLE, f"{name!r} is not a plain file")
        most = limit("image_bytes")
        if state.st_size > most:
            return Problem(TOO_LARGE, f"{name!r} has {state.st_size} bytes; the limit is {most}")
        return read_bounded(path, "image_bytes")
    except InputError as error:
        return Problem(UNREADABLE, error.message)
    except FileNotFoundError:
        return Problem(MISSING_IMAGE, f"no file {name!r}")
    except OSError as error:
        return Problem(UNREADABLE, f"{name!r}: {error.strerror}")


def _with_suffix(path: str) -> str:
    if "." in path.rpartition(os.sep)[2][1:-1]:
        return path
    named = (path + suffix for suffix in IMAGE_SUFFIXES)
    return next((candidate for candidate in named if Path(candidate).exists()), path)
