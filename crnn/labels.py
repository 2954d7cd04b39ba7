"""The characters that a model can read, as CTC classes, and what becomes of a label: how it is
folded, what of it a model can spell, and why it cannot.

The phrases are the one vocabulary of reasons about labels. They are data: JSON files count by them,
so that one fault has one name in all of them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Container, Dict, List, Optional, Sequence

from crnn.errors import InputError
from crnn.limits import advice, limit

DIGITS_AND_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"

NO_LABEL = "no label"
EMPTY_LABEL = "empty label"
LINE_BREAK = "line break in label"
OUTSIDE = "label outside the alphabet"
TOO_LONG = "label too long"
"""Longer than the model's time steps can spell, see `steps`."""

DROPPED = f"{OUTSIDE}: dropped"
STRIPPED = f"{OUTSIDE}: characters stripped"

OF_LABELS = frozenset([NO_LABEL, EMPTY_LABEL, LINE_BREAK, OUTSIDE, TOO_LONG, DROPPED, STRIPPED])
"""The reasons that lie in a label; all others lie in an image or in what a model gave."""

_LINE_BREAKS = re.compile(r"\r\n|\r|\n")
_RANGE = re.compile(r"0-9|a-z|A-Z")


def advice_on_ranges(characters: str) -> str:
    """Return what to do about an alphabet that was written as ranges, such as ``0-9a-z``.

    Args:
        characters: The alphabet as it was given.

    Returns:
        A sentence, or "" where there is no range in it.
    """
    if _RANGE.search(characters) is None:
        return ""
    return "Ranges are not read as such: write every character, or name a file of them, @FILE."


@dataclass(frozen=True)
class Alphabet:
    """The characters that a model can read, in class order, and the class that is CTC's blank.

    ``characters`` holds one code point per class and no entry for the blank; ``blank`` is the
    blank's class index: 0 (PyTorch's CRNNs) or the last (MindSpore's and TensorFlow's). Raises
    `InputError` for an empty alphabet, a character that occurs twice, a line break or other control
    character, and a blank among the characters.
    """

    characters: str
    blank: int = 0

    def __post_init__(self) -> None:
        if not self.characters:
            raise InputError("the alphabet is empty; expected at least one character")
        most = limit("characters")
        if len(self.characters) > most:
            count = len(self.characters)
            told = f"the alphabet has {count} characters; at most {most}"
            raise InputError(told, hint=advice("characters"))
        seen: Dict[str, int] = {}
        for index, character in enumerate(self.characters):
            if character in seen:
                raise InputError(
                    f"the alphabet holds {character!r} twice, at positions {seen[character]} and"
                    f" {index}; expected each character once",
                    hint=advice_on_ranges(self.characters)
                    or "The blank has no character of its own: leave its placeholder out.",
                )
            if unicodedata.category(character) in ("Cc", "Cs"):
                raise InputError(
                    f"the alphabet holds the control character {character!r} at position {index}",
                    hint=(
                        "Labels and results are lines of text: leave line breaks and the blank's"
                        " placeholder out."
                    ),
                )
            seen[character] = index
        if self.blank not in (0, len(self.characters)):
            raise InputError(
                f"the blank has class {self.blank}, inside the alphabet; expected 0 (before the "
                f"{len(self.characters)} characters) or {len(self.characters)} (after them)"
            )

    @property
    def classes(self) -> int:
        """The number of CTC classes: the characters and the blank."""
        return len(self.characters) + 1

    @property
    def table(self) -> str:
        """One character per class; U+0000 stands at the blank's."""
        return self.characters[: self.blank] + "\0" + self.characters[self.blank :]

    @property
    def folds_case(self) -> bool:
        """Whether labels are to be lower-cased before they are compared:

        the alphabet has no capitals.
        """
        return self.characters == self.characters.lower()

    def outside(self, text: str) -> str:
        """Return the characters of ``text`` that no class stands for, each once, in order."""
        return outside(text, frozenset(self.characters))


def fold(label: str, *, folds_case: bool) -> str:
    """Return a label as it is compared with what a model reads.

    Args:
        label: The label as the data set holds it.
        folds_case: Whether the model reads no capitals, so that case does not count.

    Returns:
        The label in lower case where case is folded, else the label.
    """
    if folds_case:
        return label.lower()
    return label


def fold_all(labels: Sequence[Optional[str]], *, folds_case: bool) -> Sequence[Optional[str]]:
    """Return labels as `fold` returns each.

    Args:
        labels: The labels as the data set holds them; None where there is none.
        folds_case: Whether the model reads no capitals.

    Returns:
        As many, None where there is none.
    """
    if not folds_case:
        return labels
    folded: List[Optional[str]] = []
    for label in labels:
        if label is None:
            folded.append(None)
        else:
            folded.append(label.lower())
    return folded


def outside(label: str, characters: Container[str]) -> str:
    """Return the characters of a label that a model cannot read.

    Args:
        label: The label, folded.
        characters: The alphabet's characters; a set where there are many labels.

    Returns:
        Each of them once, in the order of the label; "" where there are none.
    """
    found = (character for character in label if character not in characters)
    return "".join(dict.fromkeys(found))


def strip(label: str, characters: Container[str]) -> str:
    """Return a label without the characters that a model cannot read.

    Args:
        label: The label, folded.
        characters: The alphabet's characters; a set where there are many labels.

    Returns:
        What is left, in its order; "" where that is nothing.
    """
    return "".join(character for character in label if character in characters)


def one_line(label: str) -> str:
    r"""Return a label with a space for each line break: in a label file it would begin a new line.

    Args:
        label: The label as the data set holds it.

    Returns:
        The label without ``\n`` and ``\r``; the pair ``\r\n`` is one line break.
    """
    return _LINE_BREAKS.sub(" ", label)


def repeats(label: str) -> int:
    """Return how many characters of a label are the same as the one before them.

    Args:
        label: The label, folded.

    Returns:
        A number from 0 to one less than the label's length.
    """
    pairs = zip(label, label[1:])
    return sum(first == second for first, second in pairs)


def steps(label: str) -> int:
    """Return the time steps that CTC needs to spell a label.

    One for each character, and one for the blank between two equal neighbours (Graves et al.,
    "Connectionist Temporal Classification", ICML 2006, section 3).

    Args:
        label: The label, folded.

    Returns:
        The number of time steps; 0 for an empty label.
    """
    return len(label) + repeats(label)
