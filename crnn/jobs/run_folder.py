"""A run that can be killed anywhere and gone on with: its folder.

::

    run.json             what is run on what; never changed
    shards/000003.jsonl  the records of a whole shard, one a line, in the data's order
    shards/000003.2.part those of a shard that somebody works on
    shards/000003.2      that somebody's claim: host, process, start; its time is the heartbeat

A shard is a contiguous range of the data. Whoever creates ``000003.N`` first, N one more than the
last claim, owns the shard; a claim is stale when its process is dead, or, on another machine, when
it has not been touched for `STALE` seconds. Each owner writes a file of its own, so one that was
only asleep, and wakes up later, writes where nobody reads. The records of a shard are put in place
by one rename, after they are on the disk.

Needs the standard library alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from crnn.errors import InputError, UsageError
from crnn.files import json_text, read_bounded, write_text
from crnn.leftovers import Process, lives, this_process

SCHEMA = "crnn-run/1"
RECORDS = "crnn-records/1"
STALE = 60.0
"""Seconds without a heartbeat after which another machine's claim is void."""
HEARTBEAT = 10.0
_CLAIM = re.compile(r"([0-9]{6,})\.([0-9]+)")

Configuration = Mapping[str, Any]


@dataclass(frozen=True)
class Shard:
    """A contiguous range of the data: ``number`` from 0, positions from ``begin`` to before
    ``end``.
    """

    number: int
    begin: int
    end: int

    @property
    def name(self) -> str:
        """Its name in file names."""
        return f"{self.number:06d}"


class RunFolder:
    """A run's folder.

    Args:
        path: The folder; `create` or `resume` opens one.
        configuration: What is run on what, as ``run.json`` keeps it.
        count: The words of the data.
        size: The words of a shard, but for the last.
        batch: The words that are read at a time: records are kept by whole batches.
    """

    def __init__(
        self, path: Path, configuration: Configuration, count: int, size: int, batch: int
    ) -> None:
        self.path = path
        self.configuration = configuration
        self.batch = batch
        self.shards: List[Shard] = []
        for number, begin in enumerate(range(0, count, size)):
            self.shards.append(Shard(number, begin, min(begin + size, count)))

    @classmethod
    def create(
        cls, path: Path, configuration: Configuration, *, count: int, size: int, batch: int
    ) -> RunFolder:
        """Begin a run in a folder that is new or empty.

        Args:
            path: The folder.
            configuration: What is run on what: plain data for JSON.
            count: The words of the data.
            size: The words of a shard; a multiple of ``batch``.
            batch: The words that are read at a time.

        Returns:
            The run.

        Raises:
            InputError: The folder holds a run, or anything else.
            UsageError: Shards would not be of whole batches.
        """
        if size % batch:
            raise UsageError(f"shards of {size} words are not of whole batches of {batch}")
        _refuse_used(path)
        (path / "shards").mkdir(parents=True, exist_ok=True)
        kept = {
            "schema": SCHEMA,
            "configuration": dict(configuration),
            "count": count,
            "shard": size,
            "batch": batch,
        }
        write_text(path / "run.json", json_text(kept, indent=1) + "\n")
        return cls(path, configuration, count, size, batch)

    @classmethod
    def resume(cls, path: Path, configuration: Configuration) -> RunFolder:
        """Open a run in order to go on with it.

        Args:
            path: Its folder.
            configuration: What is to be run now; it must be what was run before.

        Returns:
            The run.

        Raises:
            InputError: There is no run, or it is another one; the field that differs is named.
        """
        kept = read_run_json(path)
        mine = json.loads(json_text(dict(configuration)))
        for name in sorted({*kept["configuration"], *mine}):
            before, now = kept["configuration"].get(name), mine.get(name)
            if before != now:
                raise InputError(
                    f"{path}: the run there has {name} {_brief(before)}; now it is {_brief(now)}",
                    hint="Go on with the command that began it, or begin in another folder.",
                )
        return cls(path, configuration, kept["count"], kept["shard"], kept["batch"])

    def complete(self) -> bool:
        """Say whether every shard's records are there."""
        return all(self._whole(shard).exists() for shard in self.shards)

    def claim(self, wanted: Optional[Sequence[Shard]] = None) -> Optional[Work]:
        """Take a shard that nobody works on.

        Args:
            wanted: The shards to choose from; None for all.

        Returns:
            The work, to be entered; None where every shard is whole or somebody's.
        """
        for shard in wanted or self.shards:
            if self._whole(shard).exists():
                continue
            work = self._claim(shard)
            if work is not None:
                return work
        return None

    def unfinished(self) -> List[Shard]:
        """Return the shards without their records, somebody's or not."""
        return [shard for shard in self.shards if not self._whole(shard).exists()]

    def records(self) -> Iterator[bytes]:
        """Yield each record's line, without its end, in the data's order.

        Raises:
            InputError: A shard is missing or is not whole.
        """
        for shard in self.shards:
            path = self._whole(shard)
            if not path.exists():
                raise InputError(f"{self.path} is not complete: {path.name} is missing")
            found = 0
            with path.open("rb") as file:
                self._require_header(file.readline(), shard, path)
                for line in file:
                    found += 1
                    yield line.rstrip(b"\n")
            if found != shard.end - shard.begin:
                raise InputError(
                    f"{path} holds {found} records; expected {shard.end - shard.begin}",
                    hint="Remove it and go on with --resume.",
                )

    def header(self, shard: Shard) -> bytes:
        """Return the first line of a shard's records."""
        kept = {
            "schema": RECORDS,
            "configuration": dict(self.configuration),
            "begin": shard.begin,
            "end": shard.end,
        }
        return json_text(kept).encode("utf-8") + b"\n"

    def _require_header(self, line: bytes, shard: Shard, path: Path) -> None:
        if line != self.header(shard):
            raise InputError(
                f"{path}: its first line is not that of this run",
                hint="Remove it and go on with --resume.",
            )

    def _whole(self, shard: Shard) -> Path:
        return self.path / "shards" / f"{shard.name}.jsonl"

    def _claim(self, shard: Shard) -> Optional[Work]:
        last = self._last_claim(shard)
        number = 1
        if last is not None:
            number, path = last
            if not _is_stale(path):
                return None
            number += 1
        path = self.path / "shards" / f"{shard.name}.{number}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return None  # somebody was quicker
        with os.fdopen(descriptor, "wb") as file:
            file.write(json_text(this_process()._asdict()).encode("utf-8"))
        if self._whole(shard).exists():
            path.unlink()
            return None
        return Work(self, shard, number, path)

    def _last_claim(self, shard: Shard) -> Optional[Tuple[int, Path]]:
        found: List[Tuple[int, Path]] = []
        for path in (self.path / "shards").iterdir():
            match = _CLAIM.fullmatch(path.name)
            if match and match[1] == shard.name:
                found.append((int(match[2]), path))
        return max(found, default=None)


class Work:
    """A shard that this process works on: a context manager, which gives the claim up at its end.

    ``done`` records of it are there already, whole batches of them.
    """

    def __init__(self, run: RunFolder, shard: Shard, number: int, claim: Path) -> None:
        self.run = run
        self.shard = shard
        self.done = 0
        self._claim = claim
        self._number = number
        self._part = claim.with_name(f"{claim.name}.part")
        self._file: Optional[IO[bytes]] = None
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._touch, name="crnn-heartbeat", daemon=True)

    def __enter__(self) -> Work:
        kept = self._kept()
        self.done = len(kept)
        # Unbuffered: a batch is one write, whole in the file or not there at all after SIGKILL.
        self._file = self._part.open("wb", buffering=0)
        self._file.write(b"".join([self.run.header(self.shard), *kept]))
        self._beat.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._beat.join()
        if self._file is not None:
            self._file.close()
        with contextlib.suppress(FileNotFoundError):
            # Void, so that whoever goes on need not wait for it to become stale.
            os.utime(self._claim, (0, 0))

    def append(self, lines: Sequence[bytes]) -> None:
        """Add the records of a batch.

        Args:
            lines: A record each, without line ends.

        Raises:
            InputError: Somebody else has taken the shard over.
        """
        assert self._file is not None
        self._require_mine()
        data = b"".join([line + b"\n" for line in lines])
        written = self._file.write(data)
        if written != len(data):
            raise InputError(f"{self._part}: the disk took {written} of {len(data)} bytes")
        self.done += len(lines)

    def finish(self) -> None:
        """Put the records in their place, once they are on the disk.

        Raises:
            InputError: Records are missing, or somebody else has taken the shard over.
        """
        assert self._file is not None
        expected = self.shard.end - self.shard.begin
        if self.done != expected:
            raise InputError(f"{self._part} holds {self.done} records; expected {expected}")
        self._require_mine()
        os.fsync(self._file.fileno())
        self._part.replace(self._part.with_name(f"{self.shard.name}.jsonl"))
        self._clear()

    def _require_mine(self) -> None:
        after = self._claim.with_name(f"{self.shard.name}.{self._number + 1}")
        if after.exists():
            raise InputError(
                f"shard {self.shard.name} of {self.run.path} was taken over: this process did not"
                f" answer for {STALE:.0f} seconds"
            )

    def _kept(self) -> List[bytes]:
        """Return the whole batches of records that owners before have left."""
        # The last owner may have died before it wrote a byte; then what the one before left counts.
        for number in range(self._number - 1, 0, -1):
            kept = self._whole_batches(self._claim.with_name(f"{self.shard.name}.{number}.part"))
            if kept:
                return kept
        return []

    def _whole_batches(self, part: Path) -> List[bytes]:
        try:
            lines = part.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        # What stands after the last line end is a torn line, or nothing.
        lines = lines[:-1]
        if not lines or lines[0] + b"\n" != self.run.header(self.shard):
            return []
        records = lines[1:]
        count = len(records)
        if count < self.shard.end - self.shard.begin:
            count -= count % self.run.batch
        return [line + b"\n" for line in records[:count]]

    def _clear(self) -> None:
        """Remove the claims and parts of the shard, which is whole."""
        for number in range(1, self._number + 1):
            for name in (f"{self.shard.name}.{number}", f"{self.shard.name}.{number}.part"):
                with contextlib.suppress(FileNotFoundError):
                    self._claim.with_name(name).unlink()

    def _touch(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            with contextlib.suppress(OSError):
                os.utime(self._claim)


def read_run_json(path: Path) -> Dict[str, Any]:
    """Read what a run's folder says of it.

    Args:
        path: The folder.

    Returns:
        ``configuration``, ``count``, ``shard`` and ``batch``.

    Raises:
        InputError: There is no run, or a newer kit's.
    """
    place = path / "run.json"
    if not place.exists():
        raise InputError(f"{path} holds no run to go on with: there is no run.json in it")
    try:
        kept = json.loads(read_bounded(place))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is not JSON: {error}") from error
    if not isinstance(kept, dict) or kept.get("schema") != SCHEMA:
        raise InputError(f"{place}: not a run of this kit; expected the schema {SCHEMA}")
    counts = [kept.get("count"), kept.get("shard"), kept.get("batch")]
    sound = all(isinstance(count, int) and count >= 0 for count in counts)
    if not sound or not kept["shard"] or not kept["batch"]:
        raise InputError(f"{place}: not as crnn evaluate --run writes it")
    if not isinstance(kept.get("configuration"), dict):
        raise InputError(f"{place}: not as crnn evaluate --run writes it")
    return kept


def part_of(shards: Sequence[Shard], text: str) -> List[Shard]:
    """Return the shards of one of several equal jobs.

    >>> part_of([Shard(n, n, n + 1) for n in range(5)], "2/3")
    [Shard(number=1, begin=1, end=2), Shard(number=4, begin=4, end=5)]

    Args:
        shards: All of them.
        text: Such as ``3/16``: the third of sixteen.

    Returns:
        Every sixteenth, from the third on.

    Raises:
        UsageError: It is not N/M with N from 1 to M.
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard {text}: expected N/M with N from 1 to M, such as 3/16")
    return list(shards[int(match[1]) - 1 :: int(match[2])])


def _refuse_used(path: Path) -> None:
    if not path.is_dir():
        if path.exists():
            raise InputError(f"{path} is not a folder; expected a new or empty one for the run")
        return
    if (path / "run.json").exists():
        raise InputError(
            f"{path} holds a run already", hint="Go on with it (--resume), or name another folder."
        )
    inside = sorted(entry.name for entry in path.iterdir() if entry.name != "shards")
    if inside:
        raise InputError(
            f"{path} holds other things ({', '.join(inside[:3])}); expected a new or empty folder"
        )


def _is_stale(claim: Path) -> bool:
    """Say whether the process of a claim is dead, or has not shown itself for too long."""
    try:
        touched = claim.stat().st_mtime
        data = json.loads(claim.read_bytes() or b"{}")
    except (FileNotFoundError, ValueError):
        return False  # being made, or being removed: look again later
    if touched == 0:
        return True
    owner = _owner(data)
    if owner is not None and owner.host == this_process().host:
        return not lives(owner)
    return _now(claim.parent) - touched > STALE


def _owner(data: Any) -> Optional[Process]:
    if not isinstance(data, dict):
        return None
    host, process, start = data.get("host"), data.get("process"), data.get("start")
    if isinstance(host, str) and isinstance(process, int) and isinstance(start, str):
        return Process(host, process, start)
    return None


def _now(folder: Path) -> float:
    """Return the time by the clock of the file system, which may be another machine's."""
    probe = folder / f".clock-{os.getpid()}-{threading.get_ident()}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _brief(value: Union[object, None]) -> str:
    text = json_text(value)
    if len(text) > 80:
        return f"{text[:80]}…"
    return text
