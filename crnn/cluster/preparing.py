"""``crnn prepare`` on a cluster: workers decode and write bins, the command writes labels, info and
packs.
"""

from __future__ import annotations

import array
import contextlib
import functools
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Generator, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from crnn.batch import Problem
from crnn.cluster.drive import ClusterOptions, Progress, drive
from crnn.cluster.order import Kept, Reader
from crnn.cluster.pieces import Entry, PieceReader, Pieces
from crnn.jobs.prepare import BinDecoder, Elsewhere, Written
from crnn.jobs.run_folder import make_folder
from crnn.leftovers import PART, locked, temporary_folder
from crnn.samples.batches import by_threads, pieces
from crnn.samples.bins import Range

_Piece = Tuple[List[int], Tuple[List[Written], np.ndarray]]

_AHEAD = 256
"""Words that a worker's threads work on in advance."""
_CHUNK = 128
"""Words that are decoded at a time."""
_MOST = 128
"""The most chunks of words in a piece; a pack's pixels stand in it."""
_MANY = 256
"""Into so many pieces a data set is cut that is neither small nor large."""


def piece_size(count: int) -> int:
    """Return the words of a piece.

    >>> [piece_size(count) for count in (100, 1_000_000, 1_000_000_000)]
    [128, 3968, 16384]

    Args:
        count: The words of the whole.

    Returns:
        Whole chunks, not very few and not very many.
    """
    chunks = -(-count // (_MANY * _CHUNK))
    return _CHUNK * max(1, min(_MOST, chunks))


def prepare_on(
    cluster: ClusterOptions, out: str, progress: Progress, note: Callable[[str], None]
) -> Elsewhere:
    """Return what has words decoded on a cluster, as `crnn.jobs.prepare.prepare` takes it.

    Args:
        cluster: The cluster.
        out: Where the bins are to stand: what waits for its joining does so beside.
        progress: Shows how far it is.
        note: Gets what a user should be told.

    Returns:
        A function of a decoder, which yields what became of the words once all are decoded.
    """

    def decode(decoder: BinDecoder) -> Generator[_Piece, None, None]:
        # Counting them also tells the source which numbers are missing.
        count = sum(1 for _ in decoder.source.numbers())
        size = piece_size(count)
        folder = temporary_folder(Path(out).resolve().parent, PART)
        try:
            make_folder(folder / "shards")
            made = Pieces(folder, count, size)
            with locked(folder):
                drive(
                    PrepareJob(made, pickle.dumps(decoder)),
                    cluster,
                    chips=False,
                    count=count,
                    size=size,
                    batch=1,
                    progress=progress,
                    note=note,
                    kept="Nothing was changed.",
                )
                yield from joined(made)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return decode


def joined(made: Pieces) -> Iterator[_Piece]:
    """Yield what became of the words of finished pieces.

    Args:
        made: The pieces.

    Yields:
        Numbers, and what a decoder has returned for them, in the data's order.
    """
    for shard in made.shards:
        for about, data in made.read(shard):
            written = [_written_of(each) for each in about["written"]]
            numbers = [each[0] for each in written]
            yield numbers, (written, np.frombuffer(data, dtype=np.uint8))


def _plain(written: Written) -> List[Any]:
    number, label, widths, notes = written
    named = [[key, problem.reason, problem.detail] for key, problem in notes]
    return [number, label, list(widths), named]


def _written_of(plain: Sequence[Any]) -> Written:
    number, label, widths, named = plain
    return number, label, widths, [(key, Problem(*why)) for key, *why in named]


@dataclass(frozen=True)
class PrepareJob:
    """Words to decode: ``decoder`` is a pickled `crnn.jobs.prepare.BinDecoder`, since the data's
    paths begin in the folder of the command.
    """

    pieces: Pieces
    decoder: bytes

    @property
    def folder(self) -> Path:
        """See `crnn.cluster.order.Job`."""
        return self.pieces.path

    def kept(self, count: int, size: int, batch: int) -> Kept:
        """See `crnn.cluster.order.Job`."""
        return self.pieces

    @contextlib.contextmanager
    def open(self, device: str, threads: Optional[int]) -> Iterator[Reader]:
        """See `crnn.cluster.order.Job`."""
        decoder = pickle.loads(self.decoder)  # noqa: S301  of the command that ordered this
        yield _Preparing(decoder, self.pieces, threads or 1)
        decoder.source.close()


class _Preparing(PieceReader):
    def __init__(self, decoder: BinDecoder, made: Pieces, threads: int) -> None:
        super().__init__(made)
        self._decoder = decoder
        self._numbers = array.array("q", decoder.source.numbers())
        self._threads = threads

    def _entries(
        self, places: range, passed: Mapping[int, Problem]
    ) -> Generator[Entry, None, None]:
        decode = functools.partial(self._decoded, passed)
        chunks = pieces(places, _CHUNK)
        with contextlib.closing(by_threads(chunks, decode, self._threads, ahead=_AHEAD)) as decoded:
            for _, (written, pixels) in decoded:
                about = {"written": [_plain(each) for each in written]}
                yield Entry(about, pixels.tobytes())

    def _decoded(
        self, passed: Mapping[int, Problem], places: Sequence[int]
    ) -> Tuple[List[Written], np.ndarray]:
        """Decode some words, but for those that are passed over."""
        if passed.keys().isdisjoint(places):
            return self._decoder([self._numbers[place] for place in places])
        written: List[Written] = []
        pixels: List[np.ndarray] = []
        for place in places:
            number = self._numbers[place]
            if place in passed:
                written.append(self._decoder.passed_over(number, passed[place]))
                continue
            alone, values = self._decoder([number])
            written += alone
            pixels.append(values)
        return written, np.concatenate(pixels or [np.empty(0, dtype=np.uint8)])

    def attempt(self, words: Sequence[Range]) -> None:
        for begin, end in words:
            for places in pieces(range(begin, end), _CHUNK):
                self._decoder([self._numbers[place] for place in places])
