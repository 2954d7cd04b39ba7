"""What each of CANN's return and error codes means, its usual cause, and what to do next.

The table itself is `codes.txt`, beside this file: names and meanings are facts of the public
headers, sources and documentation of CANN 5 to 9; causes and remedies are the kit's own words.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Dict, Iterator, Mapping, Optional, Tuple, Union

from crnn import cann

NO_MEANING = "no documented meaning"

TABLE = Path(__file__).with_name("codes.txt")
"""The table; its first lines say how it is written."""


@dataclass(frozen=True)
class Code:
    """A code that CANN gives out:

    its documented name (empty if it has none), meaning, usual cause, what to do.
    """

    code: str
    name: str
    meaning: str
    cause: str
    remedy: str
    own: bool = True
    """Whether cause and remedy are this code's own; else they are those of its part of CANN."""


_WHY, _DO = "why: ", "do: "
_WORD = re.compile(r"\{(\w+)\}")


@lru_cache(maxsize=None)
def table() -> Mapping[str, Code]:
    """Read the table, once in a process: most runs meet no code at all.

    Returns:
        Every code that is known, by its text ("507011", "E10016").
    """
    found = {}
    words: Dict[str, str] = {}
    usual: Tuple[str, str] = ("", "")
    for head, lines in _blocks(TABLE.read_text(encoding="utf-8")):
        meaning, cause, remedy = _parts(lines)
        if head.startswith("@"):
            word, _, sentence = head[1:].partition(" ")
            words[word] = sentence
        elif head.startswith("="):
            usual = (cause, remedy)
        else:
            text, _, name = head.partition(" ")
            own = bool(cause and remedy)
            cause = _filled(cause or usual[0], words)
            remedy = _filled(remedy or usual[1], words)
            found[text] = Code(text, name, _filled(meaning, words), cause, remedy, own)
    return found


def _blocks(table: str) -> Iterator[Tuple[str, Tuple[str, ...]]]:
    """Yield each line that is not indented, with the indented ones below it."""
    head, lines = "", []
    for line in table.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith(" "):
            lines.append(line.strip())
            continue
        if head:
            yield head, tuple(lines)
        head, lines = line, []
    yield head, tuple(lines)


def _parts(lines: Tuple[str, ...]) -> Tuple[str, str, str]:
    meaning = cause = remedy = ""
    for line in lines:
        if line.startswith(_WHY):
            cause = line[len(_WHY) :]
        elif line.startswith(_DO):
            remedy = line[len(_DO) :]
        else:
            meaning = line
    return meaning, cause, remedy


def _filled(sentence: str, words: Mapping[str, str]) -> str:
    """Put in what {words} stand for: sentences of the table, or constants of crnn.cann."""

    def put(match: re.Match[str]) -> str:
        word = match.group(1)
        if word in words:
            return _filled(words[word], words)
        return str(getattr(cann, word))

    return _WORD.sub(put, sentence)


FAMILIES: Tuple[Tuple[str, str], ...] = (
    ("E1", "GE and ATC"),
    ("E2", "FE, the fusion engine"),
    ("E3", "the AI CPU and the services on the device"),
    ("E4", "TBE, the operator compiler"),
    ("E5", "an operator's own check"),
    ("E6", "an operator's own check"),
    ("E7", "an operator's own check"),
    ("E8", "an operator's own check"),
    ("E9", "the compiler of operators"),
    ("EA", "the compiler of operators"),
    ("EB", "the compiler of operators"),
    ("EC", "TBE, the operator compiler"),
    ("EE", "the runtime"),
    ("EF", "MDAT, which spreads graphs over devices"),
    ("EH", "ACL"),
    ("EI", "HCCL, the exchange between devices"),
    ("EJ", "HCCP, the network of devices"),
    ("EK", "the profiler"),
    ("EL", "the driver"),
    ("EM", "the service that moves queues"),
    ("EN", "DVPP, the image unit"),
    ("EO", "AMCT, the quantising tool"),
    ("EP", "the dumping of tensors"),
    ("EZ", "CANN itself"),
)
"""Who speaks in a letter code, by its beginning; warnings have W for E."""

RANGES: Mapping[str, str] = {
    "1": "a mistake of the caller",
    "2": "a resource or the environment lacks something",
    "3": "a business fault",
    "5": "an internal fault",
}
"""What a six-digit code's first digit says."""
LAYERS: Mapping[str, str] = {"00": "ACL", "48": "ACL", "07": "the runtime", "45": "GE"}
"""Which part speaks, by the second and third digit."""

_HEXADECIMAL = re.compile(r"0X[0-9A-F]{1,8}")
_TEXT_FORM = re.compile(r"[EW][0-9A-Z]\d{4}")
_PART = 3
"""The first characters tell which part of CANN a code is of, and what kind of trouble it is."""
_ALIKE = 0.8
"""The least share of letters that names, or numbers of another length, have in common."""
_INNER = ("9999", "8888")
_GE_INNER = range(0x50100000, 0x50120000)
"""GE's own codes, as its log has them: GE_ERRNO of ge_error_codes, system number 8."""


def _split(text: str) -> Tuple[str, int]:
    match = re.fullmatch(r"([A-Z]*)(\d{1,9})", text)
    if match:
        return (match.group(1), int(match.group(2)))
    return (text, -1)


@lru_cache(maxsize=None)
def _by_name() -> Mapping[str, Code]:
    return {entry.name: entry for entry in table().values() if entry.name}


def code(value: Union[int, str]) -> Optional[Code]:
    """Look a code of CANN up.

    Args:
        value: A number, its digits (decimal, or hexadecimal after 0x), or a name: 507011,
            "507011", "0x7BC83", "E10016".

    Returns:
        The entry, None where it is not documented.
    """
    text = _normal(value)
    return table().get(text) or _by_name().get(text)


def reading(value: Union[int, str]) -> Optional[str]:
    """Say what the ranges and letters tell of a code, documented or not.

    Args:
        value: A number, its digits, or a name.

    Returns:
        A sentence, None where they tell nothing.
    """
    text = _normal(value)
    if text.isdigit():
        return _number_reading(text)
    kind = "a message of "
    if text.endswith(_INNER):
        kind = "an inner error of "
    if text.startswith("W"):
        kind = "a warning of "
        text = f"E{text[1:]}"
    for beginning, who in FAMILIES:
        if text.startswith(beginning):
            return f"{kind}{who}"
    return None


def _number_reading(text: str) -> Optional[str]:
    if int(text) in _GE_INNER:
        return "an inner code of GE, which stands beside an ACL code or an E1… message in the log"
    if len(text) != 6:
        return None
    parts = []
    if text[0] in RANGES:
        parts.append(RANGES[text[0]])
    if text[1:3] in LAYERS:
        parts.append(f"reported by {LAYERS[text[1:3]]}")
    return ", ".join(parts) or None


def is_of_a_form(value: Union[int, str]) -> bool:
    """Say whether CANN gives out codes that look like this one, documented or not.

    Args:
        value: A number, its digits, or a name.

    Returns:
        True for six digits, a letter code such as EZ3003 or W11001, and GE's inner codes.
    """
    text = _normal(value)
    if text.isdigit():
        return len(text) == 6 or int(text) in _GE_INNER
    return _TEXT_FORM.fullmatch(text) is not None or text.startswith("ACL_ERROR_")


def nearest(value: Union[int, str], count: int = 3) -> Tuple[Code, ...]:
    """Return the documented codes next to one that is not documented, if they can be meant.

    Args:
        value: A number, its digits, or a name.
        count: How many are wanted.

    Returns:
        The codes next to it: by number among those of its part of CANN, else by spelling.
    """
    text = _normal(value)
    letters, number = _split(text)
    if number >= 0 and is_of_a_form(text):
        apart = []
        for entry in table():
            kind, other = _split(entry)
            if kind == letters and entry[:_PART] == text[:_PART]:
                apart.append((abs(other - number), entry))
        return tuple(table()[entry] for _, entry in sorted(apart)[:count])
    names = difflib.get_close_matches(text, [*table(), *_by_name()], n=count, cutoff=_ALIKE)
    return tuple(table().get(name) or _by_name()[name] for name in names)


def _normal(value: Union[int, str]) -> str:
    text = str(value).strip(" \t\r\n[]().,:;").upper()
    if _HEXADECIMAL.fullmatch(text):
        return str(int(text, 16))
    return text
