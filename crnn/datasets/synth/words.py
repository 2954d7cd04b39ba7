"""What is written: words of a list, numbers, strings at random, in the cases that signs are in."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence

from crnn.datasets.options import read_lines
from crnn.datasets.synth import marks
from crnn.datasets.synth.limits import MAX_STEPS
from crnn.datasets.synth.table import Effect, Table
from crnn.decoding.automaton import compile_pattern
from crnn.decoding.pattern import drawn, parse_pattern
from crnn.errors import InputError, UnavailableError
from crnn.labels import Alphabet, steps

SYSTEM_LISTS = (
    "/usr/share/dict/words",
    "/usr/share/dict/american-english",
    "/usr/share/dict/british-english",
)
_TRIES = 1000
Case = Callable[[str], str]

_PUNCTUATION = ".,!?:;-'\"…*"
_DIGITS = "0123456789"


@dataclass(frozen=True)
class Text:
    """What is drawn, and what of it is to be read; the last ``raised`` characters stand raised and
    small.

    ``sign`` asks for a plain face.
    """

    label: str
    shown: str
    raised: int = 0
    sign: bool = False


@dataclass(frozen=True)
class Words:
    """A list's words by their length, and the characters that strings at random are made of.

    A word that the list has several times is drawn so many times as often.
    """

    by_length: Mapping[int, Sequence[str]]
    characters: str

    def draw(self, rng: random.Random, table: Table) -> Text:
        """Draw a text: a word, a number or a string, with or without marks.

        The label is the text's characters that belong to the alphabet; marks alone may be left out
        of it. A text with other letters or digits, without a label, or with one that does not fit,
        gives way to a plain word.
        """
        text = self._text(rng, table)
        label = ""
        for character in text.shown:
            if character in self.characters:
                label += character
            elif character.isalnum():
                label = ""
                break
        if not label or steps(label) > MAX_STEPS:
            plain = self._cased(self._word(rng, table), _case(rng, table))
            return Text(plain, plain)
        return Text(label, text.shown, text.raised, text.sign)

    def _text(self, rng: random.Random, table: Table) -> Text:
        if table["raised"].happens(rng):
            head, tail = (self._fill(form, rng, table) for form in marks.raised(rng))
            return Text("", head + tail, len(tail))
        if table["figures"].happens(rng):
            return Text("", self._fill(marks.figure(rng), rng, table))
        if table["signs"].happens(rng):
            return Text("", self._cased(self._word(rng, table), str.upper), sign=True)
        if table["marks"].happens(rng):
            return Text("", self._dressed(rng, table))
        shown = self._undressed(rng, table)
        if table["punctuation"].happens(rng):
            shown += rng.choice(_PUNCTUATION)
        return Text("", shown)

    def _undressed(self, rng: random.Random, table: Table) -> str:
        digits = [character for character in self.characters if character in _DIGITS]
        if digits and table["digits"].happens(rng):
            return _string(digits, table["digits"], rng)
        if table["random"].happens(rng):
            return _string(self.characters, table["random"], rng)
        return self._cased(self._word(rng, table), _case(rng, table))

    def _dressed(self, rng: random.Random, table: Table) -> str:
        """Draw words with marks; in capitals, what the form adds is in capitals too."""
        case = _case(rng, table)
        words = [self._cased(self._word(rng, table), case) for _ in range(2)]
        shown = marks.fill(marks.dress(rng), words, rng)
        if case is str.upper:
            return self._cased(shown, str.upper)
        return shown

    def _fill(self, form: str, rng: random.Random, table: Table) -> str:
        return marks.fill(form, [self._word(rng, table)], rng)

    def _word(self, rng: random.Random, table: Table) -> str:
        line = table["length"].ranges
        wanted = max(1, round(rng.gauss(line["mean"][0], line["spread"][0])))
        nearest = min(self.by_length, key=lambda length: (abs(length - wanted), length))
        return rng.choice(self.by_length[nearest])

    def _cased(self, text: str, case: Case) -> str:
        """Return the text in another case, unless a letter has none of one letter, or none in the
        alphabet.
        """
        changed = case(text)
        if len(changed) != len(text):
            return text
        for old, new in zip(text, changed):
            if new != old and new not in self.characters:
                return text
        return changed


@dataclass(frozen=True)
class PatternWords(Words):
    """Texts of a pattern (`crnn.decoding.pattern`), each both label and what is shown."""

    pattern: str = ""

    def draw(self, rng: random.Random, table: Table) -> Text:
        """Draw a text of the pattern that fits; the table's chances of words do not count."""
        part = parse_pattern(self.pattern)
        for _ in range(_TRIES):
            label = drawn(part, rng, self.characters)
            if label and steps(label) <= MAX_STEPS:
                return Text(label, label)
        raise InputError(
            f"the pattern {self.pattern!r} gives hardly a text that fits {MAX_STEPS} time steps"
        )


def load_pattern(pattern: str, characters: str) -> PatternWords:
    """Take a pattern in the place of a list of words.

    Args:
        pattern: As ``--pattern`` of crnn evaluate.
        characters: What may be drawn.

    Returns:
        What draws its texts.

    Raises:
        InputError: It is not supported, too large, or has no text of these characters that fits.
    """
    part = parse_pattern(pattern)
    automaton = compile_pattern(part, Alphabet(characters), folds_case=False)
    needed = int(automaton.graph.needed[0])
    if needed > MAX_STEPS:
        raise InputError(
            f"the pattern's shortest text has {needed} characters; at most {MAX_STEPS} fit"
        )
    words = PatternWords({}, characters, pattern)
    # What cannot be drawn is refused before anything is rendered.
    words.draw(random.Random(0), {})  # noqa: S311
    return words


def _case(rng: random.Random, table: Table) -> Case:
    if table["upper"].happens(rng):
        return str.upper
    if table["capital"].happens(rng):
        return _capital
    return str


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:].lower()


def _string(characters: Sequence[str], line: Effect, rng: random.Random) -> str:
    """Draw characters, as many as the line says, or as many of them as fit."""
    label = "".join(rng.choice(characters) for _ in range(line.draw_whole(rng, "length")))
    while steps(label) > MAX_STEPS:
        label = label[:-1]
    return label


def load_words(path: Optional[Path], characters: str) -> Words:
    """Read a list with a word a line, or the system's; only words of these characters that fit 26
    steps are used, each as often as it stands there.

    Raises `InputError` for a file without such words, `UnavailableError` where the system has no
    list.
    """
    file = path or next((Path(name) for name in SYSTEM_LISTS if Path(name).is_file()), None)
    if file is None:
        raise UnavailableError(
            f"there is no word list at {SYSTEM_LISTS[0]}",
            hint=(
                "Install one (Debian: apt install wamerican), or give --words FILE (in a recipe"
                " words: FILE), one word a line."
            ),
        )
    lines = read_lines(file, "a list of words, one a line")
    known = set(characters)
    by_length: Dict[int, List[str]] = {}
    for word in sorted(line.strip() for line in lines):
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
