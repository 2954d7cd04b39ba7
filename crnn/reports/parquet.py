"""Records as a table: Apache Parquet, by pyarrow."""

from __future__ import annotations

import itertools
from typing import IO, Any, Callable, Dict, Iterator, Mapping

from crnn.errors import needs

GROUP = 1 << 13
"""Rows that are written together."""
_TAKEN = 1 << 9
"""Rows of them that are held as Python has them."""
_PAGE = 1 << 16
"""Bytes of a column that are compressed together; pyarrow's own 2**20 wait for each column."""


def require_writer() -> None:
    """Refuse to begin what cannot be written.

    Raises:
        UnavailableError: There is no pyarrow.
    """
    with needs("pyarrow", extra="parquet"):
        import pyarrow.parquet  # noqa: F401


def write_table(file: IO[bytes], records: Callable[[], Iterator[Mapping[str, Any]]]) -> None:
    """Write records as Parquet, those of a row group held at a time.

    Args:
        file: Where to, open for bytes.
        records: Gives the records (`crnn.reports.records.record_dict`), from the first one each
            time that it is called. The table has the columns that any of them has.

    Raises:
        UnavailableError: There is no pyarrow.
    """
    with needs("pyarrow", extra="parquet"):
        import pyarrow
        import pyarrow.parquet

    names: Dict[str, None] = dict.fromkeys(("key", "path", "text", "confidence"))
    for record in records():
        names.update(dict.fromkeys(record))
    known = _types(pyarrow)
    schema = pyarrow.schema([(name, known[name]) for name in names])
    rows = iter(records())
    taken = iter(lambda: list(itertools.islice(rows, _TAKEN)), [])
    batches = (pyarrow.RecordBatch.from_pylist(some, schema=schema) for some in taken)
    # Hardly a text or path comes again: a dictionary of them takes memory, and more of the disk.
    layout = {"use_dictionary": False, "data_page_size": _PAGE}
    with pyarrow.parquet.ParquetWriter(file, schema, **layout) as writer:
        for group in iter(lambda: list(itertools.islice(batches, GROUP // _TAKEN)), []):
            writer.write_table(pyarrow.Table.from_batches(group))


def _types(pyarrow: Any) -> Dict[str, Any]:
    """Return the type of each column."""
    text, number, flag = pyarrow.string(), pyarrow.float64(), pyarrow.bool_()
    alternative = pyarrow.struct([("text", text), ("probability", number)])
    place = pyarrow.int32()
    character = pyarrow.struct(
        [
            ("character", text),
            ("index", place),
            ("probability", number),
            ("first", place),
            ("last", place),
        ]
    )
    types: Dict[str, Any] = dict.fromkeys(
        ("key", "path", "path_b64", "text", "label", "view", "problem", "detail"), text
    )
    types.update(dict.fromkeys(("confidence", "probability", "posterior"), number))
    types.update(dict.fromkeys(("rejected", "views_agree", "simulated"), flag))
    types["width"] = place
    types["alternatives"] = pyarrow.list_(alternative)
    types["characters"] = pyarrow.list_(character)
    return types
