"""ONNX files in float16 on this processor, as ATC would have a chip compute them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional, Tuple

import numpy as np

from crnn.errors import InputError, needs
from crnn.filekind import sha256
from crnn.fingerprint import FINGERPRINT_KEY
from crnn.machine import usable_cpus
from crnn.rehearsal.graph import FLOAT16, Rehearsal
from crnn.rehearsal.half import LARGEST
from crnn.rehearsal.node import NotModelledError
from crnn.results import Model
from crnn.runners.base import COMPUTED, COPIED_IN, Runner, Tensor
from crnn.runners.onnx_file import hash_external_data, load_external_data
from crnn.runners.onnx_runner import chosen_output, load_graph
from crnn.spec import ModelSpec, spec_in

_DTYPES = {1: "float32", 2: "uint8", 10: "float16"}
"""By TensorProto's numbers."""


class RehearsalRunner(Runner):
    """Rehearses an ONNX file of one image input and one logits output; it is simulated, always."""

    backend = "rehearsal"
    device = "cpu"
    simulated = True
    rehearsed = FLOAT16

    def __init__(self, path: Path) -> None:
        proto = load_graph(path)
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        carried = spec_in(metadata, path)
        source = "default"
        if carried:
            source = "file"
        outside = hash_external_data(proto, path)
        spec = carried or ModelSpec.default()
        inputs = metadata.get(FINGERPRINT_KEY, "")
        super().__init__(Model(path, sha256(path), spec, source, outside, inputs))
        self.threads = _threads()
        self._proto = load_external_data(proto, path)
        self._graph: Optional[Rehearsal] = None
        self._taken: Optional[str] = None

    def take(self, output: str) -> None:
        """See `Runner`."""
        self._taken = output

    def _open(self) -> None:
        with needs("onnx"):
            import onnx
        self.versions = {"onnx": onnx.__version__}
        try:
            onnx.checker.check_model(self._proto)
            self._take()
            self._graph = Rehearsal(self._proto)
        except onnx.checker.ValidationError as error:
            first = str(error).splitlines()[0]
            raise InputError(f"{self.model.path}: not a valid ONNX graph: {first}") from error
        except NotModelledError as error:
            raise InputError(f"{self.model.path}: {error}") from error
        named = {value.name: value for value in self._proto.graph.input}
        self.inputs = tuple(_tensor(named[name], self.model.path) for name in self._graph.inputs)
        self.outputs = tuple(_tensor(each, self.model.path) for each in self._proto.graph.output)
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            raise InputError(
                f"{self.model.path}: {len(self.inputs)} inputs and {len(self.outputs)} outputs;"
                " expected one of each"
            )
        self.batch_sizes = None
        if self.inputs[0].shape and self.inputs[0].shape[0]:
            self.batch_sizes = (self.inputs[0].shape[0],)

    def _take(self) -> None:
        """Leave what the output with the logits needs, where one of several was named."""
        if self._taken is None:
            return
        graph = self._proto.graph
        chosen_output(self.model.path, graph.output, self._taken)
        for place in reversed(range(len(graph.output))):
            if graph.output[place].name != self._taken:
                del graph.output[place]
        needed = {self._taken}
        for place in reversed(range(len(graph.node))):
            node = graph.node[place]
            if needed.isdisjoint(node.output):
                del graph.node[place]
            else:
                needed.update(node.input)

    def _run(self, images: np.ndarray) -> np.ndarray:
        assert self._graph is not None
        self.lap(COPIED_IN)
        try:
            output = self._graph.run({self.inputs[0].name: images})[0]
        except (ValueError, IndexError) as error:
            raise InputError(
                f"{self.model.path}: its shapes do not fit images {images.shape}: {error}",
                hint=(
                    "Where it is the batch that does not fit: the graph holds a fixed one inside;"
                    " try --batch 1."
                ),
            ) from error
        if self._graph.overflowed:
            self.notes = (
                f"{self._graph.overflowed} gave values beyond float16's {LARGEST:.0f}, which are"
                " infinities here; the 310P and the 310B are documented to stop at that value",
            )
        self.lap(COMPUTED)
        return output

    def _close(self) -> None:
        self._graph = None


def _threads() -> int:
    """Return how many threads NumPy's matrix library has: all, or what it was told as it loaded."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "")
        if text.isdigit() and int(text):
            return min(int(text), usable_cpus())
    return usable_cpus()


def _tensor(value: Any, path: Path) -> Tensor:
    kind = value.type.tensor_type
    if kind.elem_type not in _DTYPES:
        raise InputError(
            f"{path}: {value.name} is of ONNX's type {kind.elem_type}; expected one of"
            f" {', '.join(_DTYPES.values())}"
        )
    shape: Tuple[Optional[int], ...] = ()
    for dim in kind.shape.dim:
        # An open size has a name, or nothing.
        shape = (*shape, dim.dim_value or None)
    return Tensor(value.name, _DTYPES[kind.elem_type], shape)
