"""Checkpoints on PyTorch:

the network itself, as the reference that every other backend is held against.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional, Sequence

import numpy as np

from crnn.errors import InputError, UnavailableError, needs
from crnn.machine import usable_cpus
from crnn.presets import time_steps
from crnn.results import Model
from crnn.runners.base import COMPUTED, COPIED_IN, Runner, Tensor


class TorchRunner(Runner):
    """Runs a checkpoint of any layout; ``device`` is cpu, cuda or npu, or numbered: "cuda:1".

    An NPU is reached through torch_npu, which has not been tried.

    PyTorch's number of threads is the process's; it is set while the runner is open and put back
    afterwards.
    """

    backend = "torch"

    def __init__(self, path: Path, *, device: str = "cpu", threads: Optional[int] = None) -> None:
        with needs("torch", extra="torch"):
            import torch
        from crnn.weights.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(path)
        super().__init__(Model(path, checkpoint.sha256, checkpoint.spec, checkpoint.spec_from))
        self.device = device
        self.threads = threads or usable_cpus()
        self.notes = checkpoint.notes
        self.versions = {"torch": str(torch.__version__)}
        self._network: Any = checkpoint.model
        self._threads_before: Optional[int] = None

    def steps(self, width: int) -> Optional[int]:
        """See `Runner`."""
        return time_steps(width, self._network.config)

    def _open(self) -> None:
        import torch

        _require_device(torch, self.device)
        if self.spec.widths is not None:
            self._require_wide_enough(self.spec.widths.list)
        self.inputs = (Tensor("images", "float32", self._input_shape()),)
        steps: Optional[int] = self.spec.time_steps
        if self.spec.widths is not None:
            steps = None
        self.outputs = (Tensor("logits", "float32", (steps, None, self.spec.classes)),)
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        self._network = self._network.to(self.device)

    def _require_wide_enough(self, widths: Sequence[int]) -> None:
        for width in widths:
            try:
                self.steps(width)
            except InputError as error:
                raise InputError(f"{self.model.path}: {error.message}") from error

    def _run(self, images: np.ndarray) -> np.ndarray:
        import torch

        # TF32, the default of newer GPUs' convolutions, has ten bits of mantissa: too few for a
        # reference.
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            tensor = self._told(torch.from_numpy(images).to(self.device), COPIED_IN)
            output = self._told(self._network(tensor), COMPUTED)
            logits: np.ndarray = output.cpu().numpy()
        return logits

    def _told(self, tensor: Any, stage: str) -> Any:
        kind = self.device.partition(":")[0]
        if kind != "cpu":
            import torch

            getattr(torch, kind).synchronize()
        self.lap(stage)
        return tensor

    def _close(self) -> None:
        import torch

        if self._threads_before is not None:
            torch.set_num_threads(self._threads_before)
            self._threads_before = None


_CALLED = {"cuda": "a GPU", "npu": "an NPU"}


def _require_device(torch: Any, device: str) -> None:
    """Raise `UnavailableError` where this PyTorch does not find a device, or not so many."""
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return
    if kind == "npu":
        # PyTorch knows of such a device only then.
        with needs("torch_npu"):
            import torch_npu  # noqa: F401
    count = getattr(torch, kind).device_count()
    if int(number or 0) >= count:
        raise UnavailableError(
            f"--device {device} needs {_CALLED[kind]} that PyTorch can use; PyTorch"
            f" {torch.__version__} here finds {count or 'none'}",
            hint=(
                "Look at: python -c 'import torch; print(torch.version.cuda,"
                f" torch.{kind}.is_available())'"
            ),
        )
