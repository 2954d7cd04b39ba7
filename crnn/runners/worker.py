"""What runs in each process of a `DevicesRunner`: a runner, fed through a pipe."""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any, Callable, Deque, Generator, Optional, Tuple

import numpy as np

from crnn.errors import KitError
from crnn.runners.base import Runner
from crnn.runners.room import Place, Visitor
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
Given = Tuple[np.ndarray, Optional[Place]]
"""A batch, and where it stands in the memory that is shared; None of one that came by the pipe."""
Inbox = Any
"""A `queue.Queue` of messages, which Python 3.8 cannot write as a type."""


def send_array(pipe: Connection, array: np.ndarray) -> None:
    """Send an array without pickling its content."""
    array = np.ascontiguousarray(array)
    pipe.send(("array", (array.shape, array.dtype.str)))
    pipe.send_bytes(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]  # any buffer will do


def send_by(pipe: Connection, room: Visitor, place: Optional[Place], array: np.ndarray) -> None:
    """Send an array by a place of the shared memory, or by the pipe where it has no room there."""
    if place is None or not room.put(place, array):
        send_array(pipe, array)
        return
    pipe.send(("placed", (place, array.shape, array.dtype.str)))


def receive(pipe: Connection, room: Visitor) -> Message:
    """Receive a message; an array comes whole, and read-only, as "array" with a `Given`.

    Raises `EOFError` when the other side is gone.
    """
    kind, value = pipe.recv()
    if kind == "placed":
        place, shape, dtype = value
        array = room.view(place, shape, dtype)
        array.flags.writeable = False
        return "array", (array, place)
    if kind == "array":
        shape, dtype = value
        return kind, (np.frombuffer(pipe.recv_bytes(), dtype=dtype).reshape(shape), None)
    return kind, value


def serve(pipe: Connection, room: Visitor, factory: Callable[[], Runner]) -> None:
    """Open the runner, run what comes, answer in order, and end with the parent.

    Comes: "array" for a batch, "end" for the end of a stream, "stop". Goes: "ready" with the
    description, "array" for logits, which stand where their batch stood if they have room there,
    "error" or "bug" at the first failure, after which nothing more is run, and "closed" last.
    """
    left_to_parent(patience=int(GRACE))
    inbox: Inbox = queue.Queue()
    threading.Thread(
        target=_listen, args=(pipe, room, inbox), name="crnn-listen", daemon=True
    ).start()
    with contextlib.suppress(BrokenPipeError):
        # A process boundary: whatever goes wrong is told to the parent, who raises it.
        try:
            with factory() as runner:
                pipe.send(("ready", {name: getattr(runner, name) for name in DESCRIPTION}))
                _run_streams(pipe, room, runner, inbox)
        except BrokenPipeError:
            raise
        except KitError as error:
            pipe.send(("error", error))
        except Exception:  # noqa: BLE001
            pipe.send(("bug", traceback.format_exc()))
        pipe.send(("closed", None))


def _run_streams(pipe: Connection, room: Visitor, runner: Runner, inbox: Inbox) -> None:
    stopped = False
    places: Deque[Optional[Place]] = collections.deque()

    def batches(first: Given) -> Generator[np.ndarray, None, None]:
        nonlocal stopped
        kind, value = "array", first
        while kind == "array":
            images, place = value
            places.append(place)
            yield images
            kind, value = inbox.get()
        stopped = kind == "stop"

    while not stopped:
        kind, value = inbox.get()
        if kind == "stop":
            return
        if kind == "array":
            with contextlib.closing(runner.stream(batches(value))) as outputs:
                for logits in outputs:
                    send_by(pipe, room, places.popleft(), logits)


def _listen(pipe: Connection, room: Visitor, inbox: Inbox) -> None:
    # Reading goes on while results are written: two processes that both only write would wait for
    # ever.
    while True:
        try:
            message = receive(pipe, room)
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
