"""CANN's numbers and codes, pinned:

a number that changes by mistake would be believed everywhere.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Dict, Optional, Tuple

import numpy as np
import pytest

from crnn import cann
from crnn.cann import codes

LISTS = Path(__file__).with_name("data") / "cann_codes.txt"
INNER = {
    "E40000",
    "EC0010",
    "E29999",
    "E39999",
    "EE8888",
    "EE9999",
    "EH9999",
    "EI9999",
    "EJ9999",
    "EL9999",
}
"""What sources, logs and public reports have, and CANN's table has not."""
MET = """
EZ3002 EZ3003 E20001 E30006 E39999 E10001 E10020 EI0006 EJ0001 EK0001 EL0001 W11001
507007 507009 507003 507004 507005 507006 507023 507033 507048 507049 507050 507055 507056 507057
100000 145000 207001 500002 507008 507011 507018 507046 107001 107002 100002
100034 100035 100036 100038 100040 100041 100042 100043 100044 100045
107005 107006 107007 107022 107023 207009 207013 207014
E10010 E10012 E10013 E10016 E10017 E10031 E10035 E10501 E13026 E16004 E40021 EE1001 EE9999
""".split()
"""Codes that public reports, an audit of the sources and ATC's guide name."""
FEW_WORDS = frozenset(
    "a an the is are of not no cannot be in to for and or was it its on by with ge rt acl has that"
    " this already runtime error failed general".split()
)


def _names() -> Dict[str, str]:
    """Read the names of the headers and the titles of the table, by code."""
    found = {}
    section = ""
    for line in LISTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("["):
            section = line
            continue
        first, *rest = line.split()
        if section == "[headers]":
            found[first] = rest[0]
            continue
        for code in rest:
            found[code] = first
    return found


NAMES = _names()


def _says_more(meaning: str, name: str) -> bool:
    """Whether a meaning has a word that the name has not; words are told apart by four letters."""
    known = {word.lower()[:4] for word in re.findall("[A-Za-z]+", name)}
    words = set(re.findall("[a-z]+", meaning.lower())) - FEW_WORDS
    return any(word[:4] not in known for word in words)


class TestCodes:
    def test_every_documented_code_is_there_and_no_other(self) -> None:
        assert set(codes.table()) == set(NAMES) | INNER
        assert len(NAMES) == 246 + 536

    def test_none_of_both_lists_is_unknown_or_explained_by_its_name_alone(self) -> None:
        assert [code for code in NAMES if codes.code(code) is None] == []
        entries = codes.table()
        assert [c for c, name in NAMES.items() if not _says_more(entries[c].meaning, name)] == []

    def test_a_number_is_found_by_its_name_and_in_hexadecimal(self) -> None:
        numbers = [code for code in NAMES if code.isdigit() and code != "0"]
        assert len(numbers) == 245
        for code in numbers:
            assert codes.table()[code].name == NAMES[code]
            for text in (NAMES[code], hex(int(code)), f"0x{int(code):X}"):
                found = codes.code(text)
                assert found is not None
                assert found.code == code

    def test_what_users_have_met_has_a_cause_and_a_remedy_of_its_own(self) -> None:
        assert [code for code in MET if not codes.table()[code].own] == ["EK0001"]
        assert sum(entry.own for entry in codes.table().values()) == 461

    @pytest.mark.parametrize("entry", codes.table().values(), ids=codes.table())
    def test_each_has_a_meaning_a_cause_and_a_remedy(self, entry: codes.Code) -> None:
        assert min(len(entry.meaning), len(entry.cause), len(entry.remedy)) > 5
        assert entry.cause.endswith(".")
        assert bool(entry.name) == entry.code.isdigit()
        assert "  " not in f"{entry.meaning}{entry.cause}{entry.remedy}"
        assert ".." not in f"{entry.cause}{entry.remedy}".replace("…", "")

    def test_names_are_used_once(self) -> None:
        names = [entry.name for entry in codes.table().values() if entry.name]
        assert len(names) == len(set(names))

    @pytest.mark.parametrize("name", [name for name in vars(cann) if name.startswith("ACL_ERROR_")])
    def test_constants_and_entries_agree(self, name: str) -> None:
        assert codes.table()[str(getattr(cann, name))].name == name

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            (507011, "507011"),
            ("507011", "507011"),
            (" e10016:", "E10016"),
            ("[EZ9999]", "EZ9999"),
            ("acl_error_rt_context_null", "107002"),
            (0, "0"),
            ("0x7BC83", "507011"),
            ("0x7bc83:", "507011"),
            ("0xFFFFF", None),
            (507099, None),
            ("", None),
        ],
    )
    def test_lookup(self, value: object, code: Optional[str]) -> None:
        found = codes.code(value)  # type: ignore[arg-type]
        assert (found.code if found else None) == code

    @pytest.mark.parametrize(
        ("value", "reading"),
        [
            (100099, "a mistake of the caller, reported by ACL"),
            (148999, "a mistake of the caller, reported by ACL"),
            (207999, "a resource or the environment lacks something, reported by the runtime"),
            (345102, "a business fault, reported by GE"),
            (545602, "an internal fault, reported by GE"),
            (599999, "an internal fault"),
            (999999, None),
            (12, None),
            ("EH0001", "a message of ACL"),
            ("EE8888", "an inner error of the runtime"),
            ("E14001", "a message of GE and ATC"),
            ("E20007", "a message of FE, the fusion engine"),
            ("E40099", "a message of TBE, the operator compiler"),
            ("W11001", "a warning of GE and ATC"),
            (
                1343225857,
                "an inner code of GE, which stands beside an ACL code or an E1… message in the log",
            ),
            ("EZ3002", "a message of CANN itself"),
            ("EZ9999", "an inner error of CANN itself"),
            ("nonsense", None),
        ],
    )
    def test_ranges_and_letters_speak_where_no_entry_does(
        self, value: object, reading: Optional[str]
    ) -> None:
        assert codes.reading(value) == reading  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("value", "first"),
        [("507100", "507057"), ("E10028", "E10027"), ("ACL_ERROR_RT_CONTEXT_NUL", "107002")],
    )
    def test_the_nearest_come_first(self, value: str, first: str) -> None:
        near = [entry.code for entry in codes.nearest(value)]
        assert first in near
        assert len(near) == 3

    @pytest.mark.parametrize("value", ["????", "nonsense", "999999", "1", "12345678", "EQ0001"])
    def test_nothing_is_near_what_is_of_no_part_of_cann(self, value: str) -> None:
        assert codes.nearest(value) == ()

    def test_a_number_with_a_digit_too_many_is_near_the_one_without(self) -> None:
        assert codes.nearest("5070111")[0].code == "507011"

    @pytest.mark.parametrize("entry", ["507999", "145999", "E10999", "EZ9000", "W11999"])
    def test_what_is_near_is_of_the_same_part(self, entry: str) -> None:
        for near in codes.nearest(entry):
            assert near.code[:3] == entry[:3]


class TestNumbers:
    def test_data_types_are_numpys(self) -> None:
        for row in cann.DATA_TYPES.values():
            if row.numpy is not None:
                assert np.dtype(row.numpy).itemsize == row.size

    def test_some_data_types_by_number(self) -> None:
        found = {number: cann.data_type(number).name for number in (0, 1, 3, 4, 9, 12, 27)}
        assert found == {
            0: "float32",
            1: "float16",
            3: "int32",
            4: "uint8",
            9: "int64",
            12: "bool",
            27: "bfloat16",
        }
        assert cann.data_type(5) == cann.UNDEFINED_DTYPE

    def test_protos_numbers_are_not_acls(self) -> None:
        assert (cann.PROTO_DTYPE_NUMBER["uint8"], cann.ACL_DTYPE["uint8"]) == (4, 4)
        assert (cann.PROTO_DTYPE_NUMBER["int32"], cann.ACL_DTYPE["int32"]) == (7, 3)
        assert set(cann.PROTO_DTYPE_NUMBER) < set(cann.ACL_DTYPE)

    def test_numpys_type_numbers(self) -> None:
        assert {
            name: np.dtype(name).num for name in cann.NUMPY_TYPE_NUMBER
        } == cann.NUMPY_TYPE_NUMBER

    def test_enums(self) -> None:
        assert [cann.MEMCPY_KINDS[kind] for kind in range(4)] == [
            "HOST_TO_HOST",
            "HOST_TO_DEVICE",
            "DEVICE_TO_HOST",
            "DEVICE_TO_DEVICE",
        ]
        assert (cann.ACL_DEVICE, cann.ACL_HOST) == (0, 1)
        assert (cann.ACL_EVENT_SYNC, cann.ACL_EVENT_TIME_LINE) == (1, 8)
        assert (cann.FORMATS[0], cann.FORMATS[1], cann.FORMATS[2], cann.FORMATS[29]) == (
            "NCHW",
            "NHWC",
            "ND",
            "FRACTAL_NZ",
        )
        assert cann.FORMAT_NUMBER["NCL"] == 47
        assert list(cann.MEM_ATTRS) == list(range(12))

    def test_names(self) -> None:
        assert cann.DYNAMIC_INPUT_NAME == "ascend_mbatch_shape_data"
        assert cann.DYNAMIC_AIPP_NAME == "ascend_dynamic_aipp_data"


class TestLayout:
    @pytest.mark.parametrize(
        ("layout", "names"),
        [
            (cann.OM_HEADER_V1, cann.OM_HEADER_V1_FIELDS),
            (cann.OM_HEADER_V2, cann.OM_HEADER_V2_FIELDS),
        ],
        ids=["first", "second"],
    )
    def test_headers_have_256_bytes_and_a_name_for_each_field(
        self, layout: struct.Struct, names: Tuple[str, ...]
    ) -> None:
        assert layout.size == cann.OM_HEADER_SIZE
        assert len(layout.unpack(bytes(256))) == len(names)

    @pytest.mark.parametrize(
        ("name", "offset", "size"),
        [
            ("magic", 0, 4),
            ("header_size", 4, 4),
            ("version", 8, 4),
            ("checksum", 12, 64),
            ("length", 76, 4),
            ("encrypted", 80, 1),
            ("model_type", 82, 1),
            ("name", 84, 32),
            ("ops", 116, 4),
            ("user_info", 120, 32),
            ("om_ir_version", 152, 4),
            ("model_num", 156, 4),
            ("platform_version", 160, 20),
            ("platform_type", 180, 1),
            ("model_length", 184, 8),
            ("need_check_os_cpu", 192, 1),
            ("is_unknown", 193, 1),
        ],
    )
    def test_where_each_field_of_the_second_header_stands(
        self, name: str, offset: int, size: int
    ) -> None:
        nothing = cann.OM_HEADER_V2.unpack(bytes(256))
        for place in (offset, offset + size - 1):
            values = cann.OM_HEADER_V2.unpack(bytes(place) + b"\1" + bytes(255 - place))
            pairs = zip(cann.OM_HEADER_V2_FIELDS, values, nothing)
            assert [key for key, value, zero in pairs if value != zero] == [name]

    def test_the_first_header_has_no_model_num(self) -> None:
        data = bytes(156) + b"1.11.z.0" + bytes(92)
        fields = dict(zip(cann.OM_HEADER_V1_FIELDS, cann.OM_HEADER_V1.unpack(data)))
        assert fields["platform_version"].startswith(b"1.11.z.0\0")
        assert "model_num" not in fields

    def test_table_entries(self) -> None:
        assert (cann.OM_NARROW_HEAD.size, cann.OM_NARROW_ENTRY.size) == (4, 12)
        assert (cann.OM_WIDE_HEAD.size, cann.OM_WIDE_ENTRY.size) == (8, 24)
        assert cann.INOUT_TENSOR.size == 32
