"""Fonts for whatever characters labels have, and which characters no font here draws."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from PIL import ImageFont

from crnn.datasets.synth.fonts import font_files, glyphs_of, load_font
from crnn.errors import InputError

PREFERRED = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
)
"""File names of fonts with many characters, tried before all others that are installed."""
SAID = string.ascii_letters + string.digits + string.punctuation
"""What is said of the characters is drawn too."""
MOST = 300
"""Files that are looked into: a search takes no longer than a second or two."""


class Glyphs:
    """The fonts that a set of characters needs: the first that has a character draws it.

    Args:
        characters: What is to be drawn.
        font: A file to take first; None for none.
        folders: Where else fonts are looked for; None for where systems install them.
    """

    def __init__(
        self,
        characters: Iterable[str],
        font: Optional[Path] = None,
        folders: Optional[Sequence[str]] = None,
    ) -> None:
        wanted = {*characters, *SAID}
        missing = sorted(sign for sign in wanted if sign.isprintable() and sign != " ")
        self.files: Dict[str, Path] = {}
        """The file that draws a character."""
        if font is not None:
            self._require(font)
            missing = self._take(font, missing)
        for file in _candidates(folders):
            if not missing:
                break
            missing = self._take(file, missing)
        # Pillow's own font has Latin letters, for where none is installed.
        self.lacking = "".join(sign for sign in missing if not sign.isascii())
        """The characters that no font draws."""

    def runs(self, text: str, size: int) -> Iterator[Tuple[str, Any]]:
        """Yield the parts of a text, each with the font that draws it.

        Args:
            text: One line.
            size: The letters' height in pixels.

        Yields:
            A part and its font; what no font draws is a sign for it.
        """
        part, font = "", None
        for sign in text:
            if sign in self.lacking:
                sign = "?"
            file = self.files.get(sign)
            own = _font(file, size)
            if part and own is not font:
                yield part, font
                part = ""
            part, font = part + sign, own
        if part:
            yield part, font

    def _take(self, file: Path, missing: List[str]) -> List[str]:
        """Take from a file what it has; return what is still missing."""
        found = glyphs_of(file, missing)
        for sign in found:
            self.files[sign] = file
        return [sign for sign in missing if sign not in found]

    def _require(self, font: Path) -> None:
        try:
            load_font(str(font), 12)
        except OSError as error:
            raise InputError(
                f"{font} is not a font that can be read: {error}; expected a .ttf, .otf or .ttc"
            ) from error


def _font(file: Optional[Path], size: int) -> Any:
    if file is not None:
        return load_font(str(file), size)
    return ImageFont.load_default()


def _candidates(folders: Optional[Sequence[str]]) -> Iterator[Path]:
    files = list(font_files(folders))
    for name in PREFERRED:
        for file in files:
            if file.name == name:
                yield file
    yield from sorted(files, key=lambda file: file.name)[:MOST]


def names_of(characters: str) -> str:
    """Return characters by their numbers in Unicode, where they cannot be drawn.

    Args:
        characters: Any number of them.

    Returns:
        The numbers, a blank between two.

    >>> names_of("é字")
    'U+00E9 U+5B57'
    """
    return " ".join(f"U+{ord(sign):04X}" for sign in characters)
