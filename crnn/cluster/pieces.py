"""What workers make of a range of words each, a file a range, until the command joins them.

A file is there whole or not at all, so a range is done when its file is there. It holds entries: a
line of JSON, whose ``bytes`` says how many bytes follow it; the last line is `END`.
"""

from __future__ import annotations

import contextlib
import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import (
    Any,
    Collection,
    Dict,
    Generator,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Sequence,
)

from crnn.batch import Problem
from crnn.errors import InputError
from crnn.files import atomic_file
from crnn.jobs.run_folder import Shard
from crnn.leftovers import Process
from crnn.samples.bins import Range

END = b"end\n"


class Entry(NamedTuple):
    """Some words: plain data for JSON, and bytes."""

    about: Dict[str, Any]
    data: bytes


class Pieces:
    """A folder of them, of words ``begin`` to before ``count``.

    Args:
        path: The folder; the files stand in ``shards`` in it.
        count: The words of the whole.
        size: The words of a piece, but for the last.
        begin: The words that are not asked for, since they are there already.
    """

    def __init__(self, path: Path, count: int, size: int, begin: int = 0) -> None:
        self.path = path
        self._begin = begin
        self._count = count
        self.shards: List[Shard] = []
        for number, first in enumerate(range(0, count, size)):
            self.shards.append(Shard(number, first, min(first + size, count)))

    def file(self, shard: Shard) -> Path:
        """Return where a piece is once it is whole."""
        return self.path / "shards" / f"{shard.begin:09d}-{shard.end:09d}"

    def wanted(self) -> List[Shard]:
        """Return the pieces of what is asked for."""
        return [shard for shard in self.shards if shard.end > self._begin]

    def unfinished(self) -> List[Shard]:
        """Return the pieces that are asked for and are not there."""
        names = {entry.name for entry in (self.path / "shards").iterdir()}
        return [shard for shard in self.wanted() if self.file(shard).name not in names]

    def words_done(self) -> int:
        """Return how many words are there."""
        return self._count - sum(shard.end - shard.begin for shard in self.unfinished())

    def kept_of(self, shard: Shard) -> int:
        """Return how many words of an unfinished piece are kept: none."""
        return 0

    def void(self, dead: Collection[Process]) -> None:
        """Do nothing: nobody claims a piece."""

    def write(self, shard: Shard, entries: Iterable[Entry]) -> None:
        """Write a piece, whole or not at all.

        Args:
            shard: Which one.
            entries: What it holds.

        Raises:
            InputError: It cannot be written.
        """
        with atomic_file(self.file(shard)) as file:
            for about, data in entries:
                line = json.dumps({**about, "bytes": len(data)})
                file.write(line.encode("ascii") + b"\n" + data)
            file.write(END)
            file.flush()
            os.fsync(file.fileno())

    def read(self, shard: Shard) -> Iterator[Entry]:
        """Yield what a piece holds.

        Args:
            shard: Which one.

        Yields:
            Its entries, in their order.

        Raises:
            InputError: It is not whole.
        """
        path = self.file(shard)
        with path.open("rb") as file:
            while True:
                line = file.readline()
                if line == END:
                    return
                try:
                    about = json.loads(line)
                    count = about.pop("bytes")
                except (ValueError, AttributeError, KeyError) as error:
                    raise _not_whole(path) from error
                data = file.read(count)
                if len(data) != count:
                    raise _not_whole(path)
                yield Entry(about, data)


class PieceReader(ABC):
    """Makes pieces; see `crnn.cluster.order.Reader`."""

    def __init__(self, made: Pieces) -> None:
        self.run = made

    def read(
        self,
        wanted: Sequence[Shard],
        passed: Mapping[int, Problem],
        given_up: Mapping[str, str],
    ) -> None:
        """Make the pieces, but for the words that are passed over."""
        for shard in wanted:
            places = range(shard.begin, shard.end)
            with contextlib.closing(self._entries(places, passed)) as entries:
                self.run.write(shard, entries)

    @abstractmethod
    def _entries(
        self, places: range, passed: Mapping[int, Problem]
    ) -> Generator[Entry, None, None]:
        """Yield what is made of the words at some places."""

    @abstractmethod
    def attempt(self, words: Sequence[Range]) -> None:
        """Make some words and forget them."""

    def notes(self) -> Sequence[str]:
        """Return nothing: the command tells of the words when it joins them."""
        return ()


def _not_whole(path: Path) -> InputError:
    return InputError(
        f"{path} is not whole", hint="Remove it, and start the same command again: it is made anew."
    )
