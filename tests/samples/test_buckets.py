"""Rows of several widths to batches: each once, of one width, and none waits for long."""

from __future__ import annotations

import collections
from dataclasses import replace
from typing import Dict, Iterable, Iterator, List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.batch import Batch, Problem
from crnn.samples.buckets import WAITING, Row, bucketed
from crnn.spec import ModelSpec
from crnn.widths import Widths

SPEC = replace(ModelSpec.default(), height=2, width=4, widths=Widths(list=(2, 4, 6, 9)))
GONE = Problem("missing image")


def row(position: int, width: int) -> Row:
    """A row whose pixels tell its position; without image where the width is 0."""
    if not width:
        return Row(position, f"k{position}", None, GONE)
    pixels = np.full((1, 2, width), position % 251, dtype=np.uint8)
    return Row(position, f"k{position}", f"w{position}", pixels)


class Counted:
    """Rows, and how many of them were taken."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = rows
        self.newest = -1

    def __iter__(self) -> Iterator[Row]:
        for each in self.rows:
            self.newest = each.position
            yield each


@given(st.lists(st.sampled_from([0, 2, 2, 2, 4, 6, 9]), max_size=200), st.integers(1, 7))
def test_each_row_is_in_one_batch_of_its_width(widths: List[int], size: int) -> None:
    given_out: Dict[int, int] = {}
    for batch in bucketed([row(*each) for each in enumerate(widths)], SPEC, size):
        assert batch.positions is not None
        assert len(batch.images) <= size
        assert len(batch.keys) == len(batch.labels) == len(batch.positions)
        assert batch.keys == [f"k{position}" for position in batch.positions]
        readable = [batch.positions[each] for each in batch.readable]
        assert readable == sorted(readable)
        for position, image in zip(readable, batch.images):
            assert image.shape == (1, 2, batch.width) == (1, 2, widths[position])
            np.testing.assert_array_equal(image, SPEC.table[row(position, 2).image][0, 0, 0])
        for each, problem in batch.problems.items():
            assert problem is GONE
            assert widths[batch.positions[each]] == 0
        for position in batch.positions:
            given_out[position] = given_out.get(position, 0) + 1
        assert set(range(batch.settled)) <= set(given_out)
    assert given_out == dict.fromkeys(range(len(widths)), 1)


@given(st.lists(st.sampled_from([0, 2, 4, 6, 9]), max_size=300), st.integers(1, 5))
def test_no_row_waits_while_more_than_eight_batches_come(widths: List[int], size: int) -> None:
    rows = Counted([row(*each) for each in enumerate(widths)])
    settled = 0
    for batch in bucketed(rows, SPEC, size):
        settled = max(settled, batch.settled)
        assert rows.newest - settled <= WAITING * size
        assert len(batch.keys) <= (WAITING + 1) * size
    assert settled == len(widths)


def test_a_rare_width_does_not_wait_for_its_batch_to_be_full() -> None:
    widths = [9] + [2] * 1000
    found = list(bucketed([row(*each) for each in enumerate(widths)], SPEC, 4))
    rare = [number for number, batch in enumerate(found) if batch.width == 9]
    assert rare == [WAITING]
    assert {len(batch.images) for batch in found if batch.width == 2} == {4}


def test_batches_are_full_where_the_widths_are_common() -> None:
    widths = [2, 4] * 200
    found = list(bucketed([row(*each) for each in enumerate(widths)], SPEC, 8))
    assert [len(batch.images) for batch in found] == [8] * 50


def test_the_rest_comes_bucket_by_bucket_the_oldest_first() -> None:
    found = list(bucketed([row(*each) for each in enumerate([6, 2, 6, 2, 9])], SPEC, 8))
    assert [(batch.width, batch.positions) for batch in found] == [
        (6, [0, 2]),
        (2, [1, 3]),
        (9, [4]),
    ]
    assert [batch.settled for batch in found] == [1, 4, 5]


def test_rows_without_image_alone_are_given_out() -> None:
    found = list(bucketed([row(position, 0) for position in range(100)], SPEC, 2))
    assert [len(batch.images) for batch in found] == [0] * len(found)
    assert max(len(batch.keys) for batch in found) <= WAITING * 2 + 1
    assert found[0].images.shape[1:] == (1, 2, 4)


def test_views_of_a_word_stay_together_until_all_have_come() -> None:
    def view(position: int, width: int, name: str, *, last: bool) -> Row:
        return replace(row(position, width), view=name, last=last)

    rows = [
        view(0, 2, "plain", last=False),
        view(0, 4, "wide", last=True),
        view(1, 2, "plain", last=False),
        view(1, 4, "wide", last=True),
    ]
    found: List[Batch] = list(bucketed(rows, SPEC, 2))
    assert [(batch.views, batch.positions) for batch in found] == [
        (["plain", "plain"], [0, 1]),
        (["wide", "wide"], [0, 1]),
    ]
    assert [batch.settled for batch in found] == [0, 2]
    # A word whose next view has not come is not settled, even where nothing waits.
    assert [batch.settled for batch in bucketed(rows, SPEC, 1)] == [0, 1, 1, 2]


def test_remarks_are_given_out_once() -> None:
    rows = [replace(row(position, 2), remarks=("odd",)) for position in range(5)]
    remarks: collections.Counter[str] = collections.Counter()
    for batch in bucketed(rows, SPEC, 2):
        remarks.update(batch.remarks)
    assert remarks == {"odd": 5}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_type_is_the_models(dtype: str) -> None:
    [batch] = bucketed([row(3, 4)], SPEC, 2, dtype=dtype)
    assert batch.images.dtype == dtype
    expected = np.full((1, 1, 2, 4), 3, dtype=np.uint8)
    if dtype == "float32":
        expected = SPEC.table[expected]
    np.testing.assert_array_equal(batch.images, expected)


def test_a_model_of_one_width_names_none() -> None:
    one = replace(SPEC, widths=None)
    [batch] = bucketed([row(0, 4)], one, 2)
    assert batch.width is None
    assert batch.positions == [0]
