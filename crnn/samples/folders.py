"""A folder of images with an annotation file that names and labels them."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Iterable, Iterator, List, Optional, Sequence, Tuple, Union

from crnn.batch import IMAGE_TOO_LARGE, MISSING_IMAGE, UNREADABLE_IMAGE, Problem, Sample
from crnn.errors import InputError
from crnn.files import read_bounded
from crnn.limits import limit
from crnn.samples.annotations import (
    IMAGE_SUFFIXES,
    LIST_SUFFIXES,
    Annotation,
    ListOptions,
    read_annotations,
)
from crnn.samples.classes import ClassNumbers

UNSAFE = "unsafe name"

MOST_TRIES = 1000
"""Absolute paths of a list that are looked for below a folder until one of them is there."""
RELATIVE = "expected a name below it"
"""What a name should be."""


class FolderSamples:
    """The images that an annotation file names, in its order, with its labels; `form` says how it
    was read.

    Names are relative to ``folder`` and stay inside it: absolute ones, ``..`` and links that lead
    out are problems of their samples, as are missing files. A name without suffix, as lists
    extracted from an LMDB have them, stands for the image file of that name. Raises `InputError`
    for an annotation file that cannot be read.
    """

    gaps = 0

    def __init__(
        self,
        folder: Path,
        annotation_file: Path,
        options: ListOptions = ListOptions(),  # noqa: B008  frozen
    ) -> None:
        _require_folder(folder)
        self.path = folder
        self.annotation_file = annotation_file
        found = read_annotations(
            annotation_file, options.form, columns=options.columns, encoding=options.encoding
        )
        self.form = found.form
        tails = Tails(folder)
        self._entries = [entry._replace(name=tails.name(entry.name)) for entry in found.entries]
        self.notes: Sequence[str] = (*found.notes, *tails.notes)
        """What a user should be told of how the list was read."""
        if ClassNumbers.are(entry.label for entry in self._entries):
            raise ClassNumbers.refused(annotation_file, self._entries[0].label)
        _require_one(folder, annotation_file, self._entries)

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

    def several(self, numbers: Iterable[int]) -> Iterator[Sample]:
        """Yield the samples of places."""
        root = os.path.realpath(self.path)
        for number in numbers:
            yield self._sample(root, self._entries[number - 1])

    def part(self, begin: int, end: int) -> Iterator[Sample]:
        """Yield the samples from one position in their order, from 0, to before another."""
        root = os.path.realpath(self.path)
        for entry in self._entries[begin:end]:
            yield self._sample(root, entry)

    def labels(self) -> Iterator[Tuple[int, Optional[str]]]:
        """Yield each place with its label, without reading the image."""
        for number, entry in enumerate(self._entries, start=1):
            yield number, entry.label

    def key_of(self, number: int) -> str:
        """Return the name of a place's sample."""
        return self._entries[number - 1].name

    def unlabelled(self) -> Iterator[str]:
        """Yield nothing: a list has a label for each image."""
        return iter(())

    def every_label(self) -> Iterator[Tuple[str, Optional[str]]]:
        """Yield each sample's name and its label, without reading its image."""
        for entry in self._entries:
            yield entry.name, entry.label

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


class Tails:
    r"""Finds, for the absolute paths of another machine, the ends that lead to files of a folder.

    ``C:/Users/someone/plates/train/a.png`` is ``train/a.png`` where the folder holds that; what
    stands before it is then taken off all other names too.

    Args:
        folder: Where the images are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._heads: List[str] = []
        self._tries = 0

    def name(self, name: str) -> str:
        """Return a name from a list as one below the folder; unchanged where none is found."""
        if not _is_absolute(name):
            return name
        plain = name.replace("\\", "/")
        for head in self._heads:
            if plain.startswith(head):
                return plain[len(head) :]
        if self._tries == MOST_TRIES:
            return name
        self._tries += 1
        parts = plain.split("/")
        for start in range(1, len(parts)):
            tail = "/".join(parts[start:])
            if tail and self._holds(tail):
                self._heads.append("/".join(parts[:start]) + "/")
                return tail
        return name

    @property
    def notes(self) -> Sequence[str]:
        """What was taken for the folder, a line for each beginning."""
        return [f"absolute paths: {head} is taken for {self._folder}" for head in self._heads]

    def _holds(self, tail: str) -> bool:
        try:
            return ".." not in tail.split("/") and (self._folder / tail).is_file()
        except (OSError, ValueError):
            return False


_WHERE = (
    "where the command has --annotation FILE (evaluate, prepare, dataset convert: that makes an"
    " LMDB, which every command reads)"
)


def find_annotation(folder: Path) -> Path:
    """Find the annotation file of a folder of images.

    Args:
        folder: A folder of images.

    Returns:
        Its only text file.

    Raises:
        InputError: There is none, or more than one.
    """
    names = [entry.name for entry in os.scandir(folder) if entry.is_file()]
    found = sorted(name for name in names if name.lower().endswith(LIST_SUFFIXES))
    if len(found) == 1:
        return folder / found[0]
    what = ", ".join(found[:5])
    hint = f"Leave one of them in the folder, or name it {_WHERE}."
    if not found:
        what = f"none that ends in {', '.join(LIST_SUFFIXES)}"
        hint = (
            "Write one into the folder, each line an image's name, a tab and its text, or name it"
            f" {_WHERE}. Where file names hold the labels: crnn dataset convert folder {folder} OUT"
            " --label-from-name stem."
        )
    if any(name.endswith(".bin") for name in names):
        hint = "Its bins are prepared already: crnn evaluate MODEL DIR --label FILE reads them."
    raise InputError(
        f"{folder} needs one annotation file, with an image and a label a line; found {what}",
        hint=hint,
    )


def _require_one(folder: Path, annotation_file: Path, entries: Sequence[Annotation]) -> None:
    """Refuse a list of which not one image is in the folder: it belongs to another one."""
    if not entries or any(_may_be_below(folder, entry.name) for entry in entries):
        return
    first = entries[0].name
    beside = annotation_file.parent
    hint = "Give the folder in which the names begin, or the list of this folder's images."
    if _is_below(beside, first):
        hint = f"The names begin in {beside}: give that folder."
    elif _is_below(folder, entries[0].label):
        hint = "The columns are the other way round: each line has the image first, then its label."
    raise InputError(
        f"none of the {len(entries)} images that {annotation_file} names is in {folder}; the first"
        f" is {first[:200]!r}",
        hint=hint,
    )


def _may_be_below(folder: Path, name: str) -> bool:
    """Say whether a name is a file's below a folder, or has a fault that `read_inside` names."""
    if not name or "\0" in name or _is_absolute(name) or ".." in name:
        return True
    try:
        *_, place = _places(str(folder), name)
        return Path(place).exists()
    except OSError:
        return True


def _is_below(folder: Path, name: str) -> bool:
    try:
        return not _is_absolute(name) and (folder / name).is_file()
    except (OSError, ValueError):
        return False


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
    if _is_absolute(name) or ".." in name.replace("\\", "/").split("/"):
        return Problem(UNSAFE, f"{name!r} leads out of the folder; {RELATIVE}")
    try:
        *_, place = _places(root, name)
        # Of millions that are missing, each ends here: what follows takes longer.
        Path(place).stat()
        path = Path(os.path.realpath(place))
        if os.path.commonpath([root, path]) != root:
            return Problem(UNSAFE, f"{name!r} is a link that leads out of the folder")
        state = path.stat()
        # Opening a pipe would wait for ever.
        if not stat.S_ISREG(state.st_mode):
            return Problem(UNREADABLE_IMAGE, f"{name!r} is not a plain file")
        most = limit("image_bytes")
        if state.st_size > most:
            return Problem(
                IMAGE_TOO_LARGE, f"{name!r} has {state.st_size} bytes; the limit is {most}"
            )
        return read_bounded(path, "image_bytes")
    except InputError as error:
        return Problem(UNREADABLE_IMAGE, error.message)
    except FileNotFoundError:
        return Problem(MISSING_IMAGE, f"no file {name!r}")
    except OSError as error:
        return Problem(UNREADABLE_IMAGE, f"{name!r}: {error.strerror}")


def _is_absolute(name: str) -> bool:
    """Say whether a name is an absolute path, here or on Windows."""
    return name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", name) is not None


def _places(root: str, name: str) -> Iterator[str]:
    """Yield where a name may lead, until there is a file."""
    place = _with_suffix(f"{root}{os.sep}{name}")
    yield place
    if "\\" in name and not Path(place).exists():
        # A list that was written on Windows.
        slashes = name.replace("\\", "/")
        yield _with_suffix(f"{root}{os.sep}{slashes}")


def _with_suffix(path: str) -> str:
    if "." in path.rpartition(os.sep)[2][1:-1]:
        return path
    named = (path + suffix for suffix in IMAGE_SUFFIXES)
    return next((candidate for candidate in named if Path(candidate).exists()), path)
