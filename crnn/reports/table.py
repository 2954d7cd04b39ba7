"""Evaluations of several models on several data sets:

the cells of a table, and ``crnn-evaluations/1``.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Union

from crnn.reports import json
from crnn.results import Evaluation

SCHEMA = "crnn-evaluations/1"
Rows = Sequence[Sequence[Union[Evaluation, str]]]
"""For each model and data set an evaluation, or why there is none."""


def cells(models: Sequence[str], rows: Rows) -> List[List[str]]:
    """Return a row of cells for each model:

    its name, then accuracy and count; the best of a column is marked ``*``.
    """
    best = [
        max((cell.correct for cell in column if isinstance(cell, Evaluation)), default=0)
        for column in zip(*rows)
    ]
    return [[name, *map(_cell, row, best)] for name, row in zip(models, rows)]


def to_dict(models: Sequence[str], data: Sequence[str], rows: Rows) -> Dict[str, Any]:
    """Return plain data: for each model and data set the result JSON, or why there is none."""
    content: List[Dict[str, Any]] = []
    for model, row in zip(models, rows):
        results = [
            {
                "data": name,
                **({"error": cell} if isinstance(cell, str) else {"result": json.to_dict(cell)}),
            }
            for name, cell in zip(data, row)
        ]
        content.append({"model": model, "results": results})
    return {"schema": SCHEMA, "models": content}


def _cell(cell: Union[Evaluation, str], best: int) -> str:
    if isinstance(cell, str):
        return "-"
    simulated = ", SIMULATED" if cell.simulated else ""
    return (
        f"{cell.accuracy:.4f} ({cell.correct} of"
        f" {cell.total}{simulated}){' *' if cell.correct == best > 0 else ''}"
    )
