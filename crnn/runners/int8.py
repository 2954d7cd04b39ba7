"""Models that compute with eight-bit integers, and processors on which their sums overflow.

On x86-64 without VNNI, ONNX Runtime's fast kernels multiply unsigned inputs by signed weights and
add the products in pairs into 16 bits that saturate: 2 x 255 x 127 does not fit, 2 x 255 x 64 does.
Weights within -64 to 64 are therefore exact everywhere. For others ONNX Runtime has the option
``session.x64quantprecision``, which takes slower and exact kernels (its header
onnxruntime_session_options_config_keys.h describes it).
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any, Optional, Tuple

import numpy as np

from crnn.errors import needs
from crnn.runners.onnx_file import graph_tensors, nodes_in, quantised_operators

EXACT_KEY = "session.x64quantprecision"
SAFE = 64
"""The largest weight whose sums fit into 16 bits on every processor."""
FIRST_WITH_KEY = (1, 13)
"""1.10.0, 1.11.1 and 1.12.1 take the key and go on saturating; 1.13.1 obeys it."""
FIRST_WITHOUT_ABORT = (1, 31)
"""1.13.1 to 1.28.0 obey the key, but abort the process on the operators in `_WITH_ZERO_POINTS`
where these have no zero points; 1.31.1 does not.
"""

_WITH_ZERO_POINTS = ("MatMulInteger", "ConvInteger")


@dataclass(frozen=True)
class Int8:
    """What a model computes in eight bits.

    ``operators`` are the names of its quantised operators, sorted; ``wide`` says whether it has
    signed weights beyond -64 to 64, or such as the file itself does not tell; ``bare`` whether an
    integer product lacks its zero points.
    """

    operators: Tuple[str, ...]
    wide: bool
    bare: bool

    @property
    def weights(self) -> str:
        """A sentence for `crnn inspect`."""
        if self.wide:
            return (
                f"beyond -{SAFE} to {SAFE}: on x86-64 without VNNI their sums saturate"
                f" unless {EXACT_KEY}=1, which the kit sets there"
            )
        return f"no signed ones beyond -{SAFE} to {SAFE}: exact on every processor"


def int8_of(proto: Any) -> Int8:
    """Find the quantised operators of a graph, whoever wrote it.

    Args:
        proto: A ModelProto.

    Returns:
        The quantised operators and the bits of their weights; no operators for a float model.
    """
    operators = quantised_operators(proto)
    if not operators:
        return Int8((), False, False)
    nodes = list(nodes_in(proto.graph))
    bare = any(node.op_type in _WITH_ZERO_POINTS and len(node.input) < 4 for node in nodes)
    tensors = graph_tensors(proto.graph)
    wide = any(_is_wide(tensor) for tensor in tensors) or _quantised_at_load(nodes, tensors)
    return Int8(operators, wide, bare)


def is_x86_64() -> bool:
    """Say whether this is the architecture on which sums may saturate."""
    return platform.machine().lower() in ("x86_64", "amd64")


def saturates() -> bool:
    """Say whether ONNX Runtime's integer products saturate here, by computing one.

    The kernel's list of instruction sets is that of the machine; under an emulator, and on systems
    that have no such list, only the product tells.

    Returns:
        True where sums of two products stop at 16 bits, as without VNNI.
    """
    if not is_x86_64():
        return False
    with needs("onnxruntime"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    data, images, expected = _product()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    output: np.ndarray = session.run(None, {"x": images})[0]
    return not bool(np.all(output == expected))


@dataclass(frozen=True)
class Way:
    """How a model is to be run: with `EXACT_KEY` or not, and what to tell of it, "" for nothing."""

    exact: bool
    note: str


def way_for(found: Int8, saturating: bool, version: str) -> Way:
    """Return how to run a model.

    Args:
        found: what it computes in eight bits.
        saturating: whether sums saturate on this processor (`saturates`).
        version: ONNX Runtime's, such as "1.31.1".
    """
    if not found.wide or not saturating:
        return Way(False, "")
    loss = "its int8 sums saturate on this processor, which has no VNNI, and it may read worse"
    remedy = "or quantise the float model again with crnn quantize"
    release = _release(version)
    if release < FIRST_WITH_KEY:
        note = f"{loss}: ONNX Runtime {version} ignores {EXACT_KEY}. Use 1.13 or later, {remedy}"
        return Way(False, note)
    if found.bare and release < FIRST_WITHOUT_ABORT:
        note = (
            f"{loss}: ONNX Runtime {version} may abort on {EXACT_KEY} with operators that have no"
            f" zero points. Use 1.31 or later, {remedy}"
        )
        return Way(False, note)
    note = (
        "int8 sums would saturate on this processor, which has no VNNI: the model runs with"
        f" {EXACT_KEY}=1, exact and slower"
    )
    return Way(True, note)


def way_here(found: Int8, version: str) -> Way:
    """Say how a model's quantised operators are to be run on this processor.

    Args:
        found: What `int8_of` gave.
        version: ONNX Runtime's version.

    Returns:
        Whether the session needs the exact kernels, and what a person should be told.
    """
    if not found.wide:
        return Way(False, "")
    return way_for(found, saturates(), version)


def _release(version: str) -> Tuple[int, ...]:
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())


def _is_wide(tensor: Any) -> bool:
    with needs("onnx"):
        import onnx
        from onnx import numpy_helper
    # Zero points have one dimension at most, weights two at least.
    if tensor.data_type != onnx.TensorProto.INT8 or len(tensor.dims) < 2:
        return False
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return True
    values = numpy_helper.to_array(tensor).astype(np.int16)
    return bool(values.size and np.abs(values).max() > SAFE)


def _quantised_at_load(nodes: Any, tensors: Any) -> bool:
    """Say whether float weights become signed integers only as the model is loaded."""
    with needs("onnx"):
        import onnx
    kinds = {tensor.name: tensor.data_type for tensor in tensors}
    weights = {tensor.name for tensor in tensors if len(tensor.dims) >= 2}
    for node in nodes:
        if node.op_type != "QuantizeLinear" or node.input[0] not in weights:
            continue
        zero: Optional[str] = None
        if len(node.input) > 2:
            zero = node.input[2]
        if zero and kinds.get(zero) == onnx.TensorProto.INT8:
            return True
    return False


def _product() -> Tuple[bytes, np.ndarray, int]:
    """Return a model of one integer product, its input, and every value of its exact output."""
    with needs("onnx"):
        from onnx import TensorProto, helper, numpy_helper
    depth = 64
    constants = [
        numpy_helper.from_array(np.full((depth, 16), 127, np.int8), "w"),
        numpy_helper.from_array(np.uint8(0), "zero"),
        numpy_helper.from_array(np.int8(0), "none"),
    ]
    node = helper.make_node("MatMulInteger", ["x", "w", "zero", "none"], ["y"])
    given = helper.make_tensor_value_info("x", TensorProto.UINT8, [4, depth])
    wanted = helper.make_tensor_value_info("y", TensorProto.INT32, [4, 16])
    graph = helper.make_graph([node], "product", [given], [wanted], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    data: bytes = model.SerializeToString()
    return data, np.full((4, depth), 255, np.uint8), 255 * 127 * depth
