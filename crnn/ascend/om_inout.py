"""An OM's partition 8: inputs, outputs and gears as newer releases of CANN write them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, List, Optional, Tuple

from crnn import cann
from crnn.ascend.om import UNKNOWN, Gears, OmTensor
from crnn.ascend.om_tensors import checked_shape, dtype_name
from crnn.ascend.wire import MAX_ITEMS, MAX_TEXT, printable
from crnn.errors import InputError

MAX_INOUT = 1 << 24
MAX_TENSORS = 1024
MAX_SECTIONS = 64

_COUNT = struct.Struct("<I")
_GEAR_KINDS = {
    cann.INOUT_DYNAMIC_BATCH: "batch",
    cann.INOUT_DYNAMIC_HW: "hw",
    cann.INOUT_DYNAMIC_DIMS: "dims",
}


@dataclass(frozen=True)
class InOut:
    """What the partition says; empty where there is none."""

    inputs: Tuple[OmTensor, ...] = ()
    outputs: Tuple[OmTensor, ...] = ()
    gears: Optional[Gears] = None


def parse_inout(data: bytes, where: str) -> InOut:
    """Parse the partition.

    Args:
        data: The partition's bytes; empty where an OM has none.
        where: Names the file in errors.

    Returns:
        Inputs, outputs and gears.

    Raises:
        InputError: It is damaged, or promises more than is believed.
    """
    inputs: Tuple[OmTensor, ...] = ()
    outputs: Tuple[OmTensor, ...] = ()
    gears = None
    cursor = _Cursor(data, 0, len(data), f"{where}: the in/out information")
    sections = 0
    while cursor.position < cursor.end:
        sections += 1
        if sections > MAX_SECTIONS:
            raise InputError(f"{cursor.name} has more than {MAX_SECTIONS} sections")
        kind, length = cursor.unpack(cann.INOUT_HEAD)
        section = cursor.section(length)
        if kind == cann.INOUT_INPUTS:
            inputs = _tensors(section)
        elif kind == cann.INOUT_OUTPUTS:
            outputs = _tensors(section)
        elif kind in _GEAR_KINDS:
            gears = _gears(section, kind) or gears
    return InOut(inputs, outputs, gears)


class _Cursor:
    """A place in bytes that never leaves them."""

    def __init__(self, data: bytes, position: int, end: int, name: str) -> None:
        self.data = data
        self.position = position
        self.end = end
        self.name = name

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
        start = self.position
        self.position += length
        return printable(self.data[start : self.position][:MAX_TEXT])

    def section(self, length: int) -> _Cursor:
        self._need(length)
        start = self.position
        self.position += length
        return _Cursor(self.data, start, self.position, self.name)

    def _need(self, length: int) -> None:
        left = self.end - self.position
        if length > left:
            raise InputError(
                f"{self.name} is damaged at byte {self.position}: {length} bytes promised, {left}"
                " left",
                hint="Copy or compile the model again.",
            )


def _tensors(section: _Cursor) -> Tuple[OmTensor, ...]:
    (count,) = section.unpack(_COUNT)
    if count > MAX_TENSORS:
        raise InputError(
            f"{section.name} promises {count} tensors; at most {MAX_TENSORS} are believed"
        )
    return tuple(_tensor(section) for _ in range(count))


def _tensor(section: _Cursor) -> OmTensor:
    head = section.unpack(cann.INOUT_TENSOR)
    size, layout, dtype, name_bytes, dims_bytes, dims2_bytes, ranges_bytes = head
    name = section.text(name_bytes)
    dims = section.numbers(dims_bytes // 8, "q")
    # The second form is the one whose product is the buffer's size where AIPP changes the input.
    dims = section.numbers(dims2_bytes // 8, "q") or dims
    section.section(ranges_bytes)
    return OmTensor(
        name=name or UNKNOWN,
        dtype=dtype_name(cann.data_type(dtype)),
        shape=checked_shape(dims, section.name),
        format=cann.FORMATS.get(layout, UNKNOWN),
        bytes=size or None,
    )


def _gears(section: _Cursor, kind: int) -> Optional[Gears]:
    (count,) = section.unpack(_COUNT)
    if count > cann.MAX_GEARS:
        raise InputError(
            f"{section.name} promises {count} gears; at most {cann.MAX_GEARS} are possible"
        )
    sizes: List[Tuple[int, ...]]
    if kind == cann.INOUT_DYNAMIC_BATCH:
        sizes = [(value,) for value in section.numbers(count, "Q")]
    else:
        lengths = section.numbers(count, "I")
        sizes = [section.numbers(length, "Q") for length in lengths]
    if not sizes:
        return None
    return Gears(_GEAR_KINDS[kind], tuple(sizes))
