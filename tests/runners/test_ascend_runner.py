"""The Ascend runner on a simulated machine:

same logits as ONNX Runtime, no rule broken, nothing left.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import numpy as np
import pytest

from crnn import cann
from crnn.ascend.pyacl import AscendError, AscendUnavailableError, load_acl
from crnn.ascend.sidecar import Sidecar, write_sidecar
from crnn.errors import InputError, UnavailableError
from crnn.filekind import sha256
from crnn.runners.ascend_runner import SLOTS, AscendRunner, open_ascend
from crnn.runners.onnx_runner import OnnxRunner
from crnn.runners.open import open_runner
from crnn.simulator import Knobs
from crnn.spec import ModelSpec
from tests.ascend import fault_sweep, om_writer
from tests.ascend.machine import clean, machine, write_om
from tests.conftest import ROOT
from tests.models import echo_images, write_echo_model
from tests.runners.streamed import SIZES, WORDS, batches, read


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> List[np.ndarray]:
    path = write_echo_model(tmp_path_factory.mktemp("expected") / "m.onnx")
    with OnnxRunner(path, threads=1) as runner:
        return list(runner.stream(batches(3)))


def static_set(folder: Path, sizes: Any = (1, 4)) -> Path:
    folder.mkdir()
    for size in sizes:
        write_om(folder / f"m_bs{size}.om", batches=(size,))
    return folder


FORMS: Dict[str, Dict[str, Any]] = {
    "static 1": {"batches": (1,)},
    "static 4": {"batches": (4,)},
    "gears": {"batches": (1, 4, 8), "gears": True},
    "gears of dims": {"batches": (1, 4, 8), "gears": True, "dims": True},
    "aipp": {"aipp": True},
    "aipp, gears": {"aipp": True, "batches": (2, 4), "gears": True},
    "float16": {"dtype": "float16", "out_dtype": "float16"},
}


@pytest.mark.parametrize("mode", [cann.ACL_HOST, cann.ACL_DEVICE], ids=["card", "on the chip"])
@pytest.mark.parametrize("form", [*FORMS, "static set"])
def test_run_and_stream_give_what_onnx_runtime_gives(
    tmp_path: Path, expected: List[np.ndarray], form: str, mode: int
) -> None:
    path = (
        write_om(tmp_path / "m.om", **FORMS[form])
        if form in FORMS
        else static_set(tmp_path / "set")
    )
    # AIPP computes in float16; nothing else may differ at all from what a float32 graph gives.
    tolerance = (
        {"aipp": 1e-3, "float1": 1e-3}.get(form[:6].rstrip(", g"), 0.0)
        if "aipp" in form or "float" in form
        else 0
    )
    with machine(Knobs(run_mode=mode)) as findings:
        with open_runner(path) as runner:
            for images, logits in zip(batches(), expected):
                np.testing.assert_allclose(runner.run(images), logits, rtol=0, atol=tolerance)
            streamed = list(runner.stream(batches(3)))
        assert len(streamed) == len(expected)
        for found, logits in zip(streamed, expected):
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, logits, rtol=0, atol=tolerance)
        assert [word for found in streamed[: len(SIZES)] for word in read(found)] == WORDS
    clean(findings)


def test_metadata(tmp_path: Path) -> None:
    with machine(Knobs(devices=2)) as findings:
        with open_ascend(write_om(tmp_path / "m.om", batches=(4, 1), gears=True), "1") as runner:
            assert runner.batch_sizes == (1, 4)
            assert [str(tensor) for tensor in (*runner.inputs, *runner.outputs)] == [
                "actual_input_1 float32 (any, 1, 32, 100)",
                "output:0:output1 float32 (26, any, 37)",
            ]
            assert (runner.backend, runner.device, runner.simulated) == ("pyacl", "npu:1", True)
            assert runner.versions == {"chip": "Ascend310", "pyacl": "6.0.0"}
            assert runner.ahead == SLOTS
            assert runner.model.spec_from == "default"
        with open_ascend(write_om(tmp_path / "a.om", aipp=True)) as runner:
            assert str(runner.inputs[0]) == "actual_input_1 uint8 (4, 32, 100, 1)"
    clean(findings)


def test_gear_and_model_fit_the_rows(tmp_path: Path) -> None:
    # 5 rows over 1, 4, 8: padded into 8. Over a static set of 1, 4: a 4 and a 1.
    with machine() as findings, open_ascend(
        write_om(tmp_path / "m.om", batches=(1, 4, 8), gears=True)
    ) as runner:
        runner.run(echo_images(WORDS[:5]))
    assert findings.calls["acl.mdl.execute_async"] == 1
    with machine() as findings, open_ascend(static_set(tmp_path / "set")) as runner:
        assert runner.batch_sizes == (1, 4)
        runner.run(echo_images(WORDS[:5]))
    assert findings.calls["acl.mdl.execute_async"] == 2


@pytest.mark.parametrize("stages", [False, True])
def test_stages_are_told_where_somebody_asks(tmp_path: Path, stages: bool) -> None:
    told: List[str] = []
    with machine() as findings, open_ascend(write_om(tmp_path / "m.om")) as runner:
        if stages:
            runner.lap = told.append
        assert read(runner.run(echo_images(WORDS[:4]))) == WORDS[:4]
    # Without anybody who asks, nothing but the end is waited for.
    waits = findings.calls["acl.rt.synchronize_stream"] - 3
    assert (told, waits) == ((["host to device", "compute"], 3) if stages else ([], 0))
    clean(findings)


def test_memory_is_allocated_once(tmp_path: Path) -> None:
    with machine() as findings, open_ascend(
        write_om(tmp_path / "m.om", batches=(1, 4), gears=True)
    ) as runner:
        before = {
            name: count for name, count in findings.simulator.record.calls.items() if _makes(name)
        }
        list(runner.stream(batches(3)))
        runner.run(echo_images(WORDS))
        assert {
            name: count for name, count in findings.simulator.record.calls.items() if _makes(name)
        } == before


def _makes(name: str) -> bool:
    return "create" in name or "malloc" in name or "load" in name


@pytest.mark.parametrize(("count", "least"), [(50, 0.97), (200, 0.99)])
def test_streaming_keeps_the_chip_busy(tmp_path: Path, count: int, least: float) -> None:
    knobs = Knobs(copy_in_ms=2, compute_ms=3, copy_out_ms=1, host_ms=1, timing_only=True)
    path, images = write_om(tmp_path / "m.om"), np.zeros((4, 1, 32, 100), dtype=np.float32)
    with machine(knobs) as streamed, open_ascend(path) as runner:
        for _ in runner.stream(images for _ in range(count)):
            pass
    with machine(knobs) as synchronous, open_ascend(path) as runner:
        for _ in range(count):
            runner.run(images)
    assert streamed.busy[0] > least
    # The host's own millisecond passes while the batch is copied to the device.
    assert synchronous.busy[0] == pytest.approx(3 / 6, abs=0.005)


@pytest.mark.parametrize("missing", ["create_event", "reset_event", "memcpy_async"])
def test_without_asynchronous_calls_it_runs_synchronously(tmp_path: Path, missing: str) -> None:
    with machine() as findings:
        delattr(load_acl()._module.rt, missing)
        with open_ascend(write_om(tmp_path / "m.om")) as runner:
            assert runner.ahead == 1
            assert "no asynchronous calls" in runner.notes[0]
            assert [word for logits in runner.stream(batches()) for word in read(logits)] == WORDS
    assert "acl.rt.create_stream" not in findings.calls
    clean(findings)


def test_no_more_is_taken_than_said(tmp_path: Path) -> None:
    taken = 0

    def source() -> Iterator[np.ndarray]:
        nonlocal taken
        for images in batches(3):
            taken += 1
            yield images

    with machine(), open_ascend(write_om(tmp_path / "m.om", batches=(4,))) as runner:
        for given_out, _ in enumerate(runner.stream(source()), 1):
            assert taken - given_out < runner.ahead


def test_the_producer_may_reuse_its_array(tmp_path: Path) -> None:
    buffer = np.zeros((4, 1, 32, 100), dtype=np.float32)

    def source() -> Iterator[np.ndarray]:
        for word in WORDS:
            buffer[:] = echo_images([word] * 4)
            yield buffer

    with machine(), open_ascend(write_om(tmp_path / "m.om")) as runner:
        assert [read(logits)[0] for logits in runner.stream(source())] == WORDS


def test_a_stream_given_up_leaves_the_runner_usable(tmp_path: Path) -> None:
    with machine() as findings, open_ascend(write_om(tmp_path / "m.om")) as runner:
        for _ in range(2):
            with contextlib.closing(runner.stream(batches(3))) as outputs:
                assert read(next(outputs)) == WORDS[:3]
        assert read(runner.run(echo_images(WORDS[:2]))) == WORDS[:2]
        assert [word for logits in runner.stream(batches()) for word in read(logits)] == WORDS
    clean(findings)


def test_a_stream_kept_alive_beyond_its_runner_is_harmless(tmp_path: Path) -> None:
    with machine() as findings:
        with open_ascend(write_om(tmp_path / "m.om")) as runner:
            outputs = runner.stream(batches(3))
            next(outputs)
        with pytest.raises(InputError, match="the runner is closed"):
            list(outputs)
        with pytest.raises(InputError, match="the runner is closed"):
            runner.run(echo_images(WORDS[:1]))
    clean(findings)


def test_run_and_a_second_stream_within_a_stream(tmp_path: Path) -> None:
    found: List[str] = []
    with machine() as findings, open_ascend(
        write_om(tmp_path / "m.om", batches=(1, 4), gears=True)
    ) as runner:
        for logits in runner.stream(batches()):
            found += read(logits)
            assert read(runner.run(echo_images(["inner"]))) == ["inner"]
            assert [
                read(inner) for inner in runner.stream([echo_images(["a"]), echo_images(["b"])])
            ] == [["a"], ["b"]]
    assert found == WORDS
    clean(findings)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_of_the_consumer_releases_everything(tmp_path: Path, error: type) -> None:
    with machine() as findings, pytest.raises(error), open_ascend(
        write_om(tmp_path / "m.om")
    ) as runner:
        for _ in runner.stream(batches(3)):
            raise error
    clean(findings)


def test_an_error_of_the_source_releases_everything(tmp_path: Path) -> None:
    def source() -> Iterator[np.ndarray]:
        yield from batches()
        raise OSError("the disk is gone")

    with machine() as findings, pytest.raises(OSError, match="disk"), open_ascend(
        write_om(tmp_path / "m.om")
    ) as runner:
        list(runner.stream(source()))
    clean(findings)


def test_several_runners_and_devices_in_turns(tmp_path: Path) -> None:
    one, two = write_om(tmp_path / "a.om"), write_om(tmp_path / "b.om", batches=(1, 2), gears=True)
    with machine(Knobs(devices=2)) as findings:
        with open_ascend(one, "0") as first, open_ascend(two, "1") as second, open_ascend(
            two, "0"
        ) as third:
            streams = [runner.stream(batches()) for runner in (first, second, third)]
            found: List[List[str]] = [[], [], []]
            for outputs in zip(*streams):
                for words, logits in zip(found, outputs):
                    words += read(logits)
            assert found == [WORDS] * 3
        with open_ascend(one, "1") as again:  # ACL lives on between two runners
            assert read(again.run(echo_images(WORDS))) == WORDS
    assert findings.calls["acl.init"] == findings.calls["acl.finalize"] == 1
    assert findings.calls["acl.rt.set_device"] == findings.calls["acl.rt.reset_device"] == 3
    clean(findings)


def test_threads_share_a_runner_and_open_their_own(tmp_path: Path) -> None:
    path = write_om(tmp_path / "m.om", batches=(1, 4), gears=True)
    wrong: List[Any] = []

    def check(found: List[str]) -> None:
        if found != WORDS:
            wrong.append(found)

    with machine(Knobs(devices=2)) as findings, open_ascend(path) as shared:

        def work(number: int) -> None:
            try:
                if number % 2:
                    for _ in range(3):
                        check(read(shared.run(echo_images(WORDS))))
                        check(
                            [word for logits in shared.stream(batches()) for word in read(logits)]
                        )
                else:
                    with open_ascend(path, str(number // 2 % 2)) as own:
                        check([word for logits in own.stream(batches(1)) for word in read(logits)])
            except BaseException as error:  # noqa: BLE001  a thread's error would be lost
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    clean(findings)


def test_a_runner_may_be_closed_by_another_thread(tmp_path: Path) -> None:
    with machine() as findings:
        runner = open_ascend(write_om(tmp_path / "m.om"))
        runner.__enter__()
        runner.run(echo_images(WORDS[:1]))
        thread = threading.Thread(target=runner.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
        runner.__exit__(None, None, None)  # the second time does nothing
        # This thread's current context is one that is no more; a new runner must not mind.
        with open_ascend(write_om(tmp_path / "n.om")) as again:
            again.run(echo_images(WORDS[:1]))
    clean(findings)


def test_it_lives_with_a_caller_who_uses_acl_himself(tmp_path: Path) -> None:
    path = write_om(tmp_path / "m.om")
    with machine() as findings:
        acl = load_acl()
        acl.init()
        acl.set_device(0)
        context = acl.create_context(0)
        with open_ascend(path) as runner:
            assert acl.get_context() == context
            for _ in runner.stream(batches()):
                assert acl.get_context() == context
                acl.free(acl.malloc(64))  # his own work, in his own context
            runner.run(echo_images(WORDS[:1]))
            assert acl.get_context() == context
        assert acl.get_context() == context
        acl.destroy_context(context)
        acl.reset_device(0)
        acl.finalize()
    assert findings.calls["acl.finalize"] == 1
    clean(findings)


def test_a_callers_own_init_is_the_last_to_be_given_back(tmp_path: Path) -> None:
    """From CANN 8.0 on init and finalize_reference are counted."""
    with machine(Knobs(cann=(8, 0))) as findings:
        acl = load_acl()
        acl.init()
        with open_ascend(write_om(tmp_path / "m.om")) as runner:
            runner.run(echo_images(WORDS[:1]))
        assert acl._call("finalize_reference") == (0, 0)
    clean(findings)


SCRIPT = """
import sys
from pathlib import Path
from crnn.errors import KitError
from crnn.runners.open import open_runner
from tests.runners.streamed import WORDS, batches, read

if __name__ == "__main__":
    try:
        with open_runner(Path(sys.argv[1]), device="0,1") as runner:
            words = [word for logits in runner.stream(batches(2)) for word in read(logits)]
            print(words == 2 * WORDS, runner.device, runner.batch_sizes, runner.simulated, runner.versions["chip"])
    except KitError as error:
        print(error.message)
        sys.exit(error.exit_code)
"""  # noqa: E501


def simulate(tmp_path: Path, om: Path, *knobs: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [
        sys.executable,
        "-m",
        "crnn.simulator",
        *knobs,
        "--",
        sys.executable,
        str(script),
        str(om),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=environment, check=False
    )


def test_two_devices_in_processes_of_their_own(tmp_path: Path) -> None:
    done = simulate(tmp_path, write_om(tmp_path / "m.om", aipp=True), "--devices", "2")
    assert done.stdout == "True npu:0,1 (4,) True Ascend310\n", done.stderr
    assert done.returncode == 0, (
        done.stderr
    )  # 70 for a rule broken or something left in any process


def test_a_fault_on_one_device_of_two(tmp_path: Path) -> None:
    # Each process counts its own calls: the third execution is batch 5 on the first device, batch 6
    # on the second.
    done = simulate(
        tmp_path,
        write_om(tmp_path / "m.om"),
        "--devices",
        "2",
        "--fail",
        "acl.mdl.execute_async:3:507011",
    )
    assert done.stdout.startswith("device npu:0, with batch 1, 3, 5"), done.stderr
    assert "on its way: acl.mdl.execute_async failed with 507011" in done.stdout
    assert done.returncode == 4


# --- what is refused, and how


def test_without_the_simulator_its_om_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_om(tmp_path / "m.om")
    message = "m.om was written by the simulator; it runs only under python -m crnn.simulator"
    monkeypatch.setitem(__import__("sys").modules, "acl", None)  # no CANN at all
    with pytest.raises(InputError, match=message), open_ascend(path):
        pass
    with machine() as findings:  # a real pyACL does not call itself simulated
        module = load_acl()._module
        del module.simulated
        with pytest.raises(InputError, match=message), open_ascend(path):
            pass
    assert findings.calls == {}


@pytest.mark.parametrize(
    ("made", "spec", "said"),
    [
        (
            {},
            {"width": 120},
            (
                r"the spec \(file\) expects .* images \(N, 1, 32, 120\); got actual_input_1 float32"
                r" \(4, 1, 32, 100\)"
            ),
        ),
        ({}, {"color": "rgb"}, r"images \(N, 3, 32, 100\)"),
        ({"dtype": "int32"}, {}, "got actual_input_1 int32"),
        (
            {},
            {"characters": "0123456789"},
            (
                r"expects float32 or float16 logits \(26, 4, 11\); got output:0:output1 .* \(26, 4,"
                r" 37\)"
            ),
        ),
        ({"time_steps": 25}, {}, r"logits \(26, 4, 37\); got .* \(25, 4, 37\)"),
        ({}, {"output_axes": "NTK"}, r"logits \(4, 26, 37\)"),
        ({"out_dtype": "int32"}, {}, "got output:0:output1 int32"),
        (
            {"batches": (1, 4), "gears": True},
            {"time_steps": 24},
            r"logits \(24, 4, 37\); got .* \(26, 4, 37\)",
        ),
    ],
)
def test_an_om_that_does_not_fit_its_spec_is_refused(
    tmp_path: Path, made: Dict[str, Any], spec: Dict[str, Any], said: str
) -> None:
    path = write_om(tmp_path / "m.om", **made)
    beside(path, ModelSpec(**spec))
    with machine() as findings, pytest.raises(InputError, match=said) as caught, open_ascend(path):
        pass
    assert "crnn inspect" in caught.value.hint
    assert "acl.rt.malloc" not in findings.calls  # before any work
    clean(findings)


def beside(path: Path, spec: ModelSpec, checkpoint: Optional[str] = None) -> None:
    write_sidecar(path, Sidecar(spec, sha256(path), "0" * 64, checkpoint, (), {}, (4,), True))


def test_models_of_different_specs_or_inputs_are_no_set(tmp_path: Path) -> None:
    folder = static_set(tmp_path / "set")
    beside(folder / "m_bs4.om", ModelSpec(blank=36))
    with pytest.raises(InputError, match="not a set: they are read by different specs"):
        open_ascend(folder)
    write_om(folder / "m_bs4.om", dtype="float16")
    (folder / "m_bs4.om.json").unlink()
    with machine() as findings, pytest.raises(
        InputError, match="take different images"
    ), open_ascend(folder):
        pass
    clean(findings)


def test_an_om_of_atc_itself_is_not_for_the_simulator(tmp_path: Path) -> None:
    (tmp_path / "real.om").write_bytes(om_writer.static(4))
    said = "compiled by ATC itself; the simulator runs only what"
    with machine() as findings, pytest.raises(InputError, match=said), open_ascend(
        tmp_path / "real.om"
    ):
        pass
    clean(findings)


def test_oms_of_different_checkpoints_are_no_set(tmp_path: Path) -> None:
    folder = static_set(tmp_path / "set", (1, 4, 8))
    for batch, checkpoint in ((1, "a" * 64), (4, None), (8, "b" * 64)):
        beside(folder / f"m_bs{batch}.om", ModelSpec(), checkpoint)
    with pytest.raises(
        InputError, match="m_bs1.om and .*m_bs8.om are not a set: .*different checkpoints"
    ):
        open_ascend(folder)


def test_an_om_beside_a_set_is_named(tmp_path: Path) -> None:
    folder = static_set(tmp_path / "set")
    assert open_ascend(folder).notes == ()
    write_om(folder / "m_fp32.om")
    assert open_ascend(folder).notes == (f"{folder}: the set of 2 OMs; not of it: m_fp32.om",)


@pytest.mark.parametrize(
    ("knobs", "code", "exit_code", "said"),
    [
        (
            Knobs(device_memory=1 << 20),
            207001,
            4,
            r"m.om \(compiled for Ascend310, on Ascend310\): .*\(out of memory\)",
        ),
        (Knobs(soc="Ascend310P3"), 145000, 1, r"compiled for Ascend310, on Ascend310P3"),
    ],
)
def test_what_cannot_be_loaded_says_why(
    tmp_path: Path, knobs: Knobs, code: int, exit_code: int, said: str
) -> None:
    with machine(knobs) as findings, pytest.raises(AscendError, match=said) as caught, open_ascend(
        write_om(tmp_path / "m.om")
    ):
        pass
    assert (caught.value.code, caught.value.exit_code) == (code, exit_code)
    clean(findings)


def test_no_room_for_the_buffers(tmp_path: Path) -> None:
    # The model fits, its buffers do not.
    path = write_om(tmp_path / "m.om", batches=(512,))
    with machine(Knobs(device_memory=70 << 20)) as findings, pytest.raises(
        AscendUnavailableError, match="acl.rt.malloc failed with 207001"
    ), open_ascend(path):
        pass
    clean(findings)


def test_a_device_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_om(tmp_path / "m.om")
    with machine(Knobs(devices=2)) as findings:
        with pytest.raises(
            UnavailableError, match="--device 2: this machine shows 2 chips, numbered from 0"
        ), open_ascend(path, "2"):
            pass
        monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", "1")
        with pytest.raises(UnavailableError, match="shows 1 chip,") as caught, open_ascend(
            path, "1"
        ):
            pass
        assert "ASCEND_RT_VISIBLE_DEVICES" in caught.value.hint
    clean(findings)


def test_a_broken_file_touches_no_device(tmp_path: Path) -> None:
    path = write_om(tmp_path / "m.om")
    path.write_bytes(path.read_bytes()[:-10])
    with machine() as findings, pytest.raises(InputError, match=r"m\.om"):
        open_ascend(path)
    assert findings.calls == {}


# --- faults


def test_the_first_error_is_the_one_told(tmp_path: Path) -> None:
    from crnn.simulator import Fault

    faults = (
        Fault("acl.rt.malloc", 3, 207001),
        Fault("acl.mdl.unload", 1, 545009),
        Fault("acl.rt.destroy_context", 1, 107000),
    )
    with machine(Knobs(faults=faults)) as findings, pytest.raises(
        AscendError
    ) as caught, open_ascend(write_om(tmp_path / "m.om")):
        pass
    assert (caught.value.call, caught.value.code) == ("rt.malloc", 207001)
    assert sorted(leak["what"] for leak in findings.leaks) == ["context", "model"]
    assert all(leak["release_failed"] for leak in findings.leaks)


@pytest.mark.parametrize("case", fault_sweep.CASES, ids=lambda case: case.name)
def test_every_nineteenth_fault(tmp_path: Path, case: fault_sweep.Case) -> None:
    # All of them: python -m tests.ascend.fault_sweep
    count, wrong = fault_sweep.sweep(case, tmp_path, step=19)
    assert count > 5
    assert wrong == []


def test_refused_while_closed(tmp_path: Path) -> None:
    runner = AscendRunner([write_om(tmp_path / "m.om")])
    runner._close()  # never opened
