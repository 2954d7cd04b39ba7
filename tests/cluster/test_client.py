"""What a machine of a cluster is refused for; what a worker makes of the chips it was granted."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Callable, Iterator, Optional

import pytest

pytest.importorskip("ray", reason="no Ray here")

import ray
from ray._private.utils import check_version_info
from ray.exceptions import RpcError

from crnn.cluster import probe
from crnn.cluster.client import require_alike, versions_differ, what_failed
from crnn.cluster.drive import ClusterOptions, drive
from crnn.cluster.order import EvaluateJob, Order, ReadJob
from crnn.cluster.worker import Worker
from crnn.errors import InputError, UnavailableError
from crnn.simulator import Knobs
from tests.ascend.machine import machine


def order_in(folder: Path) -> Order:
    (folder / "probe").write_text("token")
    job = ReadJob(folder, folder / "m.onnx", "listing", {})
    place, seen = str(folder), str(folder / "probe")
    return Order(job, "auto", False, None, None, 1, 16, 16, place, seen, "token", place)


def test_a_call_that_the_head_did_not_answer_is_no_bug() -> None:
    """As Ray 2.10 does it: it wants to call again, by a package that is not there."""
    with pytest.raises(ZeroDivisionError) as raised:
        try:
            raise RpcError("failed to connect\nrefused")
        except RpcError:
            1 / 0  # noqa: B018
    told = what_failed(raised.value)
    assert (told["name"], told["kind"]) == ("error", "UnavailableError")
    assert told["message"] == "the head of the Ray cluster is lost: refused"
    bug = what_failed(ZeroDivisionError("ours"))
    assert bug == {"name": "bug", "message": "ZeroDivisionError: ours\n"}


def test_a_machine_like_this_one_is_taken(tmp_path: Path) -> None:
    order = order_in(tmp_path)
    found = probe.look(order.probe, order.place)
    assert found.host == socket.gethostname()
    require_alike(found, probe.versions(), order)


@pytest.mark.parametrize("name", ["Ray", "Python", "the kit", "NumPy", "Pillow", "ONNX Runtime"])
def test_each_version_that_differs_is_refused_with_both(tmp_path: Path, name: str) -> None:
    order = order_in(tmp_path)
    here = probe.versions()
    assert set(here) == {"Ray", "Python", "the kit", "NumPy", "Pillow", "ONNX Runtime"}
    there = probe.look(order.probe, order.place)._replace(versions={**here, name: "0.1"})
    with pytest.raises(InputError, match=f"has {name} 0.1, and this machine has {here[name][:4]}"):
        require_alike(there, here, order)


def test_a_folder_that_is_not_shared_is_refused(tmp_path: Path) -> None:
    order = order_in(tmp_path)
    elsewhere = probe.look(str(tmp_path / "not there"), order.place)
    with pytest.raises(InputError, match="does not see the folder"):
        require_alike(elsewhere, probe.versions(), order)
    # One of the same name is not enough.
    (tmp_path / "probe").write_text("another run's")
    with pytest.raises(InputError, match="does not see the folder"):
        require_alike(probe.look(order.probe, order.place), probe.versions(), order)


def test_the_folder_of_the_command_is_needed(tmp_path: Path) -> None:
    order = order_in(tmp_path)
    without = probe.look(order.probe, str(tmp_path / "home"))
    with pytest.raises(InputError, match="where the command was started"):
        require_alike(without, probe.versions(), order)


@pytest.mark.parametrize("wrong", ["ray_version", "python_version"])
def test_what_ray_says_of_versions_is_one_sentence(wrong: str) -> None:
    cluster = {"ray_version": ray.__version__, "python_version": "3.11.7", wrong: "0.0.1"}
    with pytest.raises(RuntimeError) as caught:
        check_version_info(cluster, "this process")
    said = versions_differ(str(caught.value))
    assert said is not None
    assert "\n" not in said
    assert "0.0.1" in said
    assert ray.__version__ in said
    assert versions_differ("Failed to connect to GCS") is None


def worker(folder: Path) -> Worker:
    return Worker(ReadJob(folder, folder / "m.om", "listing", {}), str(folder), 1)


def test_a_worker_that_sees_its_chip_alone_takes_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", "1")
    with machine(Knobs(devices=2)):
        one = worker(tmp_path)
        assert one._chip(["1"]) == "0"
        assert one._notes == []


def test_where_all_chips_are_seen_rays_number_is_taken_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with machine(Knobs(devices=4)):
        one = worker(tmp_path)
        assert one._chip(["3"]) == "3"
        (note,) = one._notes
        assert "pyACL counts 4 chips where Ray has granted 1" in note
        assert "ASCEND_RT_VISIBLE_DEVICES has no effect there" in note
        assert "Ray's own number of the chip is taken, 3" in note
        with pytest.raises(UnavailableError, match="expected a number"):
            one._chip(["left"])


@contextlib.contextmanager
def in_silence(label: str, total: Optional[int]) -> Iterator[Callable[[int], None]]:
    yield lambda count: None


def test_an_address_at_which_nobody_listens_is_told_at_once(tmp_path: Path) -> None:
    job = EvaluateJob(tmp_path / "run", None)
    # Bound and not listening: nobody else takes the port meanwhile.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        options = ClusterOptions(f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UnavailableError, match="Connection refused") as caught:
            drive(job, options, chips=False, count=1, batch=1, progress=in_silence, note=print)
    assert f"no Ray cluster can be used at {options.address}: " in caught.value.message
    assert "ray start --head" in caught.value.hint
    assert not job.folder.exists()
