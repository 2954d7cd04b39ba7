"""Batches through a runner: reading and inference overlap, each stage is timed, memory stays flat.

The arrays of batches are reused, so how many must stay intact depends on how many are on their way.
`run_batches` alone knows that, and therefore opens the source itself.
"""

from __future__ import annotations

import collections
import contextlib
import queue
import threading
import time
from array import array
from typing import (
    ContextManager,
    Deque,
    Dict,
    Generator,
    Generic,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

import numpy as np

from crnn.batch import Batch
from crnn.runners.base import Runner
from crnn.samples.source import BatchSource

T = TypeVar("T")
_Message = Tuple[str, Union[T, BaseException, None]]

READ_AHEAD = 2
"""Batches that are read while earlier ones are inferred."""
QUANTILES = (50, 90, 99)


class WidthTime(NamedTuple):
    """How many images were read at a width, and how long that took."""

    rows: int = 0
    seconds: float = 0.0


class Stages:
    """Collects the seconds that each stage spends on each batch: eight bytes a measurement."""

    def __init__(self) -> None:
        self._seconds: Dict[str, array[float]] = {}
        self.by_width: Dict[int, WidthTime] = {}
        """What inference took at each width of a model with several."""

    def at_width(self, width: int, rows: int, seconds: float) -> None:
        """Add one batch's inference.

        Args:
            width: The images' columns.
            rows: How many images were read.
            seconds: How long it took.
        """
        before = self.by_width.get(width, WidthTime())
        self.by_width[width] = WidthTime(before.rows + rows, before.seconds + seconds)

    def add(self, stage: str, seconds: float) -> None:
        """Add one batch's time.

        Args:
            stage: The stage's name.
            seconds: How long it took.
        """
        self._seconds.setdefault(stage, array("d")).append(seconds)

    def taken(self) -> Tuple[Mapping[str, Sequence[float]], Mapping[int, WidthTime]]:
        """Return what was collected since the last call, and collect anew.

        Returns:
            The seconds of each stage, and what inference took at each width.
        """
        seconds, self._seconds = self._seconds, {}
        by_width, self.by_width = self.by_width, {}
        return seconds, by_width

    def summary(self) -> Mapping[str, Mapping[str, float]]:
        """Return p50, p90, p99 (per batch) and sum of each stage, in milliseconds."""
        return {stage: _figures(values) for stage, values in self._seconds.items()}


def _figures(values: array[float]) -> Mapping[str, float]:
    figures = {f"p{q}": float(np.percentile(values, q)) * 1000 for q in QUANTILES}
    figures["sum"] = float(np.sum(values)) * 1000
    return figures


def run_batches(
    runner: Runner, source: BatchSource, size: int, stages: Optional[Stages] = None
) -> Generator[Tuple[Batch, Optional[np.ndarray]], None, None]:
    """Run every batch of a source through a runner.

    Close the generator, or exhaust it: that ends the thread that reads ahead, and closes the
    source.

    Args:
        runner: An entered runner.
        source: Opened here, with as many arrays kept intact as are on their way at a time.
        size: Images a batch.
        stages: Gets the times of "read" and "infer"; waiting for data is not inference.

    Returns:
        A generator of each batch in order, with the float32 logits (T, n, K) of its readable rows,
        None where it has none. A batch's images stay as they are until the next is asked for.
    """
    stages = stages or Stages()
    return _through(runner, _read_ahead(source, size, runner.ahead, stages), stages)


@contextlib.contextmanager
def _read_ahead(
    source: BatchSource, size: int, ahead: int, stages: Stages
) -> Iterator[Iterator[Batch]]:
    """Give the batches of a source, which is closed afterwards, made in a thread of their own."""
    # Beside the batch that is yielded, READ_AHEAD wait to be taken while one more is being made,
    # and the runner has taken up to `ahead`, of which the yielded one was the first.
    batches = source.batches(size, keep=READ_AHEAD + ahead)
    with contextlib.closing(source), contextlib.closing(
        ReadAhead(batches, READ_AHEAD, stages)
    ) as read:
        yield read


def run_shared(
    runners: Sequence[Runner], source: BatchSource, size: int, stages: Sequence[Stages]
) -> Generator[Tuple[Batch, List[Optional[np.ndarray]]], None, None]:
    """Run every batch of a source through several runners, reading it once.

    Args:
        runners: Entered runners, which take the same images.
        source: As for `run_batches`.
        size: Images a batch.
        stages: Of each runner; every one gets the times of "read", which was done once.

    Yields:
        Each batch in order, with what `run_batches` gives of each runner. A batch's images stay as
        they are until the next one is asked for.
    """
    # The slowest runner has taken the batch that is yielded, the quickest up to `ahead` from it on.
    ahead = max(runner.ahead for runner in runners)
    with contextlib.ExitStack() as stack:
        read = stack.enter_context(_read_ahead(source, size, ahead, _Every(stages)))
        shared = Shared(read, len(runners))
        streams = []
        for number, runner in enumerate(runners):
            taken = contextlib.nullcontext(shared.of(number))
            stream = _through(runner, taken, stages[number])
            streams.append(stack.enter_context(contextlib.closing(stream)))
        for results in zip(*streams):
            yield results[0][0], [logits for _, logits in results]


def _through(
    runner: Runner, opened: ContextManager[Iterator[Batch]], stages: Stages
) -> Generator[Tuple[Batch, Optional[np.ndarray]], None, None]:
    """Run batches through a runner; yields as `run_batches` does."""
    with opened as batches, contextlib.closing(_Feed(batches)) as feed, contextlib.closing(
        runner.stream(feed)
    ) as outputs:
        while True:
            begin, feed.waited = time.perf_counter(), 0.0
            logits = next(outputs, None)
            seconds = time.perf_counter() - begin - feed.waited
            if logits is not None:
                stages.add("infer", seconds)
            while feed.taken and not len(feed.taken[0].images):
                yield feed.taken.popleft(), None
            if logits is None:
                return
            batch = feed.taken.popleft()
            if batch.width is not None:
                stages.at_width(batch.width, logits.shape[1], seconds)
            yield batch, logits


class _Every(Stages):
    """Adds what is measured to several."""

    def __init__(self, stages: Sequence[Stages]) -> None:
        super().__init__()
        self._stages = stages

    def add(self, stage: str, seconds: float) -> None:
        """See `Stages`."""
        for one in self._stages:
            one.add(stage, seconds)


class Shared(Generic[T]):
    """The items of an iterator for several takers, of which each gets all; what the quickest has
    taken waits for the slowest.

    Args:
        items: They are asked for by one taker at a time, whatever its thread.
        takers: How many there are.
    """

    def __init__(self, items: Iterator[T], takers: int) -> None:
        self._items = items
        self._lock = threading.Lock()
        self._waiting: List[Deque[T]] = []
        for _ in range(takers):
            self._waiting.append(collections.deque())

    def of(self, taker: int) -> Iterator[T]:
        """Yield every item.

        Args:
            taker: Whose they are, from 0.

        Yields:
            The items in their order.
        """
        mine = self._waiting[taker]
        while self._there(mine):
            yield mine.popleft()

    def _there(self, mine: Deque[T]) -> bool:
        """Say whether an item waits, after one more was asked for where none did."""
        with self._lock:
            if mine:
                return True
            for item in self._items:
                for waiting in self._waiting:
                    waiting.append(item)
                return True
            return False


class _Feed(Iterator[np.ndarray]):
    """The images of batches, for a runner's stream; remembers the batches that it has taken."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self.taken: Deque[Batch] = collections.deque()
        """Batches without their logits yet, those without images among them."""
        self.waited = 0.0
        """Seconds that the runner has waited for data."""
        self._batches = batches

    def __next__(self) -> np.ndarray:
        while True:
            begin = time.perf_counter()
            try:
                batch = next(self._batches)
            finally:
                self.waited += time.perf_counter() - begin
            self.taken.append(batch)
            if len(batch.images):
                return batch.images

    def close(self) -> None:
        """Let go of the batches."""
        self.taken.clear()


class ReadAhead(Iterator[T], Generic[T]):
    """Gives items in order while a thread fetches more; its exception is raised in its place.

    Args:
        items: A generator of them is closed with this.
        ahead: The most that wait to be taken; one more is being fetched meanwhile.
        stages: Gets the time that each item takes to come, as "read".
    """

    def __init__(self, items: Iterable[T], ahead: int = 1, stages: Optional[Stages] = None) -> None:
        self._items = items
        self._stages = stages or Stages()
        self._messages: queue.Queue[_Message[T]] = queue.Queue(maxsize=max(1, ahead))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fetch, name="crnn-prefetch", daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        if self._stop.is_set():
            raise StopIteration
        kind, value = self._messages.get()
        if kind == "item":
            return value  # type: ignore[return-value]
        self.close()
        if isinstance(value, BaseException):
            raise value
        raise StopIteration

    def close(self) -> None:
        """End the thread, whatever it is doing, then the source."""
        self._stop.set()
        self._thread.join()
        close = getattr(self._items, "close", None)
        if close is not None:
            close()

    def _fetch(self) -> None:
        # A thread boundary: whatever goes wrong here is to be raised where the items are wanted.
        try:
            iterator = iter(self._items)
            while True:
                begin = time.perf_counter()
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                self._stages.add("read", time.perf_counter() - begin)
                if not self._put(("item", item)):
                    return
            self._put(("end", None))
        except BaseException as error:  # noqa: BLE001
            self._put(("error", error))

    def _put(self, message: _Message[T]) -> bool:
        while not self._stop.is_set():
            try:
                self._messages.put(message, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
