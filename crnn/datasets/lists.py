"""Sources that are a list of images with their labels:

ICDAR 2013 and 2015, TSV, and folders of any making.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Iterator, List, Optional

from crnn.batch import Problem
from crnn.datasets.options import ConvertOptions, locate
from crnn.datasets.pictures import BAD_LINE, Dropped, Item, Picture, PictureSource, Tag
from crnn.errors import InputError, UsageError
from crnn.files import natural_key
from crnn.samples.annotations import (
    CSV,
    IMAGE_SUFFIXES,
    AnnotationFile,
    BadLine,
    ListOptions,
)
from crnn.samples.classes import ClassNumbers
from crnn.samples.folders import Tails, find_annotation
from crnn.samples.tables import SUFFIXES

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
    "text": re.compile(r"(.+)_[^_]*\.[^.]+\Z", re.DOTALL),
    "stem": re.compile(r"(.+)\.[^.]+\Z", re.DOTALL),
}
"""Where a file's name holds the label: after the last ``_`` (SVT's crops), between the first and
the last (Synth90k's ``115_Lube_45484.jpg``), before the last (TextRecognitionDataGenerator's
``hello_0.png``), or all of it but the suffix.
"""


def read_ic13(source: Path, options: ConvertOptions) -> PictureSource:
    r"""Read ICDAR 2013 word recognition:

    lines ``name, "label"``, ``\"`` for a quote, with or without BOM and CR.
    """
    annotation, root = locate(source, options, IC13_NAMES, "ICDAR 2013's gt.txt")
    return _listed(root, annotation, options, "quoted")


def read_ic15(source: Path, options: ConvertOptions) -> PictureSource:
    """Read ICDAR 2015 word recognition, in the form of 2013's."""
    annotation, root = locate(source, options, IC15_NAMES, "ICDAR 2015's gt.txt")
    return _listed(root, annotation, options, "quoted")


def read_tsv(source: Path, options: ConvertOptions) -> PictureSource:
    """Read lines of a name, a tab and a label, as CSV where the file's name ends so; ``source`` is
    the file, or a folder with one text file.
    """
    if options.annotation is None and source.is_dir():
        annotation, root = find_annotation(source), options.images or source
    else:
        what = "a file of names and labels, with tabs between"
        annotation, root = locate(source, options, {}, what)
    form = "tab"
    if annotation.suffix.lower() in SUFFIXES:
        form = CSV
    return _listed(root, annotation, options, form)


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
    return _listed(root, annotation or find_annotation(source), options, None)


def _listed(
    root: Path, annotation: Path, options: ConvertOptions, form: Optional[str]
) -> PictureSource:
    """Return the images of a list; ``form`` is that of its lines where the user names none."""
    said = ListOptions(options.form or form, options.columns, options.encoding)
    file = AnnotationFile(annotation, said)
    classes = None
    if options.classes is not None and options.classes != Path("none"):
        classes = ClassNumbers.read(options.classes)
    elif options.classes is None:
        _refuse_numbers(file)
    notes = list(file.notes)
    return PictureSource(root, _lines(file, Tails(root), classes, notes), notes=notes)


def _refuse_numbers(file: AnnotationFile) -> None:
    """Refuse a list whose labels are class numbers: nothing says what they stand for."""
    entries = (entry for entry in file if not isinstance(entry, BadLine))
    first = next(entries, None)
    if first is None:
        return
    labels = itertools.chain([first.label], (entry.label for entry in entries))
    if ClassNumbers.are(labels):
        raise ClassNumbers.refused(file.path, first.label)


def _lines(
    file: AnnotationFile, tails: Tails, classes: Optional[ClassNumbers], notes: List[str]
) -> Iterator[Item]:
    for entry in file:
        if isinstance(entry, BadLine):
            yield _bad_line(file, entry.line, f"{entry.text[:80]!r}: {entry.why}")
            continue
        label = entry.label
        if classes is not None:
            try:
                label = classes.text(label)
            except ValueError as error:
                yield _bad_line(file, entry.line, f"{label[:80]!r}: {error}")
                continue
        yield Picture(tails.name(entry.name), (Tag(label),))
    notes.extend(tails.notes)


def _bad_line(file: AnnotationFile, line: int, why: str) -> Dropped:
    return Dropped(f"{file.path.name} line {line}", Problem(BAD_LINE, why))


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
