"""Samples to batches of images, decoded by threads: Pillow lets go of the interpreter while it decodes."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Callable, Deque, Dict, Generator, Iterable, List, Optional, Tuple, TypeVar, Union

import numpy as np

from crnn.errors import UnavailableError
from crnn.image import MAX_PIXELS, ImageError, decode
from crnn.machine import usable_cpus
from crnn.results import Batch, Problem, Sample
from crnn.runners.devices import interrupts_blocked
from crnn.spec import ModelSpec

Item = TypeVar("Item")
Done = TypeVar("Done")
_Decoded = Tuple[Sample, Union[np.ndarray, Problem]]

# Samples a task: enough that handing tasks over costs little, few enough that a batch keeps all threads busy.
CHUNK = 32


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

    ``dtype`` is float32 (normalised by the spec) or uint8 (pixels). Samples without image, and those that cannot be
    decoded, are the batches' problems. Arrays are reused: the ``keep`` batches yielded last stay as they are while
    the next one is filled. At most two batches' samples are held; closing the generator ends its threads.
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
    """Yield each item's result in the items' order; threads work on about ``ahead`` items in advance.

    What a task raises is raised in its result's place. Closing the generator ends the threads. With ``processes``,
    processes are started in their place: items, task and results must then be picklable, and a script that calls this
    must be importable without running (``if __name__ == "__main__"``).
    """
    source = iter(items)
    pending: Deque[Future[List[Done]]] = deque()
    workers = workers or usable_cpus()

    def submit() -> None:
        chunk = list(itertools.islice(source, CHUNK))
        if chunk:
            pending.append(pool.submit(_work, task, chunk))

    with contextlib.ExitStack() as stack:
        # Children inherit the blocked Ctrl-C, which is this process's to act on; the first tasks start them.
        blocked = stack.enter_context(contextlib.ExitStack())
        if processes:
            blocked.enter_context(interrupts_blocked())
            spawn = multiprocessing.get_context("spawn")
            pool: Executor = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_end_with_parent)
        else:
            pool = ThreadPoolExecutor(workers, thread_name_prefix="crnn-decode")
        stack.callback(pool.shutdown)
        stack.callback(lambda: [future.cancel() for future in pending])
        try:
            for _ in range(workers + -(-ahead // CHUNK)):
                submit()
            blocked.close()
            while pending:
                results = pending.popleft().result()
                submit()
                yield from results
        except BrokenExecutor as error:
            raise UnavailableError(
                f"a process that decodes images ended without a word: {error}",
                hint="It may have been killed for want of memory: see dmesg. Fewer processes: --threads 1.",
            ) from error


def _work(task: Callable[[Item], Done], chunk: List[Item]) -> List[Done]:
    return [task(item) for item in chunk]


def _end_with_parent() -> None:
    # A pool's processes would wait for work for ever if their parent were killed.
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="crnn-parent", daemon=True).start()


def decode_sample(sample: Sample, spec: ModelSpec, *, max_pixels: int = MAX_PIXELS) -> Union[np.ndarray, Problem]:
    """Return a sample's pixels (`crnn.image.decode`), or why it has none."""
    if sample.image is None:
        return sample.problem or Problem("missing image")
    try:
        return decode(sample.image, spec, max_pixels=max_pixels)
    except ImageError as error:
        return error.problem
