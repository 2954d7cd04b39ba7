"""Readings of batches of several widths, back in data order; of several views of a word the one
that is the most probable.
"""

from __future__ import annotations

import dataclasses
from typing import Dict, List, Sequence, Tuple

from crnn.batch import Batch
from crnn.scoring.rows import Row
from crnn.views import PLAIN


class DataOrder:
    """Keeps rows until all rows before them are there; its memory is that of the words that wait
    (`crnn.samples.buckets`).
    """

    def __init__(self) -> None:
        self._waiting: Dict[int, Row] = {}
        self._next = 0

    @property
    def waits(self) -> bool:
        """Whether a row is kept until others come."""
        return bool(self._waiting)

    def add(self, batch: Batch, rows: Sequence[Row]) -> List[Row]:
        """Take what came of a batch.

        Args:
            batch: Has the rows' positions.
            rows: One for each row of the batch.

        Returns:
            The rows that are complete, one for each position, in data order.
        """
        assert batch.positions is not None
        for position, row in zip(batch.positions, rows):
            other = self._waiting.get(position)
            if other is not None:
                row = _better(other, row)
            self._waiting[position] = row
        complete: List[Row] = []
        for position in range(self._next, batch.settled):
            # A position that no row has, as of a sample that does not count, is passed over.
            row_there = self._waiting.pop(position, None)
            if row_there is not None:
                complete.append(row_there)
        self._next = max(self._next, batch.settled)
        return complete


def _better(first: Row, second: Row) -> Row:
    """Return the row of higher worth; of equals, whichever came first, the word as it is, then by
    name. A row without a problem goes before others.

    It knows then whether all views so far gave its text.
    """
    if second.problem is not None:
        return first
    if first.problem is not None:
        return second
    kept = first
    if (second.worth, _rank(first)) > (first.worth, _rank(second)):
        kept = second
    agree = first.reading.views_agree is not False and first.reading.text == second.reading.text
    return dataclasses.replace(kept, reading=dataclasses.replace(kept.reading, views_agree=agree))


def _rank(row: Row) -> Tuple[bool, str]:
    name = row.reading.view or ""
    return name != PLAIN, name
