"""Samples to batches of images, decoded by threads: Pillow lets go of the interpreter while it
decodes.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import multiprocessing
import os
import sys
import threading
from collections import deque
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
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
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

import numpy as np

from crnn.batch import Batch, Problem, Sample
from crnn.errors import UnavailableError
from crnn.image import ImageError, decode_remarked
from crnn.machine import usable_cpus
from crnn.python37 import wait_for_parents_end
from crnn.signals import interrupts_blocked
from crnn.spec import ModelSpec

Item = TypeVar("Item")
Done = TypeVar("Done")
_Decoded = Tuple[Sample, Union[np.ndarray, Problem], Sequence[str]]

# Samples a task: enough that handing tasks over costs little, few enough that a batch keeps all
# threads busy.
CHUNK = 32
# Between processes handing over costs more, and nobody waits for a batch.
PROCESS_CHUNK = 128


class _Decoder:
    """Decodes samples."""

    def __init__(self, spec: ModelSpec, max_pixels: Optional[int]) -> None:
        self._spec = spec
        self._max_pixels = max_pixels

    def __call__(self, sample: Sample) -> _Decoded:
        return (sample, *decode_sample(sample, self._spec, max_pixels=self._max_pixels))


def image_batches(
    samples: Iterable[Sample],
    spec: ModelSpec,
    size: int,
    *,
    dtype: str = "float32",
    keep: int = 1,
    workers: Optional[int] = None,
    max_pixels: Optional[int] = None,
) -> Generator[Batch, None, None]:
    """Decode samples and make batches of them; at most two batches' samples are held.

    Samples without image, and those that cannot be decoded, are the batches' problems. Closing the
    generator ends its threads.

    Args:
        samples: Encoded images with their labels.
        spec: Color, size, resizing and normalisation.
        size: Readable images a batch.
        dtype: float32 (normalised by the spec) or uint8 (pixels).
        keep: Arrays are reused: so many batches, those yielded last, stay as they are while the
            next one is filled.
        workers: Threads; None for all usable processors.
        max_pixels: Larger images are problems; None for the limit (`crnn.limits`).

    Yields:
        Batches of exactly ``size`` readable images (N, C, H, W), the last of fewer, in the samples'
        order.
    """
    shape = (size, *spec.image_shape)
    ring = [np.empty(shape, dtype=dtype) for _ in range(keep + 1)]
    decoded = in_order(samples, _Decoder(spec, max_pixels), workers, ahead=size)
    with contextlib.closing(decoded):
        for images in itertools.cycle(ring):
            batch = _fill(images, decoded, spec)
            if not batch.keys:
                return
            yield batch


def _fill(images: np.ndarray, decoded: Iterator[_Decoded], spec: ModelSpec) -> Batch:
    """Take decoded samples until ``images`` is full, or none are left."""
    keys: List[str] = []
    labels: List[Optional[str]] = []
    problems: Dict[int, Problem] = {}
    remarks: Counter[str] = collections.Counter()
    full = 0
    for sample, result, remarked in decoded:
        remarks.update(remarked)
        if isinstance(result, Problem):
            problems[len(keys)] = result
        elif images.dtype == np.uint8:
            images[full] = result
            full += 1
        else:
            spec.normalise(result, out=images[full])
            full += 1
        keys.append(sample.key)
        labels.append(sample.label)
        if full == len(images):
            break
    return Batch(keys, labels, images[:full], problems, remarks)


def in_order(
    items: Iterable[Item],
    task: Callable[[Item], Done],
    workers: Optional[int] = None,
    *,
    ahead: int,
) -> Generator[Done, None, None]:
    """Do a task for each item in threads. Closing the generator ends them.

    Args:
        items: Taken in this thread, about ``ahead`` in advance.
        task: What to do; what it raises is raised in the place of its chunk's results.
        workers: Threads; None for all usable processors.
        ahead: Items that are worked on in advance.

    Yields:
        Each item's result, in the items' order.
    """
    source = iter(items)
    workers = workers or usable_cpus()
    room = workers + _chunks(ahead, CHUNK)
    pending: Deque[Future[List[Done]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="crnn-decode") as pool, _cancelled(pending):
        while True:
            while len(pending) < room:
                chunk = list(itertools.islice(source, CHUNK))
                if not chunk:
                    break
                pending.append(pool.submit(_work, task, chunk))
            if not pending:
                return
            yield from pending.popleft().result()


def in_order_by_processes(
    items: Iterable[Item],
    task: Callable[[Item], Done],
    workers: Optional[int] = None,
    *,
    ahead: int,
) -> Generator[Done, None, None]:
    """Do a task for each item; the work is shared by this process and ``workers`` - 1 others.

    Items, task and results must be picklable, and of no class of the program's main module, which
    the processes do not import. Closing the generator ends the processes.

    Args:
        items: Taken in this process, about ``ahead`` in advance.
        task: What to do; what it raises is raised in the place of its chunk's results.
        workers: Processes, this one included; None for all usable processors.
        ahead: Items that are worked on in advance.

    Yields:
        Each item's result, in the items' order.

    Raises:
        UnavailableError: A process was killed.
    """
    source = iter(items)
    workers = workers or usable_cpus()
    room = workers + _chunks(ahead, PROCESS_CHUNK)
    # The others get no more than keeps them busy: what is left is for this process.
    others = 2 * (workers - 1)
    pending: Deque[Future[List[Done]]] = deque()

    def take() -> List[Item]:
        if len(pending) >= room:
            return []
        return list(itertools.islice(source, PROCESS_CHUNK))

    with _broken_pool_told(), _processes(workers - 1, task) as pool, _cancelled(pending):
        while True:
            while _unfinished(pending) < others:
                chunk = take()
                if not chunk:
                    break
                pending.append(_submit(pool, chunk))
            chunk = []
            if not (pending and pending[0].done()):
                chunk = take()
            if chunk:
                pending.append(_done_here(task, chunk))
            elif pending:
                yield from pending.popleft().result()
            else:
                return


def _chunks(count: int, size: int) -> int:
    return -(-count // size)


def _unfinished(pending: Iterable[Future[Any]]) -> int:
    return sum(not future.done() for future in pending)


@contextlib.contextmanager
def _cancelled(pending: Deque[Future[List[Done]]]) -> Iterator[None]:
    """Cancel what is pending when the block ends, so that its pool is not waited for."""
    try:
        yield
    finally:
        for future in pending:
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


def _processes(count: int, task: Callable[[Item], Done]) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        max(1, count), mp_context=spawn, initializer=_begin, initargs=(task,)
    )


def _submit(pool: ProcessPoolExecutor, chunk: List[Any]) -> Future[List[Any]]:
    # It is here that processes start, and inherit a blocked Ctrl-C: it is this process's to act on.
    with interrupts_blocked(), _main_left_out():
        return pool.submit(_work_for_parent, chunk)


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


def _work(task: Callable[[Item], Done], chunk: List[Item]) -> List[Done]:
    return [task(item) for item in chunk]


def _done_here(task: Callable[[Item], Done], chunk: List[Item]) -> Future[List[Done]]:
    future: Future[List[Done]] = Future()
    try:
        future.set_result(_work(task, chunk))
    except Exception as error:  # noqa: BLE001  raised in its place
        future.set_exception(error)
    return future


_task: Callable[[Any], Any]
"""What a process of `_processes` does; sent once, for it may hold much."""


def _begin(task: Callable[[Any], Any]) -> None:
    global _task
    _task = task
    _end_with_parent()


def _work_for_parent(chunk: List[Any]) -> List[Any]:
    return _work(_task, chunk)


def _end_with_parent() -> None:
    # A pool's processes would wait for work for ever if their parent were killed.
    def watch() -> None:
        wait_for_parents_end()
        os._exit(1)

    threading.Thread(target=watch, name="crnn-parent", daemon=True).start()


def decode_sample(
    sample: Sample, spec: ModelSpec, *, max_pixels: Optional[int] = None
) -> Tuple[Union[np.ndarray, Problem], Sequence[str]]:
    """Decode a sample.

    Args:
        sample: An encoded image, or why there is none.
        spec: Color, size and resizing.
        max_pixels: A larger image is a problem; None for the limit (`crnn.limits`).

    Returns:
        The uint8 pixels (C, H, W) of `crnn.image.decode`, or why there are none; and what else the
        picture depends on (`crnn.image.decode_remarked`).
    """
    if sample.image is None:
        return sample.problem or Problem("missing image"), ()
    try:
        return decode_remarked(sample.image, spec, max_pixels=max_pixels)
    except ImageError as error:
        return error.problem, ()
