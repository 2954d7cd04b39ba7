"""A whole ONNX graph in float16."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from crnn.rehearsal.half import to_half
from crnn.rehearsal.modelled import MODELLED, Compute
from crnn.rehearsal.node import Inputs, Node, NotModelledError

FLOAT16 = "float16"
"""The one precision that is rehearsed, by NumPy's name."""


@dataclass(frozen=True)
class _Step:
    """A node and its function; ``spent`` are the tensors that nothing reads after it."""

    node: Node
    compute: Compute
    spent: Sequence[str]


class Rehearsal:
    """A graph that computes as ATC would have a chip do it in float16.

    Each operator's inputs and outputs are float16. Constants are rounded once, but for the biases
    and the first cells of LSTMs, which stay float32.
    """

    def __init__(self, model: Any) -> None:
        """Read a graph.

        Args:
            model: A ModelProto that holds its weights itself.

        Raises:
            NotModelledError: It has an operator, or a form of one, that is not modelled.
        """
        exact = _constants(model)
        self._constants: Dict[str, np.ndarray] = {}
        for name, value in exact.items():
            self._constants[name] = _held(value)
        self.inputs = tuple(value.name for value in model.graph.input if value.name not in exact)
        self.outputs = tuple(value.name for value in model.graph.output)
        self._steps = _steps(model, exact, self.outputs)
        self._overflow = len(self._steps)

    @property
    def overflowed(self) -> Optional[str]:
        """The first node of the graph that has ever given an infinity; None where none has."""
        if self._overflow == len(self._steps):
            return None
        node = self._steps[self._overflow].node
        return f"{node.operator} {node.name}"

    def run(self, feeds: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """Compute the graph.

        Args:
            feeds: Each input by its name; floats are rounded to float16 first.

        Returns:
            The outputs in the graph's order; floats as float32 that holds float16 values.
        """
        values: Dict[str, np.ndarray] = dict(self._constants)
        for name in self.inputs:
            values[name] = _held(feeds[name])
        for position, step in enumerate(self._steps):
            # Infinities are values here, and what they lead to.
            with np.errstate(all="ignore"):
                result = step.compute(_gathered(step.node, values))
            self._watch(position, result)
            values[step.node.outputs[0]] = result
            for name in step.spent:
                del values[name]
        return [values[name] for name in self.outputs]

    def _watch(self, position: int, result: np.ndarray) -> None:
        if position < self._overflow and result.dtype.kind == "f" and np.isinf(result).any():
            self._overflow = position


def _gathered(node: Node, values: Mapping[str, np.ndarray]) -> Inputs:
    inputs: Inputs = []
    for name in node.inputs:
        if name:
            inputs.append(values[name])
        else:
            inputs.append(None)
    return inputs


def _held(value: np.ndarray) -> np.ndarray:
    """Return floats rounded to float16, in float32; anything else as it is."""
    if value.dtype.kind != "f":
        return value
    with np.errstate(over="ignore"):
        single = value.astype(np.float32)
    return to_half(single)


def _constants(model: Any) -> Dict[str, np.ndarray]:
    """Return the initialisers and the values of Constant nodes, as the file has them."""
    from onnx import numpy_helper

    found: Dict[str, np.ndarray] = {}
    for tensor in model.graph.initializer:
        found[tensor.name] = numpy_helper.to_array(tensor)
    for node in model.graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = _value_of(node)
    return found


def _value_of(proto: Any) -> np.ndarray:
    node = _node(proto, 0, {})
    if "value" not in node.attributes:
        node.refuse("another attribute than value")
    value: np.ndarray = node.attributes["value"]
    return value


def _node(proto: Any, opset: int, exact: Mapping[str, np.ndarray]) -> Node:
    from onnx import helper, numpy_helper

    operator = proto.op_type
    if proto.domain not in ("", "ai.onnx"):
        operator = f"{proto.domain}.{proto.op_type}"
    attributes: Dict[str, Any] = {}
    for attribute in proto.attribute:
        if attribute.HasField("t"):
            attributes[attribute.name] = numpy_helper.to_array(attribute.t)
        else:
            attributes[attribute.name] = helper.get_attribute_value(attribute)
    name = proto.name or proto.output[0]
    return Node(operator, name, tuple(proto.input), tuple(proto.output), attributes, opset, exact)


def _steps(
    model: Any, exact: Mapping[str, np.ndarray], outputs: Sequence[str]
) -> Tuple[_Step, ...]:
    """Return a step for each node, with what is spent after it."""
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    opset = opsets.get("", opsets.get("ai.onnx", 0))
    nodes = []
    for proto in model.graph.node:
        if proto.op_type != "Constant":
            nodes.append(_node(proto, opset, exact))
    _refuse_second_outputs(nodes)
    computed = {node.outputs[0] for node in nodes}
    for name in outputs:
        if name not in computed:
            raise NotModelledError(
                f"float16 is rehearsed for outputs that a node's first output is; {name} is not"
            )
    last = _last_uses(nodes, outputs)
    steps = []
    for position, node in enumerate(nodes):
        if node.operator not in MODELLED:
            node.refuse()
        compute = MODELLED[node.operator](node)
        steps.append(_Step(node, compute, last.get(position, ())))
    return tuple(steps)


def _refuse_second_outputs(nodes: Sequence[Node]) -> None:
    """Refuse a node of which more than the first output is used, such as an LSTM's last states."""
    makers: Dict[str, Node] = {}
    for node in nodes:
        for name in node.inputs:
            if name in makers:
                makers[name].refuse(f"its output {name} in use")
        for name in node.outputs[1:]:
            if name:
                makers[name] = node


def _last_uses(nodes: Sequence[Node], outputs: Sequence[str]) -> Dict[int, List[str]]:
    """Return, by a node's position, the tensors made by nodes that nothing reads after it."""
    position_of: Dict[str, int] = {}
    for position, node in enumerate(nodes):
        for name in (node.outputs[0], *node.inputs):
            position_of[name] = position
    made = {node.outputs[0] for node in nodes}
    spent: Dict[int, List[str]] = {}
    for name in sorted(made.difference(outputs)):
        spent.setdefault(position_of[name], []).append(name)
    return spent
