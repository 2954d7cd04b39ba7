"""What a result says of the command that gave it, without the folders of this machine."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import List, Sequence


def by_name(words: Sequence[str]) -> List[str]:
    """Return a command line whose paths are names alone.

    >>> by_name(["crnn", "evaluate", "/home/me/m.onnx", "data/words_lmdb/", "--json=out/r.json"])
    ['crnn', 'evaluate', 'm.onnx', 'words_lmdb', '--json=r.json']

    Args:
        words: The words of a command.

    Returns:
        The words, each path in them reduced to its last part.
    """
    return [_named(word) for word in words]


def _named(word: str) -> str:
    option, equals, value = "", "", word
    if word.startswith("-") and "=" in word:
        option, equals, value = word.partition("=")
    # A spec's JSON may hold a slash among its characters.
    if value.lstrip().startswith("{") or ("/" not in value and "\\" not in value):
        return word
    name = Path(value.replace("\\", "/")).name
    return f"{option}{equals}{name or value}"


def now() -> str:
    """Return the date and time in UTC, to the second, such as 2026-01-31T12:00:00+00:00.

    Returns:
        ISO 8601.
    """
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
