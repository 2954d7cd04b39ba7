"""How long each stage of a stream takes, batch by batch."""

from __future__ import annotations

import time
from array import array
from typing import Dict, Iterable, Iterator, Mapping, TypeVar

import numpy as np

T = TypeVar("T")


class Stages:
    """Collects the seconds that each stage spends on each batch: eight bytes a measurement."""

    def __init__(self) -> None:
        self._seconds: Dict[str, array[float]] = {}

    def add(self, stage: str, seconds: float) -> None:
        """Add one batch's time."""
        self._seconds.setdefault(stage, array("d")).append(seconds)

    def timed(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, counting the time that each takes to come."""
        iterator = iter(items)
        while True:
            start = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            self.add(stage, time.perf_counter() - start)
            yield item

    def summary(self) -> Mapping[str, Mapping[str, float]]:
        """Return p50, p90, p99 (per batch) and sum of each stage in milliseconds."""
        return {
            stage: {
                **{f"p{q}": float(np.percentile(values, q)) * 1000 for q in (50, 90, 99)},
                "sum": float(np.sum(values)) * 1000,
            }
            for stage, values in self._seconds.items()
        }
