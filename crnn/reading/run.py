"""Words without labels that are read into a run's folder (`crnn.jobs.run_folder`): the paths that
were found are listed in it, and its records become the same output as without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
from array import array
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence

from crnn import image_decoders
from crnn.batch import Batch, Problem, Sample
from crnn.errors import InputError, UsageError
from crnn.files import json_text
from crnn.jobs.reading import Opened
from crnn.jobs.run_folder import (
    Claims,
    RunFolder,
    Shard,
    make_folder,
    part_of,
    readable,
    refuse_used,
    require_same,
    shard_size,
    writing,
)
from crnn.jobs.run_records import Told, batch_of, kept_lines, rows_keys
from crnn.jobs.runs import damage_told, passed_line
from crnn.leftovers import temporary_file, tidy
from crnn.reading.records import as_records
from crnn.reports.records import Record
from crnn.reports.result_json import run_dict
from crnn.results import Reading
from crnn.samples.bins import Range
from crnn.samples.image_files import of_file
from crnn.samples.unlabelled import SampleSource
from crnn.scoring.rows import Row
from crnn.scoring.scorer import PlainRows, Scorer
from crnn.scoring.stream import run_batches

LISTING = "listing-"
"""So begins the name of the file in the folder with the paths, a NUL behind each; the rest is the
beginning of its hash.
"""
_STEP = 256
"""Of so many paths the place of one is known."""
_BLOCK = 1 << 16
"""So many bytes of paths are read at a time."""
_AT_ONCE = 1000
"""So many paths are written at a time."""
_OTHER_WORDS = (
    "These are other paths than those that it began with, or in another order; relative ones begin"
    " where the command is started. Go on with its own list (--list DIR/listing-… -0), or begin in"
    " another folder."
)


@dataclass(frozen=True)
class ReadRun:
    """A run's folder with the paths of its words."""

    run: RunFolder
    listing: Listing
    wanted: Sequence[Shard]

    def read(self, opened: Opened, *, workers: Optional[int]) -> Iterator[str]:
        """Read what is missing of the wanted shards.

        Args:
            opened: The model.
            workers: Threads or processes that decode; None for all usable processors.

        Yields:
            What a user should be told meanwhile: that other processes are waited for.
        """
        scorer = _scorer(opened)
        for told in self.run.rounds(self.wanted):
            if told:
                yield told
            self.read_shards(opened, scorer, self.wanted, workers)

    def read_shards(
        self,
        opened: Opened,
        scorer: Scorer,
        wanted: Sequence[Shard],
        workers: Optional[int],
        passed: Mapping[int, bytes] = MappingProxyType({}),
    ) -> None:
        """Read the shards that nobody works on.

        Args:
            opened: The model.
            scorer: What makes readings of its logits.
            wanted: The shards to choose from.
            workers: As of `read`.
            passed: The lines of words that are not read, by their positions.
        """
        with Claims(self.run, wanted, passed) as claims:
            samples = self.listing.samples(claims)
            source = SampleSource(
                samples, opened.runner.spec, self.run.count, workers, opened.views
            )
            with contextlib.closing(run_batches(opened.runner, source, self.run.batch)) as results:
                for batch, logits in results:
                    opened.remarks.update(batch.remarks)
                    self._keep(scorer, batch, logits, claims, simulated=opened.runner.simulated)

    def _keep(
        self, scorer: Scorer, batch: Batch, logits: Any, claims: Claims, *, simulated: bool
    ) -> None:
        rows = scorer.decode(batch, logits)
        count = len(rows_keys(rows))
        if count:
            kept = kept_lines(rows, Told(), simulated=simulated, waits=scorer.waits)
            claims.append(kept.lines, count)

    def records(self, *, simulated: bool) -> Iterator[List[Record]]:
        """See `records_in`."""
        return records_in(self.run, simulated=simulated)


def records_in(run: RunFolder, *, simulated: bool) -> Iterator[List[Record]]:
    """Yield the records of a complete run in the order of the listing.

    Args:
        run: The run.
        simulated: Whether the Ascend simulator ran the model.

    Yields:
        Some at a time.

    Raises:
        InputError: Records are damaged.
    """
    for shard in run.shards:
        with damage_told(run, shard):
            for lines in run.records(shard):
                batch = batch_of(lines, str, plain=False)
                assert not isinstance(batch.rows, PlainRows)
                _require_confidences(batch.rows)
                yield list(as_records(batch.rows, None, simulated=simulated))


def _require_confidences(rows: Iterable[Row]) -> None:
    for row in rows:
        if row.problem is None and row.reading.confidence is None:
            raise InputError(f"{row.reading.key!r} was read without a confidence")


class Listing:
    """The paths of a run's words, which stay in their file, read once: of each `_STEP` words the
    place of the first is held.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._marks = array("q", [0])
        self._count = 0
        place = 0
        made = hashlib.sha256()
        with path.open("rb") as file:
            for names in _names(_hashed(_blocks(file), made)):
                for name in names:
                    place += len(name) + 1
                    self._count += 1
                    if self._count % _STEP == 0:
                        self._marks.append(place)
        self.digest = made.hexdigest()
        """The file's SHA-256."""

    def __len__(self) -> int:
        return self._count

    def samples(self, ranges: Iterable[Range]) -> Iterator[Sample]:
        """Yield the words of ranges, each of which ends a batch."""
        with self.path.open("rb") as file:
            for begin, end in ranges:
                file.seek(self._marks[begin // _STEP])
                names = itertools.chain.from_iterable(_names(_blocks(file)))
                passed = begin % _STEP
                for name in itertools.islice(names, passed, passed + end - begin - 1):
                    yield of_file(os.fsdecode(name))
                yield dataclasses.replace(of_file(os.fsdecode(next(names))), ends=True)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what a file holds from where it stands."""
    return iter(lambda: file.read(_BLOCK), b"")


def _hashed(blocks: Iterable[bytes], made: Any) -> Iterator[bytes]:
    """Yield blocks, and let a hash know them."""
    for block in blocks:
        made.update(block)
        yield block


def _names(blocks: Iterable[bytes]) -> Iterator[List[bytes]]:
    """Yield the paths of a listing, some at a time."""
    rest = b""
    for block in blocks:
        *names, rest = (rest + block).split(b"\0")
        yield names


class ListReader:
    """A model that was entered, and reads shards of a run whose words are listed.

    Args:
        folder: The run's folder, with the list in it.
        listing: The list's name there.
        opened: The model.
        workers: Threads or processes that decode; None for all usable processors.
        device: What the run is to call the device, whichever it is here; empty for its own name.
        notes: What a user should be told of the model.
    """

    def __init__(
        self,
        folder: Path,
        listing: str,
        opened: Opened,
        workers: Optional[int],
        device: str,
        notes: Sequence[str],
    ) -> None:
        self._kept = _joined(folder, Listing(folder / listing), opened, None, device)
        self.run = self._kept.run
        self._opened = opened
        self._workers = workers
        self._scorer = _scorer(opened)
        self._notes = notes

    def read(
        self,
        wanted: Sequence[Shard],
        passed: Mapping[int, Problem],
        given_up: Mapping[str, str],
    ) -> None:
        """Read the shards that nobody works on.

        Args:
            wanted: The shards to choose from.
            passed: Words that are not read, by their positions in the list, and why.
            given_up: Devices that have failed elsewhere, of which these records keep no account.
        """
        lines = {place: self._line(place, problem) for place, problem in passed.items()}
        self._kept.read_shards(self._opened, self._scorer, wanted, self._workers, lines)

    def attempt(self, words: Sequence[Range]) -> None:
        """Read some words and forget them, to see whether that can be survived.

        Args:
            words: Their positions.
        """
        opened = self._opened
        samples = self._kept.listing.samples(words)
        source = SampleSource(samples, opened.runner.spec, 0, self._workers, opened.views)
        with contextlib.closing(run_batches(opened.runner, source, self.run.batch)) as results:
            for _ in results:
                pass

    def notes(self) -> Sequence[str]:
        """Return what a user should be told of what was read."""
        return self._notes

    def _line(self, place: int, problem: Problem) -> bytes:
        """Return the lines of a word that is not read."""
        sample = next(self._kept.listing.samples([(place, place + 1)]))
        return passed_line(Reading(sample.key, "", None, None), problem, self._opened.runner)


def _scorer(opened: Opened) -> Scorer:
    return Scorer(
        opened.runner.spec,
        confidences=True,
        decoder=opened.decoder,
        threshold=opened.threshold,
    )


def begin_listing(folder: Path, samples: Iterable[Sample], *, resume: bool) -> Listing:
    """Write the paths of a run's words into its folder, before a model is opened.

    Args:
        folder: The run's folder.
        samples: The words, by their files.
        resume: Whether a run that is there is gone on with.

    Returns:
        The list.

    Raises:
        InputError: The folder holds a run or something else, or there are no words.
    """
    is_there = (folder / "run.json").exists()
    if not is_there or not resume:
        refuse_used(folder, besides=LISTING, joins=resume)
    make_folder(folder)
    tidy(folder)
    if is_there:
        kept = _listed_there(folder)
        if kept is not None:
            digest = _digest(samples)
            require_same(kept.digest, digest, ["listing"], folder, hint=_OTHER_WORDS)
            return kept
    return Listing(_written(folder, samples))


def _listed_there(folder: Path) -> Optional[Listing]:
    """Return the list of the run in a folder; None where it was removed.

    Raises:
        InputError: It is a run of words with labels, or the list was changed.
    """
    run = RunFolder.open(folder)
    if "decoding" not in run.configuration:
        raise InputError(f"{folder} is a run of crnn evaluate; name another folder for the words")
    digest = str(run.configuration.get("listing"))
    path = folder / f"{LISTING}{digest[:16]}"
    if not path.is_file():
        return None
    listing = Listing(path)
    if len(listing) != run.count or listing.digest != digest:
        raise InputError(
            f"{path} is not the list of the run's {run.count} words any more",
            hint="Begin the run in another folder.",
        )
    return listing


def _digest(samples: Iterable[Sample]) -> str:
    """Return the hash of what `_written` would write."""
    made = hashlib.sha256()
    for sample in samples:
        made.update(_entry(sample))
    return made.hexdigest()


def open_run(
    folder: Path,
    samples: Iterable[Sample],
    opened: Opened,
    *,
    resume: bool,
    shard: Optional[str],
) -> ReadRun:
    """Begin a run, or open it in order to go on with it.

    Args:
        folder: The run's folder.
        samples: The words, by their files; they are listed first.
        opened: The model.
        resume: Whether a run that is there is gone on with.
        shard: Which part is to be done, such as "3/16"; None for all.

    Returns:
        The run.

    Raises:
        InputError: The folder holds another run or something else, or there are no words.
        UsageError: There is no such part.
    """
    part_of((), shard or "1/1")
    listing = begin_listing(folder, samples, resume=resume)
    return _joined(folder, listing, opened, shard)


def _joined(
    folder: Path, listing: Listing, opened: Opened, shard: Optional[str], device: str = ""
) -> ReadRun:
    """Begin a run whose words are listed, or open it in order to go on with it."""
    # What decodes images is among the versions that take part, whichever images come.
    image_decoders.used()
    about = run_dict(opened.runner.info())
    if device:
        about["device"] = device
    configuration: Dict[str, Any] = {
        "run": about,
        "listing": listing.digest,
        "batch": opened.batch,
        "decoding": json_text(dataclasses.asdict(opened.options)),
        "views": opened.asked,
        "reject": opened.threshold,
    }
    if (folder / "run.json").exists():
        run = RunFolder.resume(folder, configuration)
    else:
        size = shard_size(len(listing), opened.batch)
        run = RunFolder.create(
            folder, configuration, count=len(listing), size=size, batch=opened.batch
        )
    return ReadRun(run, listing, part_of(run.shards, shard or "1/1"))


def _written(folder: Path, samples: Iterable[Sample]) -> Path:
    """Return the file with the samples' paths; the same paths are the same file."""
    descriptor, temporary = temporary_file(folder)
    made = hashlib.sha256()
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            names = map(_entry, samples)
            for some in iter(lambda: b"".join(itertools.islice(names, _AT_ONCE)), b""):
                made.update(some)
                with writing(temporary):
                    file.write(some)
            readable(file.fileno(), folder)
        if not temporary.stat().st_size:
            raise InputError(
                "there is no image to read: what was named lists none",
                hint="A list has a path a line; in folders those are taken that end as .png or .jpg"
                " does.",
            )
        path = folder / f"{LISTING}{made.hexdigest()[:16]}"
        temporary.replace(path)
        return path
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _entry(sample: Sample) -> bytes:
    """Return what stands in the list for a word."""
    if sample.problem is not None:
        raise InputError(f"{sample.key}: {sample.problem.detail}")
    name = os.fsencode(sample.file or sample.key)
    if b"\0" in name:
        raise InputError(f"{sample.key!r} is not a path")
    return name + b"\0"


def refuse_kind(kind: str) -> None:
    """Refuse what holds words that are no files of their own.

    Args:
        kind: Of `crnn.samples.unlabelled`.

    Raises:
        UsageError: It cannot be read into a run.
    """
    from crnn.samples.unlabelled import FOLDER, IMAGES, LIST

    if kind not in (IMAGES, FOLDER, LIST):
        raise UsageError(
            "--run reads image files: folders, lists, patterns and paths",
            hint="Of an LMDB or bins with labels crnn evaluate --run keeps every reading.",
        )
