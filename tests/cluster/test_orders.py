"""What a worker does with an order: shards, words that are passed over, chips that failed; no Ray
takes part.
"""

from __future__ import annotations

import errno
import json
import pickle
from pathlib import Path
from typing import Any, Dict, List

import pytest

from crnn.cli.main import main
from crnn.cluster.order import EvaluateJob, ReadJob
from crnn.cluster.worker import Worker, _told
from crnn.jobs.evaluate import EvaluateRequest
from crnn.jobs.run_folder import RunFolder
from crnn.leftovers import Process
from crnn.reading.run import begin_listing
from crnn.samples.image_files import of_file
from tests.conftest import ROOT
from tests.models import write_bins, write_echo_model, write_images

COUNT = 40
PASSED = {
    0: ("ends its process", "first"),
    17: ("ends its process", "within"),
    31: ("ends its process", "last of a shard"),
    39: ("ends its process", "last"),
}


def texts() -> List[str]:
    return [str(number) for number in range(COUNT)]


def work(job: Any, place: Path) -> List[str]:
    """Let a worker do all shards of an order; return what it notes."""
    worker = Worker(pickle.loads(pickle.dumps(job)), str(place), 1)
    opened = worker.open(None, 0)
    assert "error" not in opened, opened
    assert worker.attempt([(0, 3), (4, COUNT)]) == {}
    count = len(RunFolder.open(place / "run").shards)
    assert count > 1
    said = worker.read(range(count), PASSED, {"npu:1 of there": "it burnt"})
    assert said["left"] == []
    worker.close()
    return list(said["notes"])


def records_of(folder: Path) -> List[Dict[str, Any]]:
    found = []
    for shard in sorted((folder / "shards").glob("*.jsonl")):
        for line in shard.read_text().splitlines()[1:]:
            entry = json.loads(line)
            if "batch" not in entry:
                found.append(entry)
    return found


def require_passed(records: List[Dict[str, Any]]) -> None:
    assert len(records) == COUNT
    for place, record in enumerate(records):
        if place in PASSED:
            assert (record["problem"], record["detail"]) == PASSED[place]
            assert record["text"] == ""
        else:
            assert record["text"] == str(place)
            assert "problem" not in record


def test_words_that_are_passed_over_are_problems_of_an_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_echo_model(tmp_path / "m.onnx")
    write_bins(tmp_path, texts())
    monkeypatch.chdir(tmp_path)
    request = EvaluateRequest(Path("m.onnx"), Path("input_bin"), label=Path("label.txt"), batch=2)
    work(EvaluateJob(Path("run"), request), tmp_path)
    records = records_of(tmp_path / "run")
    require_passed(records)
    assert [record["label"] for record in records] == texts()
    assert records[17]["key"] == "test_18"
    words = ["input_bin", "--label", "label.txt", "--batch", "2", "--threads", "1"]
    run = ["--run", "run", "--resume", "--json", "r.json"]
    assert main(["evaluate", "m.onnx", *words, *run]) == 0
    result = json.loads(Path("r.json").read_text())
    assert result["skipped"] == {"ends its process": 4}
    assert result["correct"] == COUNT - 4
    assert result["given_up"] == {"npu:1 of there": "it burnt"}


def test_words_that_are_passed_over_are_problems_of_a_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_echo_model(tmp_path / "m.onnx")
    write_images(tmp_path / "images", texts())
    monkeypatch.chdir(tmp_path)
    samples = [of_file(f"images/{number}.png") for number in range(1, COUNT + 1)]
    listing = begin_listing(Path("run"), samples, resume=False)
    work(ReadJob(Path("run"), Path("m.onnx"), listing.path.name, {"batch": 2}), tmp_path)
    records = records_of(tmp_path / "run")
    require_passed(records)
    assert records[31]["key"] == "images/32.png"


def test_words_of_several_widths_stand_in_their_order_beside_those_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shipped_wide: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    data = str(ROOT / "examples" / "words_lmdb")
    alone = ["--batch", "8", "--threads", "1", "--readings", "alone.jsonl"]
    assert main(["evaluate", str(shipped_wide), data, *alone]) == 0
    request = EvaluateRequest(shipped_wide, Path(data), batch=8)
    work(EvaluateJob(Path("run"), request), tmp_path)
    plain = [json.loads(line) for line in Path("alone.jsonl").read_text().splitlines()]
    records = records_of(tmp_path / "run")
    assert [record["key"] for record in records] == [record["key"] for record in plain]
    for place, (record, other) in enumerate(zip(records, plain)):
        if place not in PASSED:
            assert record["text"] == other["text"]


def test_what_a_worker_meets_is_told_as_plain_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = EvaluateRequest(Path("m.onnx"), Path("input_bin"), label=Path("label.txt"))
    said = Worker(EvaluateJob(Path("run"), request), str(tmp_path), 1).open(None, 0)
    assert said["error"] == "InputError"
    assert "m.onnx" in said["message"]
    json.dumps(said)


def test_a_full_disk_is_the_users_to_mend_and_a_bug_is_not() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "run/shards/000000.1.part")
    said = _told(full)
    assert said["error"] == "InputError"
    assert said["message"].endswith("run/shards/000000.1.part: No space left on device")
    with pytest.raises(FileNotFoundError):
        _told(FileNotFoundError(errno.ENOENT, "No such file or directory", "x"))


def test_what_the_dead_had_claimed_is_free(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", {}, count=64, size=32, batch=2)
    dead = Process("elsewhere", 12, "34")
    for shard in run.shards:
        claim = tmp_path / "run" / "shards" / f"{shard.name}.1"
        claim.write_text(json.dumps(dead._asdict()))
    assert run.claim() is None
    run.void([Process("elsewhere", 12, "35")])
    assert run.claim() is None
    run.void([dead])
    work = run.claim()
    assert work is not None
    work.begin()
    work.close()
