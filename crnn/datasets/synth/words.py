"""What is written: words of a list, numbers, strings at random, in the cases that signs are in."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from crnn.alphabet import Alphabet
from crnn.datasets.options import read_lines
from crnn.datasets.synth.limits import MAX_STEPS
from crnn.datasets.synth.table import Effect, Table
from crnn.errors import InputError, UnavailableError
from crnn.labels import steps

SYSTEM_LISTS = (
    "/usr/share/dict/words",
    "/usr/share/dict/american-english",
    "/usr/share/dict/british-english",
)
_PUNCTUATION = ".,!?:;-'\"…*"
_DIGITS = "0123456789"


@dataclass(frozen=True)
class Words:
    """A list's words by their length, and the characters that strings at random are made of."""

    by_length: Mapping[int, Sequence[str]]
    characters: str

    def draw(self, rng: random.Random, table: Table) -> Tuple[str, str]:
        """Draw a label, and the text that shows it, which may end in a mark that the label has
        not.
        """
        label = self._label(rng, table)
        shown = label
        if table["punctuation"].happens(rng):
            shown += rng.choice(_PUNCTUATION)
        return label, shown

    def _label(self, rng: random.Random, table: Table) -> str:
        digits = [character for character in self.characters if character in _DIGITS]
        if digits and table["digits"].happens(rng):
            return _string(digits, table["digits"], rng)
        if table["random"].happens(rng):
            return _string(self.characters, table["random"], rng)
        return self._case(rng, self._word(rng, table), table)

    def _word(self, rng: random.Random, table: Table) -> str:
        line = table["length"].ranges
        wanted = max(1, round(rng.gauss(line["mean"][0], line["spread"][0])))
        nearest = min(self.by_length, key=lambda length: (abs(length - wanted), length))
        return rng.choice(self.by_length[nearest])

    def _case(self, rng: random.Random, word: str, table: Table) -> str:
        if table["upper"].happens(rng):
            changed = word.upper()
        elif table["capital"].happens(rng):
            changed = word[:1].upper() + word[1:].lower()
        else:
            return word
        # Some letters have no capital of one letter, or none in the alphabet.
        if len(changed) == len(word) and set(changed) <= set(self.characters):
            return changed
        return word


def _string(characters: Sequence[str], line: Effect, rng: random.Random) -> str:
    """Draw characters, as many as the line says, or as many of them as fit."""
    label = "".join(rng.choice(characters) for _ in range(line.draw_whole(rng, "length")))
    while steps(label) > MAX_STEPS:
        label = label[:-1]
    return label


def load_words(path: Optional[Path], characters: str) -> Words:
    """Read a list with a word a line, or the system's; only words of these characters that fit 26
    steps are used.

    Raises `InputError` for a file without such words, `UnavailableError` where the system has no
    list.
    """
    file = path or next((Path(name) for name in SYSTEM_LISTS if Path(name).is_file()), None)
    if file is None:
        raise UnavailableError(
            f"there is no word list at {SYSTEM_LISTS[0]}",
            hint=(
                "Install one (Debian: apt install wamerican), or give --words FILE, one word a"
                " line."
            ),
        )
    lines = read_lines(file, "a list of words, one a line")
    known = set(characters)
    by_length: Dict[int, List[str]] = {}
    for word in sorted({line.strip() for line in lines}):
        if word and set(word) <= known and steps(word) <= MAX_STEPS:
            by_length.setdefault(len(word), []).append(word)
    if not by_length:
        raise InputError(
            f"{file} holds no word of the characters {characters!r} that fits {MAX_STEPS} steps"
        )
    return Words(by_length, characters)


def characters_of(alphabet: str) -> str:
    """Return the characters to render for an alphabet: with the capitals, where it folds case."""
    found = Alphabet(alphabet)
    return alphabet + "".join(
        upper
        for upper in (character.upper() for character in alphabet)
        if found.folds_case and len(upper) == 1 and upper not in alphabet
    )
