"""Records as a table: all of them, in groups, and few of them held at a time."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any, Dict, Iterator

import pytest

from crnn.reports.parquet import GROUP, write_table

parquet = pytest.importorskip("pyarrow.parquet", reason="no pyarrow here")


def records(count: int) -> Iterator[Dict[str, Any]]:
    for number in range(count):
        record: Dict[str, Any] = {"key": f"test_{number}", "path": "bins", "text": "é" * 3}
        record["confidence"] = number / count
        if number == count - 1:
            record["width"] = 80
        yield record


@pytest.mark.parametrize("count", [0, 1, 511, 513, GROUP, 2 * GROUP + 700])
def test_the_table_has_each_record_in_its_place(count: int) -> None:
    file = io.BytesIO()
    write_table(file, lambda: records(count))
    table = parquet.ParquetFile(file)
    groups = [table.metadata.row_group(at).num_rows for at in range(table.num_row_groups)]
    assert sum(groups) == count
    assert all(rows == GROUP for rows in groups[:-1])
    expected = [{**dict.fromkeys(table.schema.names), **record} for record in records(count)]
    assert table.read().to_pylist() == expected


def test_hardly_any_record_is_held() -> None:
    write_table(io.BytesIO(), lambda: records(10))  # what is imported is not the records'
    count = 3 * GROUP
    tracemalloc.start()
    try:
        write_table(io.BytesIO(), lambda: records(count))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 90 * count  # a group of them would be more than that
