"""The words that may be read: as a file has them, and as a model spells them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, List, Optional, Sequence, Tuple

import numpy as np

from crnn.decoding.trie import Trie, build_trie
from crnn.errors import InputError
from crnn.filekind import refuse_lfs_pointer, require_file
from crnn.files import utf8_lines
from crnn.labels import Alphabet
from crnn.limits import advice, limit
from crnn.spec import ModelSpec

NAMED = 3
"""The most words outside the alphabet that are remembered."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Speller:
    """Turns texts into CTC classes, many at a time.

    Args:
        alphabet: The model's characters.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        codes = np.frombuffer(alphabet.table.encode("utf-32-le"), dtype="<u4").astype(np.int64)
        numbers = np.arange(len(codes))
        real = numbers != alphabet.blank
        # The last entry is for every code point above all of the alphabet's.
        self._classes = np.full(int(codes.max()) + 2, -1, dtype=np.int32)
        self._classes[codes[real]] = numbers[real]

    def spell(self, texts: Sequence[str]) -> Tuple[np.ndarray, np.ndarray]:
        """Spell some texts.

        Args:
            texts: W of them, folded as labels are.

        Returns:
            The classes of all characters, one text after another, int32 (C,), -1 for a character
            outside the alphabet; and the length of each text, int64 (W,).
        """
        joined = "".join(texts).encode("utf-32-le", errors="surrogatepass")
        codes = np.frombuffer(joined, dtype="<u4")
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        return self._classes[np.minimum(codes, len(self._classes) - 1)], lengths


@dataclass(frozen=True)
class Lexicon:
    """Distinct words in ascending order, as the model spells them."""

    texts: Tuple[str, ...]
    """The W words."""
    classes: np.ndarray
    """The classes of all words' characters, one word after another, int32 (C,)."""
    lengths: np.ndarray
    """How many of them are each word's, int64 (W,)."""
    trie: Trie
    """The words as one group."""
    outside: int
    """How many words were left out for characters outside the alphabet."""
    named: Tuple[str, ...]
    """The first of them."""
    too_long: int
    """How many were left out that need more time steps than the model has."""


def lexicon_of(words: Iterable[str], spec: ModelSpec, where: str) -> Lexicon:
    """Make a lexicon of words.

    Args:
        words: In any order and case, some of them perhaps several times.
        spec: The model's.
        where: Their source, for errors.

    Returns:
        Those that the model can read.

    Raises:
        InputError: There are none, or more than the limit (`crnn.limits`).
    """
    distinct = _distinct(words, spec, where)
    classes, lengths = Speller(spec.alphabet).spell(distinct)
    word = np.repeat(np.arange(len(lengths)), lengths)
    outside = np.zeros(len(lengths), dtype=bool)
    outside[word[classes < 0]] = True
    repeated = (classes[1:] == classes[:-1]) & (word[1:] == word[:-1])
    needed = lengths + np.bincount(word[1:][repeated], minlength=len(lengths))
    # A wider picture has more steps; how many, only a run of the model can tell.
    too_long = np.zeros(len(lengths), dtype=bool)
    if spec.widths is None:
        too_long = (needed > spec.time_steps) & ~outside
    fits = ~(outside | too_long)
    kept = tuple(distinct[number] for number in np.flatnonzero(fits).tolist())
    named = tuple(distinct[number] for number in np.flatnonzero(outside)[:NAMED].tolist())
    if not kept:
        raise InputError(
            f"{where}: the model can read none of its words ({len(distinct)}):"
            f" {int(outside.sum())} have characters outside its alphabet"
            f" {shortened(spec.characters)}{_such_as(named)}; {int(too_long.sum())} need more than"
            f" {spec.time_steps} time steps"
        )
    classes, lengths = classes[fits[word]], lengths[fits]
    trie = build_trie(classes, lengths, np.zeros(len(kept), dtype=np.int64), 1)
    return Lexicon(kept, classes, lengths, trie, int(outside.sum()), named, int(too_long.sum()))


def _distinct(words: Iterable[str], spec: ModelSpec, where: str) -> List[str]:
    found = {spec.fold(word.strip()) for word in words}
    found.discard("")
    if not found:
        raise InputError(f"{where} holds no word; expected one a line")
    if len(found) > limit("lexicon"):
        raise InputError(
            f"{where} holds more than {limit('lexicon')} words", hint=advice("lexicon")
        )
    return sorted(found)


def read_words(path: Path) -> List[str]:
    """Read a list of words, one a line.

    Args:
        path: A text file in UTF-8, with or without a byte order mark; empty lines are left out.

    Returns:
        The words in the file's order, without white space around them.

    Raises:
        InputError: It is not such a file, or it has more words than the limit (`crnn.limits`).
    """
    require_file(path, "a lexicon, a word a line", stream=True)
    refuse_lfs_pointer(path)
    most = limit("lexicon")
    words: List[str] = []
    for number, text, raw in utf8_lines(path):
        if number == 1 and raw.startswith(_UTF16):
            raise InputError(
                f"{path} is UTF-16; expected UTF-8",
                hint=f"Convert it: iconv -f UTF-16 -t UTF-8 {path.name} > utf8_{path.name}",
            )
        if b"\0" in raw:
            raise InputError(
                f"{path} is not a text: its line {number} holds a byte 0; expected a word a line"
            )
        if text is None:
            raise InputError(
                f"{path}, line {number}: {raw[:40]!r} is not UTF-8, though all before it is;"
                " expected one encoding for the whole file",
                hint="Convert it, or that line: iconv -f ENCODING -t UTF-8.",
            )
        word = text.strip()
        if word:
            words.append(word)
        if len(words) > most:
            raise InputError(f"{path} holds more than {most} words", hint=advice("lexicon"))
    return words


def shortened(text: str) -> str:
    """Return a text as it may stand in a message.

    Args:
        text: Such as an alphabet.

    Returns:
        It, or its first 60 characters with an ellipsis.
    """
    if len(text) <= 60:
        return text
    return text[:60] + "…"


def _such_as(named: Sequence[str]) -> str:
    if not named:
        return ""
    return " (such as " + ", ".join(repr(shortened(word)) for word in named) + ")"


def left_out(lexicon: Lexicon, where: str, time_steps: Optional[int]) -> List[str]:
    """Say which words of a lexicon can never be read.

    Args:
        lexicon: It.
        where: Its source.
        time_steps: The model's.

    Returns:
        A line for each reason.
    """
    lines: List[str] = []
    if lexicon.outside:
        lines.append(
            f"{where}: {lexicon.outside} words with characters outside the alphabet are left"
            f" out{_such_as(lexicon.named)}"
        )
    if lexicon.too_long:
        lines.append(
            f"{where}: {lexicon.too_long} words that need more than {time_steps} time steps are"
            " left out"
        )
    return lines
