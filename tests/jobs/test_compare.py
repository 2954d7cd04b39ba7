"""Two runs over the same words, from JSON Lines and from a result JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from crnn.errors import InputError
from crnn.jobs.compare import Comparer
from crnn.reports.result_json import SCHEMA, reading_line
from crnn.results import Difference, Reading
from crnn.spec import ModelSpec

SPEC = ModelSpec.default()
THIS = [
    Reading("test_1", "good", 0.9, "Good"),
    Reading("test_2", "bad", 0.9, "bad"),
    Reading("test_3", "x", 0.9, "y"),
    Reading("test_4", "", None, None),
]


def write_lines(path: Path, texts: List[str]) -> Path:
    readings = [
        Reading(reading.key, text, None, reading.label) for reading, text in zip(THIS, texts)
    ]
    path.write_text("".join(reading_line(reading) for reading in readings), encoding="utf-8")
    return path


def write_result(path: Path, misses: Dict[str, str], total: int = 3, **other: Any) -> Path:
    entries = [{"key": key, "text": text} for key, text in misses.items()]
    data = {
        "schema": SCHEMA,
        "total": total,
        "misses": entries,
        "misses_total": len(entries),
        **other,
    }
    path.write_text(json.dumps(data, indent=1))
    return path


def compare(path: Path) -> Any:
    comparer = Comparer(path, SPEC)
    for reading in THIS:
        comparer.add(reading)
    return comparer.finish()


def test_the_same_run_differs_in_nothing(tmp_path: Path) -> None:
    result = compare(write_lines(tmp_path / "r.jsonl", ["good", "bad", "x", ""]))
    assert result.differing == ()
    assert (result.test.only_first, result.test.only_second, result.test.total) == (0, 0, 3)


def test_words_that_differ_are_listed_and_paired(tmp_path: Path) -> None:
    result = compare(write_lines(tmp_path / "r.jsonl", ["god", "bad", "y", "z"]))
    assert result.differing == (
        Difference("test_3", "y", "x", "y", "regression"),
        Difference("test_1", "Good", "good", "god", "improvement"),
        Difference("test_4", None, "", "z"),
    )
    assert (result.test.only_first, result.test.only_second) == (1, 1)


def test_a_result_json_names_only_misses(tmp_path: Path) -> None:
    # There, test_1 and test_2 were right and test_3 was read as "w".
    readings = THIS[:3]
    comparer = Comparer(write_result(tmp_path / "r.json", {"test_3": "w"}), SPEC)
    for reading in readings:
        comparer.add(reading)
    assert comparer.finish().differing == (Difference("test_3", "y", "x", "w"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("{", "neither a result JSON nor JSON Lines"),
        ('{"schema": "other/1"}', "not a result of crnn evaluate"),
        (
            '{"key": "a", "text": "b"}\n{"key": "a", "text": "b"}\n',
            "line 2: the key 'a' stands twice",
        ),
        ('{"key": "a", "text": "b"}\n[]\n', "line 2: not a reading"),
        ("[" * 100_000, "neither a result JSON nor JSON Lines"),
        ('{"key": "a", "text": "b", "x": ' + "[" * 100_000, "neither a result JSON nor JSON Lines"),
    ],
)
def test_files_that_are_no_run(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(InputError, match=message):
        Comparer(tmp_path / "r.json", SPEC)


def test_a_newer_kits_result_is_named(tmp_path: Path) -> None:
    path = write_result(tmp_path / "r.json", {"test_3": "w"}, schema="crnn-evaluation/99")
    with pytest.raises(InputError) as caught:
        Comparer(path, SPEC)
    assert caught.value.hint == "A newer kit wrote it: compare with that one."


@pytest.mark.parametrize(
    "change",
    [
        {"misses": None},
        {"misses": [1]},
        {"misses": "abc"},
        {"misses": [{"text": "a"}]},
        {"misses": [{"key": [], "text": "a"}]},
        {"misses_total": "1"},
        {"misses_total": None},
        {"total": "3"},
    ],
    ids=str,
)
def test_results_that_evaluate_did_not_write(tmp_path: Path, change: Dict[str, Any]) -> None:
    path = write_result(tmp_path / "r.json", {"test_3": "w"})
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match="without its misses, misses_total or total"):
        Comparer(path, SPEC)


def test_a_result_that_lost_misses_cannot_be_compared(tmp_path: Path) -> None:
    path = write_result(tmp_path / "r.json", {"test_3": "w"}, misses_total=2)
    with pytest.raises(InputError, match=r"1 of its 2 misses.*\n.*--readings"):
        Comparer(path, SPEC)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (THIS[:3], r"1 words of this run are not in it \(the first: test_4\)"),
        (
            [*THIS, Reading("test_9", "", None, None)],
            r"1 of its words are not in this run \(one: test_9\)",
        ),
    ],
)
def test_runs_over_other_words_are_refused(
    tmp_path: Path, lines: List[Reading], message: str
) -> None:
    (tmp_path / "r.jsonl").write_text("".join(map(reading_line, lines)))
    with pytest.raises(InputError, match=message):
        compare(tmp_path / "r.jsonl")


def test_results_with_another_total_are_refused(tmp_path: Path) -> None:
    comparer = Comparer(write_result(tmp_path / "r.json", {}, total=7), SPEC)
    with pytest.raises(InputError, match="it has 7 labels, this run 0"):
        comparer.finish()
