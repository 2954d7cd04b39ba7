"""A folder of images with an annotation file, for what reads no LMDB."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import IO, Callable, Iterator, Mapping, Sequence

from crnn.errors import InputError
from crnn.files import atomic_folder
from crnn.samples.lexicons import encode_lexicons
from crnn.samples.lmdb_writer import require_free

ANNOTATION = "annotation.txt"
IMAGES = "images"
LEXICONS = "lexicons.txt"
WHOLE_LEXICON = "lexicon.txt"

FORMS: Mapping[str, Callable[[str, str], str]] = {
    "comma": lambda name, label: f"{name},{label}",
    "tab": lambda name, label: f"{name}\t{label}",
    "space": lambda name, label: f"{name} {label}",
    "quoted": lambda name, label: '{}, "{}"'.format(
        name, label.replace("\\", "\\\\").replace('"', '\\"')
    ),
}
"""How a line of the annotation is written; `crnn.samples.annotations` reads each back."""

_SUFFIXES = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8", ".jpg"),
    (b"BM", ".bmp"),
    (b"GIF8", ".gif"),
    (b"RIFF", ".webp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"P4", ".pbm"),
    (b"P5", ".pgm"),
    (b"P6", ".ppm"),
)


class FolderWriter:
    """Writes ``images/word_000000001.png`` and so on, and the annotation that names them relative
    to the folder.

    The lexicon of the whole set is ``lexicon.txt``, a word a line; samples' are ``lexicons.txt``,
    in the form that ``--lexicons`` reads (of several, the largest).
    """

    def __init__(
        self, folder: Path, annotation: IO[bytes], lexicons: IO[bytes], form: str = "comma"
    ) -> None:
        self._folder, self._annotation, self._lexicons = folder, annotation, lexicons
        self._line = FORMS[form]
        self.count = 0

    def add(self, image: bytes, label: str, lexicons: Sequence[Sequence[str]] = ()) -> int:
        """Write an image as it is, with a suffix by its content."""
        self.count += 1
        name = f"word_{self.count:09d}{suffix_of(image)}"
        (self._folder / IMAGES / name).write_bytes(image)
        self._annotation.write(f"{self._line(f'{IMAGES}/{name}', label)}\n".encode())
        words = encode_lexicons([max(lexicons, key=len, default=())])
        if words:
            self._lexicons.write(b"word_%09d\t%s\n" % (self.count, words))
        return self.count

    def set_lexicon(self, words: Sequence[str]) -> None:
        """Write the lexicon of the whole data set."""
        (self._folder / WHOLE_LEXICON).write_bytes("".join(f"{word}\n" for word in words).encode())

    def finish(self) -> None:
        """Write out what is still held back."""
        self._annotation.flush()
        self._lexicons.flush()


@contextlib.contextmanager
def new_folder(path: Path, *, form: str = "comma", force: bool = False) -> Iterator[FolderWriter]:
    """Give a writer whose folder stands at ``path`` when the block ends well; after an exception
    nothing new is left.

    Raises `InputError` where something else stands at ``path``.
    """
    if form not in FORMS:
        raise InputError(
            f"{form!r} is not a form that can be written; expected one of {', '.join(FORMS)}"
        )
    require_free(path, force=force, inside=(ANNOTATION, IMAGES, LEXICONS, WHOLE_LEXICON))
    with atomic_folder(path) as folder:
        (folder / IMAGES).mkdir()
        with open(folder / ANNOTATION, "wb") as annotation, open(
            folder / LEXICONS, "wb"
        ) as lexicons:
            yield FolderWriter(folder, annotation, lexicons, form)
        if not (folder / LEXICONS).stat().st_size:
            (folder / LEXICONS).unlink()


def suffix_of(image: bytes) -> str:
    """Return the suffix that an encoded image's first bytes call for; ``.img`` for none known."""
    return next((suffix for mark, suffix in _SUFFIXES if image.startswith(mark)), ".img")
