"""``crnn read --run``: killed and gone on with, in parts, the output is that of a plain reading."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any, List

import pytest

from crnn.cli.main import main
from crnn.errors import InputError
from crnn.jobs.run_folder import RunFolder, refuse_used
from crnn.leftovers import temporary_file
from crnn.reading.run import Listing
from tests.conftest import ROOT
from tests.models import write_echo_model, write_images
from tests.processes import started

COUNT = 90
"""Words: in batches of 2, a shard has 32."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and images; one is damaged, the name of one is not UTF-8."""
    write_echo_model(tmp_path / "m.onnx")
    images = write_images(tmp_path / "images", [f"a{number}" for number in range(COUNT)])
    (images / "annotation.txt").unlink()
    (images / "41.png").write_bytes(b"no image")
    os.rename(os.fsencode(images / "50.png"), os.fsencode(images) + b"/caf\xe9.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(*words: str, code: int = 0) -> None:
    assert main(["read", "m.onnx", "--batch", "2", "--threads", "1", *words]) == code


def test_the_records_are_those_of_a_plain_reading(place: Path) -> None:
    read("images", "--out", "plain.jsonl")
    read("images", "--out", "run.jsonl", "--run", "run")
    assert Path("run.jsonl").read_bytes() == Path("plain.jsonl").read_bytes()
    assert b'"path_b64"' in Path("run.jsonl").read_bytes()
    assert len(list(Path("run/shards").iterdir())) == 3
    read("images", "--out", "again.jsonl", "--run", "run", "--resume")
    assert Path("again.jsonl").read_bytes() == Path("plain.jsonl").read_bytes()


def test_a_listing_gives_any_range_and_holds_no_path(tmp_path: Path) -> None:
    names = [f"words/é{number}.png" for number in range(30_000)]
    (tmp_path / "listing").write_bytes("".join(f"{name}\0" for name in names).encode())
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        listing = Listing(tmp_path / "listing")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(listing) == len(names)
    assert listing.digest == hashlib.sha256((tmp_path / "listing").read_bytes()).hexdigest()
    assert after - before < len(names)
    for begin, end in [(0, 1), (255, 257), (256, 512), (7, 20_001), (29_999, 30_000)]:
        found = list(listing.samples([(begin, end)]))
        assert [sample.file for sample in found] == names[begin:end]
        assert [sample.ends for sample in found] == [False] * (end - begin - 1) + [True]
    two = listing.samples([(300, 302), (3, 4)])
    assert [sample.file for sample in two] == [*names[300:302], names[3]]


@pytest.mark.parametrize("lines", [1, 3, 4, 20])
def test_an_unfinished_shard_goes_on_at_its_last_whole_batch(place: Path, lines: int) -> None:
    read("images", "--out", "plain.jsonl", "--run", "run")
    whole = place / "run" / "shards" / "000001.jsonl"
    kept = whole.read_bytes().splitlines(keepends=True)
    whole.with_name("000001.1.part").write_bytes(b"".join(kept[:lines]) + kept[lines][:9])
    whole.unlink()
    read("images", "--out", "run.jsonl", "--run", "run", "--resume")
    assert Path("run.jsonl").read_bytes() == Path("plain.jsonl").read_bytes()
    assert [line for line in whole.read_bytes().splitlines(keepends=True) if b"key" in line] == [
        line for line in kept if b"key" in line
    ]


def test_parts_make_a_whole(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read("images", "--out", "plain.jsonl")
    read("images", "--out", "run.jsonl", "--run", "run", "--resume", "--shard", "2/2")
    assert "run: 32 of 90 words are read; the rest is for other jobs" in capsys.readouterr().out
    assert not Path("run.jsonl").exists()
    read("images", "--out", "run.jsonl", "--run", "run", "--resume", "--shard", "1/2")
    assert Path("run.jsonl").read_bytes() == Path("plain.jsonl").read_bytes()


def test_paths_from_a_pipe_are_listed_first(place: Path) -> None:
    names = b"".join(b"images/%d.png\0" % number for number in range(1, 41))
    command = [sys.executable, "-m", "crnn", "read", "m.onnx", "-", "-0", "--batch", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found: List[bytes] = []
    for more in ([], ["--run", "run"], ["--run", "run", "--resume"]):
        done = subprocess.run(
            [*command, *more], input=names, env=environment, stdout=subprocess.PIPE, check=True
        )
        found.append(done.stdout)
    assert found[0].count(b"\n") == 40
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["more", "--run", "run", "--resume"], 1, "the run there has listing"),
        (["images", "--run", "run", "--resume", "--probability"], 1, "run there has decoding"),
        (["images", "--run", "run", "--resume", "--batch", "4"], 1, "has batch 2; now it is 4"),
        (["images", "--run", "run"], 1, "run holds a run already"),
        (["images", "--resume"], 2, "--resume and --shard go with --run DIR"),
        (["--watch", "images", "--run", "new"], 2, "--watch waits for more"),
        (["words.tar", "--run", "new"], 2, "--run reads image files"),
        (["empty", "--run", "new"], 1, "there is no image to read"),
        (["imagse", "--run", "new"], 1, "imagse: no such file or folder"),
    ],
)
def test_what_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], options: List[str], code: int, said: str
) -> None:
    write_images(place / "more", ["a", "b"])
    (place / "empty").mkdir()
    subprocess.run(["tar", "cf", "words.tar", "more"], check=True)
    read("images", "--run", "run", "--shard", "1/2")
    capsys.readouterr()
    read(*options, code=code)
    assert said in capsys.readouterr().err
    assert not Path("new").exists() or not list(Path("new").iterdir())


def test_other_words_are_refused_and_leave_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read("images", "--run", "run", "--shard", "1/2")
    before = sorted(os.listdir("run"))
    write_images(place / "more", ["a", "b"])
    capsys.readouterr()
    read("images", "more", "--run", "run", "--resume", code=1)
    said = " ".join(capsys.readouterr().err.split())
    assert "These are other paths than those that it began with" in said
    assert sorted(os.listdir("run")) == before
    # Its own list is gone on with.
    read("--list", f"run/{before[0]}", "-0", "--out", "run.jsonl", "--run", "run", "--resume")
    read("images", "--out", "plain.jsonl")
    assert Path("run.jsonl").read_bytes() == Path("plain.jsonl").read_bytes()


def test_to_show_a_complete_run_nothing_is_written_into_it(place: Path) -> None:
    read("images", "--out", "plain.jsonl", "--run", "run")
    folders = [Path("run"), Path("run/shards")]
    # A folder's time is that of the last file that was made or removed in it.
    before = [folder.stat().st_mtime_ns for folder in folders]
    read("images", "--out", "again.jsonl", "--run", "run", "--resume")
    assert [folder.stat().st_mtime_ns for folder in folders] == before
    assert Path("again.jsonl").read_bytes() == Path("plain.jsonl").read_bytes()


def test_a_run_and_its_list_are_of_one_length(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read("images", "--run", "run", "--shard", "1/2")
    kept = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps({**kept, "count": COUNT + 40}))
    capsys.readouterr()
    read("images", "--run", "run", "--resume", code=1)
    said = " ".join(capsys.readouterr().err.split())
    assert f"is not the list of the run's {COUNT + 40} words any more" in said


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 10**20),
        ("confidence", None),
        ("confidence", True),
        ("problem", "no detail"),
        ("characters", [dict.fromkeys(("index", "first", "last"), 1 << 31)]),
    ],
)
def test_altered_records_are_named(
    place: Path, capsys: pytest.CaptureFixture[str], field: str, value: Any
) -> None:
    pytest.importorskip("pyarrow")
    read("images", "--run", "run", "--shard", "1/1", "--out", "plain.jsonl")
    records = Path("run/shards/000000.jsonl")
    lines = records.read_text().splitlines()
    altered = {**json.loads(lines[1]), field: value}
    if field == "characters":
        altered[field] = [{"character": "a", "probability": 1.0, **value[0]}]
    records.write_text("\n".join([lines[0], json.dumps(altered), *lines[2:]]) + "\n")
    capsys.readouterr()
    for options in ([], ["--out", "table.parquet"]):
        read("images", "--run", "run", "--resume", *options, code=1)
        told = " ".join(capsys.readouterr().err.split())
        assert "crnn: error: run/shards/000000.jsonl: " in told
        assert "Remove it and go on with --resume" in told


TWICE = """
from crnn import image_decoders
from crnn.cli.main import main
command = ["read", "m.onnx", "images", "--batch", "2", "--threads", "1", "--run", "run"]
assert main([*command, "--shard", "1/2"]) == 0
image_decoders.used()
raise SystemExit(main([*command, "--resume"]))
"""


def test_the_decoders_belong_to_a_run_before_they_are_used(place: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", TWICE], env=environment, check=True)


def test_runs_of_two_verbs_are_told_apart(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read("images", "--run", "run", "--shard", "1/2")
    write_images(place / "labelled", ["a", "b"])
    data = ["labelled", "--label", "labelled/annotation.txt"]
    capsys.readouterr()
    assert main(["evaluate", "m.onnx", *data, "--run", "run", "--resume"]) == 1
    assert "run is a run of crnn read" in capsys.readouterr().err
    assert main(["evaluate", "m.onnx", *data, "--run", "other"]) == 0
    capsys.readouterr()
    read("images", "--run", "other", "--resume", code=1)
    assert "other is a run of crnn evaluate" in capsys.readouterr().err


def test_who_begins_at_the_same_moment_shares_the_run(place: Path) -> None:
    Path("run").mkdir()
    # As another process has it that is still listing its words.
    descriptor, listing = temporary_file(Path("run"))
    try:
        read("images", "--run", "run", "--resume", "--out", "run.jsonl")
    finally:
        os.close(descriptor)
        listing.unlink()
    read("images", "--out", "plain.jsonl")
    assert Path("run.jsonl").read_bytes() == Path("plain.jsonl").read_bytes()
    refuse_used(Path("run"), joins=True)
    with pytest.raises(InputError, match="holds a run already"):
        refuse_used(Path("run"))


def test_where_the_records_go_is_looked_at_first(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read("images", "--run", "run", "--out", "records.txt", code=2)
    read("images", "--run", "run", "--out", "nowhere/records.jsonl", code=1)
    assert not Path("run").exists()


def test_an_image_is_not_written_over(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("images/1.png").read_bytes()
    read("images/1.png", "--json", "images/1.png", code=1)
    assert "is named twice, as sources and as json" in " ".join(capsys.readouterr().err.split())
    assert Path("images/1.png").read_bytes() == before
    # A link that leads nowhere is an image that cannot be read, one of many.
    Path("loop.png").symlink_to("loop.png")
    read("loop.png", "images/1.png", "--json", "out.json", code=1)
    assert "named twice" not in capsys.readouterr().err
    assert len(json.loads(Path("out.json").read_text())["readings"]) == 1


def test_a_removed_run_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read("images", "--run", "run", "--shard", "1/2")
    opened = RunFolder.open(Path("run"))
    work = opened.claim()
    assert work is not None
    work.begin()
    shutil.rmtree("run")
    work.done = work.shard.end - work.shard.begin
    with pytest.raises(InputError, match="was the run's folder removed"):
        work.finish()
    work.close()


@pytest.mark.slow
def test_a_process_that_is_waited_for_is_named(place: Path) -> None:
    read("images", "--out", "plain.jsonl")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "crnn", "read", "m.onnx", "images", "--run", "run", "--resume"]
    command += ["--batch", "2", "--threads", "1", "--out", "run.jsonl"]
    # Which versions take part is asked of what is imported in a process.
    subprocess.run(command, env=environment, check=True)
    Path("run/shards/000001.jsonl").unlink()
    script = "from crnn.leftovers import *; print(json_text(this_process()._asdict()), flush=True)"
    other = [sys.executable, "-c", f"from crnn.files import json_text; {script}; input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with started(other, env=environment, **pipes) as owner:
        assert owner.stdout is not None
        Path("run/shards/000001.1").write_bytes(owner.stdout.readline())
        with started(command, env=environment, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            told = process.stderr.readline()
            assert told.startswith(f"run: waiting for process {owner.pid} of ".encode())
            owner.kill()
            owner.wait()
            assert process.wait(timeout=60) == 0
    assert Path("run.jsonl").read_bytes() == Path("plain.jsonl").read_bytes()


@pytest.mark.slow
def test_a_killed_reading_goes_on(place: Path) -> None:
    names = "".join(f"images/{number}.png\n" for number in range(1, 41)) * 30
    (place / "list.txt").write_text(names)
    read("--list", "list.txt", "--out", "plain.jsonl")
    command = [sys.executable, "-m", "crnn", "read", "m.onnx", "--list", "list.txt"]
    command += ["--batch", "2", "--threads", "1", "--run", "run", "--resume"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with started(command, env=environment) as process:
        while process.poll() is None and not list(Path("run").glob("shards/*.part")):
            time.sleep(0.005)
        process.kill()
        process.wait()
    done = subprocess.run([*command, "--out", "run.jsonl"], env=environment, check=False)
    assert done.returncode == 0
    assert Path("run.jsonl").read_bytes() == Path("plain.jsonl").read_bytes()
    assert all(path.suffix == ".jsonl" for path in Path("run/shards").iterdir())
