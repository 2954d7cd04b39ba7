"""One model on several devices: a spawned process for each, batches in turn, results in order."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
from collections import deque
from functools import partial
from typing import Any, Callable, Deque, Dict, Generator, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from crnn.errors import InputError, KitError, UnavailableError
from crnn.runners import worker
from crnn.runners.base import COMPUTED, Runner
from crnn.runners.room import Place, Room
from crnn.signals import ENDING, interrupts_blocked
from crnn.spec import ModelSpec

PATIENCE = 30.0
"""Seconds that a process gets to release its device before it is killed."""
SHORT_PATIENCE = 2.0
"""The same where devices may be given up: what was read is safe, and the run may be ended in a
hurry.
"""
SILENCE = 60.0
"""Seconds without a batch after which a device is given up where others are left."""


class DevicesRunner(Runner):
    """Runs batch after batch on one device after the other; ``devices`` names them, ``factories``
    make their runners.

    A factory must be picklable. Each device has a process of its own, since pyACL's calls hold
    Python's lock. Batches go to the processes as they are (uint8 stays uint8), and are cut, padded
    and converted there. With `spare` a device that fails is given up, and others run its batches.
    """

    def __init__(self, factories: Sequence[Callable[[], Runner]], devices: Sequence[str]) -> None:
        first = factories[0]()
        super().__init__(first.model)
        self.backend = first.backend
        self._offered = first.offered_widths
        self.device = devices[0] + "".join(f",{name.rpartition(':')[2]}" for name in devices[1:])
        self._factories = list(zip(devices, factories))
        self._workers: List[_Worker] = []
        self._failed = False
        self.given_up: Dict[str, str] = {}

    def read_by(self, spec: ModelSpec) -> None:
        """See `Runner`; each process's runner is told."""
        super().read_by(spec)
        self._factories = [
            (device, partial(_read_by, factory, spec)) for device, factory in self._factories
        ]

    def offered_widths(self) -> Optional[Tuple[int, ...]]:
        """See `Runner`."""
        return self._offered()

    def _open(self) -> None:
        with interrupts_blocked(*ENDING):
            for device, factory in self._factories:
                self._workers.append(_Worker(device, factory))
        descriptions = [self._ready(process) for process in list(self._workers)]
        descriptions = [description for description in descriptions if description]
        for name, value in descriptions[0].items():
            setattr(self, name, value)
        # A process may take as many as its runner does, and finds one more waiting.
        self.ahead = len(self._workers) * (self.ahead + 1)

    def _ready(self, process: _Worker) -> Dict[str, Any]:
        """Return what a process says of its runner; nothing where its device is given up."""
        try:
            with self._in_doubt():
                description: Dict[str, Any] = process.receive("ready", "while it was opened")
                return description
        except UnavailableError as error:
            self._give_up(process, error)
            return {}

    def _check_metadata(self) -> None:
        """The processes' runners have checked themselves."""

    def _check_output(self, output: np.ndarray, images: Tuple[int, ...]) -> None:
        """What comes is (T, N, K) whatever the file's axes are; the processes' runners check."""

    def _prove_axes(self, piece: np.ndarray) -> None:
        """As `_check_output`."""

    def _cut(self, images: np.ndarray) -> List[Tuple[np.ndarray, int]]:
        self._check_images(images)
        return [(images, len(images))]

    def _logits(self, output: np.ndarray, count: int) -> np.ndarray:
        # A copy of the process's already.
        return output

    def _run(self, images: np.ndarray) -> np.ndarray:
        with contextlib.closing(self._stream([images])) as outputs:
            logits = next(outputs)
        # The copies happen in the other process.
        self.lap(COMPUTED)
        return logits

    def _stream(self, pieces: Iterable[np.ndarray]) -> Generator[np.ndarray, None, None]:
        if self._failed or not self._workers:
            raise InputError(
                f"{self.model.path}: the runner is closed, or one of its devices has failed"
            )
        source = enumerate(pieces)
        pending: Deque[_Task] = deque()
        try:
            while True:
                if len(pending) == self.ahead:
                    yield self._receive(pending)
                number, images = next(source, (0, None))
                if images is None:
                    break
                pending.append(_Task(number, images))
                self._send(pending[-1], self._workers[number % len(self._workers)])
            self._end_stream()
            while pending:
                yield self._receive(pending)
        finally:
            # What is still on its way when a stream is given up must not be taken for the next
            # one's.
            if pending and not self._failed:
                with contextlib.suppress(KitError):
                    self._end_stream()
                    while pending:
                        self._receive(pending)

    def _send(self, task: _Task, process: _Worker) -> None:
        process.tasks.append(task)
        try:
            with self._in_doubt():
                process.send_batch(task, process.on_its_way())
        except UnavailableError as error:
            self._give_up(process, error)

    def _receive(self, pending: Deque[_Task]) -> np.ndarray:
        task = pending[0]
        while task.logits is None:
            process = next(each for each in self._workers if task in each.tasks)
            silence = None
            if self.spare:
                silence = SILENCE
            try:
                with self._in_doubt():
                    process.receive_logits(process.on_its_way(), silence)
            except UnavailableError as error:
                self._give_up(process, error)
        pending.popleft()
        return task.logits

    def _give_up(self, process: _Worker, error: UnavailableError) -> None:
        """Go on without a device: others run the batches that it was given.

        Raises:
            UnavailableError: There is no other, or none is to be given up.
        """
        if not self.spare:
            raise error
        self._workers.remove(process)
        process.give_up()
        self.given_up[process.device] = error.message
        if not self._workers:
            raise error
        self._failed = False
        lost, process.tasks = list(process.tasks), deque()
        for turn, task in enumerate(lost):
            self._send(task, self._workers[turn % len(self._workers)])
        # A runner may hold batches back until more come, and there may be none for this one.
        self._end_stream()

    @contextlib.contextmanager
    def _in_doubt(self) -> Generator[None, None, None]:
        # Whatever interrupts the block, half a message may be left in the pipe.
        self._failed = True
        yield
        self._failed = False

    def _end_stream(self) -> None:
        for process in self._workers:
            process.send("end")

    def _close(self) -> None:
        workers, self._workers = self._workers, []
        patience = PATIENCE
        if self.spare:
            patience = SHORT_PATIENCE
        if self._failed:
            for process in workers:
                process.hang_up()
            for process in workers:
                process.drain(patience)
            return
        for process in workers:
            process.send("stop")
        errors = [error for error in [process.join(patience) for process in workers] if error]
        if errors:
            raise errors[0]


class _Task:
    """A batch that a process has been given; its logits once they are there."""

    def __init__(self, number: int, images: np.ndarray) -> None:
        self.number = number
        self.images = images
        self.place: Optional[Place] = None
        self.logits: Optional[np.ndarray] = None


def _read_by(factory: Callable[[], Runner], spec: ModelSpec) -> Runner:
    runner = factory()
    runner.read_by(spec)
    return runner


class _Worker:
    """A process that has a device, as its parent sees it."""

    def __init__(self, device: str, factory: Callable[[], Runner]) -> None:
        self.device = device
        self.tasks: Deque[_Task] = deque()
        self._hangs = False
        """What it was given and has not answered, in order."""
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._room = Room()
        self._process = spawn.Process(
            target=worker.serve,
            args=(theirs, self._room, factory),
            name=f"crnn-device-{device}",
            daemon=True,
        )
        self._process.start()
        theirs.close()

    def send_batch(self, task: _Task, when: str) -> None:
        """Send a batch; raises, with ``when``, where the process is gone."""
        task.place = self._room.taken(task.images.nbytes)
        try:
            worker.send_by(self._pipe, self._room, task.place, task.images)
        except OSError:
            # It may have said why before it went, behind answers that nobody will take now.
            while True:
                self.receive("array", when)

    def send(self, kind: str) -> None:
        """Send a message without content; that nobody is there to read it shows at the next
        `receive`.
        """
        with contextlib.suppress(OSError):
            self._pipe.send((kind, None))

    def on_its_way(self) -> str:
        """Name its batches: an error of its shows when results are waited for, so it may be any
        of these.
        """
        numbers = ", ".join(str(task.number + 1) for task in self.tasks)
        return f"with batch {numbers} on its way"

    def receive_logits(self, when: str, silence: Optional[float] = None) -> None:
        """Take the next answer for the first of its tasks, since they come in their order; see
        `receive`.
        """
        array, _ = self.receive("array", when, silence)
        task = self.tasks.popleft()
        task.logits = np.array(array)
        if task.place is not None:
            self._room.give_back(task.place, array.nbytes)

    def receive(self, expected: str, when: str, silence: Optional[float] = None) -> Any:
        """Return the next answer's content, or raise what the process reports or died of, with
        ``when``; so too where it says nothing for ``silence`` seconds.
        """
        if silence is not None and not self._pipe.poll(silence):
            self._hangs = True
            raise UnavailableError(
                f"device {self.device}, {when}: it gave no batch for {silence:g} s"
            )
        try:
            kind, value = worker.receive(self._pipe, self._room)
        except (EOFError, OSError):
            raise self._died(when) from None
        if kind == expected:
            return value
        if kind == "error":
            raise self._told(value, when)
        raise RuntimeError(f"device {self.device}, {when}: the process failed\n{value}")

    def give_up(self) -> None:
        """End the process: one that has told of an error is let to release its device, one that
        hangs is killed.
        """
        if self._hangs:
            self._process.kill()
        self.hang_up()
        self.drain(PATIENCE)

    def join(self, patience: float) -> Optional[KitError]:
        """Wait until the process has ended, by force if it must be; return what it died of on the
        way out.
        """
        error: Optional[KitError] = None
        try:
            while self._pipe.poll(patience):
                kind, value = worker.receive(self._pipe, self._room)
                if kind == "error":
                    error = error or self._told(value, "while it was closed")
                if kind == "closed":
                    break
            else:
                error = UnavailableError(
                    f"device {self.device}: its process did not end in {patience:g} s and was"
                    " killed"
                )
        except (EOFError, OSError):
            error = error or self._died("while it was closed")
        if error is not None:
            patience = 1.0
        self._end(patience)
        return error

    def hang_up(self) -> None:
        """Tell the process to end where half a message may stand in the pipe, after which no other
        would be read.
        """
        with contextlib.suppress(OSError), socket.socket(
            fileno=os.dup(self._pipe.fileno())
        ) as ours:
            ours.shutdown(socket.SHUT_WR)

    def drain(self, patience: float) -> None:
        """Wait like `join`, but take what still comes for bytes:

        it may begin in the middle of a message.
        """
        with contextlib.suppress(OSError):
            while self._pipe.poll(patience) and os.read(self._pipe.fileno(), 1 << 16):
                pass
        self._end(1.0)

    def _end(self, patience: float) -> None:
        self._pipe.close()
        self._room.close()
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _told(self, error: KitError, when: str) -> KitError:
        error.message = f"device {self.device}, {when}: {error.message}"
        return error

    def _died(self, when: str) -> UnavailableError:
        self._process.join(1.0)
        return UnavailableError(
            f"device {self.device}, {when}: its process ended without a word (exit code"
            f" {self._process.exitcode})",
            hint=(
                "-9 means that it was killed, often for want of memory: see dmesg and npu-smi info."
            ),
        )
