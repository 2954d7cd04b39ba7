"""What becomes of a label: how it is folded, what of it a model can spell, and why it cannot.

The phrases are the one vocabulary of reasons about labels. They are data: JSON files count by them,
so that one fault has one name in all of them.
"""

from __future__ import annotations

import re
from typing import Container, List, Optional, Sequence

NO_LABEL = "no label"
EMPTY_LABEL = "empty label"
LINE_BREAK = "line break in label"
OUTSIDE = "label outside the alphabet"
TOO_LONG = "label too long"
"""Longer than the model's time steps can spell, see `steps`."""

DROPPED = f"{OUTSIDE}: dropped"
STRIPPED = f"{OUTSIDE}: characters stripped"

OF_LABELS = frozenset([NO_LABEL, EMPTY_LABEL, LINE_BREAK, OUTSIDE, TOO_LONG, DROPPED, STRIPPED])
"""The reasons that lie in a label; all others lie in an image or in what a model gave."""

_LINE_BREAKS = re.compile(r"\r\n|\r|\n")


def fold(label: str, *, folds_case: bool) -> str:
    """Return a label as it is compared with what a model reads.

    Args:
        label: The label as the data set holds it.
        folds_case: Whether the model reads no capitals, so that case does not count.

    Returns:
        The label in lower case where case is folded, else the label.
    """
    if folds_case:
        return label.lower()
    return label


def fold_all(labels: Sequence[Optional[str]], *, folds_case: bool) -> Sequence[Optional[str]]:
    """Return labels as `fold` returns each.

    Args:
        labels: The labels as the data set holds them; None where there is none.
        folds_case: Whether the model reads no capitals.

    Returns:
        As many, None where there is none.
    """
    if not folds_case:
        return labels
    folded: List[Optional[str]] = []
    for label in labels:
        if label is None:
            folded.append(None)
        else:
            folded.append(label.lower())
    return folded


def outside(label: str, characters: Container[str]) -> str:
    """Return the characters of a label that a model cannot read.

    Args:
        label: The label, folded.
        characters: The alphabet's characters; a set where there are many labels.

    Returns:
        Each of them once, in the order of the label; "" where there are none.
    """
    found = (character for character in label if character not in characters)
    return "".join(dict.fromkeys(found))


def strip(label: str, characters: Container[str]) -> str:
    """Return a label without the characters that a model cannot read.

    Args:
        label: The label, folded.
        characters: The alphabet's characters; a set where there are many labels.

    Returns:
        What is left, in its order; "" where that is nothing.
    """
    return "".join(character for character in label if character in characters)


def one_line(label: str) -> str:
    r"""Return a label with a space for each line break: in a label file it would begin a new line.

    Args:
        label: The label as the data set holds it.

    Returns:
        The label without ``\n`` and ``\r``; the pair ``\r\n`` is one line break.
    """
    return _LINE_BREAKS.sub(" ", label)


def repeats(label: str) -> int:
    """Return how many characters of a label are the same as the one before them.

    Args:
        label: The label, folded.

    Returns:
        A number from 0 to one less than the label's length.
    """
    pairs = zip(label, label[1:])
    return sum(first == second for first, second in pairs)


def steps(label: str) -> int:
    """Return the time steps that CTC needs to spell a label.

    One for each character, and one for the blank between two equal neighbours (Graves et al.,
    "Connectionist Temporal Classification", ICML 2006, section 3).

    Args:
        label: The label, folded.

    Returns:
        The number of time steps; 0 for an empty label.
    """
    return len(label) + repeats(label)
