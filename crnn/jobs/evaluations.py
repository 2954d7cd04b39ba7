"""Several models on several data sets: an evaluation each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import ContextManager, List, Optional, Sequence

from crnn.errors import InputError, KitError
from crnn.files import natural_key
from crnn.jobs.evaluate import Outcome, Progress, Request, evaluate
from crnn.jobs.stream import Advance

SUFFIXES = (".pth", ".pt", ".pth.tar", ".onnx")


@dataclass(frozen=True)
class Row:
    """A model and its outcomes, one for each data set; none where ``error`` says why it cannot be evaluated."""

    model: Path
    outcomes: Sequence[Outcome]
    error: str = ""


def models_in(path: Path) -> List[Path]:
    """Return the checkpoints and ONNX files in a folder, in natural order; ``path`` itself where it is one model.

    A model is a file, or a folder without such files: a static set of OMs.
    """
    if not path.is_dir():
        return [path]
    files = [file for file in path.iterdir() if file.name.lower().endswith(SUFFIXES) and file.is_file()]
    return sorted(files, key=lambda file: natural_key(file.name)) or [path]


def evaluate_all(request: Request, data: Sequence[Path], progress: Progress) -> List[Row]:
    """Evaluate each model of ``request.model`` on each of ``data``, with the request's options.

    A model that cannot be evaluated does not stop the others. Raises `InputError` where none can.
    """
    for place in data:
        if not place.exists():
            raise InputError(f"{place} does not exist; expected a folder of bins, an LMDB or a folder of images")
    rows = [_row(dataclasses.replace(request, model=model), data, progress) for model in models_in(request.model)]
    if not any(row.outcomes for row in rows):
        raise InputError(
            f"none of the {len(rows)} models in {request.model} can be evaluated; the first: {rows[0].error}"
        )
    return rows


def failures(rows: Sequence[Row], data: Sequence[Path]) -> List[str]:
    """Return the checks that did not hold, each with its model and data set."""
    return [
        f"{row.model.name} on {place}: {failure}"
        for row in rows
        for place, outcome in zip(data, row.outcomes)
        for failure in outcome.failures
    ]


def _row(request: Request, data: Sequence[Path], progress: Progress) -> Row:
    try:
        return Row(request.model, [_outcome(request, place, progress) for place in data])
    except KitError as error:
        return Row(request.model, [], str(error))


def _outcome(request: Request, place: Path, progress: Progress) -> Outcome:
    def named(label: str, total: Optional[int]) -> ContextManager[Advance]:
        return progress(f"{label} {request.model.name} on {place.name}", total)

    return evaluate(dataclasses.replace(request, data=place), named)
