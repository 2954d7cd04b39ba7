"""Where records go: lines of text, JSON Lines, files; each counts what could not be read."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Sequence

from crnn.batch import ProblemCounts
from crnn.errors import UsageError
from crnn.files import atomic_file, json_text, require_target
from crnn.python37 import Protocol
from crnn.reports.records import Record, record_dict
from crnn.reports.result_json import reading_dict

LINES, TABLE = ".jsonl", ".parquet"


class Out(Protocol):
    """Takes records."""

    def add(self, records: Sequence[Record]) -> None:
        """Take the next ones."""


class Console(Protocol):
    """Where lines are printed (`crnn.cli.console`)."""

    def out(self, text: str) -> None:
        """Print a line of the result."""

    def note(self, text: str) -> None:
        """Print a sentence that is not the result."""

    def out_json_lines(self, values: Sequence[Any]) -> None:
        """Print JSON Lines, and write them out."""


class TextLines:
    """A line of text for each word; what could not be read is said beside them.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def add(self, records: Sequence[Record]) -> None:
        """See `Out`."""
        for record in records:
            if record.problem is None:
                self._console.out(_line(record))
            else:
                detail = record.problem.detail
                self._console.note(f"{_named(record)}: {record.problem.reason}: {detail}")


class JsonLines:
    """An object a line, on its way at once.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def add(self, records: Sequence[Record]) -> None:
        """See `Out`."""
        self._console.out_json_lines([record_dict(record) for record in records])


class LineFile:
    """An object a line, in a file.

    Args:
        file: Open for bytes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, records: Sequence[Record]) -> None:
        """See `Out`."""
        lines = [json_text(record_dict(record)) + "\n" for record in records]
        self._file.write("".join(lines).encode("utf-8"))


class Collected:
    """Keeps readings for the one JSON of ``--json``."""

    def __init__(self) -> None:
        self.readings: List[Dict[str, Any]] = []
        self.problems: List[Dict[str, Any]] = []

    def add(self, records: Sequence[Record]) -> None:
        """See `Out`."""
        for record in records:
            data = reading_dict(record.reading)
            if record.path != record.reading.key:
                data["path"] = record.path
            if record.problem is None:
                self.readings.append(data)
            else:
                data = {key: data[key] for key in ("key", "path") if key in data}
                data["reason"], data["detail"] = record.problem.reason, record.problem.detail
                self.problems.append(data)

    def result(self, *, simulated: bool) -> Dict[str, Any]:
        """Return the JSON, ``crnn-readings/1``."""
        data: Dict[str, Any] = {
            "schema": "crnn-readings/1",
            "readings": self.readings,
            "simulated": simulated,
        }
        if self.problems:
            data["problems"] = self.problems
        return data


class Counted:
    """Counts records, and gives them on.

    Args:
        outs: Where to.
    """

    def __init__(self, outs: Sequence[Out]) -> None:
        self._outs = outs
        self.words = 0
        self.problems = ProblemCounts()

    @property
    def unreadable(self) -> int:
        """How many words could not be read."""
        return sum(self.problems.counts.values())

    def add(self, records: Sequence[Record]) -> None:
        """See `Out`."""
        self.words += len(records)
        for record in records:
            if record.problem is not None:
                self.problems.add(_named(record), record.problem)
        for out in self._outs:
            out.add(records)


def require_file_out(path: Path) -> None:
    """Refuse a file that records cannot be written into, before any are made.

    Args:
        path: As for `file_out`.

    Raises:
        UsageError: The name ends otherwise.
        UnavailableError: There is no pyarrow, which writes tables.
        InputError: The file cannot be written.
    """
    require_target(path)
    suffix = path.suffix.lower()
    if suffix not in (LINES, TABLE):
        raise UsageError(f"--out {path}: expected a name that ends in {LINES} or {TABLE}")
    if suffix == TABLE:
        from crnn.reports.parquet import require_writer

        require_writer()


@contextlib.contextmanager
def file_out(path: Path) -> Iterator[Out]:
    """Write records into a file that appears whole or not at all.

    Args:
        path: ``FILE.jsonl``, or ``FILE.parquet``: a table, made of the records at the end.

    Yields:
        What takes the records.

    Raises:
        UsageError: The name ends otherwise.
        UnavailableError: There is no pyarrow, which writes tables.
        InputError: The file cannot be written.
    """
    require_file_out(path)
    if path.suffix.lower() == LINES:
        with atomic_file(path) as file:
            yield LineFile(file)
        return
    from crnn.reports.parquet import write_table

    with tempfile.TemporaryFile(dir=os.fspath(path.resolve().parent)) as kept:
        yield LineFile(kept)
        with atomic_file(path) as file:
            write_table(file, lambda: _lines_of(kept))


def _lines_of(file: IO[bytes]) -> Iterator[Dict[str, Any]]:
    file.seek(0)
    for line in file:
        yield json.loads(line)


def _named(record: Record) -> str:
    """Return a word's name for people: its path, and its name in what holds it."""
    if record.reading.key in ("", record.path):
        return record.path
    return f"{record.path}/{record.reading.key}"


def _line(record: Record) -> str:
    """Return path, text and confidence; where asked for, the probability and the verdict too."""
    reading = record.reading
    # A tab would be taken for the end of its column.
    name, text = (part.replace("\t", "\\t") for part in (_named(record), reading.text))
    parts = [name, text, f"{reading.confidence:.4f}"]
    if reading.probability is not None:
        parts.append(f"{reading.probability:.4f}")
    if reading.rejected is not None:
        verdict = "kept"
        if reading.rejected:
            verdict = "rejected"
        parts.append(verdict)
    return "\t".join(parts)
