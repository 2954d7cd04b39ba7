"""The virtual clock: when copies, computation and the host's own work would happen, without waiting
for any of it.

Each device has three engines, copy-in, compute and copy-out, each doing one thing at a time. A task
is placed on its engine when it is enqueued: not before its stream's earlier tasks, the events it
waits for, and the host's now; in the earliest gap that holds it. The host's time moves by declared
work and by waiting. All threads of a process share one host time: Python's lock and the real
binding's keep their work apart anyway.
"""

from __future__ import annotations

import bisect
import time
from typing import Any, Dict, List, Tuple

from crnn.simulator.knobs import Knobs

COPY_IN, COMPUTE, COPY_OUT = "copy_in", "compute", "copy_out"
ENGINES = (COPY_IN, COMPUTE, COPY_OUT)


class Engine:
    """Something that does one thing at a time."""

    def __init__(self) -> None:
        self.busy = 0.0
        self._spans: List[Tuple[float, float]] = []

    def place(self, ready: float, duration: float) -> Tuple[float, float]:
        """Take the earliest gap of ``duration`` from ``ready`` on; return its start and end.

        Args:
            ready: The earliest start, in milliseconds.
            duration: How long, in milliseconds.

        Returns:
            Start and end, in milliseconds.
        """
        if duration <= 0:
            return ready, ready
        index = bisect.bisect_right(self._spans, (ready, float("inf")))
        start = ready
        if index:
            start = max(ready, self._spans[index - 1][1])
        while index < len(self._spans) and self._spans[index][0] < start + duration:
            start = max(start, self._spans[index][1])
            index += 1
        self._insert(index, start, start + duration)
        self.busy += duration
        return start, start + duration

    def _insert(self, index: int, start: float, end: float) -> None:
        # Touching spans become one, so that a busy engine stays a short list.
        if index < len(self._spans) and self._spans[index][0] == end:
            end = self._spans.pop(index)[1]
        if index and self._spans[index - 1][1] == start:
            start = self._spans[index - 1][0]
            self._spans[index - 1] = (start, end)
        else:
            self._spans.insert(index, (start, end))


class Clock:
    """Virtual time in milliseconds."""

    def __init__(self, knobs: Knobs) -> None:
        self._knobs = knobs
        self._engines: Dict[Tuple[int, str], Engine] = {}
        self._used: Dict[int, Tuple[float, float]] = {}
        self.now = 0.0
        self.host_busy = 0.0

    def work(self, milliseconds: float) -> None:
        """Let the host work.

        Args:
            milliseconds: How long, in milliseconds.
        """
        self.now += milliseconds
        self.host_busy += milliseconds

    def wait_until(self, moment: float) -> None:
        """Let the host wait for something that ends at ``moment``.

        Args:
            moment: A time of the virtual clock, in milliseconds.
        """
        self.now = max(self.now, moment)

    def place(self, device: int, engine: str, ready: float, duration: float) -> float:
        """Give a device's engine something to do; return when it ends.

        Args:
            device: The device's number.
            engine: One of `ENGINES`.
            ready: The earliest start, in milliseconds.
            duration: How long, in milliseconds.

        Returns:
            When it ends, in milliseconds.
        """
        works = self._engines.setdefault((device, engine), Engine())
        start, end = works.place(max(ready, self.now), duration)
        first, last = self._used.get(device, (start, end))
        self._used[device] = (min(first, start), max(last, end))
        return end

    def copy_duration(self, engine: str, count: int) -> float:
        """Return how long a copy of ``count`` bytes takes.

        Args:
            engine: One of `ENGINES`.
            count: How many bytes.

        Returns:
            Milliseconds.
        """
        total = 0.0
        if engine == COPY_IN:
            total = self._knobs.copy_in_ms
        elif engine == COPY_OUT:
            total = self._knobs.copy_out_ms
        if self._knobs.bandwidth:
            # GB/s is a million bytes a millisecond.
            total += count / (self._knobs.bandwidth * 1e6)
        return total

    def compute_duration(self, rows: int) -> float:
        """Return how long an execution over ``rows`` rows takes.

        Args:
            rows: The rows of the batch.

        Returns:
            Milliseconds.
        """
        return self._knobs.compute_ms + rows * self._knobs.compute_ms_per_row

    def figures(self) -> List[Dict[str, Any]]:
        """Return per device: milliseconds from first to last use, busy per engine, and the chip's
        busy share.

        The share is compute over the span: a chip that only copies is not reading words.

        Returns:
            One object a device: ``device``, ``span_ms``, ``busy_ms`` and ``busy``, from 0 to 1.
        """
        rows = []
        for device, (first, last) in sorted(self._used.items()):
            busy = dict.fromkeys(ENGINES, 0.0)
            for name in ENGINES:
                if (device, name) in self._engines:
                    busy[name] = self._engines[device, name].busy
            span = last - first
            share = 0.0
            if span:
                share = busy[COMPUTE] / span
            rows.append({"device": device, "span_ms": span, "busy_ms": busy, "busy": share})
        return rows


class WallClock(Clock):
    """A clock that goes at the wall's pace: what a program really takes shows as time that a device
    is idle.
    """

    def __init__(self, knobs: Knobs) -> None:
        self._start = time.perf_counter()
        super().__init__(knobs)

    @property
    def now(self) -> float:
        """Milliseconds since the start."""
        return (time.perf_counter() - self._start) * 1000

    @now.setter
    def now(self, value: float) -> None:
        """Leave time to itself."""

    def wait_until(self, moment: float) -> None:
        """Sleep, as a thread does that waits for a device.

        Args:
            moment: A time of this clock, in milliseconds.
        """
        left = moment - self.now
        if left > 0:
            time.sleep(left / 1000)


def clock_of(knobs: Knobs) -> Clock:
    """Return the clock of a simulated machine.

    Args:
        knobs: Its settings.

    Returns:
        A virtual one, unless it is to be the wall's.
    """
    if knobs.real_time:
        return WallClock(knobs)
    return Clock(knobs)
