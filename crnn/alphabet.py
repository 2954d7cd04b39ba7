"""Characters and the CTC classes that stand for them."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Dict

from crnn.errors import InputError
from crnn.files import read_text, refuse_lfs_pointer, require_file
from crnn.labels import outside
from crnn.limits import advice, limit

DIGITS_AND_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


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
                    hint="The blank has no character of its own: leave its placeholder out.",
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
