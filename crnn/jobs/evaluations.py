"""Several models on several data sets: an evaluation each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import ContextManager, Iterator, List, Optional, Sequence, Tuple, Union

from crnn.errors import InputError, KitError
from crnn.files import natural_key
from crnn.jobs.evaluate import Outcome, Progress, Request, evaluate
from crnn.jobs.stream import Advance

SUFFIXES = (".pth", ".pt", ".pth.tar", ".onnx")


@dataclass(frozen=True)
class Row:
    """A model and what came of it on each data set: an outcome, or why there is none."""

    model: Path
    cells: Sequence[Union[Outcome, KitError]]


def models_in(path: Path) -> List[Path]:
    """Return the models in a folder, in natural order; ``path`` itself where it is one model.

    One model is a file, or a folder of OMs alone: a static set.
    """
    if not path.is_dir():
        return [path]
    files = [file for file in path.iterdir() if file.is_file()]
    if not any(file.name.lower().endswith(SUFFIXES) for file in files):
        return [path]
    models = [file for file in files if file.name.lower().endswith((*SUFFIXES, ".om"))]
    return sorted(models, key=lambda file: natural_key(file.name))


def evaluate_all(request: Request, data: Sequence[Path], progress: Progress) -> List[Row]:
    """Evaluate each model of ``request.model`` on each of ``data``, with the request's options.

    A model or data set that cannot be read, or not here, does not stop the others. Raises
    `InputError` for data that is not there.
    """
    for place in data:
        if not place.exists():
            raise InputError(
                f"{place} does not exist; expected a folder of bins, an LMDB or a folder of images"
            )
    return [
        Row(
            model,
            [
                _cell(dataclasses.replace(request, model=model, data=place), progress)
                for place in data
            ],
        )
        for model in models_in(request.model)
    ]


def error_of(rows: Sequence[Row]) -> Optional[KitError]:
    """Return one error for all cells without outcome, each reason in it once, its exit code the
    highest of theirs.
    """
    found = [cell for row in rows for cell in row.cells if isinstance(cell, KitError)]
    if not found:
        return None
    kind = type(max(found, key=lambda error: error.exit_code))
    return kind("\n".join(dict.fromkeys(map(str, found))))


def problems(rows: Sequence[Row], data: Sequence[Path]) -> List[str]:
    """Return what kept samples from counting as they should, by kind with its count, with model and
    data set.
    """
    return [
        f"{where}: {reason}: {count}"
        for where, outcome in _outcomes(rows, data)
        for reason, count in outcome.evaluation.skipped.items()
    ]


def failures(rows: Sequence[Row], data: Sequence[Path]) -> List[str]:
    """Return the checks that did not hold, each with its model and data set."""
    return [
        f"{where}: {failure}"
        for where, outcome in _outcomes(rows, data)
        for failure in outcome.failures
    ]


def _outcomes(rows: Sequence[Row], data: Sequence[Path]) -> Iterator[Tuple[str, Outcome]]:
    for row in rows:
        for place, cell in zip(data, row.cells):
            if isinstance(cell, Outcome):
                yield f"{row.model.name} on {place}", cell


def _cell(request: Request, progress: Progress) -> Union[Outcome, KitError]:
    def named(label: str, total: Optional[int]) -> ContextManager[Advance]:
        return progress(f"{label} {request.model.name} on {request.data.name}", total)

    try:
        return evaluate(request, named)
    except KitError as error:
        return error
