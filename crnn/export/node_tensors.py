"""What each node of a model gives for some images, by the tensor's name in the exported graph.

An ONNX on ONNX Runtime or rehearsed in float16, an int8 copy at its dequantised tensors, a
checkpoint by its modules' names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np

from crnn.errors import InputError, needs
from crnn.filekind import ONNX, TORCH, kind_of
from crnn.runners.onnx_file import load_external_data, quantised_operators
from crnn.runners.onnx_runner import load_graph

FLOAT32, FLOAT16, INT8 = "float32", "float16", "int8"
_DEQUANTISED = "_DequantizeLinear_Output"
Run = Callable[[np.ndarray], Sequence[np.ndarray]]
"""Gives what each of some named tensors is for a batch of images."""


@dataclass(frozen=True)
class Tensors:
    """What a model's nodes gave for some batches of images.

    ``values`` holds arrays (B, …) by the tensor's name, in the order in which they are computed;
    ``operators`` what made each: a node's operator, or a module's class; ``precision`` is
    `FLOAT32`, `FLOAT16` or `INT8`.
    """

    values: Mapping[str, np.ndarray]
    operators: Mapping[str, str]
    precision: str


def tensors_of(path: Path, batches: np.ndarray, *, rehearse: bool = False) -> Tensors:
    """Run batches of images through a model and keep what each node gives.

    Args:
        path: An ONNX or a checkpoint.
        batches: Float images as the model takes them, (B, N, C, H, W).
        rehearse: Whether an ONNX is rehearsed in float16.

    Returns:
        The tensors in the order in which they are computed.

    Raises:
        InputError: The model is neither, or does not take the images.
    """
    kind = kind_of(path)
    if kind == TORCH:
        return _of_torch(path, batches)
    if kind != ONNX:
        raise InputError(
            f"{path} is {kind or 'not a model'}; expected an ONNX or a checkpoint",
            hint="An OM shows its inside where it was compiled with crnn compile --probe.",
        )
    proto = load_external_data(load_graph(path), path)
    tapped, operators = tapped_graph(proto)
    precision = FLOAT32
    if quantised_operators(proto):
        precision = INT8
    run = _onnx(path, tapped, list(operators))
    if rehearse:
        precision = FLOAT16
        run = _rehearsal(path, tapped)
    outputs = [run(images) for images in batches]
    stacked = {name: np.stack(found) for name, found in zip(operators, zip(*outputs))}
    return Tensors(_meant(stacked), operators, precision)


def tapped_graph(proto: Any) -> Tuple[Any, Dict[str, str]]:
    """Return a copy of a graph of which each node's first output is an output.

    Args:
        proto: A ModelProto.

    Returns:
        The copy, and the operator that makes each output, by the tensor's name in the graph's
        order.
    """
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


def _onnx(path: Path, tapped: Any, names: Sequence[str]) -> Run:
    with needs("onnxruntime"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Nodes that are fused would not give what the graph says that they give.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # ONNX Runtime's errors share no base class but Exception.
    try:
        session = onnxruntime.InferenceSession(
            tapped.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise InputError(f"{path}: cannot be run node by node: {_first_line(error)}") from error
    feed = session.get_inputs()[0]
    dtype = "float32"
    if feed.type == "tensor(float16)":
        dtype = "float16"

    def run(images: np.ndarray) -> Sequence[np.ndarray]:
        try:
            found: List[np.ndarray] = session.run(list(names), {feed.name: images.astype(dtype)})
        except Exception as error:
            raise InputError(
                f"{path}: does not take images {images.shape}: {_first_line(error)}"
            ) from error
        return found

    return run


def _rehearsal(path: Path, tapped: Any) -> Run:
    from crnn.rehearsal.graph import Rehearsal
    from crnn.rehearsal.node import NotModelledError

    try:
        graph = Rehearsal(tapped)
    except NotModelledError as error:
        raise InputError(f"{path}: {error}") from error
    return lambda images: graph.run({graph.inputs[0]: images})


def _meant(values: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Leave out what is not a float tensor of the graph's own: what was quantised and dequantised
    again stands under the name that the float tensor has.
    """
    kept: Dict[str, np.ndarray] = {}
    for name, value in values.items():
        if value.dtype.kind != "f" or name.endswith(_DEQUANTISED):
            continue
        kept[name] = values.get(name + _DEQUANTISED, value)
    return kept


def _of_torch(path: Path, batches: np.ndarray) -> Tensors:
    """Run a checkpoint, each module's output by the name that the exported graph gives it."""
    with needs("torch", extra="torch"):
        import torch
    from crnn.export.graph import OUTPUT
    from crnn.weights.checkpoint import load_checkpoint

    network = load_checkpoint(path).model.eval()
    found: Dict[str, List[np.ndarray]] = {}
    operators: Dict[str, str] = {}
    modules = dict(network.named_modules())

    def keep(name: str, operator: str, output: Any) -> None:
        if isinstance(output, tuple):
            output = output[0]
        found.setdefault(name, []).append(output.detach().cpu().numpy().copy())
        operators[name] = operator

    def watch(name: str, module: Any) -> Any:
        kind = type(module).__name__
        return module.register_forward_hook(lambda module, given, output: keep(name, kind, output))

    handles = []
    for name, module in modules.items():
        tensor = _tensor_name(name, set(modules))
        if name and tensor and not list(module.children()):
            handles.append(watch(tensor, module))
    try:
        with torch.no_grad():
            for images in batches:
                logits = network(torch.from_numpy(np.ascontiguousarray(images, np.float32)))
                keep(OUTPUT, "Linear", logits)
    except RuntimeError as error:
        raise InputError(
            f"{path}: does not take images {batches.shape[1:]}: {_first_line(error)}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    values = {name: np.stack(each) for name, each in found.items()}
    return Tensors(values, operators, FLOAT32)


def _tensor_name(module: str, modules: Set[str]) -> str:
    """Return the ONNX tensor that a module's output is; "" where it is none: a convolution whose
    batch normalisation the graph has folded into it.
    """
    if ".batchnorm" in module:
        return f"{module.replace('batchnorm', 'conv')}.out"
    if ".conv" in module and module.replace("conv", "batchnorm") in modules:
        return ""
    if module.endswith(".rnn"):
        return f"{module[: -len('.rnn')]}.directions.out"
    return f"{module}.out"


def _first_line(error: BaseException) -> str:
    lines: Sequence[Optional[str]] = str(error).strip().splitlines()
    if lines and lines[0]:
        return lines[0]
    return type(error).__name__
