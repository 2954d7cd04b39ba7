"""Memory: what is fresh, what is whose, what is past the end, what is gone."""

from __future__ import annotations

import gc
from typing import Any, Callable, Tuple

import numpy as np
import pytest

from crnn.simulator.memory import DEVICE_BASE, POISON
from tests.simulator.conftest import Machine
from tests.simulator.programs import DEVICE_TO_HOST, HOST_TO_DEVICE, view

Step = Callable[[Machine], Any]


def copy_down(machine: Machine, pointer: int, size: int) -> np.ndarray:
    host = machine.host(size)
    assert machine.acl.rt.memcpy(host, size, pointer, size, DEVICE_TO_HOST) == 0
    return view(host, size)


def test_fresh_memory_is_poisoned(machine: Machine) -> None:
    assert view(machine.host(64), 64).tobytes() == POISON * 16
    assert copy_down(machine, machine.device(64), 64).tobytes() == POISON * 16
    assert np.isnan(np.frombuffer(POISON, dtype=np.float32)).all()


def test_device_addresses_are_aligned_and_no_addresses_of_the_process(machine: Machine) -> None:
    pointers = [machine.device(size) for size in (1, 31, 1000, 4097)]
    assert all(pointer % 64 == 0 and pointer >= DEVICE_BASE for pointer in pointers)
    assert all(machine.host(size) % 64 == 0 for size in (1, 65))
    assert DEVICE_BASE > 1 << 47  # beyond what a user program of x86-64 or aarch64 can have mapped


def test_on_the_chip_memory_is_real_and_host_memory_hardly_aligned(
    start: Callable[..., Machine],
) -> None:
    machine = start(run_mode=0)
    machine.ready()
    pointer = machine.device(64)
    view(pointer, 64)[:] = 7
    other = machine.device(64)
    assert machine.acl.rt.memcpy(other, 64, pointer, 64, 3) == 0
    assert (
        machine.acl.rt.memset_async(other, 64, 7, 64, 0)
        == machine.acl.rt.synchronize_stream(0)
        == 0
    )
    assert (view(other, 64) == 7).all()
    assert machine.host(64) % 64 != 0
    assert machine.broken == []
    assert machine.acl.rt.memcpy(other, 64, pointer, 64, HOST_TO_DEVICE) == 0
    assert machine.broken == ["copy-kind"]


def test_bytes_travel_there_and_back(machine: Machine) -> None:
    host, pointer = machine.host(256), machine.device(256)
    view(host, 256)[:] = np.arange(256)
    assert machine.acl.rt.memcpy(pointer, 256, host, 256, HOST_TO_DEVICE) == 0
    assert np.array_equal(copy_down(machine, pointer, 256), np.arange(256))
    assert machine.acl.rt.memset(pointer + 64, 192, 5, 64) == 0
    assert (copy_down(machine, pointer, 256)[64:128] == 5).all()
    assert machine.broken == []


def test_out_of_memory_breaks_no_rule(start: Callable[..., Machine]) -> None:
    machine = start(device_memory=4096)
    machine.ready()
    assert machine.acl.rt.malloc(4096, 0) == (0, 207001)
    first = machine.device(1000)
    # rounded up to 32, and 32 more
    assert machine.acl.rt.get_mem_info(0) == (4096 - 1024 - 32, 4096, 0)
    assert machine.acl.rt.free(first) == 0
    assert machine.acl.rt.get_mem_info(0) == (4096, 4096, 0)
    assert machine.broken == []
    assert "4096 bytes asked" in machine.acl.get_recent_err_msg()
    assert machine.acl.get_recent_err_msg() is None


def double_free(machine: Machine) -> Any:
    pointer = machine.device()
    machine.acl.rt.free(pointer)
    return machine.acl.rt.free(pointer)


def after_free(machine: Machine) -> Any:
    pointer, host = machine.device(), machine.host()
    machine.acl.rt.free(pointer)
    return machine.acl.rt.memcpy(pointer, 256, host, 256, HOST_TO_DEVICE)


def gone_bytes(machine: Machine) -> Any:
    pointer = machine.acl.util.bytes_to_ptr(bytes(bytearray(1000)))
    gc.collect()
    return machine.acl.rt.memcpy(machine.device(1000), 1000, pointer, 1000, HOST_TO_DEVICE)


def short_bytes(machine: Machine) -> Any:
    data = bytes(100)
    return machine.acl.rt.memcpy(
        machine.device(), 256, machine.acl.util.bytes_to_ptr(data), 101, HOST_TO_DEVICE
    )


def freed_under_a_buffer(machine: Machine) -> Any:
    pointer = machine.device()
    machine.acl.create_data_buffer(pointer, 256)
    return machine.acl.rt.free(pointer)


def other_device(machine: Machine) -> Any:
    pointer, host = machine.device(), machine.host()
    machine.acl.rt.set_device(1)
    return machine.acl.rt.memcpy(pointer, 256, host, 256, HOST_TO_DEVICE)


def two_devices(machine: Machine) -> Any:
    first = machine.device()
    machine.acl.rt.set_device(1)
    return machine.acl.rt.memcpy(machine.device(), 256, first, 256, 3)


def unpinned_fill(machine: Machine) -> Any:
    return machine.acl.rt.memset_async(np.zeros(64, np.uint8).ctypes.data, 64, 0, 64, 0)


RULES: Tuple[Tuple[str, Step, Any, str], ...] = (
    ("no bytes", lambda m: m.acl.rt.malloc(0, 0), (0, 100000), "parameter"),
    ("no such policy", lambda m: m.acl.rt.malloc(64, 9), (0, 100000), "parameter"),
    ("free of nothing", lambda m: m.acl.rt.free(0), 100000, "memory"),
    ("free of the middle", lambda m: m.acl.rt.free(m.device() + 64), 207002, "memory"),
    ("free of pinned memory", lambda m: m.acl.rt.free(m.host()), 107016, "memory"),
    ("free_host of device memory", lambda m: m.acl.rt.free_host(m.device()), 107016, "memory"),
    ("double free", double_free, 207002, "memory"),
    ("use after free", after_free, 107000, "use-after-release"),
    (
        "more than the target",
        lambda m: m.acl.rt.memcpy(m.device(), 64, m.host(), 65, 1),
        107000,
        "overrun",
    ),
    (
        "past the target's end",
        lambda m: m.acl.rt.memcpy(m.device(), 512, m.host(), 64, 1),
        107000,
        "overrun",
    ),
    (
        "past the source's end",
        lambda m: m.acl.rt.memcpy(m.device(512), 512, m.host(), 300, 1),
        107000,
        "overrun",
    ),
    (
        "wild pointer",
        lambda m: m.acl.rt.memcpy(DEVICE_BASE + 12345, 64, m.host(), 64, 1),
        107000,
        "memory",
    ),
    ("null pointer", lambda m: m.acl.rt.memcpy(0, 64, m.host(), 64, 1), 100000, "memory"),
    (
        "nothing to copy",
        lambda m: m.acl.rt.memcpy(m.device(), 64, m.host(), 0, 1),
        100000,
        "parameter",
    ),
    ("wrong kind", lambda m: m.acl.rt.memcpy(m.device(), 64, m.host(), 64, 2), 107000, "copy-kind"),
    (
        "DEFAULT is not for old releases",
        lambda m: m.acl.rt.memcpy(m.device(), 64, m.host(), 64, 4),
        107000,
        "copy-kind",
    ),
    (
        "no such kind",
        lambda m: m.acl.rt.memcpy(m.device(), 64, m.host(), 64, 9),
        100000,
        "parameter",
    ),
    ("bytes that nobody kept", gone_bytes, 107000, "use-after-release"),
    ("more than the bytes", short_bytes, 107000, "overrun"),
    ("memset past the end", lambda m: m.acl.rt.memset(m.device(), 256, 0, 257), 107000, "overrun"),
    ("memory of another device", other_device, 107000, "context"),
    ("between two devices", two_devices, 107000, "memory"),
    ("no such memory in the world", lambda m: m.acl.rt.malloc_host(1 << 50), (0, 207001), ""),
    ("memset of nothing", lambda m: m.acl.rt.memset(m.device(), 64, 0, 0), 100000, "parameter"),
    ("memset_async of host memory", unpinned_fill, 107000, "pinned"),
    ("no such memory", lambda m: m.acl.rt.get_mem_info(99), (0, 0, 107000), "parameter"),
)


@pytest.mark.parametrize(
    ("step", "code", "rule"), [row[1:] for row in RULES], ids=[row[0] for row in RULES]
)
def test_rule(start: Callable[..., Machine], step: Step, code: Any, rule: str) -> None:
    machine = start(devices=2)
    machine.ready()
    assert step(machine) == code
    assert machine.broken == [rule] * bool(rule)
    for violation in machine.sim.record.violations:
        assert "test_memory.py:" in violation.to_dict()["where"]


def test_kept_bytes_may_be_copied(machine: Machine) -> None:
    data = bytes(range(200))
    pointer = machine.device()
    assert (
        machine.acl.rt.memcpy(
            pointer, 256, machine.acl.util.bytes_to_ptr(data), 200, HOST_TO_DEVICE
        )
        == 0
    )
    assert copy_down(machine, pointer, 200).tobytes() == data
    assert machine.broken == []


@pytest.mark.filterwarnings("ignore:bytes_to_ptr:Warning")
def test_arrays(machine: Machine) -> None:
    acl = machine.acl
    kept = np.arange(64, dtype=np.float32)
    pointer = machine.device()
    assert (
        acl.rt.memcpy(pointer, 256, acl.util.numpy_to_ptr(kept.reshape(8, 8)), 256, HOST_TO_DEVICE)
        == 0
    )
    host = machine.host()
    assert acl.rt.memcpy(host, 256, pointer, 256, DEVICE_TO_HOST) == 0
    seen = acl.util.ptr_to_numpy(host, (64,), np.dtype(np.float32).num)
    assert np.array_equal(seen, kept)
    assert acl.util.ptr_to_bytes(host, 256) == kept.tobytes()
    assert machine.broken == []
    gone = acl.util.numpy_to_ptr(np.arange(64, dtype=np.float32))
    assert acl.rt.memcpy(pointer, 256, gone, 256, HOST_TO_DEVICE) == 107000
    assert machine.broken == ["use-after-release"]


@pytest.mark.filterwarnings("ignore:bytes_to_ptr:Warning")
def test_the_host_cannot_look_at_the_device(machine: Machine) -> None:
    acl, pointer = machine.acl, machine.device()
    assert np.isnan(acl.util.ptr_to_numpy(pointer, (64,), 11)).all()
    assert acl.util.ptr_to_bytes(pointer, 8) == POISON * 2
    assert machine.broken == ["memory", "memory"]
    host = machine.host(64)
    acl.util.ptr_to_numpy(host, (17,), 11)
    acl.util.ptr_to_bytes(DEVICE_BASE + 12345, 8)
    acl.rt.free_host(host)
    acl.util.ptr_to_bytes(host, 8)
    acl.util.numpy_to_ptr(np.zeros((4, 4))[:, 1])
    assert machine.broken[2:] == ["overrun", "memory", "use-after-release", "memory"]


@pytest.mark.parametrize("where", [256, -1])
def test_writing_past_pinned_memory_is_seen_when_it_is_freed(machine: Machine, where: int) -> None:
    host = machine.host(256)
    view(host + where, 1)[:] = 1
    assert machine.acl.rt.free_host(host) == 0
    assert machine.broken == ["overrun"]
    assert "256 bytes made at" in machine.said


def test_writing_after_free_is_seen_at_the_end(machine: Machine) -> None:
    host = machine.host(256)
    bytes_there = view(host, 256)
    assert machine.acl.rt.free_host(host) == 0
    bytes_there[3] = 1
    machine.sim.close()
    assert machine.broken == ["overrun"]
    assert "after its release at" in machine.said


def test_reading_after_free_gives_poison(machine: Machine) -> None:
    host = machine.host(256)
    bytes_there = view(host, 256)
    bytes_there[:] = 1
    assert machine.acl.rt.free_host(host) == 0
    assert bytes_there.tobytes() == POISON * 64
