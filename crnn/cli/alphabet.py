"""An alphabet on a command line: the characters themselves, or ``@FILE``."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from crnn.errors import InputError
from crnn.files import require_file


def read_alphabet(text: Optional[str]) -> Optional[str]:
    """Return the characters; None stays None.

    Raises `InputError` for a file that cannot be read.
    """
    if text is None or not text.startswith("@"):
        return text
    path = Path(text[1:])
    require_file(path, "a UTF-8 text file of the alphabet's characters")
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8: {error}; expected the alphabet's characters"
        ) from error
    # One line of characters, or one character a line: line ends are in no alphabet.
    return content.replace("\r", "").replace("\n", "")
