"""The sizes of batches that an ONNX graph with an open batch may hold inside all the same."""

from __future__ import annotations

import re
from typing import Any, List, Set

import numpy as np

LARGEST = 1024
MOST = 24
"""The most sizes that are tried."""


class InnerSizes:
    """The small whole numbers among a graph's constants, such as a Reshape's or those of an LSTM's
    first states.
    """

    def __init__(self, proto: Any) -> None:
        self._sizes: Set[int] = set()
        for tensor in _constants(proto.graph):
            self._sizes.update(_numbers(tensor))

    def candidates(self, message: str) -> List[int]:
        """Return the sizes of a batch that may be meant, the likelier first.

        Args:
            message: The runtime's error, which may name the size that it wanted.

        Returns:
            Those in the message, 1, then the graph's own, at most `MOST`.
        """
        named = [int(word) for word in re.findall(r"(?<![\d.])\d{1,4}(?![\d.])", message)]
        found = [*named, 1, *sorted(self._sizes)]
        return [size for size in dict.fromkeys(found) if 1 <= size <= LARGEST][:MOST]


def _constants(graph: Any) -> List[Any]:
    tensors = list(graph.initializer)
    for node in graph.node:
        tensors.extend(attribute.t for attribute in node.attribute if attribute.HasField("t"))
    return tensors


def _numbers(tensor: Any) -> Set[int]:
    """Return a whole-number constant's values, and the batch of a first state (directions, N,
    hidden).
    """
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        return set()
    if tensor.data_type in (TensorProto.INT64, TensorProto.INT32):
        values: np.ndarray = numpy_helper.to_array(tensor)
        if values.size <= 16:
            return {int(value) for value in values.reshape(-1)}
    if len(tensor.dims) == 3 and tensor.dims[0] in (1, 2):
        return {int(tensor.dims[1])}
    return set()
