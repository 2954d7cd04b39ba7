"""A graph whose LSTMs run forward only, for compilers that refuse two directions (CANN up to
5.0).
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np

from crnn.errors import InputError, needs
from crnn.export.onnx_graph import Graph, attributes

with needs("onnx"):
    import onnx
    from onnx import helper, numpy_helper

# Inputs of an LSTM by position.
_X, _W, _R, _B, _LENGTHS, _H, _C, _P = range(8)
_KEPT = ("hidden_size",)


def needs_split(model: Any) -> bool:
    """Say whether a graph holds an LSTM that does not run forward.

    Args:
        model: A ModelProto.

    Returns:
        True where an LSTM does not run forward.
    """
    return any(_direction(node) != "forward" for node in model.graph.node if node.op_type == "LSTM")


def split_directions(model: Any, *, time_steps: int, where: str = "the graph") -> Any:
    """Return a copy in which each LSTM of two directions is two forward ones, and a reverse one is
    a forward one.

    The second runs over the sequence turned by a constant Gather along time, and its output is
    turned back, so the values are the same. Initial states that are zero are left out. Weights must
    be constants: `InputError`. ``time_steps`` is the spec's, for an LSTM whose own number of steps
    the shapes do not tell.

    Args:
        model: A ModelProto, which stays as it is.
        time_steps: The time steps of the logits.
        where: Names the file in errors.

    Returns:
        A copy in which each LSTM of two directions is two that run forward.

    Raises:
        InputError: An LSTM cannot be split exactly.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    steps = _sequence_lengths(copy)
    graph = Graph(copy)
    nodes: List[Any] = []
    constants: Dict[str, np.ndarray] = {}
    for index, node in enumerate(copy.graph.node):
        if node.op_type == "LSTM" and _direction(node) != "forward":
            name = f"{where}: LSTM {node.name or node.output[0]}"
            nodes += _Turned(
                graph, node, steps.get(node.input[_X], time_steps), f"lstm{index}", name, constants
            ).nodes()
        else:
            nodes.append(node)
    kept = [tensor for tensor in copy.graph.initializer if tensor.name in _used(nodes, copy)]
    del copy.graph.node[:], copy.graph.initializer[:]
    copy.graph.node.extend(nodes)
    copy.graph.initializer.extend(kept)
    copy.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    onnx.checker.check_model(copy, full_check=True)
    return copy


class _Turned:
    """One LSTM node, written again with forward nodes."""

    def __init__(
        self,
        graph: Graph,
        node: Any,
        steps: int,
        prefix: str,
        name: str,
        constants: Dict[str, np.ndarray],
    ) -> None:
        self.graph, self.node, self.prefix, self.name, self.constants = (
            graph,
            node,
            prefix,
            name,
            constants,
        )
        self.inputs: Tuple[str, ...] = (*node.input, *[""] * (8 - len(node.input)))
        if _direction(node) == "bidirectional":
            self.directions = 2
        else:
            self.directions = 1
        if self.inputs[_LENGTHS] or self.inputs[_P]:
            raise InputError(f"{name}: sequence lengths and peepholes cannot be split")
        self.turn = f"{prefix}.turned_time"
        constants[self.turn] = np.arange(steps, dtype=np.int64)[::-1].copy()

    def nodes(self) -> List[Any]:
        """Return the nodes that give what the LSTM gave, under the same names."""
        result: List[Any] = []
        parts = [self._direction_nodes(direction, result) for direction in range(self.directions)]
        outputs = [*self.node.output, "", ""][:3]
        for kind, output in enumerate(outputs):
            if output:
                # Y has its directions on axis 1, the last states on axis 0.
                sources = [part[kind] for part in parts]
                result.append(
                    helper.make_node("Concat", sources, [output], axis=1 if kind == 0 else 0)
                )
        return result

    def _direction_nodes(self, direction: int, result: List[Any]) -> Tuple[str, str, str]:
        prefix = f"{self.prefix}.{direction}"
        reverse = direction == self.directions - 1
        sequence = self.inputs[_X]
        if reverse:
            result.append(
                helper.make_node("Gather", [sequence, self.turn], [f"{prefix}.x"], axis=0)
            )
            sequence = f"{prefix}.x"
        inputs = [sequence, *(self._part(position, direction) for position in (_W, _R, _B))]
        states = [self._part(position, direction) for position in (_H, _C)]
        if any(states):
            inputs += ["", *states]
        outputs = [f"{prefix}.y", f"{prefix}.h", f"{prefix}.c"]
        kept = {key: value for key, value in attributes(self.node).items() if key in _KEPT}
        result.append(
            helper.make_node("LSTM", inputs, outputs, name=prefix, direction="forward", **kept)
        )
        if reverse:
            result.append(
                helper.make_node("Gather", [outputs[0], self.turn], [f"{prefix}.y_turned"], axis=0)
            )
            outputs[0] = f"{prefix}.y_turned"
        return outputs[0], outputs[1], outputs[2]

    def _part(self, position: int, direction: int) -> str:
        """The name of one direction's part of an input; W, R, B and the states have their
        directions on axis 0.
        """
        source = self.inputs[position]
        if not source or (position in (_H, _C) and self.graph.is_zero(source)):
            return ""
        value = self.graph.constant(source)
        if value is None:
            raise InputError(
                f"{self.name}: {source} is computed; only constant weights and states can be split"
            )
        name = f"{self.prefix}.{direction}.{'XWRB_HC'[position]}"
        self.constants[name] = np.ascontiguousarray(value[direction : direction + 1])
        return name


def _direction(node: Any) -> str:
    return str(attributes(node).get("direction", b"forward").decode())


def _sequence_lengths(model: Any) -> Dict[str, int]:
    """The size of axis 0 of every tensor whose shape can be told: traced graphs compute theirs."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    lengths: Dict[str, int] = {}
    for value in (*graph.value_info, *graph.input):
        dims = value.type.tensor_type.shape.dim
        if dims and dims[0].HasField("dim_value"):
            lengths[value.name] = dims[0].dim_value
    return lengths


def _used(nodes: List[Any], model: Any) -> List[str]:
    return [name for node in nodes for name in node.input] + [
        value.name for value in model.graph.output
    ]
