"""Temporary files and folders: their names say whose they are, and the dead's are removed.

``.crnn-HOST-PROCESS-START-XXXXXXXX.part`` is filled and then put in its target's place;
``.crnn-….old/NAME`` holds the folder NAME while another takes its place, where the file system
cannot exchange two folders in one step. HOST is this machine, PROCESS and START the process that
made it (START in the kernel's clock ticks since the machine started, as in /proc/PID/stat).

What a living process has, what another machine or another user made, and what has no such name is
never touched. While it is filled, a lock is held on it too: processes of containers do not see one
another's numbers.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Tuple

PART, OLD = ".part", ".old"
TEMPORARY = ".crnn-"
"""So begin the names of temporary files and folders."""

_NAME = re.compile(r"\.crnn-([A-Za-z0-9_.]+)-([0-9]{1,10})-([0-9]{1,20})-[a-z0-9_]+\.(?:part|old)")
_GONE = "ZX"
"""States of a process that has ended: a zombie, and one that is being removed."""


class Process(NamedTuple):
    """A process: its machine, its number, and when it started in that machine's ticks."""

    host: str
    process: int
    start: str


def this_process() -> Process:
    """Return what tells this process from every other, dead or alive.

    Returns:
        Its machine, number and start.
    """
    state = _state(os.getpid())
    start = "0"
    if state is not None:
        start = state[1]
    return Process(_host(), os.getpid(), start)


def lives(process: Process) -> bool:
    """Say whether a process of this machine is alive.

    Args:
        process: What `this_process` gave there.

    Returns:
        Whether it runs; True for another machine's, of which nothing is known here.
    """
    return process.host != _host() or _lives(process.process, process.start)


def temporary_file(folder: Path) -> Tuple[int, Path]:
    """Make a file that is to be put in a target's place.

    Args:
        folder: The target's folder.

    Returns:
        Its descriptor, open and locked, and its path.
    """
    descriptor, name = tempfile.mkstemp(dir=str(folder), prefix=_prefix(), suffix=PART)
    _lock(descriptor)
    return descriptor, Path(name)


def temporary_folder(folder: Path, suffix: str) -> Path:
    """Make a folder that is to be put in a target's place, or that holds what stood there.

    Args:
        folder: The target's folder.
        suffix: `PART` or `OLD`.

    Returns:
        Its path.
    """
    return Path(tempfile.mkdtemp(dir=str(folder), prefix=_prefix(), suffix=suffix))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lock on a temporary folder while the block runs.

    Args:
        folder: What `temporary_folder` gave.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold a folder while the block runs, so that another process is told of it.

    Args:
        folder: A folder.

    Yields:
        Whether no other process holds it; True too where the file system has no locks.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _free(descriptor)
    finally:
        os.close(descriptor)


def _free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def tidy(folder: Path) -> List[str]:
    """Remove what dead processes left in a folder; put back what they had moved aside.

    Args:
        folder: A folder that something is written to or missed in.

    Returns:
        A sentence for each folder that was put back.
    """
    told = []
    for place in _dead(folder):
        if place.suffix == OLD:
            told += _put_back(place)
        _remove(place)
    return told


def _put_back(holder: Path) -> List[str]:
    told = []
    with contextlib.suppress(OSError):
        for moved in holder.iterdir():
            target = holder.parent / moved.name
            if os.path.lexists(target):
                continue  # the new one is in its place
            moved.rename(target)
            told.append(f"a command was killed while it replaced {target}: the old one is back")
    return told


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        place.unlink()


def _dead(folder: Path) -> List[Path]:
    """Return the temporary files and folders of this machine's and user's dead processes."""
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []
    found = []
    for name in names:
        match = _NAME.fullmatch(name)
        if match is None or match[1] != _host():
            continue
        if not _lives(int(match[2]), match[3]) and is_free(folder / name):
            found.append(folder / name)
    return found


def _lives(process: int, start: str) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass  # another user's
    state = _state(process)
    if state is None:
        return True
    return state[0] not in _GONE and state[1] == start


def is_free(place: Path) -> bool:
    """Say whether nobody holds a lock on a file or folder, and it is this user's.

    Args:
        place: Where it is.

    Returns:
        True where the file system has no locks.
    """
    try:
        if place.lstat().st_uid != os.geteuid():
            return False
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: the name alone decides
    finally:
        os.close(descriptor)
    return True


def _lock(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _prefix() -> str:
    mine = this_process()
    return f"{TEMPORARY}{mine.host}-{mine.process}-{mine.start}-"


@functools.lru_cache(maxsize=1)
def _host() -> str:
    """Return this machine's name, and what tells machines of one name apart."""
    name = socket.gethostname()
    try:
        identity = Path("/etc/machine-id").read_bytes()
    except OSError:
        identity = b""
    digest = hashlib.sha256(name.encode("utf-8", "replace") + identity).hexdigest()
    return re.sub("[^A-Za-z0-9_.]", "_", name)[:32] + "_" + digest[:8]


def _state(process: int) -> Optional[Tuple[str, str]]:
    """Return a process's state and start (proc(5), /proc/PID/stat, fields 3 and 22)."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name, which may hold anything.
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]
