"""Gears of --dynamic_dims: what ATC takes, what a desc says, what a program sets, what runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Callable, List, Tuple

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from crnn.ascend.net import Net
from crnn.ascend.om import Gears
from crnn.ascend.om_reader import read_om
from crnn.compile.atc import gear_flags
from crnn.errors import InputError
from crnn.simulator import Knobs
from crnn.simulator.atc import compile_om
from crnn.simulator.atc_flags import AtcError
from crnn.simulator.om_file import from_bytes, to_bytes
from tests.ascend.machine import clean
from tests.ascend.machine import machine as ascend_machine
from tests.models import echo_images, write_width_model
from tests.simulator.conftest import Machine
from tests.simulator.programs import HOST_TO_DEVICE, Session, Slot, compile_model

ENVIRON = {"ASCEND_OPP_PATH": "/opp"}
ALL = (1 << 64) - 1
ND = "--input_format=ND"
BATCHES = (ND, "--input_shape=actual_input_1:-1,1,32,100", "--dynamic_dims=1;4;8")
WIDTHS = gear_flags("image", (-1, 1, 32, -1), [(1, 100), (4, 100), (1, 320)], "dims")


@pytest.fixture
def batches(echo_onnx: Path, tmp_path: Path) -> Path:
    """The echo model with the batch as a gear of dims."""
    return compile_model(echo_onnx, tmp_path / "batches", Knobs(), *BATCHES)


@pytest.fixture
def widths(tmp_path: Path) -> Path:
    """A model with gears of batch and width."""
    return compile_model(
        write_width_model(tmp_path / "wide.onnx"), tmp_path / "widths", Knobs(), *WIDTHS
    )


def dims(*sizes: int) -> Any:
    return {"name": "", "dimCount": len(sizes), "dims": list(sizes)}


def execute(session: Session, slot: Slot, images: np.ndarray, sizes: Any) -> np.ndarray:
    """Copy in, set the gear by all dims, execute, copy out by the current output dims."""
    acl = session.acl
    count = slot.write(images)
    assert acl.rt.memcpy(slot.device_in, slot.sizes_in[0], slot.host_in, count, HOST_TO_DEVICE) == 0
    index, ret = acl.mdl.get_input_index_by_name(session.desc, "ascend_mbatch_shape_data")
    assert ret == 0
    assert acl.mdl.set_input_dynamic_dims(session.model, slot.inputs, index, sizes) == 0
    assert acl.mdl.execute(session.model, slot.inputs, slot.outputs) == 0
    shape = acl.mdl.get_cur_output_dims(session.desc, 0)[0]["dims"]
    size = int(np.prod(shape)) * 4
    assert acl.rt.memcpy(slot.host_out, slot.sizes_out[0], slot.device_out, size, 2) == 0
    return slot.read(tuple(shape))


def expected(model: Path, name: str, images: np.ndarray) -> np.ndarray:
    result: np.ndarray = onnxruntime.InferenceSession(str(model)).run(None, {name: images})[0]
    return result


def test_the_batch_as_a_gear_of_dims(
    start: Callable[..., Machine], batches: Path, echo_onnx: Path
) -> None:
    machine = start()
    session = Session(machine.acl, batches)
    mdl, desc = machine.acl.mdl, session.desc
    assert mdl.get_input_dims(desc, 0)[0]["dims"] == [-1, 1, 32, 100]
    assert mdl.get_input_format(desc, 0) == 2
    assert mdl.get_input_size_by_index(desc, 0) == 8 * 12800
    assert mdl.get_input_size_by_index(desc, 1) == 4
    assert mdl.get_dynamic_batch(desc) == ({"batchCount": 0, "batch": []}, 0)
    assert mdl.get_input_dynamic_gear_count(desc, -1) == (3, 0)
    assert mdl.get_input_dynamic_dims(desc, -1, 3) == (
        [dims(1, 1, 32, 100), dims(4, 1, 32, 100), dims(8, 1, 32, 100)],
        0,
    )
    slot = session.slot()
    for rows in (4, 1, 8):
        images = echo_images(["abc"] * rows)
        found = execute(session, slot, images, dims(rows, 1, 32, 100))
        assert np.array_equal(found, expected(echo_onnx, "actual_input_1", images))
    session.close()
    assert machine.sim.close()["leaks"] == []
    assert machine.broken == []


def test_batch_and_width_as_gears(
    start: Callable[..., Machine], widths: Path, tmp_path: Path
) -> None:
    machine = start()
    session = Session(machine.acl, widths)
    slot = session.slot()
    assert slot.sizes_in == [4 * 32 * 100 * 4, 8]  # the largest product of a gear's numbers
    numbers = np.random.default_rng(1)
    for rows, width in ((1, 320), (4, 100), (1, 100)):
        images = numbers.random((rows, 1, 32, width), dtype=np.float32)
        found = execute(session, slot, images, dims(rows, 1, 32, width))
        assert found.shape == (width // 4, rows, 32)
        assert np.array_equal(found, expected(tmp_path / "wide.onnx", "image", images))
    session.close()
    assert machine.broken == []


def test_the_historical_class_runs_them(widths: Path, tmp_path: Path) -> None:
    with ascend_machine() as findings:
        import acl

        acl.init()
        acl.rt.set_device(0)
        context, _ = acl.rt.create_context(0)
        with Net(context, widths) as net:
            for shape in ((1, 1, 32, 320), (4, 1, 32, 100)):
                images = np.random.default_rng(2).random(shape, dtype=np.float32)
                (found,) = net(images)
                assert np.array_equal(found, expected(tmp_path / "wide.onnx", "image", images))
            with pytest.raises(InputError, match="gears 1x1x32x100, 1x1x32x320, 4x1x32x100; got"):
                net(np.zeros((4, 1, 32, 320), dtype=np.float32))
        acl.rt.destroy_context(context)
        acl.rt.reset_device(0)
        acl.finalize()
    clean(findings)


def test_a_runner_reads_it_at_the_width_of_its_spec_alone(widths: Path) -> None:
    from crnn.runners.ascend_runner import open_ascend

    with ascend_machine() as findings, open_ascend(widths) as runner:
        with pytest.raises(InputError, match=r"have shape .* 320\); expected \(N, 1, 32, 100\)"):
            runner.run(np.zeros((1, 1, 32, 320), dtype=np.float32))
        # Its logits are another network's than the default spec says.
        with pytest.raises(InputError, match=r"got logits:0:logits float32 \(25, 4, 32\)|got "):
            runner.run(np.zeros((4, 1, 32, 100), dtype=np.float32))
    clean(findings)


@pytest.mark.parametrize("release", [(6, 0), (7, 0)])
def test_the_kit_reads_the_file(echo_onnx: Path, tmp_path: Path, release: Tuple[int, int]) -> None:
    knobs = Knobs(cann=release)
    om = read_om(compile_model(echo_onnx, tmp_path / "one", knobs, *BATCHES))
    assert om.gears == Gears("dims", ((1,), (4,), (8,)))
    assert om.batch_sizes == (1, 4, 8)
    assert (om.data_inputs[0].shape, om.data_inputs[0].bytes) == ((-1, 1, 32, 100), 8 * 12800)
    wide = write_width_model(tmp_path / "wide.onnx")
    om = read_om(compile_model(wide, tmp_path / "two", knobs, *WIDTHS))
    assert om.gears == Gears("dims", ((1, 100), (4, 100), (1, 320)))
    assert om.batch_sizes is None
    assert om.data_inputs[0].bytes == 4 * 32 * 100 * 4


def test_the_simulator_reads_back_what_it_wrote(widths: Path) -> None:
    om = from_bytes(widths.read_bytes())
    assert om.dims_gears == ((1, 100), (4, 100), (1, 320))
    assert from_bytes(to_bytes(om)) == om
    image = dataclasses.replace(om.inputs[0], dims=(1, 1, 32, 100))
    static = dataclasses.replace(om, dims_gears=(), sizes=(1,), inputs=(image,), dynamic=False)
    assert b"dims_gears" not in to_bytes(static)


def test_two_inputs_in_the_order_of_the_command_line(
    start: Callable[..., Machine], tmp_path: Path
) -> None:
    """The dims of all inputs follow --input_shape, not the graph."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [f"{name}{axis}" for axis in "nw"])
        for name in ("first", "second")
    ]
    nodes = [
        helper.make_node("Relu", ["first"], ["one"]),
        helper.make_node("Relu", ["second"], ["two"]),
    ]
    outs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [f"{name}n", f"{name}w"])
        for name in ("one", "two")
    ]
    graph = helper.make_graph(nodes, "two", values, outs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.save(model, str(tmp_path / "two.onnx"))
    flags = (ND, "--input_shape=second:-1,3;first:-1,-1", "--dynamic_dims=2,1,5;6,1,4")
    machine = start()
    session = Session(
        machine.acl, compile_model(tmp_path / "two.onnx", tmp_path / "two", Knobs(), *flags)
    )
    mdl, desc = machine.acl.mdl, session.desc
    assert [mdl.get_input_dims(desc, index)[0]["dims"] for index in range(2)] == [[-1, -1], [-1, 3]]
    assert mdl.get_input_dynamic_dims(desc, -1, 2)[0] == [dims(2, 3, 1, 5), dims(6, 3, 1, 4)]
    assert [mdl.get_input_size_by_index(desc, index) for index in range(3)] == [16, 72, 12]
    assert [mdl.get_output_dims(desc, index)[0]["dims"] for index in range(2)] == [[1, 4], [6, 3]]
    session.close()
    assert machine.broken == []


# --- what is refused


def wrong_count(session: Session, slot: Slot) -> int:
    return set_dims(session, slot, dims(4, 1, 32))


def wrong_fixed(session: Session, slot: Slot) -> int:
    return set_dims(session, slot, dims(4, 1, 32, 96))


def no_gear(session: Session, slot: Slot) -> int:
    return set_dims(session, slot, dims(3, 1, 32, 100))


def at_the_image(session: Session, slot: Slot) -> int:
    sizes = dims(4, 1, 32, 100)
    return int(session.acl.mdl.set_input_dynamic_dims(session.model, slot.inputs, 0, sizes))


def short_buffer(session: Session, slot: Slot) -> int:
    session.acl.update_data_buffer(slot.buffers[1], slot.device[1], 3)
    return set_dims(session, slot, dims(4, 1, 32, 100))


def as_a_batch(session: Session, slot: Slot) -> int:
    return int(session.acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, 4))


def set_once_for_two_runs(session: Session, slot: Slot) -> int:
    session.acl.rt.memset(slot.device_in, slot.sizes_in[0], 0, slot.sizes_in[0])
    assert set_dims(session, slot, dims(8, 1, 32, 100)) == 0
    assert session.acl.mdl.execute(session.model, slot.inputs, slot.outputs) == 0
    return int(session.acl.mdl.execute(session.model, slot.inputs, slot.outputs))


def set_dims(session: Session, slot: Slot, sizes: Any) -> int:
    return int(session.acl.mdl.set_input_dynamic_dims(session.model, slot.inputs, 1, sizes))


RULES = (
    (wrong_count, 145012),
    (wrong_fixed, 145012),
    (no_gear, 145013),
    (at_the_image, 100000),
    (short_buffer, 145012),
    (as_a_batch, 100019),
    (set_once_for_two_runs, 0),
)


@pytest.mark.parametrize(("step", "code"), RULES, ids=[row[0].__name__ for row in RULES])
def test_rule(start: Callable[..., Machine], batches: Path, step: Any, code: int) -> None:
    machine = start()
    session = Session(machine.acl, batches)
    assert step(session, session.slot()) == code
    assert machine.broken == ["gear"]


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ([1], TypeError, "argument 4 is not dict"),
        ({"name": 1, "dimCount": 1, "dims": [1]}, RuntimeError, "PyUnicode_AsUTF8String failed"),
        ({"dimCount": 1}, TypeError, "The dims of parameter 4 is not a list."),
        (
            {"dimCount": 2, "dims": [1]},
            TypeError,
            "the dims of fourth parameter is not list of int",
        ),
        ({"dimCount": 1, "dims": ["1"]}, TypeError, "the dims of fourth parameter"),
        ({"dims": [1]}, ValueError, "PyLong_AsLongLong failed"),
        ({"dimCount": 1, "dims": [1 << 64]}, ValueError, "PyLong_AsLongLong failed"),
    ],
)
def test_dims_that_the_extension_cannot_read(
    machine: Machine, value: Any, kind: Any, said: str
) -> None:
    with pytest.raises(kind, match=said):
        machine.acl.mdl.set_input_dynamic_dims(1, 1, 1, value)
    assert machine.broken == []


ATC: Tuple[Tuple[List[str], str, str], ...] = (
    ([ND, "--dynamic_dims=4"], "E10035", "expected 2 or more"),
    ([ND, f"--dynamic_dims={';'.join(map(str, range(1, 102)))}"], "E10036", "101 profiles"),
    ([ND, "--dynamic_dims=1;x"], "E10037", "not rows of numbers"),
    ([ND, "--dynamic_dims=1;0"], "E10038", "holds 0"),
    ([ND, "--dynamic_dims=4;4"], "E10039", "twice"),
    ([ND, "--dynamic_dims=1,2;4,2"], "E10001", "does not fit the 1 of -1"),
    (["--dynamic_dims=1;4"], "E10001", "needs .* --input_format=ND|needs"),
    ([ND, "--dynamic_dims=1;4", "--dynamic_batch_size=1,4"], "E10001", "exclude each other"),
    ([ND, "--dynamic_dims=1;4", "--insert_op_conf=a.cfg"], "E10001", "exclude each other"),
)


@pytest.mark.parametrize(("flags", "code", "said"), ATC, ids=[" ".join(row[0])[:60] for row in ATC])
def test_what_atc_refuses(
    echo_onnx: Path, tmp_path: Path, flags: List[str], code: str, said: str
) -> None:
    words = [
        "--framework=5",
        f"--model={echo_onnx}",
        f"--output={tmp_path}/x",
        "--soc_version=Ascend310",
        "--input_shape=actual_input_1:-1,1,32,100",
    ]
    with pytest.raises(AtcError, match=said) as caught:
        compile_om([*words, *flags], (6, 0), ENVIRON)
    assert caught.value.code == code
