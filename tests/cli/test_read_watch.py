"""``crnn read --watch``: images are read as they appear, once they are whole."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List

import pytest

from crnn.cli.main import main
from crnn.errors import InputError
from crnn.reading.watch import Listed, Moved, Remembered, Watch
from tests.cli.test_read_sources import png
from tests.conftest import ROOT, Joined
from tests.models import write_echo_model
from tests.processes import PATIENCE, answer


class Clock:
    """A clock that stands still until it is told otherwise."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_echo_model(tmp_path / "echo.onnx")
    (tmp_path / "in").mkdir()
    return tmp_path


@contextlib.contextmanager
def started(place: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "crnn", "read", "echo.onnx", "--watch", "in", *options],
        cwd=str(place),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def stopped(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> bytes:
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert out == b""
    assert process.returncode == 0
    return err


def gone(path: Path) -> bool:
    end = time.monotonic() + PATIENCE
    while path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    return not path.exists()


def test_a_slow_writers_file_is_read_once_and_whole(place: Path) -> None:
    (place / "in" / "before.png").write_bytes(png("before"))
    data = png("house")
    with started(place, "--jsonl", "--move", "done") as process:
        assert answer(process)["text"] == "before"
        with open(place / "in" / "slow.png", "wb") as file:
            for start in range(0, len(data), 25):
                file.write(data[start : start + 25])
                file.flush()
                time.sleep(0.4)
        assert len(data) > 3 * 25  # it took longer than a file has to be quiet
        record = answer(process)
        assert (record["path"], record["text"]) == ("in/slow.png", "house")
        assert "problem" not in record
        (place / "in" / "no.png").write_bytes(b"no image")
        assert answer(process)["problem"] == "not an image"
        assert gone(place / "in" / "no.png")
        err = stopped(process)
    assert b"stopped: 3 words were read" in err
    assert os.listdir(place / "in") == []
    assert sorted(os.listdir(place / "done")) == ["before.png", "no.png", "slow.png"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_a_list_of_what_was_read_is_gone_on_with(place: Path, number: int) -> None:
    odd = os.fsdecode(b"caf\xe9.png")
    (place / "in" / odd).write_bytes(png("cafe"))
    with started(place, "--jsonl", "--done", "done.jsonl") as process:
        assert answer(process)["text"] == "cafe"
        stopped(process, number)
    listed = (place / "done.jsonl").read_bytes()
    assert listed.count(b"\n") == 1
    # As a machine leaves it that lost its power.
    (place / "done.jsonl").write_bytes(listed + b'{"path": "in/x')
    (place / "in" / "new.png").write_bytes(png("neu"))
    with started(place, "--jsonl", "--done", "done.jsonl") as process:
        assert answer(process)["text"] == "neu"
        stopped(process)
    lines = (place / "done.jsonl").read_bytes().splitlines(keepends=True)
    assert lines[0] == listed
    assert json.loads(lines[1])["path"] == "in/new.png"
    assert len(lines) == 2


def test_what_counts_as_written(tmp_path: Path) -> None:
    clock = Clock()
    done = Remembered()
    watch = Watch(tmp_path, done, clock=clock)

    def look(now: float) -> List[str]:
        clock.now = now
        return [Path(found.path).name for found in watch.look()]

    file = tmp_path / "a.png"
    file.write_bytes(b"1")
    assert look(0.0) == []
    file.write_bytes(b"12")
    assert look(0.9) == []
    assert look(1.8) == []
    os.utime(file, ns=(5, 5))
    assert look(1.9) == []
    assert look(2.8) == []
    assert look(2.9) == ["a.png"]
    done.mark(str(file), (2, 5))
    assert look(9.0) == []
    # Written anew, it is another file.
    file.write_bytes(b"123")
    assert look(10.0) == []
    assert look(11.0) == ["a.png"]


def test_a_file_is_given_once_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    watch = Watch(tmp_path, Remembered(), quiet=0.0)
    samples = watch.samples()
    assert next(samples).key.endswith("a.png")
    assert watch.look() == []
    watch.mark()
    assert watch.look() == []
    watch.stopped.set()
    assert list(samples) == []


def test_nothing_is_moved_that_has_changed_since_or_over_another(tmp_path: Path) -> None:
    watched, target = tmp_path / "in", tmp_path / "done"
    (watched / "below").mkdir(parents=True)
    moved = Moved(watched, target)
    file = watched / "below" / "a.png"
    for text in (b"1", b"22"):
        file.write_bytes(text)
        moved.mark(str(file), (len(text) + 1, 0))
        assert file.exists()
        moved.mark(str(file), (len(text), file.stat().st_mtime_ns))
        assert not file.exists()
    assert (target / "below" / "a.png").read_bytes() == b"1"
    assert (target / "below" / "a-2.png").read_bytes() == b"22"
    moved.mark(str(file), (2, 0))  # somebody else took it


def test_a_target_inside_would_be_read_again(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is inside"):
        Moved(tmp_path, tmp_path / "done")
    with pytest.raises(InputError, match="expected a folder"):
        Moved(tmp_path, tmp_path.parent / "none" / "done")


@pytest.mark.parametrize("text", ['{"path": "a"}\n', "notes of mine", '{"accuracy": 1}'])
def test_another_file_is_not_taken_for_a_list(text: str, tmp_path: Path) -> None:
    # A last line without its end is cut off where it is a list's.
    (tmp_path / "list").write_text(text)
    with pytest.raises(InputError, match="list line 1 is .* expected a list of files"):
        Listed(tmp_path / "list")
    assert (tmp_path / "list").read_text() == text


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--watch", "none"], 1, "--watch none does not exist; expected a folder"),
        (["--watch", "in", "in"], 2, "--watch goes with no other source"),
        (["--watch", "in", "--out", "r.jsonl"], 2, "--out is written at the end"),
        (["--watch", "in", "--json", "r.json"], 2, "--json is written at the end"),
        (["in", "--move", "done"], 2, "--done and --move go with --watch"),
        (["--watch", "in", "--move", "done", "--done", "l"], 2, "not allowed with"),
    ],
)
def test_what_does_not_go_together(
    place: Path,
    capsys: Joined,
    monkeypatch: pytest.MonkeyPatch,
    options: List[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(place)
    assert main(["read", "echo.onnx", *options]) == code
    assert said in capsys.readouterr().err
