"""Batches of which nothing is asked but to be counted: their readings are made on demand."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping, NamedTuple, Optional, Sequence, Union

from crnn.batch import Batch, Problem
from crnn.decoding.decoder import Decoded
from crnn.results import Reading


def is_plain(batch: Batch) -> bool:
    """Say whether a batch's rows are a word each, all read at the model's one width.

    Args:
        batch: The samples.

    Returns:
        False where the batch has positions, widths or views of its own.
    """
    return batch.positions is None and batch.width is None and batch.views is None


class Readings:
    """The readings of a batch's rows, each made when it is asked for: most are only counted.

    Args:
        batch: The samples.
        decoded: What was read of the columns of logits.
        columns: The column of each row that was read.
        confidences: Those of the rows that have one.
    """

    def __init__(
        self,
        batch: Batch,
        decoded: Decoded,
        columns: Mapping[int, int],
        confidences: Mapping[int, float],
    ) -> None:
        self.texts: Sequence[str] = decoded.texts
        """What was read of each row; "" of one that could not be read."""
        if len(columns) < len(batch.keys):
            texts = [""] * len(batch.keys)
            for row, column in columns.items():
                texts[row] = decoded.texts[column]
            self.texts = texts
        self._keys, self._labels = batch.keys, batch.labels
        self._decoded = decoded
        self._columns = columns
        self.confidences = confidences
        """Those of the rows that have one; none where nobody asked, or nothing was read."""

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, row: int) -> Reading:
        key, label = self._keys[row], self._labels[row]
        column = self._columns.get(row)
        if column is None:
            return Reading(key, "", None, label)
        return self._decoded.reading(column, key, self.confidences.get(row), label)

    def __iter__(self) -> Iterator[Reading]:
        return map(self.__getitem__, range(len(self._keys)))

    @property
    def bare(self) -> bool:
        """Whether nothing is known of a reading but its text and its confidence."""
        decoded = self._decoded
        more = (decoded.probabilities, decoded.posteriors, decoded.alternatives, decoded.characters)
        return all(field is None for field in more)


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


class PlainRows(NamedTuple):
    """A batch's rows, of which nothing is asked but to be counted.

    ``problems`` says of some why they are wrong whatever their texts are.
    """

    keys: Sequence[str]
    labels: Sequence[Optional[str]]
    readings: Union[Readings, KeptReadings]
    problems: Mapping[int, Problem]
