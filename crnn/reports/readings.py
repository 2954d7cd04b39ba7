"""Readings as a file: an object a line (JSON Lines), or CSV (RFC 4180) where its name ends so."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import IO, Any, Iterable, List, Sequence

from crnn.reports.result_json import COLUMNS, SEPARATORS, SIMULATED, reading_line
from crnn.results import Reading


class ReadingsWriter:
    """Writes readings in the form that a file's name asks for.

    Args:
        file: Where to, open for bytes.
        path: The file's own name.
        simulated: Whether the Ascend simulator ran the model; each line then says so.
        more: Fields of a reading that a CSV has too, after its own columns.
    """

    def __init__(
        self, file: IO[bytes], path: Path, *, simulated: bool, more: Sequence[str] = ()
    ) -> None:
        self._file = file
        self._separator = SEPARATORS.get(path.suffix.lower())
        self._simulated = simulated
        self._more = more
        if self._separator is not None:
            columns: List[Any] = [*COLUMNS, *more]
            if simulated:
                columns.append(SIMULATED)
            self._write([columns])

    def add(self, readings: Iterable[Reading]) -> None:
        """Write some readings.

        Args:
            readings: The next ones in data order.
        """
        if self._separator is None:
            lines = [reading_line(reading, simulated=self._simulated) for reading in readings]
            self._file.write("".join(lines).encode("utf-8"))
            return
        rows: List[List[Any]] = []
        for reading in readings:
            row = [reading.key, reading.label, reading.text, reading.confidence]
            row.extend(_cell(getattr(reading, name)) for name in self._more)
            if self._simulated:
                row.append("true")
            rows.append(row)
        self._write(rows)

    def _write(self, rows: Sequence[Sequence[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text, delimiter=self._separator or ",").writerows(rows)
        # A name in another encoding is not text; what stands for its bytes is written as such.
        self._file.write(text.getvalue().encode("utf-8", errors="backslashreplace"))


def _cell(value: Any) -> Any:
    """Return a value as a CSV spells it."""
    if isinstance(value, bool):
        return str(value).lower()
    return value
