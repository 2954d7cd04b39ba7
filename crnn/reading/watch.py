"""A folder whose images are read as they appear.

By looking again and again: what tells of changes in a file system does not tell of other machines'.
"""

from __future__ import annotations

import base64
import collections
import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Deque, Dict, Iterator, List, Optional, Set, Tuple

from crnn.batch import Sample
from crnn.errors import InputError
from crnn.files import json_text, require_target
from crnn.python37 import Protocol
from crnn.reports.records import escaped
from crnn.samples.image_files import in_folder, of_file

QUIET = 1.0
"""Seconds without a change after which a file counts as written."""
LOOK = 0.2
"""Seconds between two looks."""
_BEGINS = (b'{"mtime_ns"', b'{"path"')
"""What a line of a list may begin with."""

State = Tuple[int, int]
"""A file's size, and when it was changed, in nanoseconds."""


class Done(Protocol):
    """Remembers the files that were read."""

    def known(self, path: str, state: State) -> bool:
        """Say whether a file was read in the state that it is in."""

    def mark(self, path: str, state: State) -> None:
        """Note that a file was read, and its record written."""


class Remembered:
    """Remembers files as long as the command runs."""

    def __init__(self) -> None:
        self._states: Dict[str, State] = {}

    def known(self, path: str, state: State) -> bool:
        """See `Done`."""
        return self._states.get(path) == state

    def mark(self, path: str, state: State) -> None:
        """See `Done`."""
        self._states[path] = state


class Listed(Remembered):
    """Remembers files in a list, an object a line: ``path`` (and ``path_b64``), ``size``,
    ``mtime_ns``. Another run goes on with the same list.

    Args:
        path: The list; made where it is not there.

    Raises:
        InputError: It is something else, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        require_target(path)
        self._path = path
        if path.exists():
            # A line that was cut short is written over.
            os.truncate(path, self._take(path))

    def mark(self, path: str, state: State) -> None:
        """See `Done`."""
        super().mark(path, state)
        entry = {"path": escaped(path), "size": state[0], "mtime_ns": state[1]}
        if entry["path"] != path:
            entry["path_b64"] = base64.b64encode(os.fsencode(path)).decode("ascii")
        with open(self._path, "ab") as file:
            file.write((json_text(entry) + "\n").encode("utf-8"))

    def _take(self, path: Path) -> int:
        """Take what an earlier run has listed, and return where its last whole line ends."""
        end = 0
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    _require_cut_entry(path, number, line)
                    break
                end += len(line)
                name, state = _entry(path, number, line)
                super().mark(name, state)
        return end


def _require_cut_entry(path: Path, number: int, line: bytes) -> None:
    """Refuse what is not the beginning of an entry: it is somebody's, and would be cut off."""
    if not any(line.startswith(begin[: len(line)]) for begin in _BEGINS):
        raise _no_list(path, number, line)


def _no_list(path: Path, number: int, line: bytes) -> InputError:
    return InputError(
        f"{path} line {number} is {line[:80]!r}; expected a list of files that were read, as"
        " --done writes it"
    )


def _entry(path: Path, number: int, line: bytes) -> Tuple[str, State]:
    try:
        entry = json.loads(line.decode("utf-8"))
        name = entry["path"]
        if "path_b64" in entry:
            name = os.fsdecode(base64.b64decode(entry["path_b64"], validate=True))
        return str(name), (int(entry["size"]), int(entry["mtime_ns"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _no_list(path, number, line) from error


class Moved:
    """Moves files that were read into another folder of the same file system.

    Args:
        watched: The folder that is watched.
        target: The other one, made where it is not there. A file keeps its place below it; where
            one of its name is there, it gets a number.

    Raises:
        InputError: The folder is inside the watched one, or cannot be made.
    """

    def __init__(self, watched: Path, target: Path) -> None:
        inside = os.path.commonpath([watched.resolve(), target.resolve()]) == str(watched.resolve())
        if inside:
            raise InputError(
                f"--move {target} is inside {watched}, and its files would be read again",
                hint="Name a folder beside it, on the same file system.",
            )
        if target.resolve().parent.is_dir():
            target.mkdir(exist_ok=True)
        if not target.is_dir():
            raise InputError(f"--move {target}: expected a folder, or a name for one")
        if target.stat().st_dev != watched.stat().st_dev:
            raise InputError(f"--move {target} is on another file system than {watched}")
        self._watched = watched
        self._target = target

    def known(self, path: str, state: State) -> bool:
        """See `Done`."""
        return False

    def mark(self, path: str, state: State) -> None:
        """See `Done`."""
        # One that has changed since then is read again, and one that has gone is not there.
        if _state(path) != state:
            return
        wanted = self._target / os.path.relpath(path, self._watched)
        wanted.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, _free(wanted))


def _free(wanted: Path) -> Path:
    """Return a path, or the first one with a number that nothing has."""
    found, number = wanted, 1
    while os.path.lexists(found):
        number += 1
        found = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    return found


@dataclass(frozen=True)
class Found:
    """A file that was written, and its state when it was found."""

    path: str
    state: State


class Watch:
    """The images of a folder, each once it has been quiet for a while.

    Args:
        folder: The folder.
        done: Knows which files were read.
        recursive: Whether folders below it are watched too.
        quiet: Seconds without a change.
        clock: Tells seconds; for tests.
    """

    def __init__(
        self,
        folder: Path,
        done: Done,
        *,
        recursive: bool = False,
        quiet: float = QUIET,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not folder.is_dir():
            what = "does not exist"
            if folder.exists():
                what = "is a file"
            raise InputError(f"--watch {folder} {what}; expected a folder")
        self._folder = folder
        self._done = done
        self._recursive = recursive
        self._quiet = quiet
        self._clock = clock
        self._seen: Dict[str, Tuple[State, float]] = {}
        self._given: Dict[str, State] = {}
        self._unmarked: Deque[Found] = collections.deque()
        self.stopped = threading.Event()
        """Ends `samples`."""

    def samples(self) -> Iterator[Sample]:
        """Yield images as they are found, until `stopped` is set."""
        while not self.stopped.is_set():
            begin = time.monotonic()
            for found in self.look():
                if self.stopped.is_set():
                    return
                self._given[found.path] = found.state
                self._unmarked.append(found)
                yield of_file(found.path)
            # Where there are many files, or they are far away, looking is work.
            self.stopped.wait(LOOK + time.monotonic() - begin)

    def look(self) -> List[Found]:
        """Look once.

        Returns:
            The files that have been quiet for long enough, in natural order of their names, and
            were not given before in the state that they are in.
        """
        now = self._clock()
        there: Set[str] = set()
        found: List[Found] = []
        for sample in in_folder(str(self._folder), recursive=self._recursive):
            state = _state(sample.key)
            if state is None or sample.problem is not None:
                continue
            there.add(sample.key)
            if self._given.get(sample.key) == state or self._done.known(sample.key, state):
                continue
            if self._is_quiet(sample.key, state, now):
                del self._seen[sample.key]
                found.append(Found(sample.key, state))
        for gone in self._seen.keys() - there:
            del self._seen[gone]
        return found

    def mark(self) -> None:
        """Note that the record of the next file that `samples` gave is written."""
        found = self._unmarked.popleft()
        self._done.mark(found.path, found.state)
        if self._given.get(found.path) == found.state:
            del self._given[found.path]

    def _is_quiet(self, path: str, state: State, now: float) -> bool:
        """Say whether a file has been in a state for long enough."""
        seen, since = self._seen.get(path, (None, now))
        if seen != state:
            self._seen[path] = (state, now)
            return False
        return now - since >= self._quiet


def _state(path: str) -> Optional[State]:
    """Return a file's size and time; None where it has gone, or is no plain file."""
    try:
        state = Path(path).stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns
