"""Preparing many samples, in processes:

the same bytes in the same order, and Ctrl-C leaves nothing behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Dict

import lmdb
import pytest

from crnn.jobs import prepare as job
from crnn.samples.lmdb import LmdbSamples
from tests.conftest import ROOT
from tests.processes import started

WORDS = ROOT / "examples" / "words_lmdb"
COUNT = job.MANY


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An LMDB with enough samples for processes, one of them broken."""
    words = [(sample.image or b"", (sample.label or "").encode()) for sample in LmdbSamples(WORDS)]
    path = tmp_path_factory.mktemp("many") / "lmdb"
    environment = lmdb.open(str(path), map_size=1 << 30, sync=False, lock=False)
    with environment, environment.begin(write=True) as transaction:
        for index in range(COUNT):
            image, label = words[index % len(words)]
            transaction.put(b"image-%09d" % (index + 1), b"broken" if index == 77 else image)
            transaction.put(b"label-%09d" % (index + 1), label)
        transaction.put(b"num-samples", str(COUNT).encode())
    return path


def contents(folder: Path) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def running(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_processes_write_what_threads_write(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = job.PrepareRequest(
        LmdbSamples(many),
        str(tmp_path / "a"),
        tmp_path / "a.txt",
        job.ModelSpec.default(),
        workers=2,
    )
    first = job.prepare(request)
    request.source.close()
    monkeypatch.setattr(job, "MANY", COUNT + 1)
    other = replace(
        request, source=LmdbSamples(many), out=str(tmp_path / "b"), label_file=tmp_path / "b.txt"
    )
    second = job.prepare(other)
    assert (first.bins, first.labels, first.counts) == (COUNT - 1, COUNT, {"not an image": 1})
    assert (second.bins, second.labels, second.counts) == (first.bins, first.labels, first.counts)
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_an_interrupt_leaves_no_file_and_no_process(many: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "crnn", "prepare", str(many), "out", "--label", "label.txt"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stderr": subprocess.PIPE, "text": True}
    with started(command, cwd=tmp_path, env=environment, **pipes) as process:
        deadline = time.monotonic() + 60
        # Once bins appear in the folder beside, all processes are at work.
        while not any(tmp_path.rglob("test_*.bin")) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (130, "interrupted\n")
        assert list(tmp_path.iterdir()) == []
        while running(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)  # Python's own resource tracker ends a moment after the rest
        assert not running(process.pid)
