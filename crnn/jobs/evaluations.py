"""Several models on several data sets: an evaluation each."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ContextManager, Dict, Iterator, List, Optional, Sequence, Set, Tuple, Union

from crnn.decoding.decoder import DecodingOptions, NoLexiconError
from crnn.errors import InputError, KitError
from crnn.files import natural_key
from crnn.jobs.evaluate import Advance, EvaluateOutcome, EvaluateRequest, Progress, evaluate

SUFFIXES = (".pth", ".pt", ".pth.tar", ".onnx")


@dataclass(frozen=True)
class Row:
    """A model and what came of it on each data set: an outcome, or why there is none."""

    model: Path
    cells: Sequence[Union[EvaluateOutcome, KitError]]


@dataclass(frozen=True)
class Column:
    """A data set, and by which lexicon it is read where there are columns of several."""

    data: Path
    decoding: Optional[DecodingOptions] = None
    lexicon: Optional[str] = None

    @property
    def of_samples(self) -> bool:
        """Whether the lexicon is one that an LMDB keeps."""
        return self.decoding is not None and self.decoding.of_samples

    @property
    def name(self) -> str:
        """What stands above the column."""
        if self.lexicon is None:
            return str(self.data)
        return f"{self.data}, lexicon {self.lexicon}"


def models_in(path: Path) -> List[Path]:
    """Return the models in a folder.

    Args:
        path: A folder, or one model: a file, or a folder of OMs alone (a static set).

    Returns:
        The models in natural order; ``path`` itself where it is one.
    """
    if not path.is_dir():
        return [path]
    files = [file for file in path.iterdir() if file.is_file()]
    if not any(file.name.lower().endswith(SUFFIXES) for file in files):
        return [path]
    models = [file for file in files if file.name.lower().endswith((*SUFFIXES, ".om"))]
    return sorted(models, key=lambda file: natural_key(file.name))


def evaluate_all(
    request: EvaluateRequest, columns: Sequence[Column], progress: Progress
) -> List[Row]:
    """Evaluate several models on several data sets.

    A model or data set that cannot be read, or not here, does not stop the others.

    Args:
        request: The options; its ``model`` may be a folder of models.
        columns: The data sets, with what may be read.
        progress: Shows how far each evaluation is.

    Returns:
        A row for each model.

    Raises:
        InputError: A data set is not there.
    """
    for column in columns:
        if not column.data.exists():
            raise InputError(
                f"{column.data} does not exist; expected a folder of bins, an LMDB or a folder of"
                " images"
            )
    rows: List[Row] = []
    for model in models_in(request.model):
        cells: List[Union[EvaluateOutcome, KitError]] = []
        for column in columns:
            one = dataclasses.replace(
                request, model=model, data=column.data, decoding=column.decoding
            )
            if column.lexicon is not None and not column.of_samples:
                one = dataclasses.replace(one, lexicons=None)
            cells.append(_cell(one, progress))
        rows.append(Row(model, cells))
    return rows


def repeated(columns: Sequence[Column]) -> List[str]:
    """Return the data sets that are named more than once: they would count twice in a row for all.

    Args:
        columns: The data sets.

    Returns:
        Each by the name that it has the second time.
    """
    found: List[str] = []
    places: Set[str] = set()
    for column in columns:
        place = os.path.realpath(column.data)
        if place in places:
            found.append(str(column.data))
        places.add(place)
    return found


def error_of(rows: Sequence[Row]) -> Optional[KitError]:
    """Return one error for all cells without outcome.

    Args:
        rows: What came of each model.

    Returns:
        An error that says each reason once, its exit code the highest of theirs; None where every
        cell has an outcome. That some of the data sets lack a lexicon is not an error: papers'
        tables have such gaps.
    """
    found: List[KitError] = []
    gaps = outcomes = 0
    for row in rows:
        for cell in row.cells:
            gaps += isinstance(cell, NoLexiconError)
            outcomes += isinstance(cell, EvaluateOutcome)
            if isinstance(cell, KitError):
                found.append(cell)
    if gaps == len(found) and outcomes:
        return None
    if not found:
        return None
    worst = max(found, key=lambda error: error.exit_code)
    reasons: Dict[str, KitError] = {}
    for error in found:
        reasons.setdefault(str(error), error)
    parts: List[str] = []
    for error in reasons.values():
        parts.extend(error.parts)
        if error.hint:
            parts.append(error.hint)
    return type(worst)(parts[0], lines=parts[1:])


def problems(rows: Sequence[Row], columns: Sequence[Column]) -> List[str]:
    """Return what kept samples from counting as they should.

    Args:
        rows: What came of each model.
        columns: The data sets.

    Returns:
        A line for each kind of problem with its count, with model and data set.
    """
    lines: List[str] = []
    for row in rows:
        lines.extend(cell.message for cell in row.cells if isinstance(cell, NoLexiconError))
    for where, outcome in _outcomes(rows, columns):
        for reason, count in outcome.evaluation.skipped.items():
            lines.append(f"{where}: {reason}: {count}")
    return lines


def failures(rows: Sequence[Row], columns: Sequence[Column]) -> List[str]:
    """Return the checks that did not hold.

    Args:
        rows: What came of each model.
        columns: The data sets.

    Returns:
        A line for each, with its model and data set.
    """
    lines: List[str] = []
    for where, outcome in _outcomes(rows, columns):
        for failure in outcome.failures:
            lines.append(f"{where}: {failure}")
    return lines


def _outcomes(
    rows: Sequence[Row], columns: Sequence[Column]
) -> Iterator[Tuple[str, EvaluateOutcome]]:
    for row in rows:
        for column, cell in zip(columns, row.cells):
            if isinstance(cell, EvaluateOutcome):
                yield f"{row.model.name} on {column.name}", cell


def _cell(request: EvaluateRequest, progress: Progress) -> Union[EvaluateOutcome, KitError]:
    def named(label: str, total: Optional[int]) -> ContextManager[Advance]:
        return progress(f"{label} {request.model.name} on {request.data.name}", total)

    try:
        return evaluate(request, named)
    except KitError as error:
        return error
