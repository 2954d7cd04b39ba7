"""``--cluster`` on a Ray cluster of two machines: what a run without it gives, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from PIL import Image

pytest.importorskip("ray", reason="no Ray here")

from tests.ascend.machine import write_om
from tests.cluster.machines import (
    KILLER,
    TOKEN,
    Machines,
    claimed,
    processes_of,
    two_machines,
    writing,
)
from tests.conftest import ROOT
from tests.fonts import needs_fonts
from tests.models import write_bins, write_echo_model, write_images
from tests.processes import measured, started, uncounted

COUNT = 150
"""Words: of a model that takes 4 at a time, ten shards of 16."""
WORKER = "ray::Hired"


def text_of(number: int) -> str:
    return "".join("0123456789"[int(digit)] for digit in str(number))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cluster")
    write_om(folder / "m.om")
    texts = [text_of(number) for number in range(COUNT)]
    write_bins(folder, texts)
    write_images(folder / "images", [text_of(number) for number in range(4 * COUNT)])
    (folder / "images" / "annotation.txt").rename(folder / "annotation.txt")
    write_echo_model(folder / "m.onnx")
    return folder


@pytest.fixture(scope="module")
def machines(place: Path) -> Iterator[Machines]:
    with two_machines(place) as found:
        yield found


def command(*words: str) -> List[str]:
    return [sys.executable, "-m", "crnn", *words]


def environment(**more: str) -> Dict[str, str]:
    # As on the machines, since a run that was begun there may be gone on with here.
    decoders = {"CRNN_DECODERS": "pillow"}
    return {**uncounted(), **TOKEN, "PYTHONPATH": str(ROOT), **decoders, **more}


def crnn(place: Path, *words: str, code: int = 0) -> str:
    """Run a command and return what it says on stderr, in one line."""
    ended = subprocess.run(
        command(*words),
        cwd=place,
        env=environment(**measured()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    return " ".join(ended.stderr.split())


def of_images(run: str, *words: str) -> List[str]:
    data = ("read", "m.onnx", "images", "--batch", "4", "--threads", "1", "--run", run)
    return [*data, "--out", f"{run}.jsonl", *words]


def result(path: Path) -> Dict[str, Any]:
    data: Dict[str, Any] = json.loads(path.read_text())
    for name in ("date", "command", "throughput", "stages"):
        del data[name]
    return data


@pytest.fixture(scope="module")
def plain(place: Path) -> bytes:
    """The records of all images without a cluster."""
    crnn(place, *of_images("plain"))
    return (place / "plain.jsonl").read_bytes()


def test_chips_of_two_machines_give_the_result_of_one(place: Path, machines: Machines) -> None:
    data = ["evaluate", "m.om", "input_bin", "--label", "label.txt", "--batch", "4"]
    simulated = [sys.executable, "-m", "crnn.simulator", "--", *command(*data)]
    subprocess.run(
        [*simulated, "--json", "alone.json", "--readings", "alone.jsonl"],
        cwd=place,
        env=environment(),
        check=True,
        capture_output=True,
    )
    # This command itself has no chip, and no pyACL.
    cluster = ["--run", "chips", "--cluster", machines.address]
    said = crnn(place, *data, *cluster, "--json", "chips.json", "--readings", "chips.jsonl")
    assert "has no effect" not in said
    assert (place / "chips.jsonl").read_bytes() == (place / "alone.jsonl").read_bytes()
    alone, chips = result(place / "alone.json"), result(place / "chips.json")
    assert chips["simulated"] is True
    for found in (alone, chips):
        del found["versions"]
    assert chips == alone
    # A complete run gives its result again, without a cluster.
    nowhere = ["--run", "chips", "--resume", "--cluster", "127.0.0.1:1"]
    crnn(place, *data, *nowhere, "--json", "again.json", "--readings", "again.jsonl")
    again = result(place / "again.json")
    del again["versions"]
    assert again == chips


def test_a_worker_that_is_killed_costs_nothing(
    place: Path, machines: Machines, plain: bytes
) -> None:
    words = command(*of_images("killed", "--cluster", machines.address))
    with started(words, cwd=place, env=environment(), stderr=subprocess.PIPE) as process:
        os.kill(claimed(place / "killed"), signal.SIGKILL)
        _, said = process.communicate()
    assert process.returncode == 0, said.decode()
    assert "has ended; another one goes on" in " ".join(said.decode().split())
    assert (place / "killed.jsonl").read_bytes() == plain


def test_an_image_that_ends_its_worker_is_found(place: Path, machines: Machines) -> None:
    folder = place / "some"
    write_images(folder, [text_of(number) for number in range(40)])
    Image.new("L", KILLER).save(folder / "23.png")
    words = ["read", "m.onnx", "some/*.png", "--batch", "4", "--run", "found"]
    crnn(place, *words, "--cluster", machines.address, "--out", "found.jsonl")
    lines = (place / "found.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["path"] for record in records] == [f"some/{n}.png" for n in range(1, 41)]
    for number, record in enumerate(records):
        if number == 22:
            assert record["problem"] == "ends its process"
            assert record["text"] == ""
        else:
            assert record["text"] == text_of(number)
            assert "problem" not in record


@needs_fonts
def test_words_are_rendered_alike_whoever_is_ended(place: Path, machines: Machines) -> None:
    words = ["dataset", "synth", "--count", "1500", "--seed", "3", "--pattern", "[A-Z]{3,9}"]
    crnn(place, *words, "alone_lmdb")
    on_cluster = command(*words, "words_lmdb", "--cluster", machines.address, "--json", "s.json")
    pieces = place / "words_lmdb.part" / "pieces" / "shards"
    with started(on_cluster, cwd=place, env=environment(), stderr=subprocess.PIPE) as process:
        while not list(pieces.glob("0*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
        _, said = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, said.decode()
    before = {file.name: file.stat().st_mtime_ns for file in pieces.glob("0*")}
    assert len(before) < 6
    with started(on_cluster, cwd=place, env=environment(), stderr=subprocess.PIPE) as process:
        os.kill(writing(pieces, process.pid), signal.SIGKILL)
        kept = {name: (pieces / name).stat().st_mtime_ns for name in before}
        _, said = process.communicate()
    assert process.returncode == 0, said.decode()
    assert kept == before
    assert "has ended; another one goes on" in " ".join(said.decode().split())
    alone, there = place / "alone_lmdb", place / "words_lmdb"
    assert [file.name for file in there.iterdir()] == ["data.mdb"]
    assert (there / "data.mdb").read_bytes() == (alone / "data.mdb").read_bytes()
    assert not (place / "words_lmdb.part").exists()
    assert json.loads((place / "s.json").read_text())["cluster"] == machines.address


def files_in(folder: Path) -> Dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_bins_and_labels_are_alike_though_a_worker_is_killed(
    place: Path, machines: Machines
) -> None:
    words = ["prepare", "images", "--annotation", "annotation.txt"]
    crnn(place, *words, "alone_bin", "--label", "alone.txt", "--info", "alone.info")
    there = ["there_bin", "--label", "there.txt", "--info", "there.info"]
    on_cluster = command(*words, *there, "--cluster", machines.address)
    before = set(place.iterdir())
    with started(on_cluster, cwd=place, env=environment(), stderr=subprocess.PIPE) as process:
        os.kill(preparing(place, process.pid), signal.SIGKILL)
        _, said = process.communicate()
    assert process.returncode == 0, said.decode()
    assert "has ended; another one goes on" in " ".join(said.decode().split())
    assert len(files_in(place / "alone_bin")) == 4 * COUNT
    assert files_in(place / "there_bin") == files_in(place / "alone_bin")
    assert (place / "there.txt").read_bytes() == (place / "alone.txt").read_bytes()
    info = (place / "alone.info").read_text().replace("alone_bin", "there_bin")
    assert (place / "there.info").read_text() == info
    new = {path.name for path in set(place.iterdir()) - before}
    assert new == {"there_bin", "there_bin.json", "there.txt", "there.info"}


def preparing(place: Path, command: int) -> int:
    """Wait until a worker writes a piece; return its process."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for shards in place.glob(f".crnn-*-{command}-*.part/shards"):
            return writing(shards, command)
        time.sleep(0.01)
    raise AssertionError("the command has begun nothing")


def test_an_image_that_ends_its_worker_has_no_bin(place: Path, machines: Machines) -> None:
    write_images(place / "few", [text_of(number) for number in range(40)])
    Image.new("L", KILLER).save(place / "few" / "23.png")
    crnn(place, "prepare", "few", "few_bin", "--label", "few.txt")
    there = ["deadly_bin", "--label", "deadly.txt", "--json", "deadly.json"]
    crnn(place, "prepare", "few", *there, "--cluster", machines.address)
    expected = files_in(place / "few_bin")
    del expected["test_23.bin"]
    assert files_in(place / "deadly_bin") == expected
    assert (place / "deadly.txt").read_bytes() == (place / "few.txt").read_bytes()
    summary = json.loads((place / "deadly.json").read_text())
    assert summary["counts"] == {"ends its process": 1}
    assert (summary["samples"], summary["bins"], summary["labels"]) == (40, 39, 40)


def test_a_command_that_is_ended_prepares_nothing(place: Path, machines: Machines) -> None:
    words = command("prepare", "images", "ended_bin", "--annotation", "annotation.txt")
    words += ["--label", "ended.txt", "--cluster", machines.address]
    before = set(place.iterdir())
    with started(words, cwd=place, env=environment(), stderr=subprocess.PIPE) as process:
        preparing(place, process.pid)
        process.terminate()
        _, said = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, said.decode()
    assert set(place.iterdir()) == before
    assert gone(WORKER)


def test_a_machine_with_another_numpy_is_refused(
    place: Path, machines: Machines, tmp_path: Path
) -> None:
    about = tmp_path / "numpy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    odd = machines.add(tmp_path)
    said = crnn(place, *of_images("odd", "--cluster", machines.address), code=1)
    machines.stop(odd)
    import numpy

    assert f"has NumPy 1.0, and this machine has {numpy.__version__}" in said


def test_a_command_that_is_ended_leaves_a_run_and_no_worker(
    place: Path, machines: Machines, plain: bytes
) -> None:
    words = command(*of_images("ended", "--cluster", machines.address))
    with started(words, cwd=place, env=environment(), stderr=subprocess.PIPE) as process:
        claimed(place / "ended")
        before = time.monotonic()
        process.terminate()
        _, said = process.communicate()
        assert time.monotonic() - before < 30
    assert process.returncode == 128 + signal.SIGTERM, said.decode()
    assert not (place / "ended.jsonl").exists()
    assert gone(WORKER)
    # Nobody has to wait until what the workers had claimed is stale.
    crnn(place, *of_images("ended", "--resume"))
    assert (place / "ended.jsonl").read_bytes() == plain


def test_a_machine_that_dies_costs_its_worker_alone(
    place: Path, machines: Machines, plain: bytes
) -> None:
    words = command(*of_images("node", "--cluster", machines.address))
    with started(words, cwd=place, env=environment(), stderr=subprocess.PIPE) as process:
        first = claimed(place / "node")
        claimed(place / "node", {first: None})
        machines.kill(machines.second)
        _, said = process.communicate()
    assert process.returncode == 0, said.decode()
    assert (place / "node.jsonl").read_bytes() == plain


def test_without_its_head_the_run_ends_and_can_be_gone_on_with(
    place: Path, machines: Machines, plain: bytes
) -> None:
    words = command(*of_images("head", "--cluster", machines.address))
    with started(words, cwd=place, env=environment(), stderr=subprocess.PIPE) as process:
        claimed(place / "head")
        machines.kill(machines.head)
        before = time.monotonic()
        _, said = process.communicate()
        assert time.monotonic() - before < 90
    assert process.returncode == 4, said.decode()
    sentence = " ".join(said.decode().split())
    assert "the head of the Ray cluster is lost" in sentence
    assert "What was read is kept in head: go on with --resume." in sentence
    assert "Traceback" not in sentence
    crnn(place, *of_images("head", "--resume"))
    assert (place / "head.jsonl").read_bytes() == plain


def gone(name: str) -> bool:
    """Say whether no process of a name is left after some seconds."""
    until = time.monotonic() + 15
    while processes_of(name):
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def test_a_cluster_of_its_own_ends_with_the_command_however_that_ends(place: Path) -> None:
    words = command(*of_images("own", "--cluster", "local"))
    # Ray's sockets stand in it, whose names may not be long.
    with tempfile.TemporaryDirectory(prefix="r-") as name:
        own = environment(TMPDIR=name)
        with started(words, cwd=place, env=own, stderr=subprocess.PIPE) as one:
            claimed(place / "own")
            one.kill()
            one.communicate()
            assert gone(name)
            assert gone("crnn.cluster.client")
        assert list(Path(name).glob("crnn-*")) == []
