"""Which views gave the readings that were kept, and how often all views agreed."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from crnn.results import Reading


class ViewCounts:
    """Counts labelled words by the view whose reading was kept, and by whether all views gave the
    same text.
    """

    def __init__(self) -> None:
        self._by_view: Dict[str, Tuple[int, int]] = {}
        self._agree: Dict[bool, Tuple[int, int]] = {}

    def add(self, reading: Reading, right: bool) -> None:
        """Count a labelled word.

        Args:
            reading: What was kept of it.
            right: Whether that is its label.
        """
        if reading.view is None:
            return
        words, correct = self._by_view.get(reading.view, (0, 0))
        self._by_view[reading.view] = (words + 1, correct + int(right))
        if reading.views_agree is not None:
            agree = reading.views_agree
            words, correct = self._agree.get(agree, (0, 0))
            self._agree[agree] = (words + 1, correct + int(right))

    def summary(self) -> Mapping[str, Any]:
        """Return what was counted.

        Returns:
            The fields of `Evaluation.views`; empty where words had one view.
        """
        if not self._by_view:
            return {}
        kept: Dict[str, Mapping[str, float]] = {}
        for name in sorted(self._by_view):
            kept[name] = _counted(*self._by_view[name])
        return {
            "kept": kept,
            "agree": _counted(*self._agree.get(True, (0, 0))),
            "disagree": _counted(*self._agree.get(False, (0, 0))),
        }


def _counted(words: int, correct: int) -> Mapping[str, float]:
    return {
        "words": words,
        "correct": correct,
        "accuracy": correct / max(1, words),
    }
