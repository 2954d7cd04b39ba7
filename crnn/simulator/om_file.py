"""The simulated OM: a true header and partition table around the ONNX file and what ATC was told of
it.

Two layouts, as real releases write them: narrow tables without in/out info before CANN 7, wide ones
with it after. The header's user info and a model attribute mark the file as simulated; no chip can
run it.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from crnn import cann
from crnn.python37 import prod

_BODY_MAGIC = b"CRNN-SIMULATED-OM\n"
_BODY_HEAD = struct.Struct("<Q")
_WIDE_FROM = (7, 0)
_BATCH_KIND, _DIMS_KIND = 1, 3
"""What GE's attribute for the kind of gears says."""

Value = Union[int, bool, str, List[int], List[str]]


Gear = Tuple[int, ...]
"""A number for each size that a gear gives: the batch alone, or one for each -1."""


def filled(dims: Iterable[int], numbers: Sequence[int]) -> Tuple[int, ...]:
    """Put numbers in the places of -1.

    Args:
        dims: Dims such as (-1, 1, 32, 100).
        numbers: One for each -1, in order.

    Returns:
        The dims of this gear, such as (16, 1, 32, 100).
    """
    left = iter(numbers)
    sizes = list(dims)
    for position, size in enumerate(sizes):
        if size == -1:
            sizes[position] = next(left)
    return tuple(sizes)


def bytes_of(dtype: str, dims: Sequence[int]) -> int:
    """Return the bytes of an array.

    Args:
        dtype: NumPy's name.
        dims: Its dims.

    Returns:
        Bytes.
    """
    return prod(dims) * np.dtype(dtype).itemsize


@dataclass(frozen=True)
class OmTensor:
    """An input or output:

    NumPy's dtype name, dims (-1 where gears decide), aclFormat's name, image dims for AIPP.
    """

    name: str
    dtype: str
    dims: Tuple[int, ...]
    layout: str


@dataclass(frozen=True)
class Aipp:
    """What the AIPP file said of one input: (pixel - mean - min) * var_reci, per channel."""

    input_format: str
    width: int
    height: int
    mean: Tuple[int, ...]
    minimum: Tuple[float, ...]
    reciprocal: Tuple[float, ...]


@dataclass(frozen=True)
class SimulatedOm:
    """Everything the simulator needs to run a model.

    ``sizes`` are the batch sizes, one or the gears; ``dims_gears`` the gears of --dynamic_dims, a
    number for each -1 of the inputs in the order of ``shape_order``, their names as --input_shape
    gave them: with these, ``sizes`` is empty. ``outputs_by_size`` are the output dims for each
    gear. The gear input is not among ``inputs``. ``fed`` names the ONNX graph's own inputs, in
    order, with their dtype and dims.
    """

    name: str
    soc: str
    release: Tuple[int, int]
    command: str
    precision: str
    inputs: Tuple[OmTensor, ...]
    outputs: Tuple[OmTensor, ...]
    fed: Tuple[OmTensor, ...]
    sizes: Tuple[int, ...]
    dynamic: bool
    outputs_by_size: Tuple[Tuple[Tuple[int, ...], ...], ...]
    aipp: Optional[Aipp]
    onnx: bytes = b""
    dims_gears: Tuple[Gear, ...] = ()
    shape_order: Tuple[str, ...] = ()

    @property
    def all_inputs(self) -> Tuple[OmTensor, ...]:
        """The inputs with the gear input, which comes last."""
        if not self.dynamic:
            return self.inputs
        numbers = len(self.largest)
        return (*self.inputs, OmTensor(cann.DYNAMIC_INPUT_NAME, "int32", (numbers,), "ND"))

    @property
    def gears(self) -> Tuple[Gear, ...]:
        """What may be set; of a static model the one batch that it has."""
        return self.dims_gears or tuple((size,) for size in self.sizes)

    @property
    def largest(self) -> Gear:
        """The gear whose numbers multiply to the most, which GE makes the buffers for."""
        return max(self.gears, key=prod)

    def input_dims(self, index: int, gear: Gear) -> Tuple[int, ...]:
        """Return an input's dims for a gear.

        Args:
            index: Which one, from 0, the gear input last.
            gear: One of the gears.

        Returns:
            The dims without -1.
        """
        tensor = self.all_inputs[index]
        return filled(tensor.dims, self._numbers(tensor.name, gear))

    def input_bytes(self, index: int, gear: Gear) -> int:
        """Return an input's bytes for a gear.

        Args:
            index: Which one, from 0, the gear input last.
            gear: One of the gears.

        Returns:
            Bytes.
        """
        return bytes_of(self.all_inputs[index].dtype, self.input_dims(index, gear))

    def joined_dims(self, gear: Gear) -> Tuple[int, ...]:
        """Return what set_input_dynamic_dims takes: all inputs' dims, one after the other.

        Args:
            gear: One of the gears, or () for the dims as they are, with -1.

        Returns:
            The dims in the order of ``shape_order``.
        """
        numbers = iter(gear)
        joined: List[int] = []
        for name in self.shape_order:
            for size in self._named(name).dims:
                if size == -1:
                    size = next(numbers, -1)
                joined.append(size)
        return tuple(joined)

    def _named(self, name: str) -> OmTensor:
        return next(tensor for tensor in self.inputs if tensor.name == name)

    def _numbers(self, name: str, gear: Gear) -> Gear:
        """Return those numbers of a gear that stand in the place of an input's -1."""
        start = 0
        for other in self.shape_order:
            count = self._named(other).dims.count(-1)
            if other == name:
                return gear[start : start + count]
            start += count
        return gear


def work_size(om: SimulatedOm) -> int:
    """Return the work memory that the simulator charges:

    four times its inputs and outputs and a mebibyte.

    Args:
        om: What the OM holds.

    Returns:
        Bytes.
    """
    gear = om.largest
    total = sum(om.input_bytes(index, gear) for index in range(len(om.inputs)))
    total += sum(bytes_of(tensor.dtype, tensor.dims) for tensor in om.outputs)
    return 4 * total + (1 << 20)


class NotSimulatedError(Exception):
    """A file is not an OM that the simulator wrote."""


def to_bytes(om: SimulatedOm) -> bytes:
    """Return the file.

    Args:
        om: What the OM holds.

    Returns:
        The whole file.
    """
    wide = om.release >= _WIDE_FROM
    partitions = [(cann.PARTITION_MODEL_DEF, _model_def(om)), (cann.PARTITION_WEIGHTS, _body(om))]
    if wide:
        partitions.insert(0, (cann.PARTITION_INOUT, _inout(om)))
    payload = _table(partitions, wide) + b"".join(data for _, data in partitions)
    return _header(om, len(payload), wide) + payload


def _header(om: SimulatedOm, length: int, wide: bool) -> bytes:
    # New releases keep the length in a field of 64 bits, and leave the old one 0.
    old_length = length
    new_length = 0
    if wide:
        old_length = 0
        new_length = length
    release = f"simulated {om.release[0]}.{om.release[1]}"
    return cann.OM_HEADER_V2.pack(
        cann.OM_MAGIC,
        cann.OM_HEADER_SIZE,
        cann.OM_VERSION_2,
        b"",
        old_length,
        0,
        1,
        cann.OM_MODEL_IR,
        0,
        om.name.encode("utf-8")[:31],
        0,
        cann.SIMULATED_MARK,
        0,
        int(wide),
        release.encode(),
        0,
        new_length,
        0,
        0,
    )


def from_bytes(data: bytes) -> SimulatedOm:
    """Read what `to_bytes` gave; `NotSimulatedError` says what else it is.

    Sizes must fit, as GE demands.

    Args:
        data: A whole file.

    Returns:
        What it holds.

    Raises:
        NotSimulatedError: It is something else.
    """
    if len(data) < cann.OM_HEADER_SIZE or data[:4] != cann.OM_MAGIC:
        raise NotSimulatedError("not an OM: it does not begin with IMOD and a header")
    fields = dict(zip(cann.OM_HEADER_V2_FIELDS, cann.OM_HEADER_V2.unpack_from(data)))
    if fields["user_info"].rstrip(b"\0") != cann.SIMULATED_MARK:
        raise NotSimulatedError("a real OM, which only a chip can run")
    if (fields["model_length"] or fields["length"]) != len(data) - cann.OM_HEADER_SIZE:
        raise NotSimulatedError("a truncated or extended OM")
    start = data.find(_BODY_MAGIC)
    if start < 0:
        raise NotSimulatedError("an OM without the simulator's part")
    try:
        values, onnx = _split_body(data[start + len(_BODY_MAGIC) :])
        return _from_values(values, onnx)
    except (ValueError, TypeError, KeyError, struct.error) as error:
        raise NotSimulatedError(f"a damaged OM: {error}") from error


def _split_body(data: bytes) -> Tuple[Dict[str, Any], bytes]:
    parts: List[bytes] = []
    for _ in range(2):
        (length,) = _BODY_HEAD.unpack_from(data)
        data = data[_BODY_HEAD.size :]
        if length > len(data):
            raise ValueError("it ends too early")
        parts.append(data[:length])
        data = data[length:]
    return json.loads(parts[0]), parts[1]


def _body(om: SimulatedOm) -> bytes:
    values = dataclasses.asdict(dataclasses.replace(om, onnx=b""))
    del values["onnx"]
    if not om.dims_gears:
        # Written only where they are set, so that older files and newer ones are alike.
        del values["dims_gears"], values["shape_order"]
    text = json.dumps(values, sort_keys=True).encode()
    return _BODY_MAGIC + _BODY_HEAD.pack(len(text)) + text + _BODY_HEAD.pack(len(om.onnx)) + om.onnx


def _from_values(values: Dict[str, Any], onnx: bytes) -> SimulatedOm:
    for key in ("inputs", "outputs", "fed"):
        values[key] = tuple(_tensor(row) for row in values[key])
    values["outputs_by_size"] = tuple(
        tuple(tuple(dims) for dims in row) for row in values["outputs_by_size"]
    )
    values["sizes"] = tuple(values["sizes"])
    values["dims_gears"] = tuple(tuple(gear) for gear in values.get("dims_gears", ()))
    values["shape_order"] = tuple(values.get("shape_order", ()))
    values["release"] = tuple(values["release"])
    if values["aipp"] is not None:
        fields: Dict[str, Any] = dict(values["aipp"])
        for key in ("mean", "minimum", "reciprocal"):
            fields[key] = tuple(fields[key])
        values["aipp"] = Aipp(**fields)
    return SimulatedOm(onnx=onnx, **values)


def _tensor(row: Dict[str, Any]) -> OmTensor:
    fields = dict(row)
    fields["dims"] = tuple(int(size) for size in row["dims"])
    tensor = OmTensor(**fields)
    known = tensor.dtype in cann.ACL_DTYPE and tensor.layout in cann.FORMAT_NUMBER
    if not known or min(tensor.dims) < -1:
        raise ValueError(f"{tensor.name} is not a tensor")
    return tensor


def _table(partitions: List[Tuple[int, bytes]], wide: bool) -> bytes:
    head = cann.OM_NARROW_HEAD
    entry = cann.OM_NARROW_ENTRY
    if wide:
        head = cann.OM_WIDE_HEAD
        entry = cann.OM_WIDE_ENTRY
    table = head.pack(len(partitions))
    offset = 0
    for kind, data in partitions:
        table += entry.pack(kind, offset, len(data))
        offset += len(data)
    return table


# --- partition 8: a list of {type, length, value}


def _inout(om: SimulatedOm) -> bytes:
    places = range(len(om.all_inputs))
    inputs = [om.input_bytes(index, om.largest) for index in places]
    outputs = [bytes_of(tensor.dtype, tensor.dims) for tensor in om.outputs]
    parts = [
        (cann.INOUT_INPUTS, _tensors(om.all_inputs, inputs)),
        (cann.INOUT_OUTPUTS, _tensors(om.outputs, outputs)),
    ]
    if om.dims_gears:
        parts.append((cann.INOUT_DYNAMIC_DIMS, _dims_gears(om.dims_gears)))
    elif om.dynamic:
        count = len(om.sizes)
        gears = struct.pack(f"<I{count}Q", count, *om.sizes)
        parts.append((cann.INOUT_DYNAMIC_BATCH, gears))
    data = b""
    for kind, value in parts:
        data += cann.INOUT_HEAD.pack(kind, len(value))
        data += value
    return data


def _dims_gears(gears: Sequence[Gear]) -> bytes:
    data = struct.pack("<I", len(gears))
    for gear in gears:
        data += struct.pack("<I", len(gear))
    for gear in gears:
        data += struct.pack(f"<{len(gear)}Q", *gear)
    return data


def _tensors(tensors: Sequence[OmTensor], sizes: Sequence[int]) -> bytes:
    data = struct.pack("<I", len(tensors))
    for tensor, size in zip(tensors, sizes):
        name = tensor.name.encode("utf-8")
        dims = struct.pack(f"<{len(tensor.dims)}q", *tensor.dims)
        data += cann.INOUT_TENSOR.pack(
            size,
            cann.FORMAT_NUMBER[tensor.layout],
            cann.ACL_DTYPE[tensor.dtype],
            len(name),
            len(dims),
            len(dims),
            0,
        )
        data += name + dims + dims
    return data


# --- partition 0: protobuf, ge.proto.ModelDef


def _model_def(om: SimulatedOm) -> bytes:
    attrs: Dict[str, Value] = {
        cann.SIMULATED_ATTR: True,
        cann.ATTR_SOC_VERSION: om.soc,
        cann.ATTR_ATC_VERSION: f"{om.release[0]}.{om.release[1]}",
        cann.ATTR_OPP_VERSION: f"{om.release[0]}.{om.release[1]}",
        cann.ATTR_ATC_CMDLINE: om.command,
        cann.ATTR_OUT_NODES: [tensor.name for tensor in om.outputs],
        cann.ATTR_MEMORY_SIZE: work_size(om),
    }
    return (
        _text(cann.MODEL_NAME, om.name)
        + _number(cann.MODEL_VERSION, 2)
        + _bytes(cann.MODEL_GRAPH, _graph(om))
        + _attrs(cann.MODEL_ATTR, attrs)
    )


def _graph(om: SimulatedOm) -> bytes:
    ops = []
    for index, tensor in enumerate(om.all_inputs):
        aipp = None
        if index == 0:
            aipp = om.aipp
        ops.append(_data_op(index, tensor, aipp))
    if om.dynamic:
        ops.append(_gears_op(om))
    ops.append(_output_op(om))
    graph = _text(cann.GRAPH_NAME, om.name)
    for op in ops:
        graph += _bytes(cann.GRAPH_OP, op)
    return graph


def _gears_op(om: SimulatedOm) -> bytes:
    kind = _BATCH_KIND
    if om.dims_gears:
        kind = _DIMS_KIND
    gears: Dict[str, Value] = {
        cann.ATTR_BATCH_NUM: len(om.gears),
        cann.ATTR_GEAR_KIND: kind,
    }
    for index, gear in enumerate(om.gears):
        gears[f"{cann.ATTR_PRED_VALUE}{index}"] = list(gear)
    op = _text(cann.OP_NAME, "ascend_mbatch_case")
    op += _text(cann.OP_TYPE, cann.OP_CASE)
    op += _attrs(cann.OP_ATTR, gears)
    return op


def _output_op(om: SimulatedOm) -> bytes:
    op = _text(cann.OP_NAME, "NetOutput")
    op += _text(cann.OP_TYPE, cann.OP_NET_OUTPUT)
    for tensor in om.outputs:
        op += _bytes(cann.OP_INPUT_DESC, _descriptor(tensor))
    return op


def _data_op(index: int, tensor: OmTensor, aipp: Optional[Aipp]) -> bytes:
    attrs: Dict[str, Value] = {cann.ATTR_INDEX: index}
    op = _text(cann.OP_NAME, tensor.name) + _text(cann.OP_TYPE, cann.OP_DATA)
    op += _bytes(cann.OP_OUTPUT_DESC, _descriptor(tensor))
    if aipp is None:
        return op + _attrs(cann.OP_ATTR, attrs)
    attrs[cann.ATTR_AIPP_MODE] = "static_aipp"
    return op + _attrs(cann.OP_ATTR, attrs) + _aipp_attr(aipp)


def _aipp_attr(aipp: Aipp) -> bytes:
    # NamedAttrs: name 1, attr 2 (a map)
    function = _text(1, "aipp") + b"".join(
        _entry(2, name, value)
        for name, value in (
            ("input_format", _text(cann.ATTR_STRING, aipp.input_format)),
            ("src_image_size_w", _number(cann.ATTR_INT, aipp.width)),
            ("src_image_size_h", _number(cann.ATTR_INT, aipp.height)),
            ("mean_chn_0", _number(cann.ATTR_INT, aipp.mean[0])),
            ("min_chn_0", _float(cann.ATTR_FLOAT, aipp.minimum[0])),
            ("var_reci_chn_0", _float(cann.ATTR_FLOAT, aipp.reciprocal[0])),
        )
    )
    return _entry(cann.OP_ATTR, cann.ATTR_AIPP, _bytes(cann.ATTR_FUNC, function))


def _descriptor(tensor: OmTensor) -> bytes:
    shape = _bytes(cann.SHAPE_DIM, b"".join(_varint(size) for size in tensor.dims))
    return (
        _text(cann.TENSOR_NAME, tensor.name)
        + _number(cann.TENSOR_DTYPE, cann.PROTO_DTYPE_NUMBER[tensor.dtype])
        + _bytes(cann.TENSOR_SHAPE, shape)
        + _text(cann.TENSOR_LAYOUT, tensor.layout)
    )


def _attrs(field: int, attrs: Mapping[str, Value]) -> bytes:
    return b"".join(_entry(field, name, _attr(value)) for name, value in attrs.items())


def _entry(field: int, name: str, value: bytes) -> bytes:
    return _bytes(field, _text(cann.MAP_KEY, name) + _bytes(cann.MAP_VALUE, value))


def _attr(value: Value) -> bytes:
    if isinstance(value, bool):
        return _number(cann.ATTR_BOOL, int(value))
    if isinstance(value, int):
        return _number(cann.ATTR_INT, value)
    if isinstance(value, str):
        return _text(cann.ATTR_STRING, value)
    items = b""
    for item in value:
        if isinstance(item, str):
            items += _text(cann.LIST_STRING, item)
        else:
            items += _number(cann.LIST_INT, item)
    return _bytes(cann.ATTR_LIST, items)


def _varint(value: int) -> bytes:
    value %= 1 << 64
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode("utf-8"))
