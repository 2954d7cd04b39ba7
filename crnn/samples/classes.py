"""Labels that are class numbers, and the lists of characters that say what they stand for.

The 3.6 million words of Chinese that CRNN_Sierkinhane is evaluated on come so: ``a.jpg 89 201 241``
with a list of characters, one a line, whose line 0 is the word ``blank``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterable, List, Sequence

from crnn.errors import InputError
from crnn.filekind import require_file
from crnn.samples.encoding import numbered_lines, text_encoding

BLANK = "blank"
"""How such lists begin: the word in the place of class 0."""

_NUMBERS = re.compile(r"[0-9]+(\s+[0-9]+)*")


class ClassNumbers:
    """Class numbers as characters.

    Args:
        characters: The character of class 1, 2, …; class 0 is the blank.
    """

    def __init__(self, characters: Sequence[str]) -> None:
        self._characters = characters

    @classmethod
    def read(cls, path: Path) -> ClassNumbers:
        """Read a list of characters, one a line.

        Args:
            path: UTF-8 or GB18030, with or without a first line ``blank``: class 1 is the first
                character in either case.

        Returns:
            The classes.

        Raises:
            InputError: The file cannot be read, or a line is not one character.
        """
        require_file(path, "a list of characters, one a line, in the order of their classes")
        try:
            encoding = text_encoding(path)
        except InputError:
            encoding = text_encoding(path, "gb18030")
        lines = [line for _, line in numbered_lines(path, encoding)]
        if lines and lines[0].strip().lower() == BLANK:
            lines = lines[1:]
        while lines and not lines[-1]:
            lines.pop()
        for number, line in enumerate(lines, start=1):
            if len(line) != 1:
                raise InputError(
                    f"{path}: class {number} is {line[:20]!r}; expected one character a line"
                )
        return cls(lines)

    @staticmethod
    def are(labels: Iterable[str]) -> bool:
        """Say whether labels are class numbers by their look: all of them numbers, and several in
        at least one, with blanks between.

        Args:
            labels: They are taken up to the first that is not.

        Returns:
            True where they are.
        """
        several = False
        for label in labels:
            text = label.strip()
            if not _NUMBERS.fullmatch(text):
                return False
            several = several or not text.isdigit()
        return several

    @staticmethod
    def refused(path: Path, example: str) -> InputError:
        """Return the error for such labels where nobody has said what they are.

        Args:
            path: The list.
            example: One of its labels.

        Returns:
            The error; its hint names the ways out.
        """
        return InputError(
            f"{path}: every label is numbers with blanks between, such as {example[:40]!r}: class"
            " numbers, or texts?",
            hint=(
                "crnn dataset convert turns class numbers into characters: --classes FILE, a list"
                " of them, one a line; --classes none if the numbers are the texts themselves."
            ),
        )

    def text(self, label: str) -> str:
        """Return the characters of a label.

        Args:
            label: Class numbers with blanks between.

        Returns:
            The text.

        Raises:
            ValueError: A number has no character; the message names it.
        """
        found: List[str] = []
        for word in label.split():
            if not (word.isascii() and word.isdigit()):
                raise ValueError(f"{word[:20]!r} is not a class number")
            if not 1 <= len(word) <= 9 or not 1 <= int(word) <= len(self._characters):
                raise ValueError(f"class {word[:20]} has no character: there are 1 to {len(self)}")
            found.append(self._characters[int(word) - 1])
        return "".join(found)

    def __len__(self) -> int:
        return len(self._characters)
