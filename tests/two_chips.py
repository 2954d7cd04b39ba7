"""Commands of the kit on two simulated chips, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ascend.machine import write_om
from tests.conftest import ROOT
from tests.models import write_bins


def write_words(folder: Path, count: int) -> None:
    """Write ``m.onnx`` and ``m.om`` of it, which takes 4 at a time, and bins of numbers."""
    write_om(folder / "m.om")
    write_bins(folder, ["".join("0123456789"[int(c)] for c in str(n)) for n in range(count)])


def on_two_chips(folder: Path, *words: str, fail: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``crnn`` in a folder; ``fail`` is what the simulator is to let fail."""
    knobs = ["--devices", "2"]
    if fail:
        knobs += ["--fail", fail]
    crnn = [sys.executable, "-m", "crnn", *words]
    return subprocess.run(
        [sys.executable, "-m", "crnn.simulator", *knobs, "--", *crnn],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
