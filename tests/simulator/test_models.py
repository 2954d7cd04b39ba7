"""Models, descs, datasets, gears, AIPP: what runs, and what is refused."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import onnxruntime
import pytest

from crnn.simulator import Knobs
from crnn.simulator.models import CANNED
from crnn.simulator.om_file import from_bytes, to_bytes
from tests.models import SPEC, echo_images, write_echo_model
from tests.simulator.conftest import Machine
from tests.simulator.programs import (
    HOST_TO_DEVICE,
    Session,
    Slot,
    compile_model,
    run_once,
    stream_batches,
    view,
)

Oms = Tuple[Path, Path, Path]
SHAPE = (26, 4, 37)
IMAGES = echo_images(["abc", "0", "u9", ""])


def expected(onnx: Path, images: np.ndarray) -> np.ndarray:
    result: np.ndarray = onnxruntime.InferenceSession(str(onnx)).run(
        None, {"actual_input_1": images}
    )[0]
    return result


def opened(machine: Machine, om: Path) -> Session:
    return Session(machine.acl, om)


def test_a_static_model_gives_onnx_runtimes_numbers(
    start: Callable[..., Machine], oms: Oms, echo_onnx: Path
) -> None:
    machine = start()
    session = opened(machine, oms[0])
    assert np.array_equal(
        run_once(session, session.slot(), IMAGES, SHAPE), expected(echo_onnx, IMAGES)
    )
    session.close()
    assert machine.sim.close()["leaks"] == []
    assert machine.broken == []


def test_a_missing_runtime_is_missed_as_the_model_is_loaded(
    start: Callable[..., Machine], oms: Oms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    machine = start()
    machine.ready()
    with pytest.raises(ImportError, match="onnxruntime"):
        machine.acl.mdl.load_from_file(str(oms[0]))
    assert machine.broken == []


def test_every_gear(start: Callable[..., Machine], oms: Oms, echo_onnx: Path) -> None:
    machine = start()
    session = opened(machine, oms[1])
    slot = session.slot()
    for rows in (4, 1, 8):
        images = np.concatenate([IMAGES, IMAGES])[:rows]
        assert np.array_equal(
            run_once(session, slot, images, (26, rows, 37)), expected(echo_onnx, images)
        )
    session.close()
    assert machine.broken == []


def test_streams_and_events(start: Callable[..., Machine], oms: Oms, echo_onnx: Path) -> None:
    batches = [echo_images([f"{index}a", "b", "c", f"{index}"]) for index in range(7)]
    for om in oms[:2]:
        machine = start()
        session = opened(machine, om)
        for logits, images in zip(stream_batches(session, batches, SHAPE), batches):
            assert np.array_equal(logits, expected(echo_onnx, images))
        session.close()
        assert machine.sim.close()["leaks"] == []
        assert machine.broken == []


def test_aipp_takes_pixels(start: Callable[..., Machine], oms: Oms, echo_onnx: Path) -> None:
    machine = start()
    session = opened(machine, oms[2])
    acl, desc = machine.acl, session.desc
    assert acl.mdl.get_input_data_type(desc, 0) == 4
    assert acl.mdl.get_input_format(desc, 0) == 1
    assert acl.mdl.get_input_dims(desc, 0)[0]["dims"] == [4, 32, 100, 1]
    assert acl.mdl.get_input_size_by_index(desc, 0) == 4 * 3200
    pixels = np.random.default_rng(1).integers(0, 256, (4, 32, 100, 1), dtype=np.uint8)
    logits = run_once(session, session.slot(), pixels, SHAPE)
    exact = expected(echo_onnx, SPEC.table[pixels.transpose(0, 3, 1, 2)])
    assert (
        0 < np.abs(logits - exact).max() < 2e-3
    )  # float16, and a reciprocal that is not quite 1 / 127.5
    assert acl.mdl.get_aipp_type(session.model, 0)[::2] == (1, 0)
    session.close()
    assert machine.broken == []


def test_the_arithmetic_of_aipp() -> None:
    from crnn.simulator.models import apply_aipp
    from crnn.simulator.om_file import Aipp

    aipp = Aipp("YUV400_U8", 100, 32, (0,) * 4, (127.5,) * 4, (0.00784313725,) * 4)
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1)
    values = apply_aipp(pixels, aipp).ravel()
    reciprocal = float(np.float16(0.00784313725))
    assert values[0] == np.float16(-127.5 * reciprocal)
    assert values[255] == np.float16(127.5 * reciprocal)
    assert np.abs(values - SPEC.table).max() < 5e-4


def test_what_a_desc_says(start: Callable[..., Machine], oms: Oms) -> None:
    machine = start()
    session = opened(machine, oms[1])
    mdl, desc = machine.acl.mdl, session.desc
    assert (mdl.get_num_inputs(desc), mdl.get_num_outputs(desc)) == (2, 1)
    assert mdl.get_input_dims(desc, 0) == (
        {"name": "actual_input_1", "dimCount": 4, "dims": [-1, 1, 32, 100]},
        0,
    )
    assert mdl.get_output_dims(desc, 0)[0]["dims"] == [26, 8, 37]
    assert mdl.get_input_size_by_index(desc, 0) == 8 * 12800
    assert mdl.get_output_size_by_index(desc, 0) == 26 * 8 * 37 * 4
    assert mdl.get_input_index_by_name(desc, "ascend_mbatch_shape_data") == (1, 0)
    assert mdl.get_dynamic_batch(desc) == ({"batchCount": 3, "batch": [1, 4, 8]}, 0)
    assert mdl.get_output_name_by_index(desc, 0).endswith(":0:output1")
    assert mdl.get_output_index_by_name(desc, mdl.get_output_name_by_index(desc, 0)) == (0, 0)
    assert mdl.get_dynamic_hw(desc, -1) == ({"hwCount": 0, "hw": []}, 0)
    assert mdl.get_input_dynamic_gear_count(desc, -1) == (0, 0)
    assert mdl.get_input_dynamic_dims(desc, -1, 0) == ([], 0)
    slot = session.slot()
    mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, 4)
    assert mdl.get_cur_output_dims(desc, 0)[0]["dims"] == [26, 4, 37]
    session.close()
    assert machine.broken == []


def test_asking_a_static_model_for_gears_breaks_nothing(
    start: Callable[..., Machine], oms: Oms
) -> None:
    machine = start()
    session = opened(machine, oms[0])
    mdl, desc = machine.acl.mdl, session.desc
    assert mdl.get_input_index_by_name(desc, "ascend_mbatch_shape_data") == (0, 100000)
    assert mdl.get_dynamic_batch(desc) == ({"batchCount": 0, "batch": []}, 0)
    assert mdl.get_aipp_type(session.model, 0)[::2] == (0, 0)
    session.close()
    assert machine.broken == []


def test_reading_a_desc_needs_no_load_in_new_releases(
    start: Callable[..., Machine], oms: Oms
) -> None:
    machine = start(cann=(8, 0))
    machine.ready()
    mdl = machine.acl.mdl
    desc = mdl.create_desc()
    assert mdl.get_desc_from_file(desc, str(oms[0])) == 0
    assert mdl.get_input_size_by_index(desc, 0) == 4 * 12800
    assert mdl.destroy_desc(desc) == 0
    assert machine.broken == []


def test_all_ways_of_loading(machine: Machine, oms: Oms) -> None:
    mdl, acl = machine.acl.mdl, machine.acl
    data = oms[0].read_bytes()
    pointer = acl.util.bytes_to_ptr(data)
    work_size, weight_size, ret = mdl.query_size(str(oms[0]))
    assert ret == 0
    work, weight = machine.device(work_size), machine.device(weight_size)
    loaded = [
        mdl.load_from_file(str(oms[0])),
        mdl.load_from_mem(pointer, len(data)),
        mdl.load_from_file_with_mem(str(oms[0]), work, work_size, weight, weight_size),
        mdl.load_from_mem_with_mem(pointer, len(data), work, work_size, weight, weight_size),
    ]
    config = mdl.create_config_handle()
    assert mdl.set_config_opt(config, 1, 1) == mdl.set_config_opt(config, 2, str(oms[0])) == 0
    loaded.append(mdl.load_with_config(config))
    assert mdl.destroy_config_handle(config) == 0
    assert [ret for _, ret in loaded] == [0] * 5
    assert len({number for number, _ in loaded}) == 5
    assert mdl.load_from_file_with_mem(str(oms[0]), work, work_size - 1, weight, weight_size) == (
        0,
        145000,
    )
    assert [mdl.unload(number) for number, _ in loaded] == [0] * 5
    assert machine.broken == ["size"]


def test_a_model_takes_memory_and_gives_it_back(start: Callable[..., Machine], oms: Oms) -> None:
    machine = start(device_memory=4 << 20)
    machine.ready()
    mdl = machine.acl.mdl
    before = machine.acl.rt.get_mem_info(0)
    numbers = []
    while True:
        number, ret = mdl.load_from_file(str(oms[0]))
        if ret:
            break
        numbers.append(number)
    assert (ret, len(numbers)) == (207001, 3)
    for number in numbers:
        assert mdl.unload(number) == 0
    assert machine.acl.rt.get_mem_info(0) == before
    assert machine.broken == []


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (None, 145002, "cannot be read"),
        (b"", 145006, "does not begin with IMOD"),
        (b"version https://git-lfs", 145006, "does not begin with IMOD"),
        (b"IMOD" + bytes(400), 145006, "a real OM, which only a chip can run"),
    ],
)
def test_files_that_are_no_simulated_om(
    machine: Machine, tmp_path: Path, content: Any, code: int, said: str
) -> None:
    path = tmp_path / "x.om"
    if content is not None:
        path.write_bytes(content)
    assert machine.acl.mdl.load_from_file(str(path)) == (0, code)
    assert said in machine.acl.get_recent_err_msg()
    assert machine.broken == []


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x"])
def test_truncated_and_extended_files(
    machine: Machine, oms: Oms, tmp_path: Path, change: Any
) -> None:
    path = tmp_path / "x.om"
    path.write_bytes(change(oms[0].read_bytes()))
    assert machine.acl.mdl.load_from_file(str(path)) == (0, 145006)


def test_an_om_is_for_one_chip_and_no_older_release(
    start: Callable[..., Machine], oms: Oms
) -> None:
    for knobs in ({"soc": "Ascend310P3"}, {"cann": (5, 1)}):
        machine = start(**knobs)
        machine.ready()
        assert machine.acl.mdl.load_from_file(str(oms[0])) == (0, 145000)
    assert "newer than 5.1" in machine.acl.get_recent_err_msg()


def test_half_precision_output(
    start: Callable[..., Machine], echo_onnx: Path, tmp_path: Path
) -> None:
    flags = (
        "--input_shape=actual_input_1:4,1,32,100",
        "--output_type=FP16",
        "--input_fp16_nodes=actual_input_1",
    )
    machine = start()
    session = opened(machine, compile_model(echo_onnx, tmp_path / "half", Knobs(), *flags))
    assert machine.acl.mdl.get_output_data_type(session.desc, 0) == 1
    assert machine.acl.mdl.get_input_data_type(session.desc, 0) == 1
    slot = session.slot()
    run_once(
        session, slot, IMAGES.astype(np.float16), (26, 2, 37)
    )  # half the rows in float32 are all of float16
    logits = view(slot.host_out, 26 * 4 * 37 * 2).view(np.float16).reshape(SHAPE)
    assert np.array_equal(
        logits, expected(echo_onnx, IMAGES.astype(np.float16).astype(np.float32)).astype(np.float16)
    )
    session.close()
    assert machine.broken == []


def test_timing_only_gives_a_constant(start: Callable[..., Machine], oms: Oms) -> None:
    machine = start(timing_only=True)
    session = opened(machine, oms[0])
    assert (run_once(session, session.slot(), IMAGES, SHAPE) == CANNED).all()
    session.close()


# --- what is refused


def execute(session: Session, slot: Slot, *, fill: bool = True) -> Any:
    if fill:
        count = slot.write(np.zeros((slot.sizes_in[0] // 12800, 1, 32, 100), np.float32))
        session.acl.rt.memcpy(slot.device_in, count, slot.host_in, count, HOST_TO_DEVICE)
    return session.acl.mdl.execute(session.model, slot.inputs, slot.outputs)


def never_filled(session: Session, slot: Slot) -> Any:
    return execute(session, slot, fill=False)


def partly_filled(session: Session, slot: Slot) -> Any:
    view(slot.host_in, slot.sizes_in[0])[:] = 0
    session.acl.rt.memcpy(slot.device_in, slot.sizes_in[0], slot.host_in, 12800, HOST_TO_DEVICE)
    return execute(session, slot, fill=False)


def filled_with_poison(session: Session, slot: Slot) -> Any:
    size = slot.sizes_in[0]
    session.acl.rt.memcpy(slot.device_in, size, slot.host_in, size, HOST_TO_DEVICE)
    return execute(session, slot, fill=False)


def no_model(session: Session, slot: Slot) -> Any:
    return session.acl.mdl.execute(99, slot.inputs, slot.outputs)


def unloaded(session: Session, slot: Slot) -> Any:
    session.acl.mdl.unload(session.model)
    return execute(session, slot)


def other_context(session: Session, slot: Slot) -> Any:
    session.acl.rt.create_context(0)
    return session.acl.mdl.execute(session.model, slot.inputs, slot.outputs)


def swapped(session: Session, slot: Slot) -> Any:
    slot.inputs, slot.outputs = slot.outputs, slot.inputs
    return session.acl.mdl.execute(session.model, slot.inputs, slot.outputs)


def too_many(session: Session, slot: Slot) -> Any:
    session.acl.mdl.add_dataset_buffer(
        slot.inputs, session.acl.create_data_buffer(slot.device_in, 64)
    )
    return execute(session, slot)


def too_short(session: Session, slot: Slot) -> Any:
    session.acl.update_data_buffer(slot.buffers[0], slot.device_in, slot.sizes_in[0] - 64)
    return execute(session, slot)


def too_long(session: Session, slot: Slot) -> Any:
    session.acl.update_data_buffer(slot.buffers[0], slot.device_in, slot.sizes_in[0] + 64)
    return execute(session, slot)


def on_the_host(session: Session, slot: Slot) -> Any:
    session.acl.update_data_buffer(slot.buffers[0], slot.host_in, slot.sizes_in[0])
    return execute(session, slot)


def unaligned(session: Session, slot: Slot) -> Any:
    pointer, _ = session.acl.rt.malloc(slot.sizes_in[0] + 32, 0)
    session.acl.update_data_buffer(slot.buffers[0], pointer + 32, slot.sizes_in[0])
    return execute(session, slot)


def freed(session: Session, slot: Slot) -> Any:
    session.acl.rt.free(slot.device_in)
    return execute(session, slot, fill=False)


def buffer_destroyed(session: Session, slot: Slot) -> Any:
    session.acl.destroy_data_buffer(slot.buffers[0])
    return execute(session, slot)


def same_memory(session: Session, slot: Slot) -> Any:
    session.acl.update_data_buffer(slot.buffers[1], slot.device_in, slot.sizes_out[0])
    return execute(session, slot)


def same_buffer_twice(session: Session, slot: Slot) -> Any:
    return session.acl.mdl.add_dataset_buffer(slot.outputs, slot.buffers[0])[1]


def gear_of_a_static_model(session: Session, slot: Slot) -> Any:
    return session.acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, 4)


def desc_before_model(session: Session, slot: Slot) -> Any:
    return session.acl.mdl.destroy_desc(session.desc)


def model_before_datasets(session: Session, slot: Slot) -> Any:
    execute(session, slot)
    return session.acl.mdl.unload(session.model)


def memory_before_buffer(session: Session, slot: Slot) -> Any:
    return session.acl.rt.free(slot.device_in)


def dataset_before_buffers(session: Session, slot: Slot) -> Any:
    return session.acl.mdl.destroy_dataset(slot.inputs)


STATIC_RULES: Tuple[Tuple[Callable[[Session, Slot], Any], Any, List[str]], ...] = (
    (never_filled, 0, ["uninitialised"]),
    (partly_filled, 0, ["uninitialised"]),
    (filled_with_poison, 0, ["uninitialised"]),
    (no_model, 145003, ["handle"]),
    (unloaded, 145003, ["use-after-release"]),
    (other_context, 107004, ["context"]),
    (swapped, 145000, ["size"]),
    (too_many, 145000, ["dataset"]),
    (too_short, 145000, ["size"]),
    (too_long, 145000, ["overrun"]),
    (on_the_host, 145000, ["memory"]),
    (unaligned, 107008, ["alignment"]),
    (freed, 145000, ["use-after-release"]),
    (buffer_destroyed, 145000, ["use-after-release"]),
    (same_memory, 145000, ["overrun"]),
    (same_buffer_twice, 0, ["handle"]),
    (gear_of_a_static_model, 100019, ["gear"]),
)

ADVICE: Tuple[Tuple[Callable[[Session, Slot], Any], int], ...] = (
    (desc_before_model, 1),
    (model_before_datasets, 2),
    (dataset_before_buffers, 1),
    (memory_before_buffer, 1),
)
"""An order that no page demands, and how many lines of advice it gives."""


@pytest.mark.parametrize(("step", "count"), ADVICE, ids=[row[0].__name__ for row in ADVICE])
def test_an_order_that_no_page_demands_is_advice(
    start: Callable[..., Machine], oms: Oms, step: Any, count: int
) -> None:
    machine = start()
    session = opened(machine, oms[0])
    assert step(session, session.slot()) == 0
    assert machine.broken == []
    assert [advice.rule for advice in machine.sim.record.advice] == ["release-order"] * count
    assert all("programs.py:" in advice.text for advice in machine.sim.record.advice)


@pytest.mark.parametrize(
    ("step", "code", "rules"), STATIC_RULES, ids=[row[0].__name__ for row in STATIC_RULES]
)
def test_static_rule(
    start: Callable[..., Machine], oms: Oms, step: Any, code: Any, rules: List[str]
) -> None:
    machine = start()
    session = opened(machine, oms[0])
    assert step(session, session.slot()) == code
    assert machine.broken == rules


def wrong_gear(session: Session, slot: Slot) -> Any:
    return session.acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, 3)


def gear_zero(session: Session, slot: Slot) -> Any:
    return session.acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, 0)


def gear_at_the_image(session: Session, slot: Slot) -> Any:
    return session.acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 0, 4)


def gear_without_buffer(session: Session, slot: Slot) -> Any:
    return session.acl.mdl.set_dynamic_batch_size(
        session.model, session.acl.mdl.create_dataset(), 1, 4
    )


def gear_in_three_bytes(session: Session, slot: Slot) -> Any:
    session.acl.update_data_buffer(slot.buffers[1], slot.device[1], 3)
    return session.acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, 4)


def gear_on_the_host(session: Session, slot: Slot) -> Any:
    session.acl.update_data_buffer(slot.buffers[1], slot.host_in, 8)
    return session.acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, 4)


def gear_forgotten(session: Session, slot: Slot) -> Any:
    session.acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, 8)
    assert execute(session, slot) == 0
    return execute(session, slot)


def gear_set_under_a_queued_run(session: Session, slot: Slot) -> Any:
    acl = session.acl
    stream, _ = acl.rt.create_stream()
    acl.rt.memset(slot.device_in, slot.sizes_in[0], 0, slot.sizes_in[0])
    acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, 8)
    acl.mdl.execute_async(session.model, slot.inputs, slot.outputs, stream)
    return acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, 4)


GEAR_RULES: Tuple[Tuple[Callable[[Session, Slot], Any], Any, List[str]], ...] = (
    (wrong_gear, 145013, ["gear"]),
    (gear_zero, 100000, ["gear"]),
    (gear_at_the_image, 100000, ["gear"]),
    (gear_without_buffer, 145011, ["gear"]),
    (gear_in_three_bytes, 145012, ["gear"]),
    (gear_on_the_host, 145011, ["gear"]),
    (gear_forgotten, 0, ["gear"]),
    (gear_set_under_a_queued_run, 0, ["order", "order"]),
)


@pytest.mark.parametrize(
    ("step", "code", "rules"), GEAR_RULES, ids=[row[0].__name__ for row in GEAR_RULES]
)
def test_gear_rule(
    start: Callable[..., Machine], oms: Oms, step: Any, code: Any, rules: List[str]
) -> None:
    machine = start()
    session = opened(machine, oms[1])
    assert step(session, session.slot()) == code
    assert machine.broken == rules


def test_small_refusals(start: Callable[..., Machine], oms: Oms) -> None:
    """Indices, options and gears that are not there."""
    machine = start(device_memory=64 << 20)
    session = opened(machine, oms[0])
    acl, mdl, slot, last = machine.acl, machine.acl.mdl, session.slot(), (1 << 64) - 1
    config, empty = mdl.create_config_handle(), mdl.create_desc()
    work, weight, _ = mdl.query_size(str(oms[0]))
    room = machine.device(work + weight + 256)
    given = [
        (mdl.set_config_opt(config, 99, 1), 100000, "parameter"),
        (mdl.get_num_inputs(empty), 0, "handle"),
        (mdl.get_input_size_by_index(session.desc, 7), 0, "parameter"),
        (mdl.get_output_dims(session.desc, 1), ({}, 100000), "parameter"),
        (mdl.get_input_dynamic_gear_count(session.desc, 1), (0, 100000), "parameter"),
        (mdl.get_input_dynamic_dims(session.desc, last, 3), (None, 100000), "parameter"),
        (mdl.get_dataset_buffer(slot.inputs, 3), 0, "parameter"),
        (mdl.set_dataset_tensor_desc(slot.inputs, 0, 3), (slot.inputs, 100000), "parameter"),
        (mdl.set_dynamic_hw_size(session.model, slot.inputs, 1, 32, 100), 100019, "gear"),
        (
            mdl.set_input_dynamic_dims(
                session.model, slot.inputs, 1, {"dimCount": 1, "name": "", "dims": [4]}
            ),
            100019,
            "gear",
        ),
        (mdl.load_from_mem(room, 64), (0, 100000), "memory"),
        (
            mdl.load_from_file_with_mem(str(oms[0]), machine.host(work), work, room, weight),
            (0, 145000),
            "memory",
        ),
        (
            mdl.load_from_file_with_mem(str(oms[0]), room + 32, work, room, weight),
            (0, 107008),
            "alignment",
        ),
    ]
    assert [row[0] for row in given] == [row[1] for row in given]
    assert machine.broken == [row[2] for row in given]
    assert mdl.load_with_config(config) == (0, 200006)
    assert mdl.load_from_mem(room, 0) == (0, 145006)
    desc = acl.create_tensor_desc(0, [4], 2)
    assert mdl.get_dataset_tensor_desc(slot.inputs, 0) == 0
    assert mdl.set_dataset_tensor_desc(slot.inputs, desc, 0) == (slot.inputs, 0)
    assert mdl.get_dataset_tensor_desc(slot.inputs, 0) == desc
    assert len(machine.broken) == len(given)


def test_a_models_own_memory_outlives_it(machine: Machine, oms: Oms) -> None:
    mdl = machine.acl.mdl
    work, weight, _ = mdl.query_size(str(oms[0]))
    rooms = machine.device(work), machine.device(weight)
    number, _ = mdl.load_from_file_with_mem(str(oms[0]), rooms[0], work, rooms[1], weight)
    assert machine.acl.rt.free(rooms[0]) == 0
    assert machine.broken == ["release-order"]
    assert mdl.unload(number) == machine.acl.rt.free(rooms[1]) == 0
    assert machine.broken == ["release-order"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_graph_that_does_not_run(
    start: Callable[..., Machine], oms: Oms, tmp_path: Path, streamed: bool
) -> None:
    """The code comes from execute itself, or from the first that waits for the stream."""
    other = write_echo_model(tmp_path / "two.onnx", batch=2).read_bytes()
    broken = tmp_path / "broken.om"
    broken.write_bytes(to_bytes(dataclasses.replace(from_bytes(oms[0].read_bytes()), onnx=other)))
    machine = start()
    session = opened(machine, broken)
    if streamed:
        _, stream = queued(session)
        event = machine.event()
        machine.acl.rt.record_event(event, stream)
        assert machine.acl.rt.synchronize_event(event) == 507011
        assert machine.acl.rt.synchronize_stream(stream) == 0
        assert (
            machine.acl.mdl.execute_async(
                session.model, session.slots[0].inputs, session.slots[0].outputs, stream
            )
            == 0
        )
        assert machine.acl.rt.synchronize_stream(stream) == 507011
    else:
        assert execute(session, session.slot()) == 507011
    assert machine.broken == []


# --- queued runs


def two_queued(session: Session, *, event: bool) -> List[Slot]:
    """Queue the model on two streams, with or without an event between the runs."""
    acl = session.acl
    slots = [session.slot(), session.slot()]
    streams = [acl.rt.create_stream()[0] for _ in slots]
    mark, _ = acl.rt.create_event()
    for index, (slot, stream) in enumerate(zip(slots, streams)):
        acl.rt.memset(slot.device_in, slot.sizes_in[0], 0, slot.sizes_in[0])
        if index and event:
            acl.rt.record_event(mark, streams[0])
            acl.rt.stream_wait_event(stream, mark)
        assert acl.mdl.execute_async(session.model, slot.inputs, slot.outputs, stream) == 0
    return slots


def test_one_model_on_two_streams_needs_an_event(start: Callable[..., Machine], oms: Oms) -> None:
    for event, rules in ((True, []), (False, ["order"])):
        machine = start()
        two_queued(opened(machine, oms[0]), event=event)
        assert machine.broken == rules


def queued(session: Session) -> Tuple[Slot, int]:
    acl, slot = session.acl, session.slot()
    stream, _ = acl.rt.create_stream()
    acl.rt.memset(slot.device_in, slot.sizes_in[0], 0, slot.sizes_in[0])
    assert acl.mdl.execute_async(session.model, slot.inputs, slot.outputs, stream) == 0
    return slot, stream


TOUCHES: Dict[str, Callable[[Session, Slot, int], Any]] = {
    "buffer destroyed": lambda s, slot, stream: s.acl.destroy_data_buffer(slot.buffers[0]),
    "buffer changed": lambda s, slot, stream: s.acl.update_data_buffer(
        slot.buffers[0], slot.device_in, 64
    ),
    "memory freed": lambda s, slot, stream: s.acl.rt.free(slot.device_in),
    "input overwritten": lambda s, slot, stream: s.acl.rt.memset(slot.device_in, 64, 1, 64),
    "dataset extended": lambda s, slot, stream: s.acl.mdl.add_dataset_buffer(
        slot.inputs, s.acl.create_data_buffer(slot.device_in, 64)
    ),
    "model unloaded": lambda s, slot, stream: s.acl.mdl.unload(s.model),
    "model executed": lambda s, slot, stream: s.acl.mdl.execute_async(
        s.model, slot.inputs, slot.outputs, s.acl.rt.create_stream()[0]
    ),
}


@pytest.mark.parametrize("name", sorted(TOUCHES))
def test_what_a_queued_run_uses_must_be_left_alone(
    start: Callable[..., Machine], oms: Oms, name: str
) -> None:
    machine = start()
    session = opened(machine, oms[0])
    slot, stream = queued(session)
    TOUCHES[name](session, slot, stream)
    assert "order" in machine.broken
    assert "execute_async" in machine.sim.record.violations[machine.broken.index("order")].text


@pytest.mark.parametrize("name", sorted(TOUCHES))
def test_after_synchronising_it_may_be_touched(
    start: Callable[..., Machine], oms: Oms, name: str
) -> None:
    machine = start()
    session = opened(machine, oms[0])
    slot, stream = queued(session)
    assert machine.acl.rt.synchronize_stream(stream) == 0
    TOUCHES[name](session, slot, stream)
    assert "order" not in machine.broken


def test_a_carved_pool(start: Callable[..., Machine], oms: Oms, echo_onnx: Path) -> None:
    """Buffers carved from one allocation stand on 64 bytes, with 32 bytes to spare."""
    machine = start()
    session = opened(machine, oms[0])
    slot = session.slot()
    acl = machine.acl
    sizes = (slot.sizes_in[0], slot.sizes_out[0])
    steps = [(size + 31) // 32 * 32 + 32 for size in sizes]
    offset = (steps[0] + 63) // 64 * 64
    pool, _ = acl.rt.malloc(offset + steps[1], 0)
    acl.update_data_buffer(slot.buffers[0], pool, sizes[0])
    acl.update_data_buffer(slot.buffers[1], pool + offset, sizes[1])
    slot.device_in, slot.device_out = pool, pool + offset
    assert np.array_equal(run_once(session, slot, IMAGES, SHAPE), expected(echo_onnx, IMAGES))
    assert machine.broken == []
    acl.update_data_buffer(slot.buffers[1], pool + offset - 64, sizes[1])
    assert acl.mdl.execute(session.model, slot.inputs, slot.outputs) == 145000
    assert machine.broken == ["overrun"]
