"""The temperature that fits probabilities to how often words are right.

Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017): one number by
which logits are divided. It is the one of least log loss of right and wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List

import numpy as np

STEPS = 8
"""Temperatures that are tried for each doubling; between them the logarithms are interpolated."""
DOUBLINGS = 3
GRID = tuple(2 ** (step / STEPS) for step in range(-DOUBLINGS * STEPS, DOUBLINGS * STEPS + 1))
"""The temperatures that are tried: an eighth to eight."""
MOST = 100_000
"""The most words that are kept for a fit: 196 bytes each."""
_LEAST = 1e-12
"""A probability is taken to be so far from 0 and 1 at least: one sure mistake is not everything."""


@dataclass(frozen=True)
class Fit:
    """A temperature, and whether it is one of the ends of what was tried."""

    temperature: float
    at_end: bool


class TemperatureFit:
    """Keeps what texts are worth at every temperature of `GRID`."""

    def __init__(self) -> None:
        self._logs: List[np.ndarray] = []
        self._right: List[np.ndarray] = []
        self.words = 0
        """Words that were kept."""

    @property
    def is_full(self) -> bool:
        """Whether `MOST` words are kept; more are not taken."""
        return self.words >= MOST

    def add(self, logs: np.ndarray, right: np.ndarray) -> None:
        """Keep words.

        Args:
            logs: The logarithms of their probabilities, (len(GRID), n).
            right: Which were right, bool (n,).
        """
        logs, right = logs[:, : MOST - self.words], right[: MOST - self.words]
        self._logs.append(logs.astype(np.float32))
        self._right.append(right)
        self.words += len(right)

    def gathered(self) -> Words:
        """Return all that was kept.

        Returns:
            The words, in the order in which they came.
        """
        if not self._right:
            return Words(np.zeros((len(GRID), 0)), np.zeros(0, dtype=bool))
        return Words(
            np.concatenate(self._logs, axis=1).astype(np.float64), np.concatenate(self._right)
        )


@dataclass(frozen=True)
class Words:
    """Words with the logarithms of their probabilities, (len(GRID), n), and which are right."""

    logs: np.ndarray
    right: np.ndarray

    def every_other(self, first: int) -> Words:
        """Return every other word.

        Args:
            first: The first one, 0 or 1.

        Returns:
            Half of the words.
        """
        return Words(self.logs[:, first::2], self.right[first::2])

    def fit(self) -> Fit:
        """Return the temperature of least log loss.

        Between those that were tried it is the vertex of the parabola through the best one and its
        neighbours, over the logarithm of the temperature.

        Returns:
            The temperature, and whether it is one of the ends of `GRID`.
        """
        losses = [log_loss(np.exp(logs), self.right) for logs in self.logs]
        best = int(np.argmin(losses))
        inner = min(max(best, 1), len(GRID) - 2)
        if best != inner:
            return Fit(GRID[best], True)
        before, here, after = losses[best - 1], losses[best], losses[best + 1]
        bend = before - 2 * here + after
        offset = 0.0
        if bend > 0:
            offset = 0.5 * (before - after) / bend
        return Fit(GRID[best] * 2 ** (offset / STEPS), False)

    def at(self, temperature: float) -> np.ndarray:
        """Return the words' probabilities at a temperature.

        Args:
            temperature: Within `GRID`.

        Returns:
            Probabilities, float64 (n,).
        """
        place = (math.log2(temperature) + DOUBLINGS) * STEPS
        below = min(max(0, int(place)), len(GRID) - 2)
        share = place - below
        values: np.ndarray = np.exp(self.logs[below] * (1 - share) + self.logs[below + 1] * share)
        np.minimum(values, 1.0, out=values)
        return values


def log_loss(probabilities: np.ndarray, right: np.ndarray) -> float:
    """Return the mean log loss of probabilities that words are right.

    Args:
        probabilities: Of n words, float (n,).
        right: Which are right, bool (n,).

    Returns:
        Nats a word; 0 without words.
    """
    if not len(right):
        return 0.0
    sure = np.clip(probabilities, _LEAST, 1 - _LEAST)
    values = np.where(right, -np.log(sure), -np.log1p(-sure))
    return float(values.mean())
