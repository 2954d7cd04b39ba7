"""What depends on how a model was run first, and on the release: modes, events, host memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Tuple

import numpy as np
import pytest

from tests.simulator.conftest import Machine
from tests.simulator.programs import HOST_TO_DEVICE, Session, Slot, run_once, view

Oms = Tuple[Path, Path, Path]
SHAPE = (26, 4, 37)
IMAGES = np.zeros((4, 1, 32, 100), dtype=np.float32)
SYNC, TIME_LINE = 1, 8


def at_once(session: Session, slot: Slot) -> int:
    return int(session.acl.mdl.execute(session.model, slot.inputs, slot.outputs))


def queued(session: Session, slot: Slot) -> int:
    acl = session.acl
    stream, _ = acl.rt.create_stream()
    code = acl.mdl.execute_async(session.model, slot.inputs, slot.outputs, stream)
    assert acl.rt.synchronize_stream(stream) == 0
    assert acl.rt.destroy_stream(stream) == 0
    return int(code)


@pytest.mark.parametrize("release", [(6, 0), (8, 0), (9, 0)])
@pytest.mark.parametrize(("first", "second"), [(at_once, queued), (queued, at_once)])
def test_a_loaded_model_is_run_one_way_only(
    start: Callable[..., Machine], oms: Oms, first: Any, second: Any, release: Any
) -> None:
    machine = start(cann=release)
    session = Session(machine.acl, oms[0])
    slot = session.slot()
    machine.acl.rt.memset(slot.device_in, slot.sizes_in[0], 0, slot.sizes_in[0])
    assert (first(session, slot), first(session, slot)) == (0, 0)
    assert second(session, slot) == 500002
    assert machine.broken == ["mode"]
    assert "not support mix execute" in machine.acl.get_recent_err_msg()
    assert "test_modes.py" in machine.said  # the line of the first run
    assert first(session, slot) == 0  # which goes on as it began


def test_unloading_forgets_how_a_model_was_run(start: Callable[..., Machine], oms: Oms) -> None:
    machine = start()
    session = Session(machine.acl, oms[0])
    run_once(session, session.slot(), IMAGES, SHAPE)
    again, ret = machine.acl.mdl.load_from_file(str(oms[0]))
    assert (again, ret) == (2, 0)  # numbers begin with 1 and do not come back
    session.model, before = again, session.model
    slot = session.slot()
    machine.acl.rt.memset(slot.device_in, slot.sizes_in[0], 0, slot.sizes_in[0])
    assert queued(session, slot) == 0
    assert machine.acl.mdl.unload(before) == 0
    session.close()
    assert machine.broken == []


# --- events


def reset_after_a_wait(machine: Machine, event: int) -> int:
    first, second = machine.stream(), machine.stream()
    acl = machine.acl
    assert acl.rt.record_event(event, first) == 0
    assert acl.rt.stream_wait_event(second, event) == 0
    code = acl.rt.reset_event(event, second)
    assert acl.rt.synchronize_stream(second) == 0
    return int(code)


@pytest.mark.parametrize(
    ("release", "rules"),
    [
        ((5, 0), []),
        ((6, 0), []),
        ((8, 0), []),
        ((8, 3), []),
        ((8, 5), ["event"]),
        ((9, 0), ["event"]),
    ],
)
def test_events_of_create_event_are_reset_until_8_5(
    start: Callable[..., Machine], release: Any, rules: Any
) -> None:
    machine = start(cann=release)
    machine.ready()
    assert reset_after_a_wait(machine, machine.event()) == 0
    assert machine.broken == rules
    if rules:
        assert "undefined" in machine.said


@pytest.mark.parametrize("release", [(7, 0), (8, 0), (8, 5), (9, 0)])
def test_events_with_sync_are_reset_in_every_release(
    start: Callable[..., Machine], release: Any
) -> None:
    machine = start(cann=release)
    machine.ready()
    event, ret = machine.acl.rt.create_event_with_flag(SYNC)
    assert ret == 0
    assert reset_after_a_wait(machine, event) == 0
    assert machine.broken == []


def test_lasting_events_come_with_8_0(start: Callable[..., Machine]) -> None:
    assert not hasattr(start(cann=(7, 0)).acl.rt, "create_event_ex_with_flag")
    assert hasattr(start(cann=(8, 0)).acl.rt, "create_event_ex_with_flag")


def test_a_lasting_event_is_recorded_again_and_never_reset(start: Callable[..., Machine]) -> None:
    machine = start(cann=(8, 0))
    machine.ready()
    acl = machine.acl
    event, ret = acl.rt.create_event_ex_with_flag(SYNC)
    assert ret == 0
    pointer, back = machine.device(), machine.host()
    first, second = machine.stream(), machine.stream()
    for value in range(3):
        source = machine.host()
        view(source, 256)[:] = value
        acl.rt.memcpy_async(pointer, 256, source, 256, HOST_TO_DEVICE, first)
        assert acl.rt.record_event(event, first) == 0
        assert acl.rt.stream_wait_event(second, event) == 0
        acl.rt.memcpy_async(back, 256, pointer, 256, 2, second)
        assert acl.rt.synchronize_stream(second) == 0
        assert (view(back, 256) == value).all()
    assert machine.broken == []
    assert acl.rt.reset_event(event, second) == 107000
    assert acl.rt.query_event(event) == (0, 107000)
    assert machine.broken == ["event", "event"]


def test_a_lasting_event_for_time_alone_orders_nothing(start: Callable[..., Machine]) -> None:
    machine = start(cann=(8, 0))
    machine.ready()
    stream = machine.stream()
    event, _ = machine.acl.rt.create_event_ex_with_flag(TIME_LINE)
    machine.acl.rt.record_event(event, stream)
    assert machine.acl.rt.stream_wait_event(stream, event) == 107000
    assert machine.acl.rt.create_event_ex_with_flag(0) == (0, 107000)
    assert machine.broken == ["event", "parameter"]


def test_lasting_events_are_not_counted(start: Callable[..., Machine]) -> None:
    machine = start(cann=(8, 0))
    machine.ready()
    made = [machine.acl.rt.create_event_ex_with_flag(SYNC)[1] for _ in range(1030)]
    assert set(made) == {0}
    assert machine.acl.rt.create_event()[1] == 0


# --- host memory


@pytest.mark.parametrize(
    ("mode", "release", "aligned"),
    [(1, (6, 0), True), (0, (6, 0), False), (0, (8, 3), False), (0, (8, 5), True)],
)
def test_host_memory_has_the_alignment_that_is_promised(
    start: Callable[..., Machine], mode: int, release: Any, aligned: bool
) -> None:
    machine = start(run_mode=mode, cann=release)
    machine.ready()
    assert all((machine.host(size) % 64 == 0) == aligned for size in (1, 64, 100, 4096))


def test_asynchronous_copies_want_64_bytes_on_the_chip_too(start: Callable[..., Machine]) -> None:
    machine = start(run_mode=0)
    machine.ready()
    pointer, host, stream = machine.device(), machine.host(512), machine.stream()
    acl = machine.acl
    for target, source in ((pointer, host), (host, pointer)):
        assert acl.rt.memcpy_async(target, 256, source, 256, 3, stream) == 107008
    assert machine.broken == ["alignment", "alignment"]
    rounded = host + -host % 64
    view(rounded, 256)[:] = 1
    assert acl.rt.memcpy_async(pointer, 256, rounded, 256, 3, stream) == 0
    assert acl.rt.synchronize_stream(stream) == 0
    assert acl.rt.memcpy(pointer, 256, host, 256, 3) == 0  # at once, no page asks for it
    assert machine.broken == ["alignment", "alignment"]
