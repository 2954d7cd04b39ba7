"""Calls that are made to fail, and what is nobody's leak then."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Callable, Tuple

import pytest

from crnn.simulator import Fault, Knobs
from crnn.simulator.knobs import add_arguments, from_arguments
from tests.simulator.conftest import Machine
from tests.simulator.programs import HOST_TO_DEVICE

Oms = Tuple[Path, Path, Path]


def faulty(start: Callable[..., Machine], *faults: str) -> Machine:
    return start(faults=tuple(Fault.parse(text) for text in faults))


def test_the_kth_call_fails_and_does_nothing(start: Callable[..., Machine]) -> None:
    machine = faulty(start, "acl.rt.malloc:2:207001", "acl.mdl.create_dataset:1:500000")
    machine.ready()
    acl = machine.acl
    results = [acl.rt.malloc(64, 0) for _ in range(3)]
    assert [ret for _, ret in results] == [0, 207001, 0]
    assert results[1][0] == 0
    assert "told to" in acl.get_recent_err_msg()
    assert acl.mdl.create_dataset() == 0
    assert acl.mdl.create_dataset() != 0
    assert len(machine.sim.memory.living()) == 2
    assert machine.broken == []


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("acl.mdl.get_input_data_type", -1),
        ("acl.mdl.get_num_inputs", 0),
        ("acl.mdl.get_input_name_by_index", None),
        ("acl.mdl.get_input_dims", ({}, 107000)),
        ("acl.mdl.load_from_file", (0, 107000)),
        ("acl.rt.synchronize_stream", 107000),
    ],
)
def test_failures_have_the_form_of_their_call(
    start: Callable[..., Machine], call: str, result: Any
) -> None:
    machine = faulty(start, f"{call}:1:107000")
    machine.ready()
    arguments = {
        "get_input_dims": (0, 0),
        "get_num_inputs": (0,),
        "load_from_file": ("",),
        "synchronize_stream": (0,),
    }
    module, _, short = call.rpartition(".")
    function = getattr(getattr(machine.acl, module[4:]), short)
    assert function(*arguments.get(short, (0, 0))) == result
    assert machine.broken == []


def test_a_call_may_be_interrupted(start: Callable[..., Machine]) -> None:
    machine = faulty(start, "acl.rt.malloc:1:KeyboardInterrupt")
    machine.ready()
    with pytest.raises(KeyboardInterrupt):
        machine.acl.rt.malloc(64, 0)
    assert machine.acl.rt.malloc(64, 0)[1] == 0


def test_a_failed_release_is_no_leak_and_blames_nobody(start: Callable[..., Machine]) -> None:
    machine = faulty(start, "acl.rt.free:1:207002", "acl.rt.destroy_stream:1:107000")
    machine.ready()
    acl = machine.acl
    context, _ = acl.rt.create_context(0)
    pointer, stream = machine.device(), machine.stream()
    assert acl.rt.free(pointer) == 207002
    assert acl.rt.destroy_stream(stream) == 107000
    assert acl.rt.destroy_context(context) == 0
    assert acl.rt.reset_device(0) == 0
    assert acl.finalize() == 0
    leaks = machine.sim.close()["leaks"]
    assert [(leak["what"], leak["release_failed"]) for leak in leaks] == [
        ("stream", True),
        ("device memory", True),
    ]
    assert machine.broken == []


@pytest.mark.parametrize("call", ["acl.rt.reset_device", "acl.finalize"])
def test_a_failed_end(start: Callable[..., Machine], call: str) -> None:
    machine = faulty(start, f"{call}:1:507000")
    machine.ready()
    machine.acl.rt.reset_device(0)
    machine.acl.finalize()
    assert all(leak["release_failed"] for leak in machine.sim.close()["leaks"])
    assert machine.broken == []


def test_after_a_failed_wait_nothing_is_queued_any_more(start: Callable[..., Machine]) -> None:
    machine = faulty(start, "acl.rt.synchronize_stream:1:507011")
    machine.ready()
    acl, pointer, host, stream = machine.acl, machine.device(), machine.host(), machine.stream()
    acl.rt.memcpy_async(pointer, 256, host, 256, HOST_TO_DEVICE, stream)
    assert acl.rt.synchronize_stream(stream) == 507011
    assert acl.rt.free(pointer) == acl.rt.free_host(host) == acl.rt.destroy_stream(stream) == 0
    assert machine.broken == []


@pytest.mark.parametrize(("device", "expected"), [(1, 0), (0, 507011)])
def test_a_fault_of_one_device_spares_the_others(
    start: Callable[..., Machine], device: int, expected: int
) -> None:
    machine = faulty(start, f"acl.rt.synchronize_stream:1:507011@{device}")
    machine.ready()
    stream = machine.stream()
    assert machine.acl.rt.synchronize_stream(stream) == expected
    assert machine.acl.rt.destroy_stream(stream) == 0


def test_a_call_may_never_return() -> None:
    assert Fault.parse("acl.rt.malloc:1:hang@3") == Fault("acl.rt.malloc", 1, "hang", 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("acl.rt.nothing:1:5", "is not a call"),
        ("acl.rt.malloc:0:5", "K from 1"),
        ("acl.rt.malloc:x:5", "K from 1"),
        ("acl.rt.malloc:1:0", "not 0"),
        ("acl.rt.malloc:1:ValueError", "expected a code"),
        ("acl.rt.malloc", "K from 1"),
        ("acl.rt.malloc:1:5@x", "a device's number"),
    ],
)
def test_faults_that_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Fault.parse(text)


def test_knobs_from_a_command_line_and_back() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = (
        "--soc Ascend310P3 --run-mode device --cann 8.0.RC1 --devices 4 --device-memory 512M"
        " --copy-in-ms 2"
    )
    words += (
        " --bandwidth 12.5 --timing-only --fail acl.init:1:100039 --fail"
        " acl.rt.malloc:2:KeyboardInterrupt"
    )
    knobs = from_arguments(parser.parse_args(words.split()))
    assert knobs == Knobs(
        soc="Ascend310P3",
        run_mode=0,
        cann=(8, 0),
        devices=4,
        device_memory=512 << 20,
        copy_in_ms=2.0,
        bandwidth=12.5,
        timing_only=True,
        faults=(Fault("acl.init", 1, 100039), Fault("acl.rt.malloc", 2, "KeyboardInterrupt")),
    )
    assert Knobs.from_json(knobs.to_json()) == knobs


@pytest.mark.parametrize(
    "words", ["--cann six", "--devices -1", "--device-memory 1T", "--host-ms -1", "--fail x:1:1"]
)
def test_knobs_that_cannot_be_read(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(words.split())
    assert "error: argument" in capsys.readouterr().err
