from __future__ import annotations

import contextlib
import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.crc32c import crc32c, masked_crc
from crnn.datasets.tfrecord_file import parse_example, read_examples
from crnn.errors import InputError
from tests.tfrecords import encode_example, write_examples

# RFC 3720, B.4, and the check value of the catalogue of CRCs.
VECTORS = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (b"123456789", 0xE3069283),
    (b"", 0),
]


@pytest.mark.parametrize(("data", "expected"), VECTORS)
def test_crc_is_castagnoli(data, expected):
    assert crc32c(data) == expected


def plain_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 1023, 1024, 1025, 1027, 2048, 5000])
def test_crc_over_blocks_is_that_over_bytes(size):
    data = bytes((index * 7 + index // 251) % 256 for index in range(size))
    assert crc32c(data) == plain_crc(data)


# An Example with label [3] and image b"ab", written out by hand from the field numbers of
# example.proto.
GOLDEN = bytes.fromhex("0a1f0a0f0a05696d61676512060a040a0261620a0c0a056c6162656c12031a0103")


def test_an_example_is_read_byte_by_byte():
    """Written out by hand from the field numbers of example.proto; int64 lists may be packed or
    not.
    """
    packed = bytes.fromhex(
        "0a23"  # features
        "0a0f 0a05 696d616765 1206 0a04 0a02 6162"  # "image": bytes_list of b"ab"
        "0a10 0a05 6c6162656c 1207 1a05 0a03 03ac02"  # "label": int64_list of 3 and 300, packed
    )
    assert parse_example(packed) == {"image": [b"ab"], "label": [3, 300]}
    unpacked = bytes.fromhex("0a11 0a0f 0a05 6c6162656c 1206 1a04 0803 0804")
    assert parse_example(unpacked) == {"label": [3, 4]}
    assert encode_example({"image": [b"ab"], "label": [3, 300]}) == packed


integers = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1)
floats = st.lists(st.floats(width=32, allow_nan=False), min_size=1)
features = st.dictionaries(
    st.text(), st.one_of(integers, floats, st.lists(st.binary(), min_size=1))
)


@settings(max_examples=60, deadline=None)
@given(st.lists(features))
def test_examples_come_back(tmp_path_factory, examples):
    path = tmp_path_factory.mktemp("records") / "x.tfrecords"
    with open(path, "wb") as file:
        write_examples(file, [{"always": [1]}, *examples])
    assert list(read_examples(path)) == [{"always": [1]}, *examples]


@settings(max_examples=150, deadline=None)
@given(st.binary())
def test_no_bytes_do_worse_than_a_value_error(data):
    with contextlib.suppress(ValueError):
        parse_example(data)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.integers(0, 255))
def test_every_change_of_a_byte_is_found(tmp_path_factory, place, value):
    buffer = io.BytesIO()
    write_examples(buffer, [{"image": [b"x" * 150]}])
    data = bytearray(buffer.getvalue())
    place %= len(data)
    same = data[place] == value
    data[place] = value
    path = tmp_path_factory.mktemp("records") / "x.tfrecords"
    path.write_bytes(data)
    if same:
        assert len(list(read_examples(path))) == 1
    else:
        with pytest.raises(InputError, match=r"record 1 at byte 0: .*checksum is wrong"):
            list(read_examples(path))


def test_a_promise_of_gigabytes_is_refused(tmp_path):
    length = struct.pack("<Q", 1 << 40)
    (tmp_path / "x").write_bytes(length + struct.pack("<I", masked_crc(length)) + b"x" * 100)
    with pytest.raises(InputError, match="1099511627776 bytes; the limit is"):
        list(read_examples(tmp_path / "x"))
