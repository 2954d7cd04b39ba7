"""What is ordered of a cluster, as it travels from the command to the workers: plain data."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import (
    Any,
    Collection,
    ContextManager,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
)

from crnn.batch import Problem
from crnn.jobs.run_folder import RunFolder, Shard
from crnn.leftovers import Process
from crnn.python37 import Protocol
from crnn.samples.bins import Range

LOCAL, AUTO = "local", "auto"
BEGIN = "Begin one: ray start --head; or let the command: --cluster local"
"""What is said where there is no cluster."""
DEVICE = "npu:0"
"""What a run calls the chip of each worker: the first one of those that it was granted."""


class Kept(Protocol):
    """What is there of a job: a run's folder, or pieces that are joined at the end."""

    shards: List[Shard]

    def unfinished(self) -> List[Shard]:
        """Return the shards that are to be done and are not there."""

    def words_done(self) -> int:
        """Return how many words are there."""

    def kept_of(self, shard: Shard) -> int:
        """Return how many words of an unfinished shard whoever does it next need not do."""

    def void(self, dead: Collection[Process]) -> None:
        """Let nobody wait for what the dead have claimed."""


class Reader(Protocol):
    """What does shards of a job, such as a model that was entered."""

    @property
    def run(self) -> Kept:
        """What is there of the job."""

    def read(
        self,
        wanted: Sequence[Shard],
        passed: Mapping[int, Problem],
        given_up: Mapping[str, str],
    ) -> None:
        """Read the shards that nobody works on; see `crnn.jobs.runs.RunReader.read`."""

    def attempt(self, words: Sequence[Range]) -> None:
        """Read some words and forget them."""

    def notes(self) -> Sequence[str]:
        """Return what a user should be told of what was read."""


class Job(Protocol):
    """What the workers do; `pickle` takes it to them."""

    @property
    def folder(self) -> Path:
        """The run's folder, or that of the pieces."""

    def kept(self, count: int, size: int, batch: int) -> Kept:
        """Return what is there of it: so many words, in a shard, and at a time."""

    def open(self, device: str, threads: Optional[int]) -> ContextManager[Reader]:
        """Open the model on a device, "" for a processor."""


@dataclass(frozen=True)
class EvaluateJob:
    """``crnn evaluate`` as it was asked for: ``request`` is a
    `crnn.jobs.evaluate.EvaluateRequest`.
    """

    folder: Path
    request: Any

    def kept(self, count: int, size: int, batch: int) -> Kept:
        """See `Job`."""
        return _run_in(self.folder, count, size, batch)

    @contextlib.contextmanager
    def open(self, device: str, threads: Optional[int]) -> Iterator[Reader]:
        """See `Job`."""
        import dataclasses

        from crnn.jobs.runs import open_reader

        request = dataclasses.replace(self.request, threads=threads)
        named = ""
        if device:
            request = dataclasses.replace(request, device=device)
            named = DEVICE
        with open_reader(request, self.folder, named) as reader:
            yield reader


@dataclass(frozen=True)
class ReadJob:
    """``crnn read`` of a list in the run's folder; ``arguments`` are those of
    `crnn.recognizer.Recognizer`.
    """

    folder: Path
    model: Path
    listing: str
    arguments: Dict[str, Any] = field(default_factory=dict)

    def kept(self, count: int, size: int, batch: int) -> Kept:
        """See `Job`."""
        return _run_in(self.folder, count, size, batch)

    @contextlib.contextmanager
    def open(self, device: str, threads: Optional[int]) -> Iterator[Reader]:
        """See `Job`."""
        from crnn.reading.run import ListReader
        from crnn.recognizer import Recognizer

        arguments = {**self.arguments, "threads": threads}
        named = ""
        if device:
            arguments["device"] = device
            named = DEVICE
        with Recognizer(self.model, **arguments) as recognizer:
            yield ListReader(
                self.folder, self.listing, recognizer.opened, threads, named, recognizer.notes
            )


@dataclass(frozen=True)
class Order:
    """A job, and what it is to be done on.

    ``address`` is `LOCAL`, `AUTO` or a head's; ``chips`` whether a worker takes a chip, else
    ``cpus`` workers take ``threads`` processors each, as many as there are where it is None.
    ``place`` is the folder that the command was started in, ``probe`` a file in the run's folder
    that holds ``token``, and ``temporary`` where a Ray of its own may put files.
    """

    job: Job
    address: str
    chips: bool
    cpus: Optional[int]
    threads: Optional[int]
    count: int
    size: int
    batch: int
    place: str
    probe: str
    token: str
    temporary: str

    def kept(self) -> Kept:
        """Return what is there of the job."""
        return self.job.kept(self.count, self.size, self.batch)


def _run_in(folder: Path, count: int, size: int, batch: int) -> RunFolder:
    """Return the run's folder, which may not have begun yet: its shards are known."""
    if (folder / "run.json").exists():
        return RunFolder.open(folder)
    return RunFolder(folder, {}, count, size, batch)
