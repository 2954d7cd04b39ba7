"""Whether two models read the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Tuple

from crnn.jobs.evaluate import EvaluateOutcome, EvaluateRequest, Progress, evaluate


def read_alike(
    first: Path,
    second: Path,
    data: Path,
    progress: Progress,
    *,
    batch: int = 16,
    max_differ: int = 0,
) -> Tuple[EvaluateOutcome, EvaluateOutcome]:
    """Evaluate two models on the same words, each by its own spec, the second against the first.

    Args:
        first: A model file.
        second: Another.
        data: A folder of bins, an LMDB or a folder of images.
        progress: Shows how far each evaluation is.
        batch: Images a batch.
        max_differ: How many words may be read differently.

    Returns:
        Both outcomes. The second has the comparison, and a failure where more than ``max_differ``
        words were read differently.
    """
    with tempfile.TemporaryDirectory(prefix="crnn-") as folder:
        readings = Path(folder) / "first.jsonl"
        one = EvaluateRequest(first, data, batch=batch, readings=readings)
        other = EvaluateRequest(second, data, batch=batch, against=readings, max_differ=max_differ)
        return evaluate(one, progress), evaluate(other, progress)
