"""A run that can be killed anywhere and gone on with: its folder.

::

    run.json             what is run on what; never changed
    shards/000003.jsonl  the records of a whole shard, one a line, in the data's order
    shards/000003.2.part those of a shard that somebody works on
    shards/000003.2      that somebody's claim: host, process, start; its time is the heartbeat

The first line of records says of which run and which shard they are. Each batch is added by one
write, and ends with a line of its own, which begins with `BATCH`; what stands behind the last one
that says that nothing waits is forgotten.

A shard is a contiguous range of the data. Whoever creates ``000003.N`` first, N one more than the
last claim, owns the shard; a claim is stale when its process is dead, or, on another machine, when
it has not been touched for `STALE` seconds. Each owner writes a file of its own, so one that was
only asleep, and wakes up later, writes where nobody reads. The records of a shard are put in place
by one rename, after they are on the disk.

Needs the standard library alone.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import (
    IO,
    Any,
    Collection,
    Deque,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from crnn.errors import InputError, UsageError
from crnn.files import json_text, open_input, read_bounded
from crnn.leftovers import (
    TEMPORARY,
    Process,
    is_free,
    lives,
    temporary_file,
    this_process,
    tidy,
)

SCHEMA = "crnn-run/1"
RECORDS = "crnn-records/1"
STALE = 60.0
"""Seconds without a heartbeat after which another machine's claim is void."""
HEARTBEAT = 10.0
_PAUSE = 0.5
"""Seconds between two looks at what other processes have done."""
_SHARDS = 1_000_000
"""More shards than a run has: a thousand million words are in 15 259."""
BATCH = b'{"batch": '
"""With this begins the line that ends a batch's records; `batch_line` writes it."""
_CLAIM = re.compile(r"([0-9]{6,})\.([0-9]{1,6})")
_LEAST, _MOST, _MANY = 16, 1 << 16, 64
_MORE_ROOM = "What was read is kept: make room there, and go on with --resume."

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
        self.count = count
        self.kept = {"configuration": dict(configuration), "words": count, "shard": size}
        """What folders of one run have in common."""
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
        refuse_used(path, "listing-")
        make_folder(path / "shards")
        kept = {
            "schema": SCHEMA,
            "configuration": dict(configuration),
            "count": count,
            "shard": size,
            "batch": batch,
        }
        file = _put_first(path / "run.json", json_text(kept, indent=1) + "\n")
        if file is None:
            # Another process began the same at the same moment.
            return cls.resume(path, configuration)
        with file:
            os.fsync(file.fileno())
        return cls(path, configuration, count, size, batch)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open a run as it is.

        Args:
            path: Its folder.

        Returns:
            The run.

        Raises:
            InputError: There is none.
        """
        kept = read_run_json(path)
        return cls(path, kept["configuration"], kept["count"], kept["shard"], kept["batch"])

    @classmethod
    def resume(cls, path: Path, configuration: Configuration) -> RunFolder:
        """Open a run in order to go on with it.

        Args:
            path: Its folder.
            configuration: What is to be run now; it must be what was run before. What it does not
                name is not looked at.

        Returns:
            The run.

        Raises:
            InputError: There is no run, or it is another one; the field that differs is named.
        """
        run = cls.open(path)
        mine = json.loads(json_text(dict(configuration)))
        for name, now in sorted(mine.items()):
            require_same(run.configuration.get(name), now, [name], path)
        run._require_shards()
        tidy(path / "shards")
        run._forget_done()
        return run

    def complete(self) -> bool:
        """Say whether every shard's records are there."""
        return not self.unfinished()

    def claim(self, wanted: Optional[Sequence[Shard]] = None) -> Optional[Work]:
        """Take a shard that nobody works on.

        Args:
            wanted: The shards to choose from; None for all.

        Returns:
            The work, to be entered; None where every shard is whole or somebody's.
        """
        if wanted is None:
            wanted = self.shards
        names = self._names()
        last = _last_claims(names)
        for shard in wanted:
            if self.whole(shard).name in names:
                continue
            work = self._claim(shard, last.get(shard.name, 0))
            if work is not None:
                return work
        return None

    def unfinished(self) -> List[Shard]:
        """Return the shards without their records, somebody's or not."""
        names = self._names()
        return [shard for shard in self.shards if self.whole(shard).name not in names]

    def rounds(self, wanted: Sequence[Shard]) -> Iterator[str]:
        """Yield until shards have their records. Between two rounds other processes, which work on
        what is missing, are waited for: one that dies leaves its shard to this one.

        Args:
            wanted: The shards.

        Yields:
            Once a round, at first whatever is there: what a user should be told now. Once, that is
            who is waited for; else nothing.
        """
        yield ""
        is_told = False
        while set(self.unfinished()).intersection(wanted):
            time.sleep(_PAUSE)
            missing = set(self.unfinished()).intersection(wanted)
            if is_told or not missing:
                yield ""
            else:
                is_told = True
                yield self._waiting(missing)

    def _waiting(self, missing: Collection[Shard]) -> str:
        """Say who is waited for."""
        last = _last_claims(self._names())
        owners: Set[str] = set()
        for shard in missing:
            claim = self.path / "shards" / f"{shard.name}.{last.get(shard.name, 0)}"
            with contextlib.suppress(FileNotFoundError):
                owner = _owner(_said_by(claim))
                if owner is not None:
                    owners.add(f"process {owner.process} of {owner.host}")
        named = ", ".join(sorted(owners)) or "another process"
        return (
            f"{self.path}: waiting for {named}, at work on {len(missing)} of"
            f" {len(self.shards)} shards; what is left undone is done here"
        )

    def words_done(self) -> int:
        """Return how many words the whole shards hold."""
        words = sum(shard.end - shard.begin for shard in self.shards)
        return words - sum(shard.end - shard.begin for shard in self.unfinished())

    def records(self, shard: Shard) -> Iterator[List[bytes]]:
        """Yield the lines of each batch of a whole shard, the last one the batch's own.

        Args:
            shard: One whose records are there.

        Yields:
            The lines without their ends.

        Raises:
            InputError: The records are not whole, or another run's.
        """
        path = self.whole(shard)
        if not path.is_file():
            raise InputError(
                f"{path} is not a file; expected the records of a shard",
                hint="Remove it and go on with --resume.",
            )
        found = 0
        lines: List[bytes] = []
        with path.open("rb") as file:
            self._require_header(file.readline(), shard, path)
            for line in file:
                lines.append(line.rstrip(b"\n"))
                if line.startswith(BATCH):
                    found += len(lines) - 1
                    yield lines
                    lines = []
        expected = shard.end - shard.begin
        if found != expected or lines:
            raise InputError(
                f"{path} holds {found + len(lines)} records; expected {expected}",
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

    def kept_of(self, shard: Shard) -> int:
        """Return how many records of a shard that is not whole are kept by whole batches: whoever
        works on it next goes on behind them.

        Args:
            shard: The shard.

        Returns:
            Their number.
        """
        last = _last_claims(self._names()).get(shard.name, 0)
        kept = _kept(self, shard, last + 1)
        return sum(not line.startswith(BATCH) for line in kept)

    def void(self, dead: Collection[Process]) -> None:
        """Void the claims of processes that are known to be dead, so that nobody waits for them.

        Args:
            dead: What `crnn.leftovers.this_process` gave there.
        """
        for name, number in _last_claims(self._names()).items():
            claim = self.path / "shards" / f"{name}.{number}"
            with contextlib.suppress(FileNotFoundError):
                if _owner(_said_by(claim)) in dead:
                    os.utime(claim, (0, 0))

    def whole(self, shard: Shard) -> Path:
        """Return where the records of a shard are once they are whole."""
        return self.path / "shards" / f"{shard.name}.jsonl"

    def _forget_done(self) -> None:
        """Remove the claims and parts of whole shards, whose owners were killed before they did."""
        names = self._names()
        for name in names:
            claimed = _CLAIM.match(name)
            if claimed is not None and f"{claimed[1]}.jsonl" in names:
                with contextlib.suppress(FileNotFoundError):
                    (self.path / "shards" / name).unlink()

    def _require_shards(self) -> None:
        folder = self.path / "shards"
        if not folder.is_dir():
            raise InputError(
                f"{folder} is not a folder; expected that of the run's records",
                hint="Begin the run in another folder.",
            )

    def _names(self) -> Set[str]:
        self._require_shards()
        return {entry.name for entry in (self.path / "shards").iterdir()}

    def _claim(self, shard: Shard, last: int) -> Optional[Work]:
        """Take a shard whose last claim has this number, 0 for none."""
        folder = self.path / "shards"
        if last and not _is_stale(folder / f"{shard.name}.{last}"):
            return None
        path = folder / f"{shard.name}.{last + 1}"
        lock = _put_first(path, json_text(this_process()._asdict()))
        if lock is None:
            return None  # somebody was quicker
        if self.whole(shard).exists():
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            lock.close()
            return None
        return Work(self, shard, last + 1, lock)


class Claims:
    """The ranges of data that this process works on, one shard after the other; a context manager,
    which gives up at its end what is not finished.

    Args:
        run: The run.
        wanted: The shards to choose from; None for all.
        passed: The lines of words that are not read, by their positions in the data.
    """

    def __init__(
        self,
        run: RunFolder,
        wanted: Optional[Sequence[Shard]] = None,
        passed: Mapping[int, bytes] = MappingProxyType({}),
    ) -> None:
        self.works: Deque[Work] = collections.deque()
        """The shards whose ranges were given out, in that order, but for the finished ones."""
        self._run = run
        self._wanted = wanted
        self._passed = passed

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *error: object) -> None:
        while self.works:
            self.works.popleft().close()

    def __iter__(self) -> Iterator[Tuple[int, int]]:
        """Claim a shard each time that a range is asked for."""
        while True:
            work = self._run.claim(self._wanted)
            if work is None:
                return
            work.begin()
            self._pass_over(work)
            place = work.shard.begin + work.done
            if place == work.shard.end:
                # Its owner died between its last record and its end.
                work.finish()
                work.close()
                continue
            self.works.append(work)
            yield from around(place, work.shard.end, self._passed)

    def _pass_over(self, work: Work) -> None:
        """Write the lines of words that nobody reads, where it is their turn."""
        place = work.shard.begin + work.done
        while place < work.shard.end and place in self._passed:
            work.append(self._passed[place], 1)
            place += 1

    def append(self, lines: bytes, count: int) -> int:
        """Add a batch's records to the shard whose turn it is, and finish it with its last one.

        Args:
            lines: The records' lines and the batch's own, with their ends.
            count: How many records they are.

        Returns:
            The position in the data of the first of them.
        """
        work = self.works[0]
        place = work.shard.begin + work.done
        work.append(lines, count)
        self._pass_over(work)
        if work.done == work.shard.end - work.shard.begin:
            work.finish()
            work.close()
            self.works.popleft()
        return place


def around(begin: int, end: int, passed: Collection[int]) -> Iterator[Tuple[int, int]]:
    """Yield what is left of a range without some positions.

    >>> list(around(0, 9, [3, 8, 20]))
    [(0, 3), (4, 8)]

    Args:
        begin: The first position.
        end: The one behind the last.
        passed: The positions that are left out.

    Yields:
        Ranges, none of them empty.
    """
    for position in sorted(passed):
        if not begin <= position < end:
            continue
        if begin < position:
            yield begin, position
        begin = position + 1
    if begin < end:
        yield begin, end


class Work:
    """A shard that this process works on, from `begin` to `close`.

    ``done`` records of it are there already, whole batches of them.
    """

    def __init__(self, run: RunFolder, shard: Shard, number: int, lock: IO[bytes]) -> None:
        self.run = run
        self.shard = shard
        self.done = 0
        self._claim = run.path / "shards" / f"{shard.name}.{number}"
        self._number = number
        self._lock = lock
        self._part = self._claim.with_name(f"{self._claim.name}.part")
        # Who took it over and was done has removed the claims.
        after = self._claim.with_name(f"{shard.name}.{number + 1}")
        self._takers = (after, run.whole(shard))
        self._file: Optional[IO[bytes]] = None
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._touch, name="crnn-heartbeat", daemon=True)

    def begin(self) -> None:
        """Take over what owners before have left, and show from now on that this one lives."""
        self._beat.start()
        kept = _kept(self.run, self.shard, self._number)
        self.done = sum(not line.startswith(BATCH) for line in kept)
        with contextlib.suppress(FileNotFoundError):
            # Of a shard whose claims were removed; or somebody's link to another file.
            self._part.unlink()
        # Unbuffered: a batch is one write, whole in the file or not there at all after SIGKILL.
        self._file = self._part.open("xb", buffering=0)
        self._write(b"".join([self.run.header(self.shard), *kept]))

    def close(self) -> None:
        """Give the claim up."""
        self._stop.set()
        if self._beat.is_alive():
            self._beat.join()
        if self._file is not None:
            self._file.close()
        with contextlib.suppress(FileNotFoundError):
            # Void, so that whoever goes on need not wait for it to become stale.
            os.utime(self._claim, (0, 0))
        self._lock.close()

    def append(self, lines: bytes, count: int) -> None:
        """Add the records of a batch.

        Args:
            lines: The records' lines and the batch's own, with their ends.
            count: How many records they are.

        Raises:
            InputError: Somebody else has taken the shard over, or the disk is full.
        """
        self._require_mine()
        self._write(lines)
        self.done += count

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        with writing(self._part):
            written = self._file.write(data)
        if written != len(data):
            raise InputError(
                f"{self._part}: the disk took {written} of {len(data)} bytes", hint=_MORE_ROOM
            )

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
        with writing(self._part):
            os.fsync(self._file.fileno())
            self._part.replace(self._part.with_name(f"{self.shard.name}.jsonl"))
        self._clear()

    def _require_mine(self) -> None:
        if any(taker.exists() for taker in self._takers):
            raise InputError(
                f"shard {self.shard.name} of {self.run.path} was taken over: this process did not"
                f" answer for {STALE:.0f} seconds"
            )

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


def _kept(run: RunFolder, shard: Shard, number: int) -> List[bytes]:
    """Return the whole batches of records that the owners before a claim's number have left."""
    # The last owner may have died before it wrote a byte; then what the one before left counts.
    for earlier in range(number - 1, 0, -1):
        part = run.path / "shards" / f"{shard.name}.{earlier}.part"
        kept = _whole_batches(part, run.header(shard), shard.end - shard.begin)
        if kept:
            return kept
    return []


def _whole_batches(part: Path, header: bytes, most: int) -> List[bytes]:
    """Return the lines of a shard's whole batches, with at most so many records: what stands behind
    the first that is not as it was written is forgotten.
    """
    try:
        with open_input(part) as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return []
    # What stands after the last line end is a torn line, or nothing.
    lines = lines[:-1]
    if not lines or lines[0] + b"\n" != header:
        return []
    kept, records, begin = 1, 0, 1
    for number, line in enumerate(lines):
        # A machine that loses its power may leave a hole of zeros.
        if not line.startswith(b"{") or not line.endswith(b"}"):
            break
        if not line.startswith(BATCH):
            continue
        count, waits = _ended(line)
        records += number - begin
        if count != number - begin or records > most:
            break
        begin = number + 1
        if not waits:
            kept = begin
    return [line + b"\n" for line in lines[1:kept]]


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
    if not isinstance(kept.get("configuration"), dict) or kept["count"] > _SHARDS * kept["shard"]:
        raise InputError(f"{place}: not as crnn evaluate --run writes it")
    return kept


def batch_line(count: int, told: Mapping[str, Any], *, waits: bool) -> bytes:
    """Return the line that ends a batch.

    Args:
        count: How many records stand before it.
        told: What is to be remembered of the batch, as plain data.
        waits: Whether words have been read whose records come later: nobody can go on from here.

    Returns:
        The line with its end.
    """
    fields = {**told, "batch": count}
    if waits:
        fields["waits"] = True
    # The key that it begins with is the first in the order of keys.
    return json_text(fields).encode("utf-8") + b"\n"


def shard_size(count: int, batch: int) -> int:
    """Return how many words a shard has: a 64th of all, not very few and not very many.

    Args:
        count: The words of the data.
        batch: The words that are read at a time.

    Returns:
        A multiple of the batch.
    """
    words = min(_MOST, -(-count // _MANY))
    return batch * max(_LEAST, -(-words // batch))


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


def require_same(
    before: Any,
    now: Any,
    names: Sequence[str],
    path: Path,
    other: str = "now it is",
    hint: str = "Go on with the command that began it, or begin in another folder.",
) -> None:
    """Refuse a configuration that differs, by the field that does.

    Args:
        before: What the run has; with another dictionary it is looked into.
        now: What is to be run.
        names: The field, and those that it stands in.
        path: The run's folder, for the message.
        other: What the message says before the other value.
        hint: What is to be done.

    Raises:
        InputError: They differ.
    """
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            require_same(before.get(name), now.get(name), [*names, name], path, other, hint)
    field = ".".join(names[-1:])
    raise InputError(
        f"{path}: the run there has {field} {_brief(before)}; {other} {_brief(now)}", hint=hint
    )


def refuse_used(path: Path, besides: str = "shards", *, joins: bool = False) -> None:
    """Refuse a folder in which no run can be begun.

    Args:
        path: The folder.
        besides: How the names of further files begin that a killed beginning may have left.
        joins: Whether a run that another process has just begun there is welcome.

    Raises:
        InputError: It holds a run, or anything else, or is not a folder.
    """
    if not path.is_dir():
        if path.exists():
            raise InputError(f"{path} is not a folder; expected a new or empty one for the run")
        return
    if (path / "run.json").exists():
        if joins:
            return
        raise InputError(
            f"{path} holds a run already", hint="Go on with it (--resume), or name another folder."
        )
    tidy(path)
    names = {entry.name for entry in path.iterdir()} - {"shards"}
    # Other processes may be about to begin the same run, and what they write is not there yet.
    passed = (besides, TEMPORARY)
    inside = sorted(name for name in names if not name.startswith(passed))
    if inside:
        raise InputError(
            f"{path} holds other things ({', '.join(inside[:3])}); expected a new or empty folder"
        )


def make_folder(path: Path) -> None:
    """Make a run's folder, and those above it, where they are not there yet.

    Args:
        path: The folder.

    Raises:
        InputError: It cannot be made: something on the way to it is a file, say.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"cannot make the folder {path}: {error.strerror}") from error


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file of a run that the system refuses to write.

    Args:
        path: The file.

    Raises:
        InputError: It does: the disk is full, or the folder was removed.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            f"{path} is not there any more: was the run's folder removed while it was worked on?"
        ) from error
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", hint=_MORE_ROOM) from error


def readable(descriptor: int, folder: Path) -> None:
    """Let all read a file who may read its folder: temporary files are made private.

    Args:
        descriptor: The file's.
        folder: The folder.
    """
    os.fchmod(descriptor, folder.stat().st_mode & 0o644)


def _put_first(path: Path, text: str) -> Optional[IO[bytes]]:
    """Put a file in its place, whole, and return it, open and locked; None where somebody else was
    first.
    """
    descriptor, temporary = temporary_file(path.parent)
    file = os.fdopen(descriptor, "wb", buffering=0)
    try:
        with writing(path):
            file.write(text.encode("utf-8"))
            readable(descriptor, path.parent)
        os.link(temporary, path)
    except FileExistsError:
        file.close()
        return None
    except BaseException:
        file.close()
        raise
    finally:
        temporary.unlink()
    return file


def _last_claims(names: Iterable[str]) -> Dict[str, int]:
    """Return the number of each shard's last claim."""
    last: Dict[str, int] = {}
    for name in names:
        match = _CLAIM.fullmatch(name)
        if match:
            last[match[1]] = max(last.get(match[1], 0), int(match[2]))
    return last


def _ended(line: bytes) -> Tuple[Any, bool]:
    """Return how many records a batch has by its line, and whether words of it are waited for."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None, True
    return told.get("batch"), bool(told.get("waits"))


def _is_stale(claim: Path) -> bool:
    """Say whether the process of a claim is dead, or has not shown itself for too long."""
    try:
        touched = claim.stat().st_mtime
        owner = _owner(_said_by(claim))
    except FileNotFoundError:
        return False  # being removed: look again later
    if touched == 0:
        return True
    if owner is not None and owner.host == this_process().host:
        if lives(owner):
            return False
        # Containers of one machine do not see one another's processes, but their locks. Those of
        # another user are not seen, and whether he shows himself tells as it does elsewhere.
        if is_free(claim):
            return True
    return _now(claim.parent) - touched > STALE


def _said_by(claim: Path) -> Any:
    """Return what a claim says; None where a machine that lost its power has left it damaged."""
    try:
        return json.loads(read_bounded(claim))
    except (ValueError, RecursionError):
        return None


def _owner(data: Any) -> Optional[Process]:
    if not isinstance(data, dict):
        return None
    host, process, start = data.get("host"), data.get("process"), data.get("start")
    if not isinstance(process, int) or process < 1:
        return None
    if isinstance(host, str) and isinstance(start, str):
        return Process(host, process, start)
    return None


def _now(folder: Path) -> float:
    """Return the time by the clock of the file system, which may be another machine's."""
    probe = folder / f".clock-{os.getpid()}-{threading.get_ident()}"
    # Another user's link of that name would let the time of any file be changed.
    flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(probe, flags, 0o600), "wb") as file:
            os.utime(file.fileno())
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _brief(value: object) -> str:
    text = json_text(value)
    if len(text) > 80:
        return f"{text[:80]}…"
    return text
