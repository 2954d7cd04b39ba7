"""Texts that a row might be read as, with their probabilities, and what is printed of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np

from crnn.decoding.decoder import Decoded
from crnn.results import Alternative


@dataclass(frozen=True)
class Candidates:
    """The candidates of n rows, at most M each, in no order."""

    texts: Sequence[str]
    """Every text that is a candidate of some row."""
    number: np.ndarray
    """Which of the texts, (n, M); -1 where a row has fewer than M."""
    logs: np.ndarray
    """The logarithms of their probabilities, (n, M); minus infinity where a row has fewer."""


def side_by_side(
    texts: Sequence[str], row_of: np.ndarray, number: np.ndarray, logs: np.ndarray, rows: int
) -> Candidates:
    """Return candidates that are listed row after row.

    Args:
        texts: What ``number`` points into.
        row_of: The row of each candidate, ascending, (S,).
        number: Its text, (S,).
        logs: The logarithm of its probability, (S,).
        rows: n, how many rows there are.

    Returns:
        The same as arrays (n, M).
    """
    counts = np.bincount(row_of, minlength=rows)
    begins = np.cumsum(counts) - counts
    column = np.arange(len(row_of)) - begins[row_of]
    shape = (rows, max(1, int(counts.max(initial=0))))
    numbers = np.full(shape, -1, dtype=np.int64)
    all_logs = np.full(shape, -np.inf)
    numbers[row_of, column] = number
    all_logs[row_of, column] = logs
    return Candidates(texts, numbers, all_logs)


def decoded(candidates: Candidates, *, alternatives: int, posterior: bool) -> Decoded:
    """Return the likeliest candidate of each row, and what is asked for beside it.

    A row that has no candidate gets the empty text; its probability and its posterior are not
    numbers.

    Args:
        candidates: Of n rows.
        alternatives: How many of the likeliest are to be named; 0 for none.
        posterior: Whether the share of the likeliest among all candidates is asked for.

    Returns:
        The texts with their probabilities.
    """
    best = candidates.logs.argmax(axis=1)
    rows = np.arange(len(best))
    chosen = candidates.number[rows, best]
    texts: List[str] = []
    for number in chosen.tolist():
        text = ""
        if number >= 0:
            text = candidates.texts[number]
        texts.append(text)
    logs = candidates.logs[rows, best]
    none = chosen < 0
    shares: Optional[np.ndarray] = None
    if posterior:
        shares = np.where(none, np.nan, _shares(candidates.logs, logs))
    named: Optional[List[Tuple[Alternative, ...]]] = None
    if alternatives:
        named = likeliest(candidates, alternatives)
    return Decoded(texts, np.where(none, np.nan, np.exp(logs)), shares, named)


def likeliest(candidates: Candidates, most: int) -> List[Tuple[Alternative, ...]]:
    """Return the likeliest texts of each row, likeliest first.

    Args:
        candidates: Of n rows.
        most: How many of a row.

    Returns:
        n tuples, shorter where a row has fewer.
    """
    logs = candidates.logs
    order = np.argsort(-logs, axis=1, kind="stable")[:, :most]
    number = np.take_along_axis(candidates.number, order, axis=1).tolist()
    probability = np.exp(np.take_along_axis(logs, order, axis=1)).tolist()
    found: List[Tuple[Alternative, ...]] = []
    for numbers, values in zip(number, probability):
        row: List[Alternative] = []
        for which, value in zip(numbers, values):
            if which >= 0:
                row.append(Alternative(candidates.texts[which], value))
        found.append(tuple(row))
    return found


def _shares(logs: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return the share of the likeliest candidate of each row among all of the row.

    Args:
        logs: The logarithms of all, (n, M), minus infinity where there is none.
        best: That of the likeliest, (n,).

    Returns:
        0 to 1, (n,); 0 where no candidate is possible at all.
    """
    possible = np.isfinite(best)
    shift = np.where(possible, best, 0.0)
    total = np.exp(logs - shift[:, None]).sum(axis=1)
    shares: np.ndarray = np.zeros(len(best))
    shares[possible] = 1 / total[possible]
    return shares
