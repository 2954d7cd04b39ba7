"""SynthText in the wild: ``gt.mat`` with the corners of each word of each scene."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Iterator, List

import numpy as np

from crnn.batch import Problem
from crnn.datasets.matfile import cells, text, texts, variables
from crnn.datasets.options import ConvertOptions, locate
from crnn.datasets.pictures import BAD_LINE, Box, Dropped, Item, Picture, PictureSource, Tag
from crnn.errors import InputError
from crnn.python37 import prod

NAMES = {"train": ("gt.mat",)}
_VARIABLES = ("imnames", "wordBB", "txt")


def read(source: Path, options: ConvertOptions) -> PictureSource:
    """Stream ``imnames``, ``wordBB`` (2, 4, words) and ``txt`` side by side; characters' boxes are
    passed over.

    A word's crop is the smallest upright rectangle of whole pixels around its four corners.
    """
    annotation, root = locate(source, options, NAMES, "SynthText's gt.mat", default="train")
    found = {variable.name: variable for variable in variables(annotation)}
    missing = [name for name in _VARIABLES if name not in found]
    if missing:
        raise InputError(
            f"{annotation} holds no {', '.join(missing)}; it holds {', '.join(found) or 'nothing'}"
        )
    counts = [prod(found[name].dims) for name in _VARIABLES]
    if len(set(counts)) != 1:
        raise InputError(
            f"{annotation}: {', '.join(_VARIABLES)} hold {counts} scenes; expected as many each"
        )
    return PictureSource(root, _items(*(cells(annotation, name) for name in _VARIABLES)))


def _items(names: Iterator[Any], boxes: Iterator[Any], lines: Iterator[Any]) -> Iterator[Item]:
    for number, (name, corners, line) in enumerate(zip(names, boxes, lines), start=1):
        try:
            # A line of text may hold several words, padded with spaces and broken by newlines.
            words = [word for part in texts(line) for word in part.split()]
            found = _boxes(corners)
            if len(words) != len(found):
                raise ValueError(f"{len(words)} words and {len(found)} boxes")
            yield Picture(text(name), [Tag(word, box) for word, box in zip(words, found)])
        except ValueError as error:
            yield Dropped(f"scene {number}", Problem(BAD_LINE, str(error)[:200]))


def _boxes(corners: Any) -> List[Box]:
    if not isinstance(corners, np.ndarray):
        raise ValueError(f"{type(corners).__name__} for corners; expected numbers")
    array = corners
    if array.ndim == 2:  # MATLAB drops a last axis of one word
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[:2] != (2, 4):
        raise ValueError(f"corners of shape {array.shape}; expected (2, 4, words)")
    return [_rectangle(array[0, :, word], array[1, :, word]) for word in range(array.shape[2])]


def _rectangle(x: np.ndarray, y: np.ndarray) -> Box:
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return (math.nan,) * 4
    return (math.floor(x.min()), math.floor(y.min()), math.ceil(x.max()), math.ceil(y.max()))
