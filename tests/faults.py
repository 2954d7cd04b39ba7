"""Faults that conversions of CRNNs are known for, planted in an exported graph one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from crnn.export.graph import OUTPUT, GraphOptions, build_graph
from crnn.weights.checkpoint import load_checkpoint


def weight(model: Any, name: str) -> np.ndarray:
    """Return a constant of a graph."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            value: np.ndarray = numpy_helper.to_array(tensor)
            return value
    raise KeyError(name)


def put(model: Any, name: str, value: np.ndarray) -> None:
    """Replace a constant of a graph."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), name))
            return
    raise KeyError(name)


def exported(checkpoint: Path) -> Any:
    """Return a checkpoint's graph, without the export's self-check."""
    return onnx.load_model_from_string(build_graph(load_checkpoint(checkpoint), GraphOptions()))


def swapped_gates(checkpoint: Path) -> Any:
    """Two gates of the second LSTM in each other's place."""
    model = exported(checkpoint)
    for part in ("weight_ih", "weight_hh"):
        blocks = np.split(weight(model, f"rnn.1.rnn.{part}"), 4, axis=1)
        put(model, f"rnn.1.rnn.{part}", np.concatenate([blocks[i] for i in (0, 2, 1, 3)], axis=1))
    return model


def other_epsilon(checkpoint: Path) -> Any:
    """The second batch normalisation with an epsilon of 1e-3, folded into its convolution."""
    loaded = load_checkpoint(checkpoint)
    loaded.model.cnn.get_submodule("batchnorm4").eps = 1e-3  # type: ignore[assignment]
    return onnx.load_model_from_string(build_graph(loaded, GraphOptions()))


def transposed_kernel(checkpoint: Path) -> Any:
    """One convolution's kernels with height and width exchanged."""
    model = exported(checkpoint)
    put(model, "cnn.conv3.weight", weight(model, "cnn.conv3.weight").transpose(0, 1, 3, 2))
    return model


def rounded_layer(checkpoint: Path) -> Any:
    """One convolution's weights, batch normalisation folded in, rounded to float16."""
    model = exported(checkpoint)
    rounded = weight(model, "cnn.conv2.weight").astype(np.float16).astype(np.float32)
    put(model, "cnn.conv2.weight", rounded)
    return model


def swapped_axes(checkpoint: Path) -> Any:
    """The output's time and batch exchanged."""
    model = exported(checkpoint)
    model.graph.node[-1].output[0] = "scores"
    model.graph.node.append(helper.make_node("Transpose", ["scores"], [OUTPUT], perm=[1, 0, 2]))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    for size in ("batch", 26, 37):
        dim = model.graph.output[0].type.tensor_type.shape.dim.add()
        if isinstance(size, str):
            dim.dim_param = size
        else:
            dim.dim_value = size
    return model


def small_scale(model: Any) -> str:
    """Make the scale of one activation of an int8 model ten times too small; return its tensor."""
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] == "cnn.relu1.out":
            scale = node.input[1]
            put(model, scale, weight(model, scale) / np.float32(10))
            return str(node.input[0])
    raise KeyError("cnn.relu1.out")


FAULTS: Dict[str, Tuple[Callable[[Path], Any], str]] = {
    "swapped gates": (swapped_gates, "rnn.1.rnn.out"),
    "other epsilon": (other_epsilon, "cnn.conv4.out"),
    "transposed kernel": (transposed_kernel, "cnn.conv3.out"),
    "rounded layer": (rounded_layer, "cnn.conv2.out"),
    "swapped axes": (swapped_axes, OUTPUT),
}
"""What plants each fault of a float graph, and the tensor that it first shows in."""
