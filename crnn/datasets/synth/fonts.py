"""Fonts that anyone may render words with:

installed families under an open licence, or those of a folder.
"""

from __future__ import annotations

import functools
import hashlib
import math
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

import numpy as np

from crnn.errors import InputError, UnavailableError, needs

FOLDERS = (
    "/usr/share/fonts",
    "/usr/share/texlive/texmf-dist/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
)

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
PLAIN_FAMILIES = (
    *"Arimo Archivo ClearSans DejaVu FiraSans Inter- Lato Liberation LinBiolinum".split(),
    *"Montserrat NotoSans- OpenSans Overpass Oxygen Play- Poppins Roboto".split(),
    *"SourceSans Ubuntu WorkSans".split(),
    *"opentype/inter opentype/public/cooperhewitt truetype/roadgeek truetype/tiresias".split(),
)
"""What families of plain sans faces begin with."""
_NOT_PLAIN = ("Serif", "Slab", "Mono", "Narrow", "Italic", "Oblique", "Thin")
_NOT_FOR_WORDS = ("Math", "Symbol", "Emoji", "Icon")
_MOST_OF_A_FAMILY = 32
_SUFFIXES = (".ttf", ".otf", ".pfb", ".ttc", ".otc")
_PROBE_SIZE = 24
# ImageFont.Layout.BASIC, whose home moved between versions.
_BASIC: Any = 0


def find_fonts(folder: Optional[Path], characters: str) -> List[Path]:
    """Return the font files to render with, ordered by file name: those that have a glyph for every
    character.

    Without ``folder`` they are the installed ones of the families in `OPEN_FAMILIES` and of the
    folders in ``open_fonts.yaml``, at most 32 of each. Raises `InputError` for a folder
    without such fonts, `UnavailableError` where none is installed.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected one with .ttf, .otf or .ttc files")
    files = [file for file in _candidates(folder) if _is_for_words(file)]
    by_name = sorted(files, key=lambda file: (file.name, str(file)))
    if folder is None:
        # Before the letters are looked at: there may be thousands of files.
        by_name = _balanced(by_name)
    fonts = [file for file in by_name if has_glyphs(file, characters)]
    if fonts:
        return fonts
    if folder is not None:
        raise InputError(
            f"{folder} holds no font with glyphs for {characters!r};"
            f" it has {len(files)} font files",
            hint="Name a folder with fonts that have them, or leave --fonts out.",
        )
    if files:
        raise UnavailableError(
            f"none of the {len(files)} installed fonts with an open licence has glyphs for"
            f" {characters!r}",
            hint="Give a folder of fonts that have them: --fonts DIR (.ttf, .otf or .ttc).",
        )
    raise UnavailableError(
        f"no font with an open licence is installed in {', '.join(FOLDERS)}",
        hint=(
            "Install some (Debian: apt install fonts-dejavu fonts-lato fonts-open-sans), or give"
            " --fonts DIR (in a recipe fonts: DIR)."
        ),
    )


def _candidates(folder: Optional[Path]) -> List[Path]:
    """The font files of a folder; without one, the installed ones of the open families."""
    if folder is not None:
        return list(_files([folder]))
    return [file for file in font_files() if family(file)]


def _is_for_words(file: Path) -> bool:
    if any(mark in file.name for mark in _NOT_FOR_WORDS):
        return False
    return not file.name.startswith(_listed().other_things)


def family(file: Path) -> Optional[str]:
    """Return what a font of an open family is known by, None for any other.

    That is the longest beginning of its name that `OPEN_FAMILIES` has, else the folder of
    ``open_fonts.yaml`` that it stands in, with the file's beginning where a folder holds several
    families.
    """
    beginnings = [
        name for names in OPEN_FAMILIES.values() for name in names if file.name.startswith(name)
    ]
    if beginnings:
        return max(beginnings, key=len)
    listed = _listed()
    for count in (2, 3):
        folder = "/".join(file.parts[-1 - count : -1])
        if folder in listed.several:
            return f"{folder}/{_beginning(file)}"
        if folder in listed.folders:
            return folder
    return None


def _known_by(file: Path) -> str:
    return family(file) or _beginning(file)


def _beginning(file: Path) -> str:
    return re.split("[-_ .]", file.name)[0]


@dataclass(frozen=True)
class _Listed:
    """What ``open_fonts.yaml`` says."""

    folders: FrozenSet[str]
    several: FrozenSet[str]
    other_things: Tuple[str, ...]


@functools.lru_cache(maxsize=1)
def _listed() -> _Listed:
    with needs("PyYAML", extra="datasets"):
        import yaml
    data = yaml.safe_load(Path(__file__).with_name("open_fonts.yaml").read_text(encoding="utf-8"))
    folders = " ".join(data["folders"].values()).split()
    several = data["several"].split()
    return _Listed(frozenset(folders), frozenset(several), tuple(data["other_things"].split()))


def has_glyphs(file: Path, characters: str) -> bool:
    """Say whether the font can be read and draws each character, differently from one that it
    lacks.
    """
    try:
        return all(_has_glyph(str(file), character) for character in characters)
    except OSError:
        return False


def glyphs_of(file: Path, characters: Iterable[str]) -> Set[str]:
    """Return those of the characters that a font draws.

    Args:
        file: A font; of a collection (.ttc) the first face.
        characters: What is looked for.

    Returns:
        A part of them; nothing where the file cannot be read.
    """
    found: Set[str] = set()
    try:
        for character in characters:
            if _has_glyph(str(file), character):
                found.add(character)
    except OSError:
        return set()
    return found


def font_files(folders: Optional[Sequence[str]] = None) -> Iterator[Path]:
    """Yield the font files of folders, each once.

    Args:
        folders: The folders; ``~`` is the user's. None for those where systems install fonts.

    Yields:
        The files, of whatever licence.
    """
    if folders is None:
        folders = FOLDERS
    yield from _files([Path(name).expanduser() for name in folders])


def drawable(text: str, file: Path, kept: str) -> str:
    """Return the text without the marks that the font cannot draw; characters of ``kept`` stay."""
    found = ""
    for character in text:
        if character in kept or _has_glyph(str(file), character):
            found += character
    return found


@functools.lru_cache(maxsize=1 << 17)
def _has_glyph(file: str, character: str) -> bool:
    font = load_font(file, _PROBE_SIZE)
    return _glyph(font, character) not in (_glyph(font, "\uffff"), b"")


@functools.lru_cache(maxsize=512)
def load_font(file: str, size: int) -> Any:
    """Return a font, kept for the next word; without shaping, whose results differ between
    installations.
    """
    from PIL import ImageFont

    return ImageFont.truetype(file, size, layout_engine=_BASIC)


def fingerprint(fonts: Sequence[Path]) -> str:
    """Return a digest of families, names and contents: other fonts render other words."""
    digest = hashlib.sha256()
    for font in fonts:
        names = f"{_known_by(font)}\0{font.name}\0"
        digest.update(names.encode() + hashlib.sha256(font.read_bytes()).digest())
    return digest.hexdigest()


@dataclass(frozen=True)
class Letter:
    """A character in a font, raised from the base line by so many pixels."""

    character: str
    font: Any
    rise: float = 0.0


def text_mask(text: str, font: Any, gap: float) -> np.ndarray:
    """Draw a text and return its ink, uint8 (H, W), as tight as it is; ``gap`` is added after each
    letter, in pixels.

    Height and width are at least 1; a text without ink gives one empty pixel.
    """
    if gap:
        return letters_mask([Letter(character, font) for character in text], gap)
    length = float(font.getlength(text))
    image, draw, base = _canvas(length, [font])
    draw.text((base[0], base[1]), text, font=font, fill=255, anchor="ls")
    return _tight(image)


def letters_mask(letters: Sequence[Letter], gap: float) -> np.ndarray:
    """Draw letters one beside another, on one base line, and return their ink as `text_mask`
    does.
    """
    steps = [0.0]
    for letter in letters:
        advance = letter.font.getlength(letter.character) + gap
        steps.append(steps[-1] + max(1.0, advance))
    image, draw, base = _canvas(steps[-1], [letter.font for letter in letters])
    for letter, step in zip(letters, steps):
        place = (base[0] + step, base[1] - letter.rise)
        draw.text(place, letter.character, font=letter.font, fill=255, anchor="ls")
    return _tight(image)


def _canvas(length: float, fonts: Sequence[Any]) -> Tuple[Any, Any, Tuple[int, int]]:
    """Return an empty image for a text of this length, what draws on it, and where its base line
    begins.
    """
    from PIL import Image, ImageDraw

    # Slanted and swash letters reach beyond their advance, and beyond their line.
    side = max(int(font.size) for font in fonts)
    ascent = max(font.getmetrics()[0] for font in fonts)
    descent = max(font.getmetrics()[1] for font in fonts)
    image = Image.new("L", (max(1, int(length)) + 2 * side, ascent + descent + 2 * side))
    return image, ImageDraw.Draw(image), (side, side + ascent)


def _tight(image: Any) -> np.ndarray:
    return np.asarray(image.crop(image.getbbox() or (0, 0, 1, 1)))


@dataclass(frozen=True)
class Families:
    """Fonts by family, and which families are plain faces as signs have them."""

    members: Sequence[Sequence[Path]]
    weights: Sequence[float]
    plain: Sequence[Sequence[Path]]

    def draw(self, rng: random.Random, *, plain: bool) -> Path:
        """Draw a font: a family by its weight, then one of its files; a plain one where asked for
        and there is any.
        """
        if plain and self.plain:
            return rng.choice(rng.choice(self.plain))
        return rng.choice(rng.choices(self.members, self.weights)[0])


def families(fonts: Sequence[Path]) -> Families:
    """Return the fonts by family. A family's weight is the square root of how many fonts it has:
    one of forty is more often on a sign than one of a single font, not forty times as often.
    """
    found: Dict[str, List[Path]] = {}
    for font in fonts:
        found.setdefault(_known_by(font), []).append(font)
    plain = []
    for name, files in found.items():
        if name.startswith(PLAIN_FAMILIES):
            plain.append([file for file in files if not _is_ornate(file)])
    members = list(found.values())
    weights = [math.sqrt(len(files)) for files in members]
    return Families(members, weights, list(filter(None, plain)))


def _is_ornate(file: Path) -> bool:
    return any(mark in file.name for mark in _NOT_PLAIN)


def _balanced(fonts: Sequence[Path]) -> List[Path]:
    """Return at most so many of each family, spread over its files."""
    by_family: Dict[Optional[str], List[Path]] = {}
    for font in fonts:
        by_family.setdefault(family(font), []).append(font)
    chosen: Set[Path] = set()
    for members in by_family.values():
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
