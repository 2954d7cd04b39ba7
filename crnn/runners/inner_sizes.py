"""The sizes of batches that an ONNX graph with an open batch may hold inside all the same."""

from __future__ import annotations

import re
from typing import Any, List, Set

import numpy as np

from crnn.runners.external_data import EXTERNAL

_INT32, _INT64 = 6, 7
"""TensorProto.DataType (onnx.proto)."""
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
    if tensor.data_location == EXTERNAL:
        return set()
    values = _whole_numbers(tensor)
    if 0 < len(values) <= 16:
        return set(values)
    if len(tensor.dims) == 3 and tensor.dims[0] in (1, 2):
        return {int(tensor.dims[1])}
    return set()


def _whole_numbers(tensor: Any) -> List[int]:
    """Return a whole-number constant's values, which lie in a field of their own or as raw bytes,
    little-endian; none of another type.
    """
    if tensor.data_type == _INT64:
        listed, size = tensor.int64_data, 8
    elif tensor.data_type == _INT32:
        listed, size = tensor.int32_data, 4
    else:
        return []
    raw = tensor.raw_data
    if not raw:
        return list(listed)
    whole = len(raw) // size * size
    values: List[int] = np.frombuffer(raw[:whole], dtype=f"<i{size}").tolist()
    return values
