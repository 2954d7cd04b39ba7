"""What an ONNX file holds."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any, Dict, List

from crnn.errors import needs
from crnn.filekind import sha256
from crnn.runners.int8 import int8_of
from crnn.runners.onnx_file import hash_external_data
from crnn.runners.onnx_runner import load_graph
from crnn.spec import METADATA_KEY, ModelSpec, spec_in


def describe_onnx(path: Path) -> Dict[str, Any]:
    """Describe an ONNX file.

    Args:
        path: The file.

    Returns:
        Inputs, outputs, opset, IR version, operators, metadata, spec, hash and size.

    Raises:
        InputError: It is not an ONNX file, or its spec cannot be read.
    """
    proto = load_graph(path)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    carried = spec_in(metadata, path)
    metadata.pop(METADATA_KEY, None)
    spec = carried or ModelSpec.default()
    operators = collections.Counter(node.op_type for node in proto.graph.node)
    spec_from = "default (the file carries none)"
    if carried:
        spec_from = "file"
    external: Dict[str, Any] = {}
    hashes = hash_external_data(proto, path)
    if hashes:
        external["external_data"] = hashes
    found = int8_of(proto)
    int8: Dict[str, Any] = {}
    if found.operators:
        int8["int8"] = {"operators": list(found.operators), "weights": found.weights}
    return {
        "file": str(path),
        "format": "ONNX",
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        **external,
        "opset": {entry.domain or "ai.onnx": entry.version for entry in proto.opset_import},
        "ir_version": proto.ir_version,
        "producer": f"{proto.producer_name} {proto.producer_version}".strip() or "unknown",
        "inputs": _inputs(proto.graph),
        "outputs": [_tensor(value) for value in proto.graph.output],
        "nodes": len(proto.graph.node),
        "operators": {name: operators[name] for name in sorted(operators)},
        **int8,
        "metadata": metadata,
        "spec_from": spec_from,
        "spec": spec.to_dict(),
    }


def _inputs(graph: Any) -> List[str]:
    # Old files list their weights among the inputs.
    initialisers = {tensor.name for tensor in graph.initializer}
    return [_tensor(value) for value in graph.input if value.name not in initialisers]


def _tensor(value: Any) -> str:
    with needs("onnx"):
        import onnx

    tensor = value.type.tensor_type
    shape = [size.dim_param or str(size.dim_value) for size in tensor.shape.dim]
    name = "unknown"
    if tensor.elem_type and tensor.elem_type in onnx.TensorProto.DataType.values():
        name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    elif tensor.elem_type:
        name = f"unknown type {tensor.elem_type}"
    return f"{value.name} {name} ({', '.join(shape)})"
