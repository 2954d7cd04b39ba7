"""What an OM file holds, read without CANN: the container, its in/out information and its model
definition.

The container is a header of 256 bytes, then for each model a table of partitions and their data.
Inputs and outputs come from partition 8 where there is one, else from the graph in the model
definition (partition 0). Sizes are computed from shape and dtype, as ACL computes them; the sizes
stored in a graph's tensors are memory sizes and larger. Whatever cannot be told is "unknown". A
file that is damaged, cut short, encrypted or no OM is an `InputError`, found in bounded time and
memory: nothing is allocated by a size that the file claims without being that large.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Optional, Sequence, Tuple

from crnn import cann
from crnn.ascend.wire import MAX_ITEMS, MAX_TEXT, Span, Wire, printable
from crnn.errors import InputError
from crnn.filekind import ZIP
from crnn.files import LFS_MARK, require_file, sha256

UNKNOWN = "unknown"
DEFAULT_PRECISION = "FP16 compute (ATC's default)"
MAX_DEFINITION = 1 << 29
MAX_INOUT = 1 << 24
MAX_MODELS = 256
MAX_TENSORS = 1024
MAX_SECTIONS = 64
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
_MODES = {"static_aipp": "static", "dynamic_aipp": "dynamic", "dynamic_aipp_conf": "dynamic"}


@dataclass(frozen=True)
class OmTensor:
    """An input or output: NumPy's dtype name or "unknown", the shape with -1 for any size, bytes of
    the largest gear.

    ``shape`` is None where the file does not tell it, ``bytes`` where they do not follow from
    shape, dtype and gears.
    """

    name: str
    dtype: str
    shape: Optional[Tuple[int, ...]]
    format: str
    bytes: Optional[int]

    def __str__(self) -> str:
        shape = "shape unknown" if self.shape is None else f"({', '.join(map(str, self.shape))})"
        size = "size unknown" if self.bytes is None else f"{self.bytes} bytes"
        return f"{self.name} {self.dtype} {shape} {self.format}, {size}"


@dataclass(frozen=True)
class Gears:
    """The sizes that a model was compiled for:

    ``kind`` batch, hw or dims, and one tuple of numbers for each gear.
    """

    kind: str
    sizes: Tuple[Tuple[int, ...], ...]

    def __str__(self) -> str:
        return f"{self.kind} {', '.join('x'.join(map(str, size)) for size in self.sizes)}"


@dataclass(frozen=True)
class Aipp:
    """An input that the chip prepares itself; ``mode`` is static, dynamic or unknown."""

    input: str
    mode: str

    def __str__(self) -> str:
        return f"{self.input} ({self.mode})"


@dataclass(frozen=True)
class Partition:
    """A part of the file:

    the model it belongs to (from 0), its type's number and its place in bytes.
    """

    model: int
    type: int
    offset: int
    size: int

    @property
    def name(self) -> str:
        """What the part holds."""
        return cann.PARTITIONS.get(self.type, f"type {self.type}")


@dataclass(frozen=True)
class Om:
    """What an OM file holds; "unknown" where the file does not tell.

    ``inputs`` are all of the model's, in order, the gears' own included (see `data_inputs`).
    ``atc_cmdline`` holds paths of the machine that compiled the model: show it on request only.
    """

    file: str
    bytes: int
    sha256: str
    name: str
    header_version: str
    model_type: str
    models: int
    submodels: Tuple[str, ...]
    simulated: bool
    soc_version: str
    atc_version: str
    opp_version: str
    cann_version: str
    platform_version: str
    precision: str
    inputs: Tuple[OmTensor, ...]
    outputs: Tuple[OmTensor, ...]
    gears: Optional[Gears]
    aipp: Tuple[Aipp, ...]
    work_bytes: Optional[int]
    partitions: Tuple[Partition, ...]
    atc_cmdline: str = dataclasses.field(repr=False)

    @property
    def data_inputs(self) -> Tuple[OmTensor, ...]:
        """The inputs that take data, without those that choose a gear or set AIPP."""
        own = (cann.DYNAMIC_INPUT_NAME, cann.DYNAMIC_AIPP_NAME)
        return tuple(tensor for tensor in self.inputs if tensor.name not in own)

    @property
    def batch_sizes(self) -> Optional[Tuple[int, ...]]:
        """The batches that the model takes, ascending:

        its batch gears, else the first input's own; None if unknown.
        """
        if self.gears is not None:
            return (
                tuple(sorted(size[0] for size in self.gears.sizes))
                if self.gears.kind == "batch"
                else None
            )
        shape = self.data_inputs[0].shape if self.data_inputs else None
        return (shape[0],) if shape and shape[0] > 0 else None

    def size_of(self, *types: int) -> int:
        """The bytes of all partitions of these types."""
        return sum(part.size for part in self.partitions if part.type in types)

    def to_dict(self, *, command: bool = False) -> Dict[str, Any]:
        """Return everything as plain data; ATC's command line, which names local paths, only with
        ``command``.
        """
        data = dataclasses.asdict(self)
        data.update(
            format="OM",
            partitions=[
                {"model": part.model, "name": part.name, "bytes": part.size}
                for part in self.partitions
            ],
            weight_bytes=self.size_of(cann.PARTITION_WEIGHTS),
            task_bytes=self.size_of(cann.PARTITION_TASKS),
            kernel_bytes=self.size_of(cann.PARTITION_KERNELS, cann.PARTITION_AICPU),
        )
        if not command:
            del data["atc_cmdline"]
        return data

    def fields(self, *, command: bool = False) -> Dict[str, Any]:
        """Return everything as lines to be shown: a name, and a text or several."""
        shown = self.to_dict(command=command)
        shown.update(
            inputs=[str(tensor) for tensor in self.inputs] or UNKNOWN,
            outputs=[str(tensor) for tensor in self.outputs] or UNKNOWN,
            gears=str(self.gears) if self.gears else "none",
            aipp=[str(aipp) for aipp in self.aipp] or "none",
            simulated=(
                "yes: written by the kit's simulator, which computes in float32; no chip can"
                " load it"
                if self.simulated
                else "no"
            ),
            submodels=", ".join(self.submodels) or "none",
            partitions=", ".join(f"{part.name} {part.size}" for part in self.partitions),
            work_bytes=UNKNOWN if self.work_bytes is None else self.work_bytes,
        )
        first = (
            "file",
            "format",
            "bytes",
            "sha256",
            "name",
            "simulated",
            "soc_version",
            "inputs",
            "outputs",
            "gears",
        )
        return {key: shown[key] for key in (*first, *(key for key in shown if key not in first))}


def read_om(path: Path) -> Om:
    """Read an OM file.

    Raises `InputError` where it is missing, no OM, cut short, encrypted or damaged.
    """
    require_file(path, "an OM file")
    with open(path, "rb") as file:
        return dataclasses.replace(parse_om(file, str(path)), sha256=sha256(path))


def parse_om(file: BinaryIO, where: str = "OM") -> Om:
    """Read an OM from an open file, without its hash; ``where`` names it in errors.

    Raises `InputError`.
    """
    size = file.seek(0, os.SEEK_END)
    header = _read_header(file, size, where)
    if header.encrypted:
        raise InputError(
            f"{where} is encrypted: what it holds cannot be told",
            hint="Compile it without encryption, or ask whoever made it.",
        )
    partitions = _read_tables(file, size, header, where)
    definition = _read_definition(file, partitions, where)
    inputs, outputs, gears = _read_inout(file, partitions, where)
    gears = gears or definition.gears
    return Om(
        file=where,
        bytes=size,
        sha256=UNKNOWN,
        name=header.name or definition.name or UNKNOWN,
        header_version=f"0x{header.version:08x}",
        model_type=cann.OM_MODEL_TYPES.get(header.model_type, f"type {header.model_type}"),
        models=1 + max((part.model for part in partitions), default=0),
        submodels=_read_submodels(file, partitions, where),
        simulated=header.simulated or definition.simulated,
        soc_version=definition.soc_version or UNKNOWN,
        atc_version=definition.atc_version or UNKNOWN,
        opp_version=definition.opp_version or UNKNOWN,
        cann_version=_cann_of(definition.command),
        platform_version=header.platform_version or definition.custom_version or UNKNOWN,
        precision=_precision_of(definition.command),
        inputs=tuple(_sized(tensor, gears) for tensor in inputs or definition.inputs),
        outputs=tuple(_sized(tensor, gears) for tensor in outputs or definition.outputs),
        gears=gears,
        aipp=definition.aipp,
        work_bytes=definition.work_bytes,
        partitions=partitions,
        atc_cmdline=definition.command,
    )


# --- the container
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Header:
    version: int
    model_type: int
    name: str
    platform_version: str
    encrypted: bool
    simulated: bool
    wide: bool
    models: int
    payload: int


def _read_header(file: BinaryIO, size: int, where: str) -> _Header:
    head = _read(file, 0, min(size, cann.OM_HEADER_SIZE))
    _refuse_others(head, where)
    if size < cann.OM_HEADER_SIZE:
        raise InputError(
            f"{where} is cut short: {size} bytes, and an OM's header alone has"
            f" {cann.OM_HEADER_SIZE}",
            hint="Copy it again and compare sizes: ls -l",
        )
    version = struct.unpack_from("<I", head, 8)[0]
    # The older layout has no model_num: what stands there is the beginning of a text.
    newer = version >= cann.OM_VERSION_2
    layout, names = (
        (cann.OM_HEADER_V2, cann.OM_HEADER_V2_FIELDS)
        if newer
        else (cann.OM_HEADER_V1, cann.OM_HEADER_V1_FIELDS)
    )
    fields = dict(zip(names, layout.unpack(head)))
    if fields["header_size"] != cann.OM_HEADER_SIZE:
        raise InputError(
            f"{where}: the header says that it has {fields['header_size']} bytes; expected"
            f" {cann.OM_HEADER_SIZE}",
            hint="The file is damaged, or of a CANN newer than this kit knows.",
        )
    header = _Header(
        version=version,
        model_type=fields["model_type"],
        name=_padded(fields["name"]),
        platform_version=_padded(fields["platform_version"]),
        encrypted=fields["encrypted"] != 0,
        simulated=fields["user_info"].startswith(cann.SIMULATED_MARK),
        wide=fields.get("model_length", 0) != 0 or fields["model_type"] == cann.OM_MODEL_FLOW,
        # GE's own rule: several models only where the header says so in either of two ways.
        models=(
            fields["model_num"]
            if newer and (fields["model_num"] > 1 or fields["is_unknown"] == 1)
            else 1
        ),
        payload=fields.get("model_length", 0) or fields["length"],
    )
    _check_payload(header, size, where)
    return header


def _check_payload(header: _Header, size: int, where: str) -> None:
    found = size - cann.OM_HEADER_SIZE
    if header.payload != found:
        problem = "is cut short" if found < header.payload else "is longer than it should be"
        raise InputError(
            f"{where} {problem}: the header promises {header.payload} bytes after it, the file has"
            f" {found}",
            hint="Copy it again and compare the hashes: sha256sum",
        )
    if header.models > MAX_MODELS:
        raise InputError(
            f"{where}: the header promises {header.models} models; at most {MAX_MODELS} are"
            " believed"
        )


def _refuse_others(head: bytes, where: str) -> None:
    if head.startswith(cann.OM_MAGIC):
        return
    if head.startswith(LFS_MARK):
        raise InputError(
            f"{where} is a Git LFS pointer, not the file itself",
            hint="Fetch the file in the repository that it came from: git lfs pull",
        )
    guess = (
        " (it looks like a PyTorch checkpoint or another zip archive)"
        if head.startswith(ZIP)
        else ""
    )
    raise InputError(
        f"{where} is no OM: it begins with {head[:4]!r}; expected {cann.OM_MAGIC!r}{guess}",
        hint="An OM is what ATC writes: ./atc_crnn.sh model.onnx name",
    )


def _read_tables(file: BinaryIO, size: int, header: _Header, where: str) -> Tuple[Partition, ...]:
    partitions: List[Partition] = []
    position = cann.OM_HEADER_SIZE
    for model in range(max(header.models, 1)):
        parts = _read_table(file, position, size, header.wide, model, where)
        position = max(part.offset + part.size for part in parts)
        partitions += parts
    if header.models > 1 and position != size:
        raise InputError(
            f"{where} is damaged: its {header.models} models end at byte {position}, the file at"
            f" {size}"
        )
    return tuple(partitions)


def _read_table(
    file: BinaryIO, position: int, size: int, wide: bool, model: int, where: str
) -> Sequence[Partition]:
    head, entry = (
        (cann.OM_WIDE_HEAD, cann.OM_WIDE_ENTRY)
        if wide
        else (cann.OM_NARROW_HEAD, cann.OM_NARROW_ENTRY)
    )
    name = f"{where}: the partition table of model {model} at byte {position}"
    if size - position < head.size:
        raise InputError(f"{name} is cut short")
    (count,) = head.unpack(_read(file, position, head.size))
    start = position + head.size + count * entry.size
    if not 1 <= count <= cann.OM_MAX_PARTITIONS:
        raise InputError(
            f"{name} promises {count} partitions; expected 1 to {cann.OM_MAX_PARTITIONS}"
        )
    if start > size:
        raise InputError(f"{name} promises {count} partitions and is cut short")
    parts = []
    for number, offset, length in entry.iter_unpack(
        _read(file, position + head.size, count * entry.size)
    ):
        if offset > size - start or length > size - start - offset:
            raise InputError(
                f"{name} places type {number} at {offset} with {length} bytes; only {size - start}"
                " follow it",
                hint="The file is damaged: copy or compile it again.",
            )
        parts.append(Partition(model, number, start + offset, length))
    return parts


# --- partition 8: inputs, outputs and gears
# --------------------------------------------------------------------------


def _read_inout(
    file: BinaryIO, partitions: Sequence[Partition], where: str
) -> Tuple[Tuple[OmTensor, ...], Tuple[OmTensor, ...], Optional[Gears]]:
    inputs: Tuple[OmTensor, ...] = ()
    outputs: Tuple[OmTensor, ...] = ()
    gears = None
    data = _read_first(file, partitions, cann.PARTITION_INOUT, MAX_INOUT, where)
    cursor = _Cursor(data, 0, len(data), f"{where}: the in/out information")
    sections = 0
    while cursor.position < cursor.end:
        sections += 1
        if sections > MAX_SECTIONS:
            raise InputError(f"{cursor.name} has more than {MAX_SECTIONS} sections")
        kind, length = cursor.unpack(cann.INOUT_HEAD)
        section = cursor.section(length)
        if kind == cann.INOUT_INPUTS:
            inputs = _inout_tensors(section)
        elif kind == cann.INOUT_OUTPUTS:
            outputs = _inout_tensors(section)
        elif kind in _INOUT_GEARS:
            gears = _inout_gears(section, kind) or gears
    return inputs, outputs, gears


_INOUT_GEARS = {
    cann.INOUT_DYNAMIC_BATCH: "batch",
    cann.INOUT_DYNAMIC_HW: "hw",
    cann.INOUT_DYNAMIC_DIMS: "dims",
}


class _Cursor:
    """A place in bytes that never leaves them."""

    def __init__(self, data: bytes, position: int, end: int, name: str) -> None:
        self.data, self.position, self.end, self.name = data, position, end, name

    def unpack(self, layout: struct.Struct) -> Tuple[Any, ...]:
        self._need(layout.size)
        values = layout.unpack_from(self.data, self.position)
        self.position += layout.size
        return values

    def numbers(self, count: int, code: str) -> Tuple[int, ...]:
        if count > MAX_ITEMS:
            raise InputError(
                f"{self.name} promises a list of {count} numbers; at most {MAX_ITEMS} are believed"
            )
        return self.unpack(struct.Struct(f"<{count}{code}"))

    def text(self, length: int) -> str:
        self._need(length)
        self.position += length
        return printable(self.data[self.position - length : self.position][:MAX_TEXT])

    def section(self, length: int) -> _Cursor:
        self._need(length)
        self.position += length
        return _Cursor(self.data, self.position - length, self.position, self.name)

    def _need(self, length: int) -> None:
        if length > self.end - self.position:
            left = self.end - self.position
            raise InputError(
                f"{self.name} is damaged at byte {self.position}: {length} bytes promised, {left}"
                " left",
                hint="Copy or compile the model again.",
            )


_COUNT = struct.Struct("<I")


def _inout_tensors(section: _Cursor) -> Tuple[OmTensor, ...]:
    (count,) = section.unpack(_COUNT)
    if count > MAX_TENSORS:
        raise InputError(
            f"{section.name} promises {count} tensors; at most {MAX_TENSORS} are believed"
        )
    return tuple(_inout_tensor(section) for _ in range(count))


def _inout_tensor(section: _Cursor) -> OmTensor:
    size, layout, dtype, name_bytes, dims_bytes, dims2_bytes, ranges_bytes = section.unpack(
        cann.INOUT_TENSOR
    )
    name = section.text(name_bytes)
    dims = section.numbers(dims_bytes // 8, "q")
    # The second form is the one whose product is the buffer's size where AIPP changes the input.
    dims = section.numbers(dims2_bytes // 8, "q") or dims
    section.section(ranges_bytes)
    return OmTensor(
        name=name or UNKNOWN,
        dtype=_dtype_name(cann.data_type(dtype)),
        shape=_shape(dims, section.name),
        format=cann.FORMATS.get(layout, UNKNOWN),
        bytes=size or None,
    )


def _inout_gears(section: _Cursor, kind: int) -> Optional[Gears]:
    (count,) = section.unpack(_COUNT)
    if count > cann.MAX_GEARS:
        raise InputError(
            f"{section.name} promises {count} gears; at most {cann.MAX_GEARS} are possible"
        )
    if kind == cann.INOUT_DYNAMIC_BATCH:
        sizes: List[Tuple[int, ...]] = [(value,) for value in section.numbers(count, "Q")]
    else:
        sizes = [section.numbers(length, "Q") for length in section.numbers(count, "I")]
    return Gears(_INOUT_GEARS[kind], tuple(sizes)) if sizes else None


# --- partition 0: the model definition
# -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Definition:
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


def _read_definition(file: BinaryIO, partitions: Sequence[Partition], where: str) -> _Definition:
    data = _read_first(file, partitions, cann.PARTITION_MODEL_DEF, MAX_DEFINITION, where)
    wire = Wire(data, f"{where}: the model definition")
    attributes = wire.attributes(wire.whole, cann.MODEL_ATTR, _MODEL_ATTRS)
    ops = _interesting_ops(wire)
    feeds = _in_order(wire, [op for op in ops if op.type in (cann.OP_DATA, cann.OP_AIPP_DATA)])
    return _Definition(
        name=wire.first_text(wire.whole, cann.MODEL_NAME) or "",
        custom_version=wire.first_text(wire.whole, cann.MODEL_CUSTOM_VERSION) or "",
        soc_version=wire.attribute_text(attributes, cann.ATTR_SOC_VERSION),
        atc_version=wire.attribute_text(attributes, cann.ATTR_ATC_VERSION),
        opp_version=wire.attribute_text(attributes, cann.ATTR_OPP_VERSION),
        command=wire.attribute_text(attributes, cann.ATTR_ATC_CMDLINE, MAX_COMMAND),
        work_bytes=wire.attribute_integer(attributes, cann.ATTR_MEMORY_SIZE),
        simulated=wire.attribute_integer(attributes, cann.SIMULATED_ATTR) == 1,
        inputs=tuple(_input_of(wire, op) for op in feeds),
        outputs=_outputs_of(wire, ops, wire.attribute_texts(attributes, cann.ATTR_OUT_NODES)),
        gears=_gears_of(wire, ops),
        aipp=tuple(aipp for aipp in (_aipp_of(wire, op) for op in feeds) if aipp),
    )


def _interesting_ops(wire: Wire) -> List[_Op]:
    """Return inputs, outputs and the gear switch of the first graph, which is the root."""
    graph = next(wire.spans(wire.whole, cann.MODEL_GRAPH), None)
    kinds = (cann.OP_DATA, cann.OP_AIPP_DATA, cann.OP_NET_OUTPUT, cann.OP_CASE)
    ops: List[_Op] = []
    for span in wire.spans(graph, cann.GRAPH_OP) if graph else ():
        kind = wire.first_text(span, cann.OP_TYPE)
        if kind in kinds:
            name = wire.first_text(span, cann.OP_NAME) or UNKNOWN
            ops.append(_Op(name, kind, span, wire.attributes(span, cann.OP_ATTR, _OP_ATTRS)))
        if len(ops) > MAX_TENSORS:
            raise InputError(f"{wire.where} has more than {MAX_TENSORS} inputs and outputs")
    return ops


def _in_order(wire: Wire, feeds: List[_Op]) -> List[_Op]:
    """Sort inputs by their index; where one has none, the order in the graph holds, as it does for
    GE.
    """
    indices = [wire.attribute_integer(op.attributes, cann.ATTR_INDEX) for op in feeds]
    numbers = [index for index in indices if index is not None]
    if len(numbers) < len(feeds):
        return feeds
    return [feeds[place] for place in sorted(range(len(feeds)), key=lambda place: numbers[place])]


def _input_of(wire: Wire, op: _Op) -> OmTensor:
    span = next(wire.spans(op.span, cann.OP_INPUT_DESC), None) or next(
        wire.spans(op.span, cann.OP_OUTPUT_DESC), None
    )
    tensor = _tensor_of(wire, span, op.name)
    origin = wire.attribute_integers(op.attributes, cann.ATTR_ORIGIN_DIMS)
    if not origin:
        return tensor
    # With gears the graph holds the largest shape; the attribute the one with -1 that was compiled.
    return dataclasses.replace(_sized(tensor, None), shape=_shape(origin, wire.where))


def _outputs_of(wire: Wire, ops: List[_Op], names: Tuple[str, ...]) -> Tuple[OmTensor, ...]:
    output = next((op for op in ops if op.type == cann.OP_NET_OUTPUT), None)
    tensors: List[OmTensor] = []
    for index, span in enumerate(wire.spans(output.span, cann.OP_INPUT_DESC) if output else ()):
        if index >= MAX_TENSORS:
            raise InputError(f"{wire.where} has more than {MAX_TENSORS} outputs")
        tensors.append(
            _tensor_of(wire, span, names[index] if index < len(names) else f"output_{index}")
        )
    return tuple(tensors)


def _tensor_of(wire: Wire, span: Optional[Span], name: str) -> OmTensor:
    if span is None:
        return OmTensor(name, UNKNOWN, None, UNKNOWN, None)
    dtype, layout, shape = 0, "", None
    for number, value, inner in wire.fields(span):
        if number == cann.TENSOR_DTYPE and inner is None:
            dtype = value
        elif number == cann.TENSOR_SHAPE and inner is not None:
            shape = _shape(wire.integers(inner, cann.SHAPE_DIM), wire.where)
        elif number == cann.TENSOR_LAYOUT and inner is not None:
            layout = wire.text(inner)
    return OmTensor(name, cann.PROTO_DTYPE.get(dtype, UNKNOWN), shape, layout or UNKNOWN, None)


def _gears_of(wire: Wire, ops: List[_Op]) -> Optional[Gears]:
    case = next((op for op in ops if op.type == cann.OP_CASE), None)
    count = wire.attribute_integer(case.attributes, cann.ATTR_BATCH_NUM) if case else None
    if case is None or count is None:
        return None
    if not 0 <= count <= cann.MAX_GEARS:
        raise InputError(
            f"{wire.where} promises {count} gears; at most {cann.MAX_GEARS} are possible"
        )
    read = (
        wire.attribute_integers(case.attributes, f"{cann.ATTR_PRED_VALUE}{index}")
        for index in range(count)
    )
    sizes = tuple(size for size in read if size)
    number = wire.attribute_integer(case.attributes, cann.ATTR_GEAR_KIND)
    guess = {1: "batch", 2: "hw"}.get(max(map(len, sizes), default=0), "dims")
    return Gears(cann.GEAR_KINDS.get(number or 0, guess), sizes) if sizes else None


def _aipp_of(wire: Wire, op: _Op) -> Optional[Aipp]:
    if op.type == cann.OP_AIPP_DATA:
        return Aipp(op.name, "dynamic")
    mode = wire.attribute_text(op.attributes, cann.ATTR_AIPP_MODE)
    if mode or cann.ATTR_AIPP in op.attributes:
        return Aipp(op.name, _MODES.get(mode, UNKNOWN))
    return None


# --- what follows from it
# --------------------------------------------------------------------------------------------


def _sized(tensor: OmTensor, gears: Optional[Gears]) -> OmTensor:
    """Give a tensor the bytes that its shape, its dtype and the largest gear come to, where they
    can be told.
    """
    size = next(
        (row.size for row in cann.DATA_TYPES.values() if _dtype_name(row) == tensor.dtype), None
    )
    if tensor.shape is None or size is None:
        return tensor
    open_places = [length for length in tensor.shape if length < 0]
    count = math.prod(length for length in tensor.shape if length >= 0)
    if open_places:
        largest = _largest(gears, len(open_places))
        if largest is None:
            return tensor
        count *= largest
    return dataclasses.replace(tensor, bytes=count * size)


def _largest(gears: Optional[Gears], places: int) -> Optional[int]:
    """Return by how much the largest gear multiplies a tensor with this many open places."""
    if gears is None or places != {"batch": 1, "hw": 2}.get(gears.kind):
        return None
    return max(math.prod(size) for size in gears.sizes)


def _shape(dims: Tuple[int, ...], where: str) -> Tuple[int, ...]:
    if len(dims) > cann.MAX_DIMS:
        raise InputError(
            f"{where}: a shape has {len(dims)} dimensions; CANN has at most {cann.MAX_DIMS}"
        )
    return dims


def _dtype_name(data_type: cann.DataType) -> str:
    return UNKNOWN if data_type.number < 0 else data_type.name


def _cann_of(command: str) -> str:
    """Return the release whose folder ATC was started from, where the command line shows it."""
    match = re.match(r"\S*/(?:ascend-toolkit|nnae|cann)[/-](\d+\.[0-9A-Za-z.]+)/", command[:4096])
    return match.group(1) if match else UNKNOWN


def _precision_of(command: str) -> str:
    """Return what the command line says of the precision; without one it cannot be told."""
    words = command.replace("=", " ").split()
    flags = {
        word.lstrip("-").replace("-", "_"): index
        for index, word in enumerate(words)
        if word.startswith("-")
    }
    if "soc_version" not in flags:
        return UNKNOWN
    for name in ("precision_mode_v2", "precision_mode"):
        value = words[flags[name] + 1 : flags[name] + 2] if name in flags else []
        if value:
            return f"{value[0]} ({name})"
    return DEFAULT_PRECISION


def _read_submodels(file: BinaryIO, partitions: Sequence[Partition], where: str) -> Tuple[str, ...]:
    """Return the names of a flow model's submodels:

    the first field of each, which stands at its beginning.
    """
    names = []
    for part in partitions:
        if part.type == cann.PARTITION_FLOW_SUBMODEL:
            head = _read(file, part.offset, min(part.size, 512))
            # A name is 10, its length, its bytes: the submodel's own OM follows and is of no
            # interest here.
            known = len(head) > 2 and head[0] == 10 and head[1] < 128 and 2 + head[1] <= len(head)
            names.append(printable(head[2 : 2 + head[1]]) if known else UNKNOWN)
    return tuple(names)


def _read_first(
    file: BinaryIO, partitions: Sequence[Partition], kind: int, limit: int, where: str
) -> bytes:
    """Return the bytes of the first model's partition of a type; empty if there is none."""
    part = next((part for part in partitions if part.type == kind and part.model == 0), None)
    if part is None:
        return b""
    if part.size > limit:
        raise InputError(f"{where}: {part.name} has {part.size} bytes; at most {limit} are read")
    return _read(file, part.offset, part.size)


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _padded(text: bytes) -> str:
    return printable(text.split(b"\0", 1)[0])
