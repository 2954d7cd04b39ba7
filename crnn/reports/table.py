"""Evaluations of several models on several data sets: the cells of a table, and the JSON of
``crnn-evaluations/1``.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Union

from crnn.reports import result_json as json
from crnn.reports.combined import Combined, combined
from crnn.results import Evaluation

SCHEMA = "crnn-evaluations/1"
Cell = Union[Evaluation, str]
"""An evaluation, or why there is none."""
Rows = Sequence[Sequence[Cell]]
"""A cell for each model and data set."""


def cells(models: Sequence[str], rows: Rows) -> List[List[str]]:
    """Return the cells of a table as text; of several models the best of a column is marked ``*``.

    Args:
        models: The models' names, one for each row.
        rows: For each model a cell for each data set.

    Returns:
        A row for each model: its name, then accuracy and count on each data set.
    """
    best = [0] * len(rows[0])
    if len(rows) > 1:
        best = [_most_correct(column) for column in zip(*rows)]
    return [[name, *map(_cell, row, best)] for name, row in zip(models, rows)]


def together(data: Sequence[str], rows: Rows) -> List[Optional[Combined]]:
    """Pool the data sets of each model.

    Args:
        data: The data sets' names, one for each column.
        rows: For each model a cell for each data set.

    Returns:
        A row for each model; None where there is one set alone, or a set could not be read.
    """
    found: List[Optional[Combined]] = []
    for row in rows:
        whole = [cell for cell in row if isinstance(cell, Evaluation)]
        if len(row) < 2 or len(whole) < len(row):
            found.append(None)
        else:
            found.append(combined(data, whole))
    return found


def to_dict(
    models: Sequence[str],
    data: Sequence[str],
    rows: Rows,
    pooled: Sequence[Optional[Combined]] = (),
) -> Dict[str, Any]:
    """Return plain data: for each model and data set the result JSON, or why there is none.

    Args:
        models: The models' names, one for each row.
        data: The data sets' names, one for each column.
        rows: For each model a cell for each data set.
        pooled: What `together` gave for each model; nothing where the columns are not different
            data sets.

    Returns:
        The fields of ``crnn-evaluations/1``.
    """
    content: List[Dict[str, Any]] = []
    for number, (model, row) in enumerate(zip(models, rows)):
        results = [_result(name, cell) for name, cell in zip(data, row)]
        entry: Dict[str, Any] = {"model": model, "results": results}
        one = None
        if pooled:
            one = pooled[number]
        if one is not None:
            entry["combined"] = one.to_dict()
        content.append(entry)
    return {"schema": SCHEMA, "models": content}


def _result(name: str, cell: Cell) -> Dict[str, Any]:
    if isinstance(cell, str):
        return {"data": name, "error": cell}
    return {"data": name, "result": json.to_dict(cell)}


def _most_correct(column: Sequence[Cell]) -> int:
    counts = [cell.correct for cell in column if isinstance(cell, Evaluation)]
    return max(counts, default=0)


def _cell(cell: Cell, best: int) -> str:
    if isinstance(cell, str):
        return "-"
    text = f"{cell.accuracy:.4f} ({cell.correct} of {cell.total}"
    if cell.run.simulated:
        text += ", SIMULATED"
    text += ")"
    if cell.correct == best > 0:
        text += " *"
    return text
