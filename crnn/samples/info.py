"""The info file that Ascend's benchmark tools take:

lines ``i path width height``, i from 0, in natural order.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from crnn.errors import InputError
from crnn.files import natural_key, read_bounded, write_text
from crnn.widths import Widths, widths_of

Entry = Tuple[str, int, int]
_BYTES = {"float32": 4, "float16": 2, "uint8": 1}
"""Of a value. NumPy knows them too, and a script's help should not wait for it."""


def write_info(path: Path, entries: Sequence[Entry]) -> None:
    """Write an info file, whole or not at all.

    Args:
        path: The file to write.
        entries: Path, width and height of each file.

    Raises:
        InputError: A path has white space, or the file cannot be written.
    """
    write_text(path, "".join(info_line(number, *entry) for number, entry in enumerate(entries)))


def info_line(number: int, path: str, width: int, height: int) -> str:
    """Return a line of an info file.

    Args:
        number: The line's number, from 0.
        path: The file that it names.
        width: In pixels.
        height: In pixels.

    Returns:
        The line with its line end.

    Raises:
        InputError: The path has white space, at which its readers would cut it.
    """
    if len(path.split()) != 1 or path != path.strip():
        raise InputError(
            f"the path {path!r} holds white space, which separates the fields of an info file",
            hint="Rename the folder or file.",
        )
    return f"{number} {path} {width} {height}\n"


def file_paths(folder: str, endings: Tuple[str, ...]) -> List[str]:
    """List a folder's files with these endings.

    Args:
        folder: The folder as the user wrote it.
        endings: The endings of the names, with their dots.

    Returns:
        Paths in natural order, beginning with ``folder`` as it is.

    Raises:
        InputError: There are none.
    """
    if not Path(folder).is_dir():
        what = "does not exist"
        if Path(folder).exists():
            what = "is a file"
        raise InputError(f"{folder} {what}; expected a folder of {endings[0]} files")
    names = [
        entry.name
        for entry in os.scandir(folder)
        if entry.name.lower().endswith(endings) and entry.is_file()
    ]
    if not names:
        raise InputError(f"{folder} holds no {' or '.join(endings)} files")
    return [join(folder, name) for name in sorted(names, key=natural_key)]


def join(folder: str, name: str) -> str:
    """Join a folder and a name.

    Args:
        folder: The folder as the user wrote it.
        name: A file's name.

    Returns:
        The path; a leading "./", which Path would drop, stays.
    """
    if folder.endswith("/"):
        return folder + name
    return f"{folder}/{name}"


def bins_of_size(folder: str, width: int, height: int) -> List[str]:
    """List a folder's bins; where it holds images of several widths, those of one.

    Args:
        folder: The folder as the user wrote it.
        width: The images' width in pixels.
        height: Their height.

    Returns:
        Paths in natural order.

    Raises:
        InputError: There are none, or none of this size.
    """
    paths = file_paths(folder, (".bin",))
    found = _several_widths(Path(folder))
    if found is None:
        return paths
    widths, bytes_a_row = found
    size = bytes_a_row * height * width
    kept = [path for path in paths if Path(path).stat().st_size == size]
    if not kept:
        raise InputError(
            f"{folder} holds no bin of {width} x {height} pixels ({size} bytes); its widths are"
            f" {', '.join(map(str, widths.list))}"
        )
    return kept


def _several_widths(folder: Path) -> Optional[Tuple[Widths, int]]:
    """Return the widths of a folder of bins and the bytes of a column's pixel; None where the file
    beside it (`crnn.samples.bins.described`, which needs NumPy) names no widths.
    """
    place = folder.resolve()
    try:
        data = json.loads(read_bounded(place.with_name(place.name + ".json")))
        spec = data["spec"]
        channels = 3
        if spec["color"] == "gray":
            channels = 1
        return widths_of(spec["widths"]), channels * _BYTES[data["dtype"]]
    except (InputError, OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
