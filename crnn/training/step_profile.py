"""Records some steps of a run for chrome://tracing or Perfetto."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional, Tuple

import torch

PROFILE = "profile.json"


class StepProfile:
    """PyTorch's profiler, started and stopped at steps of a run."""

    def __init__(
        self, window: Optional[Tuple[int, int]], folder: Path, note: Callable[[str], None]
    ) -> None:
        """Record nothing yet.

        Args:
            window: the steps, from the first number to before the second; None records none.
            folder: where the file goes.
            note: says that it is there.
        """
        self._window = window
        self._folder = folder
        self._note = note
        self._profiler: Any = None

    def before(self, step: int) -> None:
        """Start or stop before a step.

        Args:
            step: the number of steps done.
        """
        if self._window is None:
            return
        first, end = self._window
        if self._profiler is None and step == first:
            self._profiler = torch.profiler.profile()
            self._profiler.start()
        elif step == end:
            self.stop(step)

    def stop(self, step: int) -> None:
        """Stop, if it records, and write the file.

        Args:
            step: the number of steps done.
        """
        if self._window is None or self._profiler is None:
            return
        first, _ = self._window
        path = self._folder / PROFILE
        self._profiler.stop()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._profiler.export_chrome_trace(str(path))
        self._note(f"steps {first + 1} to {step} are in {path}")
        self._profiler = None
