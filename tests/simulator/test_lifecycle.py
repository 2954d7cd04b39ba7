"""Init, devices, contexts, threads, the order of giving back, and what is found at the end."""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Tuple

import pytest

from tests.simulator.conftest import Machine

Step = Callable[[Machine], Any]


def in_thread(call: Callable[[], Any]) -> Any:
    results: List[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


def test_a_release_of_2020_has_its_own_number(start: Callable[..., Machine]) -> None:
    assert start(cann=(2, 1)).acl.get_version() == (20, 1, 0, 0)


def test_a_life_in_order_breaks_nothing(start: Callable[..., Machine]) -> None:
    machine = start()
    acl = machine.acl
    assert acl.rt.get_device_count() == (1, 0)
    machine.ready()
    assert acl.get_soc_name() == "Ascend310"
    assert acl.rt.get_run_mode() == (1, 0)
    assert acl.get_version() == (6, 0, 0, 0)
    default, ret = acl.rt.get_context()
    context, _ = acl.rt.create_context(0)
    assert (ret, acl.rt.get_context()) == (0, (context, 0))
    pointer, host, stream, event = (
        machine.device(),
        machine.host(),
        machine.stream(),
        machine.event(),
    )
    assert acl.rt.free(pointer) == acl.rt.free_host(host) == 0
    assert acl.rt.destroy_event(event) == acl.rt.destroy_stream(stream) == 0
    assert acl.rt.destroy_context(context) == 0
    assert acl.rt.get_context() == (0, 107002)
    assert acl.rt.set_context(default) == 0
    assert acl.rt.reset_device(0) == 0
    assert acl.finalize() == 0
    assert machine.sim.close()["leaks"] == []
    assert machine.broken == []


def test_init_twice_is_a_code_finalize_twice_a_violation_too(machine: Machine) -> None:
    acl = machine.acl
    assert acl.init() == 100002
    assert machine.broken == []
    acl.rt.reset_device(0)
    assert acl.finalize() == 0
    assert acl.finalize() == 100037
    assert machine.broken == ["finalize"]
    assert acl.init() == 0
    assert machine.broken == ["finalize", "init"]


def test_counted_initialisation(start: Callable[..., Machine]) -> None:
    machine = start(cann=(8, 0))
    assert machine.acl.init() == 0
    assert machine.acl.init() == 100002
    assert machine.acl.finalize_reference() == (1, 0)
    assert machine.acl.finalize_reference() == (0, 0)
    assert machine.broken == []


def test_configuration_files(start: Callable[..., Machine], tmp_path: Any) -> None:
    machine = start()
    assert machine.acl.init(str(tmp_path / "none.json")) == 100003
    (tmp_path / "acl.json").write_text("{")
    assert machine.acl.init(str(tmp_path / "acl.json")) == 100006
    (tmp_path / "acl.json").write_text("{}")
    assert machine.acl.init(str(tmp_path / "acl.json")) == 0


def test_devices_are_counted(start: Callable[..., Machine]) -> None:
    machine = start(devices=2)
    acl = machine.acl
    acl.init()
    for _ in range(2):
        assert acl.rt.set_device(1) == 0
    assert acl.rt.reset_device(1) == 0
    assert acl.rt.get_device() == (1, 0)
    assert acl.rt.reset_device(1) == 0
    assert acl.rt.get_device() == (0, 107002)
    assert acl.rt.set_device(2) == 107001
    assert machine.broken == []
    assert acl.rt.reset_device(1) == 107001
    assert machine.broken == ["device"]


@pytest.mark.parametrize(
    ("value", "count"),
    [("0,2", 2), ("2", 1), ("1,0", 1), ("0, 1", 1), ("5,0", 0), ("", 0), ("0,1,2,3", 4)],
)
def test_visible_devices(
    start: Callable[..., Machine], monkeypatch: Any, value: str, count: int
) -> None:
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", value)
    machine = start(devices=4)
    assert machine.acl.rt.get_device_count() == ((count, 0) if count else (0, 207004))
    machine.acl.init()
    assert machine.acl.rt.set_device(count) == 107001


def test_a_thread_has_its_own_context(machine: Machine) -> None:
    acl = machine.acl
    context, _ = acl.rt.get_context()
    assert in_thread(acl.rt.get_context) == (0, 107002)
    assert machine.broken == []
    assert in_thread(lambda: acl.rt.malloc(64, 0)) == (0, 107002)
    assert machine.broken == ["context"]
    assert in_thread(lambda: (acl.rt.set_context(context), acl.rt.malloc(64, 0)[1])) == (0, 0)
    assert in_thread(lambda: (acl.rt.set_device(0), acl.rt.get_context())) == (0, (context, 0))
    assert machine.broken == ["context"]


def test_messages_are_kept_per_thread(machine: Machine) -> None:
    acl = machine.acl
    acl.rt.set_device(7)
    assert in_thread(acl.get_recent_err_msg) is None
    assert "no number 7" in acl.get_recent_err_msg()
    assert acl.get_recent_err_msg() is None


def default_context(machine: Machine) -> Any:
    return machine.acl.rt.destroy_context(machine.acl.rt.get_context()[0])


def event_after_its_context(machine: Machine) -> Any:
    default, _ = machine.acl.rt.get_context()
    context, _ = machine.acl.rt.create_context(0)
    event = machine.event()
    machine.acl.rt.destroy_context(context)
    machine.acl.rt.set_context(default)
    return machine.acl.rt.destroy_event(event)


def context_after_its_device(machine: Machine) -> Any:
    context, _ = machine.acl.rt.create_context(0)
    machine.acl.rt.reset_device(0)
    return machine.acl.rt.destroy_context(context)


def dead_context(machine: Machine) -> Any:
    context, _ = machine.acl.rt.create_context(0)
    machine.acl.rt.destroy_context(context)
    return machine.acl.rt.set_context(context)


def after_the_end(machine: Machine) -> Any:
    machine.acl.rt.reset_device(0)
    machine.acl.finalize()
    return machine.acl.rt.set_device(0)


def elsewhere(machine: Machine) -> Any:
    machine.acl.rt.reset_device(0)
    return in_thread(machine.acl.finalize)


def reset_by_force(machine: Machine) -> Any:
    machine.acl.rt.set_device(0)
    return machine.acl.rt.reset_device_force(0), machine.acl.rt.reset_device_force(0)


def in_a_destructor(machine: Machine) -> Any:
    class Owner:
        def __del__(self) -> None:
            machine.acl.finalize()

    machine.acl.rt.reset_device(0)
    owner = Owner()
    del owner
    return machine.acl.finalize()


def no_device(machine: Machine) -> Any:
    machine.acl.rt.reset_device(0)
    return machine.acl.get_soc_name()


RULES: Tuple[Tuple[str, Step, Any, List[str]], ...] = (
    ("default context", default_context, 107000, ["context"]),
    ("context goes, then an event in it", event_after_its_context, 107000, ["context"]),
    ("device goes, then a context of it", context_after_its_device, 0, ["release-order"]),
    ("context that is no more", dead_context, 107002, ["use-after-release"]),
    ("call after finalize", after_the_end, 100001, ["init"]),
    ("finalize in a thread", elsewhere, 0, ["finalize"]),
    ("finalize in __del__", in_a_destructor, 100037, ["finalize", "finalize"]),
    ("name without a device", no_device, None, ["context"]),
)


@pytest.mark.parametrize(
    ("step", "code", "rules"), [row[1:] for row in RULES], ids=[row[0] for row in RULES]
)
def test_rule(machine: Machine, step: Step, code: Any, rules: List[str]) -> None:
    assert step(machine) == code
    assert machine.broken == rules


def test_resetting_by_force(start: Callable[..., Machine]) -> None:
    machine = start(cann=(8, 0))
    machine.ready()
    assert reset_by_force(machine) == (0, 107001)
    assert machine.broken == ["device"]


def test_asking_before_init_breaks_nothing(start: Callable[..., Machine]) -> None:
    """A library asks at its import, or to learn whether its caller has begun."""
    for mode in (0, 1):
        machine = start(run_mode=mode)
        acl = machine.acl
        assert acl.rt.get_run_mode() == (mode, 0)
        assert acl.rt.get_device() == (0, 107002)
        assert acl.rt.get_context() == (0, 107002)
        assert acl.app_log(1, "beginning") is None
        assert machine.broken == []
    assert machine.acl.app_log(4, "no such level") is None
    assert machine.broken == ["parameter"]


def test_before_init(start: Callable[..., Machine]) -> None:
    machine = start()
    assert machine.acl.rt.set_device(0) == 100001
    assert machine.acl.mdl.create_dataset() == 0
    assert machine.broken == ["init", "init"]


def test_leaks_name_the_line_that_made_them(machine: Machine) -> None:
    acl = machine.acl
    line = threading.get_ident() and __import__("sys")._getframe().f_lineno
    acl.rt.malloc(64, 0)
    acl.rt.malloc_host(64)
    acl.rt.create_stream()
    acl.create_data_buffer(0, 0)
    leaks = machine.sim.close()["leaks"]
    found = {
        leak["what"]: leak["where"].rpartition(":")[2]
        for leak in leaks
        if "test_lifecycle" in leak["where"]
    }
    assert found == {
        "device memory": str(line + 1),
        "pinned host memory": str(line + 2),
        "stream": str(line + 3),
        "data buffer": str(line + 4),
    }
    others = {leak["what"] for leak in leaks} - set(found)
    assert others == {"device 0, set and not reset", "acl, initialised and not finalized"}
    assert not any(leak["release_failed"] for leak in leaks)


def test_what_is_left_behind_is_told_once(start: Callable[..., Machine]) -> None:
    """Not by the context that goes, the device, finalize and the end, each for itself."""
    machine = start()
    acl = machine.acl
    machine.ready()
    context, _ = acl.rt.create_context(0)
    machine.device()
    assert acl.rt.destroy_context(context) == 0
    acl.rt.set_device(0)
    acl.rt.reset_device(0)
    assert acl.rt.reset_device(0) == 0
    assert acl.finalize() == 0
    assert [leak["what"] for leak in machine.sim.close()["leaks"]] == ["device memory"]
    assert machine.broken == []


def test_memory_given_back_after_its_context(machine: Machine) -> None:
    acl = machine.acl
    default, _ = acl.rt.get_context()
    context, _ = acl.rt.create_context(0)
    pointer = machine.device()
    buffer = acl.create_data_buffer(pointer, 64)
    acl.rt.destroy_context(context)
    acl.rt.set_context(default)
    assert acl.rt.free(pointer) == 0
    assert machine.broken == ["release-order"]
    assert "must be given back before the context was destroyed at" in machine.said
    assert acl.destroy_data_buffer(buffer) == 0  # nothing of it lies on the device
    assert machine.broken == ["release-order"]
    # The memory before its buffer, and the buffer after its context.
    assert len(machine.sim.record.advice) == 2


def test_handles_are_of_one_kind(machine: Machine) -> None:
    acl = machine.acl
    dataset = acl.mdl.create_dataset()
    assert acl.destroy_data_buffer(dataset) == 100000
    assert acl.get_data_buffer_addr(1) == 0
    assert machine.broken == ["handle", "handle"]
    assert acl.mdl.destroy_dataset(dataset) == 0
    assert acl.mdl.destroy_dataset(dataset) == 100000
    assert machine.broken[2:] == ["use-after-release"]
    assert "was released at" in machine.said


def test_small_calls(machine: Machine) -> None:
    acl = machine.acl
    assert [acl.data_type_size(number) for number in (0, 1, 4, 9, 5, 99)] == [4, 2, 1, 8, 0, 0]
    buffer = acl.create_data_buffer(640, 10)
    assert acl.update_data_buffer(buffer, 1280, 20) == 0
    assert (acl.get_data_buffer_addr(buffer), acl.get_data_buffer_size_v2(buffer)) == (1280, 20)
    desc = acl.create_tensor_desc(1, [3, 2], 2)
    assert (acl.get_tensor_desc_type(desc), acl.get_tensor_desc_format(desc)) == (1, 2)
    assert acl.get_tensor_desc_num_dims(desc) == 2
    assert (acl.get_tensor_desc_dim(desc, 0), acl.get_tensor_desc_dim_v2(desc, 1)) == (3, (2, 0))
    assert (acl.get_tensor_desc_element_count(desc), acl.get_tensor_desc_size(desc)) == (6, 12)
    assert acl.set_tensor_const(desc, 640, 12) == 0
    assert acl.destroy_tensor_desc(desc) is None
    assert acl.create_tensor_desc(5, [1], 2) == 0
    assert machine.broken == []
