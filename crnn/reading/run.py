"""Words without labels that are read into a run's folder (`crnn.jobs.run_folder`): the paths that
were found are listed in it, and its records become the same output as without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence

from crnn.batch import Batch, Sample
from crnn.errors import InputError, UsageError
from crnn.filekind import sha256
from crnn.files import json_text
from crnn.jobs.reading import Opened
from crnn.jobs.run_folder import (
    Claims,
    RunFolder,
    Shard,
    make_folder,
    part_of,
    refuse_used,
    shard_size,
)
from crnn.jobs.run_records import Told, batch_of, kept_lines, rows_keys
from crnn.leftovers import temporary_file, tidy
from crnn.reading.records import as_records
from crnn.reports.records import Record
from crnn.reports.result_json import run_dict
from crnn.samples.bins import Range
from crnn.samples.image_files import of_file
from crnn.samples.unlabelled import SampleSource
from crnn.scoring.scorer import PlainRows, Scorer
from crnn.scoring.stream import run_batches

LISTING = "listing-"
"""So begins the name of the file in the folder with the paths, a NUL behind each; the rest is the
beginning of its hash.
"""


@dataclass(frozen=True)
class ReadRun:
    """A run's folder with the paths of its words."""

    run: RunFolder
    listing: Listing
    wanted: Sequence[Shard]

    def read(self, opened: Opened, *, workers: Optional[int]) -> None:
        """Read what is missing of the wanted shards.

        Args:
            opened: The model.
            workers: Threads or processes that decode; None for all usable processors.
        """
        scorer = Scorer(
            opened.runner.spec,
            confidences=True,
            decoder=opened.decoder,
            threshold=opened.threshold,
        )
        for _ in self.run.rounds(self.wanted):
            self._read(opened, scorer, workers)

    def _read(self, opened: Opened, scorer: Scorer, workers: Optional[int]) -> None:
        with Claims(self.run, self.wanted) as claims:
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
        """Yield the records of a complete run in the order of the listing.

        Args:
            simulated: Whether the Ascend simulator ran the model.

        Yields:
            Some at a time.

        Raises:
            InputError: Records are damaged.
        """
        for shard in self.run.shards:
            for lines in self.run.records(shard):
                batch = batch_of(lines, str, plain=False)
                assert not isinstance(batch.rows, PlainRows)
                yield list(as_records(batch.rows, None, simulated=simulated))


class Listing:
    """The paths of a run's words, which stay in their file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends = array("q", [0])
        end = 0
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                start = 0
                while True:
                    place = block.find(b"\0", start)
                    if place < 0:
                        break
                    start = place + 1
                    self._ends.append(end + start)
                end += len(block)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def samples(self, ranges: Iterable[Range]) -> Iterator[Sample]:
        """Yield the words of ranges, each of which ends a batch."""
        with self._path.open("rb") as file:
            for begin, end in ranges:
                file.seek(self._ends[begin])
                for position in range(begin, end):
                    name = file.read(self._ends[position + 1] - self._ends[position])
                    sample = of_file(os.fsdecode(name[:-1]))
                    if position == end - 1:
                        sample = dataclasses.replace(sample, ends=True)
                    yield sample


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
    is_there = (folder / "run.json").exists()
    if not is_there or not resume:
        refuse_used(folder, besides=LISTING)
    make_folder(folder)
    tidy(folder)
    listing = _written(folder, samples)
    configuration: Dict[str, Any] = {
        "run": run_dict(opened.runner.info()),
        "listing": sha256(listing),
        "batch": opened.batch,
        "decoding": json_text(dataclasses.asdict(opened.options)),
        "views": opened.asked,
        "reject": opened.threshold,
    }
    paths = Listing(listing)
    if (folder / "run.json").exists():
        run = RunFolder.resume(folder, configuration)
    else:
        size = shard_size(len(paths), opened.batch)
        run = RunFolder.create(
            folder, configuration, count=len(paths), size=size, batch=opened.batch
        )
    return ReadRun(run, paths, part_of(run.shards, shard or "1/1"))


def _written(folder: Path, samples: Iterable[Sample]) -> Path:
    """Return the file with the samples' paths; the same paths are the same file."""
    descriptor, temporary = temporary_file(folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for sample in samples:
                file.write(_name(sample) + b"\0")
        if not temporary.stat().st_size:
            raise InputError(
                "there is no image to read: what was named lists none",
                hint="A list has a path a line; in folders those are taken that end as .png or .jpg"
                " does.",
            )
        path = folder / f"{LISTING}{sha256(temporary)[:16]}"
        temporary.replace(path)
        return path
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _name(sample: Sample) -> bytes:
    if sample.problem is not None:
        raise InputError(f"{sample.key}: {sample.problem.detail}")
    name = os.fsencode(sample.file or sample.key)
    if b"\0" in name:
        raise InputError(f"{sample.key!r} is not a path")
    return name


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
