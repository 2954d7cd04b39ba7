"""Memory that a process shares with one that it starts, for arrays that are too large for a pipe:
what goes through a pipe is copied four times, and by the kernel 200 kB at a time.

The memory has no name, so that nothing of it is left when both are gone, however they end. Needs
only NumPy; where the system has no such memory, arrays go through the pipe.
"""

from __future__ import annotations

import mmap
import os
from multiprocessing.reduction import DupFd
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from crnn.files import unnamed_memory

_MOST = 1 << 28
"""Bytes of memory that a room may take; what does not fit goes through the pipe."""


class Place(NamedTuple):
    """Some bytes of the memory: whole pages."""

    offset: int
    size: int


class Visitor:
    """The memory as both processes see it.

    Args:
        descriptor: Its file; None where there is none. A `DupFd` of the process that it comes from.
    """

    def __init__(self, descriptor: Any) -> None:
        self._descriptor: Optional[int] = descriptor
        if descriptor is not None and not isinstance(descriptor, int):
            self._descriptor = descriptor.detach()
        self._maps: Dict[Place, mmap.mmap] = {}

    def view(self, place: Place, shape: Tuple[int, ...], dtype: str) -> np.ndarray:
        """Return an array that stands in a place; it changes with it."""
        if place not in self._maps:
            assert self._descriptor is not None
            self._maps[place] = mmap.mmap(self._descriptor, place.size, offset=place.offset)
        kind = np.dtype(dtype)
        count = int(np.prod(shape))
        return np.frombuffer(self._maps[place], kind, count).reshape(shape)

    def put(self, place: Place, array: np.ndarray) -> bool:
        """Copy an array into a place, which belongs to who calls; return whether there is room."""
        if array.nbytes > place.size:
            return False
        np.copyto(self.view(place, array.shape, array.dtype.str), array)
        return True


class Room(Visitor):
    """The memory as the process sees it that made it and hands out its places. The other process
    gets a `Visitor` of it, as an argument when it is started.
    """

    def __init__(self) -> None:
        super().__init__(unnamed_memory())
        self._free: List[Place] = []
        self._end = 0
        self._least = 0

    def __reduce__(self) -> Tuple[Callable[..., Visitor], Tuple[Any, ...]]:
        if self._descriptor is None:
            return Visitor, (None,)
        return Visitor, (DupFd(self._descriptor),)

    def taken(self, size: int) -> Optional[Place]:
        """Return a place of so many bytes or more; None where there is no room for it."""
        # What comes back is put where the images were.
        needed = max(size, self._least)
        # The last one that was given back is the one that the processor's caches still have.
        while self._free:
            place = self._free.pop()
            if place.size >= needed:
                return place
        return self._new(needed)

    def give_back(self, place: Place, answered: int) -> None:
        """Let a place be taken again; ``answered`` are the bytes that came back for what was put
        there.
        """
        self._least = max(self._least, answered)
        self._free.append(place)

    def close(self) -> None:
        """Let go of the memory; arrays that stand in it stay."""
        self._maps = {}
        self._free = []
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _new(self, needed: int) -> Optional[Place]:
        pages = -(-needed // mmap.PAGESIZE)
        size = pages * mmap.PAGESIZE
        if self._descriptor is None or self._end + size > _MOST:
            return None
        place = Place(self._end, size)
        try:
            os.ftruncate(self._descriptor, place.offset + size)
        except OSError:
            return None
        self._end += size
        return place
