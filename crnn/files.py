"""Files and folders that appear whole or not at all, and files read within their limits."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import json
import os
import re
import select
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Iterator, List, Optional, Tuple, Union

from crnn.errors import InputError
from crnn.exchange import exchanged
from crnn.leftovers import OLD, PART, locked, temporary_file, temporary_folder, tidy
from crnn.limits import advice, limit
from crnn.signals import uninterrupted

PATIENCE = 5.0
"""Seconds that somebody has to begin to write to a pipe that is to be read."""


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that appears whole or not at all.

    A temporary file beside it gets the bytes and is renamed when the block ends well; after an
    exception nothing is left. Parent folders are not created. A link is followed; a device or pipe
    (/dev/null, /dev/stdout) is written to, not replaced.

    Args:
        path: The file that is to appear.

    Yields:
        The temporary file, open for bytes.

    Raises:
        InputError: The folder is missing, or the system refuses (a full disk, a folder that went
            away).
    """
    require_target(path)
    if _is_special(path):
        with _told_as_input_error(path):
            descriptor = _open_special(path)
        with io.BufferedWriter(_Target(descriptor, path)) as device:
            yield device
        return
    path = path.resolve()
    tidy(path.parent)
    with _told_as_input_error(path):
        descriptor, name = temporary_file(path.parent)
    target = _Target(descriptor, path)
    try:
        with io.BufferedWriter(target) as file:
            yield file
        with _told_as_input_error(path):
            # It was made private; a result is as readable as any other file of the user's.
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, Exception) and target.refused is not None:
            # A library that was writing may have made something else of it.
            raise target.refused from error
        raise


def _open_special(path: Path) -> int:
    """Open a device, or a pipe that somebody reads from within `PATIENCE`."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > end:
                raise
        else:
            os.set_blocking(descriptor, True)
            return descriptor
        time.sleep(0.01)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all.

    Args:
        path: The file.
        text: Its content; line ends stay as they are.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))


def json_text(value: Any, indent: Optional[int] = None, *, ascii_only: bool = False) -> str:
    """Return JSON that can be written as UTF-8, whatever the names in it.

    Args:
        value: What `json.dumps` takes.
        indent: Spaces a level; None for one line.
        ascii_only: Whether other characters are written as escapes.

    Returns:
        JSON with sorted keys.

    Raises:
        ValueError: A number is NaN or infinite.
    """
    text = json.dumps(
        value, ensure_ascii=ascii_only, sort_keys=True, indent=indent, allow_nan=False
    )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a file's name in another encoding
        return json_text(value, indent, ascii_only=True)
    return text


class _Target(io.FileIO):
    """The file that is written in a target's stead; an error in writing names the target."""

    def __init__(self, descriptor: int, target: Path) -> None:
        super().__init__(descriptor, "wb")
        self._target = target
        self.refused: Optional[InputError] = None

    def write(self, data: Any) -> Any:
        try:
            with _told_as_input_error(self._target):
                return super().write(data)
        except InputError as error:
            self.refused = error
            raise


@contextlib.contextmanager
def _told_as_input_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "Check the permissions of its folder, and the space left on the disk."
        if error.errno == errno.EXDEV:
            # An overlay's lower layer: a container's folder that came with its image.
            hint = (
                "This file system cannot move folders there: remove what stands there, or name a"
                " place on another one."
            )
        raise InputError(
            f"cannot write {path}: {error.strerror}; nothing was changed", hint=hint
        ) from error


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Fill a folder that appears whole or not at all.

    A temporary folder beside it is put in its place when the block ends well. A folder that stands
    there is replaced, in one step where the system can do that (`replace_folder`); whether it may
    be is the caller's to decide. After an exception the old folder is untouched and nothing new is
    left. A link is followed.

    Args:
        path: The folder that is to appear.

    Yields:
        The temporary folder.

    Raises:
        InputError: The system refuses.
    """
    require_parent(path)
    _require_writable(path)
    path = path.resolve()
    tidy(path.parent)
    with _told_as_input_error(path):
        new = temporary_folder(path.parent, PART)
    try:
        os.chmod(new, 0o777 & ~_umask())
        with locked(new):
            yield new
        with _told_as_input_error(path):
            replace_folder(new, path)
    finally:
        # What is left here is what was not to appear, or what was replaced.
        shutil.rmtree(new, ignore_errors=True)


def replace_folder(new: Path, path: Path) -> None:
    """Put a folder in the place of another one, or of nothing.

    Where the file system can exchange them, that is one step, and the old one stands at ``new``
    afterwards, for the caller to remove. Elsewhere the old one is moved aside first and removed
    last; of a process that is killed in between, `crnn.leftovers.tidy` puts it back.

    Args:
        new: The folder that is to appear.
        path: Where; a folder beside it.

    Raises:
        OSError: The system refuses; the old folder is in its place.
    """
    with uninterrupted():
        if not path.exists():
            os.replace(new, path)
        elif not exchanged(new, path):
            _move_aside_and_replace(new, path)


def _move_aside_and_replace(new: Path, path: Path) -> None:
    holder = temporary_folder(path.parent, OLD)
    old = holder / path.name
    try:
        os.replace(path, old)
        os.replace(new, path)
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(holder, ignore_errors=True)


def require_target(path: Path) -> None:
    """Refuse a path that no file can be written to.

    Args:
        path: The file that is to be written.

    Raises:
        InputError: Its folder does not exist or is write-protected, or it is a folder itself.
    """
    require_parent(path)
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; expected a file's name")
    if not _is_special(path):
        _require_writable(path)


def require_parent(path: Path) -> None:
    """Refuse a path whose folder does not exist.

    Args:
        path: The file that is to be written.

    Raises:
        InputError: Its folder does not exist.
    """
    if not path.parent.is_dir():
        raise InputError(
            f"cannot write {path}: the folder {path.parent} does not exist",
            hint=f"Create it first: mkdir -p {path.parent}",
        )


@contextlib.contextmanager
def unnamed_file(content: bytes) -> Iterator[Path]:
    """Keep something in a file that is gone with this process, however it ends.

    Args:
        content: The file's content.

    Yields:
        A path that this process and its children can open any number of times.
    """
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")


def unnamed_memory() -> Optional[int]:
    """Make a file in memory that has no name (memfd_create(2)), so that nothing of it is left when
    all are gone that have it open, however they end.

    Returns:
        Its descriptor, which is the caller's to close; None where the system, or Python 3.7, has no
            such files.
    """
    if not hasattr(os, "memfd_create"):
        return None
    try:
        return os.memfd_create("crnn")  # novm
    except OSError:
        return None


def open_input(path: Path, *, stream: bool = False) -> IO[bytes]:
    """Open a file for reading, without waiting for what never comes.

    Args:
        path: The file.
        stream: Whether a pipe or a device will do.

    Returns:
        The file, or the pipe that somebody writes to.

    Raises:
        InputError: It is something else, or nobody writes to the pipe within `PATIENCE`.
        OSError: It cannot be opened.
    """
    # A pipe that has no writer would not be opened before it gets one.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(mode) and stream:
            _wait_for_writer(path, descriptor)
        elif not stat.S_ISREG(mode) and not (stat.S_ISCHR(mode) and stream):
            raise InputError(f"{path} is a pipe or a device; expected a file")
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _wait_for_writer(path: Path, descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(1000 * PATIENCE):
        raise InputError(
            f"{path} is a pipe, and nobody has written to it for {PATIENCE:g} s",
            hint="Start what writes to it first, or give a file.",
        )


def read_bounded(path: Path, name: str = "text") -> bytes:
    """Read a file that is not larger than a limit.

    Args:
        path: A regular file.
        name: The limit's name in `crnn.limits`.

    Returns:
        Its bytes.

    Raises:
        InputError: It is larger, or a pipe or device.
        OSError: It cannot be read.
    """
    most = limit(name)
    with open_input(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = b""
        if size <= most:
            data = file.read(most + 1)  # it may have grown
    if max(size, len(data)) > most:
        raise InputError(f"{path} has more than {most} bytes", hint=advice(name))
    return data


def read_text(path: Path, name: str = "text", encoding: str = "utf-8") -> str:
    """Read a text that is not larger than a limit.

    Args:
        path: A regular file.
        name: The limit's name in `crnn.limits`.
        encoding: Its encoding.

    Returns:
        The text, with line ends as Python has them.

    Raises:
        InputError: It is larger, or a pipe or device.
        OSError: It cannot be read.
        UnicodeDecodeError: It has another encoding.
    """
    text = read_bounded(path, name).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def utf8_lines(path: Path) -> Iterator[Tuple[int, Optional[str], bytes]]:
    r"""Read a text line by line; only LF and CRLF end a line, as elsewhere a label may hold others.

    Args:
        path: A file of UTF-8, or a pipe, with or without a byte order mark.

    Raises:
        InputError: A line is too long, or there are too many (`crnn.limits`).

    Yields:
        The line's number from 1, its text without its end, or None where it is not UTF-8, and its
        bytes as they stand in the file.
    """
    longest, most = limit("line"), limit("lines")
    encoding = "utf-8-sig"
    with open_input(path, stream=True) as file:
        pieces = iter(functools.partial(file.readline, longest + 1), b"")
        for number, raw in enumerate(pieces, start=1):
            if len(raw) > longest:
                told = f"{path} line {number} has more than {longest} bytes"
                raise InputError(told, hint=advice("line"))
            if number > most:
                raise InputError(f"{path} has more than {most} lines", hint=advice("lines"))
            try:
                text: Optional[str] = _without_end(raw.decode(encoding))
            except UnicodeDecodeError:
                text = None
            yield number, text, raw
            encoding = "utf-8"


def _without_end(line: str) -> str:
    for end in ("\n", "\r"):
        if line.endswith(end):
            line = line[:-1]
    return line


def natural_key(name: str) -> Tuple[List[Union[int, str]], str]:
    """Return a sort key by which ``test_2`` comes before ``test_10``.

    Digits are ASCII only; ties go by the name itself.

    Args:
        name: A file's name.

    Returns:
        What `sorted` takes as a key.
    """
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


def _require_writable(path: Path) -> None:
    folder = path.resolve().parent
    if not os.access(folder, os.W_OK):
        raise InputError(f"cannot write {path}: the folder {folder} is write-protected")


def _is_special(path: Path) -> bool:
    """Say whether the path is not a place for a file of its own:

    a device, a pipe, or a name for an open file.
    """
    if path.parent in (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd")):
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _umask() -> int:
    # The only portable way to read the mask is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
