"""``crnn evaluate`` and ``crnn read`` on a cluster: what is ordered, and what the records give."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional

from crnn.batch import Sample
from crnn.cluster.drive import ClusterOptions, Progress, drive
from crnn.cluster.order import EvaluateJob, ReadJob
from crnn.filekind import OM, kind_of
from crnn.jobs.evaluate import EvaluateOutcome, EvaluateRequest, Screen
from crnn.jobs.run_folder import RunFolder, require_same
from crnn.jobs.runs import RunOptions, look_at, result_of
from crnn.reading.run import Listing, begin_listing, records_in
from crnn.reports.records import Record
from crnn.runners.open import open_runner

Note = Callable[[str], None]


def evaluate_on(
    cluster: ClusterOptions,
    request: EvaluateRequest,
    options: RunOptions,
    progress: Progress,
    screen: Screen,
) -> EvaluateOutcome:
    """Evaluate what is missing of a run on a cluster, and make the result of its records.

    Args:
        cluster: The cluster.
        request: What to do.
        options: Where.
        progress: As for `crnn.jobs.evaluate.evaluate`.
        screen: The same, and gets what a user should be told while the cluster works.

    Returns:
        The evaluation.

    Raises:
        KitError: The run cannot be done; where the cluster was lost, it can be gone on with.
    """
    begun = look_at(request, options)
    count = len(begun.job.source)
    begun.job.source.close()
    if begun.run is None or not begun.run.complete():
        drive(
            EvaluateJob(options.folder, dataclasses.replace(request, typed=())),
            cluster,
            chips=_on_chips(request.model),
            count=count,
            batch=request.batch,
            progress=progress,
            note=screen.note,
        )
    return result_of(request, options.folder, progress, screen, begun.notes)


@dataclass(frozen=True)
class ReadOrder:
    """What `read_on` reads: ``arguments`` are those of `crnn.recognizer.Recognizer`."""

    model: Path
    folder: Path
    resume: bool
    batch: int
    arguments: Dict[str, Any]


@dataclass(frozen=True)
class ReadThere:
    """A complete run of words without labels."""

    run: RunFolder

    @property
    def simulated(self) -> bool:
        """Whether the Ascend simulator ran the model."""
        return bool(self.run.configuration["run"]["simulated"])

    def records(self) -> Iterator[List[Record]]:
        """Yield the records in the order of the list, some at a time."""
        yield from records_in(self.run, simulated=self.simulated)


def read_on(
    cluster: ClusterOptions,
    order: ReadOrder,
    samples: Iterable[Sample],
    progress: Progress,
    note: Note,
) -> ReadThere:
    """Read what is missing of a run on a cluster.

    Args:
        cluster: The cluster.
        order: What to do.
        samples: The words, by their files; they are listed first.
        progress: Shows how far it is.
        note: Gets what a user should be told.

    Returns:
        The run.

    Raises:
        KitError: The run cannot be done; where the cluster was lost, it can be gone on with.
    """
    listing = begin_listing(order.folder, samples, resume=order.resume)
    run = _begun(order, listing)
    if run is None or not run.complete():
        drive(
            ReadJob(order.folder, order.model, listing.path.name, order.arguments),
            cluster,
            chips=_on_chips(order.model),
            count=len(listing),
            batch=order.batch,
            progress=progress,
            note=note,
        )
    return ReadThere(RunFolder.open(order.folder))


def _begun(order: ReadOrder, listing: Listing) -> Optional[RunFolder]:
    """Return the run that is there, which must be of the same words, model and batch: a worker
    looks at the rest.
    """
    if not (order.folder / "run.json").exists():
        return None
    same = {"listing": listing.digest, "batch": order.batch}
    run = RunFolder.resume(order.folder, same)
    kept = run.configuration.get("run", {}).get("model", {})
    model = open_runner(order.model).model
    require_same(kept.get("sha256"), model.sha256, ["model", "sha256"], order.folder)
    return run


def _on_chips(model: Path) -> bool:
    """Say whether a model runs on chips: an OM, or a folder of them."""
    return model.is_dir() or kind_of(model) == OM
