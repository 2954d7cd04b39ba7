"""Writes small OM files from the constants, so that the reader meets every form that no real file
here has.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Tuple, Union

from crnn import cann
from crnn.ascend.om import Om, parse_om

Value = Union[str, int, bool, Sequence[int], Sequence[str]]


def parse_om_bytes(data: bytes, where: str = "OM") -> Om:
    """Read an OM from memory, as `parse_om` does."""
    return parse_om(io.BytesIO(data), where)


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def number(field_number: int, value: int) -> bytes:
    return varint(field_number << 3) + varint(value)


def block(field_number: int, value: Union[bytes, str]) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field_number << 3 | 2) + varint(len(data)) + data


def attribute(field_number: int, name: str, value: Value) -> bytes:
    return block(field_number, block(cann.MAP_KEY, name) + block(cann.MAP_VALUE, _attr_def(value)))


def _attr_def(value: Value) -> bytes:
    if isinstance(value, str):
        return block(cann.ATTR_STRING, value)
    if isinstance(value, bool):
        return number(cann.ATTR_BOOL, value)
    if isinstance(value, int):
        return number(cann.ATTR_INT, value)
    if value and isinstance(value[0], str):
        return block(cann.ATTR_LIST, b"".join(block(cann.LIST_STRING, str(item)) for item in value))
    packed = b"".join(varint(int(item)) for item in value)
    return block(cann.ATTR_LIST, block(cann.LIST_INT, packed) + number(20, 2))


def tensor(dtype: str, shape: Sequence[int], layout: str = "NCHW") -> bytes:
    dims = block(cann.SHAPE_DIM, b"".join(map(varint, shape)))
    head = number(cann.TENSOR_DTYPE, cann.PROTO_DTYPE_NUMBER[dtype])
    return head + block(cann.TENSOR_SHAPE, dims) + block(cann.TENSOR_LAYOUT, layout)


def op(name: str, kind: str, *descs: bytes, **attrs: Value) -> bytes:
    body = block(cann.OP_NAME, name) + block(cann.OP_TYPE, kind)
    body += b"".join(attribute(cann.OP_ATTR, key, value) for key, value in attrs.items())
    return block(cann.GRAPH_OP, body + b"".join(block(cann.OP_INPUT_DESC, desc) for desc in descs))


def definition(*ops: bytes, name: str = "crnn", **attrs: Value) -> bytes:
    graph = block(cann.GRAPH_NAME, f"{name}_graph") + b"".join(ops)
    model = (
        block(cann.MODEL_NAME, name)
        + number(cann.MODEL_VERSION, 2)
        + block(cann.MODEL_GRAPH, graph)
    )
    return model + b"".join(attribute(cann.MODEL_ATTR, key, value) for key, value in attrs.items())


def crnn_definition(batch: int = 1, **attrs: Value) -> bytes:
    return definition(
        op("actual_input_1", cann.OP_DATA, tensor("float32", (batch, 1, 32, 100)), index=0),
        # An operator of no interest, with kernels, stands between.
        op(
            "conv",
            "Conv2D",
            tensor("float16", (batch, 64, 32, 100)),
            _tbe_kernel_buffer="\x7fELF" * 50,
        ),
        op("Node_Output", cann.OP_NET_OUTPUT, tensor("float32", (26, batch, 37), "ND")),
        **attrs,
    )


def inout_tensor(
    name: str,
    dtype: str,
    shape: Sequence[int],
    *,
    shape2: Optional[Sequence[int]] = None,
    size: int = 0,
) -> bytes:
    dims = struct.pack(f"<{len(shape)}q", *shape)
    dims2 = dims if shape2 is None else struct.pack(f"<{len(shape2)}q", *shape2)
    ranges = struct.pack("<2q", 1, 16)
    layout, kind = cann.FORMAT_NUMBER["NCHW"], cann.ACL_DTYPE[dtype]
    head = cann.INOUT_TENSOR.pack(size, layout, kind, len(name), len(dims), len(dims2), len(ranges))
    return head + name.encode() + dims + dims2 + ranges


def in_out(
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    *,
    batch: Sequence[int] = (),
    hw: Sequence[Tuple[int, int]] = (),
    dims: Sequence[Sequence[int]] = (),
) -> bytes:
    def section(kind: int, body: bytes) -> bytes:
        return cann.INOUT_HEAD.pack(kind, len(body)) + body

    def rows(values: Sequence[Sequence[int]]) -> bytes:
        counts = struct.pack(f"<{1 + len(values)}I", len(values), *map(len, values))
        return counts + b"".join(struct.pack(f"<{len(row)}Q", *row) for row in values)

    data = section(cann.INOUT_INPUTS, struct.pack("<I", len(inputs)) + b"".join(inputs))
    data += section(cann.INOUT_OUTPUTS, struct.pack("<I", len(outputs)) + b"".join(outputs))
    if batch:
        data += section(
            cann.INOUT_DYNAMIC_BATCH,
            struct.pack("<I", len(batch)) + struct.pack(f"<{len(batch)}Q", *batch),
        )
    if hw:
        data += section(cann.INOUT_DYNAMIC_HW, rows(hw))
    if dims:
        data += section(cann.INOUT_DYNAMIC_DIMS, rows(dims))
    # A section of a kind that nobody has documented yet is passed over.
    return data + section(99, b"?")


@dataclass
class Writer:
    """An OM: its models are lists of (partition type, bytes)."""

    models: List[List[Tuple[int, bytes]]]
    version: int = cann.OM_VERSION_2
    wide: bool = False
    header: Dict[str, Union[int, bytes]] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        payload = b"".join(map(self._model, self.models))
        newer = self.version >= cann.OM_VERSION_2
        layout, names = (
            (cann.OM_HEADER_V2, cann.OM_HEADER_V2_FIELDS)
            if newer
            else (cann.OM_HEADER_V1, cann.OM_HEADER_V1_FIELDS)
        )
        values: Dict[str, Union[int, bytes]] = dict.fromkeys(names, 0)
        values.update(
            magic=cann.OM_MAGIC,
            header_size=cann.OM_HEADER_SIZE,
            version=self.version,
            checksum=b"",
            name=b"crnn_bs1",
            user_info=b"",
            platform_version=b"1.11.z.0",
        )
        values["model_length" if self.wide else "length"] = len(payload)
        if newer:
            values["model_num"] = len(self.models)
        values.update(self.header)
        return layout.pack(*(values[name] for name in names)) + payload

    def _model(self, parts: List[Tuple[int, bytes]]) -> bytes:
        head, entry = (
            (cann.OM_WIDE_HEAD, cann.OM_WIDE_ENTRY)
            if self.wide
            else (cann.OM_NARROW_HEAD, cann.OM_NARROW_ENTRY)
        )
        table, offset = head.pack(len(parts)), 0
        for kind, data in parts:
            table += entry.pack(kind, offset, len(data))
            offset += len(data)
        return table + b"".join(data for _, data in parts)


COMMAND = (
    "/usr/local/Ascend/ascend-toolkit/6.0.1/x86_64-linux/bin/atc.bin --model=/home/ada/crnn.onnx"
    " --framework=5"
)


def static(batch: int = 1, *, wide: bool = False, version: int = cann.OM_VERSION_2) -> bytes:
    """An OM as ATC writes one for a static batch, without in/out information."""
    model = crnn_definition(
        batch,
        soc_version="Ascend310",
        atc_version="1.83",
        atc_cmdline=f"{COMMAND} --soc_version=Ascend310",
        memory_size=4096,
        attr_model_out_nodes_name=["Add_64:0:output"],
    )
    parts = [
        (cann.PARTITION_MODEL_DEF, model),
        (cann.PARTITION_WEIGHTS, b"w" * 300),
        (cann.PARTITION_KERNELS, b"k" * 200),
        (cann.PARTITION_TASKS, b"t" * 100),
    ]
    return Writer([parts], wide=wide, version=version).to_bytes()


def geared() -> bytes:
    """An OM with batch gears, told in both ways."""
    gear_input = inout_tensor(cann.DYNAMIC_INPUT_NAME, "int32", (1,))
    info = in_out(
        [inout_tensor("actual_input_1", "float32", (-1, 1, 32, 100)), gear_input],
        [inout_tensor("output_0_Add_64_0", "float32", (26, -1, 37))],
        batch=(1, 4, 8, 16),
    )
    return Writer(
        [[(cann.PARTITION_INOUT, info), (cann.PARTITION_MODEL_DEF, geared_definition())]], wide=True
    ).to_bytes()


def geared_definition() -> bytes:
    gears = {f"{cann.ATTR_PRED_VALUE}{index}": (size,) for index, size in enumerate((1, 4, 8, 16))}
    origin = {cann.ATTR_ORIGIN_DIMS: (-1, 1, 32, 100)}
    return definition(
        op(cann.DYNAMIC_INPUT_NAME, cann.OP_DATA, tensor("int32", (1,), "ND"), index=1),
        op("actual_input_1", cann.OP_DATA, tensor("float32", (16, 1, 32, 100)), index=0, **origin),
        op(
            "case", cann.OP_CASE, tensor("int32", (1,)), batch_num=4, mbatch_dynamic_type=1, **gears
        ),
        op("Node_Output", cann.OP_NET_OUTPUT, tensor("float32", (26, -1, 37), "ND")),
        soc_version="Ascend310P3",
    )


def several(count: int = 3) -> bytes:
    """An OM of several models, the first of which is the root."""
    models = [[(cann.PARTITION_MODEL_DEF, crnn_definition(index + 1))] for index in range(count)]
    return Writer(models, wide=True).to_bytes()


def flow() -> bytes:
    """A flow model with two submodels."""
    parts = [
        (cann.PARTITION_MODEL_DEF, crnn_definition()),
        (cann.PARTITION_FLOW_SUBMODEL, block(1, "first") + block(2, "NPU") + block(3, static())),
        (cann.PARTITION_FLOW_SUBMODEL, block(1, "second") + block(2, "NPU") + block(3, static())),
    ]
    return Writer([parts], header={"model_type": cann.OM_MODEL_FLOW}, wide=True).to_bytes()


def aipp() -> bytes:
    """An OM with static AIPP on its only input."""
    shape = (1, 32, 100, 1)
    model = definition(
        op(
            "actual_input_1",
            cann.OP_DATA,
            tensor("uint8", shape, "NHWC"),
            **{
                cann.ATTR_AIPP_MODE: "static_aipp",
                cann.ATTR_AIPP_INPUTS: ["NHWC:DT_UINT8:actual_input_1:3200:4:1,32,100,1"],
            },
        ),
        op("Node_Output", cann.OP_NET_OUTPUT, tensor("float16", (26, 1, 37), "ND")),
        soc_version="Ascend310",
        atc_cmdline=f"{COMMAND} --soc_version=Ascend310 --precision_mode=allow_mix_precision",
    )
    return Writer([[(cann.PARTITION_MODEL_DEF, model)]]).to_bytes()


SAMPLES = {
    "static": static(),
    "static wide": static(4, wide=True),
    "first header": static(version=cann.OM_VERSION_1),
    "gears": geared(),
    "several": several(),
    "flow": flow(),
    "aipp": aipp(),
}

PIECES = (
    crnn_definition(),
    geared_definition(),
    op("x", cann.OP_DATA, tensor("float32", (1, 2))),
    op("case", cann.OP_CASE, batch_num=128),
    attribute(cann.MODEL_ATTR, cann.ATTR_OUT_NODES, ["a:0"]),
    in_out([inout_tensor("x", "uint8", (-1, 1))], [], batch=(1, 2)),
    in_out([], [], hw=[(1, 2)], dims=[(1, 2, 3)]),
    varint((1 << 64) - 1),
)
"""Pieces of the format, to be put where they do not belong."""
