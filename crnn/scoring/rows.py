"""Rows that are looked at one by one: of several widths or views, of a threshold, written down."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Optional, Sequence

from crnn.batch import Batch, Problem
from crnn.results import Reading


@dataclass(frozen=True)
class Row:
    """What came of a row: its reading, and why it is wrong whatever its text is.

    ``truth`` is the label as it is compared; ``steps`` are the time steps that the row was read
    in, None where they are those of the spec. ``worth`` tells which of a word's views is kept: the
    one with most.
    """

    reading: Reading
    truth: Optional[str]
    problem: Optional[Problem]
    steps: Optional[int] = None
    worth: float = 0.0


class KeptReadings:
    """Readings that were written down, each made when it is asked for.

    Args:
        texts: What was read of each row.
        entries: A row's fields, each as ``reading`` takes them.
        reading: Makes a reading of an entry.
    """

    def __init__(
        self, texts: Sequence[str], entries: Sequence[Any], reading: Callable[[Any], Reading]
    ) -> None:
        self.texts = texts
        self._entries = entries
        self._reading = reading

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, row: int) -> Reading:
        return self._reading(self._entries[row])

    def __iter__(self) -> Iterator[Reading]:
        return map(self._reading, self._entries)


def judged(reading: Reading, threshold: float) -> Reading:
    """Return a reading that says whether it is rejected.

    Args:
        reading: With its probability; None where there was nothing to read.
        threshold: The least probability that is kept.

    Returns:
        The same reading with ``rejected``.
    """
    sure = reading.probability is not None and reading.probability >= threshold
    return dataclasses.replace(reading, rejected=not sure)


def of_row(reading: Reading, batch: Batch, row: int) -> Reading:
    """Return a reading with the width and the view of its row, where the batch has them.

    Args:
        reading: What was read of the row.
        batch: The samples.
        row: The row's number, from 0.

    Returns:
        The reading with them; the same where the batch has none.
    """
    if batch.width is None and batch.views is None:
        return reading
    view = None
    if batch.views is not None:
        view = batch.views[row]
    return dataclasses.replace(reading, width=batch.width, view=view)


def worth_of(reading: Reading) -> float:
    """Return by what one view of a word is kept before another.

    Args:
        reading: What was read in a view.

    Returns:
        The text's probability where it is known, else that of its best path.
    """
    if reading.probability is not None:
        return reading.probability
    return reading.confidence or 0.0
