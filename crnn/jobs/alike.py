"""Whether two models read the same."""

from __future__ import annotations

from pathlib import Path

from crnn.errors import InputError
from crnn.jobs.comparison.job import CompareRequest, compare
from crnn.jobs.evaluate import Progress
from crnn.results import SideBySide


def read_alike(
    first: Path,
    second: Path,
    data: Path,
    progress: Progress,
    *,
    batch: int = 16,
    max_differ: int = 0,
) -> SideBySide:
    """Let two models read the same words, each by its own spec, the second against the first.

    Args:
        first: A model file.
        second: Another.
        data: A folder of bins, an LMDB or a folder of images.
        progress: Shows how far it is.
        batch: Images a batch.
        max_differ: How many words may be read differently.

    Returns:
        Both sides with their evaluations, the comparison of all words that differ, and a failure
        where more than ``max_differ`` do.

    Raises:
        InputError: One of them is not a model, or no word has a label.
    """
    sides = [str(first), str(second)]
    request = CompareRequest(
        sides, data, batch=batch, max_differ=max_differ, keep=None, models_only=True
    )
    result = compare(request, progress).result
    if not result.comparisons[0].test.total:
        raise InputError(f"{data} holds no labelled word, so there is nothing to evaluate")
    return result
