"""Rows of several widths to batches of one width each, in memory that does not grow.

Each width has a bucket, which becomes a batch when it is full. A row may wait while at most eight
batches' worth of words have come after its own; then its bucket becomes a batch as it is, so that
neither rows nor the readings that are put back into data order (`crnn.scoring.order`) pile up.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, replace
from typing import Counter, Dict, Iterable, Iterator, List, Optional, Sequence, Union

import numpy as np

from crnn.batch import Batch, Problem, Span
from crnn.spec import ModelSpec

WAITING = 8
"""The most batches of words that wait."""


@dataclass(frozen=True)
class Row:
    """An image on its way to a model, or why there is none.

    ``image`` is (C, H, W), pixels (uint8) or what the model takes. ``position`` is the word's place
    in the data, from 0, and never goes back. Several rows may have one: they are views of the word,
    each with its name, and the ``last`` one says so. ``remarks`` (`crnn.image.REMARKS`) are said
    with one row of a word. ``span`` is where the image lies in its picture, where that is asked.
    After the row that ``ends``, nothing waits.
    """

    position: int
    key: str
    label: Optional[str]
    image: Union[np.ndarray, Problem]
    remarks: Sequence[str] = ()
    view: Optional[str] = None
    last: bool = True
    span: Optional[Span] = None
    ends: bool = False


def bucketed(
    rows: Iterable[Row], spec: ModelSpec, size: int, *, dtype: Union[str, np.dtype] = "float32"
) -> Iterator[Batch]:
    """Make batches of rows.

    Args:
        rows: In the order of their positions.
        spec: Normalises pixels where ``dtype`` is another type.
        size: The readable images of a full batch.
        dtype: The images' type.

    Yields:
        Batches of one width each, with the rows' positions. A row without image is in the next
        batch, whichever that is.
    """
    buckets = _Buckets(spec, size, np.dtype(dtype))
    for row in rows:
        yield from buckets.add(row)
    yield from buckets.rest()


class _Bucket:
    """The rows of one width that wait; the images stand in an array that grows no more."""

    def __init__(self, shape: Sequence[int], dtype: np.dtype) -> None:
        self.rows: List[Row] = []
        self.images: np.ndarray = np.empty(shape, dtype=dtype)

    def add(self, row: Row, spec: ModelSpec) -> None:
        assert isinstance(row.image, np.ndarray)
        place = self.images[len(self.rows)]
        if row.image.dtype == np.uint8 and place.dtype == np.float32:
            spec.normalise(row.image, out=place)
        else:
            place[:] = row.image
        # The array has the pixels now.
        self.rows.append(replace(row, image=place, remarks=()))


class _Buckets:
    def __init__(self, spec: ModelSpec, size: int, dtype: np.dtype) -> None:
        self._spec = spec
        self._size = size
        self._dtype = dtype
        self._buckets: Dict[int, _Bucket] = {}
        self._faults: List[Row] = []
        self._remarks: Counter[str] = collections.Counter()
        self._next = 0
        """The first position of which rows may still come."""

    def add(self, row: Row) -> Iterator[Batch]:
        """Take a row, and give what must not wait any longer."""
        self._remarks.update(row.remarks)
        self._next = row.position + int(row.last)
        if isinstance(row.image, Problem):
            self._faults.append(row)
        else:
            width = row.image.shape[2]
            if width not in self._buckets:
                self._buckets[width] = _Bucket((self._size, *row.image.shape), self._dtype)
            self._buckets[width].add(row, self._spec)
            if len(self._buckets[width].rows) == self._size:
                yield self._batch(width)
        while self._oldest() <= row.position - WAITING * self._size:
            yield self._batch(self._oldest_width())
        if row.ends:
            yield from self.rest()

    def rest(self) -> Iterator[Batch]:
        """Give what is left, the bucket that has waited longest first."""
        while self._buckets or self._faults:
            yield self._batch(self._oldest_width())

    def _oldest(self) -> int:
        """Return the first position that waits; the next one where none does."""
        waiting = [bucket.rows[0].position for bucket in self._buckets.values()]
        if self._faults:
            waiting.append(self._faults[0].position)
        return min(waiting, default=self._next)

    def _oldest_width(self) -> Optional[int]:
        """Return the width of the bucket that has waited longest; None where only faults wait."""
        oldest: Optional[int] = None
        first = -1
        for width, bucket in self._buckets.items():
            position = bucket.rows[0].position
            if oldest is None or position < first:
                oldest, first = width, position
        return oldest

    def _batch(self, width: Optional[int]) -> Batch:
        faults, self._faults = self._faults, []
        remarks, self._remarks = self._remarks, collections.Counter()
        rows: List[Row] = []
        images: np.ndarray = np.empty((0, *self._spec.image_shape), dtype=self._dtype)
        if width is not None:
            bucket = self._buckets.pop(width)
            rows = bucket.rows
            images = bucket.images[: len(rows)]
        problems: Dict[int, Problem] = {}
        for number, fault in enumerate(faults, len(rows)):
            assert isinstance(fault.image, Problem)
            problems[number] = fault.image
        rows = [*rows, *faults]
        views: Optional[List[str]] = None
        if any(row.view is not None for row in rows):
            views = [row.view or "" for row in rows]
        columns = None
        if self._spec.widths is not None:
            columns = width
        return Batch(
            keys=[row.key for row in rows],
            labels=[row.label for row in rows],
            images=images,
            problems=problems,
            remarks=remarks,
            positions=[row.position for row in rows],
            settled=min(self._next, self._oldest()),
            views=views,
            spans=_spans(rows),
            width=columns,
        )


def _spans(rows: Sequence[Row]) -> Optional[List[Optional[Span]]]:
    spans = [row.span for row in rows]
    if spans.count(None) == len(spans):
        return None
    return spans
