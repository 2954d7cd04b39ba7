"""Device and pinned memory, poisoned, fenced, and never at an address that was used before.

With ACL_HOST, device addresses are not addresses of this process (they lie beyond what user
programs can have), so that host code which touches them dies at once or is told; pinned memory is
real. With ACL_DEVICE all memory is real, as on a chip that runs the program itself.
"""

from __future__ import annotations

import bisect
import ctypes
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

import numpy as np

from crnn import cann
from crnn.simulator.record import Site
from crnn.simulator.things import Thing

DEVICE_BASE = 1 << 48
_DEVICE_STRIDE = 1 << 44
_FENCE = 64
_FENCE_BYTE = 0xFD
_QUARANTINE = 256 << 20

POISON = bytes((0xA5, 0xA5, 0xE5, 0x7F))
"""Fresh memory: a quiet NaN as float32, a NaN as every second float16, no image as uint8."""

_POISON_WORD = np.frombuffer(POISON, dtype=np.uint32)[0]


def round_up(size: int, step: int) -> int:
    """Return the next multiple of ``step``.

    Args:
        size: How many bytes.
        step: The step.

    Returns:
        The multiple.
    """
    return (size + step - 1) // step * step


def charged(size: int) -> int:
    """Return what an allocation takes of the device:

    a multiple of 32 bytes and 32 more, as on 310 and 310P.

    Args:
        size: How many bytes.

    Returns:
        Bytes.
    """
    return round_up(size, 32) + 32


def poison(view: np.ndarray) -> None:
    """Fill bytes with the pattern of fresh memory.

    Args:
        view: The bytes, uint8.
    """
    words, rest = _words(view)
    words.fill(_POISON_WORD)
    rest[:] = np.frombuffer(POISON, dtype=np.uint8)[: len(rest)]


def is_poison(view: np.ndarray) -> bool:
    """Whether bytes are the pattern of fresh memory throughout (or, when short, might be
    anything).

    Args:
        view: The bytes, uint8.

    Returns:
        True where nothing was ever written.
    """
    if len(view) < 64:
        return False
    return still_poison(view)


def still_poison(view: np.ndarray) -> bool:
    """Whether bytes that `poison` has filled are still as they were.

    Args:
        view: The bytes, uint8.

    Returns:
        True where nothing else was written.
    """
    words, rest = _words(view)
    # The first word alone answers for most of what was written.
    if words[:1].tobytes() + rest.tobytes() != POISON[: 4 * len(words[:1])] + POISON[: len(rest)]:
        return False
    return bool((words == _POISON_WORD).all())


def same_bytes(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays of bytes hold the same.

    Args:
        first: Bytes, uint8.
        second: As many, uint8.

    Returns:
        True where all are equal.
    """
    words, rest = _words(first)
    other_words, other_rest = _words(second)
    return np.array_equal(words, other_words) and np.array_equal(rest, other_rest)


def _words(view: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return bytes as words of four, and the up to three that are left: a byte at a time takes many
    times as long.
    """
    whole = len(view) // 4 * 4
    return view[:whole].view(np.uint32), view[whole:]


@dataclass
class Block(Thing):
    """An allocation. ``handle`` is its address; ``written`` the ranges that hold something."""

    size: int = 0
    device: Optional[int] = None
    storage: Optional[np.ndarray] = None
    written: List[Tuple[int, int]] = field(default_factory=list)
    damaged: bool = False

    @property
    def kind(self) -> str:  # type: ignore[override]
        """Device or pinned memory."""
        if self.device is None:
            return "pinned host memory"
        return "device memory"

    def view(self, offset: int, count: int) -> np.ndarray:
        """Return bytes of the block, writeable.

        Args:
            offset: The first byte, from the block's start.
            count: How many bytes.

        Returns:
            The bytes, uint8, shape (count,).
        """
        if self.storage is None:
            # Given back while work on it was queued, which was reported then: junk is read, what is
            # written is lost.
            junk = np.empty(count, dtype=np.uint8)
            poison(junk)
            return junk
        return self.storage[_FENCE + offset : _FENCE + offset + count]

    def fill(self, low: int, high: int) -> None:
        """Note that a range holds something.

        Args:
            low: Its first byte, counted from the thing's start.
            high: The byte behind its last.
        """
        spans: List[Tuple[int, int]] = []
        for span in sorted([*self.written, (low, high)]):
            if spans and span[0] <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], span[1]))
            else:
                spans.append(span)
        self.written = spans

    def drain(self, low: int, high: int) -> None:
        """Note that a range holds nothing any more.

        Args:
            low: Its first byte, counted from the thing's start.
            high: The byte behind its last.
        """
        spans = [(a, min(b, low)) for a, b in self.written if a < low] + [
            (max(a, high), b) for a, b in self.written if b > high
        ]
        self.written = sorted(spans)

    def holds(self, low: int, high: int) -> bool:
        """Whether all of a range holds something.

        Args:
            low: Its first byte, counted from the thing's start.
            high: The byte behind its last.

        Returns:
            True where every byte of it was written.
        """
        return any(a <= low and high <= b for a, b in self.written)

    def fences_stand(self) -> bool:
        """Whether nothing was written before or behind the block (or, once released, into it).

        Returns:
            True where they are as they were made.
        """
        if self.storage is None:
            return True
        # As bytes: NumPy imports what compares whole arrays at the first use, which fails while the
        # interpreter ends.
        fences = (self.storage[:_FENCE], self.storage[_FENCE + self.size :])
        sound = all(fence.tobytes().count(_FENCE_BYTE) == len(fence) for fence in fences)
        if not self.alive and sound:
            sound = still_poison(self.view(0, self.size))
        return sound


class Memory:
    """All allocations of a process."""

    def __init__(self, capacity: int, run_mode: int, *, host_aligned: bool = True) -> None:
        self.capacity = capacity
        self._real = run_mode == cann.ACL_DEVICE
        self._host_aligned = host_aligned or not self._real
        self._blocks: Dict[int, Block] = {}
        self._bases: List[int] = []
        self._next: Dict[int, int] = {}
        self._used: Dict[int, int] = {}
        self._quarantine: List[Block] = []

    def is_device_address(self, address: int) -> bool:
        """Whether an address is of device memory that the host cannot reach.

        Args:
            address: An address of any kind.

        Returns:
            True for device memory with ACL_HOST.
        """
        return address >= DEVICE_BASE

    def free_bytes(self, device: int) -> int:
        """Return what is left of a device's memory.

        Args:
            device: The device's number.

        Returns:
            Bytes.
        """
        return self.capacity - self._used.get(device, 0)

    def reserve(self, device: int, count: int) -> bool:
        """Take memory that no pointer is given for (a model's weights); False if there is not
        enough.

        Args:
            device: The device's number.
            count: How many bytes.

        Returns:
            Whether there was enough.
        """
        if count > self.free_bytes(device):
            return False
        self._used[device] = self._used.get(device, 0) + count
        return True

    def give_back(self, device: int, count: int) -> None:
        """Undo `reserve`.

        Args:
            device: The device's number.
            count: How many bytes.
        """
        self._used[device] -= count

    def allocate(self, size: int, device: Optional[int], where: Site) -> Optional[Block]:
        """Return new memory of a device, or pinned memory for None; None if the device has not
        enough.

        Args:
            size: How many bytes.
            device: The device's number; None: pinned host memory.
            where: The lines that led there.

        Returns:
            The block.
        """
        if device is not None and not self.reserve(device, charged(size)):
            return None
        # What is not promised is not given: there host memory has little alignment.
        off = 0
        if device is None and not self._host_aligned:
            off = 16
        storage, address = _storage(size, off)
        if device is not None and not self._real:
            address = self._device_address(device, size)
        block = Block(address, where, size=size, device=device, storage=storage)
        poison(block.view(0, size))
        if address not in self._blocks:
            bisect.insort(self._bases, address)
        self._blocks[address] = block
        return block

    def release(self, block: Block, where: Site) -> List[Block]:
        """Release a block; return those whose fences, or whose bytes after release, were found
        changed.

        Args:
            where: The lines that release it.
            block: The block.

        Returns:
            The damaged blocks.
        """
        damaged: List[Block] = []
        if not block.fences_stand():
            damaged.append(block)
        block.damaged = bool(damaged)
        block.released = where
        if block.device is not None:
            self.give_back(block.device, charged(block.size))
        if self.is_device_address(block.handle):
            block.storage = None
            return damaged
        # Kept for a while, so that a late write by the host is seen and harms nobody.
        poison(block.view(0, block.size))
        self._quarantine.append(block)
        while sum(old.size for old in self._quarantine) > _QUARANTINE:
            damaged += self._forget(self._quarantine.pop(0))
        return damaged

    def find(self, address: int) -> Optional[Block]:
        """Return the block in which (or right behind which) an address lies, released or not.

        Args:
            address: An address of any kind.

        Returns:
            The block.
        """
        index = bisect.bisect_right(self._bases, address)
        if not index:
            return None
        block = self._blocks[self._bases[index - 1]]
        if address > block.handle + block.size:
            return None
        return block

    def living(self) -> List[Block]:
        """Return the blocks that are not released.

        Returns:
            The blocks.
        """
        return [block for block in self._blocks.values() if block.alive]

    def inspect(self) -> List[Block]:
        """Return the blocks that were written past their ends, or after their release, since last
        asked.

        Returns:
            The damaged blocks.
        """
        found = []
        for block in (*self.living(), *self._quarantine):
            if block.damaged or self.is_device_address(block.handle):
                continue
            if not block.fences_stand():
                block.damaged = True
                found.append(block)
        return found

    def _device_address(self, device: int, size: int) -> int:
        base = self._next.get(device, DEVICE_BASE + device * _DEVICE_STRIDE + (1 << 21))
        # A gap, so that what runs past the end meets nothing.
        self._next[device] = round_up(base + charged(size) + 4096, 512)
        return base

    def _forget(self, block: Block) -> List[Block]:
        damaged: List[Block] = []
        if not block.damaged and not block.fences_stand():
            damaged.append(block)
        self._bases.remove(block.handle)
        del self._blocks[block.handle]
        block.storage = None
        return damaged


def _storage(size: int, off: int) -> Tuple[np.ndarray, int]:
    """Return fenced bytes whose inner part starts ``off`` behind a 64-byte boundary, and that
    part's address.
    """
    raw = np.full(size + 4 * _FENCE, _FENCE_BYTE, dtype=np.uint8)
    skip = -int(raw.ctypes.data) % _FENCE + off
    storage = raw[skip : skip + size + 2 * _FENCE]
    return storage, int(storage.ctypes.data) + _FENCE


def host_bytes(address: int, count: int) -> np.ndarray:
    """Return bytes of this process as a writeable array; the caller knows that they are there.

    Args:
        address: An address of any kind.
        count: How many bytes.

    Returns:
        The bytes, uint8, shape (count,).
    """
    buffer = (ctypes.c_uint8 * count).from_address(address)
    bytes_there: np.ndarray = np.ctypeslib.as_array(buffer)
    return bytes_there
