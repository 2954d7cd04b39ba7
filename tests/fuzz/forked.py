"""Commands run in children of one process that has imported everything: a try costs no start."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional

BUG = 70
"""The exit code of a child that ended with a traceback."""


class Ended(NamedTuple):
    """How a child ended.

    ``code`` is negative for a signal; ``cpu`` are its processors' seconds, which a busy machine
    does not lengthen; ``peak`` is the most memory it had beyond this process's own, in bytes.
    """

    code: int
    text: str
    seconds: float
    cpu: float
    peak: int


def warm(*, torch: bool = True) -> None:
    """Import what the verbs import, so that no child has to.

    Args:
        torch: Whether verbs are among them that need PyTorch, whose import takes longer than those
            of all others together.
    """
    import onnxruntime  # noqa: F401

    import crnn.cli.main
    import crnn.datasets.convert
    import crnn.datasets.merge
    import crnn.datasets.synth.generate
    import crnn.jobs.evaluate
    import crnn.jobs.evaluations
    import crnn.jobs.prepare
    import crnn.recognizer  # noqa: F401

    if torch:
        _warm_torch()


def _warm_torch() -> None:
    import torch

    import crnn.export.quantize
    import crnn.export.to_onnx
    import crnn.runners.torch_runner
    import crnn.training.loop  # noqa: F401

    # The first optimizer of a process imports PyTorch's compiler.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).step()


def command(*argv: object) -> Callable[[], int]:
    """Return what runs ``crnn argv…``."""

    def run() -> int:
        from crnn.cli.main import main

        return main([str(word) for word in argv])

    return run


class Child:
    """A child that runs a function, its output kept in a file."""

    def __init__(self, work: Callable[[], int], *, memory: int = 0) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed at its end
        sys.stdout.flush()
        sys.stderr.flush()
        self.began = time.monotonic()
        self.pid = os.fork()
        if not self.pid:
            self._run(work, memory)

    def _run(self, work: Callable[[], int], memory: int) -> None:
        code = BUG
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(self._log.fileno(), 1)
            os.dup2(self._log.fileno(), 2)
            sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
            sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
            if memory:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            code = work()
        except BaseException:  # noqa: BLE001  told by the child's exit code
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def ended(self) -> bool:
        """Say whether it has ended, without taking its end away."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def kill(self, number: int = signal.SIGKILL, *, group: bool = True) -> None:
        """Send a signal to it, or to all that it has started too."""
        try:
            if group:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            pass  # it has ended, or not begun its group

    def end(self, limit: Optional[float] = None) -> Ended:
        """Wait for its end; kill it after ``limit`` seconds, which its text then says."""
        hung = False
        while limit is not None and not self.ended():
            if time.monotonic() - self.began > limit:
                hung = True
                self.kill()
                self.kill(group=False)
                break
            time.sleep(0.002)
        _, status, usage = os.wait4(self.pid, 0)
        seconds = time.monotonic() - self.began
        self.kill()  # what it has started and left
        self._log.seek(0)
        text = self._log.read().decode("utf-8", "replace")
        self._log.close()
        if hung:
            text += f"\nHUNG: killed after {limit} s"
        # A child begins with its parent's pages.
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        cpu = usage.ru_utime + usage.ru_stime
        return Ended(_code(status), text, seconds, cpu, max(0, usage.ru_maxrss - own) << 10)


def _code(status: int) -> int:
    if os.WIFSIGNALED(status):
        return -os.WTERMSIG(status)
    return os.WEXITSTATUS(status)


def fails(ended: Ended, *, seconds: float, memory: int) -> List[str]:
    """Return what must not be: a traceback, a death by signal, a hang, too much time or memory."""
    found = []
    if "Traceback (most recent call last)" in ended.text or ended.code == BUG:
        found.append("traceback")
    if ended.code < 0:
        found.append(f"signal {-ended.code}")
    if "HUNG" in ended.text:
        found.append("hang")
    if ended.cpu > seconds:
        found.append(f"{ended.cpu:.1f} s")
    if ended.peak > memory:
        found.append(f"{ended.peak >> 20} MiB")
    return found


def put(path: Path, data: bytes) -> Path:
    """Write a file, with its folder, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
