"""Columns of millions of values: the same values wherever they stand, and no memory for them."""

from __future__ import annotations

import resource
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from crnn.samples.columns import Column, are_among, ascend, pieces

COUNT = 100_000


def column_of(count: int) -> np.ndarray:
    column = Column("q")
    for number in range(count):
        column.append(number * 3)
    return column.values()


@pytest.mark.parametrize("count", [0, 1, 16_383, 16_384, 16_385, COUNT])
def test_the_values_are_those_that_were_added(count: int) -> None:
    values = column_of(count)
    assert values.dtype == np.int64
    np.testing.assert_array_equal(values, np.arange(count) * 3)
    np.testing.assert_array_equal(np.concatenate([values[:0], *pieces(values)]), values)


def test_bytes_are_added_by_the_piece() -> None:
    column = Column("B")
    text = "".join(f"{number}é" for number in range(COUNT))
    for begin in range(0, len(text), 7):
        column.extend(text[begin : begin + 7].encode())
    assert column.values().tobytes().decode() == text


def test_many_values_take_no_memory() -> None:
    tracemalloc.start()
    try:
        values = column_of(COUNT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(values) == COUNT
    assert peak < 3 * COUNT  # all of them would be eight bytes each


def test_values_are_put_in_order_where_they_stand() -> None:
    column = Column("q")
    for number in range(COUNT, 0, -1):
        column.append(number)
    values = column.values()
    values.sort()
    np.testing.assert_array_equal(values, np.arange(1, COUNT + 1))


def test_without_a_place_for_a_file_values_stay_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    np.testing.assert_array_equal(column_of(COUNT), np.arange(COUNT) * 3)


@pytest.mark.parametrize("room", [1000, 200_000])
def test_on_a_full_disk_values_come_back_into_memory(room: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        values = column_of(COUNT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    np.testing.assert_array_equal(values, np.arange(COUNT) * 3)


@pytest.mark.parametrize("place", [1, 16_383, 16_384, 16_385, COUNT - 1])
def test_one_value_out_of_order_is_seen_wherever_it_is(place: int) -> None:
    values = np.arange(COUNT)
    assert ascend(values)
    values[place] = values[place - 1]
    assert not ascend(values)


def test_values_are_looked_for_in_another_column() -> None:
    ascending = np.array([2, 4, 8])
    found = are_among(np.array([1, 2, 3, 8, 9]), ascending)
    assert found.tolist() == [False, True, False, True, False]
    assert are_among(np.array([1, 2]), ascending[:0]).tolist() == [False, False]
