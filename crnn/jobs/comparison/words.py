"""What a side gives, word by word, and the words that all sides have."""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from crnn.errors import InputError


class Word(NamedTuple):
    """What a side read of a word.

    ``logits`` are (T, K), None where the side does not have them or they are not finite; ``image``
    is what the model took, (C, H, W), None where nobody asked for it.
    """

    key: str
    label: Optional[str]
    text: str
    logits: Optional[np.ndarray] = None
    image: Optional[np.ndarray] = None


Row = List[Optional[Word]]
"""A word of each side, None of a side that does not have it."""
WAITING = 4096
"""The most words that wait with their logits; beyond, sides that are so far out of step are
compared by their texts alone.
"""


def joined(sides: Sequence[Iterator[Word]], names: Sequence[str]) -> Iterator[Row]:
    """Put the words of several sides together by their keys.

    Sides over the same data have their words in the same order; only what is out of step waits.

    Args:
        sides: The words of each.
        names: The sides' names, for errors.

    Yields:
        A row for each word; those that not all sides have come last.

    Raises:
        InputError: A key stands twice in a side.
    """
    waiting: Dict[str, Row] = {}
    going = dict(enumerate(sides))
    while going:
        for number in list(going):
            word = next(going[number], None)
            if word is None:
                del going[number]
                continue
            row = waiting.setdefault(word.key, [None] * len(sides))
            if row[number] is not None:
                raise InputError(f"{names[number]}: the key {word.key!r} stands twice")
            if len(waiting) > WAITING:
                word = word._replace(logits=None, image=None)
            row[number] = word
            if None not in row:
                yield waiting.pop(word.key)
    yield from waiting.values()
