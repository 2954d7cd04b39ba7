"""Text that somebody else wrote, as a terminal or a log may show it."""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f"  # all controls but the tab: escape, C1, line breaks
    "\u2028\u2029"  # what Unicode calls line and paragraph separators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of what follows
    "\ud800-\udfff]"  # bytes of a name that is not UTF-8
)


def shown(text: str) -> str:
    r"""Return a text with everything as an escape that could steer a terminal or begin a line.

    Args:
        text: Any text: a label, a file's name, a key, a library's message.

    Returns:
        One line; what was in it is written as Python writes it, such as ``\x1b``.

    >>> shown("a\x1b[2Jb\nc\u202ed")
    'a\\x1b[2Jb\\nc\\u202ed'
    """
    return _UNSAFE.sub(_escape, text)


def brief(text: str, most: int = 80) -> str:
    """Return as much of a text as a message has room for.

    Args:
        text: Any text.
        most: The most characters that are kept.

    Returns:
        The text; its beginning and an ellipsis where it is longer.
    """
    if len(text) > most:
        return f"{text[:most]}…"
    return text


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
