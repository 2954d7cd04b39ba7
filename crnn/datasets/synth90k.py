"""Synth90k (MJSynth):

``annotation_*.txt`` of ``path index`` with ``lexicon.txt``, or lists of ``path word``.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from crnn.batch import Problem
from crnn.datasets.options import ConvertOptions, locate, read_lexicon
from crnn.datasets.pictures import BAD_LINE, Dropped, Item, Picture, PictureSource, Tag
from crnn.errors import InputError
from crnn.files import utf8_lines

WHAT = "Synth90k's annotation file"
NAMES = {
    "train": ("annotation_train.txt", "shuffle_labels.txt", "label.txt"),
    "val": ("annotation_val.txt",),
    "test": ("annotation_test.txt",),
    "all": ("annotation.txt",),
}


ARCHIVE = Path("mnt/ramdisk/max/90kDICT32px")
"""Where the published archive keeps its images, below the folder that it was unpacked in."""


def read(source: Path, options: ConvertOptions) -> PictureSource:
    """Stream the annotation file. The lexicon is the file named, or ``lexicon.txt`` beside the
    annotation.

    It is not repeated in the LMDB: it is the vocabulary, not a help in reading. The folder may be
    the one that the archive was unpacked in, with lists beside ``mnt`` or without.
    """
    try:
        annotation, root = locate(source, options, NAMES, WHAT, default="train")
    except InputError:
        if not (source / ARCHIVE).is_dir():
            raise
        annotation, root = locate(source / ARCHIVE, options, NAMES, WHAT, default="train")
    if options.images is None:
        root = _images_of(annotation, root)
    return PictureSource(root, _items(annotation, _words(annotation, options.lexicon)))


def _images_of(annotation: Path, root: Path) -> Path:
    """Return the folder that the first image of a list is in: the list's, or the archive's."""
    for name, word, _ in _fields(annotation):
        if word is None:
            continue
        if not (root / name).exists() and (root / ARCHIVE / name).exists():
            return root / ARCHIVE
        break
    return root


def _words(annotation: Path, lexicon: Optional[Path]) -> Optional[List[str]]:
    """Return the lexicon if the annotation's second column points into it, else None."""
    head = [
        fields for fields in itertools.islice(_fields(annotation), 1000) if fields[1] is not None
    ]
    path = lexicon or annotation.parent / "lexicon.txt"
    indices = bool(head) and all(word is not None and _is_index(word) for _, word, _ in head)
    if not indices:
        return None
    if not path.is_file():
        raise InputError(
            f"{annotation} holds indices, and there is no {path} to look them up in",
            hint="Name the file of words, one a line, with --lexicon FILE.",
        )
    return read_lexicon(path)


def _items(annotation: Path, words: Optional[List[str]]) -> Iterator[Item]:
    for name, word, number in _fields(annotation):
        label = _label(word, words)
        if label is None:
            why = f"{(name + ' ' + (word or ''))[:80]!r}: expected a path and {_expected(words)}"
            yield Dropped(f"{annotation.name} line {number}", Problem(BAD_LINE, why))
        else:
            yield Picture(name, (Tag(label),))


def _label(word: Optional[str], words: Optional[List[str]]) -> Optional[str]:
    if word is None or words is None:
        return word
    if _is_index(word) and int(word) < len(words):
        return words[int(word)]
    return None


def _expected(words: Optional[List[str]]) -> str:
    if words is None:
        return "a word"
    return f"an index from 0 to {len(words) - 1}"


def _is_index(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 10


def _fields(annotation: Path) -> Iterator[Tuple[str, Optional[str], int]]:
    """Yield path, second field or None for a line that is not two fields of UTF-8, and line
    number.
    """
    for number, line, raw in utf8_lines(annotation):
        if line is None:
            yield repr(raw[:80]), None, number
            continue
        fields = line.split()
        word = None
        if len(fields) == 2:
            word = fields[1]
        if fields:
            yield fields[0], word, number
