"""Memory for batches, which are read into it in turn. Needs only NumPy."""

from __future__ import annotations

import mmap
from typing import List, Sequence, Union

import numpy as np


def ring(count: int, shape: Sequence[int], dtype: Union[str, type, np.dtype]) -> List[np.ndarray]:
    """Make arrays whose memory goes back to the system once they are let go of.

    What `numpy.empty` takes may stay with the C library, and again for each thread that has ever
    read batches: a worker that reads shard after shard would hold a hundred megabytes.

    Args:
        count: How many arrays.
        shape: Of each.
        dtype: Of each.

    Returns:
        The arrays, zeros.
    """
    kind = np.dtype(dtype)
    values = int(np.prod(shape))
    size = max(1, values * kind.itemsize)
    found: List[np.ndarray] = []
    for _ in range(count):
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        found.append(np.frombuffer(memory, kind, values).reshape(shape))
    return found
