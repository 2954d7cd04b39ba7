"""Words of one kind to records, as they are read."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Callable, Generator, Iterable, Iterator, List, Optional

from crnn.errors import InputError
from crnn.jobs.reading import read_words
from crnn.recognizer import Recognizer
from crnn.reports.records import Record
from crnn.samples.unlabelled import BINS, IMAGES, Words
from crnn.scoring.rows import Row

Told = Callable[[InputError], None]


def records_of(
    recognizer: Recognizer, words: Words, *, workers: Optional[int], unreadable: Told
) -> Generator[List[Record], None, None]:
    """Read words, and give a record of each.

    Args:
        recognizer: The model.
        words: What is to be read.
        workers: Threads or processes that decode; None for all usable processors.
        unreadable: Gets the error of an image that the user has named and that cannot be read; it
            has no record.

    Yields:
        The records in the words' order, some at a time.

    Raises:
        InputError: What holds the words cannot be read.
    """
    if words.kind == IMAGES and words.named:
        for reading in recognizer.read_each(words.paths, on_error=unreadable):
            yield [Record(reading, reading.key, simulated=recognizer.simulated)]
        return
    unlabelled = words.kind == BINS and Path(words.paths[0]).is_dir()
    with contextlib.closing(read_words(recognizer.opened, words, workers=workers)) as groups:
        for rows in groups:
            if unlabelled:
                # What stands in the place of labels is empty.
                rows = [_without_label(row) for row in rows]
            yield list(as_records(rows, words.holder, simulated=recognizer.simulated))


def as_records(
    rows: Iterable[Row], holder: Optional[str], *, simulated: bool = False
) -> Iterator[Record]:
    """Return what came of words as records.

    Args:
        rows: What came of them.
        holder: The path of what holds them; None where each is a file of its own.
        simulated: Whether the Ascend simulator ran the model.

    Yields:
        A record each.
    """
    for row in rows:
        path = holder or row.reading.key
        yield Record(row.reading, path, row.problem, simulated)


def _without_label(row: Row) -> Row:
    return dataclasses.replace(row, reading=dataclasses.replace(row.reading, label=None))
