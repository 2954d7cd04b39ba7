"""``crnn evaluate --run`` and ``crnn score`` on runs: killed, shared or in parts, the result is
that of a run that nothing happened to.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

from crnn.cli.main import main
from crnn.jobs import run_folder
from crnn.jobs.evaluate import EvaluateOutcome, EvaluateRequest
from crnn.jobs.runs import RunOptions, evaluate_run
from tests.conftest import ROOT
from tests.models import write_bins, write_echo_model, write_images
from tests.processes import started, uncounted

COUNT = 90
"""Words: in batches of 2, a shard has 32."""


def text_of(number: int) -> str:
    return "".join("0123456789abcdefghij"[(number + step) % 20] for step in range(1 + number % 5))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and bins of all kinds: right, wrong, missing, too short, not labelled,
    with labels that the model cannot read.
    """
    texts = [text_of(number) for number in range(COUNT)]
    labels = list(texts)
    labels[3], labels[40], labels[41], labels[80] = "wrong", "Wrong", "ñandú", "w" * 40
    write_echo_model(tmp_path / "m.onnx")
    bins = write_bins(tmp_path, texts, labels)
    (bins / "test_6.bin").unlink()
    (bins / "test_34.bin").write_bytes(b"short")
    (bins / "test_200.bin").write_bytes((bins / "test_1.bin").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


DATA = ("input_bin", "--label", "label.txt")


def evaluate(*words: str, data: Any = DATA, code: int = 0) -> None:
    command = ["evaluate", "m.onnx", *data, "--threads", "1", "--batch", "2", *words]
    assert main(command) == code


def result(path: str) -> Dict[str, Any]:
    """Return a result without what time makes of it."""
    data: Dict[str, Any] = json.loads(Path(path).read_text())
    for name in ("date", "command", "throughput", "stages"):
        del data[name]
    for counts in data.get("by_width", {}).values():
        del counts["words_per_second"]
    return data


def shards(folder: str = "run") -> List[str]:
    return sorted(path.name for path in (Path(folder) / "shards").iterdir())


def cut(number: int, lines: int, folder: str = "run") -> None:
    """Leave of a shard what a killed process leaves: some lines, and the half of another one."""
    whole = Path(folder) / "shards" / f"{number:06d}.jsonl"
    kept = whole.read_bytes().splitlines(keepends=True)
    part = whole.with_name(f"{number:06d}.1.part")
    part.write_bytes(b"".join(kept[:lines]) + kept[lines][:9])
    whole.unlink()
    claim = whole.with_name(f"{number:06d}.1")
    claim.write_text('{"host": "elsewhere", "process": 1, "start": "1"}')
    os.utime(claim, (0, 0))


def test_a_run_gives_the_result_of_an_evaluation(place: Path) -> None:
    evaluate("--json", "plain.json", "--readings", "plain.jsonl")
    evaluate("--json", "run.json", "--run", "run", "--readings", "run.jsonl")
    assert result("run.json") == result("plain.json")
    assert result("run.json")["skipped"]["missing bin"] == 1
    assert Path("run.jsonl").read_bytes() == Path("plain.jsonl").read_bytes()
    assert shards() == ["000000.jsonl", "000001.jsonl", "000002.jsonl"]


@pytest.mark.parametrize("lines", [1, 2, 3, 4, 10, 47])
def test_an_unfinished_shard_goes_on_at_its_last_whole_batch(place: Path, lines: int) -> None:
    evaluate("--run", "run", "--json", "run.json")
    whole = [(Path("run/shards") / name).read_bytes() for name in shards()]
    cut(0, lines)
    cut(2, lines % 30)
    evaluate("--run", "run", "--resume", "--json", "resumed.json")
    assert result("resumed.json") == result("run.json")
    # The batches are the same ones; their times are not.
    for name, before in zip(shards(), whole):
        after = (Path("run/shards") / name).read_bytes()
        assert words_of(after) == words_of(before)
    kept = whole[0].splitlines()[:lines]
    if kept[-1].startswith(b'{"batch"'):
        again = (Path("run/shards") / "000000.jsonl").read_bytes()
        assert again.splitlines()[:lines] == kept


@pytest.mark.parametrize(
    "name", ["run/run.json", "run/listing-0", "run/shards/9.jsonl", "new/run.json"]
)
def test_a_result_is_not_written_over_a_run(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "new").mkdir()
    (place / "run").mkdir()
    evaluate("--run", "run", "--json", "run/result.json")
    kept = {path: path.read_bytes() for path in place.rglob("*.json*")}
    evaluate("--run", str(Path(name).parts[0]), "--resume", "--json", name, code=1)
    # Nor by a command that knows nothing of the run.
    if name.startswith("run"):
        evaluate("--json", name, code=1)
    assert "is part of the run in" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in place.rglob("*.json*")} == kept


def test_what_was_counted_while_it_was_written_is_what_the_records_say(place: Path) -> None:
    evaluate("--json", "run.json", "--run", "run")
    counted = result("run.json")
    evaluate("--json", "again.json", "--run", "run", "--resume")
    assert result("again.json") == counted
    # Its readings make every record be read.
    evaluate("--json", "listed.json", "--run", "other", "--readings", "run.jsonl")
    assert result("listed.json") == counted


@pytest.mark.parametrize("shard", [0, 1, 2])
def test_records_that_somebody_changes_meanwhile_are_what_counts(place: Path, shard: int) -> None:
    request = EvaluateRequest(
        Path("m.onnx"), Path("input_bin"), label=Path("label.txt"), batch=2, threads=1
    )

    @contextlib.contextmanager
    def changing(label: str, total: Optional[int]) -> Iterator[Callable[[int], None]]:
        yield lambda count: None
        if label == "evaluating":
            path = Path("run/shards") / f"{shard:06d}.jsonl"
            path.write_bytes(path.read_bytes().replace(b'"text": "', b'"text": "z', 1))

    outcome = evaluate_run(request, RunOptions(Path("run")), changing)
    assert isinstance(outcome, EvaluateOutcome)
    evaluate("--json", "again.json", "--run", "run", "--resume")
    assert outcome.evaluation.correct == result("again.json")["correct"]
    evaluate("--json", "plain.json")
    assert outcome.evaluation.correct == result("plain.json")["correct"] - 1


def words_of(records: bytes) -> List[Any]:
    found = []
    for line in records.splitlines()[1:]:
        entry = json.loads(line)
        found.append((entry.get("batch"), entry.get("key"), entry.get("text")))
    return found


def test_a_complete_run_prints_its_result_again(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--run", "run", "--json", "first.json")
    first = capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")}
    evaluate("--run", "run", "--resume", "--json", "second.json", "--show-misses", "1")
    assert capsys.readouterr().out.splitlines()[:2] == first.splitlines()[:2]
    assert result("second.json") == result("first.json")
    assert {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")} == before


def test_a_used_folder_is_refused_without_resume(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--run", "run", "--resume", "--shard", "1/3")
    assert "64 of 90" not in capsys.readouterr().out
    evaluate("--run", "run", code=1)
    assert "run holds a run already" in capsys.readouterr().err
    evaluate("--run", "input_bin", "--resume", code=1)
    assert "input_bin holds other things" in capsys.readouterr().err
    evaluate("--resume", code=2)
    assert "--resume and --shard go with --run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--batch", "4"], "batch 2; now it is 4"),
        (["--threads", "2"], "threads 1; now it is 2"),
        (["--spec", '{"fold_case": false}'], "fold_case true; now it is false"),
        (["--allow", "0-9"], 'allow null; now it is "0-9"'),
        (["--probability"], "probability false; now it is true"),
        (["--readings", "r.jsonl"], "confidences false; now it is true"),
        (["--label", "other.txt"], "listing"),
    ],
)
def test_another_configuration_is_refused_by_its_field(
    place: Path, capsys: pytest.CaptureFixture[str], options: List[str], field: str
) -> None:
    text = (place / "label.txt").read_text()
    (place / "other.txt").write_text(text.replace("wrong", "right"))
    evaluate("--run", "run", "--shard", "1/3")
    capsys.readouterr()
    evaluate("--run", "run", "--resume", *options, code=1)
    told = capsys.readouterr().err
    assert f"the run there has {field}" in told
    assert "begin in another folder" in told


def _batch_with(line: str) -> Callable[[str], str]:
    def damaged(text: str) -> str:
        lines = text.splitlines()
        ends = [number for number, one in enumerate(lines) if one.startswith('{"batch": ')]
        lines[ends[0]] = line
        return "\n".join(lines) + "\n"

    return damaged


def _first_with(name: str, value: str) -> Callable[[str], str]:
    def damaged(text: str) -> str:
        lines = text.splitlines()
        lines[1] = lines[1][:-1] + f', "{name}": {value}}}'
        return "\n".join(lines) + "\n"

    return damaged


@pytest.mark.parametrize(
    "damage",
    [
        _batch_with('{"batch": 2, "seconds": 1e308}'),
        _batch_with('{"batch": 2, "stages": {"read": [1e308, 1e308]}}'),
        _batch_with('{"batch": 2, "by_width": {"100": [1, -1.0]}}'),
        _first_with("text", '"' + "a" * (1 << 20) + '"'),
        _first_with("confidence", "1" + "0" * 400),
    ],
    ids=["seconds", "stages", "width", "text", "confidence"],
)
def test_altered_records_are_named(
    place: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[str], str]
) -> None:
    evaluate("--run", "run")
    records = place / "run" / "shards" / "000000.jsonl"
    records.write_text(damage(records.read_text()))
    capsys.readouterr()
    for command in (["score", "run"], ["report", "run", "-o", "run.html"]):
        assert main(command) == 1
        told = " ".join(capsys.readouterr().err.split())
        assert "run/shards/000000.jsonl: records are not as crnn evaluate --run writes them" in told


def test_a_chip_that_gives_no_reason_is_told_of(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--run", "run")
    records = place / "run" / "shards" / "000000.jsonl"
    damage = _batch_with('{"batch": 2, "given_up": {"npu:1": ""}}')
    records.write_text(damage(records.read_text()))
    assert main(["score", "run"]) == 0
    assert "npu:1 was given up, and others went on" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (["data"], 7),
        (["run", "decoding"], "paper"),
        (["run", "versions"], 7),
        (["run", "versions"], "no"),
    ],
)
def test_an_altered_run_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], names: List[str], value: Any
) -> None:
    evaluate("--run", "run")
    kept = json.loads(Path("run/run.json").read_text())
    inside = kept["configuration"]
    for name in names[:-1]:
        inside = inside[name]
    inside[names[-1]] = value
    Path("run/run.json").write_text(json.dumps(kept))
    capsys.readouterr()
    for command in (["score", "run"], ["report", "run", "-o", "run.html"]):
        assert main(command) == 1
        told = " ".join(capsys.readouterr().err.split())
        assert "run/run.json: not as crnn evaluate --run writes it" in told


def test_parts_of_two_runs_are_named_by_what_differs(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--run", "one", "--shard", "1/2")
    evaluate("--run", "two", "--shard", "2/2", "--allow", "0-9")
    capsys.readouterr()
    assert main(["score", "one", "two"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert 'two: the run there has allow "0-9"; in one it is null' in told
    assert "Name the folders of one run" in told


def test_another_model_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate("--run", "run", "--shard", "1/3")
    write_echo_model(place / "m.onnx", axes="NTK", spec=None)
    evaluate("--run", "run", "--resume", "--output-axes", "NTK", code=1)
    assert "the run there has model" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--protocol", "modelzoo"],
        ["--oov", "drop"],
        ["--save-outputs", "o"],
    ],
)
def test_what_a_run_does_not_keep_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], options: List[str]
) -> None:
    evaluate("--run", "run", *options, code=2)
    assert f"{options[0]} does not go with --run" in capsys.readouterr().err
    assert not Path("run").exists()


def test_parts_that_were_made_elsewhere_are_joined(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--json", "plain.json")
    for number in (1, 2, 3):
        evaluate("--run", f"part{number}", "--shard", f"{number}/3")
        assert "of 90 words are read; the rest is for other jobs" in capsys.readouterr().out
    assert main(["score", "part1", "part2", "part3", "--json", "joined.json"]) == 0
    assert result("joined.json") == result("plain.json")
    assert main(["score", "part1", "part3"]) == 1
    assert "shards 000001 of 3 are missing" in capsys.readouterr().err


def test_parts_of_two_runs_are_not_joined(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate("--run", "part1", "--shard", "1/2")
    evaluate("--run", "part2", "--shard", "2/2", "--allow", "0-9")
    assert main(["score", "part1", "part2"]) == 1
    assert "the run there has allow" in capsys.readouterr().err
    assert main(["score", "part1", "--label", "label.txt"]) == 2
    assert "--label does not go with a run" in capsys.readouterr().err
    assert main(["score", "part1", "--reject", "0.5"]) == 2
    assert "keeps no probabilities" in capsys.readouterr().err


def test_the_last_part_of_a_shared_folder_gives_the_result(place: Path) -> None:
    evaluate("--json", "plain.json")
    for number in (2, 1, 3):
        evaluate("--run", "run", "--resume", "--shard", f"{number}/3", "--json", "run.json")
        assert Path("run.json").exists() == (number == 3)
    assert result("run.json") == result("plain.json")


@pytest.mark.parametrize(
    "damage", ["a line less", "no JSON", "another text", "a number for a text"]
)
def test_damaged_records_are_an_error_of_theirs(
    place: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    evaluate("--run", "run")
    whole = place / "run" / "shards" / "000001.jsonl"
    lines = whole.read_bytes().splitlines(keepends=True)
    lines[1] = {
        "a line less": b"",
        "no JSON": lines[1][3:],
        "another text": b'"a"\n',
        "a number for a text": b'{"key": "test_33", "text": 3, "label": "a", "confidence": 1}\n',
    }[damage]
    whole.write_bytes(b"".join(lines))
    evaluate("--run", "run", "--resume", code=1)
    assert "000001.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(
    "where, field, value",
    [
        ("record", "confidence", "high"),
        ("record", "confidence", float("inf")),
        ("record", "problem", ["empty"]),
        ("record", "alternatives", [{"text": "a"}]),
        ("record", "characters", 5),
        ("end", "extras", [["a", [1], "b"]]),
        ("end", "given_up", [1]),
        ("end", "remarks", {"a": "b"}),
        ("end", "seconds", float("nan")),
        ("end", "stages", {"read": ["fast"]}),
    ],
)
def test_a_field_of_another_kind_is_an_error_of_its_file(
    place: Path, capsys: pytest.CaptureFixture[str], where: str, field: str, value: Any
) -> None:
    evaluate("--run", "run", "--readings", "words.jsonl")
    whole = place / "run" / "shards" / "000001.jsonl"
    lines = whole.read_bytes().splitlines(keepends=True)
    ends = [number for number, text in enumerate(lines) if text.startswith(run_folder.BATCH)]
    line = {"record": 1, "end": ends[0]}[where]
    entry = {"detail": "", **json.loads(lines[line])}
    entry[field] = value
    lines[line] = json.dumps(entry, sort_keys=True).encode() + b"\n"
    whole.write_bytes(b"".join(lines))
    assert main(["score", "run", "--readings", "again.jsonl", "--json", "again.json"]) == 1
    assert "000001.jsonl" in capsys.readouterr().err
    assert not Path("again.jsonl").exists()


@pytest.mark.parametrize("field, value", [("restricted", {}), ("views", None)])
def test_a_changed_configuration_is_an_error_of_its_file(
    place: Path, capsys: pytest.CaptureFixture[str], field: str, value: Any
) -> None:
    evaluate("--run", "run")
    file = place / "run" / "run.json"
    kept = json.loads(file.read_text())
    kept["configuration"][field] = value
    file.write_text(json.dumps(kept))
    assert main(["score", "run"]) == 1
    assert "run.json" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--run", "m.onnx/run", code=1)
    assert "m.onnx/run" in capsys.readouterr().err
    write_images(place / "words", ["a"])
    assert main(["read", "m.onnx", "words", "--run", "m.onnx/run", "--threads", "1"]) == 1
    assert "m.onnx/run" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["shards is a file", "no shards", "records are a folder"])
def test_other_things_in_a_run_are_an_error(
    place: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    evaluate("--run", "run")
    folder = place / "run" / "shards"
    if damage == "records are a folder":
        (folder / "000001.jsonl").unlink()
        (folder / "000001.jsonl").mkdir()
    else:
        shutil.rmtree(folder)
    if damage == "shards is a file":
        folder.touch()
    capsys.readouterr()
    evaluate("--run", "run", "--resume", code=1)
    assert str(Path("run") / "shards") in capsys.readouterr().err


def test_probabilities_and_rejections_come_from_the_records(place: Path) -> None:
    # Without the words that move the batches: the last digit of a probability depends on these.
    lines = (place / "label.txt").read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.split(":")[0] not in ("test_6.bin", "test_34.bin")]
    (place / "label.txt").write_text("".join(kept))
    evaluate("--reject", "0.5", "--json", "plain.json", "--readings", "plain.csv")
    evaluate("--reject", "0.5", "--json", "run.json", "--readings", "run.csv", "--run", "run")
    assert result("run.json") == result("plain.json")
    assert Path("run.csv").read_bytes() == Path("plain.csv").read_bytes()
    cut(1, 20)
    again = ("--probability", "--readings", "b.csv", "--run", "run", "--resume")
    evaluate(*again, "--json", "b.json")
    assert "rejection" not in result("b.json")["sureness"]
    assert main(["score", "run", "--reject", "0.5", "--json", "scored.json"]) == 0
    assert result("scored.json") == result("plain.json")


def test_images_with_alternatives_and_characters(place: Path) -> None:
    texts = [text_of(number) for number in range(40)]
    write_images(place / "images", texts)
    (place / "images" / "8.png").write_bytes(b"not an image")
    options = ("--alternatives", "2", "--characters", "--show-misses", "3")
    evaluate("--json", "plain.json", "--readings", "a.jsonl", *options, data=["images"])
    run = ("--run", "run", "--json", "run.json", "--readings", "b.jsonl", *options)
    evaluate(*run, data=["images"])
    uninterrupted = result("run.json")
    # A run names all that may decode its images; an evaluation what has decoded them.
    plain = {**result("plain.json"), "versions": uninterrupted["versions"]}
    assert uninterrupted == plain
    before = Path("b.jsonl").read_bytes()
    assert before.count(b"\n") == Path("a.jsonl").read_bytes().count(b"\n") == 40
    cut(0, 12)
    evaluate(*run, "--resume", data=["images"])
    assert result("run.json") == uninterrupted
    assert Path("b.jsonl").read_bytes() == before


def many_words(place: Path) -> None:
    """Put the bins there many times over: a run of some seconds."""
    lines = []
    for number in range(1, 1201):
        source = place / "input_bin" / f"test_{(number - 1) % COUNT + 1}.bin"
        target = place / "many" / f"test_{number}.bin"
        target.parent.mkdir(exist_ok=True)
        if source.exists():
            os.link(source, target)
        lines.append(f"test_{number}.bin:{text_of((number - 1) % COUNT)}\n")
    (place / "many.txt").write_text("".join(lines))


MANY = ("many", "--label", "many.txt")


COMMAND = (sys.executable, "-m", "crnn", "evaluate", "m.onnx", *MANY, "--threads", "1")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def many(*words: str) -> None:
    """Evaluate in another process: which versions take part is asked of what is imported there."""
    subprocess.run([*COMMAND, "--batch", "2", *words], env=ENVIRONMENT, check=True)


@contextlib.contextmanager
def begun(*words: str, folder: str = "run", **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start an evaluation in a process and wait until the run has a record."""
    command = [*COMMAND, "--batch", "2", "--run", folder, *words]
    with started(command, env=ENVIRONMENT, **options) as process:
        while process.poll() is None and not records(folder):
            time.sleep(0.005)
        yield process


def records(folder: str = "run") -> int:
    """Return how many lines a run's shards have beside their headers."""
    found = 0
    for path in Path(folder).glob("shards/*.*"):
        with contextlib.suppress(FileNotFoundError):
            found += max(0, path.read_bytes().count(b"\n") - 1)
    return found


@pytest.mark.slow
def test_a_terminated_run_can_be_gone_on_with_at_once(place: Path) -> None:
    many_words(place)
    many("--json", "plain.json")
    with begun() as process:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        there = records()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    # The batch that is being written becomes whole: two records and its own line. No other is read.
    assert there <= records() <= there + 3 < 1800
    left = [name for name in shards() if name.endswith(".part")]
    assert len(left) <= 2
    begin = time.monotonic()
    many("--json", "run.json", "--run", "run", "--resume")
    # The dead process's claims are void: nobody waits until they are stale.
    assert time.monotonic() - begin < run_folder.STALE
    assert result("run.json") == result("plain.json")
    assert all(name.endswith(".jsonl") for name in shards())


@pytest.mark.slow
def test_two_processes_share_a_run(place: Path) -> None:
    many_words(place)
    many("--json", "plain.json")
    with begun("--json", "first.json") as first:
        with begun("--resume", "--json", "second.json") as second:
            assert second.wait(timeout=120) == 0
        assert first.wait(timeout=120) == 0
    assert result("first.json") == result("second.json") == result("plain.json")
    assert len(shards()) == -(-1200 // 32)


@pytest.mark.slow
def test_who_waits_says_so_and_takes_over_from_who_is_killed(place: Path) -> None:
    many_words(place)
    many("--json", "plain.json")
    with begun() as first:
        first.send_signal(signal.SIGSTOP)
        with begun("--resume", "--json", "second.json", stderr=subprocess.PIPE) as second:
            assert second.stderr is not None
            told = b""
            while f"waiting for process {first.pid} of ".encode() not in told:
                line = second.stderr.readline()
                assert line, told
                told += line
            first.kill()
            first.wait()
            assert second.wait(timeout=120) == 0
            # Once, however long it takes.
            assert b"waiting for" not in second.stderr.read()
    assert result("second.json") == result("plain.json")
    assert all(name.endswith(".jsonl") for name in shards())


def _small_files() -> None:
    # As on a full disk, a write is refused in the middle of a batch.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))


@pytest.mark.slow
def test_a_full_disk_ends_the_run_and_loses_nothing(place: Path) -> None:
    many_words(place)
    many("--json", "plain.json")
    ended = subprocess.run(
        [*COMMAND, "--batch", "2", "--run", "run"],
        # What counts lines would be out of space too.
        env={**uncounted(), "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        preexec_fn=_small_files,
        check=False,
    )
    assert ended.returncode == 1
    assert b"000000.1.part" in ended.stderr
    assert b"Traceback" not in ended.stderr
    assert (Path("run") / "shards" / "000000.1.part").stat().st_size == 4000
    many("--json", "run.json", "--run", "run", "--resume")
    assert result("run.json") == result("plain.json")
