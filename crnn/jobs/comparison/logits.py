"""How far the log-probabilities of two runs are apart, and how narrowly they decide."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from crnn.results import LogDifferences
from crnn.spec import ModelSpec

OTHER_STEPS = "other time steps"
NOT_FINITE = "output not finite"
Margins = Optional[Tuple[float, float]]


def matched_classes(first: ModelSpec, second: ModelSpec) -> Tuple[List[int], List[int]]:
    """Match the classes of two models by their characters.

    Args:
        first: A model's spec.
        second: Another's.

    Returns:
        The classes that both have, the blank first, by each one's own numbers.
    """
    mine, others = [first.blank], [second.blank]
    table = second.alphabet.table
    for number, character in enumerate(first.alphabet.table):
        if number == first.blank or character not in second.characters:
            continue
        mine.append(number)
        others.append(table.index(character))
    return mine, others


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities.

    Args:
        logits: (…, K), any float type; log-probabilities stay what they are.

    Returns:
        The same shape, float64.
    """
    values = logits.astype(np.float64)
    values -= values.max(axis=-1, keepdims=True)
    values -= np.log(np.exp(values).sum(axis=-1, keepdims=True))
    return values


def margins(log_probabilities: np.ndarray) -> np.ndarray:
    """Return by how much the nearest of a word's decisions was taken.

    Args:
        log_probabilities: (n, T, K).

    Returns:
        For each word the least, over its time steps, of the best class minus the second, (n,).
    """
    best = np.partition(log_probabilities, -2, axis=-1)
    least: np.ndarray = (best[..., -1] - best[..., -2]).min(axis=-1)
    return least


class LogComparer:
    """Compares the logits of two runs, some words at a time; its memory does not grow.

    Args:
        first: The spec of the first run's model.
        second: That of the second's.
    """

    def __init__(self, first: ModelSpec, second: ModelSpec) -> None:
        self._first, self._second = matched_classes(first, second)
        self.left_out: Dict[str, int] = {}
        """Words whose logits were not compared, by reason."""
        self._words = self._values = 0
        self._largest = self._sum = 0.0
        self._key = ""
        self._margin_largest = self._margin_sum = 0.0
        self._narrowest = float("inf")

    def add(
        self, keys: Sequence[str], first: Sequence[np.ndarray], second: Sequence[np.ndarray]
    ) -> List[Margins]:
        """Compare some words.

        Args:
            keys: Their names.
            first: The first run's logits of each, (T, K).
            second: The second run's.

        Returns:
            The margins of each word in both runs; None where its logits are not compared.
        """
        found: List[Margins] = [None] * len(keys)
        groups: Dict[int, List[int]] = {}
        for number, (one, other) in enumerate(zip(first, second)):
            reason = _apart(one, other)
            if reason:
                self.left_out[reason] = self.left_out.get(reason, 0) + 1
            else:
                groups.setdefault(len(one), []).append(number)
        for numbers in groups.values():
            one = log_softmax(np.stack([first[number] for number in numbers]))
            other = log_softmax(np.stack([second[number] for number in numbers]))
            pairs = self._count([keys[number] for number in numbers], one, other)
            for number, pair in zip(numbers, pairs):
                found[number] = pair
        return found

    def finish(self) -> Optional[LogDifferences]:
        """Return what was found; None where no word's logits were compared."""
        if not self._words:
            return None
        return LogDifferences(
            words=self._words,
            classes=len(self._first),
            largest=self._largest,
            mean=self._sum / self._values,
            key=self._key,
            margin_largest=self._margin_largest,
            margin_mean=self._margin_sum / self._words,
            narrowest=self._narrowest,
        )

    def _count(
        self, keys: Sequence[str], first: np.ndarray, second: np.ndarray
    ) -> List[Tuple[float, float]]:
        """Count words of one length, log-probabilities (n, T, K), and return their margins."""
        apart = np.abs(first[..., self._first] - second[..., self._second])
        worst = apart.reshape(len(keys), -1).max(axis=1)
        place = int(worst.argmax())
        if not self._key or worst[place] > self._largest:
            self._largest = float(worst[place])
            self._key = keys[place]
        self._sum += float(apart.sum())
        self._values += apart.size
        one, other = margins(first), margins(second)
        moved = np.abs(one - other)
        self._margin_largest = max(self._margin_largest, float(moved.max()))
        self._margin_sum += float(moved.sum())
        self._narrowest = min(self._narrowest, float(one.min()))
        self._words += len(keys)
        return list(zip(one.tolist(), other.tolist()))


def _apart(first: np.ndarray, second: np.ndarray) -> str:
    """Return why the logits of a word cannot be compared, "" where they can."""
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return NOT_FINITE
    if len(first) != len(second):
        return OTHER_STEPS
    return ""
