"""An ONNX graph with its constants at hand, for whoever reads or rewrites one."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from crnn.errors import needs

with needs("onnx"):
    from onnx import numpy_helper

_KEEP_ZEROS = frozenset(
    ("Expand", "Identity", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze")
)


class Graph:
    """An ONNX graph with its constants at hand."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.nodes: Sequence[Any] = model.graph.node
        self.initializers: Dict[str, Any] = {
            tensor.name: tensor for tensor in model.graph.initializer
        }
        self.producers: Dict[str, Any] = {
            name: node for node in self.nodes for name in node.output if name
        }

    def constant(self, name: str) -> Optional[np.ndarray]:
        """Return the value of a tensor that is an initialiser or a Constant node's, None for any
        other.
        """
        if name in self.initializers:
            value: np.ndarray = numpy_helper.to_array(self.initializers[name])
            return value
        node = self.producers.get(name)
        if node is None:
            return None
        if node.op_type == "Identity":
            return self.constant(node.input[0])
        if node.op_type == "Constant":
            tensor = attributes(node).get("value")
            if tensor is not None:
                stored: np.ndarray = numpy_helper.to_array(tensor)
                return stored
        return None

    def is_constant(self, name: str) -> bool:
        """Say whether a tensor's value stands in the file."""
        return self.constant(name) is not None

    def is_zero(self, name: str) -> bool:
        """Say whether a tensor holds nothing but zeros, whatever its shape turns out to be."""
        value = self.constant(name)
        if value is not None:
            return not value.any()
        node = self.producers.get(name)
        if node is None:
            return False
        if node.op_type == "ConstantOfShape":
            fill = attributes(node).get("value")
            return fill is None or not numpy_helper.to_array(fill).any()
        if node.op_type == "Concat":
            return all(self.is_zero(source) for source in node.input)
        return node.op_type in _KEEP_ZEROS and self.is_zero(node.input[0])

    def inputs(self) -> List[Any]:
        """Return the graph's inputs but those that are initialisers (listed twice in files of IR
        version 3).
        """
        return [value for value in self.model.graph.input if value.name not in self.initializers]


def attributes(node: Any) -> Dict[str, Any]:
    """Return a node's attributes.

    Args:
        node: A NodeProto.

    Returns:
        Numbers, bytes, lists and tensors by name.
    """
    import onnx

    return {
        attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute
    }
