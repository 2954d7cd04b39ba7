"""Where a command speaks: results on stdout, everything else on stderr, in lines that fit.

The only place that prints. Tables have cells that wrap, or become lists where that is not enough.
Only blanks are places to break at, so that paths, hashes and single words stay whole; those within
a command are none, so that it can be copied.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
import time
import unicodedata
from typing import IO, Any, Callable, Iterator, List, Mapping, Optional, Sequence

from crnn.errors import KitError, json_shown, shown

COLUMNS = 80
"""How wide a line is where nothing says it."""
GAP = "  "
"""Stands between two columns."""
Advance = Callable[[int], None]


# What stands for the kit's own signs where stdout's encoding lacks them.
_PLAIN_SIGNS = str.maketrans({"✓": "v", "✗": "x", "…": "...", "→": "->"})


def out(text: str = "") -> None:
    """Print a line of the result."""
    _out(shown(text))


def out_text(text: str) -> None:
    """Print a text of several lines."""
    for line in text.split("\n"):
        out(line)


def _out(text: str) -> None:
    print(text if _encodable(text) else text.translate(_PLAIN_SIGNS))  # noqa: T201


def note(text: str) -> None:
    """Print a sentence that is not the result, broken at blanks where it is wider than a line; that
    it cannot be shown keeps nothing from being done.
    """
    sentence = shown(str(text))
    indent = " " * (len(sentence) - len(sentence.lstrip(" "))) or "  "
    for line in wrapped(sentence, width(sys.stderr), indent=indent):
        _note(line)


def note_text(text: str) -> None:
    """Print a text of several lines that is not the result, as it is."""
    for line in text.split("\n"):
        relay(line)


def relay(line: str) -> None:
    """Print another program's line beside the result, as long as it is."""
    _note(shown(line))


def _note(line: str) -> None:
    try:
        print(line, file=sys.stderr)  # noqa: T201
    except OSError:
        # What could not be written is still to be: the interpreter's end would fail of it.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def error(problem: KitError) -> None:
    """Print a user's error and its hint."""
    first, *lines = problem.parts
    note(f"crnn: error: {first}")
    for line in lines:
        note(line)
    if problem.hint:
        note(f"  {problem.hint}")


def out_json_lines(values: Sequence[Any]) -> None:
    """Print JSON Lines, an object each, and write them out."""
    from crnn.files import json_text

    ascii_only = _encoding() != "utf-8"
    lines = [json_shown(json_text(value, ascii_only=ascii_only)) + "\n" for value in values]
    sys.stdout.write("".join(lines))
    sys.stdout.flush()


def out_json(value: Any) -> None:
    """Print a value as JSON, keys sorted; in ASCII where stdout is not UTF-8, as JSON has to be.

    What could steer a terminal is an escape, as in all that is printed: the same value.
    """
    from crnn.files import json_text

    text = json_text(value, indent=1, ascii_only=_encoding() != "utf-8")
    _out("\n".join(map(json_shown, text.split("\n"))))


def width(stream: Optional[IO[str]] = None) -> int:
    """Return the columns of a line: the terminal's, else those of COLUMNS, else 80.

    Args:
        stream: where the line goes; None for stdout.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.get_terminal_size((stream or sys.stdout).fileno()).columns
    with contextlib.suppress(ValueError):
        return int(os.environ.get("COLUMNS", "")) or COLUMNS
    return COLUMNS


def say(text: str) -> None:
    """Print a sentence of the result, broken at blanks where it is wider than a line."""
    for line in wrapped(shown(text), width(), indent="  "):
        out(line)


def out_fields(fields: Mapping[str, Any], indent: int = 0) -> None:
    """Print names and values, a line each (numbers on one), what is nested indented below its
    name.
    """
    side = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        if isinstance(value, Mapping):
            out(f"{' ' * indent}{name}")
            out_fields(value, indent + 2)
            continue
        for text in _values(value):
            for line in entry(shown(name), shown(text), side, width(), indent):
                out(line)


def _values(value: Any) -> List[str]:
    """Return a field's value as a line for each item; numbers share one."""
    if not isinstance(value, (list, tuple)):
        return [str(value)]
    if not value:
        return ["none"]
    if all(isinstance(item, (int, float)) for item in value):
        return [", ".join(map(str, value))]
    return [str(item) for item in value]


def out_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: aligned columns, no wider than a line."""
    shown_rows = [[shown(cell) for cell in row] for row in rows]
    for line in table([shown(cell) for cell in head], shown_rows, width()):
        out(line)


def out_remedies(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose last column, where it would be too wide, stands below its row."""
    rows = [[shown(cell) for cell in row] for row in rows]
    natural = [max(columns_of(row[column]) for row in [head, *rows]) for column in range(4)]
    if sum(natural) + 3 * len(GAP) <= width():
        out_table(head, rows)
        return
    side = max(len(row[1]) for row in rows)
    for mark, name, found, remedy in rows:
        start = f"{mark}  {name.ljust(side)}  "
        for line in wrapped(found, width(), start, " " * len(start)):
            out(line.rstrip())
        if remedy:
            for line in wrapped(remedy, width(), "   → ", "     "):
                out(line)


def flush() -> None:
    """Write out what is buffered, so that a closed pipe is noticed here."""
    sys.stdout.flush()


def close_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not complain of a closed
    pipe.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def prepare_streams() -> None:
    """Open stdin, stdout and stderr where the caller has closed them, and let stdout take any
    character.

    A file that is opened later would otherwise get a standard stream's number, and with it the
    messages of libraries.
    """
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            break
        os.set_inheritable(descriptor, True)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A label may have characters that a terminal's encoding has not.
        sys.stdout.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def progress(label: str, total: Optional[int]) -> Iterator[Advance]:
    """Show a progress bar on stderr while the block runs, where stderr is a terminal; rich draws it
    if installed.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda count: None
        return
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )
    except ImportError:
        yield from _plain_progress(label, total)
        return
    columns: List[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


def _encoding() -> str:
    # A StringIO in stdout's place has none.
    return codecs.lookup(sys.stdout.encoding or "utf-8").name


def _encodable(text: str) -> bool:
    try:
        text.encode(_encoding())
    except UnicodeEncodeError:
        return False
    return True


def _plain_progress(label: str, total: Optional[int]) -> Iterator[Advance]:
    done = 0
    shown = time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, shown
        done += count
        if time.monotonic() - shown > 0.2:
            shown = time.monotonic()
            print(f"\r{label} {done}/{total or '?'}", end="", file=sys.stderr, flush=True)  # noqa: T201

    yield advance
    print("\r\033[K", end="", file=sys.stderr)  # noqa: T201


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
