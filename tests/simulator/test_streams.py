"""Streams do nothing until they must; only a stream, an event or the host's waiting orders
anything.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Tuple

import numpy as np
import pytest

from crnn.simulator.calls import rt_stream
from crnn.simulator.memory import POISON
from tests.simulator.conftest import Machine
from tests.simulator.programs import DEVICE_TO_HOST, HOST_TO_DEVICE, view

Step = Callable[[Machine], Any]


def up(machine: Machine, pointer: int, host: int, stream: int, size: int = 256) -> int:
    return int(machine.acl.rt.memcpy_async(pointer, size, host, size, HOST_TO_DEVICE, stream))


def down(machine: Machine, host: int, pointer: int, stream: int, size: int = 256) -> int:
    return int(machine.acl.rt.memcpy_async(host, size, pointer, size, DEVICE_TO_HOST, stream))


def filled(machine: Machine, value: int) -> int:
    host = machine.host()
    view(host, 256)[:] = value
    return host


def test_nothing_happens_before_somebody_waits(machine: Machine) -> None:
    host, back, pointer, stream = (
        filled(machine, 7),
        machine.host(),
        machine.device(),
        machine.stream(),
    )
    assert up(machine, pointer, host, stream) == 0
    assert down(machine, back, pointer, stream) == 0
    assert view(back, 256).tobytes() == POISON * 64
    assert machine.acl.rt.synchronize_stream(stream) == 0
    assert (view(back, 256) == 7).all()
    assert machine.broken == []


def test_waiting_for_an_event_runs_no_more_than_it_needs(machine: Machine) -> None:
    acl = machine.acl
    pointers, backs = [machine.device(), machine.device()], [machine.host(), machine.host()]
    stream, event = machine.stream(), machine.event()
    for index, value in enumerate((1, 2)):
        up(machine, pointers[index], filled(machine, value), stream)
        down(machine, backs[index], pointers[index], stream)
        if index == 0:
            acl.rt.record_event(event, stream)
    assert acl.rt.synchronize_event(event) == 0
    assert (view(backs[0], 256) == 1).all()
    assert view(backs[1], 256).tobytes() == POISON * 64
    assert acl.rt.synchronize_device() == 0
    assert (view(backs[1], 256) == 2).all()
    assert machine.broken == []


def chained(machine: Machine, *, event: bool) -> Tuple[int, int]:
    """Copy up on one stream and down on another, with or without the event between them."""
    acl = machine.acl
    pointer, back, first, second = (
        machine.device(),
        machine.host(),
        machine.stream(),
        machine.stream(),
    )
    up(machine, pointer, filled(machine, 9), first)
    if event:
        mark = machine.event()
        assert acl.rt.record_event(mark, first) == 0
        assert acl.rt.stream_wait_event(second, mark) == 0
    down(machine, back, pointer, second)
    assert acl.rt.synchronize_stream(second) == 0
    return back, first


def test_an_event_orders_two_streams(machine: Machine) -> None:
    back, _ = chained(machine, event=True)
    assert (view(back, 256) == 9).all()
    assert machine.broken == []


def test_without_the_event_the_order_is_a_violation_and_the_data_poison(machine: Machine) -> None:
    back, _ = chained(machine, event=False)
    assert view(back, 256).tobytes() == POISON * 64
    assert machine.broken == ["order"]
    assert "nothing orders the two" in machine.said
    assert "test_streams.py:" in machine.said


def test_waiting_for_the_second_stream_is_waiting_for_the_first(machine: Machine) -> None:
    """What the host may do follows from what it waited for, through the events."""
    _, first = chained(machine, event=True)
    assert machine.acl.rt.destroy_stream(first) == 0  # its copy has certainly passed
    assert machine.broken == []
    assert "better destroyed before its stream" in machine.sim.record.advice[0].text


def changed_source(machine: Machine) -> Any:
    host, stream = filled(machine, 1), machine.stream()
    up(machine, machine.device(), host, stream)
    view(host, 256)[5] = 2
    return machine.acl.rt.synchronize_stream(stream)


def written_target(machine: Machine) -> Any:
    back, stream = machine.host(), machine.stream()
    down(machine, back, machine.device(), stream)
    view(back, 256)[5] = 2
    return machine.acl.rt.synchronize_stream(stream)


def freed_early(machine: Machine) -> Any:
    pointer, stream = machine.device(), machine.stream()
    up(machine, pointer, machine.host(), stream)
    return machine.acl.rt.free(pointer)


def freed_host_early(machine: Machine) -> Any:
    host = machine.host()
    up(machine, machine.device(), host, machine.stream())
    return machine.acl.rt.free_host(host)


def sync_copy_into_a_queue(machine: Machine) -> Any:
    pointer, host = machine.device(), machine.host()
    up(machine, pointer, host, machine.stream())
    return machine.acl.rt.memcpy(machine.host(), 256, pointer, 256, DEVICE_TO_HOST)


def read_early(machine: Machine) -> Any:
    back = machine.host()
    down(machine, back, machine.device(), machine.stream())
    return len(machine.acl.util.ptr_to_bytes(back, 256))


def stream_destroyed_early(machine: Machine) -> Any:
    stream = machine.stream()
    up(machine, machine.device(), machine.host(), stream)
    return machine.acl.rt.destroy_stream(stream)


def event_destroyed_early(machine: Machine) -> Any:
    event, stream = machine.event(), machine.stream()
    machine.acl.rt.record_event(event, stream)
    return machine.acl.rt.destroy_event(event)


def event_recorded_again(machine: Machine) -> Any:
    event, stream = machine.event(), machine.stream()
    machine.acl.rt.record_event(event, stream)
    return machine.acl.rt.record_event(event, machine.stream())


def waited_and_recorded_again(machine: Machine) -> Any:
    event, first, second = machine.event(), machine.stream(), machine.stream()
    machine.acl.rt.record_event(event, first)
    machine.acl.rt.stream_wait_event(second, event)
    machine.acl.rt.synchronize_stream(second)
    return machine.acl.rt.record_event(event, first)


def recorded_before_its_reset(machine: Machine) -> Any:
    event, first, second = machine.event(), machine.stream(), machine.stream()
    machine.acl.rt.record_event(event, first)
    machine.acl.rt.stream_wait_event(second, event)
    machine.acl.rt.reset_event(event, second)
    return machine.acl.rt.record_event(event, first)


def reset_under_a_waiter(machine: Machine) -> Any:
    event, first, second = machine.event(), machine.stream(), machine.stream()
    machine.acl.rt.record_event(event, first)
    machine.acl.rt.stream_wait_event(second, event)
    return machine.acl.rt.reset_event(event, first)


def other_context(machine: Machine) -> Any:
    stream = machine.stream()
    machine.acl.rt.create_context(0)
    return machine.acl.rt.synchronize_stream(stream)


def others_event(machine: Machine) -> Any:
    event = machine.event()
    machine.acl.rt.create_context(0)
    return machine.acl.rt.synchronize_event(event)


def destroyed_stream(machine: Machine) -> Any:
    stream = machine.stream()
    machine.acl.rt.destroy_stream(stream)
    return machine.acl.rt.synchronize_stream(stream)


def flagless_event(machine: Machine) -> Any:
    event, _ = machine.acl.rt.create_event_with_flag(8)
    machine.acl.rt.record_event(event, machine.stream())
    return machine.acl.rt.stream_wait_event(machine.stream(), event)


def timeless_event(machine: Machine) -> Any:
    event = (
        machine.acl.rt.create_event_with_flag(1)[0] or machine.acl.rt.create_event_with_flag(2)[0]
    )
    return machine.acl.rt.event_elapsed_time(event, event)


def flagless_reset(machine: Machine) -> Any:
    event, _ = machine.acl.rt.create_event_with_flag(8)
    return machine.acl.rt.reset_event(event, machine.stream())


def default_stream(machine: Machine) -> Any:
    context = machine.sim.current
    assert context is not None
    return machine.acl.rt.destroy_stream(context.default_stream)


def odd_callback(machine: Machine) -> Any:
    return machine.acl.rt.launch_callback(print, None, 2, machine.stream())


def early_time(machine: Machine) -> Any:
    event = machine.event()
    machine.acl.rt.record_event(event, machine.stream())
    return machine.acl.rt.event_elapsed_time(event, event)


RULES: Tuple[Tuple[str, Step, Any, str], ...] = (
    ("source changed while queued", changed_source, 0, "order"),
    ("target written while queued", written_target, 0, "order"),
    ("device memory freed while queued", freed_early, 0, "order"),
    ("pinned memory freed while queued", freed_host_early, 0, "order"),
    ("synchronous copy of what is queued", sync_copy_into_a_queue, 0, "order"),
    ("result read before it is there", read_early, 256, "order"),
    ("stream destroyed with work", stream_destroyed_early, 0, "order"),
    ("event destroyed before it has come", event_destroyed_early, 0, "order"),
    ("event recorded twice", event_recorded_again, 0, "event"),
    ("event recorded without reset after a wait", waited_and_recorded_again, 0, "event"),
    ("event recorded while its reset may come", recorded_before_its_reset, 0, "event"),
    ("event reset before a stream has waited", reset_under_a_waiter, 0, "event"),
    ("stream of another context", other_context, 107003, "context"),
    ("event of another context", others_event, 107000, "context"),
    ("stream that is no more", destroyed_stream, 107003, "use-after-release"),
    ("no stream at all", lambda m: m.acl.rt.synchronize_stream(12345), 107003, "handle"),
    ("event as a stream", lambda m: m.acl.rt.synchronize_stream(m.event()), 107003, "handle"),
    ("nothing recorded", lambda m: m.acl.rt.synchronize_event(m.event()), 107000, "event"),
    (
        "wait for nothing",
        lambda m: m.acl.rt.stream_wait_event(m.stream(), m.event()),
        107000,
        "event",
    ),
    ("reset of nothing", lambda m: m.acl.rt.reset_event(m.event(), m.stream()), 0, "event"),
    ("stream waits for an event of time", flagless_event, 107000, "event"),
    ("reset of an event of time", flagless_reset, 107000, "event"),
    ("default stream by its handle", default_stream, 107000, "context"),
    ("callback kind", odd_callback, 100000, "parameter"),
    (
        "negative time",
        lambda m: m.acl.rt.synchronize_stream_with_timeout(0, -2),
        107000,
        "parameter",
    ),
    (
        "old release, event flag SYNC",
        lambda m: m.acl.rt.create_event_with_flag(1),
        (0, 107000),
        "parameter",
    ),
    ("time of an event to come", early_time, (0.0, 107000), "event"),
    ("default stream", lambda m: m.acl.rt.destroy_stream(0), 107000, "handle"),
    (
        "source not pinned",
        lambda m: up(m, m.device(), np.zeros(256, np.uint8).ctypes.data, m.stream()),
        107000,
        "pinned",
    ),
    (
        "not on 64 bytes",
        lambda m: up(m, m.device(), m.host() + 8, m.stream(), 64),
        107008,
        "alignment",
    ),
)


@pytest.mark.parametrize(
    ("step", "code", "rule"), [row[1:] for row in RULES], ids=[row[0] for row in RULES]
)
def test_rule(machine: Machine, step: Step, code: Any, rule: str) -> None:
    assert step(machine) == code
    assert machine.broken == [rule]


def test_the_documented_cycle_of_an_event_breaks_nothing(machine: Machine) -> None:
    acl = machine.acl
    event, first, second = machine.event(), machine.stream(), machine.stream()
    for _ in range(3):
        assert acl.rt.record_event(event, first) == 0
        assert acl.rt.stream_wait_event(second, event) == 0
        assert acl.rt.reset_event(event, second) == 0
        assert acl.rt.synchronize_stream(second) == 0
    assert acl.rt.destroy_event(event) == 0
    assert acl.rt.synchronize_stream(first) == 0
    assert acl.rt.destroy_stream(first) == acl.rt.destroy_stream(second) == 0
    assert machine.broken == []


def test_a_chip_has_so_many_events(start: Callable[..., Machine]) -> None:
    machine = start()
    machine.ready()
    for _ in range(1023):
        machine.event()
    assert machine.acl.rt.create_event() == (0, 207007)
    assert machine.acl.rt.create_event_with_flag(8)[1] == 0
    assert machine.broken == []


def test_queries_are_answered_with_opposite_numbers(start: Callable[..., Machine]) -> None:
    machine = start(copy_in_ms=1.0)
    machine.ready()
    acl, stream, event = machine.acl, machine.stream(), machine.event()
    up(machine, machine.device(), filled(machine, 1), stream)
    acl.rt.record_event(event, stream)
    assert acl.rt.query_event(event) == (1, 0)
    assert acl.rt.query_event_status(event) == (0, 0)
    assert acl.rt.stream_query(stream) == (1, 0)
    while acl.rt.query_event(event) != (0, 0):
        pass
    assert acl.rt.query_event_status(event) == (1, 0)
    assert acl.rt.stream_query(stream) == (0, 0)
    assert machine.broken == []


def test_time_limits(start: Callable[..., Machine]) -> None:
    machine = start(copy_in_ms=10.0)
    machine.ready()
    acl, stream, event = machine.acl, machine.stream(), machine.event()
    up(machine, machine.device(), filled(machine, 1), stream)
    acl.rt.record_event(event, stream)
    assert acl.rt.synchronize_event_with_timeout(event, 3) == 507047
    assert acl.rt.synchronize_stream_with_timeout(stream, 3) == 507046
    assert acl.rt.synchronize_stream_with_timeout(stream, 5) == 0
    assert acl.rt.synchronize_event_with_timeout(event, -1) == 0
    assert machine.sim.clock.now == 10.0
    assert machine.broken == []


def test_elapsed_time(start: Callable[..., Machine]) -> None:
    machine = start(copy_in_ms=2.5)
    machine.ready()
    acl, stream, events = machine.acl, machine.stream(), [machine.event(), machine.event()]
    acl.rt.record_event(events[0], stream)
    up(machine, machine.device(), filled(machine, 1), stream)
    acl.rt.record_event(events[1], stream)
    acl.rt.synchronize_stream(stream)
    assert acl.rt.event_elapsed_time(*events) == (2.5, 0)
    assert machine.broken == []


def test_callbacks(machine: Machine) -> None:
    acl, stream = machine.acl, machine.stream()
    context, _ = acl.rt.get_context()
    seen: List[Any] = []
    stop = threading.Event()

    def report(argument: List[str]) -> None:
        acl.rt.set_context(context)
        while not stop.is_set():
            assert acl.rt.process_report(10) in (0, 100036)

    thread, _ = acl.util.start_thread(report, ["one object"])
    assert acl.rt.subscribe_report(thread, stream) == 0
    assert acl.rt.subscribe_report(thread, stream) == 100033
    pointer = machine.device()
    up(machine, pointer, filled(machine, 3), stream)
    assert acl.rt.launch_callback(seen.append, "done", 1, stream) == 0
    assert acl.rt.synchronize_stream(stream) == 0
    assert seen == ["done"]
    stop.set()
    assert acl.util.stop_thread(thread) == 0
    assert acl.rt.unsubscribe_report(thread + 1, stream) == 100035
    assert acl.rt.unsubscribe_report(thread, stream) == 0
    assert acl.rt.unsubscribe_report(thread, stream) == 100034
    assert acl.rt.launch_callback(seen.append, "never", 1, stream) == 107015
    assert machine.broken == []
    assert acl.rt.subscribe_report(thread, stream) == acl.rt.destroy_stream(stream) == 0
    assert machine.broken == ["release-order"]


def test_an_event_for_streams_keeps_no_time(start: Callable[..., Machine]) -> None:
    machine = start(cann=(7, 0))
    machine.ready()
    assert timeless_event(machine) == (0.0, 107000)
    assert machine.broken == ["event"]


def test_a_callback_that_nobody_processes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rt_stream, "_CALLBACK_PATIENCE", 0.1)
    stream = machine.stream()
    machine.acl.rt.subscribe_report(12345, stream)
    machine.acl.rt.launch_callback(print, None, 1, stream)
    assert machine.acl.rt.synchronize_stream(stream) == 507046
    assert machine.broken == ["callback"]


def test_a_callback_that_raises_ends_in_system_error(machine: Machine) -> None:
    acl, stream = machine.acl, machine.stream()
    acl.rt.subscribe_report(threading.get_ident(), stream)

    def fail(argument: object) -> None:
        raise KeyError("cause")

    acl.rt.launch_callback(fail, None, 1, stream)
    with pytest.raises(SystemError, match="exception set") as caught:
        acl.rt.process_report(1000)
    assert isinstance(caught.value.__cause__, KeyError)
    assert acl.rt.process_report(20) == 100036


def test_stop_thread_tells_what_was_raised(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    thread, error = machine.acl.util.start_thread(lambda: [][0], None)
    assert error == 0
    assert "thread, started and not stopped" in [leak["what"] for leak in machine.sim.leaks()]
    with pytest.raises(RuntimeError, match="^exception=IndexError,msg=thread call failed;$"):
        machine.acl.util.stop_thread(thread)
    assert "IndexError" in capsys.readouterr().err
    assert machine.acl.util.stop_thread(thread) == 3


@pytest.mark.parametrize("step", [freed_early, freed_host_early])
def test_a_program_that_freed_too_early_goes_on_and_is_told_once(
    machine: Machine, step: Step
) -> None:
    assert step(machine) == 0
    assert machine.acl.rt.synchronize_device() == 0
    assert machine.broken[0] == "order"
