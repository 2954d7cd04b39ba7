"""The launcher:

what a command finds in its way, the report, exit codes, several processes, signals.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from crnn.simulator import Knobs, launcher, npu_smi
from tests.processes import started

ROOT = Path(__file__).resolve().parents[2]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT)}

CLEAN = """
import acl, acl.rt
assert acl.init() == 0 and acl.rt.set_device(0) == 0
pointer, _ = acl.rt.malloc(64, 0)
assert acl.rt.free(pointer) == acl.rt.reset_device(0) == acl.finalize() == 0
print(acl.simulated)
"""
LEAK = (
    "import acl\nacl.init()\nacl.rt.set_device(0)\nacl.rt.malloc(64,"
    " 0)\nacl.rt.reset_device(0)\nacl.finalize()\n"
)


def run(
    folder: Path, *command: str, knobs: Tuple[str, ...] = (), **options: Any
) -> Tuple[int, Dict[str, Any], str, str]:
    """Run a command under the launcher; return its code, the report, stdout and stderr."""
    report = folder / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "crnn.simulator", "--report", str(report), *knobs, "--", *command],
        cwd=str(folder),
        env=ENVIRON,
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
        **options,
    )
    return done.returncode, json.loads(report.read_text(encoding="utf-8")), done.stdout, done.stderr


def program(folder: Path, text: str) -> str:
    path = folder / "program.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_clean_program(tmp_path: Path) -> None:
    code, report, out, err = run(tmp_path, sys.executable, program(tmp_path, CLEAN))
    assert (code, out) == (0, "True\n")
    assert (report["schema"], report["simulated"], report["clean"], report["exit"]) == (
        "crnn-simulator/1",
        True,
        True,
        0,
    )
    assert report["calls"]["acl.rt.malloc"] == 1
    assert len(report["processes"]) == 1
    assert err.splitlines() == [
        "crnn.simulator: SIMULATED Ascend310, CANN 6.0, devices: 1; processes: 1, calls:",
        "crnn.simulator:   6, broken rules: 0, leaks: 0",
    ]


def test_a_release_has_its_own_name(tmp_path: Path) -> None:
    """20.1 came before 3.3 and is compared as 2.1, but nobody knows it by that name."""
    words = (sys.executable, program(tmp_path, CLEAN))
    _, _, _, err = run(tmp_path, *words, knobs=("--cann", "20.1"))
    assert "CANN 20.1, devices: 1" in err


def test_python_is_the_launchers(tmp_path: Path) -> None:
    environment = {**ENVIRON, "PATH": "/usr/bin:/bin"}
    words = ["-m", "crnn.simulator", "--", "python", "-c", "import sys; print(sys.prefix)"]
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, check=False, text=True
    )
    assert done.stdout == f"{sys.prefix}\n", done.stderr


def test_a_leak_is_70_and_named_by_its_line(tmp_path: Path) -> None:
    code, report, _, err = run(tmp_path, sys.executable, program(tmp_path, LEAK))
    assert code == launcher.BROKEN == 70
    assert not report["clean"]
    assert [leak["what"] for leak in report["leaks"]] == ["device memory"]
    assert report["leaks"][0]["where"].endswith("program.py:4")
    assert report["violations"] == []
    assert "advice" not in report
    assert "leaked: device memory, made at" in err


def test_without_numpy_one_sentence_and_4(tmp_path: Path) -> None:
    # A module of this name that cannot be found stands for a Python without NumPy.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Wall:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'numpy':\n"
        "            raise ModuleNotFoundError('No module named numpy', name=name)\n"
        "sys.meta_path.insert(0, Wall())\n"
    )
    environment = {**ENVIRON, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "crnn.simulator", "--", "true"],
        cwd=str(tmp_path),
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1
    assert "NumPy is not installed" in done.stderr


def test_the_commands_own_failure_stands(tmp_path: Path) -> None:
    code, report, _, _ = run(tmp_path, sys.executable, "-c", LEAK + "raise SystemExit(3)")
    assert (code, report["exit"], report["clean"]) == (3, 3, False)


def test_giving_back_at_exit_is_in_time(tmp_path: Path) -> None:
    """The stand-in looks for leaks after everything that the program registered with atexit, even
    before its import.
    """
    text = "import atexit\natexit.register(lambda: acl.finalize())\nimport acl\nacl.init()\n"
    code, report, _, _ = run(tmp_path, sys.executable, program(tmp_path, text))
    assert (code, report["leaks"]) == (0, [])


SPAWN = """
import multiprocessing, sys
import acl

def work(device):
    import acl
    acl.init(), acl.rt.set_device(device)
    if "leak" in sys.argv[1:]:
        acl.rt.malloc(64, 0)
    acl.rt.reset_device(device), acl.finalize()

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(device,)) for device in range(2)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
"""


def test_spawned_processes_are_in_the_report(tmp_path: Path) -> None:
    path = program(tmp_path, SPAWN)
    code, report, _, _ = run(tmp_path, sys.executable, path, knobs=("--devices", "2"))
    assert code == 0
    assert report["calls"]["acl.init"] == 2
    assert len({row["pid"] for row in report["processes"]}) == len(report["processes"]) == 3
    code, report, _, _ = run(tmp_path, sys.executable, path, "leak", knobs=("--devices", "2"))
    assert code == 70
    assert len({leak["pid"] for leak in report["leaks"]}) == 2


def test_a_fork_after_init_is_refused(tmp_path: Path) -> None:
    text = """
import os, acl
acl.init(), acl.rt.set_device(0)
if os.fork() == 0:
    os._exit(acl.rt.set_device(0) == 507033)
assert os.wait()[1] >> 8 == 1
acl.rt.reset_device(0), acl.finalize()
"""
    code, report, _, err = run(tmp_path, sys.executable, program(tmp_path, text))
    assert (code, [row["rule"] for row in report["violations"]]) == (70, ["fork"]), err
    assert report["leaks"] == []
    assert (
        report["violations"][0]["pid"] != report["processes"][0]["pid"]
        or len(report["processes"]) == 2
    )


def test_a_process_that_is_cut_off_is_seen(tmp_path: Path) -> None:
    text = "import os, acl\nacl.init()\nos._exit(0)\n"
    code, report, _, _ = run(tmp_path, sys.executable, program(tmp_path, text))
    assert (code, [row["rule"] for row in report["violations"]]) == (70, ["cut-off"])
    assert report["violations"][0]["where"].endswith("program.py:2")


def test_a_sitecustomize_of_the_users_own_still_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.mine = 1\n")
    env = {**ENVIRON, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "crnn.simulator",
            "--",
            sys.executable,
            "-c",
            "import sys; print(sys.mine)",
        ],
        env=env,
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
        text=True,
    )
    assert done.stdout == "1\n"


def test_atc_and_npu_smi_are_first_on_the_path(tmp_path: Path, echo_onnx: Path) -> None:
    script = (
        f"npu-smi info && atc --framework=5 --model={echo_onnx} --output=x"
        " --soc_version=Ascend310P3"
    )
    script += " --input_shape=actual_input_1:1,1,32,100"
    knobs = ("--soc", "Ascend310P3", "--devices", "2")
    code, report, out, _ = run(tmp_path, "/bin/sh", "-ec", script, knobs=knobs)
    assert code == 0
    assert out.count("310P3 ") == 2 and "SIMULATED" in out
    assert "ATC start working now, please wait for a moment." in out
    assert out.endswith("ATC run success, welcome to the next use.\n")
    assert (tmp_path / "x.om").read_bytes()[:4] == b"IMOD"
    assert [row["tool"] for row in report["processes"]] == ["atc"]
    code, _, out, _ = run(
        tmp_path, "/bin/sh", "-c", script.replace("framework=5", "framework=4"), knobs=knobs
    )
    assert code == 255
    assert "ATC run failed" in out and "E10007" in out


def test_an_installation_is_found(tmp_path: Path) -> None:
    script = (
        'test -x "$ASCEND_TOOLKIT_HOME/bin/atc" && cat'
        ' "$ASCEND_TOOLKIT_HOME"/*/ascend_toolkit_install.info'
    )
    code, _, out, _ = run(tmp_path, "/bin/sh", "-c", script, knobs=("--cann", "7.0"))
    assert code == 0
    assert "version=7.0.0\n" in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_command(tmp_path: Path, number: int) -> None:
    # It says that it is up only once it would catch the signal.
    text = "import acl, time\ntry:\n    print('up', flush=True)\n    time.sleep(600)\n"
    text += "except KeyboardInterrupt:\n    raise SystemExit(9)\n"
    with started(
        [sys.executable, "-m", "crnn.simulator", "--", sys.executable, "-c", text],
        env=ENVIRON,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        process.send_signal(number)
        process.communicate(timeout=120)
    assert process.returncode == (9 if number == signal.SIGINT else 128 + signal.SIGTERM)


def test_faults_reach_the_command(tmp_path: Path) -> None:
    text = "import acl\nassert acl.init() == 100039\n"
    knobs = ("--fail", "acl.init:1:100039")
    assert run(tmp_path, sys.executable, "-c", text, knobs=knobs)[0] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        (["--"], 2),
        (["--soc"], 2),
        (["--devices", "x", "--", "true"], 2),
        (["--report", "/nowhere/x.json", "--", "true"], 2),
    ],
)
def test_bad_usage(words: List[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        launcher.main(words)
    assert caught.value.code == code
    assert "usage: python -m crnn.simulator" in capsys.readouterr().err


def test_a_command_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    assert launcher.main(["--", "no-such-command"]) == 127
    assert "command not found" in capfd.readouterr().err


def test_a_command_killed_by_a_signal(capfd: pytest.CaptureFixture[str]) -> None:
    assert launcher.main(["--", "/bin/sh", "-c", "kill -9 $$"]) == 137


def test_the_table_of_npu_smi_is_read_by_the_kit() -> None:
    from crnn.ascend.environment import parse_npu_smi

    for soc in ("Ascend310", "Ascend310P3", "Ascend310B4"):
        chips = parse_npu_smi("\n".join(npu_smi.table(Knobs(soc=soc, devices=2))))
        assert [(chip.name, chip.health, chip.memory_total) for chip in chips] == [
            (soc[6:], "OK", 8192)
        ] * 2


def test_a_tool_outside_the_launcher_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRNN_SIMULATOR", raising=False)
    with pytest.raises(RuntimeError, match=r"python -m crnn\.simulator"):
        npu_smi.main(["info"])


def test_the_environment_scripts_find_the_simulated_cann(tmp_path: Path) -> None:
    program = f'{sys.executable} -c "import acl; print(acl.simulated)"'
    line = f"set -eu; source {ROOT}/acl_env_x86.sh; {program}"
    if os.uname().machine != "x86_64":
        line = line.replace("x86", "arm")
    code, _, out, err = run(tmp_path, "bash", "-c", line)
    assert (code, out) == (0, "True\n"), err
    assert "acl_env: CANN at " in err
    assert "acl_env: SIMULATED: models are compiled and run without a chip" in err
    assert "no driver" not in err


LATE = """
import acl

class Owner:
    def __init__(self):
        assert acl.init() == acl.rt.set_device(0) == 0
        self.context, _ = acl.rt.create_context(0)
        self.memory, _ = acl.rt.malloc(4096, 0)
        self.host, _ = acl.rt.malloc_host(4096)
        self.stream, _ = acl.rt.create_stream()

    def __del__(self):
        assert acl.rt.free(self.memory) == acl.rt.free_host(self.host) == 0
        assert acl.rt.destroy_stream(self.stream) == acl.rt.destroy_context(self.context) == 0
        assert acl.rt.reset_device(0) == acl.finalize() == 0

owner = Owner()
"""


def test_what_a_destructor_gives_back_at_the_very_end_is_no_leak(tmp_path: Path) -> None:
    """The interpreter destroys a program's globals after everything that is registered for exit."""
    code, report, _, err = run(tmp_path, sys.executable, program(tmp_path, LATE))
    assert report["leaks"] == []
    # Huawei's pages advise against finalize in a destructor, and nothing else is wrong.
    assert [row["rule"] for row in report["violations"]] == ["finalize"]
    assert code == 70
    assert "Traceback" not in err and "Exception ignored" not in err


IN_PROCESS = """
from crnn.simulator import Simulator, installed
simulator = Simulator()
with installed(simulator) as acl:
    acl.init()
    acl.rt.set_device(0)
    acl.rt.malloc(64, 0)
    print(" ".join(sorted(leak["where"] for leak in simulator.close()["leaks"])))
"""


@pytest.mark.parametrize("way", ["link", "folder/..", "."])
def test_lines_are_the_programs_however_the_kit_is_reached(tmp_path: Path, way: str) -> None:
    (tmp_path / "link").symlink_to(ROOT)
    (tmp_path / "folder").mkdir()
    root = {"link": str(tmp_path / "link"), "folder/..": f"{ROOT}/crnn/..", ".": str(ROOT)}[way]
    done = subprocess.run(
        [sys.executable, program(tmp_path, IN_PROCESS)],
        cwd=str(tmp_path),
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [f"{tmp_path}/program.py:{number}" for number in (5, 6, 7)]
    assert done.stdout.split() == lines, done.stderr
