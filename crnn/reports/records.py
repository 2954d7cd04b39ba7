"""A word that was read, wherever it came from, as a record: a line of JSON Lines, a row of a table
(docs/formats.md).
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import Any, Dict, Optional

from crnn.batch import Problem
from crnn.reports.result_json import SIMULATED, reading_dict
from crnn.results import Reading


@dataclass(frozen=True)
class Record:
    """What became of a word.

    ``path`` is the image's file, or what holds the word: an LMDB, an archive, a folder of bins.
    The reading's key names the word: the file's path, or its name in what holds it. With a
    ``problem`` the word could not be read, and its text is empty.
    """

    reading: Reading
    path: str
    problem: Optional[Problem] = None
    simulated: bool = False


def record_dict(record: Record) -> Dict[str, Any]:
    """Return a record as plain data that can be written as UTF-8.

    Args:
        record: What became of a word.

    Returns:
        The reading's fields, ``path``, and ``label``, ``problem``, ``detail`` and ``simulated``
        only where they are set. A name that is not UTF-8 has its bytes as escapes; those of a path
        are given exactly by ``path_b64``.
    """
    data = reading_dict(record.reading)
    data["key"] = escaped(record.reading.key)
    data["path"] = escaped(record.path)
    if data["path"] != record.path:
        data["path_b64"] = base64.b64encode(os.fsencode(record.path)).decode("ascii")
    if record.reading.label is None:
        del data["label"]
    if record.problem is not None:
        data["problem"] = record.problem.reason
        data["detail"] = escaped(record.problem.detail)
    if record.simulated:
        data[SIMULATED] = True
    return data


def escaped(name: str) -> str:
    r"""Return a name as text that can be written as UTF-8.

    Args:
        name: As the system gives it: bytes that are not UTF-8 are surrogates.

    Returns:
        The same where it is text; else with an escape for each such byte.

    >>> escaped("caf\udce9.png")
    'caf\\xe9.png'
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", errors="backslashreplace")
    return name
