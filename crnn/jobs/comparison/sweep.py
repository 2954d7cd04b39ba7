"""The same words once more with each size of batch, device and count of threads: is it the same
text?
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Union

from crnn.errors import UsageError
from crnn.jobs.comparison.job import CompareOutcome, CompareRequest, compare, texts_file
from crnn.jobs.comparison.sides import takes_device
from crnn.jobs.evaluate import Progress
from crnn.results import MODEL, Side, SideBySide, SweepRun

TAIL = "tail"
"""A batch that leaves a short one at the end of the data."""
ACL = "pyacl"
"""The backend of OMs (`crnn.runners.ascend_runner`)."""
_TAILS = range(16, 32)
Batches = Sequence[Union[int, str]]


@dataclass(frozen=True)
class SweepRequest:
    """What is tried: sizes of batches (`TAIL` among them), devices as ``--device`` takes them but
    with ``+`` between chips that run together, counts of threads. The first of batches and threads
    is what the comparison itself is made with.
    """

    batches: Batches = ()
    devices: Sequence[str] = ()
    threads: Sequence[int] = ()

    @property
    def wanted(self) -> bool:
        """Whether anything is to be tried beside the comparison itself."""
        return len(self.batches) > 1 or len(self.threads) > 1 or bool(self.devices)


def compare_and_sweep(
    request: CompareRequest, sweep: SweepRequest, progress: Progress
) -> SideBySide:
    """Compare sides, then let each model read the words again in every combination that is asked
    for, and compare with what it has read at first.

    Args:
        request: What to compare; of a single model only the combinations are.
        sweep: The combinations.
        progress: As for `compare`.

    Returns:
        The comparison with what each combination gave; failed checks are in it.

    Raises:
        InputError: A side cannot be used.
        UsageError: There is no model to try anything with, or a device is not one.
    """
    batches = list(sweep.batches) or [request.batch]
    first = request.batch
    if isinstance(batches[0], int):
        first = batches[0]
    threads: List[Optional[int]] = [request.threads]
    if sweep.threads:
        threads = list(sweep.threads)
    with tempfile.TemporaryDirectory(prefix="crnn-sweep-") as folder:
        base = dataclasses.replace(request, batch=first, threads=threads[0], record=Path(folder))
        result = compare(base, progress).result
        models = [number for number, side in enumerate(result.sides) if side.kind == MODEL]
        if not models:
            raise UsageError("--batches, --devices and --threads need a model among the sides")
        runs: List[SweepRun] = []
        for number in models:
            name = result.sides[number].name
            sizes = _sizes(batches, result.sides[number].words)
            devices = _devices(request.sides[number], sweep.devices) or [request.device]
            counts = _counts(result.sides[number], threads)
            for size, device, count in itertools.product(sizes, devices, counts):
                one = dataclasses.replace(
                    base,
                    sides=(str(texts_file(Path(folder), number)), request.sides[number]),
                    batch=size,
                    device=device,
                    threads=count,
                    record=None,
                    max_drop=None,
                    max_differ=0,
                )
                if (size, device, count) != (first, request.device, threads[0]):
                    runs.append(_run(name, one, compare(one, progress)))
        if not runs:
            raise UsageError(
                "--batches, --devices and --threads name nothing that these models do not read"
                " with at first: name two or more of a kind that they run with",
                hint="A number is a chip of an OM; cpu and cuda:1 are of other models.",
            )
    failures = [*result.failures, *_failures(runs, request.max_differ or 0)]
    return dataclasses.replace(result, sweep=runs, failures=failures)


def _run(name: str, request: CompareRequest, outcome: CompareOutcome) -> SweepRun:
    found = outcome.result.comparisons[0]
    run = outcome.result.sides[1].run
    assert run is not None
    return SweepRun(
        name,
        request.batch,
        run.device or "",
        run.threads,
        found.words,
        found.differ,
        found.differing,
    )


def _failures(runs: Sequence[SweepRun], most: int) -> Iterator[str]:
    for run in runs:
        if run.differ > most:
            yield (
                f"{run.side} reads {run.differ} of {run.words} words otherwise with batch"
                f" {run.batch}, {run.device}, threads {run.threads}; --max-differ allows {most}"
            )


def _sizes(batches: Batches, words: int) -> List[int]:
    """Return the sizes, each once, with a number in the place of `TAIL`."""
    sizes: List[int] = []
    for batch in batches:
        size = batch
        if isinstance(size, str):
            size = tail_of(words)
        if size not in sizes:
            sizes.append(size)
    return sizes


def tail_of(words: int) -> int:
    """Return a batch that leaves a short one at the end.

    >>> tail_of(2000), tail_of(5), tail_of(1)
    (18, 4, 2)

    Args:
        words: How many there are.

    Returns:
        Of 16 to 31 the one with the fewest words left over, but not none; of fewer words one less
        than they are.
    """
    best = 0
    for size in _TAILS:
        rest = words % size
        if rest and size < words and (not best or rest < words % best):
            best = size
    return best or max(2, words - 1)


def _counts(side: Side, threads: Sequence[Optional[int]]) -> Sequence[Optional[int]]:
    """Return the counts of threads that make a difference: a chip computes with none of them."""
    if side.run is not None and side.run.backend == ACL:
        return threads[:1]
    return threads


def _devices(side: str, devices: Sequence[str]) -> List[str]:
    """Return the devices that a side can run on; none where it runs on one alone."""
    found: List[str] = []
    for device in devices:
        together = device.replace("+", ",")
        if takes_device(side, together):
            found.append(together)
    return found
