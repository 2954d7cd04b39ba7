"""Columns of numbers or bytes, of millions of samples: in memory while they are few, beyond that in
a file without a name, of which the system keeps in memory what it has room for.

Needs only NumPy.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from array import array
from typing import IO, Any, Iterator, Optional

import numpy as np

_FEW = 1 << 14
"""So many values stay in memory; so many are looked at at a time."""


class Column:
    """Values of one type, added one after the other.

    Args:
        code: Their type, as `array.array` names it.
    """

    def __init__(self, code: str) -> None:
        self._code = code
        self._values: array[Any] = array(code)
        """Those that are not in the file."""
        self._file: Optional[IO[bytes]] = None
        self._written = 0
        self._stays = False

    def append(self, value: int) -> None:
        """Add a value.

        Args:
            value: The next one.
        """
        self._values.append(value)
        if len(self._values) >= _FEW and not self._stays:
            self._put_down()

    def extend(self, data: bytes) -> None:
        """Add values.

        Args:
            data: The next ones as they stand in memory.
        """
        self._values.frombytes(data)
        if len(self._values) >= _FEW and not self._stays:
            self._put_down()

    def values(self) -> np.ndarray:
        """Return all values, to be called once; whoever changes them changes no copy.

        Returns:
            One dimension, of the column's type.
        """
        if self._file is not None and not self._stays:
            self._put_down()
        if self._file is None:
            return np.frombuffer(self._values, self._code)
        with self._file as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0), self._code)

    def _put_down(self) -> None:
        """Move what is in memory into the file."""
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            size = len(self._values) * self._values.itemsize
            if self._file.write(self._values) != size:
                raise OSError(errno.ENOSPC, "the disk took a part of it")
        except OSError:
            # Without a disk for it, it takes memory.
            self._take_back()
            return
        self._written += size
        self._values = array(self._code)

    def _take_back(self) -> None:
        self._stays = True
        if self._file is None:
            return
        with self._file as file:
            values = array(self._code, os.pread(file.fileno(), self._written, 0))
        self._file = None
        values.extend(self._values)
        self._values = values


def pieces(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a column's values, some at a time.

    Args:
        values: The column.

    Yields:
        Parts of it, none of them empty.
    """
    for begin in range(0, len(values), _FEW):
        yield values[begin : begin + _FEW]


def ascend(values: np.ndarray) -> bool:
    """Say whether each value is greater than the one before.

    Args:
        values: The column.

    Returns:
        True for none, too.
    """
    for begin in range(0, len(values), _FEW):
        piece = values[begin : begin + _FEW + 1]
        if not (piece[1:] > piece[:-1]).all():
            return False
    return True


def are_among(piece: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """Say of some values whether they are in a column.

    Args:
        piece: The values.
        ascending: The column, in ascending order.

    Returns:
        A flag for each.
    """
    if not len(ascending):
        return np.zeros(len(piece), dtype=bool)
    places = np.searchsorted(ascending, piece).clip(max=len(ascending) - 1)
    found: np.ndarray = ascending[places] == piece
    return found
