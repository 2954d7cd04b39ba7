"""Whether an ONNX graph is one that ends, and takes the memory that it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from crnn.errors import InputError, needs
from crnn.limits import advice, limit
from crnn.python37 import prod
from crnn.runners.onnx_messages import onnx_messages

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")
"""ONNX's own operators and ONNX Runtime's."""
_LOOPS = ("Loop", "Scan", "SequenceMap")
_MOST_BRANCHES = 16
"""Ifs in a graph: no CRNN needs any."""
_MAKERS = frozenset(
    "ConstantOfShape Expand EyeLike OneHot Pad RandomNormal RandomNormalLike RandomUniform"
    " RandomUniformLike Range Resize Tile Upsample".split()
)
"""Operators whose inputs or attributes say how large their output is."""
_FEW = 64
"""Values of a constant that may be a shape."""


def require_plain_graph(proto: Any, path: Path) -> None:
    """Refuse a graph that may not end, that runs somebody else's operators, or whose constants are
    larger than anything that a CRNN has.

    Args:
        proto: A ModelProto.
        path: The file, for the message.

    Raises:
        InputError: It is such a graph.
    """
    _require_domains(proto, path)
    branches = nodes = 0
    for graph, node in _nodes(proto):
        nodes += 1
        if node.op_type in _LOOPS:
            raise _refused(path, f"it holds {node.op_type}, which may have no end")
        if node.op_type == "If":
            branches += 1
        if node.op_type in _MAKERS:
            _require_small_output(graph, node, path)
    if branches > _MOST_BRANCHES:
        raise _refused(path, f"it has {branches} branches (If); at most {_MOST_BRANCHES}")
    if nodes > limit("nodes"):
        raise InputError(f"{path} has {nodes} operators", hint=advice("nodes"))
    for name, count, dims in _constants(proto):
        if count > limit("tensor_bytes"):
            shape = ", ".join(map(str, dims[:8]))
            told = f"{path}: the constant {name[:80]!r} says that it has ({shape}) values"
            raise InputError(f"{told}, {count} bytes", hint=advice("tensor_bytes"))


def _require_domains(proto: Any, path: Path) -> None:
    for function in proto.functions:
        for node in function.node:
            if node.domain not in DOMAINS:
                raise _refused(path, f"it holds a function that calls {node.domain[:80]!r}")
    functions = {(function.domain, function.name) for function in proto.functions}
    for _, node in _nodes(proto):
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in functions:
            what = f"{node.op_type[:80]!r} of the domain {node.domain[:80]!r}"
            raise _refused(path, f"it holds the operator {what}")


def _refused(path: Path, what: str) -> InputError:
    return InputError(
        f"{path}: {what}; expected a CRNN of ONNX's own operators",
        hint="Export it again from its weights: crnn export CHECKPOINT.pth MODEL.onnx",
    )


def _require_small_output(graph: Any, node: Any, path: Path) -> None:
    """Refuse what would make a tensor of gigabytes, as far as constants tell."""
    for values in _shapes(graph, node):
        size = float(np.prod(np.abs(values.astype(np.float64))))
        if not size * 4 <= limit("tensor_bytes"):
            shape = ", ".join(str(value) for value in values[:8])
            told = f"{path}: {node.op_type} would make ({shape[:80]}) values"
            raise InputError(told, hint=advice("tensor_bytes"))


def _shapes(graph: Any, node: Any) -> Iterator[np.ndarray]:
    for attribute in node.attribute:
        if attribute.ints:
            yield np.array(attribute.ints, np.float64)
        if attribute.floats:
            yield np.array(attribute.floats, np.float64)
    named = set(node.input)
    for tensor in _tensors(graph):
        if tensor.name in named and prod(tensor.dims) <= _FEW:
            values = _values(tensor)
            if values.size and np.issubdtype(values.dtype, np.number):
                yield values.reshape(-1)


def _values(tensor: Any) -> np.ndarray:
    """Return a constant's values; none of one that ONNX Runtime will refuse."""
    with needs("onnx"):
        from onnx import numpy_helper
    try:
        values: np.ndarray = numpy_helper.to_array(tensor)
    except Exception:  # noqa: BLE001  what is damaged raises anything
        return np.empty(0)
    return values


def _tensors(graph: Any) -> List[Any]:
    """Return a graph's constants, those of Constant nodes by the names of their outputs."""
    new_tensor = onnx_messages().TensorProto
    found = list(graph.initializer)
    for node in graph.node:
        if node.op_type != "Constant":
            continue
        for attribute in node.attribute:
            if attribute.HasField("t") and node.output:
                named = new_tensor()
                named.CopyFrom(attribute.t)
                named.name = node.output[0]
                found.append(named)
    return found


def _graphs(proto: Any) -> Iterator[Any]:
    waiting = [proto.graph]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting.extend(attribute.graphs)
                if attribute.HasField("g"):
                    waiting.append(attribute.g)


def _nodes(proto: Any) -> Iterator[Tuple[Any, Any]]:
    """Yield each node with its graph; a function's with the model's."""
    for graph in _graphs(proto):
        for node in graph.node:
            yield graph, node
    for function in proto.functions:
        for node in function.node:
            yield proto.graph, node


def _constants(proto: Any) -> Iterator[Tuple[str, int, List[int]]]:
    """Yield the name, the bytes and the shape that each constant says it has."""
    for graph in _graphs(proto):
        for tensor in graph.initializer:
            yield _declared(tensor.name, tensor.data_type, tensor.dims)
        for sparse in graph.sparse_initializer:
            yield _declared(sparse.values.name, sparse.values.data_type, sparse.dims)
    for _, node in _nodes(proto):
        for attribute in node.attribute:
            tensors = list(attribute.tensors)
            if attribute.HasField("t"):
                tensors.append(attribute.t)
            for tensor in tensors:
                yield _declared(attribute.name, tensor.data_type, tensor.dims)
            sparse_tensors = list(attribute.sparse_tensors)
            if attribute.HasField("sparse_tensor"):
                sparse_tensors.append(attribute.sparse_tensor)
            for sparse in sparse_tensors:
                yield _declared(attribute.name, sparse.values.data_type, sparse.dims)


def _declared(name: str, kind: int, dims: Any) -> Tuple[str, int, List[int]]:
    sizes = [int(size) for size in dims]
    return name, prod(max(0, size) for size in sizes) * _BYTES.get(kind, 4), sizes


# TensorProto's numbers: bytes and booleans, 16-bit, and 64-bit types (onnx.proto, DataType).
_BYTES: Dict[int, int] = {
    **dict.fromkeys((2, 3, 9), 1),
    **dict.fromkeys((4, 5, 10, 16), 2),
    **dict.fromkeys((7, 11, 13, 14), 8),
}
