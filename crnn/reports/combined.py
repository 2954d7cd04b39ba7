"""Several data sets read by one model, as one: their counts are pooled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from crnn.metrics import wilson
from crnn.results import Evaluation

HEAD = ["model", "combined", "accuracy", "95 % interval", "mean p", "letters"]
"""The last two are the mean of the texts' probabilities and of the labels' lengths."""


@dataclass(frozen=True)
class Combined:
    """Some data sets together.

    ``sets`` names each with its words that have a label: papers count some sets in two ways.
    ``probability`` is the mean of the texts' own, None where it was not asked for; ``length`` the
    mean number of characters of a label.
    """

    sets: Sequence[Tuple[str, int]]
    correct: int
    total: int
    interval95: Tuple[float, float]
    probability: Optional[float]
    length: float
    simulated: bool

    @property
    def accuracy(self) -> float:
        """The share of all words that are right."""
        return self.correct / max(1, self.total)

    @property
    def counts(self) -> str:
        """Each set with its words: "IC13 857 + IC15 2077"."""
        return " + ".join(f"{name} {total}" for name, total in self.sets)

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data; ``probability`` only where it is known."""
        data: Dict[str, Any] = {
            "sets": dict(self.sets),
            "correct": self.correct,
            "total": self.total,
            "accuracy": self.accuracy,
            "interval95": list(self.interval95),
            "label_length": self.length,
            "simulated": self.simulated,
        }
        if self.probability is not None:
            data["probability"] = self.probability
        return data

    def cells(self, model: str) -> List[str]:
        """Return a row of a table with the columns of `HEAD`."""
        mark = ""
        if self.simulated:
            mark = ", SIMULATED"
        low, high = self.interval95
        probability = "-"
        if self.probability is not None:
            probability = f"{self.probability:.4f}"
        return [
            model,
            self.counts,
            f"{self.accuracy:.4f} ({self.correct} of {self.total}{mark})",
            f"{low:.4f} to {high:.4f}",
            probability,
            f"{self.length:.2f}",
        ]


def combined(names: Sequence[str], evaluations: Sequence[Evaluation]) -> Combined:
    """Pool what one model has read.

    Args:
        names: The data sets' names.
        evaluations: Of each.

    Returns:
        All of them together.
    """
    correct = sum(one.correct for one in evaluations)
    total = sum(one.total for one in evaluations)
    characters = 0.0
    for one in evaluations:
        for length, counts in one.by_length.items():
            characters += length * counts["total"]
    return Combined(
        [(name, one.total) for name, one in zip(names, evaluations)],
        correct,
        total,
        wilson(correct, total),
        _probability(evaluations),
        characters / max(1, total),
        any(one.run.simulated for one in evaluations),
    )


def _probability(evaluations: Sequence[Evaluation]) -> Optional[float]:
    """Return the mean probability of all words; None where one set does not tell it."""
    total, words = 0.0, 0
    for one in evaluations:
        if one.sureness is None:
            return None
        for some in one.sureness.bins:
            total += some.probability * some.count
            words += some.count
    if not words:
        return None
    return total / words
