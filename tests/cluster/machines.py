"""A Ray cluster of two machines on this one: each has a chip of the simulator's and a processor."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional

from crnn.jobs.run_folder import RunFolder
from tests.conftest import ROOT

PATIENCE = 90
"""Seconds that a part of Ray gets to start or to end on a busy machine."""
KILLER = (7, 7)
"""Images of this size end the process that decodes them with Pillow there."""

# A Pillow with a bug, for the machines of the cluster; and files that come slowly.
_SITE = f"""\
import os, signal, time
from PIL.PngImagePlugin import PngImageFile
_load = PngImageFile.load
def load(image):
    time.sleep(float(os.environ.get("SLOW", "0")))
    if image.size == {KILLER!r}:
        os.kill(os.getpid(), signal.SIGKILL)
    return _load(image)
PngImageFile.load = load
"""

# By these a head finds out in seconds that a machine is dead, in place of half a minute.
_QUICK = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    # On a busy machine half a minute may not be enough.
    "RAY_raylet_start_wait_time_s": "120",
}


TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
"""What Ray asks of whoever uses a cluster; without it a token is kept in the home folder."""


class Machines:
    """The cluster; ``address`` is its head's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._temporary = Path(tempfile.mkdtemp(prefix="crnn-ray-"))
        self._nodes: List[subprocess.Popen[bytes]] = []
        site = folder / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(_SITE)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._port = port
        self.head, self.second = 0, 1

    def start(self) -> None:
        """Start both."""
        self._start("--head", f"--port={self._port}", f"--temp-dir={self._temporary}")
        self.add()

    def add(self, path: Optional[Path] = None) -> int:
        """Start one more machine; Python looks for modules in ``path`` first."""
        return self._start(f"--address={self.address}", path=path)

    def _start(self, *words: str, path: Optional[Path] = None) -> int:
        places = [str(self._folder / "site"), str(ROOT)]
        if path is not None:
            places.insert(0, str(path))
        ray = [
            *(str(Path(sys.executable).with_name("ray")), "start", "--block", *words),
            *("--num-cpus=1", '--resources={"NPU": 1}', "--object-store-memory=80000000"),
            *("--node-ip-address=127.0.0.1", "--disable-usage-stats"),
        ]
        if words[0] == "--head":
            ray.append("--include-dashboard=false")
        log = self._folder / f"node{len(self._nodes)}.log"
        with log.open("wb") as file:
            node = subprocess.Popen(
                [sys.executable, "-m", "crnn.simulator", "--devices", "2", "--", *ray],
                env={
                    **os.environ,
                    **_QUICK,
                    **TOKEN,
                    "PYTHONPATH": os.pathsep.join(places),
                    "CRNN_DECODERS": "pillow",
                    "SLOW": "0.004",
                },
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._nodes.append(node)
        self._wait_for(log)
        return len(self._nodes) - 1

    def _wait_for(self, log: Path) -> None:
        until = time.monotonic() + PATIENCE
        while b"Ray runtime started" not in log.read_bytes():
            assert time.monotonic() < until, log.read_text()
            assert self._nodes[-1].poll() is None, log.read_text()
            time.sleep(0.1)

    def kill(self, number: int) -> None:
        """Kill a machine, and all that runs on it, at once."""
        root = self._nodes[number].pid
        for process in [*_below(root), root]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._nodes[number].wait(PATIENCE)

    def stop(self, number: int) -> None:
        """Stop a machine as its owner would."""
        self._nodes[number].terminate()
        self._nodes[number].wait(PATIENCE)

    def close(self) -> None:
        """End everything; nothing of it may be left."""
        for number, node in enumerate(self._nodes):
            if node.poll() is None:
                self.kill(number)
        until = time.monotonic() + 20
        while processes_of(str(self._temporary)) and time.monotonic() < until:
            time.sleep(0.2)
        left = processes_of(str(self._temporary))
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        shutil.rmtree(self._temporary, ignore_errors=True)
        assert not left, f"{len(left)} processes of Ray outlived their machines"


@contextlib.contextmanager
def two_machines(folder: Path) -> Iterator[Machines]:
    machines = Machines(folder)
    try:
        machines.start()
        yield machines
    finally:
        machines.close()


def _below(root: int) -> List[int]:
    """Return all processes that a process has started, and theirs."""
    parents: Dict[int, List[int]] = {}
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(place.name))
    found: List[int] = []
    waiting = [root]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found.extend(children)
        waiting.extend(children)
    return found


def processes_of(text: str) -> List[int]:
    """Return the processes whose command line holds a text."""
    found = []
    for place in Path("/proc").iterdir():
        if not place.name.isdigit() or int(place.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if text.encode() in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return found


def claimed(folder: Path, besides: Mapping[int, Any] = {}) -> int:
    """Wait until a worker has claimed a shard of a run and read some of it; return its process."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for part in (folder / "shards").glob("??????.?.part"):
            with contextlib.suppress(OSError, ValueError):
                owner = json.loads(part.with_suffix("").read_bytes())["process"]
                if part.read_bytes().count(b"\n") > 1 and owner not in besides:
                    return int(owner)
        time.sleep(0.01)
    raise AssertionError(f"nobody works on {folder}: {RunFolder.open(folder).words_done()} words")


def writing(folder: Path, besides: int) -> int:
    """Wait until a worker writes a piece into a folder; return its process."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for part in folder.glob(".crnn-*.part"):
            owner = int(part.name.split("-")[2])
            if owner != besides and Path(f"/proc/{owner}").exists():
                return owner
        time.sleep(0.01)
    raise AssertionError(f"nobody writes into {folder}")
