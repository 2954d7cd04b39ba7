"""Bins that a protocol counts in its own way."""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence, Tuple

from crnn.batch import Problem, Sample
from crnn.samples.bins import BinFolder, LabelFile
from crnn.samples.source import Rules
from crnn.spec import ModelSpec


class RuledBins(BinFolder):
    """A folder of bins of which a protocol leaves some out."""

    def __init__(
        self,
        folder: Path,
        label_file: Path,
        spec: ModelSpec,
        rules: Rules,
        views: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, label_file, spec, views)
        self._rules = rules
        kept = rules.apply(Sample(f"test_{index}", None, label) for index, label in self.labels)
        self.labels = LabelFile(
            (int(sample.key.rpartition("_")[2]), sample.label or "") for sample in kept
        )

    def extras(self) -> List[Tuple[str, Problem]]:
        """See `WordSource`."""
        return [*super().extras(), *self._rules.problems]
