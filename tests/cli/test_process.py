"""What a command does when its process is treated roughly:

closed streams, full disks, signals, odd encodings.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from tests.conftest import ROOT
from tests.models import write_bins, write_echo_model
from tests.processes import started

EVALUATE = [
    sys.executable,
    "-m",
    "crnn",
    "evaluate",
    "m.onnx",
    "input_bin",
    "--label",
    "label.txt",
    "--threads",
    "1",
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a model, two bins and labels that are not ASCII."""
    write_echo_model(tmp_path / "m.onnx")
    write_bins(tmp_path, ["hello", "0"], ["hello", "\u4f60\u2028\u597d"])
    return tmp_path


def run(
    place: Path, shell: str, words: List[str], **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as the shell would with what ``shell`` appends to it."""
    return subprocess.run(
        ["bash", "-c", f'"$@" {shell}', "bash", *words],
        cwd=str(place),
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize(
    ("shell", "code", "said"),
    [
        ("> /dev/full", 1, "error: No space left on device"),
        (">&-", 0, ""),
        ("2>&-", 0, "accuracy   0.5000"),
        (">&- 2>&-", 0, ""),
        ("2> /dev/full", 0, "accuracy   0.5000"),
    ],
)
def test_streams_that_take_nothing(place: Path, shell: str, code: int, said: str) -> None:
    done = run(place, shell, [*EVALUATE, "--json", "r.json"])
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((place / "r.json").read_text(encoding="utf-8"))["total"] == 2


def test_a_name_that_no_file_can_have(place: Path) -> None:
    done = run(place, "", [*EVALUATE, "--json", "r" * 300])
    assert (done.returncode, "File name too long" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "verb", [["prepare", "/nowhere/lmdb", "/nowhere/bins"], ["doctor", "/nowhere/crnn.onnx"]]
)
def test_a_working_folder_that_was_removed(place: Path, verb: List[str]) -> None:
    (place / "gone").mkdir()
    words = ["-c", 'rmdir "$PWD"; exec "$@"', "bash", sys.executable, "-m", "crnn", *verb]
    done = subprocess.run(
        ["bash", *words],
        cwd=str(place / "gone"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in (1, 4)


def test_a_stdin_that_cannot_be_read(place: Path) -> None:
    done = run(place, "0>/dev/null", [sys.executable, "-m", "crnn", "read", "m.onnx", "-"])
    assert (done.returncode, "stdin cannot be read" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def test_notes_stay_out_of_the_result_where_stderr_is_closed(place: Path) -> None:
    (place / "input_bin" / "test_2.bin").unlink()
    assert json.loads(run(place, "2>&-", [*EVALUATE, "--json", "-"]).stdout)["skipped"] == {
        "label outside the alphabet": 1,
        "missing bin": 1,
    }


def test_characters_that_the_terminal_lacks(place: Path) -> None:
    plain = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    done = run(place, "", [*EVALUATE, "--json", "-"], **plain)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["misses"][0]["label"] == "\u4f60\u2028\u597d"
    done = run(place, "", [*EVALUATE, "--show-misses", "1"], **plain)
    assert done.returncode == 0, done.stderr
    assert r"\u4f60" in done.stdout


def test_readings_with_a_line_separator_are_compared(place: Path) -> None:
    assert run(place, "", [*EVALUATE, "--readings", "r.jsonl"]).returncode == 0
    done = run(place, "", [*EVALUATE, "--against", "r.jsonl"])
    assert done.returncode == 0, done.stderr


# 143 and 129 are what a shell reports of a process that these signals have ended.
@pytest.mark.parametrize(
    ("number", "ignored", "code"),
    [
        (signal.SIGTERM, (), 143),
        (signal.SIGHUP, (), 129),
        (signal.SIGINT, (), 130),
        (signal.SIGTERM, (signal.SIGINT,), 143),
    ],
    ids=["TERM", "HUP", "INT", "TERM in the background"],
)
def test_a_signal_leaves_nothing_half_written(
    place: Path, number: int, ignored: List[int], code: int
) -> None:
    program = (
        # SIGHUP is ignored under nohup.
        "import argparse, signal, sys, time; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "for number in map(int, sys.argv[2:]):\n    signal.signal(number, signal.SIG_IGN)\n"
        "from pathlib import Path; from crnn.cli.main import run; from crnn.files import"
        " atomic_folder, atomic_file\ndef work(args):\n    with atomic_folder(Path('d')),"
        " atomic_file(Path('f')):\n        print('ready', flush=True);"
        " time.sleep(60)\nsys.exit(run(argparse.Namespace(run=work)))"
    )
    before = sorted(os.listdir(place))
    with started(
        [sys.executable, "-c", program, "-", *map(str, map(int, ignored))],
        cwd=str(place),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(60) == code
    assert sorted(os.listdir(place)) == before
