"""``crnn report`` on the folder of ``crnn evaluate --run``: the page of its result and readings,
of as much as is there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict

import pytest

from crnn.cli.main import main
from tests.cli.test_runs import COUNT, cut, evaluate, place
from tests.models import write_images

__all__ = ["place"]


def page_of(*words: str) -> str:
    assert main(["report", *words, "-o", "page.html"]) == 0
    return Path("page.html").read_text(encoding="utf-8")


def rewritten(path: str) -> None:
    """Take out of a result what a run does not know before its end."""
    data: Dict[str, Any] = json.loads(Path(path).read_text())
    del data["date"], data["command"]
    Path(path).write_text(json.dumps(data))


def some_shards(folder: str, *numbers: int) -> None:
    """Leave a folder with some of the shards of the run, as another machine would."""
    (Path(folder) / "shards").mkdir(parents=True)
    shutil.copy("run/run.json", folder)
    for number in numbers:
        shutil.copy(f"run/shards/{number:06d}.jsonl", f"{folder}/shards")


def counted(path: str) -> str:
    data = json.loads(Path(path).read_text())
    return f"{data['correct']} / {data['total']}"


def test_a_run_is_shown_as_its_result_and_readings_are(place: Path) -> None:
    evaluate("--run", "run", "--json", "r.json", "--readings", "r.jsonl")
    rewritten("r.json")
    of_files = page_of("r.json", "r.jsonl")
    of_run = page_of("run")
    assert counted("r.json") in of_run
    assert of_run == of_files


def test_of_a_run_that_is_not_complete_the_whole_shards_are_shown(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--run", "run", "--readings", "r.jsonl")
    some_shards("part", 0, 2)
    cut(1, 5)
    capsys.readouterr()
    html = page_of("run")
    assert f"{COUNT - 32} of its {COUNT} words are counted" in html
    assert "which is not complete" in " ".join(capsys.readouterr().err.split())
    assert html == page_of("part")
    chinese = page_of("run", "--lang", "zh")
    assert f"只统计了 {COUNT - 32} 个" in chinese


def test_parts_of_a_run_are_one(place: Path) -> None:
    evaluate("--run", "run", "--json", "r.json")
    some_shards("part1", 1)
    some_shards("part2", 0, 2)
    html = page_of("part1", "part2")
    assert counted("r.json") in html
    assert "not complete" not in html
    assert html == page_of("run")


def test_two_runs_are_compared(place: Path) -> None:
    evaluate("--run", "run")
    evaluate("--run", "other", "--allow", "0-9")
    assert "McNemar" in page_of("run", "other")


def test_confidences_of_wrong_words_alone_are_not_drawn(place: Path) -> None:
    evaluate("--run", "bare", "--allow", "0-9")  # most are wrong
    evaluate("--run", "sure", "--probability")
    bare, sure = page_of("bare"), page_of("sure")
    assert "How often a confidence comes true" not in bare
    assert "the run keeps none of words that were right" in bare
    assert "How often a probability comes true" in sure
    assert "the run keeps none of words that were right" not in sure


def test_a_run_with_nothing_whole_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--run", "run", "--shard", "1/3")
    Path("run/shards/000000.jsonl").unlink()
    assert main(["report", "run", "-o", "page.html"]) == 1
    assert "none of the 3 shards is whole" in " ".join(capsys.readouterr().err.split())
    assert not Path("page.html").exists()


@pytest.mark.parametrize("verb", ["report", "score", "compare"])
def test_a_run_of_read_says_what_it_lacks(
    place: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    write_images(place / "crops", ["one", "ten"])
    assert main(["read", "m.onnx", "crops", "--run", "reading", "--out", "w.jsonl"]) == 0
    more = {"report": ["-o", "page.html"], "score": [], "compare": ["w.jsonl"]}[verb]
    assert main([verb, "reading", *more]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "reading is a run of crnn read, whose words have no labels" in said
