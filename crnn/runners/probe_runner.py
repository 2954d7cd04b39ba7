"""An OM that shows its inside (``crnn compile --probe``), run on a chip, with NumPy alone.

For looking, not for speed: batches run one after another. What the first ones gave at every node is
kept, with what went in, for `crnn compare --layers` elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np

from crnn.ascend import acl_state as process
from crnn.ascend.model import open_acl
from crnn.ascend.net import Net
from crnn.ascend.om import Om
from crnn.ascend.pyacl import Acl
from crnn.ascend.release import Attempts, Releases
from crnn.ascend.sidecar import Probe
from crnn.errors import InputError
from crnn.results import Model
from crnn.runners.base import COMPUTED, COPIED_IN, Runner, Tensor
from crnn.signals import uninterrupted

WORDS = 64
"""Of about so many words every node's output is kept: 2 MB each in the kit's networks."""


class ProbeRunner(Runner):
    """Runs a probing OM of one static batch; its logits are like any other's.

    ``kept`` has, for each of the first batches, what the OM got and what it gave, in the order of
    ``probe.tensors``.

    Args:
        model: The OM and its spec.
        om: What it holds.
        probe: What its outputs are.
        device: The chip's number.
    """

    backend = "pyacl"

    def __init__(self, model: Model, om: Om, probe: Probe, device: int) -> None:
        super().__init__(model)
        self.probe = probe
        self.precision = om.precision
        self.device = f"npu:{device}"
        self.kept: List[Tuple[np.ndarray, List[np.ndarray]]] = []
        self._om = om
        self._device = device
        self._held = Releases()
        self._acl: Optional[Acl] = None
        self._context = 0
        self._net: Optional[Net] = None

    def _open(self) -> None:
        path = Path(self.model.path)
        tensors = self.probe.tensors
        if len(self._om.outputs) != len(tensors) or len(self._om.data_inputs) != 1:
            raise InputError(
                f"{path} has {len(self._om.outputs)} outputs; {path.name}.json says {len(tensors)}"
            )
        acl = open_acl([path], [self._om])
        with uninterrupted():
            process.initialize(acl)
            before = acl.get_context()
            self._acl = acl
            process.open_device(acl, self._device)
            self._held.push(process.close_device, acl, self._device)
            self._context = process.create_context(acl, self._device)
            self._held.push(process.destroy_context, acl, self._context)
            self._net = Net(self._context, path, self._device)
            self._held.push(self._net.release)
            process.restore(acl, before)
        image = self._om.data_inputs[0]
        logits = self._om.outputs[tensors.index(self.probe.logits)]
        self.inputs = (Tensor(image.name, image.dtype, image.shape or ()),)
        self.outputs = (Tensor(logits.name, logits.dtype, logits.shape or ()),)
        self.batch_sizes = self._om.batch_sizes
        self.simulated = acl.simulated
        self.versions = {"chip": acl.get_soc_name()}
        shown = f"every node's output of about {WORDS} words is kept with --save-outputs"
        self.notes = (f"{path}: {len(tensors)} outputs, a probe: {shown}",)

    def _input_shape(self) -> Tuple[Optional[int], ...]:
        channels, height, width = self.spec.image_shape
        if self.inputs[0].shape[1:] == (height, width, channels):
            return (None, height, width, channels)
        return super()._input_shape()

    def _run(self, images: np.ndarray) -> np.ndarray:
        assert self._net is not None
        taken = images
        if self.inputs[0].shape[1:] != images.shape[1:]:
            taken = images.transpose(0, 2, 3, 1)
        self.lap(COPIED_IN)
        outputs = self._net(np.ascontiguousarray(taken))
        self.lap(COMPUTED)
        if len(self.kept) * len(images) < WORDS:
            self.kept.append((images.copy(), outputs))
        return outputs[self.probe.tensors.index(self.probe.logits)]

    def _close(self) -> None:
        acl, self._acl = self._acl, None
        self._net = None
        if acl is None:
            return
        with uninterrupted():
            attempt = Attempts()
            before = attempt(acl.get_context) or 0
            attempt(self._held.close)
            attempt(process.restore, acl, before)
            attempt.done()
