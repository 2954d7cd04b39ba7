"""Lines that were broken at a width, put together again."""

from __future__ import annotations

from crnn.cli.console import columns_of, pieces

WIDTH = 80


def joined(text: str) -> str:
    """Return a text with what goes on in the next line, since it was too wide, in one.

    Args:
        text: What a command printed off a terminal.

    Returns:
        The text; a line that merely is indented stays.
    """
    lines = [""]
    above = 0
    for line in text.split("\n"):
        words = pieces(line.lstrip(" "))
        if line.startswith("  ") and words and above + 1 + columns_of(words[0]) > WIDTH:
            lines[-1] += " " + line.lstrip(" ")
        else:
            lines.append(line)
        above = columns_of(line)
    return "\n".join(lines[1:])
