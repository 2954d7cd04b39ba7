"""Files of an alphabet's characters, as they circulate: text, lists, Python's and ord_map.json."""

from __future__ import annotations

import ast
import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple

from crnn.errors import InputError
from crnn.filekind import refuse_lfs_pointer, require_file
from crnn.files import read_bounded, read_text

BLANKS = ("blank", "<blank>", "[blank]", "blk", "<blk>", "[blk]", "<ctc>", "[ctc]")
"""Words that stand for CTC's blank at the head of a list, in any case."""
_ENCODINGS = (("utf-8-sig", ""), ("gb18030", "GB18030"))
_PYTHON = re.compile(r"\A\s*[\[(]\s*[\"']|^\w+[^=\n]*=\s*[rRuU]?[\"'\[(]", re.MULTILINE)
"""A list of texts, or a name that is given one or a text."""
_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class AlphabetFile:
    """What a file gave: the characters in class order, and what was done to it, for people."""

    characters: str
    notes: Tuple[str, ...]


def alphabet_of(text: str) -> AlphabetFile:
    """Return the alphabet that an option or a recipe's key names.

    Args:
        text: The characters themselves, or ``@FILE``.

    Returns:
        The characters in the order of their classes.

    Raises:
        InputError: The file cannot be read, or a file was named without ``@``.
    """
    if text.startswith("@") and len(text) > 1:
        return read_alphabet_file(Path(text[1:]))
    if _names_file(text):
        raise InputError(
            f"the alphabet is {text!r}, and there is a file of that name; did you mean @{text}?",
            hint=f"For the file's characters write @{text}.",
        )
    return AlphabetFile(text, ())


def _names_file(text: str) -> bool:
    """Say whether a file was meant: there is one, and as an alphabet the text would be odd."""
    try:
        there = Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False
    return there and ("." in text or "/" in text or len(set(text)) < len(text))


def read_alphabet_file(path: Path) -> AlphabetFile:
    """Read an alphabet: one line or several of characters, one character a line, or a list of
    Python's or JSON's.

    A head of the list that says "blank" stands for the blank, which has no character. UTF-8 with
    or without byte order mark, UTF-16 with one, or GB18030 (GBK, GB2312) where it is not UTF-8.

    Args:
        path: The file.

    Returns:
        The characters, the blank not among them.

    Raises:
        InputError: The file cannot be read, or one of its entries has more than one character.
    """
    require_file(path, "a text file of the alphabet's characters")
    refuse_lfs_pointer(path)
    text, encoding = _decoded(path)
    notes: List[str] = []
    if encoding:
        notes.append(f"{path} is not UTF-8: read as {encoding}")
    entries = _python_entries(path, text)
    what = "entry"
    if entries is None:
        what = "line"
        entries = _lines(text)
    if entries and len(entries) > 1 and entries[0].strip().lower() in BLANKS:
        notes.append(f"{path}: its first {what}, {entries[0].strip()!r}, taken for the blank")
        # An empty entry keeps the count of the lines that messages name.
        entries = ["", *entries[1:]]
    _require_single(path, entries, what)
    return AlphabetFile("".join(entries), tuple(notes))


def _decoded(path: Path) -> Tuple[str, str]:
    data = read_bounded(path)
    if data.startswith(_BOMS):
        encodings: Sequence[Tuple[str, str]] = (("utf-16", "UTF-16"),)
    else:
        encodings = _ENCODINGS
    for encoding, named in encodings:
        try:
            return data.decode(encoding), named
        except UnicodeDecodeError:
            continue
    raise InputError(
        f"{path} is neither UTF-8 nor GB18030; expected the alphabet's characters",
        hint="Write it as UTF-8, such as with: iconv -f ENCODING -t UTF-8 FILE > NEW",
    )


def _lines(text: str) -> List[str]:
    # Only these end a line: an alphabet may hold what else Unicode counts as one.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _require_single(path: Path, entries: Sequence[str], what: str) -> None:
    """Refuse a list of which an entry has several characters; several lines of several characters
    are no list.
    """
    longer = [number for number, entry in enumerate(entries, 1) if len(entry) > 1]
    single = [entry for entry in entries if len(entry) == 1]
    if not longer or (what == "line" and len(single) <= len(longer)):
        return
    number = longer[0]
    entry = entries[number - 1]
    more = ""
    if len(longer) > 1:
        more = f", and so have {len(longer) - 1} more"
    raise InputError(
        f"{path}: {what} {number}, {entry[:20]!r}, has {len(entry)} characters{more}; expected one,"
        f" as the other {len(single)}",
        hint=(
            "Each class reads one character. The blank has none: leave its line out (a first line"
            " 'blank' may stay)."
        ),
    )


def _python_entries(path: Path, text: str) -> Optional[List[str]]:
    """Return the entries of a list or of the one alphabet in Python's source; None for a text."""
    if not _PYTHON.search(text):
        return None
    try:
        with warnings.catch_warnings():
            # Of backslashes in strings.
            warnings.simplefilter("ignore")
            module = ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found: List[Tuple[str, List[str]]] = []
    for statement in module.body:
        if isinstance(statement, ast.Expr) and len(module.body) == 1:
            entries = _list_of(statement.value)
            if entries is not None:
                return entries
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            entries = _value_of(statement.value)
            if entries:
                found.append((_target(statement), entries))
    if len(found) > 1:
        raise InputError(
            f"{path} holds {len(found)} lists of characters: {', '.join(name for name, _ in found)}"
            "; expected one",
            hint="Write the characters of the one that is meant into a text file.",
        )
    if found:
        return found[0][1]
    return None


def _target(statement: Any) -> str:
    if isinstance(statement, ast.AnnAssign):
        target: Any = statement.target
    else:
        target = statement.targets[0]
    return str(getattr(target, "id", "?"))


def _value_of(node: Any) -> Optional[List[str]]:
    value = _literal(node)
    if isinstance(value, str):
        return list(value.replace("\r", "").replace("\n", ""))
    return _texts(value)


def _list_of(node: Any) -> Optional[List[str]]:
    return _texts(_literal(node))


def _literal(node: Any) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _texts(value: Any) -> Optional[List[str]]:
    if not isinstance(value, (list, tuple)) or len(value) < 2:
        return None
    if not all(isinstance(entry, str) for entry in value):
        return None
    return list(value)


def read_ord_map(path: Path) -> str:
    """Return the characters of an ``ord_map.json`` in the order of their classes.

    It maps "0_index", "1_index", … to code points and "<code point>_ord" back to classes, all as
    text.

    Args:
        path: The ``ord_map.json``.

    Returns:
        The characters; the blank is not among them.

    Raises:
        InputError: The file is not such a map.
    """
    require_file(path, "an ord_map.json")
    refuse_lfs_pointer(path)
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:  # its own text holds the whole file
        raise InputError(
            f'{path} is not an ord_map.json ("0_index": "122", "122_ord": "0", …): it is not text'
        ) from error
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("no object")
        classes = {
            int(key[: -len("_index")]): int(value)
            for key, value in data.items()
            if key.endswith("_index")
        }
        back = {
            int(key[: -len("_ord")]): int(value)
            for key, value in data.items()
            if key.endswith("_ord")
        }
        characters = "".join(chr(classes[index]) for index in range(len(classes)))
    except (ValueError, KeyError, OverflowError, RecursionError, TypeError) as error:
        raise InputError(
            f'{path} is not an ord_map.json ("0_index": "122", "122_ord": "0", …): {error!r}'
        ) from error
    if not characters:
        raise InputError(f'{path} holds no class; expected entries like "0_index": "122"')
    wrong = [index for index, code in classes.items() if back.get(code, index) != index]
    if wrong:
        raise InputError(
            f"{path} contradicts itself: class {wrong[0]} is {characters[wrong[0]]!r} one way only"
        )
    return characters
