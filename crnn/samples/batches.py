"""Samples to batches of images, decoded by threads, or where there are many by processes too."""

from __future__ import annotations

import collections
import contextlib
import itertools
import mmap
import multiprocessing
import os
import pickle
import sys
import threading
from collections import deque
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import (
    Any,
    Callable,
    Counter,
    Deque,
    Dict,
    Generator,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
    cast,
)

import numpy as np

from crnn.batch import Batch, Problem, Sample, Span, ring
from crnn.errors import UnavailableError
from crnn.files import unnamed_file, unnamed_memory
from crnn.image import Bounds, ImageError, decode_into
from crnn.machine import usable_cpus
from crnn.python37 import Protocol, wait_for_parents_end
from crnn.samples.buckets import Row, bucketed
from crnn.samples.image_files import loaded
from crnn.signals import ENDING, interrupts_blocked, left_to_parent
from crnn.spec import ModelSpec

Item = TypeVar("Item")
Done = TypeVar("Done")
Piece = TypeVar("Piece")


class Seen(NamedTuple):
    """A view of a word: its name, None where it is the only one; pixels, or why there are none; and
    where these lie in the picture, None where nobody asked.
    """

    name: Optional[str]
    image: Union[np.ndarray, Problem]
    span: Optional[Span] = None


ViewMaker = Callable[[Sample], Tuple[Sequence[Seen], Sequence[str]]]
"""Decodes a sample once and gives its views, at least one, and its remarks."""

PROBLEMS = 1024
"""The most samples without image in a batch: a list may name millions of files that are gone."""
MANY = 5000
"""Samples from which on processes are worth their start; threads share one interpreter, and so
about one core.
"""
# Samples a task: enough that handing tasks over costs little, few enough that a batch keeps all
# threads busy.
CHUNK = 32
# Between processes handing over costs more, and nobody waits for a batch.
PROCESS_CHUNK = 192
_BUSY = 3
"""Pieces that another process has at a time, no more than keep it busy: what is left is for this
one. It does one, one waits beside it, and of one that it has done this process may not know yet.
"""
_LAST_SECONDS = 4
"""From SIGTERM to the end of a process that decodes, unless its parent ends before."""


class NumberedSamples(Protocol):
    """A data set that another process can read too; `pickle` takes it there."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def several(self, numbers: Iterable[int]) -> Iterator[Sample]:
        """Yield the samples of numbers, in their order."""


_Sent = Union[Sequence[Sample], Sequence[int]]
"""A piece's samples, or their numbers."""


class _Named(Protocol):
    """What is left of a sample once its image is handed over: a `Sample` has it too."""

    @property
    def key(self) -> str: ...

    @property
    def label(self) -> Optional[str]: ...

    @property
    def ends(self) -> bool: ...


class _Word(NamedTuple):
    """A sample without its image."""

    key: str
    label: Optional[str]
    ends: bool


class Handed(NamedTuple):
    """A piece of work between processes."""

    here: Any
    """What this process's task gets."""
    there: Any
    """What another process's task gets in its place."""
    kept: Sequence[Any]
    """What is yielded with the result: many pieces are held at a time."""

    @classmethod
    def whole(cls, piece: Sequence[Any]) -> Handed:
        """Return a piece that is the same everywhere."""
        return cls(piece, piece, piece)


class _Chunk(NamedTuple):
    """What became of some samples: the pixels C, H, W, uint8, of those that could be decoded, one
    after the other, and for each sample its width or what is wrong with it, and what else its
    picture depends on.
    """

    pixels: np.ndarray
    results: Sequence[Union[int, Problem]]
    remarks: Sequence[Sequence[str]]


class _Decoder:
    """Decodes some samples' images; sent to other processes where there are many."""

    def __init__(
        self, spec: ModelSpec, max_pixels: Optional[int], again: Optional[NumberedSamples]
    ) -> None:
        self._spec = spec
        self._max_pixels = max_pixels
        self._again = again

    def handed(self, samples: Sequence[Sample]) -> Handed:
        """Return what is done of samples here or elsewhere. Another process gets their numbers, by
        which it can read them for itself, where all have one.

        A number is a few bytes, an image some thousand, which to send takes a tenth of its
        decoding.
        """
        there: _Sent = samples
        numbers = [sample.number for sample in samples]
        if self._again is not None and None not in numbers:
            there = cast("List[int]", numbers)
        kept = [_Word(sample.key, sample.label, sample.ends) for sample in samples]
        return Handed(samples, there, kept)

    def __call__(self, sent: _Sent) -> _Chunk:
        samples = self._samples(sent)
        column = self._spec.channels * self._spec.height
        most = column * self._spec.read_widths[-1]
        pixels = np.empty(len(sent) * most, dtype=np.uint8)
        results: List[Union[int, Problem]] = []
        remarks: List[Sequence[str]] = []
        bounds = Bounds.now(self._max_pixels)
        at = 0
        for sample in samples:
            result, remarked = decode_sample(sample, self._spec, pixels[at:], bounds)
            if isinstance(result, int):
                at += column * result
            results.append(result)
            remarks.append(remarked)
        return _Chunk(pixels[:at], results, remarks)

    def _samples(self, sent: _Sent) -> Iterable[Sample]:
        if isinstance(sent[0], Sample):
            return cast("Sequence[Sample]", sent)
        assert self._again is not None
        return self._again.several(cast("Sequence[int]", sent))


class _ViewDecoder:
    """Decodes samples to views."""

    def __init__(self, make: ViewMaker) -> None:
        self._make = make

    def __call__(self, samples: Sequence[Sample]) -> Sequence[Tuple[Sequence[Seen], Sequence[str]]]:
        return [self._make(loaded(sample)) for sample in samples]


def _rows_of_views(
    decoded: Iterable[Tuple[Sequence[Sample], Sequence[Tuple[Sequence[Seen], Sequence[str]]]]],
) -> Iterator[Row]:
    """Yield the rows of samples in their order, each with its position."""
    position = 0
    for samples, made in decoded:
        for sample, (views, remarks) in zip(samples, made):
            for number, (name, pixels, span) in enumerate(views, 1):
                last = number == len(views)
                ends = last and sample.ends
                yield Row(
                    position, sample.key, sample.label, pixels, remarks, name, last, span, ends
                )
                remarks = ()
            position += 1


def _rows(decoded: Iterable[Tuple[Sequence[_Named], _Chunk]], spec: ModelSpec) -> Iterator[Row]:
    """Yield a row for each sample, with its position."""
    position = 0
    for samples, chunk in decoded:
        at = 0
        for sample, result, remarks in zip(samples, chunk.results, chunk.remarks):
            image: Union[np.ndarray, Problem]
            if isinstance(result, int):
                end = at + spec.channels * spec.height * result
                image = chunk.pixels[at:end].reshape(spec.channels, spec.height, result)
                at = end
            else:
                image = result
            yield Row(position, sample.key, sample.label, image, remarks, ends=sample.ends)
            position += 1


def image_batches(
    samples: Iterable[Sample],
    spec: ModelSpec,
    size: int,
    *,
    dtype: str = "float32",
    keep: int = 1,
    workers: Optional[int] = None,
    max_pixels: Optional[int] = None,
    views: Optional[ViewMaker] = None,
    again: Optional[NumberedSamples] = None,
) -> Generator[Batch, None, None]:
    """Decode samples and make batches of them; a few batches' samples are held.

    Where the spec reads at several widths, or ``views`` are made, a batch has one width, its rows
    say where in the samples' order they stand, and at most eight batches of words wait more
    (`crnn.samples.buckets`).

    Samples without image, and those that cannot be decoded, are the batches' problems. A batch ends
    with a sample that says so. Closing the generator ends its threads and processes.

    Args:
        samples: Encoded images with their labels.
        spec: Color, size, resizing and normalisation.
        size: Readable images a batch.
        dtype: float32 (normalised by the spec) or uint8 (pixels).
        keep: Arrays are reused: so many batches, those yielded last, stay as they are while the
            next one is filled.
        workers: Threads or processes; None for all usable processors.
        max_pixels: Larger images are problems; None for the limit (`crnn.limits`).
        views: Makes the views of a sample, in threads; None for the sample as it is.
        again: Where the samples come from, for other processes to read them there: they decode too
            from `MANY` samples on. None where threads are to decode however many there are.

    Yields:
        Batches of exactly ``size`` readable images (N, C, H, W), the last of fewer, and one of
        `PROBLEMS` samples without, in the samples' order; of several widths as above.
    """
    workers = workers or usable_cpus()
    if views is not None:
        made = by_threads(pieces(samples, CHUNK), _ViewDecoder(views), workers, ahead=size)
        with contextlib.closing(made):
            yield from bucketed(_rows_of_views(made), spec, size, dtype=dtype)
        return
    # Rows of several widths wait for their batches, so their pixels must last.
    passing = spec.widths is None
    decoder = _Decoder(spec, max_pixels, again)
    with contextlib.closing(
        _decoded(samples, decoder, workers, size, again, passing=passing)
    ) as chunks:
        if spec.widths is not None:
            yield from bucketed(_rows(chunks, spec), spec, size, dtype=dtype)
            return
        filling = _Filling(ring(keep + 1, (size, *spec.image_shape), dtype), spec)
        for taken, chunk in chunks:
            yield from filling.add(taken, chunk)
        yield from filling.rest()


def _decoded(
    samples: Iterable[Sample],
    decoder: _Decoder,
    workers: int,
    ahead: int,
    again: Optional[NumberedSamples],
    *,
    passing: bool,
) -> Generator[Tuple[Sequence[_Named], _Chunk], None, None]:
    """Return the samples in pieces, each decoded; by other processes too where there are many."""
    # Python 3.8's executor may wait for ever for a process whose work is given up.
    several = workers > 1 and sys.version_info >= (3, 9)
    if again is not None and several and len(again) >= MANY:
        many = map(decoder.handed, pieces(samples, PROCESS_CHUNK))
        return by_processes(many, decoder, workers, ahead=ahead, passing=passing)
    return by_threads(pieces(samples, CHUNK), decoder, workers, ahead=ahead)


class _Filling:
    """Puts decoded pixels into the batches' own memory, by table where they are values."""

    def __init__(self, memories: Sequence[np.ndarray], spec: ModelSpec) -> None:
        self._ring = itertools.cycle(memories)
        self._table = spec.table
        self._shape = spec.image_shape
        self._begin()

    def _begin(self) -> None:
        self._images = next(self._ring)
        self._full = 0
        self._keys: List[str] = []
        self._labels: List[Optional[str]] = []
        self._problems: Dict[int, Problem] = {}
        self._remarks: Counter[str] = collections.Counter()

    def add(self, samples: Sequence[_Named], chunk: _Chunk) -> Iterator[Batch]:
        """Take decoded samples; yield each batch that is full with them."""
        pixels = chunk.pixels.reshape(-1, *self._shape)
        at = waiting = 0
        for sample, result, remarks in zip(samples, chunk.results, chunk.remarks):
            if remarks:
                self._remarks.update(remarks)
            if isinstance(result, int):
                waiting += 1
            else:
                self._problems[len(self._keys)] = result
            self._keys.append(sample.key)
            self._labels.append(sample.label)
            full = self._full + waiting == len(self._images)
            if sample.ends or full or len(self._problems) == PROBLEMS:
                self._put(pixels[at : at + waiting])
                at, waiting = at + waiting, 0
                yield self._batch()
        self._put(pixels[at : at + waiting])

    def rest(self) -> Iterator[Batch]:
        """Yield what is left, where anything is."""
        if self._keys:
            yield self._batch()

    def _put(self, pixels: np.ndarray) -> None:
        end = self._full + len(pixels)
        out = self._images[self._full : end]
        if out.dtype == np.uint8:
            out[:] = pixels
        else:
            # Every pixel is a place in the table: clipping spares looking for others.
            np.take(self._table, pixels, out=out, mode="clip")
        self._full = end

    def _batch(self) -> Batch:
        batch = Batch(
            self._keys, self._labels, self._images[: self._full], self._problems, self._remarks
        )
        self._begin()
        return batch


def pieces(items: Iterable[Item], size: int) -> Iterator[List[Item]]:
    """Yield items in lists of so many, the last of fewer.

    Args:
        items: Taken as they are asked for.
        size: Items a list.

    Yields:
        The lists.
    """
    source = iter(items)
    return iter(lambda: list(itertools.islice(source, size)), [])


def by_threads(
    pieces: Iterator[List[Item]],
    task: Callable[[Any], Done],
    workers: int,
    *,
    ahead: int,
) -> Generator[Tuple[List[Item], Done], None, None]:
    """Do a task for each piece in threads. Closing the generator ends them.

    Args:
        pieces: Items, some at a time; taken in this thread.
        task: What to do; what it raises is raised in the place of its result.
        workers: Threads.
        ahead: Items that are worked on in advance, in pieces of `CHUNK`.

    Yields:
        Each piece with its result, in their order.
    """
    room = workers + _chunks(ahead, CHUNK)
    pending: Deque[Tuple[List[Item], Future[Done]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="crnn-decode") as pool, _cancelled(pending):
        while True:
            for piece in itertools.islice(pieces, room - len(pending)):
                pending.append((piece, pool.submit(task, piece)))
            if not pending:
                return
            yield _first(pending)


def by_processes(
    pieces: Iterator[Handed],
    task: Callable[[Any], Done],
    workers: int,
    *,
    ahead: int,
    passing: bool = False,
) -> Generator[Tuple[Sequence[Any], Done], None, None]:
    """Do a task for each piece; the work is shared by this process and ``workers`` - 1 others,
    which are started as they are needed.

    Items, task and results must be picklable, and of no class of the program's main module, which
    the processes do not import. Closing the generator ends the processes.

    Args:
        pieces: Taken in this process.
        task: What to do; what it raises is raised in the place of its result.
        workers: Processes, this one included.
        ahead: Items that are worked on in advance, in pieces of `PROCESS_CHUNK`.
        passing: Whether a result's arrays need to last only until the next one is asked for: then
            other processes write them into memory that they share with this one.

    Yields:
        What is kept of each piece, with its result, in their order.

    Raises:
        UnavailableError: A process was killed.
    """
    # Beside what others do there is room for what is decoded here while theirs is not done.
    room = _BUSY * workers + _chunks(ahead, PROCESS_CHUNK)
    pending: Deque[Tuple[Sequence[Any], Future[Done]]] = deque()
    places = 0
    if passing:
        # That of the result which was yielded last stays as it is.
        places = room + 1
    # Not by the pipe that a process begins with: one that is killed before it has read a large task
    # would leave this one writing for ever.
    with _broken_pool_told(), _Shared(places) as shared, unnamed_file(
        pickle.dumps((task, shared.path))
    ) as kept, _processes(workers - 1, kept) as pool, _cancelled(pending):
        begun = [_submit(pool, None, 0) for _ in range(workers - 1)]
        while True:
            # Until they have begun, all is for this process, which would else wait for them.
            others = _BUSY * _done(begun)
            while len(pending) < room and _unfinished(pending) < others:
                piece = next(pieces, None)
                if piece is None:
                    break
                future = _submit(pool, piece.there, shared.next_place())
                pending.append((piece.kept, future))
            piece = None
            if len(pending) < room and not (pending and pending[0][1].done()):
                piece = next(pieces, None)
            if piece is not None:
                pending.append((piece.kept, _done_here(task, piece.here)))
            elif pending:
                done, result = _first(pending)
                yield done, shared.taken(result)
            else:
                return


class _Kept(NamedTuple):
    """A result but for its arrays, which lie in shared memory: where the first begins, and their
    lengths.
    """

    pickled: bytes
    begin: int
    lengths: Sequence[int]


class _Shared:
    """Memory into which other processes write the arrays of results, which through a pipe would go
    in small parts, at four copies.

    It is gone with this process, and takes of the machine's what was written to.

    Args:
        places: The results that are there at a time; 0 for no such memory, and where the system has
            none, all goes through the pipe.
    """

    SIZE = 1 << 22
    """Bytes of a result; one with more goes through the pipe."""

    def __init__(self, places: int) -> None:
        self.path: Optional[str] = None
        self._places = itertools.cycle(range(max(1, places)))
        self._file: Optional[int] = None
        if places:
            self._file = unnamed_memory()
        if self._file is not None:
            os.ftruncate(self._file, places * self.SIZE)
            self.path = f"/proc/{os.getpid()}/fd/{self._file}"
            self._room = mmap.mmap(self._file, places * self.SIZE)

    def __enter__(self) -> _Shared:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            # The memory itself goes with the last array in it.
            os.close(self._file)

    def next_place(self) -> int:
        """Return where the result of the next piece may begin.

        Results are taken in the order of their pieces, so the place is free again.
        """
        return next(self._places) * self.SIZE

    def taken(self, result: Any) -> Any:
        """Return a result, its arrays as they lie in the shared memory."""
        if not isinstance(result, _Kept):
            return result
        buffers = []
        begin = result.begin
        for length in result.lengths:
            buffers.append(memoryview(self._room)[begin : begin + length])
            begin += length
        return pickle.loads(result.pickled, buffers=buffers)  # novm  # noqa: S301  a child's


def _done(futures: Iterable[Future[Any]]) -> int:
    """Return how many are done; if one has failed, raise its error."""
    done = 0
    for future in futures:
        if future.done():
            future.result()
            done += 1
    return done


def _first(pending: Deque[Tuple[Piece, Future[Done]]]) -> Tuple[Piece, Done]:
    piece, future = pending.popleft()
    return piece, future.result()


def _chunks(count: int, size: int) -> int:
    return -(-count // size)


def _unfinished(pending: Iterable[Tuple[Any, Future[Any]]]) -> int:
    return sum(not future.done() for _, future in pending)


@contextlib.contextmanager
def _cancelled(pending: Iterable[Tuple[Any, Future[Any]]]) -> Iterator[None]:
    """Cancel what is pending when the block ends, so that its pool is not waited for."""
    try:
        yield
    finally:
        for _, future in pending:
            future.cancel()


@contextlib.contextmanager
def _broken_pool_told() -> Iterator[None]:
    try:
        yield
    except BrokenExecutor as error:
        raise UnavailableError(
            f"a process that decodes images ended without a word: {error}",
            hint=(
                "It may have been killed for want of memory: see dmesg. Fewer processes:"
                " --threads 1."
            ),
        ) from error


def _processes(count: int, kept: Path) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        max(1, count), mp_context=spawn, initializer=_begin, initargs=(kept,)
    )


def _submit(pool: ProcessPoolExecutor, piece: Any, place: int) -> Future[Any]:
    # It is here that processes start, and inherit blocked signals: they are this process's to act
    # on.
    with interrupts_blocked(*ENDING), _main_left_out(), _without_matrix_threads():
        return pool.submit(_work_for_parent, piece, place)


@contextlib.contextmanager
def _main_left_out() -> Iterator[None]:
    """Let the processes that the block starts not import the program's main module.

    By default they do, and a script without ``if __name__ == "__main__"`` would run once more in
    each. Nothing that they get is of that module. `multiprocessing.spawn.get_preparation_data`
    finds it by these two attributes.
    """
    main = sys.modules["__main__"]
    kept = {name: vars(main)[name] for name in ("__spec__", "__file__") if name in vars(main)}
    for name in kept:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)


@contextlib.contextmanager
def _without_matrix_threads() -> Iterator[None]:
    """Let the processes that the block starts have no threads of NumPy's matrix library, which they
    do not use, and which take a third of the processor time of their start.
    """
    name = "OPENBLAS_NUM_THREADS"
    if name in os.environ:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name, None)


def _done_here(task: Callable[[Any], Done], piece: Any) -> Future[Done]:
    future: Future[Done] = Future()
    try:
        future.set_result(task(piece))
    except Exception as error:  # noqa: BLE001  raised in its place
        future.set_exception(error)
    return future


_task: Callable[[Any], Any]
"""What a process of `_processes` does; sent once, for it may hold much."""
_room: Optional[mmap.mmap] = None
"""Where it puts results' arrays (`_Shared`), if not through the pipe."""


def _begin(kept: Path) -> None:
    global _task, _room
    _task, path = pickle.loads(kept.read_bytes())  # noqa: S301  its parent's
    if path:
        with open(path, "r+b") as file:
            _room = mmap.mmap(file.fileno(), 0)
    left_to_parent(_LAST_SECONDS)
    _end_with_parent()


def _work_for_parent(piece: Any, place: int) -> Any:
    if piece is None:
        # To see whether this process has begun.
        return None
    result = _task(piece)
    if _room is None:
        return result
    buffers: List[pickle.PickleBuffer] = []
    pickled = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)  # novm
    contents = [buffer.raw() for buffer in buffers]
    lengths = [len(content) for content in contents]
    if sum(lengths) > _Shared.SIZE:
        return result
    at = place
    for content in contents:
        _room[at : at + len(content)] = content
        at += len(content)
    return _Kept(pickled, place, lengths)


def _end_with_parent() -> None:
    # A pool's processes would wait for work for ever if their parent were killed.
    def watch() -> None:
        wait_for_parents_end()
        os._exit(1)

    threading.Thread(target=watch, name="crnn-parent", daemon=True).start()


def decode_sample(
    sample: Sample, spec: ModelSpec, out: np.ndarray, bounds: Bounds
) -> Tuple[Union[int, Problem], Sequence[str]]:
    """Decode a sample into memory at hand.

    Args:
        sample: An encoded image, or why there is none.
        spec: Color, size and resizing.
        out: Gets the pixels (`crnn.image.decode_into`).
        bounds: A larger image is a problem.

    Returns:
        The image's width, or why there are no pixels; and what else the picture depends on
        (`crnn.image.decode_remarked`).
    """
    if sample.file is not None:
        sample = loaded(sample)
    if sample.image is None:
        return sample.fault(), ()
    try:
        return decode_into(sample.image, spec, out, bounds)
    except ImageError as error:
        return error.problem, ()
