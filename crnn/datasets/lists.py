"""Sources that are a list of images with their labels:

ICDAR 2013 and 2015, TSV, and folders of any making.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator, Optional

from crnn.batch import Problem
from crnn.datasets.options import ConvertOptions, locate
from crnn.datasets.pictures import BAD_LINE, Dropped, Item, Picture, PictureSource, Tag
from crnn.errors import InputError, UsageError
from crnn.files import natural_key
from crnn.samples.annotations import IMAGE_SUFFIXES, BadLine, scan_annotations
from crnn.samples.folders import find_annotation

IC13_NAMES = {
    "test": ("gt.txt", "Challenge2_Test_Task3_GT.txt", "test_gt.txt"),
    "train": ("gt.txt", "Challenge2_Training_Task3_GT.txt", "train_gt.txt"),
}
IC15_NAMES = {
    "test": ("gt.txt", "Challenge4_Test_Task3_GT.txt", "test_gt.txt"),
    "train": ("gt.txt", "Challenge4_Training_Task3_GT.txt", "train_gt.txt"),
}
LABELS_IN_NAMES = {
    "last": re.compile(r".*_([^_]+)\.[^.]+\Z", re.DOTALL),
    "middle": re.compile(r".*?_(.+)_[0-9]+\.[^.]+\Z", re.DOTALL),
    "stem": re.compile(r"(.+)\.[^.]+\Z", re.DOTALL),
}
"""Where a file's name holds the label: after the last ``_`` (SVT's crops), between the first and
the last (Synth90k's ``115_Lube_45484.jpg``), or all of it but the suffix.
"""


def read_ic13(source: Path, options: ConvertOptions) -> PictureSource:
    r"""Read ICDAR 2013 word recognition:

    lines ``name, "label"``, ``\"`` for a quote, with or without BOM and CR.
    """
    annotation, root = locate(source, options, IC13_NAMES, "ICDAR 2013's gt.txt")
    return PictureSource(root, _lines(annotation, options.form or "quoted"))


def read_ic15(source: Path, options: ConvertOptions) -> PictureSource:
    """Read ICDAR 2015 word recognition, in the form of 2013's."""
    annotation, root = locate(source, options, IC15_NAMES, "ICDAR 2015's gt.txt")
    return PictureSource(root, _lines(annotation, options.form or "quoted"))


def read_tsv(source: Path, options: ConvertOptions) -> PictureSource:
    """Read lines of a name, a tab and a label; ``source`` is the file, or a folder with one text
    file.
    """
    if options.annotation is None and source.is_dir():
        return PictureSource(
            options.images or source, _lines(find_annotation(source), options.form or "tab")
        )
    annotation, root = locate(source, options, {}, "a file of names and labels, with tabs between")
    return PictureSource(root, _lines(annotation, options.form or "tab"))


def read_folder(source: Path, options: ConvertOptions) -> PictureSource:
    """Read a folder of images with an annotation file in any known form, or with labels in the
    names.
    """
    root = options.images or (source if source.is_dir() else source.parent)
    if options.label_from_name is not None:
        if options.annotation is not None:
            raise UsageError(
                "--annotation and --label-from-name both say where the labels are; give one of them"
            )
        return PictureSource(root, _named(root, options.label_from_name))
    annotation = options.annotation or (source if source.is_file() else None)
    if annotation is None and not source.is_dir():
        raise InputError(
            f"{source} does not exist; expected a folder of images or its annotation file"
        )
    return PictureSource(root, _lines(annotation or find_annotation(source), options.form))


def _lines(annotation: Path, form: Optional[str]) -> Iterator[Item]:
    for entry in scan_annotations(annotation, form):
        if isinstance(entry, BadLine):
            yield Dropped(
                f"{annotation.name} line {entry.line}",
                Problem(BAD_LINE, f"{entry.text[:80]!r}: {entry.why}"),
            )
        else:
            yield Picture(entry.name, (Tag(entry.label),))


def _named(folder: Path, where: str) -> Iterator[Item]:
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder; expected a folder of images with labels in their names"
        )
    names = (
        entry.name for entry in folder.iterdir() if entry.name.lower().endswith(IMAGE_SUFFIXES)
    )
    for name in sorted(names, key=natural_key):
        match = LABELS_IN_NAMES[where].match(name)
        if match is None:
            yield Dropped(name, Problem(BAD_LINE, f"no label in the name ({where})"))
        else:
            yield Picture(name, (Tag(match.group(1)),))
