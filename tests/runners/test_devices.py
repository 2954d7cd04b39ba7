"""Several processes behind one runner, on ONNX Runtime:

order, errors, deaths, and nobody left behind.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Generator, Iterator, List

import numpy as np
import pytest

from crnn import ctc
from crnn.errors import InputError, UnavailableError
from crnn.runners import devices as devices_module
from crnn.runners.devices import PATIENCE, DevicesRunner
from crnn.runners.onnx_runner import OnnxRunner
from tests.conftest import ROOT
from tests.models import SPEC, echo_images, write_echo_model
from tests.processes import started
from tests.runners.touchy import Touchy

WORDS = [f"{number}a{number}" for number in range(40)]


def devices(path: Path, count: int = 2) -> DevicesRunner:
    names = [str(number) for number in range(count)]
    return DevicesRunner([functools.partial(Touchy, path, threads=1) for _ in names], names)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_echo_model(tmp_path_factory.mktemp("devices") / "m.onnx", batch=4)


@pytest.fixture(scope="module")
def runner(model: Path) -> Iterator[DevicesRunner]:
    with devices(model) as opened:
        yield opened


@pytest.fixture
def by_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system have no unnamed memory, as old kernels and Python 3.7."""
    monkeypatch.delattr(os, "memfd_create")


def batches(words: List[str], size: int = 3) -> Generator[np.ndarray, None, None]:
    for start in range(0, len(words), size):
        yield echo_images(words[start : start + size])


def read(logits: np.ndarray) -> List[str]:
    return ctc.greedy(logits, SPEC.alphabet)


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return (
            f"{pid} (" in Path(f"/proc/{pid}/stat").read_text()
            and ") Z" not in Path(f"/proc/{pid}/stat").read_text()
        )
    return False


def test_batches_come_back_in_order_and_whole(model: Path, runner: DevicesRunner) -> None:
    with OnnxRunner(model, threads=1) as single:
        expected = list(single.stream(batches(WORDS)))
        for _ in range(2):  # a second stream starts clean
            found = list(runner.stream(batches(WORDS)))
            assert len(found) == len(expected)
            for one, other in zip(found, expected):
                np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(
            runner.run(echo_images(WORDS)), single.run(echo_images(WORDS))
        )
    assert runner.batch_sizes == (4,)
    assert runner.device == "0,1"
    assert runner.backend == "onnxruntime"


def test_logits_belong_to_the_caller(runner: DevicesRunner) -> None:
    runner.run(echo_images(["hello"]))[:] = 0
    # The memory that logits came by is taken by the next ones.
    kept = list(runner.stream(batches(WORDS)))
    assert read(np.concatenate(kept, axis=1)) == WORDS


@pytest.mark.usefixtures("by_pipe")
def test_without_shared_memory_the_pipe_takes_all(model: Path) -> None:
    with devices(model) as opened:
        assert [read(logits) for logits in opened.stream(batches(WORDS[:9]))] == [
            WORDS[:3],
            WORDS[3:6],
            WORDS[6:9],
        ]


def test_images_and_logits_pass_through_shared_memory(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("an array went through the pipe")

    with devices(model) as opened:
        for half in ("send_bytes", "recv_bytes"):
            monkeypatch.setattr(Connection, half, refused)
        assert [read(logits) for logits in opened.stream(batches(WORDS[:6]))] == [
            WORDS[:3],
            WORDS[3:6],
        ]


def test_no_more_is_taken_than_said(runner: DevicesRunner) -> None:
    taken = 0

    def source() -> Iterator[np.ndarray]:
        nonlocal taken
        for images in batches(WORDS, 1):
            taken += 1
            yield images

    for given_out, _ in enumerate(runner.stream(source()), 1):
        assert taken - given_out < runner.ahead


def test_a_stream_given_up_leaves_the_runner_usable(runner: DevicesRunner) -> None:
    with contextlib.closing(runner.stream(batches(WORDS))) as outputs:
        assert read(next(outputs)) == WORDS[:3]
    assert read(runner.run(echo_images(["after"]))) == ["after"]


def test_a_failing_source_leaves_the_runner_usable(runner: DevicesRunner) -> None:
    def source() -> Generator[np.ndarray, None, None]:
        yield from batches(WORDS[:6])
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk is gone"):
        list(runner.stream(source()))
    assert read(runner.run(echo_images(["after"]))) == ["after"]


def test_wrong_images_are_refused_here(runner: DevicesRunner) -> None:
    with pytest.raises(InputError, match="expected \\(N, 1, 32, 100\\)"):
        runner.run(np.zeros((1, 1, 32, 99), dtype=np.float32))


def test_an_error_names_device_and_batch(model: Path) -> None:
    said = "^device 1, with batch 4, 6 on its way: a bad word"
    with pytest.raises(InputError, match=said) as caught, devices(model) as opened:
        list(opened.stream(batches([*WORDS[:9], "bad", *WORDS[:9]])))
    assert caught.value.hint == "Say another."


def test_a_bug_keeps_its_traceback(model: Path) -> None:
    said = "(?s)device 0, with batch 1 on its way: .*ZeroDivisionError: a bug"
    with pytest.raises(RuntimeError, match=said), devices(model, 1) as opened:
        list(opened.stream(batches(["bug"])))


def test_a_dead_process_names_device_and_batch_and_ends_the_others(model: Path) -> None:
    said = "^device 0, with batch 3, 5 on its way: .* \\(exit code -9\\)"
    with pytest.raises(UnavailableError, match=said) as caught, devices(model) as opened:
        pids = [process._process.pid for process in opened._workers]
        list(opened.stream(batches([*WORDS[:6], "die", *WORDS])))
    assert "dmesg" in caught.value.hint
    assert [pid for pid in pids if pid and alive(pid)] == []


@pytest.fixture
def own_model(tmp_path: Path) -> Path:
    return write_echo_model(tmp_path / "m.onnx", batch=4)


def spare(path: Path, count: int) -> DevicesRunner:
    made = devices(path, count)
    made.spare = True
    return made


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("place", [0, 7, 39])
def test_the_others_run_what_a_device_that_fails_was_given(
    own_model: Path, count: int, place: int
) -> None:
    words = [*WORDS[:place], "once", *WORDS[place + 1 :]]
    with spare(own_model, count) as opened:
        logits = list(opened.stream(batches(words, 1)))
        assert [word for part in logits for word in read(part)] == words
        (device,) = opened.given_up
        assert opened.given_up[device].endswith("on its way: the chip fell out")
        # And it goes on without the lost one.
        again = list(opened.stream(batches(words, 1)))
        assert [word for part in again for word in read(part)] == words


def test_a_device_that_gives_nothing_is_given_up(
    own_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices_module, "SILENCE", 3.0)
    words = [*WORDS[:5], "hang", *WORDS[6:]]
    with spare(own_model, 2) as opened:
        pids = [process._process.pid for process in opened._workers]
        logits = list(opened.stream(batches(words, 1)))
        assert [word for part in logits for word in read(part)] == words
        assert "it gave no batch for 3 s" in next(iter(opened.given_up.values()))
    assert [pid for pid in pids if pid and alive(pid)] == []


def test_the_last_device_is_not_given_up(own_model: Path) -> None:
    with pytest.raises(UnavailableError, match="exit code -9"), spare(own_model, 3) as opened:
        list(opened.stream(batches([*WORDS[:6], "die", *WORDS])))
    assert len(opened.given_up) == 3


def test_a_device_that_cannot_be_opened_is_given_up(model: Path) -> None:
    factories = [
        functools.partial(Touchy, model, threads=1),
        functools.partial(Touchy, model, device="cuda", threads=1),
    ]
    made = DevicesRunner(factories, ["0", "7"])
    made.spare = True
    with made as opened:
        assert "while it was opened" in opened.given_up["7"]
        assert read(opened.run(echo_images(["after"]))) == ["after"]


def test_a_wrong_word_is_not_the_devices_fault(own_model: Path) -> None:
    with pytest.raises(InputError, match="a bad word"), spare(own_model, 2) as opened:
        list(opened.stream(batches(["bad"])))
    assert opened.given_up == {}


def test_after_a_failure_the_runner_refuses(model: Path) -> None:
    with devices(model) as opened:
        with pytest.raises(InputError, match="a bad word"):
            list(opened.stream(batches(["bad"])))
        with pytest.raises(InputError, match="one of its devices has failed"):
            opened.run(echo_images(["a"]))


def test_what_cannot_be_opened_says_why(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model.read_bytes())
    factories = [
        functools.partial(Touchy, model, threads=1),
        functools.partial(Touchy, broken, device="cuda", threads=1),
    ]
    with pytest.raises(
        UnavailableError, match="^device 7, while it was opened: .*CUDA"
    ), DevicesRunner(factories, ["0", "7"]):
        pass


PARENT = """
import sys, time
from pathlib import Path
from tests.models import echo_images
from tests.runners.test_devices import devices

def source():
    while True:
        time.sleep(0.01)
        yield echo_images(["abc"])

if __name__ == "__main__":
    with devices(Path(sys.argv[1])) as runner:
        print(*[process._process.pid for process in runner._workers], flush=True)
        for _ in runner.stream(source()):
            pass
"""


@pytest.mark.usefixtures("by_pipe")
@pytest.mark.parametrize("half", ["recv_bytes", "send_bytes"])
def test_an_interrupt_within_a_message_ends_the_processes_at_once(
    model: Path, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), devices(model) as opened:
        pids = [process._process.pid for process in opened._workers]
        # An array goes as its shape, then its bytes: the other side waits for these.
        monkeypatch.setattr(Connection, half, interrupted)
        start = time.monotonic()
        list(opened.stream(batches(WORDS)))
    assert time.monotonic() - start < PATIENCE
    assert [pid for pid in pids if alive(pid)] == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_no_process_outlives_its_parent(
    model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with started(
        [sys.executable, str(script), str(model)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        time.sleep(0.2)
        if number == signal.SIGINT:
            os.killpg(parent.pid, number)  # as a terminal does: to all of them
        else:
            parent.send_signal(number)
        _, errors = parent.communicate(timeout=60)
        deadline = time.monotonic() + 60
        while any(map(alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [pid for pid in pids if alive(pid)] == []
    if number == signal.SIGINT:
        assert (
            errors.decode().count("Traceback") == 1
        )  # the parent's own KeyboardInterrupt, no process's
