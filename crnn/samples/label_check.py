"""Labels that a model cannot read, and images without one: told apart before anything is read."""

from __future__ import annotations

from typing import Iterable, Optional, Tuple

from crnn import labels
from crnn.batch import Problem, ProblemCounts
from crnn.spec import ModelSpec


class LabelCheck:
    """Says what keeps a model from ever reading a label right.

    Args:
        spec: The model's.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._known = frozenset(spec.characters)

    def problem(self, label: Optional[str], steps: Optional[int] = None) -> Optional[Problem]:
        """Look at a label.

        Args:
            label: As the data set holds it; None where the image has none.
            steps: The time steps that the image is read in; None for the spec's, or, of a model
                with several widths, where they are not known: no label is then too long.

        Returns:
            What is wrong with it, in the words of `crnn.labels`; None where nothing is.
        """
        if label is None:
            return Problem(labels.NO_LABEL)
        text = self._spec.fold(label)
        if not self._known.issuperset(text):
            outside = labels.outside(text, self._known)
            return Problem(labels.OUTSIDE, f"{text!r} has {outside!r}")
        most = steps or self._spec.time_steps
        if steps is None and self._spec.widths is not None:
            return None
        # A label of n characters needs at most 2 n - 1 steps.
        if 2 * len(text) > most and labels.steps(text) > most:
            needed = labels.steps(text)
            return Problem(
                labels.TOO_LONG, f"{text!r} needs {needed} time steps; the model has {most}"
            )
        return None


def label_problems(every: Iterable[Tuple[str, Optional[str]]], spec: ModelSpec) -> ProblemCounts:
    """Look at all labels of a data set.

    Args:
        every: Each sample's name and its label, None where it has none.
        spec: The model's.

    Returns:
        The problems, by their reasons.
    """
    check = LabelCheck(spec)
    found = ProblemCounts()
    for key, label in every:
        problem = check.problem(label)
        if problem:
            found.add(key, problem)
    return found
