"""Fonts that anyone may render words with:

installed families under an open licence, or those of a folder.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

import numpy as np

from crnn.errors import InputError, UnavailableError

FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")

# The beginnings of file names. OFL: SIL Open Font Licence.
OPEN_FAMILIES = {
    "Apache-2.0": ("Roboto", "OpenSans", "DroidSans", "DroidSerif", "ClearSans"),
    "Bitstream Vera": ("DejaVu", "Vera"),
    "BSD-3-Clause": ("Go-",),
    "GUST Font License": ("texgyre",),
    "MIT": ("Hack-",),
    "public domain": ("Fanwood", "GoudyBookletter", "LindenHill", "Prociono", "Tuffy"),
    "Ubuntu Font Licence": ("Ubuntu",),
    "OFL": (
        "Anonymous Pro",
        "Courier Prime",
        *(
            "Alegreya allerta Amiri Anton Arapey Archivo Arimo Asap Averia B612 Barlow BebasNeue"
            " Bitter Cabin CabinSketch Caladea Cantarell Cardo Carlito CherryBomb Comfortaa"
            " ComicNeue Compagnon CormorantGaramond Cousine CrimsonText DancingScript dkg Dosis"
            " EBGaramond Elstob Essays1743 Exo FantasqueSans FiraCode FiraMono FiraSans Gelasio"
            " GentiumPlus Humor-Sans IBMPlex Inconsolata Inter- JetBrainsMono JosefinSans Junction"
            " Junicode Jura Karla KaushanScript Kristi Lato le-murmure LeagueGothic LeagueSpartan"
            " LeckerliOne Lemonada Liberation LibreBaskerville LinBiolinum LinLibertine Lobster"
            " lobster LobsterTwo Lora Manrope Merriweather Montserrat Mukta NationalPark- NotoSans-"
            " NotoSansDisplay- NotoSansMono- NotoSerif- NotoSerifDisplay- Nunito OldStandard"
            " OSP-DIN Oswald Overpass Oxygen Pacifico Play- PlayfairDisplay Poppins PTSans PTSerif"
            " Quattrocento Quicksand Raleway ReggaeOne RocknRollOne routed-gothic Rubik Sansita"
            " Sora- SourceCodePro SourceSans SourceSerif SpaceGrotesk SpaceMono Teko Tinos"
            " TitilliumWeb Ubuntu-Title Vollkorn WorkSans YanoneKaffeesatz Zilla"
        ).split(),
    ),
}
# LinBiolinum_K draws keys of a keyboard.
_NOT_FOR_WORDS = ("Math", "Symbol", "Emoji", "Icon", "LinBiolinum_K")
_MOST_OF_A_FAMILY = 8
_SUFFIXES = (".ttf", ".otf")
_PROBE_SIZE = 24
# ImageFont.Layout.BASIC, whose home moved between versions.
_BASIC: Any = 0


def find_fonts(folder: Optional[Path], characters: str) -> List[Path]:
    """Return the font files to render with, ordered by file name: those that have a glyph for every
    character.

    Without ``folder`` they are the installed ones of the families in `OPEN_FAMILIES`, at most eight
    of each. Raises `InputError` for a folder without such fonts, `UnavailableError` where none is
    installed.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected one with .ttf or .otf files")
    files = [file for file in _candidates(folder) if _is_for_words(file)]
    by_name = sorted(files, key=lambda file: (file.name, str(file)))
    fonts = [file for file in by_name if has_glyphs(file, characters)]
    if fonts:
        if folder:
            return fonts
        return _balanced(fonts)
    if folder is not None:
        raise InputError(
            f"{folder} holds no font with glyphs for {characters!r}; it has {len(files)} font files"
        )
    raise UnavailableError(
        f"no font with an open licence is installed in {', '.join(FOLDERS)}",
        hint=(
            "Install some (Debian: apt install fonts-dejavu fonts-lato fonts-open-sans), or give"
            " --fonts DIR."
        ),
    )


def _candidates(folder: Optional[Path]) -> List[Path]:
    """The font files of a folder; without one, the installed ones of the open families."""
    if folder is not None:
        return list(_files([folder]))
    installed = _files([Path(name).expanduser() for name in FOLDERS])
    return [file for file in installed if family(file)]


def _is_for_words(file: Path) -> bool:
    return not any(mark in file.name for mark in _NOT_FOR_WORDS)


def family(file: Path) -> Optional[str]:
    """Return the longest beginning of a file's name that `OPEN_FAMILIES` has, None where it has
    none.
    """
    beginnings = [
        name for names in OPEN_FAMILIES.values() for name in names if file.name.startswith(name)
    ]
    return max(beginnings, key=len, default=None)


def has_glyphs(file: Path, characters: str) -> bool:
    """Say whether the font can be read and draws each character, differently from one that it
    lacks.
    """
    try:
        font = load_font(str(file), _PROBE_SIZE)
        missing = _glyph(font, "\uffff")
        return all(_glyph(font, character) not in (missing, b"") for character in characters)
    except OSError:
        return False


@functools.lru_cache(maxsize=512)
def load_font(file: str, size: int) -> Any:
    """Return a font, kept for the next word; without shaping, whose results differ between
    installations.
    """
    from PIL import ImageFont

    return ImageFont.truetype(file, size, layout_engine=_BASIC)


def fingerprint(fonts: Sequence[Path]) -> str:
    """Return a digest of the fonts' names and contents: another set renders other words."""
    digest = hashlib.sha256()
    for font in fonts:
        digest.update(font.name.encode() + b"\0" + hashlib.sha256(font.read_bytes()).digest())
    return digest.hexdigest()


def text_mask(text: str, font: Any, gap: float) -> np.ndarray:
    """Draw a text and return its ink, uint8 (H, W), as tight as it is; ``gap`` is added after each
    letter, in pixels.

    Height and width are at least 1; a text without ink gives one empty pixel.
    """
    from PIL import Image, ImageDraw

    steps = _steps(text, font, gap)
    ascent, descent = font.getmetrics()
    # Slanted and swash letters reach beyond their advance.
    side = int(font.size)
    size = (max(1, int(steps[-1])) + 2 * side, ascent + descent + 2 * side)
    image = Image.new("L", size)
    draw = ImageDraw.Draw(image)
    if gap:
        for letter, step in zip(text, steps):
            draw.text((side + step, side), letter, font=font, fill=255)
    else:
        draw.text((side, side), text, font=font, fill=255)
    return np.asarray(image.crop(image.getbbox() or (0, 0, 1, 1)))


def _steps(text: str, font: Any, gap: float) -> List[float]:
    """Return where each letter begins, and where the last one ends."""
    if not gap:
        return [0.0, float(font.getlength(text))]
    steps = [0.0]
    for letter in text:
        steps.append(steps[-1] + max(1.0, font.getlength(letter) + gap))
    return steps


def _balanced(fonts: Sequence[Path]) -> List[Path]:
    """Return at most eight of each family, spread over its files:

    a family of forty is no more often on a sign.
    """
    families: Dict[Optional[str], List[Path]] = {}
    for font in fonts:
        families.setdefault(family(font), []).append(font)
    chosen: Set[Path] = set()
    for members in families.values():
        count = min(len(members), _MOST_OF_A_FAMILY)
        chosen.update(members[index * len(members) // count] for index in range(count))
    return [font for font in fonts if font in chosen]


def _glyph(font: Any, character: str) -> bytes:
    mask = font.getmask(character)
    if mask.size[0]:
        return bytes(mask) + repr(mask.size).encode()
    return b""


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    seen: Set[Tuple[str, int]] = set()
    for folder in folders:
        for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
            # The same font is often installed twice.
            if file.suffix.lower() in _SUFFIXES and file.is_file():
                mark = (file.name, file.stat().st_size)
            else:
                mark = None
            if mark and mark not in seen:
                seen.add(mark)
                yield file
