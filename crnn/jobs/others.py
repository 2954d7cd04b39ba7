"""What other programs do on the processors while something is measured."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Optional, Tuple

STAT = Path("/proc/stat")
SHORTEST = 0.2
"""Seconds: the system counts in hundredths of one, so that less says nothing."""
TOLERATED = 0.1
"""The share of a thread's processor that may be missing: the system itself takes some."""


class Others:
    """Counts from now on how many processors other programs keep busy.

    Args:
        stat: Linux's count of busy and idle time, proc_stat(5); tests give a file.
    """

    def __init__(self, stat: Path = STAT) -> None:
        self._stat = stat
        self._start = time.monotonic()
        self._before = self._now()

    def processors(self) -> float:
        """Return the processors that others took on the average, 0 where nothing can be said."""
        seconds = time.monotonic() - self._start
        now = self._now()
        if now is None or self._before is None or seconds < SHORTEST:
            return 0.0
        everybody = now[0] - self._before[0]
        own = now[1] - self._before[1]
        return max(0.0, (everybody - own) / seconds)

    def in_the_way(self, threads: int) -> float:
        """Return the same where they left too few processors for so many threads, else 0."""
        taken = self.processors()
        left = (os.cpu_count() or 1) - taken
        if left < threads * (1 - TOLERATED):
            return round(taken, 2)
        return 0.0

    def _now(self) -> Optional[Tuple[float, float]]:
        """Return the seconds that everybody, and that this process, has computed."""
        try:
            first = self._stat.read_text(encoding="ascii").split("\n", 1)[0]
        except (OSError, ValueError):
            return None
        counts = [int(word) for word in first.split()[1:9]]
        # user nice system idle iowait irq softirq steal
        busy = sum(counts) - sum(counts[3:5])
        used = os.times()
        own = used.user + used.system + used.children_user + used.children_system
        return busy / os.sysconf("SC_CLK_TCK"), own
