"""ATC's command line, its run and its errors."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Type

import pytest

from crnn.ascend.environment import Version
from crnn.compile.atc import (
    AtcJob,
    AtcRun,
    atc_codes,
    atc_environment,
    check_batches,
    check_gears,
    check_precision,
    check_run,
    check_tune,
    explain,
    gear_flags,
    knows_lstm,
    may_need_split,
    run_atc,
    safe_path,
    split_extra,
)
from crnn.errors import InputError, KitError, UnavailableError, UsageError
from tests.cann_trees import ATC, write
from tests.conftest import ROOT
from tests.processes import started

JOB = AtcJob(Path("m.onnx"), Path("out"), "actual_input_1", (1, 32, 100), (1,), "Ascend310")
BASE = ["atc", "--framework=5", "--model=m.onnx", "--output=out", "--input_format=NCHW"]


def test_the_default_command_holds_only_flags_that_every_version_takes() -> None:
    assert JOB.command == [
        *BASE,
        "--input_shape=actual_input_1:1,1,32,100",
        "--soc_version=Ascend310",
        "--log=info",
    ]


def test_several_batches_become_gears() -> None:
    job = AtcJob(Path("m.onnx"), Path("out"), "x", (3, 32, 100), (1, 4, 16), "Ascend310P3")
    assert job.command[5:7] == ["--input_shape=x:-1,3,32,100", "--dynamic_batch_size=1,4,16"]


def test_gears_of_dims_want_the_format_nd() -> None:
    job = AtcJob(
        Path("m.onnx"), Path("out"), "x", (1, 32, 100), (1, 4, 16), "Ascend310", gears="dims"
    )
    assert job.command[4:7] == [
        "--input_format=ND",
        "--input_shape=x:-1,1,32,100",
        "--dynamic_dims=1;4;16",
    ]
    # One batch has no gears, of whatever kind.
    assert dataclasses.replace(job, batches=(4,)).command[4:6] == [
        "--input_format=NCHW",
        "--input_shape=x:4,1,32,100",
    ]


def test_gears_of_dims_may_give_any_dimension() -> None:
    assert gear_flags("x", (-1, 3, 32, -1), [(1, 320), (4, 320)], "dims") == [
        "--input_format=ND",
        "--input_shape=x:-1,3,32,-1",
        "--dynamic_dims=1,320;4,320",
    ]


@pytest.mark.parametrize(
    ("batches", "static_set", "aipp", "said"),
    [
        ((1, 4), False, True, "--aipp and --gears dims exclude each other"),
        ((4,), False, False, "needs several batch sizes in one OM"),
        ((1, 4), True, False, "needs several batch sizes in one OM"),
    ],
)
def test_where_gears_of_dims_make_no_sense(
    batches: tuple[int, ...], static_set: bool, aipp: bool, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        check_gears("dims", batches, static_set=static_set, aipp=aipp)
    assert "--gears" in caught.value.hint
    check_gears("batch", batches, static_set=static_set, aipp=aipp)


def test_what_is_asked_for_is_added_at_the_end() -> None:
    job = AtcJob(
        Path("m.onnx"),
        Path("out"),
        "x",
        (1, 32, 100),
        (8,),
        "Ascend310",
        "debug",
        precision="force_fp32",
        aipp=Path("a.cfg"),
        tune=True,
        extra=("--op_select_implmode=high_precision",),
    )
    assert job.command[6:] == [
        "--soc_version=Ascend310",
        "--log=debug",
        "--precision_mode=force_fp32",
        "--insert_op_conf=a.cfg",
        "--auto_tune_mode=RL,GA",
        "--op_select_implmode=high_precision",
    ]


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ((4, 1), "ascending order"),
        ((1, 1), "different sizes"),
        ((0, 4), "from 1 to 2048"),
        ((1, 4096), "from 1 to 2048"),
        (tuple(range(1, 102)), "101 gears; ATC takes 100"),
    ],
)
def test_batches_that_atc_refuses(batches: tuple[int, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_batches(batches, gears=True)


def test_a_static_set_may_have_more_members_than_gears() -> None:
    check_batches(tuple(range(1, 102)), gears=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--soc_version=Ascend310P3", "Use --soc"),
        ("--input-shape=x:1", "Use --batch"),  # ATC takes hyphens for underscores
        ("--output o", "Use NAME"),
        ("--dynamic_dims=1;4", "Use --batch 1,4,8,16 --gears dims"),
        ("--external_weight=1", "would not hold its own weights"),
        ("--a='b", "cannot be split"),
    ],
)
def test_extra_flags_that_the_kit_sets_itself_are_refused(
    text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        split_extra(text, tmp_path)
    assert said in str(caught.value)


def test_extra_is_split_as_a_shell_would_and_its_files_become_absolute(tmp_path: Path) -> None:
    write(tmp_path / "switch.cfg")
    words = split_extra(
        "--fusion_switch_file=switch.cfg --out_nodes='a:0;b:0' --output_type FP32", tmp_path
    )
    assert words == (
        f"--fusion_switch_file={tmp_path}/switch.cfg",
        "--out_nodes=a:0;b:0",
        "--output_type",
        "FP32",
    )


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("/a/b-c_d.1/m.onnx", True),
        ("/模型/m.onnx", True),
        ("/a b/m", False),
        ("/a@b", False),
        ("/ä/m", False),
    ],
)
def test_paths_that_atc_takes(path: str, safe: bool) -> None:
    assert safe_path(Path(path)) == safe


def test_tuning_by_version() -> None:
    check_tune(Version(5, 1), Path("m.onnx"))
    with pytest.raises(UnavailableError, match="Auto Tune ended with 5.x") as caught:
        check_tune(Version(6, 0), Path("m.onnx"))
    assert "aoe --framework=5 --model=m.onnx" in caught.value.hint
    with pytest.raises(UsageError, match="depends on the CANN version"):
        check_tune(None, Path("m.onnx"))


def test_lstms_by_version() -> None:
    versions = (None, Version(5, 1), Version(5, 0), Version(3, 3), Version(2, 1))
    assert [may_need_split(version) for version in versions] == [False, False, True, False, False]
    assert [knows_lstm(version) for version in versions] == [True, True, True, False, False]


def test_bfloat16_is_for_the_310b_alone() -> None:
    check_precision("allow_fp32_to_bf16", "Ascend310B4")
    check_precision(None, "Ascend310")
    check_precision("force_fp32", "Ascend310")
    with pytest.raises(UsageError, match="Ascend310P3 has no bfloat16"):
        check_precision("allow_mix_precision_bf16", "Ascend310P3")


@pytest.mark.parametrize("how", ["kill -9 $$", "exit 137"])
def test_an_atc_that_is_killed_names_the_variables_for_small_boards(
    how: str, tmp_path: Path
) -> None:
    atc = write(tmp_path / "atc", f"#!/bin/sh\necho E19999: half a line\n{how}\n", executable=True)
    done = run_atc([str(atc)], folder=tmp_path, environ={}, timeout=None, say=lambda line: None)
    with pytest.raises(UnavailableError, match="ATC was killed") as caught:
        check_run(done, tmp_path / "none.om")
    assert "TE_PARALLEL_COMPILER=1 MAX_COMPILE_CORE_NUMBER=1" in caught.value.hint


# --- the run


def run(tmp_path: Path, **environ: str) -> AtcRun:
    atc = write(tmp_path / "bin/atc", ATC, executable=True)
    values = {"PATH": "/usr/bin:/bin", **environ}
    command = [str(atc), f"--output={tmp_path / 'out'}"]
    return run_atc(command, folder=tmp_path, environ=values, timeout=None, say=lambda line: None)


def test_what_atc_prints_is_handed_on_line_by_line(tmp_path: Path) -> None:
    lines: List[str] = []
    atc = write(tmp_path / "atc", "#!/bin/sh\necho one\necho two >&2\nexit 255\n", executable=True)
    done = run_atc(
        [str(atc)], folder=tmp_path, environ={"PATH": "/bin"}, timeout=None, say=lines.append
    )
    assert lines == ["one", "two"]
    assert (done.exit_code, done.output) == (255, "one\ntwo")


def test_an_atc_that_cannot_be_started_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be started"):
        run_atc(
            [str(tmp_path / "atc")],
            folder=tmp_path,
            environ={},
            timeout=None,
            say=lambda line: None,
        )


def gone(pid: int) -> bool:
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # A zombie that init has not collected is gone as well.
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_a_timeout_ends_atc_and_its_workers(tmp_path: Path) -> None:
    atc = write(tmp_path / "bin/atc", ATC, executable=True)
    values = {"PATH": "/usr/bin:/bin", "FAKE_ATC_SLEEP": "60"}
    with pytest.raises(UnavailableError, match="did not end within 1 s"):
        run_atc([str(atc)], folder=tmp_path, environ=values, timeout=1.0, say=lambda line: None)
    assert gone(int((tmp_path / "bin/log.child").read_text()))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_an_interrupt_ends_atc_and_leaves_nothing(number: int, code: int, tmp_path: Path) -> None:
    from tests.models import write_echo_model

    atc = write(tmp_path / "bin/atc", ATC, executable=True)
    model = write_echo_model(tmp_path / "m.onnx")
    work = tmp_path / "tmp"
    work.mkdir()
    environ = {
        "PATH": f"{atc.parent}:/usr/bin:/bin",
        "FAKE_ATC_SLEEP": "60",
        "TMPDIR": str(work),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "crnn", "compile", str(model), str(tmp_path / "out")]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = tmp_path / "bin/log.child"
    with started(command, env=environ, **silent) as process:
        for _ in range(600):
            if child.is_file() and child.read_text().strip():
                break
            time.sleep(0.1)
        process.send_signal(number)
        assert process.wait(60) == code
    assert gone(int(child.read_text()))
    assert list(work.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "m.onnx", "tmp"]


# --- errors

OLD = """\
ATC start working now, please wait for a moment.
ATC run failed, Please check the detail log, Try 'atc --help' for more information
E10016: Opname [x] specified in [--input_shape] is not found in the model
"""
NEW = """\
ATC run failed, Please check the detail log, Try 'atc --help' for more information
E10007: [PID: 10490] 2025-03-18-09:02:18.501.341 [--framework] is required.
        Solution: give it.
        TraceBack (most recent call last):
        E10007 again, E10001 in the middle of a line
E40021: [PID: 10490] 2025-03-18-09:02:18.501.342 Failed to compile Op [DynamicRNN].
"""


def test_codes_are_read_in_the_old_and_the_new_form() -> None:
    assert atc_codes(OLD) == [
        ("E10016", "Opname [x] specified in [--input_shape] is not found in the model")
    ]
    assert atc_codes(NEW) == [
        ("E10007", "[--framework] is required."),
        ("E40021", "Failed to compile Op [DynamicRNN]."),
    ]


@pytest.mark.parametrize(
    ("code", "output", "kind", "said"),
    [
        (255, OLD, InputError, "E10016: Opname .*\n  meaning: .*\n  usual cause: .*\n  remedy: "),
        (255, "E12345: something\n", InputError, "not in the kit's table"),
        (
            255,
            "Segmentation fault\n",
            InputError,
            "gave no code; it ended with:\nSegmentation fault",
        ),
        (
            0,
            "ATC run success, welcome to the next use.\n",
            InputError,
            "said success but wrote no out.om",
        ),
        (
            255,
            "EC0010: Failed to import Python module [decorator].\n",
            UnavailableError,
            "the python3 that PATH names",
        ),
        (
            127,
            (
                "atc.bin: error while loading shared libraries: libascend_hal.so: cannot open"
                " shared object file\n"
            ),
            UnavailableError,
            "ATC cannot start: .*libascend_hal.so",
        ),
    ],
    ids=["documented", "undocumented", "no code", "no file", "python", "libraries"],
)
def test_a_failure_is_explained(
    code: int, output: str, kind: Type[KitError], said: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        check_run(AtcRun(code, output, 1.0), tmp_path / "out.om")
    assert re.search(said, str(caught.value))


def test_success_is_exit_0_and_the_file(tmp_path: Path) -> None:
    om = write(tmp_path / "out.om", "x")
    check_run(AtcRun(0, "", 1.0), om)
    with pytest.raises(InputError, match=r"ATC failed \(exit 255\)"):
        check_run(AtcRun(255, OLD, 1.0), om)


def test_every_code_has_a_cause_and_a_remedy_or_says_that_it_has_none() -> None:
    assert [line.split(":")[0].strip() for line in explain("E10016", "text")[1:]] == [
        "meaning",
        "usual cause",
        "remedy",
    ]
    assert "GE and ATC" in explain("E11111", "text")[1]


# --- the environment


def test_the_stub_driver_is_for_atc_alone_and_only_without_a_driver(tmp_path: Path) -> None:
    stub = tmp_path / "cann/x86_64-linux/devlib"
    stub.mkdir(parents=True)
    environ = {"ASCEND_TOOLKIT_HOME": str(tmp_path / "cann"), "LD_LIBRARY_PATH": "/a"}
    assert atc_environment(environ)["LD_LIBRARY_PATH"] == f"/a:{stub}"
    write(tmp_path / "driver/libascend_hal.so")
    environ["LD_LIBRARY_PATH"] = str(tmp_path / "driver")
    assert atc_environment(environ) == environ


def test_debug_dumps_graphs_and_prints_the_log() -> None:
    assert atc_environment({}, debug=True) == {
        "DUMP_GE_GRAPH": "2",
        "ASCEND_SLOG_PRINT_TO_STDOUT": "1",
        "ASCEND_GLOBAL_LOG_LEVEL": "1",
        "SLOG_PRINT_TO_STDOUT": "1",
    }
    assert atc_environment({"A": "b"}, tune=True) == {"A": "b", "REPEAT_TUNE": "True"}
