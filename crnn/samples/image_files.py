"""Image files without labels: those of folders and of lists, found as they are read."""

from __future__ import annotations

import dataclasses
import functools
import os
import stat
from pathlib import Path
from typing import Callable, Iterator, List, Tuple, Union

from crnn.batch import IMAGE_TOO_LARGE, MISSING_IMAGE, UNREADABLE_IMAGE, Problem, Sample
from crnn.errors import InputError
from crnn.files import natural_key, open_input, read_bounded
from crnn.limits import advice, limit
from crnn.samples.annotations import IMAGE_SUFFIXES

NO_FOLDER = "unreadable folder"
_BLOCK = 1 << 16
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_file(path: str) -> Union[bytes, Problem]:
    """Read an image file, whatever is wrong with it.

    Args:
        path: The file's path; pipes and devices are refused, and files above the limit
            (`crnn.limits`).

    Returns:
        Its bytes, or why there are none.
    """
    if not path:
        return Problem(MISSING_IMAGE, "its path is empty")
    try:
        state = Path(path).stat()
        if stat.S_ISDIR(state.st_mode):
            return Problem(UNREADABLE_IMAGE, "it is a folder")
        # Opening a pipe would wait for ever.
        if not stat.S_ISREG(state.st_mode):
            return Problem(UNREADABLE_IMAGE, "it is not a plain file")
        most = limit("image_bytes")
        if state.st_size > most:
            return Problem(IMAGE_TOO_LARGE, f"{state.st_size} bytes; the limit is {most}")
        return read_bounded(Path(path), "image_bytes")
    except FileNotFoundError:
        return Problem(MISSING_IMAGE, "there is no such file")
    except InputError as error:
        return Problem(UNREADABLE_IMAGE, error.message)
    except OSError as error:
        return Problem(UNREADABLE_IMAGE, error.strerror or type(error).__name__)
    except ValueError:  # a path with a NUL
        return Problem(MISSING_IMAGE, "there can be no such file")


def loaded(sample: Sample) -> Sample:
    """Return a sample with its image.

    Args:
        sample: Any sample.

    Returns:
        The same, or, of one that only names its file, one with the file's bytes or what is wrong.
    """
    if sample.file is None:
        return sample
    found = read_file(sample.file)
    if isinstance(found, Problem):
        return dataclasses.replace(sample, problem=found, file=None)
    return dataclasses.replace(sample, image=found, file=None)


def of_file(path: str) -> Sample:
    """Return the sample that an image file is; the file is read when the image is decoded.

    Args:
        path: The file's path, which names the sample.

    Returns:
        The sample.
    """
    return Sample(path, None, None, file=path)


def in_folder(folder: str, *, recursive: bool = False) -> Iterator[Sample]:
    """List a folder's images, by their names' endings, in natural order.

    Hidden files and folders, whose names begin with a point, are passed over, and links to folders.

    Args:
        folder: Its path.
        recursive: Whether those of the folders below it are listed too, each folder at its place.

    Yields:
        The images; a folder that cannot be read is a sample with a problem.
    """
    waiting = [iter([(folder, True)])]
    while waiting:
        path, is_folder = next(waiting[-1], ("", False))
        if not path:
            waiting.pop()
        elif not is_folder:
            yield of_file(path)
        else:
            try:
                waiting.append(iter(_entries(path, recursive)))
            except OSError as error:
                reason = error.strerror or type(error).__name__
                yield Sample(path, None, None, Problem(NO_FOLDER, reason))


def is_image_name(name: str) -> bool:
    """Say whether a file is taken for an image where it stands among others.

    Args:
        name: Its name.

    Returns:
        True where it ends as an image's does, and is not hidden.
    """
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def _entries(folder: str, recursive: bool) -> List[Tuple[str, bool]]:
    """Return the images of a folder, and where wanted its folders, in natural order."""
    found: List[Tuple[str, bool]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            wanted = is_image_name(entry.name)
            if is_folder:
                wanted = recursive and not entry.name.startswith(".")
            if wanted:
                found.append((entry.name, is_folder))
    found.sort(key=lambda entry: natural_key(entry[0]))
    return [(os.path.join(folder, name), is_folder) for name, is_folder in found]  # noqa: PTH118


def in_list(path: Path, *, nul: bool = False) -> Iterator[Sample]:
    """Read a list of image files.

    Args:
        path: A file with a path a line, relative ones from where the process works.
        nul: Whether a NUL ends each path, as ``find -print0`` writes them.

    Raises:
        InputError: A path is longer than the limit of a line, or the file cannot be opened.

    Yields:
        The images.
    """
    with open_input(path, stream=True) as file:
        read = functools.partial(file.read1, _BLOCK)  # type: ignore[attr-defined]
        for name in names_in(read, str(path), nul=nul):
            yield of_file(os.fsdecode(name))


def names_in(read: Callable[[], bytes], where: str, *, nul: bool) -> Iterator[bytes]:
    """Cut what comes in at the ends of lines, each as soon as it is there.

    Args:
        read: Returns the next bytes, none at the end.
        where: What they come from, for messages.
        nul: Whether a NUL ends each name; else LF or CRLF does, and a byte order mark in front of
            the first is passed over.

    Raises:
        InputError: A name is longer than the limit of a line.

    Yields:
        The names as they were given, empty ones too.
    """
    end, most = b"\n", limit("line")
    if nul:
        end = b"\0"
    rest, first = b"", not nul
    for block in iter(read, b""):
        *names, rest = (rest + block).split(end)
        if len(rest) > most:
            raise InputError(f"{where}: a path has more than {most} bytes", hint=advice("line"))
        for name in names:
            yield _plain(name, nul, first=first)
            first = False
    if rest:
        yield _plain(rest, nul, first=first)


def _plain(name: bytes, nul: bool, *, first: bool) -> bytes:
    if nul:
        return name
    if first and name.startswith(_BYTE_ORDER_MARK):
        name = name[len(_BYTE_ORDER_MARK) :]
    if name.endswith(b"\r"):
        return name[:-1]
    return name
