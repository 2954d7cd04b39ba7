"""IIIT 5K-Word:

``traindata.mat`` and ``testdata.mat``, or the case-sensitive ``trainCharBound.mat`` and its sister.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, Sequence, Tuple

from crnn.batch import Problem
from crnn.datasets.matfile import struct_rows, text, texts, variables
from crnn.datasets.options import ConvertOptions, locate, read_lexicon
from crnn.datasets.pictures import BAD_LINE, Dropped, Item, Picture, PictureSource, Tag
from crnn.errors import InputError

NAMES = {
    "test": ("testdata.mat", "testCharBound.mat"),
    "train": ("traindata.mat", "trainCharBound.mat"),
}
_LABELS = ("GroundTruth", "chars")
_LEXICONS = ("smallLexi", "mediumLexi")


def read(source: Path, options: ConvertOptions) -> PictureSource:
    """Read the split's ``.mat``, or the one named; the lexicon is the folder's ``lexicon.txt``."""
    annotation, root = locate(source, options, NAMES, "IIIT5K's testdata.mat or traindata.mat")
    variable, label = _struct_array(annotation)
    lexicon = root / "lexicon.txt"
    whole: Sequence[str] = ()
    if options.lexicon is None and lexicon.is_file():
        whole = read_lexicon(lexicon)
    return PictureSource(root, _items(annotation, variable, label), whole)


def _struct_array(path: Path) -> Tuple[str, str]:
    """Return the struct array with names and labels, whatever it is called, and the labels'
    field.
    """
    found = variables(path)
    for variable in found:
        label = next((field for field in _LABELS if field in variable.fields), None)
        if label and "ImgName" in variable.fields:
            return variable.name, label
    what = "; ".join(
        f"{variable.name} with {', '.join(variable.fields) or 'no fields'}" for variable in found
    )
    raise InputError(
        f"{path} holds no struct array with ImgName and one of {', '.join(_LABELS)}; it holds"
        f" {what or 'nothing'}"
    )


def _items(path: Path, variable: str, label: str) -> Iterator[Item]:
    shared: Dict[Tuple[str, ...], Tuple[str, ...]] = {}
    rows = struct_rows(path, variable, ("ImgName", label, *_LEXICONS))
    for number, (name, truth, *lexicons) in enumerate(rows, start=1):
        try:
            words = [texts(lexicon) for lexicon in lexicons if lexicon is not None]
            # The words of one scene share their lexicons.
            tag = Tag(
                text(truth),
                lexicons=tuple(shared.setdefault(lexicon, lexicon) for lexicon in words if lexicon),
            )
            yield Picture(text(name), (tag,))
        except ValueError as error:
            yield Dropped(f"element {number}", Problem(BAD_LINE, str(error)[:200]))
