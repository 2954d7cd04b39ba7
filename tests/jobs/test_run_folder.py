"""A run's folder: nothing is lost, nothing is done twice, whoever dies when."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable, Iterator, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.errors import InputError, UsageError
from crnn.jobs import run_folder
from crnn.jobs.run_folder import (
    Claims,
    RunFolder,
    Shard,
    Work,
    around,
    batch_line,
    part_of,
    read_run_json,
    shard_size,
)
from crnn.leftovers import this_process

CONFIGURATION = {"model": "ab" * 32, "batch": 4, "options": {"widths": [80, 100]}}


def begun(path: Path, count: int = 25, size: int = 8, batch: int = 4) -> RunFolder:
    return RunFolder.create(path, CONFIGURATION, count=count, size=size, batch=batch)


def work_on(work: Work, *, batches: int = 1000) -> None:
    """Read a shard's words from where it stands, some batches of them."""
    position = work.shard.begin + work.done
    for _ in range(batches):
        if position >= work.shard.end:
            return
        end = min(position + work.run.batch, work.shard.end)
        work.append(lines_of(range(position, end)), end - position)
        position = end


def lines_of(numbers: range, *, waits: bool = False) -> bytes:
    """Return a batch's lines."""
    records = b"".join(b'{"word": %d}\n' % number for number in numbers)
    return records + batch_line(len(numbers), {}, waits=waits)


@contextlib.contextmanager
def working(work: Work) -> Iterator[None]:
    work.begin()
    try:
        yield
    finally:
        work.close()


def finish_all(run: RunFolder) -> None:
    while True:
        work = run.claim()
        if work is None:
            return
        with working(work):
            work_on(work)
            work.finish()


def words(run: RunFolder) -> List[int]:
    found: List[int] = []
    for shard in run.shards:
        for lines in run.records(shard):
            found += [json.loads(line)["word"] for line in lines[:-1]]
    return found


def test_a_run_is_its_shards_in_order(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    assert run.shards == [Shard(0, 0, 8), Shard(1, 8, 16), Shard(2, 16, 24), Shard(3, 24, 25)]
    assert not run.complete()
    finish_all(run)
    assert run.complete()
    assert words(run) == list(range(25))
    names = sorted(path.name for path in (run.path / "shards").iterdir())
    assert names == ["000000.jsonl", "000001.jsonl", "000002.jsonl", "000003.jsonl"]


def test_the_words_that_are_done_are_those_of_whole_shards(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    assert run.words_done() == 0
    for done in (8, 16):
        work = run.claim()
        assert work is not None
        with working(work):
            work_on(work, batches=1)
            assert run.words_done() == done - 8
            work_on(work)
            work.finish()
        assert run.words_done() == done
    finish_all(run)
    assert run.words_done() == 25


def test_who_waits_is_told_for_whom_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "_PAUSE", 0)
    run = begun(tmp_path / "run")
    own = run.claim()
    assert own is not None
    other = '{"host": "HOST", "process": 7, "start": "1"}'
    for number, host in ((1, "b"), (2, "a"), (3, "a")):
        claim = run.path / "shards" / f"00000{number}.1"
        claim.write_text(other.replace("HOST", host))
    rounds = run.rounds(run.shards[1:])
    assert next(rounds) == ""
    assert next(rounds) == (
        f"{run.path}: waiting for process 7 of a, process 7 of b, at work on 3 of 4 shards; what is"
        " left undone is done here"
    )
    assert next(rounds) == ""
    for shard in run.shards[1:]:
        run.whole(shard).write_bytes(b"")
    assert list(rounds) in ([], [""])
    own.close()


@given(st.integers(0, 20), st.integers(0, 20), st.lists(st.integers(-3, 23), unique=True))
def test_what_is_left_around_the_positions_that_are_passed_over(
    begin: int, length: int, passed: List[int]
) -> None:
    ranges = list(around(begin, begin + length, passed))
    left = [position for first, last in ranges for position in range(first, last)]
    assert left == [each for each in range(begin, begin + length) if each not in passed]
    assert all(first < last for first, last in ranges)


def test_one_shard_has_one_owner(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    again = RunFolder.resume(run.path, CONFIGURATION)
    first, second = run.claim(), again.claim()
    assert first is not None
    assert second is not None
    assert (first.shard.number, second.shard.number) == (0, 1)
    first.close()
    second.close()


def test_whole_batches_are_kept_and_a_torn_line_is_not(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    work = run.claim()
    assert work is not None
    with working(work):
        work_on(work, batches=1)
    part = run.path / "shards" / "000000.1.part"
    with part.open("ab") as file:
        file.write(b'{"word": 4}\n{"wor')
    again = run.claim()
    assert again is not None
    with working(again):
        assert again.done == 4
        work_on(again)
        again.finish()
    finish_all(run)
    assert words(run) == list(range(25))


def test_from_words_that_wait_for_others_nobody_goes_on(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=24, size=24)
    work = run.claim()
    assert work is not None
    with working(work):
        work.append(lines_of(range(4)), 4)
        work.append(lines_of(range(4, 6), waits=True), 2)
        work.append(lines_of(range(6, 9), waits=True), 3)
    again = run.claim()
    assert again is not None
    with working(again):
        assert again.done == 4
        again.append(lines_of(range(4, 8), waits=True), 4)
        again.append(lines_of(range(8, 12)), 4)
    third = run.claim()
    assert third is not None
    with working(third):
        assert third.done == 12


def test_a_shard_whose_owner_died_before_its_end_is_finished(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=16)
    work = run.claim()
    assert work is not None
    with working(work):
        work_on(work)  # and dies before it is finished
    with Claims(run) as claims:
        assert list(claims) == [(8, 16)]
    assert run.whole(run.shards[0]).exists()


def test_what_was_claimed_and_not_finished_is_free_again(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=16)
    with Claims(run) as claims:
        assert list(claims) == [(0, 8), (8, 16)]
        claims.append(lines_of(range(4)), 4)
        claims.append(lines_of(range(4, 8)), 4)
        claims.append(lines_of(range(8, 12)), 4)
    with Claims(run) as claims:
        assert list(claims) == [(12, 16)]


def test_shards_are_few_and_not_small() -> None:
    assert shard_size(2000, 16) == 256
    assert shard_size(10**6, 64) == 15680
    assert shard_size(10**9, 64) == 1 << 16
    assert shard_size(1, 64) == 1024
    for count, batch in ((12345, 7), (10**8, 48)):
        assert shard_size(count, batch) % batch == 0


def test_an_owner_that_died_at_once_loses_nothing(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=8)
    first = run.claim()
    assert first is not None
    with working(first):
        work_on(first, batches=1)
    second = run.claim()  # and dies before it is entered
    assert second is not None
    second.close()
    third = run.claim()
    assert third is not None
    with working(third):
        assert third.done == 4


def test_a_run_of_something_else_is_refused(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    other = {**CONFIGURATION, "model": "cd" * 32}
    with pytest.raises(InputError, match=r"the run there has model .abab.*now it is .cdcd"):
        RunFolder.resume(run.path, other)
    with pytest.raises(InputError, match="has threads null; now it is 2"):
        RunFolder.resume(run.path, {**CONFIGURATION, "threads": 2})
    # The field itself is named, wherever it stands.
    with pytest.raises(InputError, match=r"has widths \[80, 100\]; now it is \[80\]"):
        RunFolder.resume(run.path, {"options": {"widths": [80]}})
    RunFolder.resume(run.path, {"model": "ab" * 32})


def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    with pytest.raises(InputError, match="holds a run already"):
        begun(run.path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(InputError, match=r"holds other things \(thesis.txt\)"):
        begun(tmp_path / "full")
    with pytest.raises(InputError, match="no run to go on with"):
        RunFolder.resume(tmp_path / "nowhere", CONFIGURATION)
    (tmp_path / "empty").mkdir()
    begun(tmp_path / "empty")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"schema": "crnn-run/9"}',
        '{"schema": "crnn-run/1", "count": -1}',
        '{"schema": "crnn-run/1", "count": 1' + "0" * 15 + ', "shard": 4, "batch": 4,'
        ' "configuration": {}}',
    ],
)
def test_a_damaged_run_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json"):
        read_run_json(tmp_path)


def test_shards_are_of_whole_batches(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not of whole batches"):
        RunFolder.create(tmp_path / "run", CONFIGURATION, count=10, size=10, batch=4)


def test_records_of_another_run_are_refused(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=4)
    finish_all(run)
    whole = run.path / "shards" / "000000.jsonl"
    lines = whole.read_bytes().splitlines(keepends=True)
    whole.write_bytes(b"".join([lines[0], *lines[2:]]))
    with pytest.raises(InputError, match="holds 3 records; expected 4"):
        words(run)
    whole.write_bytes(b"".join(lines[:-2]))
    with pytest.raises(InputError, match="holds 3 records; expected 4"):
        words(run)
    whole.write_bytes(b"".join([b"{}\n", *lines[1:]]))
    with pytest.raises(InputError, match="first line is not that of this run"):
        words(run)


def test_another_machines_claim_is_void_when_it_is_silent(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=8)
    claim = run.path / "shards" / "000000.1"
    claim.write_text('{"host": "elsewhere", "process": 1, "start": "1"}')
    assert run.claim() is None
    ago = time.time() - run_folder.STALE - 5
    os.utime(claim, (ago, ago))
    work = run.claim()
    assert work is not None
    assert work.shard.number == 0
    work.close()


def require_void_when_silent(run: RunFolder, claim: Path) -> None:
    """Demand that a claim holds, and does not once nothing was heard of it for too long."""
    assert run.claim() is None
    ago = time.time() - run_folder.STALE - 5
    os.utime(claim, (ago, ago))
    work = run.claim()
    assert work is not None
    work.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0" * 60,
        "[" * 100_000,
        '{"host": "elsewhere"}',
        '{"host": "HERE", "process": -1, "start": "1"}',
        '{"host": "HERE", "process": 0, "start": "1"}',
        '{"host": "HERE", "process": "1", "start": "1"}',
        '{"host": "HERE", "process": 4194305, "start": 1}',
    ],
    ids=["empty", "zeros", "deep", "no process", "below", "zero", "a text", "start"],
)
def test_a_damaged_claim_is_void_when_it_is_silent(tmp_path: Path, text: str) -> None:
    run = begun(tmp_path / "run", count=8)
    claim = run.path / "shards" / "000000.1"
    claim.write_text(text.replace("HERE", this_process().host))
    require_void_when_silent(run, claim)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of another user")
def test_another_users_dead_lose_their_shards(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=8)
    claim = run.path / "shards" / "000000.1"
    dead = this_process()._replace(start="1")
    claim.write_text(json.dumps(dead._asdict()))
    os.chown(claim, 1234, 1234)
    require_void_when_silent(run, claim)


def test_what_is_no_claim_is_passed_over(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=8)
    # Nobody counts up to it.
    (run.path / "shards" / f"000000.{10**12}").write_text("{}")
    work = run.claim()
    assert work is not None
    with working(work):
        work_on(work)
        work.finish()
    assert words(run) == list(range(8))


def test_a_pipe_in_the_place_of_a_claim_or_a_part_ends_the_command(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=8)
    os.mkfifo(run.path / "shards" / "000000.1")
    with pytest.raises(InputError, match="000000.1 is a pipe or a device"):
        run.claim()
    (run.path / "shards" / "000000.1").unlink()
    os.mkfifo(run.path / "shards" / "000000.1.part")
    (run.path / "shards" / "000000.1").write_text("{}")
    with pytest.raises(InputError, match="part is a pipe or a device"):
        run.kept_of(run.shards[0])


def test_the_file_systems_clock_is_not_asked_through_a_link(tmp_path: Path) -> None:
    """Whose claim another machine's is, its age tells by the clock of the folder."""
    other = tmp_path / "other"
    other.write_bytes(b"")
    os.utime(other, (5, 5))
    probe = tmp_path / f".clock-{os.getpid()}-{threading.get_ident()}"
    probe.symlink_to("other")
    begin = time.time()
    assert begin - 1 < run_folder._now(tmp_path) < time.time() + 1
    assert other.stat().st_mtime == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other"]


def test_records_are_not_written_through_a_link(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=8)
    (tmp_path / "precious").write_text("precious")
    (run.path / "shards" / "000000.1.part").symlink_to(tmp_path / "precious")
    finish_all(run)
    assert (tmp_path / "precious").read_text() == "precious"
    assert words(run) == list(range(8))


def _twice(lines: List[bytes]) -> List[bytes]:
    return [lines[0], *lines[1:6], *lines[1:6], *lines[1:6]]


def _short(lines: List[bytes]) -> List[bytes]:
    return [*lines[:6], *lines[7:]]


def _zeros(lines: List[bytes]) -> List[bytes]:
    return [*lines[:7], b"\0" * 12 + b"\n", *lines[8:]]


def _torn(lines: List[bytes]) -> List[bytes]:
    return [*lines[:7], lines[7][:5] + b"\n", *lines[8:]]


def _deep(lines: List[bytes]) -> List[bytes]:
    return [*lines[:10], run_folder.BATCH + b"[" * 100_000 + b"}\n"]


@pytest.mark.parametrize(
    ("damage", "kept"), [(_twice, 8), (_short, 4), (_zeros, 4), (_torn, 4), (_deep, 4)]
)
def test_what_is_not_as_it_was_written_is_forgotten(
    tmp_path: Path, damage: Callable[[List[bytes]], List[bytes]], kept: int
) -> None:
    run = begun(tmp_path / "run", count=8)
    work = run.claim()
    assert work is not None
    with working(work):
        work_on(work)
    part = run.path / "shards" / "000000.1.part"
    part.write_bytes(b"".join(damage(part.read_bytes().splitlines(keepends=True))))
    assert run.kept_of(run.shards[0]) == kept


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_files_are_as_readable_as_their_folder(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        run = begun(tmp_path / "run", count=8)
        work = run.claim()
        assert work is not None
        with working(work):
            for name in ("run.json", "shards/000000.1", "shards/000000.1.part"):
                assert stat.S_IMODE((run.path / name).stat().st_mode) == mode
    finally:
        os.umask(before)


def test_who_was_only_asleep_loses_the_shard_and_harms_nothing(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=8)
    asleep = run.claim()
    assert asleep is not None
    with working(asleep):
        work_on(asleep, batches=1)
        claim = run.path / "shards" / "000000.1"
        claim.write_text('{"host": "elsewhere", "process": 1, "start": "1"}')
        ago = time.time() - run_folder.STALE - 5
        os.utime(claim, (ago, ago))
        awake = run.claim()
        assert awake is not None
        with working(awake):
            assert awake.done == 4
            with pytest.raises(InputError, match="was taken over"):
                asleep.append(lines_of(range(4, 8)), 4)
            # What it had on its way when it fell asleep goes where nobody reads.
            assert asleep._file is not None
            asleep._file.write(b'{"word": 99}\n')
            work_on(awake)
            awake.finish()
        with pytest.raises(InputError, match="expected 8"):
            asleep.finish()
    assert words(run) == list(range(8))


CHILD = """
import sys, time
from pathlib import Path
from tests.jobs.test_run_folder import CONFIGURATION, work_on, working
from crnn.jobs.run_folder import RunFolder
run = RunFolder.resume(Path(sys.argv[1]), CONFIGURATION)
print("begun", flush=True)
while True:
    work = run.claim()
    if work is None:
        break
    with working(work):
        while work.done < work.shard.end - work.shard.begin:
            work_on(work, batches=1)
            time.sleep(float(sys.argv[2]))
        work.finish()
"""


def test_what_a_killed_owner_of_a_whole_shard_left_is_removed(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    finish_all(run)
    shards = tmp_path / "run" / "shards"
    whole = sorted(shards.iterdir())
    for name in ("000001.1", "000001.2", "000001.2.part"):
        (shards / name).write_text("{}")
    RunFolder.resume(tmp_path / "run", CONFIGURATION)
    assert sorted(shards.iterdir()) == whole


def test_who_wakes_up_when_all_is_done_is_told_so(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    asleep = run.claim()
    assert asleep is not None
    with working(asleep):
        work_on(asleep, batches=1)
        run.whole(asleep.shard).write_bytes(b"")
        with pytest.raises(InputError, match="was taken over"):
            work_on(asleep)


def child(run: RunFolder, pause: float) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", CHILD, str(run.path), str(pause)]
    return subprocess.Popen(command, cwd=str(root), stdout=subprocess.PIPE)


@pytest.mark.slow
def test_killed_anywhere_it_goes_on(tmp_path: Path) -> None:
    chance = random.Random(7)
    run = begun(tmp_path / "run", count=400, size=40, batch=4)
    for _ in range(8):
        process = child(run, 0.001)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.random() * 0.15)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish_all(run)
    assert words(run) == list(range(400))
    left = {path.suffix for path in (run.path / "shards").iterdir()}
    assert left == {".jsonl"}


@pytest.mark.slow
def test_several_processes_share_a_run(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=400, size=8, batch=4)
    children = [child(run, 0.0005) for _ in range(3)]
    for process in children:
        process.communicate()
        assert process.returncode == 0
    assert words(run) == list(range(400))


def _race(path: str, results: multiprocessing.Queue[int]) -> None:
    run = RunFolder.resume(Path(path), CONFIGURATION)
    work = run.claim()
    results.put(-1 if work is None else work.shard.number)
    time.sleep(1)


@pytest.mark.slow
def test_a_dead_owners_shard_goes_to_one_of_many(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", count=4)
    process = child(run, 30)
    assert process.stdout is not None
    process.stdout.readline()
    while not (run.path / "shards" / "000000.1.part").exists():
        time.sleep(0.01)
    process.kill()
    process.communicate()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    racers = [context.Process(target=_race, args=(str(run.path), results)) for _ in range(4)]
    for racer in racers:
        racer.start()
    found = sorted(results.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join()
    assert found == [-1, -1, -1, 0]


def test_every_job_of_several_has_its_shards() -> None:
    shards = [Shard(number, number, number + 1) for number in range(10)]
    parts = [part_of(shards, f"{number}/3") for number in (1, 2, 3)]
    assert sorted(shard.number for part in parts for shard in part) == list(range(10))
    for text in ("0/3", "4/3", "x", "1/0", "-1/3", "1/3/5"):
        with pytest.raises(UsageError, match="expected N/M"):
            part_of(shards, text)
