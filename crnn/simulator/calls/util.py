"""acl.util.*: pointers, bytes and arrays; threads."""

from __future__ import annotations

import ctypes
import errno
import threading
import traceback
import warnings
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from crnn import cann
from crnn.simulator.calls import implements
from crnn.simulator.calls.rt_memory import lend
from crnn.simulator.memory import Block, host_bytes, poison
from crnn.simulator.record import line_of, site
from crnn.simulator.state import Simulator

_OLD = "bytes_to_ptr and ptr_to_bytes should be used instead of the functions for NumPy"
_NO_SUCH_THREAD = errno.ESRCH
_DTYPES: Dict[int, np.dtype] = {
    number: np.dtype(name) for name, number in cann.NUMPY_TYPE_NUMBER.items()
}


@implements("acl.util.bytes_to_ptr")
def bytes_to_ptr(sim: Simulator, data: Any) -> int:
    """Return the address of a bytes object's content, which the caller must keep.

    Args:
        sim: The simulated machine.
        data: A bytes object.

    Returns:
        The address of the first byte.
    """
    if not isinstance(data, bytes):
        raise ValueError("needs an byte as argument")
    address = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
    lend(sim, address, len(data), data)
    return address


@implements("acl.util.ptr_to_bytes")
def ptr_to_bytes(sim: Simulator, address: int, size: int) -> bytes:
    """Return a copy of host memory.

    Args:
        sim: The simulated machine.
        address: Where the memory begins.
        size: How many bytes.

    Returns:
        The copy.
    """
    if size >= 1 << 62:
        raise ValueError("convert c pointer to bytes failed")
    if not address or not _readable(sim, address, size, read=True):
        fresh = np.empty(size, dtype=np.uint8)
        poison(fresh)
        return fresh.tobytes()
    if not size:
        return b""
    return host_bytes(address, size).tobytes()


@implements("acl.util.numpy_to_ptr")
def numpy_to_ptr(sim: Simulator, array: Any) -> int:
    """Return the address of an array's first element, which the caller must keep.

    Args:
        sim: The simulated machine.
        array: An array of any shape and dtype.

    Returns:
        The address of the first element.
    """
    _warn()
    if not isinstance(array, np.ndarray):
        raise ValueError("needs an ndarray as argument")
    if not array.flags.c_contiguous:
        _warn()
        sim.broke(
            "memory", "the array is not C-contiguous: what follows the pointer is not the array"
        )
    return _lend_array(sim, array)


@implements("acl.util.numpy_contiguous_to_ptr")
def numpy_contiguous_to_ptr(sim: Simulator, array: Any) -> Tuple[int, np.ndarray]:
    """Return the address of an array, or of a contiguous copy of it, and which of the two.

    Args:
        sim: The simulated machine.
        array: An array of any shape and dtype.

    Returns:
        The address, and the array that it belongs to.
    """
    _warn()
    if not isinstance(array, np.ndarray):
        raise ValueError("needs an ndarray as argument")
    kept = array
    if not array.flags.c_contiguous:
        kept = np.ascontiguousarray(array)
    return _lend_array(sim, kept), kept


@implements("acl.util.ptr_to_numpy")
def ptr_to_numpy(sim: Simulator, address: int, shape: Any, number: int) -> np.ndarray:
    """Return a writeable view on host memory, which does not own it.

    Args:
        sim: The simulated machine.
        address: Where the memory begins.
        shape: The view's shape, a tuple of ints.
        number: NumPy's number of the dtype.

    Returns:
        The view.
    """
    _warn()
    if not isinstance(shape, tuple):
        raise ValueError("shape is empty")
    if not all(isinstance(size, int) for size in shape):
        raise TypeError("the second argument is not list of int")
    if any(not -(1 << 63) <= size < 1 << 64 for size in shape):
        raise ValueError("PyLong_AsVoidPtr failed")
    if number not in _DTYPES:
        raise ValueError(f"{number} is not a NumPy type number")
    dtype = _DTYPES[number]
    count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if not address or not count or not _readable(sim, address, count, read=False):
        fresh = np.empty(count, dtype=np.uint8)
        poison(fresh)
        return fresh.view(dtype).reshape(shape)
    return host_bytes(address, count).view(dtype).reshape(shape)


def _warn() -> None:
    # The real call's Warning, turned into an error by a filter, comes out as this ImportError.
    try:
        warnings.warn(_OLD, Warning, stacklevel=5)
    except Warning:
        raise ImportError("numpy._core.multiarray failed to import") from None


def _lend_array(sim: Simulator, array: np.ndarray) -> int:
    address = int(array.ctypes.data)
    owner: Any = array
    while isinstance(owner, np.ndarray) and isinstance(owner.base, np.ndarray):
        owner = owner.base
    if sim.memory.find(address) is None:
        lend(sim, address, array.nbytes, owner)
    return address


def _readable(sim: Simulator, address: int, count: int, *, read: bool) -> bool:
    """See that the host may look at this memory, and with ``read`` that no queued task is to write
    it.
    """
    block = sim.memory.find(address)
    if block is not None and (
        address < block.handle + block.size or sim.memory.is_device_address(address)
    ):
        return _block_readable(sim, block, address - block.handle, count, read)
    if sim.memory.is_device_address(address):
        sim.broke("memory", f"{address:#x} is a device address; the host cannot reach it")
        return False
    return True


def _block_readable(sim: Simulator, block: Block, low: int, count: int, read: bool) -> bool:
    made = f"{block.kind} made at {line_of(block.where)}"
    if block.released is not None:
        sim.broke("use-after-release", f"{made} was freed at {line_of(block.released)}")
        return False
    if sim.memory.is_device_address(block.handle):
        sim.broke("memory", f"{made} cannot be reached by the host: copy it first")
        return False
    if low + count > block.size:
        sim.broke("overrun", f"{count} bytes from byte {low} of {block.size}: {made}")
        return False
    if read:
        sim.check_host_access(block, write=False, low=low, high=low + count)
    return True


@implements("acl.util.start_thread")
def start_thread(sim: Simulator, function: Callable[..., Any], argument: Any) -> Tuple[int, int]:
    """Start a thread with ``function(argument)``; unlike the real call this leaves SIGINT alone.

    Args:
        sim: The simulated machine.
        function: What the thread calls.
        argument: What it calls it with; None: with nothing.

    Returns:
        The thread's number, and 0.
    """
    if not callable(function):
        raise TypeError("parameter must be callable")
    errors: List[BaseException] = []
    started = threading.Event()

    def work() -> None:
        started.set()
        try:
            if argument is None:
                function()
            else:
                function(argument)
        except Exception as error:  # noqa: BLE001  whatever the user's function raises, stop_thread tells
            traceback.print_exc()
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    started.wait()
    number = thread.ident or 0
    with sim.lock:
        sim.threads[number] = (thread, errors, site())
    return number, 0


@implements("acl.util.stop_thread")
def stop_thread(sim: Simulator, number: int) -> int:
    """Wait for a thread to end; ESRCH for one that start_thread did not make.

    Args:
        sim: The simulated machine.
        number: NumPy's number of the dtype.

    Returns:
        0, or ESRCH.
    """
    with sim.lock:
        started = sim.threads.pop(number, None)
    if started is None:
        return _NO_SUCH_THREAD
    thread, errors, _ = started
    thread.join()
    if errors:
        raise RuntimeError(f"exception={type(errors[0]).__name__},msg=thread call failed;")
    return 0
