"""Weights that lie in files of their own beside an ONNX file."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Dict, List

from crnn.errors import InputError, needs
from crnn.files import refuse_lfs_pointer, require_file, sha256

EXTERNAL = 1
"""TensorProto.DataLocation: the values lie in another file (onnx.proto)."""


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
        _collect_of_nodes(function.node, tensors)
    return [tensor for tensor in tensors if tensor.data_location == EXTERNAL]


def _location(tensor: Any) -> str:
    for entry in tensor.external_data:
        if entry.key == "location":
            return str(entry.value)
    return ""


def graph_tensors(graph: Any) -> List[Any]:
    """Collect the constants of a graph and of those inside it.

    Args:
        graph: A GraphProto.

    Returns:
        Its TensorProtos: initialisers, sparse ones as their values and indices, and the tensors of
        nodes' attributes.
    """
    tensors: List[Any] = []
    _collect(graph, tensors)
    return tensors


def _collect(graph: Any, tensors: List[Any]) -> None:
    tensors.extend(graph.initializer)
    for sparse in graph.sparse_initializer:
        tensors.extend((sparse.values, sparse.indices))
    _collect_of_nodes(graph.node, tensors)


def _collect_of_nodes(nodes: Any, tensors: List[Any]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                tensors.append(attribute.t)
            tensors.extend(attribute.tensors)
            if attribute.HasField("g"):
                _collect(attribute.g, tensors)
            for graph in attribute.graphs:
                _collect(graph, tensors)
