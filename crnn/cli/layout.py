"""Text that fits a width: tables whose cells wrap, or lists where that is not enough.

Only blanks are places to break at, so that paths, hashes and single words stay whole; those within
a command are none, so that it can be copied.
"""

from __future__ import annotations

import re
import unicodedata
from typing import List, Sequence

GAP = "  "
"""Stands between two columns."""


def columns_of(text: str) -> int:
    """Count the columns of a terminal that a text takes: a Chinese character takes two.

    Args:
        text: one line.

    Returns:
        The columns (Unicode Standard Annex 11; combining marks take none).
    """
    if text.isascii():
        return len(text)
    count = 0
    for character in text:
        if unicodedata.combining(character):
            continue
        count += 1
        if unicodedata.east_asian_width(character) in "WF":
            count += 1
    return count


_HEAD = re.compile(
    r"""[('"`]*(crnn|python3?|pip3?|torchrun|\./\w+\.sh|source|export|sudo|apt|aoe|atc|ls|ssh|npu-smi)"""
)
"""What a command begins with."""
_TAKES_A_WORD = re.compile(
    r"(crnn|pip3?|apt|sudo|npu-smi|install|dataset|dataset convert|import|spec"
    r"|-m crnn|-\w|--[\w-]*|\|)"
)
"""What a command's next word belongs to, however it looks."""
_ARGUMENT = re.compile(r"""-.+|[^ ]*[-./=_$<>@|'"\[\]0-9][^ ]*|[A-Z…]+""")
_LONGEST = 300
"""Characters; what goes on so long is no command that anyone types."""
_END = re.compile(r"""[^ ]*([.,;:)…]|[.,;:]["'`])""")


def pieces(text: str) -> List[str]:
    """Cut a line where it may be broken.

    Args:
        text: one line.

    Returns:
        Words, and commands of several words, each with the blanks before it.
    """
    found: List[str] = []
    for word in re.findall(r" *[^ ]+", text):
        if found and _goes_on(found[-1].strip(" "), word.strip(" ")):
            found[-1] += word
        else:
            found.append(word)
    return found


def _goes_on(command: str, word: str) -> bool:
    """Say whether a command goes on with a word."""
    words = command.split(" ")
    if not _HEAD.fullmatch(words[0]) or len(command) > _LONGEST:
        return False
    if command.count("'") % 2:
        return True
    if len(words) > 1 and _END.fullmatch(words[-1]):
        return False
    before = words[-1].lstrip("('\"`")
    if _TAKES_A_WORD.fullmatch(before) or _TAKES_A_WORD.fullmatch(" ".join(words[-2:])):
        return True
    return _ARGUMENT.fullmatch(word.rstrip(".,;:)")) is not None


def wrapped(text: str, width: int, first: str = "", indent: str = "") -> List[str]:
    """Break a line at its blanks.

    Args:
        text: one line; blanks at its beginning stay.
        width: the columns that a line may take; a longer word has a line of its own.
        first: stands before the first line, and stays as it is.
        indent: stands before each other line.

    Returns:
        One line at least.
    """
    if columns_of(first + text) <= width:
        return [first + text]
    lines: List[str] = []
    line = first
    empty = True
    # A word comes with the blanks before it, which a new line drops.
    for word in pieces(text):
        if not empty and columns_of(line + word) > width:
            lines.append(line)
            line = indent
            word = word.lstrip(" ")
        line += word
        empty = False
    return [*lines, line]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> List[str]:
    """Lay out a table: aligned columns, cells that wrap where it would be too wide.

    Args:
        head: the columns' names.
        rows: the cells, as many in each row.
        width: the columns of the terminal.

    Returns:
        The lines; a list, an entry for each row, where even the longest words do not fit.
    """
    cells = [list(head), *(list(row) for row in rows)]
    sides = _sides(cells, width)
    if sum(sides) + len(GAP) * (len(sides) - 1) > width:
        return _listed(head, rows, width)
    lines = _row(cells[0], sides)
    lines.append(GAP.join("-" * side for side in sides))
    for row in cells[1:]:
        lines += _row(row, sides)
    return lines


def _sides(cells: Sequence[Sequence[str]], width: int) -> List[int]:
    """Return the columns' widths: the widest gives way, as far as its longest word."""
    sides = []
    least = []
    for column in zip(*cells):
        words = [columns_of(word.strip(" ")) for cell in column for word in pieces(cell)]
        least.append(max(words, default=0))
        sides.append(max(columns_of(cell) for cell in column))
    excess = sum(sides) + len(GAP) * (len(sides) - 1) - width
    while excess > 0:
        yielding = [place for place, side in enumerate(sides) if side > least[place]]
        if not yielding:
            break
        widest = max(yielding, key=lambda place: sides[place])
        sides[widest] -= 1
        excess -= 1
    return sides


def _row(row: Sequence[str], sides: Sequence[int]) -> List[str]:
    broken = [wrapped(cell, side) for cell, side in zip(row, sides)]
    lines = []
    for number in range(max(len(parts) for parts in broken)):
        line = []
        for parts, side in zip(broken, sides):
            part = ""
            if number < len(parts):
                part = parts[number]
            line.append(part + " " * (side - columns_of(part)))
        lines.append(GAP.join(line).rstrip())
    return lines


def _listed(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> List[str]:
    side = max(columns_of(name) for name in head)
    lines: List[str] = []
    for row in rows:
        if lines:
            lines.append("")
        for name, cell in zip(head, row):
            if cell:
                lines += entry(name, cell, side, width)
    return lines


def entry(name: str, value: str, side: int, width: int, indent: int = 0) -> List[str]:
    """Lay out a name and its value, which wraps below itself.

    Args:
        name: stands at the left.
        value: one line of text.
        side: the columns that names take.
        width: the columns of the terminal.
        indent: blanks before the name.

    Returns:
        The lines.
    """
    start = " " * indent + name + " " * (side - columns_of(name)) + GAP
    return wrapped(value, width, start, " " * columns_of(start))
