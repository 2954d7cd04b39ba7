"""The command's side of a run on a cluster: it orders, shows how far the run is, and outlives
whatever becomes of Ray.

Nothing of Ray is imported here: a child process speaks to it (`crnn.cluster.client`).
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Callable, ContextManager, Dict, Iterator, Optional

import crnn
from crnn.cluster.order import AUTO, BEGIN, LOCAL, Job, Order
from crnn.errors import InputError, UnavailableError, UsageError, needs
from crnn.jobs.run_folder import make_folder, shard_size
from crnn.leftovers import temporary_file

SILENCE = 40.0
"""Seconds without a sign of life of the head after which it counts as dead. A connection that Ray
itself gives up, after RAY_gcs_rpc_server_reconnect_timeout_s (60), ends sooner."""
STARTING = 240.0
"""The same before the first sign: Ray has to be started, or found."""
LOOK = 1.0
"""Seconds between two looks at how far the run is."""
ENDING = 9.0
"""Seconds that the child gets to end its workers."""
_LAST = 20
"""So many lines of what the child said last are shown where it broke."""

_ANSWER = 20.0
"""Seconds that a head gets to take a connection."""
_HOME = Path(crnn.__file__).resolve().parent.parent
"""Where this package is found."""

Advance = Callable[[int], None]
Progress = Callable[[str, Optional[int]], ContextManager[Advance]]
_ADDRESS = re.compile(r"[A-Za-z0-9_.-]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}")
_KINDS = {"InputError": InputError, "UsageError": UsageError}


@dataclass(frozen=True)
class ClusterOptions:
    """Which cluster, how many workers on processors, and the processors of each."""

    address: str
    cpus: Optional[int] = None
    threads: Optional[int] = None


def require_ray() -> None:
    """Refuse where Ray is not installed.

    Raises:
        UnavailableError: It is not.
    """
    with needs("ray", extra="cluster"):
        if find_spec("ray") is None:
            raise ImportError("there is no module of that name")


def require_address(address: str) -> None:
    """Refuse what is not the address of a cluster.

    Args:
        address: As it was typed.

    Raises:
        UsageError: It is something else, such as a host without its port.
    """
    if address in (LOCAL, AUTO) or _ADDRESS.fullmatch(address):
        return
    what = "expected local, auto or a head's address with its port, such as 10.0.0.1:6379"
    if address.startswith("ray://"):
        what = (
            "a Ray client's address; expected a head's, such as 10.0.0.1:6379, from a machine of"
            " the cluster"
        )
    raise UsageError(f"--cluster {address}: {what}")


def require_head(address: str) -> None:
    """Refuse an address at which nothing listens: Ray would try it for minutes.

    Args:
        address: As `require_address` takes it.

    Raises:
        UnavailableError: There is nobody.
    """
    if address in (LOCAL, AUTO):
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnavailableError(
            f"no Ray cluster can be used at {address}: {reason}", hint=BEGIN
        ) from error


def drive(
    job: Job,
    options: ClusterOptions,
    *,
    chips: bool,
    count: int,
    batch: int,
    progress: Progress,
    note: Callable[[str], None],
    size: Optional[int] = None,
    kept: Optional[str] = None,
) -> None:
    """Do what is missing of a job on a cluster.

    Args:
        job: The job.
        options: The cluster.
        chips: Whether the model runs on chips.
        count: The words of the data.
        batch: The words that are read at a time.
        progress: Shows how far it is.
        note: Gets what a user should be told.
        size: The words of a shard; None for a run's.
        kept: What is told of what is there where the cluster is lost; None for a run's.

    Raises:
        KitError: The cluster cannot be used, or a worker met an error.
        UnavailableError: The cluster was lost; the run can be gone on with.
    """
    require_ray()
    require_head(options.address)
    folder = job.folder
    make_folder(folder / "shards")
    token = secrets.token_hex(16)
    descriptor, probe = temporary_file(folder / "shards")
    temporary = tempfile.mkdtemp(prefix="crnn-ray-")
    order = Order(
        job,
        options.address,
        chips,
        options.cpus,
        options.threads,
        count,
        size or shard_size(count, batch),
        batch,
        str(Path.cwd()),
        str(probe.resolve()),
        token,
        temporary,
    )
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token)
        with progress("on the cluster", count) as advance:
            _follow(order, advance, note)
    except UnavailableError as error:
        if kept is None:
            kept = f"What was read is kept in {folder}: go on with --resume."
        error.hint = f"{error.hint} {kept}".strip()
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            probe.unlink()
        shutil.rmtree(temporary, ignore_errors=True)


def _follow(order: Order, advance: Advance, note: Callable[[str], None]) -> None:
    """Start the child, and show what becomes of the job until it is complete."""
    shown = 0
    run = order.kept()
    with _child(order) as (process, said):
        for message in _messages(process, said):
            done = run.words_done()
            if done > shown:
                advance(done - shown)
                shown = done
            if message.get("is") == "done":
                return
            _heed(message, note)


def _heed(message: Dict[str, Any], note: Callable[[str], None]) -> None:
    """Pass on what the child says.

    Raises:
        KitError: The job has failed.
        RuntimeError: A bug of ours.
    """
    kind = message.get("is")
    if kind in ("note", "lost"):
        note(message["text"])
    elif kind == "error":
        error = _KINDS.get(message["kind"], UnavailableError)
        raise error(message["message"], hint=message["hint"])
    elif kind == "bug":
        raise RuntimeError(message["message"])


def environment_at(address: str) -> Dict[str, str]:
    """Return the environment of the process that speaks to Ray; a Ray that it begins has it too.

    Args:
        address: The cluster's.

    Returns:
        This process's, and what is not set in it.
    """
    environment = dict(os.environ)
    environment.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    environment.setdefault("RAY_raylet_start_wait_time_s", "120")  # 30 is little on a busy machine
    # A worker has many threads, and the C library would keep memory for each of them.
    environment.setdefault("MALLOC_ARENA_MAX", "2")
    if address == LOCAL and "RAY_AUTH_MODE" not in environment:
        # A Ray of our own would leave a token in the home folder.
        environment.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    return environment


@contextlib.contextmanager
def _child(order: Order) -> Iterator[Any]:
    """Start the process that speaks to Ray; end it, and what it started, with the block."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "crnn.cluster.client"],
            # Python and Ray look for modules in the folder that this is started in, and the words
            # may lie beside a ray.py that somebody else wrote.
            cwd=str(_HOME),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment_at(order.address),
            # Ctrl-C at a terminal is this process's to answer.
            start_new_session=True,
            bufsize=0,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            data = pickle.dumps(order)
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(len(data).to_bytes(8, "big") + data)
            yield process, said
        finally:
            process.stdin.close()
            try:
                process.wait(ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _messages(process: Any, said: IO[bytes]) -> Iterator[Dict[str, Any]]:
    """Yield what the child says, and an empty message each second in which it says nothing.

    Raises:
        UnavailableError: The head does not answer, or the child has ended.
    """
    rest = b""
    heard, patience = time.monotonic(), STARTING
    while True:
        ready, _, _ = select.select([process.stdout], [], [], LOOK)
        if not ready:
            if time.monotonic() - heard > patience:
                raise _gone(f"it has not answered for {patience:.0f} s", patience)
            yield {}
            continue
        some = os.read(process.stdout.fileno(), 1 << 16)
        if not some:
            raise _gone(_reason(process, said), patience)
        *lines, rest = (rest + some).split(b"\n")
        for line in lines:
            message: Dict[str, Any] = json.loads(line)
            if message["is"] == "alive":
                heard, patience = time.monotonic(), SILENCE
            yield message


def _gone(why: str, patience: float) -> UnavailableError:
    """Return the error of a head that does not answer any more, or never has."""
    if patience == STARTING:
        return UnavailableError(f"Ray cannot be used here: {why}")
    return UnavailableError(f"the head of the Ray cluster is lost: {why}")


def _reason(process: Any, said: IO[bytes]) -> str:
    """Return how the child has ended, with the last of what it said."""
    code = process.wait()
    said.seek(max(0, said.seek(0, os.SEEK_END) - (1 << 12)))
    lines = said.read().decode("utf-8", "replace").strip().splitlines()[-_LAST:]
    why = f"the process that was connected to it has ended (exit {code})"
    for line in reversed(lines):
        if line.strip():
            return f"{why}: {line.strip()[:200]}"
    return why
