"""The wire format of protocol buffers, against bytes written out by hand."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.datasets.tfrecord_file import parse_example
from crnn.protobuf import (
    Budget,
    Field,
    WireError,
    fields,
    packed,
    payload,
    signed,
    varint,
    walk,
)
from tests.ascend.om_writer import varint as written

# Field 1 is the varint 150 (the example of the format's documentation), field 2 the bytes "ok",
# field 3 eight bytes, field 4 four.
GOLDEN = bytes.fromhex("089601 12026f6b 190102030405060708 2501020304")


def test_fields_of_every_wire_type():
    found = list(fields(memoryview(GOLDEN)))
    assert found == [(1, 150), (2, b"ok"), (3, bytes(range(1, 9))), (4, bytes(range(1, 5)))]


def test_walk_counts_places_from_the_beginning_of_the_bytes():
    data = b"??" + GOLDEN + b"??"
    found = list(walk(data, 2, len(data) - 2, Budget(4)))
    assert found[1] == Field(2, 2, 0, 7, 9)
    assert found[0] == Field(1, 0, 150, 3, 5)


@pytest.mark.parametrize(
    ("data", "message", "position"),
    [
        (b"\x0a\xff", "a number is cut off", 2),
        (b"\xff" * 30, "a number has more than ten bytes", 10),
        (b"\x00\x00", "a field has the number 0", 1),
        (b"\x0b", "a field has the wire type 3", 1),
        (b"\x0a\x03ab", "a field of 3 bytes begins 2 bytes before the end", 2),
        (b"\x09\0\0", "a field of 8 bytes begins 2 bytes before the end", 1),
        (b"\x08\x01" * 4, "more than 3 fields", 6),
    ],
)
def test_bytes_that_are_not_a_message(data, message, position):
    with pytest.raises(WireError, match=message) as told:
        list(fields(memoryview(data), most=3))
    assert told.value.position == position


def test_a_message_of_as_many_fields_as_it_may_have():
    assert len(list(fields(memoryview(b"\x08\x01" * 3), most=3))) == 3


def test_a_budget_is_shared_by_messages():
    budget = Budget(3)
    assert len(list(walk(b"\x08\x01" * 2, 0, 4, budget))) == 2
    with pytest.raises(WireError, match="more than 3 fields"):
        list(walk(b"\x08\x01" * 2, 0, 4, budget))


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_come_back(value):
    data = written(value)
    number, position = varint(data, 0)
    assert (signed(number), position) == (value, len(data))


def test_packed_numbers_are_bounded():
    data = memoryview(b"\x01\x02\x03")
    assert list(packed(data, most=3)) == [1, 2, 3]
    assert list(packed(5)) == [5]
    with pytest.raises(WireError, match="more than 2 numbers"):
        list(packed(data, most=2))


def test_payload_of_a_number_is_refused():
    with pytest.raises(WireError, match="expected bytes"):
        payload(5)


@given(st.binary())
def test_no_bytes_do_worse_than_a_wire_error(data):
    with contextlib.suppress(WireError):
        list(fields(memoryview(data)))


def test_a_record_of_numbers_without_end_is_refused():
    """A TFRecord may have 256 MiB: its reader visits a limited number of fields and numbers."""
    numbers = b"\x0a" + written(100_001) + b"\x01" * 100_001
    feature = b"\x1a" + written(len(numbers)) + numbers
    entry = b"\x0a\x01x\x12" + written(len(feature)) + feature
    features = b"\x0a" + written(len(entry)) + entry
    with pytest.raises(ValueError, match="more than 100000 numbers"):
        parse_example(b"\x0a" + written(len(features)) + features)
