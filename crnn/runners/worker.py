"""What runs in each process of a `DevicesRunner`: a runner, fed through a pipe."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any, Callable, Generator, Tuple

import numpy as np

from crnn.errors import KitError
from crnn.runners.base import Runner
from crnn.signals import left_to_parent

DESCRIPTION = (
    "inputs",
    "outputs",
    "batch_sizes",
    "simulated",
    "threads",
    "versions",
    "notes",
    "ahead",
)
"""What the parent must know of the runner that was opened here."""
GRACE = 4.0
"""Seconds that a process whose parent is gone gets to release its device."""

Message = Tuple[str, Any]
Inbox = Any
"""A `queue.Queue` of messages, which Python 3.8 cannot write as a type."""


def send_array(pipe: Connection, array: np.ndarray) -> None:
    """Send an array without pickling its content."""
    array = np.ascontiguousarray(array)
    pipe.send(("array", (array.shape, array.dtype.str)))
    pipe.send_bytes(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]  # any buffer will do


def receive(pipe: Connection) -> Message:
    """Receive a message; an array comes whole, and read-only.

    Raises `EOFError` when the other side is gone.
    """
    kind, value = pipe.recv()
    if kind == "array":
        shape, dtype = value
        return kind, np.frombuffer(pipe.recv_bytes(), dtype=dtype).reshape(shape)
    return kind, value


def serve(pipe: Connection, factory: Callable[[], Runner]) -> None:
    """Open the runner, run what comes, answer in order, and end with the parent.

    Comes: "array" for a batch, "end" for the end of a stream, "stop". Goes: "ready" with the
    description, "array" for logits, "error" or "bug" at the first failure, after which nothing more
    is run, and "closed" last.
    """
    left_to_parent(patience=int(GRACE))
    inbox: Inbox = queue.Queue()
    threading.Thread(target=_listen, args=(pipe, inbox), name="crnn-listen", daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        # A process boundary: whatever goes wrong is told to the parent, who raises it.
        try:
            with factory() as runner:
                pipe.send(("ready", {name: getattr(runner, name) for name in DESCRIPTION}))
                _run_streams(pipe, runner, inbox)
        except BrokenPipeError:
            raise
        except KitError as error:
            pipe.send(("error", error))
        except Exception:  # noqa: BLE001
            pipe.send(("bug", traceback.format_exc()))
        pipe.send(("closed", None))


def _run_streams(pipe: Connection, runner: Runner, inbox: Inbox) -> None:
    stopped = False

    def batches(first: np.ndarray) -> Generator[np.ndarray, None, None]:
        nonlocal stopped
        kind, value = "array", first
        while kind == "array":
            yield value
            kind, value = inbox.get()
        stopped = kind == "stop"

    while not stopped:
        kind, value = inbox.get()
        if kind == "stop":
            return
        if kind == "array":
            with contextlib.closing(runner.stream(batches(value))) as outputs:
                for logits in outputs:
                    send_array(pipe, logits)


def _listen(pipe: Connection, inbox: Inbox) -> None:
    # Reading goes on while results are written: two processes that both only write would wait for
    # ever.
    while True:
        try:
            message = receive(pipe)
        # A parent that is gone ends the pipe; one that was interrupted within a message leaves it
        # in its middle, where anything may come of reading on.
        except Exception:  # noqa: BLE001
            break
        inbox.put(message)
        if message[0] == "stop":
            return
    inbox.put(("stop", None))
    time.sleep(GRACE)
    # Still here: the device does not answer, and nobody is left who would end this process.
    os._exit(1)
