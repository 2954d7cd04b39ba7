"""A table as Markdown, for a page or a pull request."""

from __future__ import annotations

import re
from typing import Iterator, Sequence

from crnn.errors import shown

_MARKS = re.compile(r"([\\`*_|\[\]])")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table.

    Args:
        head: The columns' names.
        rows: Cells as plain text; whatever Markdown or HTML would take for its own is escaped.

    Yields:
        A line each.
    """
    yield _line([escaped(cell) for cell in head])
    yield _line(["---"] * len(head))
    for row in rows:
        yield _line([escaped(cell) for cell in row])


def escaped(text: str) -> str:
    r"""Return a text that Markdown shows as it is.

    >>> escaped("a_b|<i>")
    'a\\_b\\|&lt;i&gt;'

    Args:
        text: Any text.

    Returns:
        One line.
    """
    plain = shown(text).replace("\t", " ")
    marked = _MARKS.sub(r"\\\1", plain)
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
