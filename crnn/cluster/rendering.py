"""``crnn dataset synth`` on a cluster: workers render pieces, the command joins them."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Generator, Iterator, List, Mapping, Optional, Sequence, Tuple

from crnn.batch import Problem
from crnn.cluster.drive import ClusterOptions, Progress, drive
from crnn.cluster.order import Kept, Reader
from crnn.cluster.pieces import Entry, PieceReader, Pieces
from crnn.errors import InputError, UnavailableError
from crnn.jobs.run_folder import make_folder
from crnn.samples.bins import Range

SIZE = 250
"""The words of a piece: some seconds of a processor."""
MOST = 4000
"""More pieces than that are made larger."""
PROOF = 20
"""So many words are rendered by each worker at first, to see whether they are the command's."""
_ENTRY = 50
"""Words that are rendered before they are written."""

_Word = Tuple[bytes, str]


def piece_size(count: int) -> int:
    """Return the words of a piece.

    >>> piece_size(1000), piece_size(10_000_000)
    (250, 2500)

    Args:
        count: The words of the whole.

    Returns:
        At least `SIZE`.
    """
    return max(SIZE, -(-count // MOST))


def render_on(
    cluster: ClusterOptions, progress: Progress, note: Callable[[str], None]
) -> Callable[[Any, Path, int, int], Generator[_Word, None, None]]:
    """Return what renders words on a cluster, as `crnn.datasets.synth.generate.generate` takes it.

    Args:
        cluster: The cluster.
        progress: Shows how far it is.
        note: Gets what a user should be told.

    Returns:
        A function of renderer, folder for the pieces, first word to render and last one, which
        yields images and labels once all are rendered.
    """

    def render(renderer: Any, folder: Path, first: int, last: int) -> Generator[_Word, None, None]:
        begin = first - 1
        size = piece_size(last)
        pieces = Pieces(folder, last, size, begin)
        make_folder(folder / "shards")
        if pieces.unfinished():
            drive(
                RenderJob(pieces, renderer, proof(renderer)),
                cluster,
                chips=False,
                count=last,
                size=size,
                batch=1,
                progress=progress,
                note=note,
                kept="What was rendered is kept: the same command goes on with it.",
            )
        return words_of(pieces, begin)

    return render


def words_of(pieces: Pieces, begin: int) -> Generator[_Word, None, None]:
    """Yield the words of finished pieces.

    Args:
        pieces: The pieces.
        begin: The words that are not asked for.

    Yields:
        Image and label of each other word, in their order.
    """
    for shard in pieces.wanted():
        place = shard.begin
        for about, data in pieces.read(shard):
            at = 0
            for label, size in zip(about["labels"], about["sizes"]):
                if place >= begin:
                    yield data[at : at + size], label
                at += size
                place += 1


def proof(renderer: Any) -> str:
    """Return a digest of all that decides the words, and of the first ones as they look here.

    Args:
        renderer: A `crnn.datasets.synth.render.Renderer`.

    Returns:
        Equal on machines whose words are: fonts, OpenCV and FreeType have a part in them.
    """
    import cv2

    # As the workers render.
    cv2.setNumThreads(1)
    digest = hashlib.sha256(renderer.fingerprint().encode("ascii"))
    for image, label in _rendered(renderer, range(PROOF)):
        digest.update(image + label.encode("utf-8") + b"\0")
    return digest.hexdigest()


def _rendered(renderer: Any, places: range) -> List[_Word]:
    """Render words by their places, from 0."""
    words = []
    for place in places:
        sample = renderer.sample(place + 1)
        words.append((sample.image, sample.label))
    return words


@dataclass(frozen=True)
class RenderJob:
    """Words to render; ``proof`` is the command's."""

    pieces: Pieces
    renderer: Any
    proof: str

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
        try:
            there = proof(self.renderer)
        except OSError as error:
            raise InputError(
                f"{socket.gethostname()}: {error.filename or 'a font'}: {error.strerror}",
                hint="All machines need the fonts at the same place: --fonts, in a shared folder.",
            ) from error
        if there != self.proof:
            raise InputError(
                f"{socket.gethostname()} renders other words than this machine: its fonts, OpenCV"
                " or FreeType are other ones",
                hint="Install the same on all machines, and the fonts too, or name a shared folder"
                " of them: --fonts.",
            )
        yield _Rendering(self.renderer, self.pieces)


class _Rendering(PieceReader):
    def __init__(self, renderer: Any, made: Pieces) -> None:
        super().__init__(made)
        self._renderer = renderer

    def _entries(
        self, places: range, passed: Mapping[int, Problem]
    ) -> Generator[Entry, None, None]:
        ending = [place for place in places if place in passed]
        if ending:
            raise UnavailableError(
                f"every worker that renders word {ending[0] + 1} has ended",
                hint="Is there memory enough for so many workers on one machine?",
            )
        for first in range(0, len(places), _ENTRY):
            words = _rendered(self._renderer, places[first : first + _ENTRY])
            labels = [label for _, label in words]
            sizes = [len(image) for image, _ in words]
            yield Entry({"labels": labels, "sizes": sizes}, b"".join(image for image, _ in words))

    def attempt(self, words: Sequence[Range]) -> None:
        for begin, end in words:
            _rendered(self._renderer, range(begin, end))
