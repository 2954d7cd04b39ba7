"""Words as they come: each is read as soon as it is there, those that have come meanwhile with it.

One thread waits for words and decodes them, this one runs the model: a word on its own waits for
nobody, and a stream of them fills batches.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import Iterator, List, Optional, Tuple, Union

from crnn.batch import Sample
from crnn.jobs.reading import Opened, Session
from crnn.samples.buckets import WAITING, Row
from crnn.scoring.rows import Row as ReadRow

_END = None
_Message = Union[Tuple[Sample, List[Row]], BaseException, None]


@dataclass(frozen=True)
class Came:
    """Some words that came, and what came of each."""

    samples: List[Sample]
    rows: List[ReadRow]


def read_as_they_come(
    opened: Opened, samples: Iterator[Sample], *, max_wait: float = 0.0
) -> Iterator[Came]:
    """Read samples as they come.

    Args:
        opened: The model.
        samples: Waited for, and decoded, in a thread of their own, which is left to itself where
            this is ended before they are.
        max_wait: Seconds that a word may wait for others to fill its batch.

    Yields:
        The words in their order, in groups: those that were there together.
    """
    session = Session(opened)
    feed = _Feed(session, samples, room=WAITING * opened.batch)
    most = opened.batch
    if opened.runner.spec.widths is not None:
        # They are dealt out to batches by their widths.
        most = WAITING * opened.batch
    while True:
        taken = feed.take(most, opened.batch, max_wait)
        if not taken:
            return
        rows = [row for _, decoded in taken for row in decoded]
        yield Came([sample for sample, _ in taken], list(session.read(rows)))


class _Feed:
    """Samples that wait, decoded; an exception of theirs is raised where they are taken."""

    def __init__(self, session: Session, samples: Iterator[Sample], room: int) -> None:
        self._session = session
        self._samples = samples
        self._waiting: queue.Queue[_Message] = queue.Queue(maxsize=room)
        self._ended = False
        # Nothing ends a wait for a pipe but what comes through it.
        threading.Thread(target=self._fetch, name="crnn-feed", daemon=True).start()

    def take(self, most: int, enough: int, patience: float) -> List[Tuple[Sample, List[Row]]]:
        """Return what is there, at least one sample; none at the end."""
        taken: List[Tuple[Sample, List[Row]]] = []
        until = 0.0
        while len(taken) < most and not self._ended:
            wait: Optional[float] = None
            if len(taken) == 1 and not until:
                until = time.monotonic() + patience
            if taken:
                wait = until - time.monotonic()
                if len(taken) >= enough:
                    wait = 0.0
            try:
                message = self._next(wait)
            except queue.Empty:
                break
            if message is _END:
                self._ended = True
            elif isinstance(message, BaseException):
                raise message
            else:
                taken.append(message)
        return taken

    def _next(self, wait: Optional[float]) -> _Message:
        if wait is None:
            return self._waiting.get()
        if wait <= 0:
            return self._waiting.get_nowait()
        return self._waiting.get(timeout=wait)

    def _fetch(self) -> None:
        # A thread boundary: whatever goes wrong here is to be raised where the words are wanted.
        try:
            for sample in self._samples:
                self._waiting.put((sample, self._session.decoded(sample)))
            self._waiting.put(_END)
        except BaseException as error:  # noqa: BLE001
            self._waiting.put(error)
