"""Samples to batches of images, decoded by threads:

Pillow lets go of the interpreter while it decodes.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import (
    Any,
    Callable,
    Deque,
    Dict,
    Generator,
    Iterable,
    Iterator,
    List,
    Optional,
    Tuple,
    TypeVar,
    Union,
)

import numpy as np

from crnn.errors import UnavailableError
from crnn.image import MAX_PIXELS, ImageError, decode
from crnn.machine import usable_cpus
from crnn.results import Batch, Problem, Sample
from crnn.signals import interrupts_blocked
from crnn.spec import ModelSpec

Item = TypeVar("Item")
Done = TypeVar("Done")
_Decoded = Tuple[Sample, Union[np.ndarray, Problem]]

# Samples a task: enough that handing tasks over costs little, few enough that a batch keeps all
# threads busy.
CHUNK = 32
# Between processes handing over costs more, and nobody waits for a batch.
PROCESS_CHUNK = 128


def image_batches(
    samples: Iterable[Sample],
    spec: ModelSpec,
    size: int,
    *,
    dtype: str = "float32",
    keep: int = 1,
    workers: Optional[int] = None,
    max_pixels: int = MAX_PIXELS,
) -> Generator[Batch, None, None]:
    """Yield batches of exactly ``size`` readable images, the last of fewer, in the samples' order.

    ``dtype`` is float32 (normalised by the spec) or uint8 (pixels). Samples without image, and
    those that cannot be decoded, are the batches' problems. Arrays are reused: the ``keep`` batches
    yielded last stay as they are while the next one is filled. At most two batches' samples are
    held; closing the generator ends its threads.
    """
    ring = [np.empty((size, *spec.image_shape), dtype=dtype) for _ in range(keep + 1)]

    def decoded_sample(sample: Sample) -> _Decoded:
        return sample, decode_sample(sample, spec, max_pixels=max_pixels)

    decoded = in_order(samples, decoded_sample, workers, ahead=size)
    try:
        for turn in itertools.count():
            images = ring[turn % len(ring)]
            keys: List[str] = []
            labels: List[Optional[str]] = []
            problems: Dict[int, Problem] = {}
            for sample, result in decoded:
                if isinstance(result, Problem):
                    problems[len(keys)] = result
                elif dtype == "uint8":
                    images[len(keys) - len(problems)] = result
                else:
                    spec.normalise(result, out=images[len(keys) - len(problems)])
                keys.append(sample.key)
                labels.append(sample.label)
                if len(keys) - len(problems) == size:
                    break
            if not keys:
                return
            yield Batch(keys, labels, images[: len(keys) - len(problems)], problems)
    finally:
        decoded.close()


def in_order(
    items: Iterable[Item],
    task: Callable[[Item], Done],
    workers: Optional[int] = None,
    *,
    ahead: int,
    processes: bool = False,
) -> Generator[Done, None, None]:
    """Yield each item's result in the items' order; threads work on about ``ahead`` items in
    advance.

    What a task raises is raised in the place of its chunk's results. Closing the generator ends the
    threads. With ``processes`` this process works too, and others beside it in the place of
    threads: items, task and results must then be picklable, and a script that calls this must be
    importable without running (``if __name__ == "__main__"``).
    """
    source = iter(items)
    pending: Deque[Future[List[Done]]] = deque()
    workers = workers or usable_cpus()
    chunk_size = PROCESS_CHUNK if processes else CHUNK
    room = workers + -(-ahead // chunk_size)
    # Other processes get no more than keeps them busy: what is left is for this one.
    elsewhere = 2 * (workers - 1) if processes else room

    def take() -> List[Item]:
        return list(itertools.islice(source, chunk_size)) if len(pending) < room else []

    with contextlib.ExitStack() as stack:
        submit = stack.enter_context(
            _processes(workers - 1, task) if processes else _threads(workers, task)
        )
        stack.callback(lambda: [future.cancel() for future in pending])
        try:
            while True:
                while sum(not future.done() for future in pending) < elsewhere:
                    chunk = take()
                    if not chunk:
                        break
                    pending.append(submit(chunk))
                chunk = [] if pending and pending[0].done() else take()
                if chunk:
                    pending.append(_done_here(task, chunk))
                elif pending:
                    yield from pending.popleft().result()
                else:
                    return
        except BrokenExecutor as error:
            raise UnavailableError(
                f"a process that decodes images ended without a word: {error}",
                hint=(
                    "It may have been killed for want of memory: see dmesg. Fewer processes:"
                    " --threads 1."
                ),
            ) from error


_Submit = Callable[[List[Item]], "Future[List[Done]]"]


@contextlib.contextmanager
def _threads(count: int, task: Callable[[Item], Done]) -> Iterator[_Submit[Item, Done]]:
    with ThreadPoolExecutor(count, thread_name_prefix="crnn-decode") as pool:
        yield lambda chunk: pool.submit(_work, task, chunk)


@contextlib.contextmanager
def _processes(count: int, task: Callable[[Item], Done]) -> Iterator[_Submit[Item, Done]]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        max(1, count), mp_context=spawn, initializer=_begin, initargs=(task,)
    ) as pool:

        def submit(chunk: List[Item]) -> Future[List[Done]]:
            # It is here that processes start, and inherit a blocked Ctrl-C: it is this process's to
            # act on.
            with interrupts_blocked():
                return pool.submit(_work_for_parent, chunk)

        yield submit


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
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="crnn-parent", daemon=True).start()


def decode_sample(
    sample: Sample, spec: ModelSpec, *, max_pixels: int = MAX_PIXELS
) -> Union[np.ndarray, Problem]:
    """Return a sample's pixels (`crnn.image.decode`), or why it has none."""
    if sample.image is None:
        return sample.problem or Problem("missing image")
    try:
        return decode(sample.image, spec, max_pixels=max_pixels)
    except ImageError as error:
        return error.problem
