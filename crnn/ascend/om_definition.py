"""An OM's partition 0: the model definition, a message of GE's ``ge_ir.proto``."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

from crnn import cann
from crnn.ascend.om import UNKNOWN, Aipp, Gears, OmTensor
from crnn.ascend.om_tensors import checked_shape, sized
from crnn.ascend.wire import Span, Wire
from crnn.errors import InputError

DEFAULT_PRECISION = "FP16 compute (ATC's default)"
MAX_DEFINITION = 1 << 29
MAX_TENSORS = 1024
MAX_COMMAND = 1 << 16

_MODEL_ATTRS = (
    cann.ATTR_SOC_VERSION,
    cann.ATTR_ATC_VERSION,
    cann.ATTR_OPP_VERSION,
    cann.ATTR_ATC_CMDLINE,
    cann.ATTR_OUT_NODES,
    cann.ATTR_MEMORY_SIZE,
    cann.SIMULATED_ATTR,
)
_OP_ATTRS = (
    cann.ATTR_INDEX,
    cann.ATTR_AIPP,
    cann.ATTR_AIPP_MODE,
    cann.ATTR_ORIGIN_DIMS,
    cann.ATTR_BATCH_NUM,
    cann.ATTR_PRED_VALUE,
    cann.ATTR_GEAR_KIND,
)
_FEEDS = (cann.OP_DATA, cann.OP_AIPP_DATA)
_INTERESTING = (*_FEEDS, cann.OP_NET_OUTPUT, cann.OP_CASE)
_MODES = {"static_aipp": "static", "dynamic_aipp": "dynamic", "dynamic_aipp_conf": "dynamic"}
_KIND_BY_PLACES = {1: "batch", 2: "hw"}


@dataclass(frozen=True)
class Definition:
    """What the definition says; empty where it does not tell."""

    name: str = ""
    custom_version: str = ""
    soc_version: str = ""
    atc_version: str = ""
    opp_version: str = ""
    command: str = ""
    work_bytes: Optional[int] = None
    simulated: bool = False
    inputs: Tuple[OmTensor, ...] = ()
    outputs: Tuple[OmTensor, ...] = ()
    gears: Optional[Gears] = None
    aipp: Tuple[Aipp, ...] = ()


@dataclass(frozen=True)
class _Op:
    name: str
    type: str
    span: Span
    attributes: Dict[str, Span]


def parse_definition(data: bytes, where: str) -> Definition:
    """Parse the definition.

    Args:
        data: The partition's bytes.
        where: Names the file in errors.

    Returns:
        Names, versions, inputs, outputs, gears and AIPP.

    Raises:
        InputError: It is damaged, or promises more than is believed.
    """
    wire = Wire(data, f"{where}: the model definition")
    attributes = wire.attributes(wire.whole, cann.MODEL_ATTR, _MODEL_ATTRS)
    ops = _interesting_ops(wire)
    feeds = _in_order(wire, [op for op in ops if op.type in _FEEDS])
    out_names = wire.attribute_texts(attributes, cann.ATTR_OUT_NODES)
    aipp = [_aipp_of(wire, op) for op in feeds]
    return Definition(
        name=wire.first_text(wire.whole, cann.MODEL_NAME) or "",
        custom_version=wire.first_text(wire.whole, cann.MODEL_CUSTOM_VERSION) or "",
        soc_version=wire.attribute_text(attributes, cann.ATTR_SOC_VERSION),
        atc_version=wire.attribute_text(attributes, cann.ATTR_ATC_VERSION),
        opp_version=wire.attribute_text(attributes, cann.ATTR_OPP_VERSION),
        command=wire.attribute_text(attributes, cann.ATTR_ATC_CMDLINE, MAX_COMMAND),
        work_bytes=wire.attribute_integer(attributes, cann.ATTR_MEMORY_SIZE),
        simulated=wire.attribute_integer(attributes, cann.SIMULATED_ATTR) == 1,
        inputs=tuple(_input_of(wire, op) for op in feeds),
        outputs=_outputs_of(wire, ops, out_names),
        gears=_gears_of(wire, ops),
        aipp=tuple(entry for entry in aipp if entry is not None),
    )


def _interesting_ops(wire: Wire) -> List[_Op]:
    """Return inputs, outputs and the gear switch of the first graph, which is the root."""
    ops: List[_Op] = []
    graph = next(wire.spans(wire.whole, cann.MODEL_GRAPH), None)
    if graph is None:
        return ops
    for span in wire.spans(graph, cann.GRAPH_OP):
        kind = wire.first_text(span, cann.OP_TYPE)
        if kind in _INTERESTING:
            name = wire.first_text(span, cann.OP_NAME) or UNKNOWN
            ops.append(_Op(name, kind, span, wire.attributes(span, cann.OP_ATTR, _OP_ATTRS)))
        if len(ops) > MAX_TENSORS:
            raise InputError(f"{wire.where} has more than {MAX_TENSORS} inputs and outputs")
    return ops


def _in_order(wire: Wire, feeds: List[_Op]) -> List[_Op]:
    """Sort inputs by their index.

    Where one has none, the order in the graph holds, as it does for GE.
    """
    indexed = []
    for place, op in enumerate(feeds):
        index = wire.attribute_integer(op.attributes, cann.ATTR_INDEX)
        if index is None:
            return feeds
        indexed.append((index, place))
    return [feeds[place] for _, place in sorted(indexed)]


def _input_of(wire: Wire, op: _Op) -> OmTensor:
    span = next(wire.spans(op.span, cann.OP_INPUT_DESC), None)
    if not span:
        span = next(wire.spans(op.span, cann.OP_OUTPUT_DESC), None)
    tensor = _tensor_of(wire, span, op.name)
    origin = wire.attribute_integers(op.attributes, cann.ATTR_ORIGIN_DIMS)
    if not origin:
        return tensor
    # With gears the graph holds the largest shape; the attribute the one with -1 that was compiled.
    return dataclasses.replace(sized(tensor, None), shape=checked_shape(origin, wire.where))


def _outputs_of(wire: Wire, ops: List[_Op], names: Tuple[str, ...]) -> Tuple[OmTensor, ...]:
    output = _first_of(ops, cann.OP_NET_OUTPUT)
    if output is None:
        return ()
    tensors: List[OmTensor] = []
    for index, span in enumerate(wire.spans(output.span, cann.OP_INPUT_DESC)):
        if index >= MAX_TENSORS:
            raise InputError(f"{wire.where} has more than {MAX_TENSORS} outputs")
        name = f"output_{index}"
        if index < len(names):
            name = names[index]
        tensors.append(_tensor_of(wire, span, name))
    return tuple(tensors)


def _first_of(ops: List[_Op], kind: str) -> Optional[_Op]:
    return next((op for op in ops if op.type == kind), None)


def _tensor_of(wire: Wire, span: Optional[Span], name: str) -> OmTensor:
    if span is None:
        return OmTensor(name, UNKNOWN, None, UNKNOWN, None)
    dtype = 0
    layout = ""
    shape = None
    for number, value, inner in wire.fields(span):
        if number == cann.TENSOR_DTYPE and inner is None:
            dtype = value
        elif number == cann.TENSOR_SHAPE and inner is not None:
            shape = checked_shape(wire.integers(inner, cann.SHAPE_DIM), wire.where)
        elif number == cann.TENSOR_LAYOUT and inner is not None:
            layout = wire.text(inner)
    return OmTensor(name, cann.PROTO_DTYPE.get(dtype, UNKNOWN), shape, layout or UNKNOWN, None)


def _gears_of(wire: Wire, ops: List[_Op]) -> Optional[Gears]:
    case = _first_of(ops, cann.OP_CASE)
    if case is None:
        return None
    count = wire.attribute_integer(case.attributes, cann.ATTR_BATCH_NUM)
    if count is None:
        return None
    if not 0 <= count <= cann.MAX_GEARS:
        raise InputError(
            f"{wire.where} promises {count} gears; at most {cann.MAX_GEARS} are possible"
        )
    sizes = []
    for index in range(count):
        size = wire.attribute_integers(case.attributes, f"{cann.ATTR_PRED_VALUE}{index}")
        if size:
            sizes.append(size)
    if not sizes:
        return None
    number = wire.attribute_integer(case.attributes, cann.ATTR_GEAR_KIND) or 0
    guess = _KIND_BY_PLACES.get(max(map(len, sizes)), "dims")
    return Gears(cann.GEAR_KINDS.get(number, guess), tuple(sizes))


def _aipp_of(wire: Wire, op: _Op) -> Optional[Aipp]:
    if op.type == cann.OP_AIPP_DATA:
        return Aipp(op.name, "dynamic")
    mode = wire.attribute_text(op.attributes, cann.ATTR_AIPP_MODE)
    if mode or cann.ATTR_AIPP in op.attributes:
        return Aipp(op.name, _MODES.get(mode, UNKNOWN))
    return None


def cann_of(command: str) -> str:
    """Return the release whose folder ATC was started from, where its command line shows it."""
    match = re.match(r"\S*/(?:ascend-toolkit|nnae|cann)[/-](\d+\.[0-9A-Za-z.]+)/", command[:4096])
    if match is None:
        return UNKNOWN
    return match.group(1)


def precision_of(command: str) -> str:
    """Return what ATC's command line says of the precision; without one it cannot be told."""
    words = command.replace("=", " ").split()
    flags = {}
    for index, word in enumerate(words):
        if word.startswith("-"):
            flags[word.lstrip("-").replace("-", "_")] = index
    if "soc_version" not in flags:
        return UNKNOWN
    for name in ("precision_mode_v2", "precision_mode"):
        if name not in flags:
            continue
        value = words[flags[name] + 1 : flags[name] + 2]
        if value:
            return f"{value[0]} ({name})"
    return DEFAULT_PRECISION
