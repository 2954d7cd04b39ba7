"""acl.rt.*: memory and copies."""

from __future__ import annotations

import sys
import weakref
from typing import Any, Callable, Optional, Tuple

import numpy as np

from crnn import cann
from crnn.simulator.calls import implements
from crnn.simulator.clock import COPY_IN, COPY_OUT
from crnn.simulator.memory import (
    Block,
    charged,
    host_bytes,
    is_poison,
    poison,
    same_bytes,
    still_poison,
)
from crnn.simulator.record import Site, line_of, site
from crnn.simulator.state import RefusedError, Simulator
from crnn.simulator.things import Context, DataBuffer

_PARAM = cann.ACL_ERROR_RT_PARAM_INVALID

# -------------------------------------------------------------------------------------------------
# Memory
# --------------------------------------------------------------------------------------------------


@implements("acl.rt.malloc")
def malloc(sim: Simulator, size: int, policy: int) -> Tuple[int]:
    """Allocate device memory: at least the size, on a 64-byte boundary, poisoned.

    Args:
        sim: The simulated machine.
        size: How many bytes, more than 0.
        policy: One of aclrtMemMallocPolicy, with or without a bandwidth flag.

    Returns:
        The address, which is not one of this process with ACL_HOST.
    """
    context = sim.need_context()
    flags = cann.MALLOC_FLAG_LOW_BANDWIDTH | cann.MALLOC_FLAG_HIGH_BANDWIDTH
    if policy & ~flags not in cann.MALLOC_POLICIES:
        sim.refuse(
            "parameter", f"{policy} is not an allocation policy", cann.ACL_ERROR_INVALID_PARAM
        )
    return (_allocate(sim, context, size, context.device).handle,)


@implements("acl.rt.malloc_host")
def malloc_host(sim: Simulator, size: int) -> Tuple[int]:
    """Allocate pinned host memory; on the chip itself (ACL_DEVICE) it is memory like all other,
    and begins on 64 bytes from CANN 8.5 on only.

    Args:
        sim: The simulated machine.
        size: How many bytes, more than 0.

    Returns:
        The address.
    """
    return (_allocate(sim, sim.need_context(), size, None).handle,)


@implements("acl.rt.free")
def free(sim: Simulator, address: int) -> None:
    """Give back device memory.

    Args:
        sim: The simulated machine.
        address: Where the memory begins.
    """
    sim.need_context()
    _free(sim, address, pinned=False)


@implements("acl.rt.free_host")
def free_host(sim: Simulator, address: int) -> None:
    """Give back pinned host memory.

    Args:
        sim: The simulated machine.
        address: Where the memory begins.
    """
    sim.need_context()
    _free(sim, address, pinned=True)


def _allocate(sim: Simulator, context: Context, size: int, device: Optional[int]) -> Block:
    if not size:
        sim.refuse("parameter", "0 bytes", cann.ACL_ERROR_INVALID_PARAM)
    if device is not None and charged(size) > sim.memory.free_bytes(device):
        raise RefusedError(
            cann.ACL_ERROR_RT_MEMORY_ALLOCATION,
            f"{size} bytes asked, {sim.memory.free_bytes(device)} free",
        )
    if device is None and size > 1 << 40:
        raise RefusedError(cann.ACL_ERROR_RT_MEMORY_ALLOCATION, f"{size} bytes asked")
    block = sim.memory.allocate(size, device, site())
    assert block is not None
    block.context = context
    return block


def _free(sim: Simulator, address: int, *, pinned: bool) -> None:
    if not address:
        sim.refuse("memory", "the null pointer", cann.ACL_ERROR_INVALID_PARAM)
    block = sim.memory.find(address)
    if block is None or block.handle != address:
        sim.refuse("memory", f"{address:#x} is not the start of an allocation", 207002)
    if block.released is not None:
        text = (
            f"double free: the {block.kind} made at {line_of(block.where)} was freed at"
            f" {line_of(block.released)}"
        )
        sim.refuse("memory", text, 207002)
    if (block.device is None) != pinned:
        wanted = "free"
        if block.device is None:
            wanted = "free_host"
        sim.refuse(
            "memory",
            f"{block.kind} is given back by {wanted}",
            cann.ACL_ERROR_RT_INVALID_MEMORY_TYPE,
        )
    _check_unused(sim, block)
    for damaged in sim.memory.release(block, site()):
        sim.note_damage(damaged)
    sim.mark_released(block)


def _check_unused(sim: Simulator, block: Block) -> None:
    sim.check_host_access(block, write=True, low=0, high=block.size)
    for buffer in sim.registry.living(DataBuffer):
        if block.handle <= buffer.pointer < block.handle + block.size and not buffer.release_failed:
            sim.advise(
                "release-order",
                f"the data buffer made at {line_of(buffer.where)} still points to this memory",
            )
    for model in sim.models.values():
        if model.alive and block in model.lent and not model.release_failed:
            sim.broke(
                "release-order",
                f"the model loaded at {line_of(model.where)} still lives in this memory",
            )


@implements("acl.rt.get_mem_info")
def get_mem_info(sim: Simulator, attribute: int) -> Tuple[int, int]:
    """Return free and total bytes; asking for HBM where there is DDR alone gives those of DDR, as
    the present runtime does.

    Args:
        sim: The simulated machine.
        attribute: Which memory, one of aclrtMemAttr.

    Returns:
        Free and total bytes.
    """
    context = sim.need_context()
    if attribute not in cann.MEM_ATTRS:
        sim.refuse("parameter", f"{attribute} is not a kind of memory", _PARAM)
    return sim.memory.free_bytes(context.device), sim.knobs.device_memory


# ------------------------------------------------------------------------------------------------
# Copies
# --------------------------------------------------------------------------------------------------


class Region:
    """Bytes that a copy reads or writes:

    in a block, or (``block`` None) in ordinary host memory.
    """

    def __init__(self, sim: Simulator, address: int, count: int, what: str) -> None:
        self.address = address
        self.count = count
        if not address:
            sim.refuse("memory", f"{what} is the null pointer", cann.ACL_ERROR_INVALID_PARAM)
        self.block = _block_of(sim, address, count, what)
        self.low = 0
        if self.block is None:
            _check_lent(sim, address, count, what)
        else:
            self.low = address - self.block.handle
        self.high = self.low + count

    @property
    def on_device(self) -> bool:
        """Whether it is device memory."""
        return self.block is not None and self.block.device is not None

    @property
    def bytes(self) -> np.ndarray:
        """The bytes themselves, writeable."""
        if self.block is None:
            return host_bytes(self.address, self.count)
        return self.block.view(self.low, self.count)

    def empty(self) -> bool:
        """Whether nothing was ever put there."""
        if self.block is not None and self.block.device is not None:
            return not any(a < self.high and self.low < b for a, b in self.block.written)
        return is_poison(self.bytes)


def _block_of(sim: Simulator, address: int, count: int, what: str) -> Optional[Block]:
    block = sim.memory.find(address)
    if block is not None and block.released is not None:
        text = (
            f"{what} is {block.kind} made at {line_of(block.where)} and freed at"
            f" {line_of(block.released)}"
        )
        sim.refuse("use-after-release", text, _PARAM)
    if block is not None and address + count > block.handle + block.size:
        if address == block.handle + block.size and not sim.memory.is_device_address(address):
            return None  # ordinary host memory that happens to begin right behind a block
        made = f"{block.size} allocated at {line_of(block.where)}"
        sim.refuse(
            "overrun", f"{what}: {count} bytes from byte {address - block.handle} of {made}", _PARAM
        )
    if block is None and sim.memory.is_device_address(address):
        sim.refuse("memory", f"{what}: {address:#x} is in no allocation", _PARAM)
    return block


def copy(sim: Simulator, target: Region, source: Region) -> None:
    """Copy, and keep account of what holds something.

    Args:
        sim: The simulated machine.
        target: What is written.
        source: What is read.
    """
    target.bytes[:] = source.bytes
    if target.block is not None:
        if source.empty():
            target.block.drain(target.low, target.high)
        else:
            target.block.fill(target.low, target.high)


def _regions(
    sim: Simulator, target: int, limit: int, source: int, count: int, kind: int
) -> Tuple[Region, Region]:
    if not count:
        sim.refuse("parameter", "0 bytes", cann.ACL_ERROR_INVALID_PARAM)
    if count > limit:
        sim.refuse("overrun", f"{count} bytes into a target of {limit}", _PARAM)
    # The whole target that was claimed must be there, not only what is written now.
    Region(sim, target, limit, "the target")
    into = Region(sim, target, count, "the target")
    out_of = Region(sim, source, count, "the source")
    _check_kind(sim, into, out_of, kind)
    _check_devices(sim, into, out_of)
    return into, out_of


def _check_devices(sim: Simulator, into: Region, out_of: Region) -> None:
    devices = set()
    for region in (into, out_of):
        if region.block is not None and region.on_device:
            devices.add(region.block.device)
    if len(devices) == 2:
        sim.refuse("memory", "a copy between two devices", _PARAM)
    current = sim.need_context().device
    for region in (into, out_of):
        if region.block is not None and region.block.device not in (None, current):
            sim.refuse(
                "context",
                f"memory of device {region.block.device}, current is device {current}",
                _PARAM,
            )


def _check_kind(sim: Simulator, target: Region, source: Region, kind: int) -> None:
    if kind not in cann.MEMCPY_KINDS:
        sim.refuse("parameter", f"{kind} is not a kind of copy", cann.ACL_ERROR_INVALID_PARAM)
    if sim.knobs.run_mode == cann.ACL_DEVICE:
        if kind != cann.ACL_MEMCPY_DEVICE_TO_DEVICE:
            sim.broke(
                "copy-kind",
                f"{cann.MEMCPY_KINDS[kind]} on the chip itself, where only DEVICE_TO_DEVICE is"
                " sure",
            )
        return
    wanted = {
        (False, False): cann.ACL_MEMCPY_HOST_TO_HOST,
        (True, False): cann.ACL_MEMCPY_HOST_TO_DEVICE,
        (False, True): cann.ACL_MEMCPY_DEVICE_TO_HOST,
        (True, True): cann.ACL_MEMCPY_DEVICE_TO_DEVICE,
    }[target.on_device, source.on_device]
    if kind != wanted:
        text = f"the copy is {cann.MEMCPY_KINDS[wanted]}, the kind given {cann.MEMCPY_KINDS[kind]}"
        sim.refuse("copy-kind", text, _PARAM)


def engine_of(target: Region, source: Region) -> str:
    """Return the engine that makes a copy: from the device one, everything else the other.

    Args:
        target: What is written.
        source: What is read.

    Returns:
        One of the clock's engines.
    """
    if source.on_device and not target.on_device:
        return COPY_OUT
    return COPY_IN


@implements("acl.rt.memcpy")
def memcpy(sim: Simulator, target: int, limit: int, source: int, count: int, kind: int) -> None:
    """Copy at once; what queued tasks still use must not be touched.

    Args:
        sim: The simulated machine.
        target: Where to.
        limit: How many bytes the target has.
        source: Where from.
        count: How many bytes, more than 0.
        kind: Which way, one of aclrtMemcpyKind.
    """
    context = sim.need_context()
    into, out_of = _regions(sim, target, limit, source, count, kind)
    for region, write in ((into, True), (out_of, False)):
        if region.block is not None:
            sim.check_host_access(region.block, write=write, low=region.low, high=region.high)
    copy(sim, into, out_of)
    engine = engine_of(into, out_of)
    duration = sim.clock.copy_duration(engine, count)
    end = sim.clock.place(context.device, engine, sim.clock.now, duration)
    sim.clock.wait_until(end)


@implements("acl.rt.memcpy_async")
def memcpy_async(
    sim: Simulator, target: int, limit: int, source: int, count: int, kind: int, stream: int
) -> None:
    """Queue a copy.

    Host memory must be pinned and left alone until the stream has passed; a target is lost at once.

    Args:
        sim: The simulated machine.
        target: Where to.
        limit: How many bytes the target has.
        source: Where from.
        count: How many bytes, more than 0.
        kind: Which way, one of aclrtMemcpyKind.
        stream: The stream; 0 is the current context's default one.
    """
    queue = sim.stream(stream)
    into, out_of = _regions(sim, target, limit, source, count, kind)
    for region, name in ((into, "target"), (out_of, "source")):
        if region.block is None:
            sim.refuse(
                "pinned",
                f"the {name} of memcpy_async is host memory that malloc_host did not give",
                _PARAM,
            )
        if region.address % cann.DEVICE_ALIGNMENT:
            sim.refuse(
                "alignment",
                f"the {name} of memcpy_async is not aligned to 64 bytes",
                cann.ACL_ERROR_RT_ADDR_UNALIGNED,
            )
    assert into.block is not None and out_of.block is not None
    sim.check_task_access(into.block, queue, write=True, low=into.low, high=into.high)
    sim.check_task_access(out_of.block, queue, write=False, low=out_of.low, high=out_of.high)
    where = site()
    action = _queued_copy(sim, into, out_of, where)
    engine = engine_of(into, out_of)
    task = sim.streams.enqueue(
        queue,
        "memcpy_async",
        where,
        action,
        engine=engine,
        duration=sim.clock.copy_duration(engine, count),
    )
    sim.streams.touch(into.block, queue, task, write=True, low=into.low, high=into.high)
    sim.streams.touch(out_of.block, queue, task, write=False, low=out_of.low, high=out_of.high)


def _queued_copy(sim: Simulator, into: Region, out_of: Region, where: Site) -> Callable[[], None]:
    before: Optional[np.ndarray] = None
    if not out_of.on_device:
        before = out_of.bytes.copy()
    if not into.on_device:
        poison(into.bytes)

    def run() -> None:
        if before is not None and not same_bytes(before, out_of.bytes):
            sim.broke(
                "order",
                "the host changed the source of a queued memcpy_async before the stream passed it",
                where=where,
            )
        if not into.on_device and not still_poison(into.bytes):
            sim.broke(
                "order",
                "the host wrote into the target of a queued memcpy_async before the stream"
                " passed it",
                where=where,
            )
        copy(sim, into, out_of)

    return run


@implements("acl.rt.memset")
def memset(sim: Simulator, address: int, limit: int, value: int, count: int) -> None:
    """Fill memory at once.

    Args:
        sim: The simulated machine.
        address: Where the memory begins.
        limit: How many bytes the target has.
        value: The byte, of which the lowest 8 bits count.
        count: How many bytes, more than 0.
    """
    sim.need_context()
    region = _set_region(sim, address, limit, count)
    if region.block is not None:
        sim.check_host_access(region.block, write=True, low=region.low, high=region.high)
    _fill(region, value)


@implements("acl.rt.memset_async")
def memset_async(
    sim: Simulator, address: int, limit: int, value: int, count: int, stream: int
) -> None:
    """Queue a fill of device or pinned memory.

    Args:
        sim: The simulated machine.
        address: Where the memory begins.
        limit: How many bytes the target has.
        value: The byte, of which the lowest 8 bits count.
        count: How many bytes, more than 0.
        stream: The stream; 0 is the current context's default one.
    """
    queue = sim.stream(stream)
    region = _set_region(sim, address, limit, count)
    if region.block is None:
        sim.refuse("pinned", "memset_async of host memory that malloc_host did not give", _PARAM)
    sim.check_task_access(region.block, queue, write=True, low=region.low, high=region.high)
    task = sim.streams.enqueue(queue, "memset_async", site(), lambda: _fill(region, value))
    sim.streams.touch(region.block, queue, task, write=True, low=region.low, high=region.high)


def _set_region(sim: Simulator, address: int, limit: int, count: int) -> Region:
    if not count:
        sim.refuse("parameter", "0 bytes", cann.ACL_ERROR_INVALID_PARAM)
    if count > limit:
        sim.refuse("overrun", f"{count} bytes into a target of {limit}", _PARAM)
    Region(sim, address, limit, "the target")
    return Region(sim, address, count, "the target")


def _fill(region: Region, value: int) -> None:
    region.bytes[:] = value & 0xFF
    if region.block is not None:
        region.block.fill(region.low, region.high)


# ------------------------------------------------------------------------------------------------
# Ordinary host memory that was lent by bytes_to_ptr and numpy_to_ptr
# --------------------------------------------------------------------------------------------------

_LENT_LIMIT = 4096


def lend(sim: Simulator, address: int, size: int, owner: Any) -> None:
    """Remember how long a pointer that was given out stays good.

    Args:
        sim: The simulated machine.
        address: Where the memory begins.
        size: How many bytes, more than 0.
        owner: The object that the memory belongs to.
    """
    if len(sim.lent) >= _LENT_LIMIT:
        sim.lent.pop(next(iter(sim.lent)))
    sim.lent.pop(address, None)
    try:
        keeper: Any = weakref.ref(owner)
    except TypeError:
        # bytes take no weak references; kept, and seen to be nobody else's by its count.
        keeper = owner
    sim.lent[address] = (size, keeper)


def _check_lent(sim: Simulator, address: int, count: int, what: str) -> None:
    if address not in sim.lent:
        return
    size, keeper = sim.lent[address]
    if isinstance(keeper, weakref.ref):
        gone = keeper() is None
    else:
        # sim.lent's tuple, the local name, getrefcount's argument
        gone = sys.getrefcount(keeper) <= 3
    if gone:
        sim.refuse(
            "use-after-release",
            f"{what} points into an object that is gone: nobody kept it",
            _PARAM,
        )
    if count > size:
        sim.refuse("overrun", f"{what}: {count} bytes of an object of {size}", _PARAM)
