r"""Patterns: a regular subset of regular expressions, and of what characters a list allows.

Known are characters, ``\`` before one that would mean something else, ``.``, ``\d`` (0 to 9),
``\w`` (0 to 9, A to Z, a to z), lists such as ``[a-z.]`` and ``[^0-9]``, groups ``( )`` and
``(?: )``, ``|``, and ``?``, ``*``, ``+``, ``{3}``, ``{2,}``, ``{2,4}`` after any of them. A pattern
is always about the whole text; ``^`` at its beginning and ``$`` at its end may stand there. All
else that other expressions have is refused by name.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import List, NoReturn, Optional, Sequence, Tuple, Union

from crnn.errors import InputError

MOST_CHARACTERS = 1000
"""The most characters of a pattern."""
MOST_TIMES = 1000
"""The largest number in braces."""
MOST_DEPTH = 50
"""The most groups inside one another."""
MORE = 4
"""How much more often than it must something open-ended is drawn, at most."""

Range = Tuple[int, int]
_CLASSES = {
    "d": ((48, 57),),
    "w": ((48, 57), (65, 90), (97, 122)),
}
_REPEATING = ("?", "*", "+", "{")
_SPECIAL = ".^$*+?{}[]\\|()"


@dataclass(frozen=True)
class Characters:
    """One character out of some ranges of code points, or one that is in none."""

    ranges: Tuple[Range, ...]
    """First and last code point of each."""
    negated: bool = False
    """Whether it is one that is in none of them."""

    def among(self, characters: str, *, folds_case: bool) -> str:
        """Return which of the characters it is about.

        Args:
            characters: An alphabet's.
            folds_case: Whether a capital in the ranges stands for its small letter too.

        Returns:
            Those of them, in their order.
        """
        found = []
        for character in characters:
            if self._has(character, folds_case) != self.negated:
                found.append(character)
        return "".join(found)

    def _has(self, character: str, folds_case: bool) -> bool:
        forms = {character}
        if folds_case:
            forms.add(character.upper())
        codes = [ord(form) for form in forms if len(form) == 1]
        return any(_within(code, self.ranges) for code in codes)


@dataclass(frozen=True)
class InOrder:
    """Parts one after another."""

    parts: Tuple[Part, ...]


@dataclass(frozen=True)
class Either:
    """One of several parts."""

    parts: Tuple[Part, ...]


@dataclass(frozen=True)
class Repeated:
    """A part several times."""

    part: Part
    least: int
    """How often it must come."""
    most: Optional[int]
    """How often it may come; None for any number."""


Part = Union[Characters, InOrder, Either, Repeated]


def parse_pattern(text: str) -> Part:
    """Read a pattern.

    Args:
        text: As the module says.

    Returns:
        Its parts.

    Raises:
        InputError: It is not such a pattern; the place and what stands there are named.
    """
    if len(text) > MOST_CHARACTERS:
        raise InputError(
            f"the pattern has {len(text)} characters; at most {MOST_CHARACTERS} are read"
        )
    if not text:
        raise InputError("the pattern is empty; expected such as [a-z]{2}[0-9]{4}")
    parser = _Parser(text)
    return parser.whole()


def parse_characters(text: str) -> Characters:
    r"""Read a list of characters and ranges, as it stands between brackets in a pattern.

    Args:
        text: Such as ``0-9A-Z`` or ``0-9+\-``.

    Returns:
        The characters.

    Raises:
        InputError: It is empty, or a range runs backwards.
    """
    parser = _Parser(text, what="the list of characters")
    ranges: List[Range] = []
    while not parser.at_end:
        ranges.extend(parser.ranges())
    if not ranges:
        raise InputError("the list of allowed characters is empty; expected such as 0-9A-Z")
    return Characters(tuple(ranges))


def drawn(part: Part, rng: random.Random, characters: str) -> str:
    """Draw a text that a pattern is about: of equal things each as likely as the others.

    Args:
        part: The pattern.
        rng: Draws.
        characters: What ``.`` and lists with ``^`` choose from.

    Returns:
        The text; what may be repeated without end is at most `MORE` times more than it must.

    Raises:
        InputError: A list has none of the characters.
    """
    if isinstance(part, Characters):
        return _drawn_character(part, rng, characters)
    if isinstance(part, Either):
        return drawn(rng.choice(part.parts), rng, characters)
    if isinstance(part, InOrder):
        return "".join([drawn(each, rng, characters) for each in part.parts])
    most = part.most
    if most is None:
        most = part.least + MORE
    times = rng.randint(part.least, most)
    return "".join([drawn(part.part, rng, characters) for _ in range(times)])


def _drawn_character(part: Characters, rng: random.Random, characters: str) -> str:
    among = part.among(characters, folds_case=False)
    if not among:
        raise InputError(
            f"the pattern asks for {shown(part)}, and none of that is among the characters that"
            f" are rendered: {characters[:80]}"
        )
    return rng.choice(among)


def shown(part: Characters) -> str:
    """Return some characters as a list in brackets, for messages.

    Args:
        part: The characters.

    Returns:
        Such as ``[a-z.]``.
    """
    pieces: List[str] = []
    for low, high in part.ranges:
        if low == high:
            pieces.append(chr(low))
        else:
            pieces.append(f"{chr(low)}-{chr(high)}")
    mark = ""
    if part.negated:
        mark = "^"
    return f"[{mark}{''.join(pieces)[:80]}]"


def _within(code: int, ranges: Sequence[Range]) -> bool:
    return any(low <= code <= high for low, high in ranges)


class _Parser:
    """Reads from left to right."""

    def __init__(self, text: str, what: str = "the pattern") -> None:
        self._text = text
        self._what = what
        self._at = 0
        self._depth = 0

    @property
    def at_end(self) -> bool:
        """Whether everything was read."""
        return self._at == len(self._text)

    def whole(self) -> Part:
        """Read all of it."""
        self._skip("^")
        part = self._either()
        if self._skip("$") and not self.at_end:
            self._refuse("$ is only for the end of a pattern", self._at - 1)
        if not self.at_end:
            self._refuse(f"{self._text[self._at]!r} without its opening one", self._at)
        return part

    def ranges(self) -> Sequence[Range]:
        r"""Read a character, a range or a class such as ``\d`` of a list."""
        begin = self._at
        low = self._listed()
        if isinstance(low, tuple):
            return low
        if not (self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("", "]")):
            return ((low, low),)
        self._at += 1
        high = self._listed()
        if isinstance(high, tuple) or high < low:
            self._refuse(f"the range {self._text[begin : self._at]!r} runs backwards", begin)
        return ((low, high),)

    def _listed(self) -> Union[int, Tuple[Range, ...]]:
        character = self._next()
        if character != "\\":
            return ord(character)
        return self._escaped()

    def _escaped(self) -> Union[int, Tuple[Range, ...]]:
        begin = self._at - 1
        if self.at_end:
            self._refuse("it ends after a backslash", begin)
        character = self._next()
        if character in _CLASSES:
            return _CLASSES[character]
        if character.isalnum():
            self._refuse(f"\\{character} is not supported", begin)
        return ord(character)

    def _either(self) -> Part:
        parts = [self._sequence()]
        while self._skip("|"):
            parts.append(self._sequence())
        if len(parts) == 1:
            return parts[0]
        return Either(tuple(parts))

    def _sequence(self) -> Part:
        parts: List[Part] = []
        while not self.at_end and self._peek() not in "|)$":
            part = self._one()
            if self._peek() in _REPEATING:
                part = self._repeated(part)
                self._refuse_more()
            parts.append(part)
        if len(parts) == 1:
            return parts[0]
        return InOrder(tuple(parts))

    def _one(self) -> Part:
        begin = self._at
        character = self._next()
        if character == "(":
            return self._group(begin)
        if character == "[":
            return self._list(begin)
        if character == ".":
            return Characters((), negated=True)
        if character == "\\":
            escaped = self._escaped()
            if isinstance(escaped, tuple):
                return Characters(escaped)
            return Characters(((escaped, escaped),))
        if character in _SPECIAL:
            self._refuse(
                f"{character!r} has no meaning here; for the character itself write \\{character}",
                begin,
            )
        return Characters(((ord(character), ord(character)),))

    def _group(self, begin: int) -> Part:
        if self._skip("?") and not self._skip(":"):
            self._refuse(f"{self._text[begin : begin + 4]!r} is not supported: only (?: is", begin)
        self._depth += 1
        if self._depth > MOST_DEPTH:
            self._refuse(f"more than {MOST_DEPTH} groups inside one another", begin)
        part = self._either()
        if not self._skip(")"):
            self._refuse("the group is not closed", begin)
        self._depth -= 1
        return part

    def _list(self, begin: int) -> Part:
        negated = self._skip("^")
        ranges: List[Range] = []
        while not self._skip("]"):
            if self.at_end:
                self._refuse("the list is not closed", begin)
            ranges.extend(self.ranges())
        if not ranges:
            self._refuse("the list is empty", begin)
        return Characters(tuple(ranges), negated)

    def _repeated(self, part: Part) -> Part:
        begin = self._at
        mark = self._next()
        if mark == "?":
            return Repeated(part, 0, 1)
        if mark == "*":
            return Repeated(part, 0, None)
        if mark == "+":
            return Repeated(part, 1, None)
        return self._counted(part, begin)

    def _counted(self, part: Part, begin: int) -> Part:
        end = self._text.find("}", begin)
        low, comma, high = self._text[begin + 1 : max(end, 0)].partition(",")
        numbers = [low]
        if high:
            numbers.append(high)
        if end < 0 or not all(_is_number(number) for number in numbers):
            self._refuse("braces hold a number or two, such as {3}, {2,} and {2,4}", begin)
        self._at = end + 1
        least = int(low)
        most: Optional[int] = least
        if comma:
            most = None
        if high:
            most = int(high)
        if least > MOST_TIMES or (most or 0) > MOST_TIMES:
            self._refuse(f"more than {MOST_TIMES} times", begin)
        if most is not None and most < least:
            self._refuse(f"from {least} down to {most} times", begin)
        return Repeated(part, least, most)

    def _refuse_more(self) -> None:
        if self._peek() in _REPEATING:
            mark = self._text[self._at - 1 : self._at + 1]
            self._refuse(
                f"{mark!r}, a repetition after a repetition, is not supported; put the first one"
                " into a group",
                self._at - 1,
            )

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _skip(self, character: str) -> bool:
        if self._peek() != character:
            return False
        self._at += 1
        return True

    def _refuse(self, what: str, at: int) -> NoReturn:
        raise InputError(
            f"{self._what} {self._text[:80]!r}, at character {at + 1}: {what}",
            hint=(
                "Supported: characters, \\ before one with a meaning, ., \\d, \\w, [a-z], [^a-z],"
                " ( ), (?: ), |, ?, *, +, {3}, {2,}, {2,4}."
            ),
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 9
