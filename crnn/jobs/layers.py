"""Where two models part: their tensors node by node, by name.

A fixed cosine would pass an error of 14 %, and a fixed difference would blame whoever computes in
float16. A node is blamed where its relative error is ten times that of a healthy pair of the same
precision (`HEALTHY`), and the first such node in the first model's order is where to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from crnn.errors import InputError, needs
from crnn.filekind import ONNX, TORCH, kind_of
from crnn.runners.onnx_file import load_external_data, quantised_operators
from crnn.runners.onnx_runner import load_graph

FLOAT32, FLOAT16, INT8 = "float32", "float16", "int8"
HEALTHY = {FLOAT32: 1e-6, FLOAT16: 3e-4, INT8: 3e-2}
"""The relative error (L2) of a healthy pair's worst node, by the coarser one's precision;
`benchmarks/layers.py` measures them.
"""
TIMES = 10
"""How many times a healthy error is one too many."""
WORDS = 64
"""The most images that are compared; every tensor of all of them is held in memory."""
_DEQUANTISED = "_DequantizeLinear_Output"


@dataclass(frozen=True)
class Tensors:
    """What a model's nodes gave for some images.

    ``values`` holds arrays by the tensor's name in the graph's order, ``operators`` the node that
    made each; ``precision`` is one of `HEALTHY`.
    """

    values: Mapping[str, np.ndarray]
    operators: Mapping[str, str]
    precision: str


@dataclass(frozen=True)
class Layer:
    """A tensor of two models.

    ``broken`` counts NaN and infinity on either side; ``largest`` is the largest difference,
    ``relative`` |a - b| / |a| (L2), ``cosine`` that of the two as vectors; each 0, 0 and 1 where
    both are equal. ``blamed`` says that the error is beyond the limit.
    """

    name: str
    operator: str
    shape: Tuple[int, ...]
    broken: int
    largest: float
    relative: float
    cosine: float
    blamed: bool


@dataclass(frozen=True)
class LayerReport:
    """Two models node by node; ``first`` is the node to look at, None where none is blamed.

    ``unmatched`` names the first model's tensors that the second does not have.
    """

    layers: Sequence[Layer]
    first: Optional[Layer]
    limit: float
    unmatched: Sequence[str]


def tensors_of(path: Path, images: np.ndarray, *, rehearse: bool = False) -> Tensors:
    """Run images through a model and keep what each node gives.

    Args:
        path: An ONNX or a checkpoint.
        images: What the model takes, (N, C, H, W), at most `WORDS` of them.
        rehearse: Whether an ONNX is rehearsed in float16.

    Returns:
        The tensors in the order in which they are computed.

    Raises:
        InputError: The model is neither, or does not take the images.
    """
    if len(images) > WORDS:
        raise InputError(f"{len(images)} images; at most {WORDS} are compared layer by layer")
    kind = kind_of(path)
    if kind == TORCH:
        return _of_torch(path, images)
    if kind != ONNX:
        raise InputError(
            f"{path} is {kind or 'not a model'}; expected an ONNX or a checkpoint",
            hint="An OM shows its inside where it was compiled with crnn compile --probe.",
        )
    proto = load_external_data(load_graph(path), path)
    tapped, operators = _tapped(proto)
    if rehearse:
        return _of_rehearsal(tapped, operators, images)
    return _of_onnx(path, tapped, operators, images)


def compare_layers(first: Tensors, second: Tensors) -> LayerReport:
    """Compare two models node by node.

    Args:
        first: The reference's tensors.
        second: The other's, for the same images.

    Returns:
        The tensors that both have, in the reference's order.
    """
    coarser = max(HEALTHY[first.precision], HEALTHY[second.precision])
    limit = coarser * TIMES
    layers: List[Layer] = []
    unmatched: List[str] = []
    for name, value in first.values.items():
        other = second.values.get(name)
        if other is None or other.size != value.size:
            unmatched.append(name)
            continue
        layers.append(_layer(name, first.operators[name], value, other.reshape(value.shape), limit))
    blamed = [layer for layer in layers if layer.blamed]
    return LayerReport(layers, next(iter(blamed), None), limit, unmatched)


def _layer(name: str, operator: str, value: np.ndarray, other: np.ndarray, limit: float) -> Layer:
    finite = np.isfinite(value) & np.isfinite(other)
    broken = int(value.size - finite.sum())
    one = np.where(finite, value, 0).astype(np.float64).reshape(-1)
    two = np.where(finite, other, 0).astype(np.float64).reshape(-1)
    difference = one - two
    length, length_two = float(np.linalg.norm(one)), float(np.linalg.norm(two))
    relative = float(np.linalg.norm(difference))
    if length:
        relative /= length
    cosine = 1.0
    if length and length_two:
        cosine = float(one @ two) / (length * length_two)
    largest = float(np.abs(difference).max(initial=0.0))
    blamed = bool(broken) or relative > limit
    return Layer(name, operator, tuple(value.shape), broken, largest, relative, cosine, blamed)


def _tapped(proto: Any) -> Tuple[Any, Dict[str, str]]:
    """Return a copy of a model that gives every node's first output, and each one's operator."""
    with needs("onnx"):
        import onnx
    tapped = onnx.ModelProto()
    tapped.CopyFrom(proto)
    del tapped.graph.output[:]
    known = {value.name: value for value in [*proto.graph.output, *proto.graph.value_info]}
    operators: Dict[str, str] = {}
    for node in proto.graph.node:
        if node.op_type == "Constant" or not node.output[0]:
            continue
        name = node.output[0]
        operators[name] = node.op_type
        value = known.get(name)
        if value is None:
            value = onnx.helper.make_empty_tensor_value_info(name)
        tapped.graph.output.append(value)
    return tapped, operators


def _of_onnx(path: Path, tapped: Any, operators: Mapping[str, str], images: np.ndarray) -> Tensors:
    with needs("onnxruntime"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    names = list(operators)
    # ONNX Runtime's errors share no base class but Exception.
    try:
        session = onnxruntime.InferenceSession(
            tapped.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        feeds = {session.get_inputs()[0].name: images}
        outputs: Sequence[np.ndarray] = session.run(names, feeds)
    except Exception as error:
        line = str(error).strip().partition("\n")[0]
        raise InputError(f"{path}: cannot be run node by node: {line}") from error
    values = dict(zip(names, outputs))
    precision = FLOAT32
    if quantised_operators(tapped):
        precision = INT8
    return _plain(values, operators, precision)


def _of_rehearsal(tapped: Any, operators: Mapping[str, str], images: np.ndarray) -> Tensors:
    from crnn.rehearsal.graph import Rehearsal

    graph = Rehearsal(tapped)
    outputs = graph.run({graph.inputs[0]: images})
    return _plain(dict(zip(graph.outputs, outputs)), operators, FLOAT16)


def _plain(
    values: Mapping[str, np.ndarray], operators: Mapping[str, str], precision: str
) -> Tensors:
    """Leave tensors of numbers out that stand for others, and take them as they are meant: what was
    quantised and dequantised again has the float tensor's name.
    """
    kept: Dict[str, np.ndarray] = {}
    for name, value in values.items():
        if value.dtype.kind == "f" and not name.endswith(_DEQUANTISED):
            again = values.get(name + _DEQUANTISED)
            if again is None:
                again = value
            kept[name] = again
    return Tensors(kept, operators, precision)


def _of_torch(path: Path, images: np.ndarray) -> Tensors:
    """Run a checkpoint, each module's output by the name that the exported graph gives it."""
    with needs("torch", extra="torch"):
        import torch
    from crnn.weights.checkpoint import load_checkpoint

    network = load_checkpoint(path).model
    values: Dict[str, np.ndarray] = {}
    operators: Dict[str, str] = {}
    handles = []

    def keep(name: str, operator: str) -> Any:
        def hook(module: Any, given: Any, output: Any) -> None:
            if isinstance(output, tuple):
                output = output[0]
            values[name] = output.detach().cpu().numpy().copy()
            operators[name] = operator

        return hook

    norms = {name for name, _ in network.named_modules() if ".batchnorm" in name}
    for name, module in network.named_modules():
        if any(module.children()) or not name:
            continue
        tensor = _tensor_name(name, norms)
        if tensor:
            handles.append(module.register_forward_hook(keep(tensor, type(module).__name__)))
    try:
        with torch.no_grad():
            network.eval()(torch.from_numpy(images))
    finally:
        for handle in handles:
            handle.remove()
    return Tensors(values, operators, FLOAT32)


def _tensor_name(module: str, norms: Any) -> str:
    """Return the ONNX tensor that a module's output is, "" where it is none: a convolution whose
    batch normalisation the graph has folded into it.
    """
    if ".batchnorm" in module:
        return f"{module.replace('batchnorm', 'conv')}.out"
    if ".conv" in module and module.replace("conv", "batchnorm") in norms:
        return ""
    if module.endswith(".rnn"):
        return f"{module[: -len('.rnn')]}.directions.out"
    return f"{module}.out"
