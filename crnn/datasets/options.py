"""What a user may say of a source, and where its annotation and images are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional, Sequence, Tuple

from crnn.errors import InputError
from crnn.filekind import refuse_lfs_pointer, require_file
from crnn.files import utf8_lines


@dataclass(frozen=True)
class ConvertOptions:
    """All that `convert` may be told besides kind and source; each converter's docstring says what
    it heeds.
    """

    split: Optional[str] = None
    annotation: Optional[Path] = None
    images: Optional[Path] = None
    form: Optional[str] = None
    label_from_name: Optional[str] = None
    lexicon: Optional[Path] = None
    lexicons: Optional[Path] = None
    alphabet: Optional[str] = None
    ord_map: Optional[Path] = None
    columns: Optional[Tuple[str, str]] = None
    encoding: Optional[str] = None
    classes: Optional[Path] = None


def locate(
    source: Path,
    options: ConvertOptions,
    names: Mapping[str, Sequence[str]],
    what: str,
    default: str = "test",
) -> Tuple[Path, Path]:
    """Return the annotation file and the folder that image names are relative to.

    ``source`` is the annotation file, or the folder that holds it under the first of
    ``names[split]``.
    """
    annotation = options.annotation
    if annotation is None and source.is_file():
        annotation = source
    if annotation is None:
        split = options.split or default
        if split not in names:
            raise InputError(
                f"there is no split {split!r} of {what}; expected one of {', '.join(names)}"
            )
        if not source.is_dir():
            raise InputError(
                f"{source} does not exist; expected {what}, or the folder that holds it"
            )
        annotation = next(
            (source / name for name in names[split] if (source / name).is_file()), None
        )
        if annotation is None:
            raise InputError(
                f"{source} holds none of {', '.join(names[split])}; expected {what}",
                hint="Name it with --annotation FILE, or choose another --split.",
            )
    require_file(annotation, what)
    refuse_lfs_pointer(annotation)
    return annotation, options.images or (source if source.is_dir() else annotation.parent)


def read_lexicon(path: Path) -> List[str]:
    """Return the lines of a file with a word a line, blank ones too, for an index into them is a
    line's number.
    """
    return [line.strip() for line in read_lines(path, "a lexicon, one word a line")]


def read_lines(path: Path, what: str) -> List[str]:
    """Return the lines of a text, which is ``what`` it was meant to be, without their ends."""
    require_file(path, what, stream=True)
    lines = []
    for number, line, raw in utf8_lines(path):
        if line is None:
            raise InputError(f"{path} is not UTF-8: line {number} is {raw[:80]!r}")
        lines.append(line.rstrip("\r"))
    return lines
