"""What an ONNX file holds, looked at before ONNX Runtime sees it: whether its graph ends and takes
the memory that it says, weights in files of their own, and the batches that it may hold inside.
"""

from __future__ import annotations

import functools
import importlib.util
import operator
import re
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Dict, Iterable, Iterator, List, Set, Tuple

import numpy as np

from crnn.errors import InputError, needs
from crnn.filekind import refuse_lfs_pointer, require_file, sha256
from crnn.limits import advice, limit

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
# TensorProto's numbers: bytes and booleans, 16-bit, and 64-bit types (onnx.proto, DataType).
_BYTES: Dict[int, int] = {
    **dict.fromkeys((2, 3, 9), 1),
    **dict.fromkeys((4, 5, 10, 16), 2),
    **dict.fromkeys((7, 11, 13, 14), 8),
}
_QUANTISED = frozenset(
    "QuantizeLinear DynamicQuantizeLinear MatMulInteger ConvInteger MatMulIntegerToFloat"
    " DynamicQuantizeMatMul DynamicQuantizeLSTM QAttention QGemm QEmbedLayerNormalization"
    " QOrderedMatMul QOrderedAttention".split()
)
_QUANTISED_PREFIX = "QLinear"
_EXTERNAL = 1
"""TensorProto.DataLocation: the values lie in another file (onnx.proto)."""
_INT32, _INT64 = 6, 7
"""TensorProto.DataType (onnx.proto)."""
LARGEST_INNER = 1024
MOST_INNER = 24
"""The most sizes that are tried."""
_MESSAGES = "onnx.onnx_ml_pb2"
"""The module that protobuf's compiler has made of ONNX's onnx-ml.proto."""


def onnx_messages() -> Any:
    """Return the module that holds ONNX's messages (ModelProto …) without the rest of the package
    `onnx`, whose import takes more time than all that ``crnn read`` does with a graph.

    They are the classes that ``import onnx`` gives, before and after: Python finds the module
    under its own name.

    Returns:
        ``onnx.onnx_ml_pb2``; ``onnx`` itself where the package keeps its messages elsewhere.

    Raises:
        ImportError: There is no onnx.
    """
    if _MESSAGES in sys.modules:
        return sys.modules[_MESSAGES]
    package = importlib.util.find_spec("onnx")
    folders: List[str] = []
    if package is not None:
        folders.extend(package.submodule_search_locations or ())
    for folder in folders:
        file = Path(folder) / "onnx_ml_pb2.py"
        if file.is_file():
            return _load_messages(file)
    return importlib.import_module("onnx")


def _load_messages(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(_MESSAGES, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Before it is run, as an import does.
    sys.modules[_MESSAGES] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[_MESSAGES]
        raise
    return module


def graphs_in(graph: Any) -> Iterator[Any]:
    """Yield a graph and the graphs inside its nodes, at any depth.

    Args:
        graph: A GraphProto, or a FunctionProto.

    Yields:
        The graph itself, then the others.
    """
    waiting = [graph]
    while waiting:
        here = waiting.pop()
        yield here
        for node in here.node:
            for attribute in node.attribute:
                waiting.extend(attribute.graphs)
                if attribute.HasField("g"):
                    waiting.append(attribute.g)


def nodes_in(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph and of those inside it.

    Args:
        graph: A GraphProto, or a FunctionProto.

    Yields:
        NodeProtos.
    """
    for here in graphs_in(graph):
        yield from here.node


def quantised_operators(proto: Any) -> Tuple[str, ...]:
    """Name the operators of a graph that compute with eight-bit integers, whoever wrote it.

    Args:
        proto: A ModelProto.

    Returns:
        Their types, sorted, each once; none for a float model.
    """
    found: Set[str] = set()
    for node in nodes_in(proto.graph):
        kind = node.op_type
        if kind in _QUANTISED or kind.startswith(_QUANTISED_PREFIX):
            found.add(kind)
    return tuple(sorted(found))


def graph_tensors(graph: Any) -> List[Any]:
    """Collect the constants of a graph and of those inside it.

    Args:
        graph: A GraphProto.

    Returns:
        Its TensorProtos: initialisers, sparse ones as their values and indices, and the tensors of
        nodes' attributes.
    """
    tensors: List[Any] = []
    for here in graphs_in(graph):
        tensors.extend(here.initializer)
        for sparse in here.sparse_initializer:
            tensors.extend((sparse.values, sparse.indices))
        for node in here.node:
            tensors.extend(_attribute_tensors(node))
    return tensors


def _attribute_tensors(node: Any) -> List[Any]:
    tensors: List[Any] = []
    for attribute in node.attribute:
        if attribute.HasField("t"):
            tensors.append(attribute.t)
        tensors.extend(attribute.tensors)
    return tensors


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
    for graph, node in _all_nodes(proto):
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
    for name, count, dims in _declared_constants(proto):
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
    for _, node in _all_nodes(proto):
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
    for tensor in _named_constants(graph):
        if tensor.name in named and _product(tensor.dims) <= _FEW:
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


def _named_constants(graph: Any) -> List[Any]:
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


def _all_nodes(proto: Any) -> Iterator[Tuple[Any, Any]]:
    """Yield each node with its graph; a function's with the model's."""
    for graph in graphs_in(proto.graph):
        for node in graph.node:
            yield graph, node
    for function in proto.functions:
        for node in nodes_in(function):
            yield proto.graph, node


def _declared_constants(proto: Any) -> Iterator[Tuple[str, int, List[int]]]:
    """Yield the name, the bytes and the shape that each constant says it has."""
    for graph in graphs_in(proto.graph):
        for tensor in graph.initializer:
            yield _declared(tensor.name, tensor.data_type, tensor.dims)
        for sparse in graph.sparse_initializer:
            yield _declared(sparse.values.name, sparse.values.data_type, sparse.dims)
    for _, node in _all_nodes(proto):
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
    return name, _product(max(0, size) for size in sizes) * _BYTES.get(kind, 4), sizes


def _product(sizes: Iterable[int]) -> int:
    # Whole numbers of any size: NumPy's would wrap around.
    return functools.reduce(operator.mul, sizes, 1)


def external_files(proto: Any, path: Path) -> List[str]:
    """Return the files that hold an ONNX file's weights, but for itself.

    Args:
        proto: The file's ModelProto.
        path: The file.

    Returns:
        Their names as the graph spells them, from the file's folder on, sorted.

    Raises:
        InputError: One leaves the model's folder, or cannot be read.
    """
    names = sorted({_location(tensor) for tensor in _external(proto)})
    for name in names:
        _require_inside(name, path)
        file = path.parent / name
        require_file(file, f"weights of {path.name}")
        refuse_lfs_pointer(file)
    return names


def hash_external_data(proto: Any, path: Path) -> Dict[str, str]:
    """Return the hashes of the files that hold an ONNX file's weights, but for itself.

    Args:
        proto: The file's ModelProto, its external data not loaded.
        path: The file.

    Returns:
        SHA-256 in hexadecimal by name; nothing where the file holds all of its weights.

    Raises:
        InputError: One leaves the model's folder, or cannot be read.
    """
    return {name: sha256(path.parent / name) for name in external_files(proto, path)}


def load_external_data(proto: Any, path: Path) -> Any:
    """Return a model that holds its weights itself.

    Args:
        proto: The file's ModelProto; it is left as it is.
        path: The file.

    Returns:
        A copy with all weights inside; ``proto`` where it has none outside.

    Raises:
        InputError: Weights leave the model's folder, or cannot be read.
    """
    if not external_files(proto, path):
        return proto
    with needs("onnx"):
        import onnx
    whole = onnx.ModelProto()
    whole.CopyFrom(proto)
    try:
        onnx.load_external_data_for_model(whole, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise InputError(
            f"{path}: its weights lie in other files, which cannot be read: {error}"
        ) from error
    return whole


def _require_inside(name: str, path: Path) -> None:
    places = (PurePosixPath(name), PureWindowsPath(name))
    leaves = any(place.anchor or ".." in place.parts for place in places)
    if leaves or not name or "\0" in name:
        raise InputError(
            f"{path}: its weights lie in {name!r}; expected a file in the model's folder",
            hint="Save the model again with its weights beside it.",
        )


def _external(proto: Any) -> List[Any]:
    tensors = graph_tensors(proto.graph)
    for function in proto.functions:
        for node in nodes_in(function):
            tensors.extend(_attribute_tensors(node))
    return [tensor for tensor in tensors if tensor.data_location == _EXTERNAL]


def _location(tensor: Any) -> str:
    for entry in tensor.external_data:
        if entry.key == "location":
            return str(entry.value)
    return ""


class InnerSizes:
    """The small whole numbers among a graph's constants, such as a Reshape's or those of an LSTM's
    first states.
    """

    def __init__(self, proto: Any) -> None:
        self._sizes: Set[int] = set()
        for tensor in _top_constants(proto.graph):
            self._sizes.update(_numbers(tensor))

    def candidates(self, message: str) -> List[int]:
        """Return the sizes of a batch that may be meant, the likelier first.

        Args:
            message: The runtime's error, which may name the size that it wanted.

        Returns:
            Those in the message, 1, then the graph's own, at most `MOST_INNER`.
        """
        named = [int(word) for word in re.findall(r"(?<![\d.])\d{1,4}(?![\d.])", message)]
        found = [*named, 1, *sorted(self._sizes)]
        return [size for size in dict.fromkeys(found) if 1 <= size <= LARGEST_INNER][:MOST_INNER]


def _numbers(tensor: Any) -> Set[int]:
    """Return a whole-number constant's values, and the batch of a first state (directions, N,
    hidden).
    """
    if tensor.data_location == _EXTERNAL:
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


def _top_constants(graph: Any) -> List[Any]:
    tensors = list(graph.initializer)
    for node in graph.node:
        tensors.extend(attribute.t for attribute in node.attribute if attribute.HasField("t"))
    return tensors
