"""The process's one owner of ACL's initialisation and of its devices, counted, for any thread."""

from __future__ import annotations

import atexit
import contextlib
import threading
from typing import Dict, Iterator, List, Set

from crnn.ascend.pyacl import Acl, AscendError

_lock = threading.RLock()
_owned: List[Acl] = []
"""The binding through which the kit initialised ACL; empty before, and where the caller initialised
it himself.
"""
_ready = False
_devices: Dict[int, int] = {}
_destroyed: Set[int] = set()


def initialize(acl: Acl, config: str = "") -> None:
    """Initialise ACL if nobody has; ACL that the caller initialised is the caller's to finalize.

    It stays initialised to the end of the process, for CANN does not promise a second life after
    `finalize`.

    Args:
        acl: The binding.
        config: The path of a JSON for `acl.init`; empty for none.

    Raises:
        AscendError: CANN refuses.
    """
    global _ready
    with _lock:
        if _ready:
            return
        if acl.init(config):
            _owned.append(acl)
            atexit.register(finalize)
        elif acl.has("finalize_reference"):
            # Where CANN counts each init, this one is given back, or the caller's
            # finalize_reference would not be the last.
            acl.finalize()
        _ready = True


def finalize() -> None:
    """Finalize ACL if the kit initialised it; runs at exit by itself, in the main thread."""
    global _ready
    with _lock:
        _ready = False
        _devices.clear()
        _destroyed.clear()
        atexit.unregister(finalize)
        while _owned:
            _owned.pop().finalize()


def open_device(acl: Acl, device: int) -> None:
    """Set a device for the process, or count one user more of it.

    Args:
        acl: The binding.
        device: The chip's number.

    Raises:
        AscendError: The chip cannot be opened.
    """
    with _lock:
        if not _devices.get(device):
            acl.set_device(device)
        _devices[device] = _devices.get(device, 0) + 1


def close_device(acl: Acl, device: int) -> None:
    """Count one user less of a device, and reset it after the last.

    Args:
        acl: The binding.
        device: The chip's number.

    Raises:
        AscendError: CANN refuses.
    """
    with _lock:
        _devices[device] -= 1
        if not _devices[device]:
            acl.reset_device(device)


def create_context(acl: Acl, device: int) -> int:
    """Create a context, which becomes the thread's current one.

    Args:
        acl: The binding.
        device: The chip's number.

    Returns:
        The context.

    Raises:
        AscendError: CANN refuses.
    """
    with _lock:
        context = acl.create_context(device)
        # A new context may get the number of an old one.
        _destroyed.discard(context)
        return context


def destroy_context(acl: Acl, context: int) -> None:
    """Destroy a context that `create_context` gave.

    Args:
        acl: The binding.
        context: The context.

    Raises:
        AscendError: CANN refuses.
    """
    with _lock:
        _destroyed.add(context)
        acl.destroy_context(context)


@contextlib.contextmanager
def current(acl: Acl, context: int) -> Iterator[None]:
    """Make a context the thread's current one for the block, then put back the caller's own.

    Every thread has one current context, or none; the kit's work must not change the caller's. A
    thread that had none keeps this one, for a context cannot be unset.

    Args:
        acl: The binding.
        context: The context that the block needs.

    Raises:
        AscendError: CANN refuses.
    """
    before = acl.get_context()
    if before != context:
        acl.set_context(context)
    try:
        yield
    except BaseException:
        with contextlib.suppress(AscendError):  # the error of the block is the one to tell
            restore(acl, before, context)
        raise
    restore(acl, before, context)


def restore(acl: Acl, before: int, now: int = 0) -> None:
    """Make ``before`` the thread's current context again.

    Nothing happens where it is 0, ``now`` itself, or destroyed.

    Args:
        acl: The binding.
        before: The context to make current again; 0 for none.
        now: The context that is current.

    Raises:
        AscendError: CANN refuses.
    """
    if before and before != now and before not in _destroyed:
        acl.set_context(before)
