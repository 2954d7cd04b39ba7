"""The info file that Ascend's benchmark tools take:

lines ``i path width height``, i from 0, in natural order.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Sequence, Tuple

from crnn.errors import InputError
from crnn.files import natural_key, write_text

Entry = Tuple[str, int, int]


def write_info(path: Path, entries: Sequence[Entry]) -> None:
    """Write path, width and height of each entry, whole or not at all."""
    write_text(path, "".join(info_line(number, *entry) for number, entry in enumerate(entries)))


def info_line(number: int, path: str, width: int, height: int) -> str:
    """Return a line with its line end.

    `InputError` for a path with white space, at which its readers would cut it.
    """
    if len(path.split()) != 1 or path != path.strip():
        raise InputError(
            f"the path {path!r} holds white space, which separates the fields of an info file",
            hint="Rename the folder or file.",
        )
    return f"{number} {path} {width} {height}\n"


def file_paths(folder: str, endings: Tuple[str, ...]) -> List[str]:
    """Return the paths of the folder's files with these endings in natural order, beginning with
    ``folder`` as it is.

    Raises `InputError` where there are none.
    """
    if not Path(folder).is_dir():
        what = "is a file" if Path(folder).exists() else "does not exist"
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
    """Return the path of a file in a folder that stands there as the user wrote it:

    Path would drop a leading "./".
    """
    return folder + name if folder.endswith("/") else f"{folder}/{name}"
