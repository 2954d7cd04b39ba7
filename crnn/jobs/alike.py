"""Whether two models read the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Tuple

from crnn.jobs.evaluate import Outcome, Progress, Request, evaluate


def read_alike(
    first: Path,
    second: Path,
    data: Path,
    progress: Progress,
    *,
    batch: int = 16,
    max_differ: int = 0,
) -> Tuple[Outcome, Outcome]:
    """Evaluate two models on the same words, each by its own spec, the second against the first.

    The second outcome has the comparison, and a failure where more than ``max_differ`` words were
    read differently.
    """
    with tempfile.TemporaryDirectory(prefix="crnn-") as folder:
        readings = Path(folder) / "first.jsonl"
        one = evaluate(Request(first, data, batch=batch, readings=readings), progress)
        return one, evaluate(
            Request(second, data, batch=batch, against=readings, max_differ=max_differ), progress
        )
