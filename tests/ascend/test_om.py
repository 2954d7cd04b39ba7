"""The OM reader, on files that every byte is known of and on real ones."""

from __future__ import annotations

import io
import json
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any, Dict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn import cann
from crnn.ascend import om_definition
from crnn.ascend.om import Aipp, Gears, Om, OmTensor
from crnn.ascend.om_reader import parse_om, read_om
from crnn.errors import InputError
from tests.ascend import om_writer
from tests.ascend.om_writer import (
    Writer,
    block,
    definition,
    in_out,
    inout_tensor,
    number,
    op,
    tensor,
)

INPUT = OmTensor("actual_input_1", "float32", (1, 1, 32, 100), "NCHW", 12800)
OUTPUT = OmTensor("output_0", "float32", (26, 1, 37), "ND", 3848)


def one(*parts: Any, wide: bool = False, **header: Any) -> bytes:
    return Writer([list(parts)], wide=wide, header=header).to_bytes()


def from_definition(model: bytes) -> Om:
    return om_writer.parsed(one((cann.PARTITION_MODEL_DEF, model)))


def from_inout(info: bytes) -> Om:
    return om_writer.parsed(one((cann.PARTITION_INOUT, info)))


class TestContainer:
    def test_header_bytes_of_the_second_version_are_golden(self) -> None:
        data = om_writer.static()
        assert data[:12] == bytes.fromhex("494d4f44 00010000 00000020")
        assert data[76:80] == struct.pack("<I", len(data) - 256)
        assert data[84:116] == b"crnn_bs1".ljust(32, b"\0")
        assert data[156:160] == b"\1\0\0\0"
        assert data[160:180] == b"1.11.z.0".ljust(20, b"\0")
        assert data[256:272] == struct.pack(
            "<IIII", 4, 0, 0, struct.unpack_from("<I", data, 268)[0]
        )

    def test_header_bytes_of_the_first_version_are_golden(self) -> None:
        data = om_writer.static(version=cann.OM_VERSION_1)
        assert data[:12] == bytes.fromhex("494d4f44 00010000 00000010")
        assert data[156:176] == b"1.11.z.0".ljust(20, b"\0")
        assert data[176:256] == bytes(80)

    def test_wide_table_bytes_are_golden(self) -> None:
        data = one((cann.PARTITION_TASKS, b"abc"), wide=True)
        assert data[76:80] == bytes(4)
        assert data[184:192] == struct.pack("<Q", 35)
        assert (
            data[256:]
            == bytes.fromhex(
                "01000000 00000000 02000000 00000000 0000000000000000 0300000000000000"
            )
            + b"abc"
        )

    @pytest.mark.parametrize(
        ("version", "wide"),
        [(cann.OM_VERSION_1, False), (cann.OM_VERSION_2, False), (cann.OM_VERSION_2, True)],
        ids=["first", "second", "second wide"],
    )
    def test_a_static_model_is_told_from_either_header_and_either_table(
        self, version: int, wide: bool
    ) -> None:
        om = om_writer.parsed(om_writer.static(version=version, wide=wide))
        assert om.inputs == (INPUT,)
        assert om.outputs == (OmTensor("Add_64:0:output", "float32", (26, 1, 37), "ND", 3848),)
        assert (om.name, om.models, om.model_type, om.platform_version) == (
            "crnn_bs1",
            1,
            "IR",
            "1.11.z.0",
        )
        assert (om.soc_version, om.atc_version, om.cann_version) == ("Ascend310", "1.83", "6.0.1")
        assert (om.size_of(cann.PARTITION_WEIGHTS), om.work_bytes, om.batch_sizes) == (
            300,
            4096,
            (1,),
        )
        assert om.gears is None
        assert om.aipp == ()
        assert not om.simulated

    def test_model_num_of_the_first_header_is_no_number(self) -> None:
        # At that place the text "1.11" stands, which is 0x31312e31 models.
        data = om_writer.static(version=cann.OM_VERSION_1)
        assert struct.unpack_from("<I", data, 156)[0] > 0x31000000
        assert om_writer.parsed(data).models == 1

    def test_several_models_are_counted_and_the_first_is_the_root(self) -> None:
        om = om_writer.parsed(om_writer.several(3))
        assert om.models == 3
        assert [part.model for part in om.partitions] == [0, 1, 2]
        assert om.inputs[0].shape == (1, 1, 32, 100)

    def test_a_flow_model_names_its_submodels(self) -> None:
        om = om_writer.parsed(om_writer.flow())
        assert (om.model_type, om.submodels, om.models) == ("flow", ("first", "second"), 1)

    @pytest.mark.parametrize(
        "data",
        [
            one((cann.PARTITION_MODEL_DEF, b""), user_info=cann.SIMULATED_MARK),
            one((cann.PARTITION_MODEL_DEF, definition(**{cann.SIMULATED_ATTR: True}))),
        ],
        ids=["header", "attribute"],
    )
    def test_a_simulated_om_says_so_by_either_mark(self, data: bytes) -> None:
        assert om_writer.parsed(data).simulated

    def test_a_model_that_tells_nothing_is_unknown_not_an_error(self) -> None:
        om = om_writer.parsed(
            one((cann.PARTITION_TASKS, b""), name=b"", platform_version=b"", model_type=77)
        )
        assert (om.name, om.soc_version, om.precision, om.model_type) == (
            "unknown",
            "unknown",
            "unknown",
            "type 77",
        )
        assert (om.inputs, om.outputs, om.gears, om.batch_sizes) == ((), (), None, None)
        assert om.fields()["inputs"] == "unknown"


class TestDefinition:
    def test_inputs_stand_in_the_order_of_their_index(self) -> None:
        one_by_four = tensor("int8", (4,))
        om = from_definition(
            definition(
                op("b", "Data", one_by_four, index=1),
                op("x", "Relu"),
                op("a", "Data", one_by_four, index=0),
            )
        )
        assert [item.name for item in om.inputs] == ["a", "b"]

    def test_inputs_without_an_index_stand_in_the_order_of_the_graph(self) -> None:
        some = tensor("int8", (4,))
        om = from_definition(definition(op("b", "Data", some), op("a", "Data", some, index=0)))
        assert [item.name for item in om.inputs] == ["b", "a"]

    def test_subgraphs_do_not_count(self) -> None:
        other = block(cann.MODEL_GRAPH, op("inner", "Data", tensor("int8", (4,))))
        om = from_definition(om_writer.crnn_definition() + other)
        assert [item.name for item in om.inputs] == ["actual_input_1"]

    def test_gears_come_from_the_case_operator(self) -> None:
        om = from_definition(om_writer.geared_definition())
        assert om.gears == Gears("batch", ((1,), (4,), (8,), (16,)))
        assert om.batch_sizes == (1, 4, 8, 16)
        # The shape is the one that was compiled, the size the largest gear's.
        assert om.data_inputs == (
            OmTensor("actual_input_1", "float32", (-1, 1, 32, 100), "NCHW", 16 * 12800),
        )
        assert om.outputs[0].bytes == 16 * 3848

    @pytest.mark.parametrize(
        ("kind", "gears", "expected"),
        [
            (2, [(32, 100), (32, 160)], Gears("hw", ((32, 100), (32, 160)))),
            (3, [(1, 100), (4, 160)], Gears("dims", ((1, 100), (4, 160)))),
            (None, [(32, 100)], Gears("hw", ((32, 100),))),
            (None, [(4,), (8,)], Gears("batch", ((4,), (8,)))),
        ],
    )
    def test_other_gears(self, kind: Any, gears: Any, expected: Gears) -> None:
        attrs: Dict[str, Any] = {
            f"{cann.ATTR_PRED_VALUE}{index}": size for index, size in enumerate(gears)
        }
        attrs.update({} if kind is None else {cann.ATTR_GEAR_KIND: kind})
        om = from_definition(definition(op("case", cann.OP_CASE, batch_num=len(gears), **attrs)))
        assert om.gears == expected

    def test_static_aipp_makes_the_input_uint8(self) -> None:
        om = om_writer.parsed(om_writer.aipp())
        assert om.aipp == (Aipp("actual_input_1", "static"),)
        assert om.inputs == (OmTensor("actual_input_1", "uint8", (1, 32, 100, 1), "NHWC", 3200),)
        assert om.outputs[0].dtype == "float16"

    def test_dynamic_aipp_has_an_input_of_its_own(self) -> None:
        own = op(cann.DYNAMIC_AIPP_NAME, cann.OP_AIPP_DATA, tensor("uint8", (2080,)))
        om = from_definition(definition(op("x", "Data", tensor("uint8", (1, 32, 100, 1))), own))
        assert om.aipp == (Aipp(cann.DYNAMIC_AIPP_NAME, "dynamic"),)
        assert [item.name for item in om.data_inputs] == ["x"]

    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            ("", "unknown"),
            ("--soc_version=Ascend310", "FP16 compute (ATC's default)"),
            (
                "--soc_version Ascend310 --precision_mode must_keep_origin_dtype",
                "must_keep_origin_dtype (precision_mode)",
            ),
            ("-soc-version=Ascend310 --precision-mode-v2=origin", "origin (precision_mode_v2)"),
            ("--precision_mode", "unknown"),
            ("--soc_version=Ascend310 --precision_mode", "FP16 compute (ATC's default)"),
        ],
    )
    def test_precision_is_told_from_the_command_line_alone(self, flags: str, expected: str) -> None:
        command = f"/opt/atc.bin {flags}" if flags else ""
        assert from_definition(definition(atc_cmdline=command)).precision == expected

    @pytest.mark.parametrize(
        ("program", "release"),
        [
            (
                "/usr/local/Ascend/ascend-toolkit/5.0.4.alpha002/x86_64-linux/bin/atc.bin",
                "5.0.4.alpha002",
            ),
            ("/home/ada/Ascend/cann-8.5.0/bin/atc.bin", "8.5.0"),
            ("/usr/local/Ascend/ascend-toolkit/latest/bin/atc.bin", "unknown"),
            ("atc --model=/data/ascend-toolkit/7.0/x.onnx", "unknown"),
        ],
    )
    def test_the_release_is_told_from_the_folder_of_atc(self, program: str, release: str) -> None:
        assert (
            from_definition(definition(atc_cmdline=f"{program} --framework=5")).cann_version
            == release
        )

    def test_an_unpacked_list_and_unknown_fields_are_read(self) -> None:
        desc = number(cann.TENSOR_DTYPE, 1) + b"\x0d\0\0\0\0" + b"\x09" + bytes(8)
        desc += block(
            cann.TENSOR_SHAPE, number(cann.SHAPE_DIM, 2) + number(cann.SHAPE_DIM, 3)
        ) + number(99, 1)
        om = from_definition(definition(op("x", "Data", desc)))
        assert om.inputs == (OmTensor("x", "float32", (2, 3), "unknown", 24),)

    @pytest.mark.parametrize(
        ("desc", "expected"),
        [
            (b"", OmTensor("x", "unknown", None, "unknown", None)),
            (number(cann.TENSOR_DTYPE, 99), OmTensor("x", "unknown", None, "unknown", None)),
            (tensor("int8", (-1, 4)), OmTensor("x", "int8", (-1, 4), "NCHW", None)),
            (tensor("int8", ()), OmTensor("x", "int8", (), "NCHW", 1)),
        ],
        ids=["empty", "dtype", "any size", "scalar"],
    )
    def test_what_a_tensor_does_not_tell_is_unknown(self, desc: bytes, expected: OmTensor) -> None:
        om = from_definition(definition(op("x", "Data", desc)))
        assert om.inputs == (expected,)

    def test_names_cannot_speak_to_a_terminal(self) -> None:
        om = from_definition(definition(op("x\x1b[2J\u202e", "Data"), soc_version="Ascend\x07310"))
        assert om.inputs[0].name == "x?[2J?"
        assert om.soc_version == "Ascend?310"


class TestInOut:
    def test_it_goes_before_the_graph(self) -> None:
        om = om_writer.parsed(om_writer.geared())
        assert [item.name for item in om.inputs] == ["actual_input_1", cann.DYNAMIC_INPUT_NAME]
        assert om.outputs == (
            OmTensor("output_0_Add_64_0", "float32", (26, -1, 37), "NCHW", 26 * 16 * 37 * 4),
        )
        assert om.inputs[0].bytes == 16 * 12800
        assert om.gears == Gears("batch", ((1,), (4,), (8,), (16,)))

    def test_the_second_shape_is_the_buffers(self) -> None:
        # With AIPP the first is the image's, the second the bytes'.
        info = in_out([inout_tensor("x", "uint8", (1, 1, 32, 100), shape2=(1, 32, 100, 1))], [])
        assert from_inout(info).inputs[0].shape == (1, 32, 100, 1)

    def test_a_size_stands_where_none_can_be_computed(self) -> None:
        info = in_out([inout_tensor("x", "float32", (-1, -1), size=640)], [])
        assert from_inout(info).inputs[0].bytes == 640

    @pytest.mark.parametrize(
        ("info", "gears", "size"),
        [
            (
                in_out([inout_tensor("x", "uint8", (1, 1, -1, -1))], [], hw=[(32, 100), (32, 160)]),
                "hw",
                5120,
            ),
            (
                in_out([inout_tensor("x", "uint8", (-1, 4, -1))], [], dims=[(1, 100), (8, 50)]),
                "dims",
                1600,
            ),
            (
                in_out(
                    [inout_tensor("x", "uint8", (-1, 4)), inout_tensor("y", "uint8", (-1, 4))],
                    [],
                    dims=[(1, 2), (8, 3)],
                ),
                "dims",
                None,
            ),
        ],
    )
    def test_other_gears(self, info: bytes, gears: str, size: Any) -> None:
        om = from_inout(info)
        assert om.gears is not None
        assert (om.gears.kind, len(om.gears.sizes), om.inputs[0].bytes) == (gears, 2, size)
        assert om.batch_sizes is None

    def test_gears_of_dims_that_give_the_batch_alone_are_batches(self) -> None:
        om = from_inout(in_out([inout_tensor("x", "uint8", (-1, 4))], [], dims=[(8,), (1,)]))
        assert (om.batch_sizes, om.inputs[0].bytes) == ((1, 8), 32)


def corrupt(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


STATIC = om_writer.static()
HUGE = (1 << 64) - 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
            (b"PK\x03\x04" + bytes(300), "not an OM: it begins with b'PK.*PyTorch checkpoint"),
            (b"\x08\x06\x12\x07pytorch" + bytes(300), "not an OM: it begins with"),
            (b"", "not an OM: it begins with b''"),
            (STATIC[:100], "cut short: 100 bytes, and an OM's header alone has 256"),
            (STATIC[:-1], "cut short: the header promises"),
            (STATIC + b"\0", "longer than it should be: the header promises"),
            (corrupt(STATIC, 4, b"\0\2\0\0"), "header says that it has 512 bytes; expected 256"),
            (corrupt(STATIC, 80, b"\1"), "is encrypted"),
            (corrupt(STATIC, 156, b"\xff\xff\xff\xff"), "promises 4294967295 models; at most 256"),
            (
                corrupt(STATIC, 156, b"\2\0\0\0"),
                "the partition table of model 1 at byte .* is cut short",
            ),
            (
                corrupt(STATIC, 256, b"\xff\xff\xff\xff"),
                "promises 4294967295 partitions; expected 1 to 64",
            ),
            (corrupt(STATIC, 256, bytes(4)), "promises 0 partitions"),
            (corrupt(STATIC, 256, b"\x40"), "places type"),
            (
                one((0, b""))[:-12][:76] + struct.pack("<I", 4) + one((0, b""))[80:260],
                "1 partitions and is cut short",
            ),
            (
                corrupt(STATIC, 268, b"\xff\xff\xff\xff"),
                "places type 0 at 0 with 4294967295 bytes; only",
            ),
            (
                corrupt(STATIC, 260 + 3 * 12 + 4, b"\xff\xff\xff\xff"),
                "places type 2 at 4294967295 with 100 bytes",
            ),
            (corrupt(om_writer.several(2), 192, b"\1")[:-1], "cut short"),
        ],
    )
    def test_a_file_that_is_none(self, data: bytes, message: str) -> None:
        with pytest.raises(InputError, match=message):
            om_writer.parsed(data, "x.om")

    def test_models_that_end_before_the_file(self) -> None:
        data = om_writer.several(2) + b"rest"
        data = corrupt(data, 184, struct.pack("<Q", len(data) - 256))
        with pytest.raises(InputError, match="its 2 models end at byte"):
            om_writer.parsed(data)

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            (b"\x0a\xff\xff\xff\xff\x0f", "byte 6: a field of 4294967295 bytes begins 0 bytes bef"),
            (b"\x0a" + b"\xff" * 20, "a number has more than ten bytes"),
            (b"\x0a\xff", "byte 2: a number is cut off"),
            (b"\x0b", "wire type 3"),
            (b"\x00\x00", "a field has the number 0"),
            (b"\x09\0\0", "a field of 8 bytes begins 2 bytes before the end"),
            (definition(op("c", "Case", batch_num=1 << 40)), "promises 1099511627776 gears"),
            (definition(op("c", "Case", batch_num=-1)), "promises -1 gears"),
            (definition(op("x", "Data", tensor("int8", [1] * 129))), "a shape has 129 dimensions"),
            (
                definition(op("x", "Data", tensor("int8", [1] * 2000))),
                "a list of more than 1024 numbers",
            ),
            (definition(*[op("x", "Data")] * 1026), "more than 1024 inputs and outputs"),
            (definition(op("o", "NetOutput", *[b""] * 1026)), "more than 1024 outputs"),
        ],
    )
    def test_a_damaged_definition(self, model: bytes, message: str) -> None:
        with pytest.raises(InputError, match=message):
            from_definition(model)

    @pytest.mark.parametrize(
        ("info", "message"),
        [
            (b"\0\0\0", "8 bytes promised, 3 left"),
            (cann.INOUT_HEAD.pack(0, 1 << 31), "2147483648 bytes promised, 0 left"),
            (cann.INOUT_HEAD.pack(0, 4) + b"\xff\xff\xff\xff", "promises 4294967295 tensors"),
            (cann.INOUT_HEAD.pack(0, 4) + b"\1\0\0\0", "32 bytes promised, 0 left"),
            (cann.INOUT_HEAD.pack(2, 4) + b"\xff\0\0\0", "promises 255 gears"),
            (
                cann.INOUT_HEAD.pack(3, 8) + struct.pack("<II", 1, 1 << 30),
                "a list of 1073741824 numbers",
            ),
            (cann.INOUT_HEAD.pack(9, 0) * 65, "more than 64 sections"),
            (in_out([inout_tensor("x", "int8", [1] * 129)], []), "a shape has 129 dimensions"),
            (
                cann.INOUT_HEAD.pack(0, 36)
                + struct.pack("<I", 1)
                + cann.INOUT_TENSOR.pack(0, 0, 0, 0, 1 << 31, 0, 0),
                "a list of 268435456 numbers",
            ),
        ],
    )
    def test_damaged_information(self, info: bytes, message: str) -> None:
        with pytest.raises(InputError, match=message):
            from_inout(info)


class TestBounds:
    def test_a_claimed_size_is_not_allocated(self, tmp_path: Path) -> None:
        # A sparse file of 8 GiB whose only partition, the definition, claims all of it.
        path = tmp_path / "huge.om"
        size = 8 << 30
        data = one((cann.PARTITION_MODEL_DEF, b""), wide=True, model_length=size - 256)
        with open(path, "wb") as file:
            file.write(corrupt(data, 256 + 8 + 16, struct.pack("<Q", size - 256 - 32)))
            file.truncate(size)
        tracemalloc.start()
        with open(path, "rb") as file, pytest.raises(
            InputError, match=r"ModelDef has \d+ bytes; at most 536870912"
        ):
            parse_om(file, "huge.om")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 20

    @pytest.mark.parametrize(
        "model",
        [
            number(99, 1) * 150_000,
            block(cann.MODEL_GRAPH, block(cann.GRAPH_OP, b"") * 150_000),
            definition(*[op("x" * 4096, "Data", **{cann.ATTR_AIPP_MODE: "m" * 4096})] * 1000) * 3,
        ],
        ids=["fields", "operators", "texts"],
    )
    @pytest.mark.slow
    def test_time_is_bounded_however_many_fields_there_are(self, model: bytes) -> None:
        data = one((cann.PARTITION_MODEL_DEF, model))
        began = time.process_time()
        try:
            om_writer.parsed(data)
        except InputError as error:
            assert "more than 1000000 fields" in str(error)
        # Seconds of the processor; work that grows with the square would take an hour.
        assert time.process_time() - began < 100

    @pytest.mark.slow
    def test_a_definition_of_too_many_fields_is_refused(self) -> None:
        with pytest.raises(InputError, match="more than 1000000 fields"):
            from_definition(number(99, 1) * 1_000_001)

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_any_change_of_a_few_bytes_is_read_or_refused(self, data: st.DataObject) -> None:
        sample = bytearray(om_writer.SAMPLES[data.draw(st.sampled_from(sorted(om_writer.SAMPLES)))])
        for _ in range(data.draw(st.integers(1, 6))):
            sample[data.draw(st.integers(0, len(sample) - 1))] = data.draw(st.integers(0, 255))
        try:
            found = om_writer.parsed(bytes(sample))
        except InputError:
            return
        json.dumps(found.to_dict(), allow_nan=False)
        found.fields()


class TestRealFiles:
    def test_an_om_of_atc_for_ascend310(self, shared_data: Path) -> None:
        om = read_om(shared_data / "om" / "hh_om.om")
        assert om.sha256 == "f3c15ae90fccccec497b2ea46c3f913dc3ef88ebe66c5ca8f7279d801a79829e"
        assert om.inputs == (OmTensor("input", "float32", (100, 784), "NHWC", 313600),)
        assert om.outputs == (
            OmTensor("generation/output:0", "float32", (100, 28, 28, 1), "NHWC", 313600),
        )
        assert (om.name, om.bytes, om.models, om.model_type) == ("hh_om", 618993, 1, "IR")
        assert (om.soc_version, om.atc_version, om.opp_version) == (
            "Ascend310",
            "1.80.T15.0.B156",
            "1.80.T15.0.B156",
        )
        assert (om.cann_version, om.platform_version) == ("5.0.4.alpha002", "1.11.z.0")
        assert om.precision == om_definition.DEFAULT_PRECISION
        assert (om.gears, om.aipp, om.batch_sizes, om.simulated) == (None, (), (100,), False)
        assert om.work_bytes == 6014464
        assert [(part.type, part.size) for part in om.partitions] == [
            (0, 154630),
            (1, 386560),
            (3, 64667),
            (2, 12828),
        ]
        assert om.atc_cmdline.endswith("--soc_version=Ascend310 --input_shape=input:100,784")

    def test_a_root_model_with_in_out_information(self, shared_data: Path) -> None:
        om = read_om(shared_data / "om" / "ge_st_root_model.om")
        assert om.inputs == (OmTensor("_arg_0", "int32", (16,), "ND", 64),)
        assert om.outputs == (OmTensor("output_0_out_0", "int32", (-1,), "ND", None),)
        assert (om.name, om.soc_version, om.precision) == ("test_graph_cache", "unknown", "unknown")
        assert [part.name for part in om.partitions] == ["in/out info", "ModelDef", "tasks"]
        assert [part.size for part in om.partitions] == [140, 1798, 16]

    def test_a_flow_model(self, shared_data: Path) -> None:
        om = read_om(shared_data / "om" / "ge_st_flow_model.om")
        assert (om.name, om.model_type, om.submodels) == (
            "root_graph",
            "flow",
            ("graph1", "graph2"),
        )
        assert om.inputs == (OmTensor("_arg_0", "int32", (16,), "ND", 64),)
        assert [part.type for part in om.partitions] == [0, 6, 7, 7]


class TestReadOm:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="does not exist; expected an OM file"):
            read_om(tmp_path / "none.om")

    def test_the_hash_is_the_files(self, tmp_path: Path) -> None:
        path = tmp_path / "crnn.om"
        path.write_bytes(STATIC)
        om = read_om(path)
        assert (om.file, om.bytes, len(om.sha256)) == (str(path), len(STATIC), 64)

    def test_the_command_line_is_shown_on_request_only(self) -> None:
        om = parse_om(io.BytesIO(STATIC))
        assert "/home/ada" not in json.dumps(om.to_dict())
        assert "/home/ada" not in repr(om)
        assert "/home/ada" not in str(om.fields())
        assert "/home/ada/crnn.onnx" in om.to_dict(command=True)["atc_cmdline"]
        assert "/home/ada/crnn.onnx" in om.fields(command=True)["atc_cmdline"]

    def test_plain_data_is_golden(self) -> None:
        data = om_writer.parsed(om_writer.geared(), "crnn.om").to_dict()
        assert data["gears"] == {"kind": "batch", "sizes": ((1,), (4,), (8,), (16,))}
        assert data["inputs"][0] == {
            "name": "actual_input_1",
            "dtype": "float32",
            "shape": (-1, 1, 32, 100),
            "format": "NCHW",
            "bytes": 204800,
        }
        assert data["weight_bytes"] == 0
        assert data["format"] == "OM"

    def test_lines_to_be_shown(self) -> None:
        fields = om_writer.parsed(om_writer.aipp(), "crnn.om").fields()
        assert fields["inputs"] == ["actual_input_1 uint8 (1, 32, 100, 1) NHWC, 3200 bytes"]
        assert fields["aipp"] == ["actual_input_1 (static)"]
        assert fields["gears"] == "none"
        assert om_writer.parsed(om_writer.geared()).fields()["gears"] == "batch 1, 4, 8, 16"
