"""What follows from an OM's shapes, dtypes and gears, by ACL's own rules."""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple

from crnn import cann
from crnn.ascend.om import UNKNOWN, Gears, OmTensor
from crnn.errors import InputError
from crnn.python37 import prod

_GEAR_PLACES = {"batch": 1, "hw": 2}


def sized(tensor: OmTensor, gears: Optional[Gears]) -> OmTensor:
    """Give a tensor its bytes: those that shape, dtype and the largest gear come to.

    Args:
        tensor: A tensor as the file describes it.
        gears: The model's gears, None where it has none.

    Returns:
        The tensor with ``bytes`` set; unchanged where they cannot be told.
    """
    size = _item_size(tensor.dtype)
    if tensor.shape is None or size is None:
        return tensor
    open_places = sum(length < 0 for length in tensor.shape)
    count = prod(length for length in tensor.shape if length >= 0)
    if open_places:
        largest = _largest(gears, open_places)
        if largest is None:
            return tensor
        count *= largest
    return dataclasses.replace(tensor, bytes=count * size)


def _item_size(dtype: str) -> Optional[int]:
    for row in cann.DATA_TYPES.values():
        if dtype_name(row) == dtype:
            return row.size
    return None


def _largest(gears: Optional[Gears], places: int) -> Optional[int]:
    """Return by how much the largest gear multiplies a tensor with this many open places."""
    if gears is None:
        return None
    expected = _GEAR_PLACES.get(gears.kind)
    if gears.kind == "dims":
        # A number for each open place of all inputs: here all of them are this tensor's.
        expected = len(gears.sizes[0])
    if places != expected:
        return None
    return max(prod(size) for size in gears.sizes)


def checked_shape(dims: Tuple[int, ...], where: str) -> Tuple[int, ...]:
    """Return the dims; more than CANN can have raise `InputError`, with ``where`` in its text."""
    if len(dims) > cann.MAX_DIMS:
        raise InputError(
            f"{where}: a shape has {len(dims)} dimensions; CANN has at most {cann.MAX_DIMS}"
        )
    return dims


def dtype_name(data_type: cann.DataType) -> str:
    """Return NumPy's name of a dtype of ACL, "unknown" for one that it does not know."""
    if data_type.number < 0:
        return UNKNOWN
    return data_type.name
