"""One model on several devices: a spawned process for each, batches in turn, results in order."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
from collections import deque
from functools import partial
from typing import Any, Callable, Deque, Generator, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from crnn.errors import InputError, KitError, UnavailableError
from crnn.runners import worker
from crnn.runners.base import COMPUTED, Runner
from crnn.signals import interrupts_blocked
from crnn.spec import ModelSpec

PATIENCE = 30.0
"""Seconds that a process gets to release its device before it is killed."""


class DevicesRunner(Runner):
    """Runs batch after batch on one device after the other; ``devices`` names them, ``factories``
    make their runners.

    A factory must be picklable. Each device has a process of its own, since pyACL's calls hold
    Python's lock. Batches go to the processes as they are (uint8 stays uint8), and are cut, padded
    and converted there.
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
        with interrupts_blocked():
            for device, factory in self._factories:
                self._workers.append(_Worker(device, factory))
        with self._in_doubt():
            descriptions = [
                process.receive("ready", "while it was opened") for process in self._workers
            ]
        for name, value in descriptions[0].items():
            setattr(self, name, value)
        # A process may take as many as its runner does, and finds one more waiting.
        self.ahead = len(self._workers) * (self.ahead + 1)

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
        return np.array(output)

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
        pending: Deque[Tuple[_Worker, int]] = deque()
        try:
            while True:
                if len(pending) == self.ahead:
                    yield self._receive(pending)
                number, images = next(source, (0, None))
                if images is None:
                    break
                process = self._workers[number % len(self._workers)]
                pending.append((process, number))
                with self._in_doubt():
                    process.send_batch(images, _on_its_way(pending, process))
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

    def _receive(self, pending: Deque[Tuple[_Worker, int]]) -> np.ndarray:
        process, _ = pending[0]
        with self._in_doubt():
            logits: np.ndarray = process.receive("array", _on_its_way(pending, process))
        pending.popleft()
        return logits

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
        if self._failed:
            for process in workers:
                process.hang_up()
            for process in workers:
                process.drain()
            return
        for process in workers:
            process.send("stop")
        errors = [error for error in [process.join() for process in workers] if error]
        if errors:
            raise errors[0]


def _on_its_way(pending: Iterable[Tuple[_Worker, int]], process: _Worker) -> str:
    """Name a device's batches:

    an error of its shows when results are waited for, so it may be any of these.
    """
    return (
        f"with batch {', '.join(str(number + 1) for other, number in pending if other is process)}"
        " on its way"
    )


def _read_by(factory: Callable[[], Runner], spec: ModelSpec) -> Runner:
    runner = factory()
    runner.read_by(spec)
    return runner


class _Worker:
    """A process that has a device, as its parent sees it."""

    def __init__(self, device: str, factory: Callable[[], Runner]) -> None:
        self._device = device
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=worker.serve, args=(theirs, factory), name=f"crnn-device-{device}", daemon=True
        )
        self._process.start()
        theirs.close()

    def send_batch(self, images: np.ndarray, when: str) -> None:
        """Send a batch; raises, with ``when``, where the process is gone."""
        try:
            worker.send_array(self._pipe, images)
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

    def receive(self, expected: str, when: str) -> Any:
        """Return the next answer's content, or raise what the process reports or died of, with
        ``when``.
        """
        try:
            kind, value = worker.receive(self._pipe)
        except (EOFError, OSError):
            raise self._died(when) from None
        if kind == expected:
            return value
        if kind == "error":
            raise self._told(value, when)
        raise RuntimeError(f"device {self._device}, {when}: the process failed\n{value}")

    def join(self) -> Optional[KitError]:
        """Wait until the process has ended, by force if it must be; return what it died of on the
        way out.
        """
        error: Optional[KitError] = None
        try:
            while self._pipe.poll(PATIENCE):
                kind, value = worker.receive(self._pipe)
                if kind == "error":
                    error = error or self._told(value, "while it was closed")
                if kind == "closed":
                    break
            else:
                error = UnavailableError(
                    f"device {self._device}: its process did not end in {PATIENCE:g} s and was"
                    " killed"
                )
        except (EOFError, OSError):
            error = error or self._died("while it was closed")
        self._end(PATIENCE if error is None else 1.0)
        return error

    def hang_up(self) -> None:
        """Tell the process to end where half a message may stand in the pipe, after which no other
        would be read.
        """
        with contextlib.suppress(OSError), socket.socket(
            fileno=os.dup(self._pipe.fileno())
        ) as ours:
            ours.shutdown(socket.SHUT_WR)

    def drain(self) -> None:
        """Wait like `join`, but take what still comes for bytes:

        it may begin in the middle of a message.
        """
        with contextlib.suppress(OSError):
            while self._pipe.poll(PATIENCE) and os.read(self._pipe.fileno(), 1 << 16):
                pass
        self._end(1.0)

    def _end(self, patience: float) -> None:
        self._pipe.close()
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _told(self, error: KitError, when: str) -> KitError:
        error.message = f"device {self._device}, {when}: {error.message}"
        return error

    def _died(self, when: str) -> UnavailableError:
        self._process.join(1.0)
        return UnavailableError(
            f"device {self._device}, {when}: its process ended without a word (exit code"
            f" {self._process.exitcode})",
            hint=(
                "-9 means that it was killed, often for want of memory: see dmesg and npu-smi info."
            ),
        )
