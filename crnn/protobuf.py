"""The protocol buffers' wire format, read without the package: field numbers and values, bounded.

https://protobuf.dev/programming-guides/encoding/. What the fields of a message mean is the caller's
to know. The package is not on every machine, and its parser builds the whole message; the readers
here walk over the fields without a copy, never recurse, and visit a limited number of them, so that
a small file cannot cost much. Needs nothing but Python.
"""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional, Tuple, Union

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""The wire types that are in use; 3 and 4 are those of groups, which proto3 does not have."""
MOST_FIELDS = 100_000
"""Fields that `fields` visits, and numbers that `packed` reads, unless told otherwise."""
_MOST_VARINT_BYTES = 10
_LOW_64_BITS = 0xFFFFFFFFFFFFFFFF

Buffer = Union[bytes, memoryview]
Value = Union[int, memoryview]


class WireError(ValueError):
    """Bytes that are not a message; ``position`` is where in them, None where that is not known."""

    def __init__(self, message: str, position: Optional[int] = None) -> None:
        super().__init__(message)
        self.position = position


class Field(NamedTuple):
    """A field of a message: its number, its wire type, and its value.

    ``value`` is that of a varint, from 0 to 2**64 - 1, and 0 for the other wire types. ``start``
    and ``end`` say where in the bytes the content stands.
    """

    number: int
    kind: int
    value: int
    start: int
    end: int


class Budget:
    """A number of fields that may be visited; one budget can serve many messages of a file."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most

    def spend(self, count: int, position: int) -> None:
        """Count fields, or what costs as much.

        Args:
            count: How many.
            position: Where in the bytes they stand, for the error.

        Raises:
            WireError: More than the budget have been visited.
        """
        self._left -= count
        if self._left < 0:
            raise WireError(f"more than {self._most} fields", position)


def walk(data: Buffer, start: int, end: int, budget: Budget) -> Iterator[Field]:
    """Yield each field of a message, in order, without a copy.

    Args:
        data: The bytes that the message stands in.
        start: Where it begins.
        end: Where it ends.
        budget: What the fields are counted in.

    Yields:
        The fields; their places are counted from the beginning of ``data``.

    Raises:
        WireError: The bytes are not a message, or the budget is spent.
    """
    position = start
    while position < end:
        budget.spend(1, position)
        tag, position = varint(data, position, end)
        number = tag >> 3
        kind = tag & 7
        if number == 0:
            raise WireError("a field has the number 0", position)
        if kind == VARINT:
            begin = position
            value, position = varint(data, position, end)
            yield Field(number, kind, value, begin, position)
            continue
        length, position = _length(data, position, end, kind)
        left = end - position
        if length > left:
            message = f"a field of {length} bytes begins {left} bytes before the end"
            raise WireError(message, position)
        yield Field(number, kind, 0, position, position + length)
        position += length


def _length(data: Buffer, position: int, end: int, kind: int) -> Tuple[int, int]:
    """Return the bytes of a field's content, and where it begins."""
    if kind == BYTES:
        return varint(data, position, end)
    if kind == FIXED64:
        return 8, position
    if kind == FIXED32:
        return 4, position
    raise WireError(f"a field has the wire type {kind}", position)


def fields(data: memoryview, *, most: int = MOST_FIELDS) -> Iterator[Tuple[int, Value]]:
    """Yield each field of a message as its number and its value, in order, without a copy.

    Args:
        data: The message.
        most: Fields that it may have.

    Yields:
        The number, and an int from 0 to 2**64 - 1 for a varint, a view of the bytes for all else.

    Raises:
        WireError: The bytes are not a message, or it has more fields.
    """
    for field in walk(data, 0, len(data), Budget(most)):
        if field.kind == VARINT:
            yield field.number, field.value
        else:
            yield field.number, data[field.start : field.end]


def varint(data: Buffer, position: int, end: Optional[int] = None) -> Tuple[int, int]:
    """Return a number of one to ten bytes.

    Args:
        data: The bytes that it stands in.
        position: Where it begins.
        end: Where it must have ended; None for the end of ``data``.

    Returns:
        The number, from 0 to 2**64 - 1, and the position after it.

    Raises:
        WireError: It does not end.
    """
    if end is None:
        end = len(data)
    value = 0
    for index in range(_MOST_VARINT_BYTES):
        if position >= end:
            raise WireError("a number is cut off", position)
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & _LOW_64_BITS, position
    raise WireError("a number has more than ten bytes", position)


def signed(value: int) -> int:
    """Return a varint as the int64 that it stands for.

    Args:
        value: From 0 to 2**64 - 1.

    Returns:
        From -2**63 to 2**63 - 1.
    """
    if value >> 63:
        return value - (1 << 64)
    return value


def packed(value: Value, *, most: int = MOST_FIELDS) -> Iterator[int]:
    """Yield the int64 values of one occurrence of a repeated field, alone or packed.

    Args:
        value: The field's value, as `fields` gives it.
        most: Numbers that it may hold.

    Yields:
        The numbers, from -2**63 to 2**63 - 1.

    Raises:
        WireError: The last one does not end, or there are more.
    """
    if isinstance(value, int):
        yield signed(value)
        return
    position = 0
    for _ in range(most):
        if position == len(value):
            return
        number, position = varint(value, position)
        yield signed(number)
    if position != len(value):
        raise WireError(f"more than {most} numbers", position)


def payload(value: Value) -> memoryview:
    """Return the bytes of a field.

    Args:
        value: The field's value, as `fields` gives it.

    Returns:
        The view of them.

    Raises:
        WireError: The value is a number.
    """
    if isinstance(value, int):
        raise WireError(f"a field is the number {value}; expected bytes")
    return value
