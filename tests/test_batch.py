"""Arrays for batches: each with its own memory, which is gone with them."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import numpy as np

from crnn.batch import ring

MIB = 1 << 20


def anonymous() -> int:
    """Return this process's anonymous memory in bytes."""
    found = re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found.group(1)) * 1024


def test_arrays_are_zeros_that_can_be_written_to() -> None:
    first, second = ring(2, (3, 1, 2, 2), "float32")
    assert (first.shape, first.dtype) == ((3, 1, 2, 2), np.float32)
    first[:] = 1
    assert first.sum() == 12
    assert not second.any()
    assert ring(1, (0, 2), np.uint8)[0].shape == (0, 2)


def test_nothing_stays_of_what_threads_have_used() -> None:
    def use() -> None:
        for memory in ring(8, (MIB,), np.uint8):
            memory[:] = 1

    use()
    before = anonymous()
    # More threads at once than one, since each may have memory of its own at the C library's.
    for _ in range(3):
        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert anonymous() - before < 8 * MIB
