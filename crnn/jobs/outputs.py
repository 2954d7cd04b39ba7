"""Raw logits, a file a sample, named as the tools name them that run an OM by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Set

import numpy as np

from crnn.errors import InputError
from crnn.results import Batch

STYLES = {"ais_bench": "_0.bin", "benchmark": "_1.bin"}
SIMULATED_MARK = "simulated.json"
"""Beside outputs of the Ascend simulator, so that what is scored from them says so too."""


class OutputWriter:
    """Writes each sample's logits (T, 1, K), little-endian float32, to ``NAME_0.bin`` or
    ``NAME_1.bin``.
    """

    def __init__(self, folder: Path, style: str, *, simulated: bool = False) -> None:
        self._folder = folder
        self._ending = STYLES[style]
        self._names: Set[str] = set()
        if simulated:
            (folder / SIMULATED_MARK).write_text('{"simulated": true}\n', encoding="utf-8")

    def add(self, batch: Batch, logits: np.ndarray) -> None:
        """Write the files of a batch's readable rows."""
        rows = np.ascontiguousarray(logits.transpose(1, 0, 2), dtype="<f4")
        for row, output in zip(batch.readable, rows):
            name = Path(batch.keys[row]).stem
            if name in self._names:
                raise InputError(
                    f"two samples would both be written as {name}{self._ending}; rename one of them"
                )
            self._names.add(name)
            (self._folder / f"{name}{self._ending}").write_bytes(output.tobytes())
