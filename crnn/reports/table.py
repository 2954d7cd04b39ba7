"""Evaluations of several models on several data sets: the cells of a table, and ``crnn-evaluations/1``."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from crnn.reports import json
from crnn.results import Evaluation

SCHEMA = "crnn-evaluations/1"
Rows = Sequence[Sequence[Evaluation]]
"""For each model its evaluations, one for each data set; none where it could not be evaluated."""


def cells(models: Sequence[str], rows: Rows) -> List[List[str]]:
    """Return a row of cells for each model: its name, then accuracy and count; the best of a column is marked ``*``."""
    columns = max(map(len, rows), default=0)
    best = [max(row[column].correct for row in rows if row) for column in range(columns)]
    return [
        [name, *(_cell(row[column] if row else None, best[column]) for column in range(columns))]
        for name, row in zip(models, rows)
    ]


def to_json(models: Sequence[str], data: Sequence[str], rows: Rows, errors: Sequence[str]) -> str:
    """Return the JSON text: for each model and data set the result JSON, or why the model has none."""
    content: List[Dict[str, Any]] = []
    for model, row, error in zip(models, rows, errors):
        results = [{"data": name, "result": json.to_dict(evaluation)} for name, evaluation in zip(data, row)]
        content.append({"model": model, "results": results, **({"error": error} if error else {})})
    return json.dumps({"schema": SCHEMA, "models": content}, indent=1) + "\n"


def _cell(evaluation: Optional[Evaluation], best: int) -> str:
    if evaluation is None:
        return "-"
    mark = " *" if evaluation.correct == best else ""
    return f"{evaluation.accuracy:.4f} ({evaluation.correct} of {evaluation.total}){mark}"
