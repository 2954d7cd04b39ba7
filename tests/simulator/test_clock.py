"""The virtual clock: what overlaps, what does not, and the chip's busy share."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable, Tuple

import pytest
from hypothesis import given, settings, strategies

from crnn.simulator.clock import Clock, Engine
from crnn.simulator.knobs import Knobs
from tests.models import echo_images
from tests.simulator.conftest import Machine
from tests.simulator.programs import Session, run_once, stream_batches

Oms = Tuple[Path, Path, Path]
TIMES = {"copy_in_ms": 2.0, "compute_ms": 3.0, "copy_out_ms": 1.0, "host_ms": 1.0}
BATCHES = [echo_images(["a", "b", "c", "d"])] * 60
SHAPE = (26, 4, 37)


def test_engines_take_the_earliest_gap() -> None:
    engine = Engine()
    assert engine.place(0, 2) == (0, 2)
    assert engine.place(5, 2) == (5, 7)
    assert engine.place(1, 3) == (2, 5)
    assert engine.place(0, 1) == (7, 8)
    assert engine.place(3, 0) == (3, 3)
    assert engine.busy == 8


@settings(max_examples=60, deadline=None)
@given(
    strategies.lists(
        strategies.tuples(strategies.integers(0, 30), strategies.integers(1, 5)), max_size=30
    )
)
def test_an_engine_does_one_thing_at_a_time(tasks: Any) -> None:
    engine = Engine()
    spans = sorted((*engine.place(ready, duration), ready) for ready, duration in tasks)
    assert all(start >= ready for start, _, ready in spans)
    assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:]))


def run(
    start: Callable[..., Machine], om: Path, *, streamed: bool, depth: int = 3, **knobs: Any
) -> Any:
    machine = start(timing_only=True, **{**TIMES, **knobs})
    session = Session(machine.acl, om)
    if streamed:
        stream_batches(session, BATCHES, SHAPE, depth)
    else:
        slot = session.slot()
        for images in BATCHES:
            run_once(session, slot, images, SHAPE)
    session.close()
    summary = machine.sim.close()
    assert summary["violations"] == summary["leaks"] == []
    return summary["clock"]


def test_one_thing_after_another_keeps_the_chip_busy_for_three_of_seven_milliseconds(
    start: Any, oms: Oms
) -> None:
    clock = run(start, oms[0], streamed=False)
    assert clock["devices"][0]["busy"] == pytest.approx(3 / 7)
    assert clock["now_ms"] == 7 * len(BATCHES)


def test_streams_and_events_keep_it_busy_nearly_all_the_time(start: Any, oms: Oms) -> None:
    clock = run(start, oms[0], streamed=True)
    device = clock["devices"][0]
    # Bound by the computation: all batches, and once the way in and out.
    assert device["span_ms"] == 3 * len(BATCHES) + 2 + 1
    assert device["busy"] == 180 / 183 > 0.95
    assert device["busy_ms"] == {"copy_in": 120, "compute": 180, "copy_out": 60}


def test_a_single_slot_overlaps_nothing(start: Any, oms: Oms) -> None:
    clock = run(start, oms[0], streamed=True, depth=1)
    assert clock["devices"][0]["busy"] < 0.51


def test_the_slowest_part_is_the_bound(start: Any, oms: Oms) -> None:
    clock = run(start, oms[0], streamed=True, host_ms=6.0)
    assert clock["devices"][0]["busy"] == pytest.approx(0.5, abs=0.02)


def test_bandwidth_and_rows() -> None:
    clock = Clock(Knobs(copy_in_ms=1.0, bandwidth=2.0, compute_ms=1.0, compute_ms_per_row=0.5))
    assert clock.copy_duration("copy_in", 4_000_000) == 3.0
    assert clock.copy_duration("copy_out", 4_000_000) == 2.0
    assert clock.compute_duration(4) == 3.0


def test_two_devices_have_their_own_engines(start: Callable[..., Machine]) -> None:
    clock = Clock(Knobs())
    clock.place(0, "compute", 0, 5)
    assert clock.place(1, "compute", 0, 5) == 5
    assert clock.place(0, "compute", 0, 5) == 10
    assert [row["busy"] for row in clock.figures()] == [1.0, 1.0]


def test_at_the_walls_pace_who_waits_sleeps(start: Any, oms: Oms) -> None:
    begin = time.perf_counter()
    clock = run(start, oms[0], streamed=True, real_time=True)
    spent = 1000 * (time.perf_counter() - begin)
    device = clock["devices"][0]
    # No sooner than the engines allow, and no declared time is added to it.
    assert spent >= device["span_ms"] > 3 * len(BATCHES) + 2.99
    assert clock["now_ms"] >= device["span_ms"]
    assert device["busy_ms"]["compute"] == 3 * len(BATCHES)


def test_the_host_can_declare_its_work(machine: Machine) -> None:
    machine.acl.simulator.clock.work(2.5)
    assert machine.sim.close()["clock"]["host_ms"] == 2.5
