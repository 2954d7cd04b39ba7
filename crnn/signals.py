"""Signals: who is interrupted, when, and what a child process makes of them.

The plan: Ctrl-C raises KeyboardInterrupt in the main thread of the process that the user started.
SIGTERM and SIGHUP end that process in the same way (`crnn.cli.main.ended_as_interrupted`). What
must not be torn apart holds the interrupt back (`uninterrupted`). Child processes hear of none of
it, from their start on (`interrupts_blocked`, then `interrupts_ignored` or `left_to_parent`): the
parent decides when they stop.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType
from typing import Any, Callable, Dict, Generator, List, Optional, Tuple

Handler = Callable[[int, Optional[FrameType]], Any]

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a process to end: of kill or Slurm, and of a closed terminal."""


@contextlib.contextmanager
def handled(handler: Handler, *numbers: int) -> Generator[None, None, None]:
    """Have signals answered by a handler while the block runs.

    Only the main thread is ever interrupted, so in another one this does nothing. A signal that is
    ignored, as ``nohup`` has SIGHUP ignored, stays so.

    Args:
        handler: What is called with the signal's number and the interrupted frame.
        numbers: The signals.
    """
    if not _in_main_thread():
        yield
        return
    before: Dict[int, Any] = {}
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextlib.contextmanager
def uninterrupted() -> Generator[None, None, None]:
    """Hold Ctrl-C back until the block has ended.

    Between a call that acquired something and the line that notes it for release, an interrupt
    would lose it. In another thread than the main one this does nothing.
    """
    before = signal.getsignal(signal.SIGINT)
    if not _in_main_thread() or not callable(before):
        # Ignored, or left to the system: nothing would be raised.
        yield
        return
    pending: List[Tuple[int, Optional[FrameType]]] = []
    signal.signal(signal.SIGINT, lambda number, frame: pending.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pending:
            before(*pending[0])


def too_late(number: int) -> str:
    """Return a sentence on a signal that came when the work was done.

    Args:
        number: The signal's number.

    Returns:
        The sentence.
    """
    return f"{signal.Signals(number).name} came too late: all was done already"


@contextlib.contextmanager
def termination_raises() -> Generator[None, None, None]:
    """Let SIGTERM unwind the stack while the block runs.

    Raises:
        SystemExit: SIGTERM came; the code is 128 and its number.
    """

    def stop(number: int, frame: Optional[FrameType]) -> None:
        raise SystemExit(128 + number)

    with handled(stop, signal.SIGTERM):
        yield


@contextlib.contextmanager
def interrupts_blocked(*more: signal.Signals) -> Generator[None, None, None]:
    """Let the processes that the block starts inherit a blocked Ctrl-C: it is the parent's to
    answer.

    Args:
        more: Other signals to block.
    """
    from crnn.python37 import ensure_tracker

    # Starting the tracker would unblock it again.
    ensure_tracker()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *more})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def interrupts_ignored() -> None:
    """Ignore Ctrl-C from now on, in a child process: a terminal sends it to all of them, and it is
    the parent's to answer.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def left_to_parent(patience: int) -> None:
    """Outlive all signals in a child process that ends by itself with its parent.

    torchrun, Slurm and a terminal send signals to all processes. SIGTERM ends the process only
    after a while: the parent may still need it for this step, but a Python that ends without having
    told its children to end waits for them for ever. Unblocks what `interrupts_blocked` blocked.

    Args:
        patience: Seconds from SIGTERM to the end.
    """
    interrupts_ignored()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(patience))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, *ENDING})


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
