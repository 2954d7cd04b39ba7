"""What each OM of a set takes and needs, told by the files, without a chip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from crnn.ascend.fit import all_batches, all_widths, sizes_of, steps_of
from crnn.ascend.om import UNKNOWN, Om
from crnn.ascend.om_reader import read_om
from crnn.ascend.sidecar import find_spec
from crnn.runners.ascend_runner import om_files
from crnn.runners.om_sizes import memory_of
from crnn.spec import ModelSpec

COLUMNS = ["OM", "width", "batch", "time steps", "MiB", "sha256"]


@dataclass(frozen=True)
class SetRow:
    """One OM of a set.

    ``widths`` and ``batches`` are empty where the file does not tell them; ``steps`` are those of
    the widest width; ``mebibytes`` of the chip's memory, work and weights.
    """

    name: str
    widths: Tuple[int, ...]
    batches: Tuple[int, ...]
    steps: Optional[int]
    mebibytes: Optional[float]
    sha256: str
    simulated: bool

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data."""
        mebibytes = None
        if self.mebibytes is not None:
            mebibytes = round(self.mebibytes, 3)
        return {
            "path": self.name,
            "widths": list(self.widths),
            "batch_sizes": list(self.batches),
            "time_steps": self.steps,
            "mebibytes": mebibytes,
            "sha256": self.sha256,
            "simulated": self.simulated,
        }

    def cells(self) -> List[str]:
        """Return it as a row of a table."""
        memory = UNKNOWN
        if self.mebibytes is not None:
            memory = f"{self.mebibytes:.1f}"
        name = self.name
        if self.simulated:
            name += " (simulated)"
        return [
            name,
            ", ".join(map(str, self.widths)) or UNKNOWN,
            ", ".join(map(str, self.batches)) or UNKNOWN,
            str(self.steps or UNKNOWN),
            memory,
            f"{self.sha256[:16]}…",
        ]


def set_rows(folder: Path) -> List[SetRow]:
    """Look at each OM of a set.

    Args:
        folder: Holds the OMs of one model.

    Returns:
        A row each, in the order of their widths and batches.

    Raises:
        InputError: The folder holds no set, or a file is damaged.
    """
    rows = []
    for path in om_files(folder):
        om = read_om(path)
        spec, _ = find_spec(path, om.sha256)
        rows.append(_row(path, om, spec))
    return rows


def _row(path: Path, om: Om, spec: ModelSpec) -> SetRow:
    sizes = sizes_of(om, spec) or ()
    return SetRow(
        name=path.name,
        widths=all_widths(sizes),
        batches=all_batches(sizes),
        steps=steps_of(om, spec),
        mebibytes=memory_of([om]),
        sha256=om.sha256,
        simulated=om.simulated,
    )
