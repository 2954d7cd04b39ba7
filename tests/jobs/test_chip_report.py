"""``crnn doctor --chip-report``: whole though steps fail, and free of whoever made it."""

from __future__ import annotations

import json
import os
import platform
import re
import tarfile
import time
from pathlib import Path
from typing import Dict

import onnx
import pytest

from crnn.cli.main import main
from crnn.jobs import chip_report
from crnn.jobs.chip_report import ARCHIVE, Step, _run
from crnn.jobs.redact import redaction
from tests.lstm_models import lstm_model
from tests.simulated import Done, host, ran

USER = "jdoe42"


def simulated(folder: Path, *words: str) -> Done:
    """Run ``crnn WORDS…`` on a simulated host as somebody, whose home is there."""
    home = folder / "homes" / USER
    home.mkdir(parents=True, exist_ok=True)
    with host(folder):
        os.environ.update({"HOME": str(home), "USER": USER})
        return ran(words)


def packed(archive: Path) -> Dict[str, str]:
    """What the archive holds; an entry tells nothing of who packed it."""
    texts = {}
    with tarfile.open(str(archive)) as source:
        for entry in source:
            assert (entry.uid, entry.gid, entry.uname, entry.gname) == (0, 0, "", "")
            file = source.extractfile(entry)
            assert file is not None
            texts[Path(entry.name).name] = file.read().decode("utf-8")
    return texts


def assert_nobody(texts: Dict[str, str], folder: Path) -> None:
    host = re.escape(platform.node().partition(".")[0])
    for name, text in texts.items():
        assert USER not in text, name
        assert str(folder) not in text, name
        assert os.environ.get("HOME", "/nonexistent/home") not in text, name
        assert not re.search(rf"(?<![A-Za-z0-9]){host}(?![A-Za-z0-9])", text), name
        if name.endswith(".json"):
            json.loads(text)


@pytest.mark.slow
def test_a_report_of_an_om_with_a_step_that_fails(tmp_path: Path) -> None:
    onnx.save(lstm_model(), str(tmp_path / "m.onnx"))
    done = simulated(tmp_path, "compile", "m.onnx", "m", "--batch", "4")
    assert done.returncode == 0, done.stderr
    beside = tmp_path / "m.om.json"
    data = json.loads(beside.read_text(encoding="utf-8"))
    # The OM reads otherwise than its file says: that step ends with 3, and those after it run.
    data["reference"]["texts"][0] = "somethingelse"
    beside.write_text(json.dumps(data), encoding="utf-8")
    done = simulated(tmp_path, "doctor", "m.om", "--chip-report", "out")
    assert done.returncode == 0, done.stderr
    texts = packed(tmp_path / "out" / ARCHIVE)
    steps = {step["name"]: step for step in json.loads(texts["summary.json"])["steps"]}
    assert list(steps) == [
        "machine",
        "machine_json",
        "npu_smi",
        "prepare",
        "prepare_u8",
        "inspect_given",
        "run_given",
        "evaluate_given",
    ]
    failed = steps.pop("run_given")
    assert (failed["outcome"], failed["exit"]) == ("failed", 3)
    assert {step["outcome"] for step in steps.values()} == {"ok"}
    assert "somethingelse" in texts["given.run.json"]
    assert json.loads(texts["given.json"])["total"] == 300
    assert {f"{name}.txt" for name in steps} < set(texts)
    page = texts["README.txt"]
    assert "A SIMULATED report: no chip was involved" in page
    assert "7 of 8 steps succeeded" in page
    assert f"What to send: {ARCHIVE}" in page
    assert "run_given              failed (exit 3)" in done.stdout
    assert done.stdout.rstrip().endswith(ARCHIVE)
    assert_nobody(texts, tmp_path)


@pytest.mark.slow
def test_a_report_of_an_onnx_compiles_and_measures_each_kind_of_om(tmp_path: Path) -> None:
    onnx.save(lstm_model(), str(tmp_path / "m.onnx"))
    done = simulated(tmp_path, "doctor", "m.onnx", "--chip-report", "out")
    assert done.returncode == 0, done.stderr
    texts = packed(tmp_path / "out" / ARCHIVE)
    steps = {step["name"]: step for step in json.loads(texts["summary.json"])["steps"]}
    assert {step["outcome"] for step in steps.values()} == {"ok"}, done.stderr
    for name in ("bs1", "bs16", "gears", "dims", "u8", "fp32"):
        assert {f"compile_{name}", f"inspect_{name}", f"run_{name}", f"evaluate_{name}"} <= set(
            steps
        )
        assert json.loads(texts[f"{name}.json"])["simulated"] is True
        assert "reference" not in json.loads(texts[f"crnn_{name}.om.json"])
    assert {"compile_set", "evaluate_set", "bench"} <= set(steps)
    assert_nobody(texts, tmp_path)


def test_a_folder_that_holds_something_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["doctor", "--chip-report", str(tmp_path)]) == 1
    assert "is not an empty folder" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "mine"


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has ended too."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def step_of(words: str) -> Step:
    return Step("step", ("sh", "-c", words), outside=True)


def test_a_step_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    words = f"sleep 600 & echo $! > {tmp_path}/child; wait"
    done = _run(step_of(words), tmp_path, tmp_path, os.environ, 1.0)
    assert (done.outcome, done.exit) == (chip_report.TIMED_OUT, None)
    child = int((tmp_path / "child").read_text())
    assert gone(child)


def test_a_program_that_is_not_there_is_a_step_that_failed(tmp_path: Path) -> None:
    step = Step("none", ("no-such-program",), outside=True)
    done = _run(step, tmp_path, tmp_path, os.environ, 1.0)
    assert (done.outcome, done.why) == ("failed", "cannot be started: No such file or directory")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/home/jane/a/b.om", "<home>/a/b.om"),
        ("LD=/home/jane/x:/data/secret/lib", "LD=<home>/x:<path>/lib"),
        ("user jane, jane2, janet", "user <user>, jane2, janet"),
        ("/usr/local/Ascend/driver/version.info", "/usr/local/Ascend/driver/version.info"),
        ('{"model": "/data/project/m.onnx"}', '{"model": "<path>/m.onnx"}'),
        ("see https://www.example.com/a/b", "see https://www.example.com/a/b"),
        ("--model=/mnt/x/m.onnx --output=/tmp/o", "--model=<path>/m.onnx --output=<path>/o"),
        ("/data/here/report/x.txt", "<report>/x.txt"),
        ("3/4 of 1/2", "3/4 of 1/2"),
    ],
)
def test_what_is_taken_out(text: str, clean: str) -> None:
    environ = {"HOME": "/home/jane", "USER": "jane"}
    take_out = redaction({"<report>": Path("/data/here/report")}, environ)
    assert take_out(text) == clean


def test_the_host_is_taken_out() -> None:
    take_out = redaction({}, {"HOME": "/", "USER": "jane"})
    host = platform.node()
    assert host.partition(".")[0] not in take_out(f"on {host} and {host.partition('.')[0]}.local")
    assert take_out("a/b") == "a/b"
