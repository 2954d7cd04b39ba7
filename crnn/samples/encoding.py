"""The encoding of a text of labels: one for the whole file, found out before anything is read."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from crnn.errors import InputError, UsageError

UTF8 = "utf-8-sig"
"""Python's name for UTF-8 with or without a byte order mark."""
OTHERS = ("utf-16", "gb18030")
"""What files of labels are written in besides, and by what they are named to the user."""

_BLOCK = 1 << 20


def text_encoding(path: Path, given: Optional[str] = None) -> str:
    """Return the encoding of a text after reading all of it.

    Two bytes of another encoding may happen to be UTF-8, which is why one line that is not makes
    the file another's.

    Args:
        path: A file that can be read.
        given: What the user says; None for UTF-8.

    Returns:
        A name for `open`.

    Raises:
        InputError: The file is not of this encoding; the message names those that it can be of.
        UsageError: There is no encoding of that name.
    """
    name = UTF8
    if given is not None:
        name = _known(given)
    trouble = _trouble(path, name)
    if trouble:
        said = given or "UTF-8"
        raise InputError(f"{path} is not {said}: {trouble}", hint=_remedy(path, name))
    return name


def numbered_lines(path: Path, encoding: str) -> Iterator[Tuple[int, str]]:
    r"""Read a text line by line; only LF and CRLF end a line, as elsewhere a label may hold others.

    Args:
        path: The file.
        encoding: What `text_encoding` gave.

    Yields:
        The line's number from 1, and its text without its end.
    """
    with open(path, encoding=encoding, newline="\n") as file:
        for number, line in enumerate(file, start=1):
            text = line
            if number == 1:
                text = text.lstrip(
                    "\ufeff"
                )  # where the encoding leaves the mark, as utf-16-le does
            for end in ("\n", "\r"):
                if text.endswith(end):
                    text = text[:-1]
            yield number, text


def _known(given: str) -> str:
    try:
        found = codecs.lookup(given)
    except (LookupError, ValueError):
        found = None
    # A codec such as base64 is not one of text.
    if found is None or not getattr(found, "_is_text_encoding", True):
        raise UsageError(
            f"--encoding {given}: Python knows no such encoding; expected utf-8, utf-16, gb18030,"
            " big5, shift_jis, euc-kr, latin-1 or another of its names"
        )
    if found.name == "utf-8":
        return UTF8
    return found.name


def _trouble(path: Path, encoding: str) -> str:
    """Return why a file is not of an encoding; "" where it is."""
    if encoding == UTF8 and _half_zeros(path):
        return "every second byte is 0, as in UTF-16 without its mark"
    decoder = codecs.getincrementaldecoder(encoding)()
    number = 1
    with open(path, "rb") as file:
        while True:
            line = file.readline(_BLOCK)
            try:
                decoder.decode(line, final=not line)
            except UnicodeError:
                return f"line {number} is {line[:80]!r}"
            if not line:
                return ""
            number += line.endswith(b"\n")


def _half_zeros(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(200)
    return 3 * head.count(0) > len(head) and not head.startswith((b"\xff\xfe", b"\xfe\xff"))


def _remedy(path: Path, tried: str) -> str:
    if tried != UTF8 and not _trouble(path, UTF8):
        return "It is UTF-8: leave out --encoding."
    fitting: List[str] = []
    for name in _candidates(path):
        if name != tried and not _trouble(path, name):
            fitting.append(name)
    if not fitting:
        return "Name the file's encoding: --encoding NAME, such as utf-16, gb18030 or latin-1."
    choices = " or ".join(f"--encoding {name}" for name in fitting)
    return f"One line is enough to make the whole file something else. Name it: {choices}."


def _candidates(path: Path) -> Tuple[str, ...]:
    with open(path, "rb") as file:
        head = file.read(200)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return ("utf-32",)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ("utf-16",)
    if _half_zeros(path):
        if head[:1] == b"\0":
            return ("utf-16-be",)
        return ("utf-16-le",)
    return ("gb18030",)
