"""``crnn read -``: paths on stdin, an object on stdout for each as soon as it is read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator, List, Sequence

import pytest

from crnn import Recognizer
from crnn.batch import Sample
from crnn.reading.live import read_as_they_come
from crnn.samples.image_files import of_file
from tests.cli.test_read_sources import WORDS, png
from tests.conftest import ROOT
from tests.models import write_echo_model, write_wide_echo_model
from tests.processes import PATIENCE, answer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and images."""
    folder = tmp_path_factory.mktemp("live")
    write_echo_model(folder / "echo.onnx")
    write_wide_echo_model(folder / "wide.onnx", [80, 100, 200])
    for number, text in enumerate(WORDS):
        (folder / f"{number}.png").write_bytes(png(text))
    return folder


def started(place: Path, *options: str, model: str = "echo.onnx") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "crnn", "read", model, "-", *options],
        cwd=str(place),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("model", ["echo.onnx", "wide.onnx"])
def test_each_line_is_answered_before_the_next_one_comes(place: Path, model: str) -> None:
    # A text of the one model is nonsense to the other.
    process = started(place, model=model)
    assert process.stdin is not None
    for number in (3, 1, 1, 0):
        process.stdin.write(b"%d.png\n" % number)
        process.stdin.flush()
        record = answer(process)
        assert record["path"] == f"{number}.png"
        if model == "echo.onnx":
            assert record["text"] == WORDS[number]
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_each_line_has_an_answer_whatever_it_says(place: Path) -> None:
    process = started(place, "--strict")
    lines = b"0.png\n\nnone.png\n/dev/zero\n\xff\n1.png"
    out, err = process.communicate(lines, timeout=PATIENCE)
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["text"] for record in records] == ["house", "", "", "", "", "1984"]
    assert [record.get("problem") for record in records] == [
        None,
        "missing image",
        "missing image",
        "unreadable image",
        "missing image",
        None,
    ]
    assert records[4]["path"] == "\\xff"
    assert process.returncode == 3
    assert b"4 of 6 words could not be read" in err


def test_a_pipe_of_find_into_a_program(place: Path) -> None:
    words = place / "new\nline"
    words.mkdir(exist_ok=True)
    for number, text in enumerate(WORDS):
        (words / f"{number}.png").write_bytes(png(text))
    last = "import json, sys\nfor line in sys.stdin: print(json.loads(line)['text'])"
    find = subprocess.Popen(
        ["find", "new\nline", "-type", "f", "-print0"], cwd=str(place), stdout=subprocess.PIPE
    )
    read = subprocess.Popen(
        [sys.executable, "-m", "crnn", "read", "echo.onnx", "-", "-0"],
        cwd=str(place),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=find.stdout,
        stdout=subprocess.PIPE,
    )
    told = subprocess.run(
        [sys.executable, "-c", last],
        stdin=read.stdout,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=PATIENCE,
    )
    assert sorted(told.stdout.split()) == sorted(WORDS)
    for process in (find, read):
        assert process.wait(PATIENCE) == 0
        assert process.stdout is not None
        process.stdout.close()


def test_it_can_be_interrupted_while_it_waits(place: Path) -> None:
    process = started(place)
    assert process.stdin is not None
    process.stdin.write(b"0.png\n")
    process.stdin.flush()
    assert answer(process)["text"] == "house"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (128 + signal.SIGTERM, b"", b"interrupted\n")


def test_a_reader_that_goes_away_ends_it(place: Path) -> None:
    process = started(place)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    process.stdin.write(b"0.png\n")
    process.stdin.flush()
    assert process.wait(PATIENCE) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    process.stdin.close()


@pytest.mark.parametrize(("model", "sizes"), [("echo.onnx", [4, 4, 2]), ("wide.onnx", [4, 4, 2])])
def test_with_patience_batches_are_full(place: Path, model: str, sizes: List[int]) -> None:
    samples = [of_file(str(place / f"{number % 7}.png")) for number in range(10)]
    with Recognizer(place / model, batch=4) as recognizer:
        groups = list(read_as_they_come(recognizer.opened, iter(samples), max_wait=PATIENCE))
    if model == "echo.onnx":
        assert [len(group.rows) for group in groups] == sizes
    else:
        # What is there already may be dealt out to the batches of all widths.
        assert sum(len(group.rows) for group in groups) == 10
        assert all(len(group.rows) >= 4 for group in groups[:-1])
    keys = [row.reading.key for group in groups for row in group.rows]
    assert keys == [sample.key for sample in samples]


def test_without_patience_a_word_waits_for_none(place: Path) -> None:
    read = threading.Event()

    def one_after_the_other() -> Iterator[Sample]:
        for number in range(3):
            yield of_file(str(place / f"{number}.png"))
            # The next one comes only when this one has been read.
            assert read.wait(PATIENCE)
            read.clear()

    with Recognizer(place / "echo.onnx", batch=4) as recognizer:
        texts: List[Sequence[str]] = []
        for came in read_as_they_come(recognizer.opened, one_after_the_other()):
            texts.append([row.reading.text for row in came.rows])
            read.set()
    assert texts == [["house"], ["1984"], ["tree"]]


def test_what_goes_wrong_where_words_come_from_is_raised(place: Path) -> None:
    def failing() -> Iterator[Sample]:
        yield of_file(str(place / "0.png"))
        raise RuntimeError("of the source")

    with Recognizer(place / "echo.onnx") as recognizer, pytest.raises(
        RuntimeError, match="of the source"
    ):
        list(read_as_they_come(recognizer.opened, failing()))
