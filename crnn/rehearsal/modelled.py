"""Each operator that is modelled: what it takes of a node, and the function that computes it."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from crnn.rehearsal import operators
from crnn.rehearsal.half import to_half
from crnn.rehearsal.node import Inputs, Node

Compute = Callable[[Inputs], np.ndarray]
_FLOATS = {1: "float32", 10: "float16", 11: "float64"}
_INTEGERS = {2: "uint8", 3: "int8", 6: "int32", 7: "int64"}
"""Numbers of TensorProto's data types."""
_ALONG_AN_AXIS = 13
"""The opset from which LogSoftmax goes along its axis; it flattens from there on before."""


def _rounded(values: np.ndarray) -> np.ndarray:
    """Round floats; shapes and indices stay as they are."""
    if values.dtype.kind == "f":
        return to_half(values)
    return values


def _integers(values: Any) -> List[int]:
    return [int(value) for value in np.ravel(values)]


def _conv(node: Node) -> Compute:
    given = node.read(
        "kernel_shape", "strides", "pads", group=1, auto_pad=b"NOTSET", dilations=[1, 1]
    )
    strides = given.get("strides", [1, 1])
    pads = given.get("pads", [0, 0, 0, 0])
    if len(strides) != 2 or len(pads) != 4:
        node.refuse("other than two dimensions")

    def compute(inputs: Inputs) -> np.ndarray:
        images, weight = _several(inputs[:2])
        return operators.convolve(images, weight, _optional(inputs, 2), strides=strides, pads=pads)

    return compute


def _max_pool(node: Node) -> Compute:
    given = node.read(
        "kernel_shape",
        "strides",
        "pads",
        auto_pad=b"NOTSET",
        dilations=[1, 1],
        ceil_mode=0,
        storage_order=0,
    )
    kernel = given["kernel_shape"]
    strides = given.get("strides", [1, 1])
    pads = given.get("pads", [0, 0, 0, 0])
    if len(kernel) != 2:
        node.refuse(f"kernel_shape {kernel}")

    def compute(inputs: Inputs) -> np.ndarray:
        images = _first(inputs)
        return operators.max_pool(images, kernel=kernel, strides=strides, pads=pads)

    return compute


def _gemm(node: Node) -> Compute:
    given = node.read("transA", "transB", alpha=1.0, beta=1.0)
    turned = (given.get("transA", 0), given.get("transB", 0))

    def compute(inputs: Inputs) -> np.ndarray:
        left, right = _several(inputs[:2])
        if turned[0]:
            left = left.T
        if turned[1]:
            right = right.T
        return operators.product(left, right, _optional(inputs, 2))

    return compute


def _lstm(node: Node) -> Compute:
    given = node.read(
        "hidden_size",
        "direction",
        layout=0,
        input_forget=0,
        activations=_USUAL * _directions(node),
    )
    for position, what in ((4, "sequence lengths"), (7, "peepholes")):
        if node.has(position):
            node.refuse(what)
    first_reversed = given.get("direction", b"forward") == b"reverse"
    size = given["hidden_size"]

    def compute(inputs: Inputs) -> np.ndarray:
        sequence, weight, recurrent = _several(inputs[:3])
        count = sequence.shape[1]
        states = _states(node, inputs, (len(weight), count, size))
        bias = _bias(node, inputs, (len(weight), 8 * size))
        halves = []
        for direction in range(len(weight)):
            half = operators.lstm(
                sequence,
                weight[direction],
                recurrent[direction],
                bias[direction, : 4 * size] + bias[direction, 4 * size :],
                states=(states[0][direction], states[1][direction]),
                reverse=first_reversed or direction == 1,
            )
            halves.append(half)
        return np.stack(halves, axis=1)

    return compute


_USUAL = [b"Sigmoid", b"Tanh", b"Tanh"]


def _directions(node: Node) -> int:
    if node.attributes.get("direction") == b"bidirectional":
        return 2
    return 1


def _bias(node: Node, inputs: Inputs, shape: Tuple[int, ...]) -> np.ndarray:
    """Return both biases as the file has them: the operator takes them in float32."""
    if not node.has(3):
        return np.zeros(shape, dtype=np.float32)
    return _exact(node, inputs, 3)


def _states(node: Node, inputs: Inputs, shape: Tuple[int, ...]) -> Tuple[np.ndarray, np.ndarray]:
    """Return the first h and the first cell, which is float32 like the bias."""
    hidden = cell = np.zeros(shape, dtype=np.float32)
    if node.has(5):
        (hidden,) = _several(inputs[5:6])
    if node.has(6):
        cell = _exact(node, inputs, 6)
    return hidden, cell


def _exact(node: Node, inputs: Inputs, position: int) -> np.ndarray:
    stored = node.exact.get(node.inputs[position])
    if stored is not None:
        return stored.astype(np.float32)
    (value,) = _several(inputs[position : position + 1])
    return value


def _log_softmax(node: Node) -> Compute:
    flat = node.opset < _ALONG_AN_AXIS
    axis = -1
    if flat:
        axis = 1
    axis = node.read("axis").get("axis", axis)

    def compute(inputs: Inputs) -> np.ndarray:
        scores = _first(inputs)
        if flat:
            rows = scores.reshape(int(np.prod(scores.shape[:axis])), -1)
            return operators.log_softmax(rows).reshape(scores.shape)
        turned = np.moveaxis(scores, axis, -1)
        return np.moveaxis(operators.log_softmax(turned), -1, axis)

    return compute


def _relu(node: Node) -> Compute:
    return lambda inputs: np.maximum(_first(inputs), np.float32(0.0))


def _matmul(node: Node) -> Compute:
    return lambda inputs: operators.product(*_several(inputs))


def _add(node: Node) -> Compute:
    def compute(inputs: Inputs) -> np.ndarray:
        left, right = _several(inputs)
        return _rounded(left + right)

    return compute


def _multiply(node: Node) -> Compute:
    def compute(inputs: Inputs) -> np.ndarray:
        left, right = _several(inputs)
        return _rounded(left * right)

    return compute


def _cast(node: Node) -> Compute:
    target = node.read("to")["to"]
    if target not in _FLOATS and target not in _INTEGERS:
        node.refuse(f"to {target}")

    def compute(inputs: Inputs) -> np.ndarray:
        values = _first(inputs)
        if target in _FLOATS:
            return to_half(values.astype(np.float32))
        return values.astype(_INTEGERS[target])

    return compute


def _identity(node: Node) -> Compute:
    return _first


def _transpose(node: Node) -> Compute:
    order = node.read("perm").get("perm")
    return lambda inputs: _first(inputs).transpose(order)


def _reshape(node: Node) -> Compute:
    node.read(allowzero=0)

    def compute(inputs: Inputs) -> np.ndarray:
        values, shape = _several(inputs)
        sizes = _integers(shape)
        for position, size in enumerate(sizes):
            if size == 0:  # ONNX: the size that stands there already
                sizes[position] = values.shape[position]
        return values.reshape(sizes)

    return compute


def _axes(node: Node, given: Mapping[str, Any], inputs: Inputs) -> Sequence[int]:
    """Return the axes, an attribute up to opset 12 and an input after it."""
    if node.has(1):
        return _integers(inputs[1])
    return _integers(given.get("axes", ()))


def _squeeze(node: Node) -> Compute:
    given = node.read("axes")

    def compute(inputs: Inputs) -> np.ndarray:
        axes = tuple(_axes(node, given, inputs))
        return np.squeeze(_first(inputs), axes or None)

    return compute


def _unsqueeze(node: Node) -> Compute:
    given = node.read("axes")
    return lambda inputs: np.expand_dims(_first(inputs), tuple(_axes(node, given, inputs)))


def _flatten(node: Node) -> Compute:
    axis = node.read("axis").get("axis", 1)

    def compute(inputs: Inputs) -> np.ndarray:
        values = _first(inputs)
        rows = int(np.prod(values.shape[:axis]))
        return values.reshape(rows, -1)

    return compute


def _gather(node: Node) -> Compute:
    axis = node.read("axis").get("axis", 0)

    def compute(inputs: Inputs) -> np.ndarray:
        values, indices = _several(inputs)
        return np.take(values, indices, axis=axis)

    return compute


def _concat(node: Node) -> Compute:
    axis = node.read("axis")["axis"]
    return lambda inputs: np.concatenate(_several(inputs), axis=axis)


def _slice(node: Node) -> Compute:
    node.read()

    def compute(inputs: Inputs) -> np.ndarray:
        values, *bounds = inputs
        starts, ends = _several(bounds[:2])
        axes: Sequence[int] = range(len(starts))
        if node.has(3):
            axes = _integers(bounds[2])
        steps = [1] * len(starts)
        if node.has(4):
            steps = _integers(bounds[3])
        cut = _first([values])
        for axis, start, end, step in zip(axes, _integers(starts), _integers(ends), steps):
            cut = np.moveaxis(np.moveaxis(cut, axis, 0)[start:end:step], 0, axis)
        return cut

    return compute


def _pad(node: Node) -> Compute:
    given = node.read("pads", "value", mode=b"constant")
    if node.has(3):
        node.refuse("axes")

    def compute(inputs: Inputs) -> np.ndarray:
        sizes = given.get("pads", ())
        value = given.get("value", 0.0)
        if node.has(1):
            sizes = _integers(inputs[1])
        if node.has(2):
            value = inputs[2]
        count = len(sizes) // 2
        return np.pad(
            _first(inputs), list(zip(sizes[:count], sizes[count:])), constant_values=value
        )

    return compute


def _shape(node: Node) -> Compute:
    node.read()
    return lambda inputs: np.array(_first(inputs).shape, dtype=np.int64)


def _optional(inputs: Inputs, position: int) -> Optional[np.ndarray]:
    if position < len(inputs):
        return inputs[position]
    return None


def _constant_of_shape(node: Node) -> Compute:
    zero = np.zeros(1, dtype=np.float32)
    fill = _rounded(node.read("value").get("value", zero))
    return lambda inputs: np.full(_integers(_first(inputs)), fill[0])


def _expand(node: Node) -> Compute:
    def compute(inputs: Inputs) -> np.ndarray:
        values, shape = _several(inputs)
        larger: np.ndarray = values * np.ones(_integers(shape), dtype=values.dtype)
        return larger

    return compute


def _first(inputs: Inputs) -> np.ndarray:
    return _several(inputs[:1])[0]


def _several(inputs: Inputs) -> List[np.ndarray]:
    """Return the inputs, none of which may be left out."""
    given = []
    for value in inputs:
        assert value is not None, "ONNX's checker has seen that required inputs are there"
        given.append(value)
    return given


MODELLED: Dict[str, Callable[[Node], Compute]] = {
    "Add": _add,
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "Dropout": _identity,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "Identity": _identity,
    "LSTM": _lstm,
    "LogSoftmax": _log_softmax,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mul": _multiply,
    "Pad": _pad,
    "Relu": _relu,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""The operators by ONNX's name."""
