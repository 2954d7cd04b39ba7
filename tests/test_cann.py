"""CANN's numbers and codes, pinned:

a number that changes by mistake would be believed everywhere.
"""

from __future__ import annotations

import struct
from typing import Optional, Tuple

import numpy as np
import pytest

from crnn import cann
from crnn.cann import codes

ACL_CODES = """
0
100000 100001 100002 100003 100004 100005 100006 100007 100008 100009 100010
100011 100012 100013 100014 100015 100016 100017 100018 100019
100020 100021 100022 100023 100024 100025 100026 100027
100033 100034 100035 100036 100037 100038 100039
107000 107001 107002 107003 107004 107008 107011 107012 107015 107016 107017 107019 107020
145000 145001 145002 145003 145006 145007 145008 145009 145011 145012 145013
145014 145015 145016 145017 145018 145019 145020 145021 145022
148046 148047 148048 148049 148050 148051 148052 148053
200000 200001 200002 200003 200004 200005 200006 200007
207000 207001 207002 207003 207004 207005 207006 207007 207008 207010 207012 207015 207018
245000 245001 245002
300000
500000 500001 500002 500003 500004 500005
507000 507001 507002 507008 507010 507011 507012 507013 507014 507015 507016 507017 507018 507033
507034 507035 507036 507042 507043 507044 507045 507046 507047 507051 507052 507053 507054
507899 507900 507901
545000 545001 545002 545003 545004 545005 545006 545007 545008 545009 545601
""".split()

TEXT_CODES = """
E10001 E10002 E10003 E10005 E10007 E10010 E10012 E10013 E10016 E10017 E10018 E10031 E10034 E10035 E10036
E10037 E10038 E10039 E10040 E10045 E10049 E10054 E10501 E13000 E13001 E13025 E13026 E16001 E16002 E16004
E16005 E40021 E19999 EZ9999 EE1001 EE1002 EE1010 EE1013 EE1015
""".split()  # noqa: E501


class TestCodes:
    def test_every_documented_code_is_there_and_no_other(self) -> None:
        assert list(codes.CODES) == ACL_CODES + TEXT_CODES

    @pytest.mark.parametrize("entry", codes.CODES.values(), ids=codes.CODES)
    def test_each_has_a_meaning_a_cause_and_a_remedy(self, entry: codes.Code) -> None:
        assert min(len(entry.meaning), len(entry.cause), len(entry.remedy)) > 5
        assert entry.cause.endswith(".")
        assert bool(entry.name) == entry.code.isdigit()
        assert "  " not in f"{entry.meaning}{entry.cause}{entry.remedy}"
        assert ".." not in f"{entry.cause}{entry.remedy}".replace("…", "")

    def test_names_are_used_once(self) -> None:
        names = [entry.name for entry in codes.CODES.values() if entry.name]
        assert len(names) == len(set(names))

    @pytest.mark.parametrize("name", [name for name in vars(cann) if name.startswith("ACL_ERROR_")])
    def test_constants_and_entries_agree(self, name: str) -> None:
        assert codes.CODES[str(getattr(cann, name))].name == name

    @pytest.mark.parametrize("text", ["E10012", "E10017", "E13026", "E16004"])
    def test_a_code_listed_without_a_meaning_says_so(self, text: str) -> None:
        assert codes.CODES[text].meaning == "no documented meaning"

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            (507011, "507011"),
            ("507011", "507011"),
            (" e10016:", "E10016"),
            ("[EZ9999]", "EZ9999"),
            ("acl_error_rt_context_null", "107002"),
            (0, "0"),
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
            ("EE8888", "a message of the runtime"),
            ("E14001", "a message of GE and ATC"),
            ("E20007", "a message of FE, the fusion engine"),
            ("E40000", "a message of TBE, the operator compiler"),
            ("EZ3002", "a message of CANN itself, an inner error"),
            ("nonsense", None),
        ],
    )
    def test_ranges_and_letters_speak_where_no_entry_does(
        self, value: object, reading: Optional[str]
    ) -> None:
        assert codes.reading(value) == reading  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("value", "first"),
        [("507019", "507018"), ("E10015", "E10016"), ("ACL_ERROR_RT_CONTEXT_NUL", "107002")],
    )
    def test_the_nearest_come_first(self, value: str, first: str) -> None:
        near = [entry.code for entry in codes.nearest(value)]
        assert first in near
        assert len(near) == 3

    def test_nothing_is_near_nonsense(self) -> None:
        assert codes.nearest("????") == ()


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
