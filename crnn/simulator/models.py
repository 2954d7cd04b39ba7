"""Loaded models:

what the OM says of its tensors, its gears and its AIPP, and the ONNX graph run in its place.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from crnn.rehearsal.graph import Rehearsal
from crnn.simulator.knobs import FLOAT16, Knobs
from crnn.simulator.memory import Block
from crnn.simulator.om_file import Aipp, Gear, OmTensor, SimulatedOm, bytes_of
from crnn.simulator.record import Site
from crnn.simulator.things import Thing

CANNED = 0.25
"""Every value of every output in timing-only mode."""

FLOAT32_MODES = frozenset(("cube_fp16in_fp32out", "force_fp32", "must_keep_origin_dtype", "origin"))
"""ATC's precision modes that are not float16 throughout."""

_sessions: Dict[str, Any] = {}
_rehearsals: Dict[str, Rehearsal] = {}


@dataclass
class Model(Thing):
    """A loaded model:

    ``own`` memory that loading took, ``lent`` what the caller gave, ``gear`` the last one set,
    ``mode`` the call that ran it first and ``first_run`` the lines that made that call.
    """

    number: int = 0
    om: Optional[SimulatedOm] = None
    own: int = 0
    gear: Gear = ()
    lent: List[Block] = field(default_factory=list)
    mode: str = ""
    first_run: Site = ()

    kind = "model"

    @property
    def file(self) -> SimulatedOm:
        """What the file says."""
        assert self.om is not None
        return self.om


@dataclass
class ModelDesc(Thing):
    """A model desc; empty until get_desc. ``model`` is None where it was read from a file."""

    om: Optional[SimulatedOm] = None
    model: Optional[Model] = None

    kind = "model desc"


def weight_size(om: SimulatedOm) -> int:
    """Return the weight memory that the simulator charges: the ONNX file's size.

    Args:
        om: What the OM holds.

    Returns:
        Bytes.
    """
    return len(om.onnx)


def output_dims(om: SimulatedOm, index: int, gear: Gear) -> Tuple[int, ...]:
    """Return an output's dims for a gear.

    Args:
        om: What the OM holds.
        index: Which one, from 0.
        gear: One of the gears; of a static model its batch.

    Returns:
        The dims, such as (26, 16, 37).
    """
    return om.outputs_by_size[om.gears.index(gear)][index]


def output_bytes(om: SimulatedOm, index: int, gear: Gear) -> int:
    """Return the bytes of an output for a gear.

    Args:
        om: What the OM holds.
        index: Which one, from 0.
        gear: One of the gears; of a static model its batch.

    Returns:
        Bytes.
    """
    return bytes_of(om.outputs[index].dtype, output_dims(om, index, gear))


def compute(om: SimulatedOm, inputs: List[np.ndarray], gear: Gear, knobs: Knobs) -> List[bytes]:
    """Run the model on its inputs' bytes for a gear; return its outputs' bytes.

    Args:
        om: What the OM holds.
        inputs: Each input's bytes, uint8.
        gear: One of the gears; of a static model its batch.
        knobs: Whether to give a constant in place of computing, and the precision.

    Returns:
        Each output's bytes.
    """
    shapes = [output_dims(om, index, gear) for index in range(len(om.outputs))]
    if knobs.timing_only:
        return [
            np.full(dims, CANNED, dtype=tensor.dtype).tobytes()
            for dims, tensor in zip(shapes, om.outputs)
        ]
    feeds: Dict[str, np.ndarray] = {}
    # Only the first input can have AIPP.
    aipp = om.aipp
    for index, (data, tensor, fed) in enumerate(zip(inputs, om.inputs, om.fed)):
        array = data.view(tensor.dtype).reshape(om.input_dims(index, gear))
        feeds[fed.name] = _fed(array, fed, aipp)
        aipp = None
    rehearsal = rehearsal_of(om, knobs)
    if rehearsal is None:
        results = _session(om.onnx).run(None, feeds)
    else:
        results = rehearsal.run(feeds)
    return [
        np.ascontiguousarray(result, dtype=tensor.dtype).reshape(dims).tobytes()
        for result, tensor, dims in zip(results, om.outputs, shapes)
    ]


def require(om: SimulatedOm, knobs: Knobs) -> None:
    """Get ready what computes a model, so that what is missing is missed as the model is loaded;
    in the middle of a run the program's cleaning up would race with what it has queued.

    Args:
        om: What the OM holds.
        knobs: The precision.

    Raises:
        NotModelledError: The graph has an operator that is not modelled in float16.
        ImportError: ONNX Runtime is not installed.
    """
    if rehearsal_of(om, knobs) is None and not knobs.timing_only:
        import onnxruntime  # noqa: F401


def rehearsal_of(om: SimulatedOm, knobs: Knobs) -> Optional[Rehearsal]:
    """Return the graph as it is computed in float16, made once per process.

    Args:
        om: What the OM holds.
        knobs: The precision.

    Returns:
        The graph; None where the model is computed in float32, or not at all.

    Raises:
        NotModelledError: The graph has an operator that is not modelled in float16.
    """
    if knobs.timing_only or knobs.compute != FLOAT16 or om.precision in FLOAT32_MODES:
        return None
    key = hashlib.sha256(om.onnx).hexdigest()
    if key not in _rehearsals:
        import onnx

        _rehearsals[key] = Rehearsal(onnx.load_model_from_string(om.onnx))
    return _rehearsals[key]


def _fed(array: np.ndarray, fed: OmTensor, aipp: Optional[Aipp]) -> np.ndarray:
    if aipp is not None:
        array = apply_aipp(array, aipp).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(array, dtype=fed.dtype)


def apply_aipp(pixels: np.ndarray, aipp: Aipp) -> np.ndarray:
    """Return (pixel - mean - min) * var_reci for uint8 pixels (N, H, W, C), rounded to float16 as
    AIPP gives it.

    Mean is an int32; min and var_reci are held as float16.

    Args:
        pixels: uint8, shape (N, H, W, C).
        aipp: What the AIPP file said.

    Returns:
        float32, shape (N, H, W, C).
    """
    channels = pixels.shape[-1]
    mean = np.array(aipp.mean[:channels], dtype=np.int32)
    minimum = np.array(aipp.minimum[:channels], dtype=np.float16).astype(np.float32)
    reciprocal = np.array(aipp.reciprocal[:channels], dtype=np.float16).astype(np.float32)
    shifted = pixels.astype(np.int32) - mean
    values = (shifted.astype(np.float32) - minimum) * reciprocal
    return values.astype(np.float16).astype(np.float32)


def _session(onnx: bytes) -> Any:
    """Return ONNX Runtime's session for a graph, made once per process, on one thread."""
    key = hashlib.sha256(onnx).hexdigest()
    if key not in _sessions:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        _sessions[key] = onnxruntime.InferenceSession(
            onnx, options, providers=["CPUExecutionProvider"]
        )
    return _sessions[key]
