"""A function over a stream, on all processors."""

from __future__ import annotations

import collections
import concurrent.futures
from typing import Any, Callable, Deque, Iterable, Iterator, TypeVar

from crnn.machine import usable_cpus

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 64


def ordered_map(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield ``function(item)`` in the items' order, computed by threads that are at most 64 items
    ahead.
    """
    pending: Deque[Any] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(max_workers=usable_cpus()) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
