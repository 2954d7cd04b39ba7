"""Two runs side by side: regressions first and marked, limited on the screen, counted in the JSON;
and what a result says of itself.
"""

from __future__ import annotations

import csv
import datetime
import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest

from crnn.cli.main import main
from crnn.machine import by_name
from crnn.reports.result_json import read_run
from tests.models import write_bins, write_echo_model, write_images

TEXTS = ["house", "aa", "bb", "foot", "net", "cc", "noon"]
LABELS = ["house", "aa", "xx", "foot", "net", "yy", "no"]
# The other run: test_1 wrong there and right here; test_2, test_5 right there and wrong here;
# test_3 wrong in both, otherwise; the rest alike.
THERE = {"test_1": "mouse", "test_3": "b"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    here = ["house", "aq", "bb", "foot", "nqt", "cc", "noon"]
    write_bins(tmp_path, here, LABELS)
    write_echo_model(tmp_path / "m.onnx")
    lines = []
    for number, (text, label) in enumerate(zip(TEXTS, LABELS), 1):
        key = f"test_{number}"
        lines.append(json.dumps({"key": key, "label": label, "text": THERE.get(key, text)}))
    (tmp_path / "there.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def evaluate(*words: str, code: int = 0) -> None:
    command = ["evaluate", "m.onnx", "input_bin", "--label", "label.txt", *words]
    assert main(command) == code


def marks(out: str) -> List[str]:
    found = []
    for line in out.splitlines():
        words = line.split()
        if words and words[0] in ("regression", "improvement", "differs"):
            found.append(f"{words[0]} {words[1]}")
    return found


def test_regressions_come_first_and_are_marked(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--against", "there.jsonl", "--max-differ", "9")
    assert marks(capsys.readouterr().out) == [
        "regression test_2",
        "regression test_5",
        "improvement test_1",
        "differs test_3",
    ]


@pytest.mark.parametrize(("shown", "more"), [(0, 4), (1, 3), (3, 1), (4, 0), (99, 0)])
def test_as_many_are_shown_as_asked_for(
    shown: int, more: int, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--against", "there.jsonl", "--max-differ", "9", "--show-differences", str(shown))
    out = capsys.readouterr().out
    assert len(marks(out)) == 4 - more
    assert (f"and {more} more" in out) == (more > 0)


def test_twenty_are_shown_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_bins(tmp_path, ["a"] * 50, ["b"] * 50)
    write_echo_model(tmp_path / "m.onnx")
    lines = [json.dumps({"key": f"test_{n}", "text": "b"}) for n in range(1, 51)]
    (tmp_path / "there.jsonl").write_text("\n".join(lines))
    evaluate("--against", "there.jsonl", "--max-differ", "99", "--json", "r.json")
    out = capsys.readouterr().out
    assert len(marks(out)) == 20
    assert "and 30 more" in out
    against = json.loads((tmp_path / "r.json").read_text())["against"]
    assert len(against["words"]) == against["regressions"] == against["differing"] == 50


def test_the_json_has_counts_and_words(place: Path) -> None:
    evaluate("--against", "there.jsonl", "--max-differ", "9", "--json", "r.json")
    against = json.loads((place / "r.json").read_text())["against"]
    words = against.pop("words")
    assert {key: against[key] for key in ("file", "total", "differing", "simulated")} == {
        "file": "there.jsonl",
        "total": 7,
        "differing": 4,
        "simulated": False,
    }
    assert (against["regressions"], against["improvements"]) == (2, 1)
    assert against["difference"] == pytest.approx(-1 / 7)
    assert against["p_value"] == 1
    assert [(word["key"], word["change"]) for word in words] == [
        ("test_2", "regression"),
        ("test_5", "regression"),
        ("test_1", "improvement"),
        ("test_3", ""),
    ]
    assert words[0] == {
        "key": "test_2",
        "label": "aa",
        "text": "aq",
        "other": "aa",
        "change": "regression",
    }


def test_without_against_the_json_has_no_such_key(place: Path) -> None:
    evaluate("--json", "r.json")
    assert "against" not in json.loads((place / "r.json").read_text())


# What a result says of itself.


def said(path: Path) -> Dict[str, Any]:
    data: Dict[str, Any] = json.loads(path.read_text())
    when = datetime.datetime.fromisoformat(data["date"])
    assert when.utcoffset() == datetime.timedelta(0)
    return data


@pytest.mark.parametrize("data", ["input_bin", "./input_bin/", "../{here}/input_bin"])
def test_data_date_and_command_are_in_the_result(data: str, place: Path) -> None:
    given = data.format(here=place.name)
    out = place / "r.json"
    words = ["evaluate", str(place / "m.onnx"), given, f"--label={place / 'label.txt'}"]
    assert main([*words, "--json", str(out)]) == 0
    result = said(out)
    assert result["schema"] == "crnn-evaluation/2"
    assert result["data"] == "input_bin"
    assert result["command"] == [
        *("crnn", "evaluate", "m.onnx", "input_bin", "--label=label.txt", "--json", "r.json")
    ]
    assert str(place) not in out.read_text()


def test_they_are_in_other_results_too(place: Path) -> None:
    evaluate("--save-outputs", "raw")
    assert main(["score", "raw", "--label", "label.txt", "--json", "s.json"]) == 0
    scored = said(place / "s.json")
    assert (scored["data"], scored["command"][1]) == ("raw", "score")
    images = write_images(place / "images", ["abc"])
    words = ["bench", "m.onnx", "--data", str(images), "--batch", "1", "--loop", "1"]
    assert main([*words, "--json", "b.json"]) == 0
    bench = said(place / "b.json")
    assert (bench["data"], bench["command"][0]) == ("images", "crnn")
    assert bench["schema"] in ("crnn-bench/2", "crnn-bench/3")
    assert main(["evaluate", "m.onnx", "images", "images", "--json", "t.json"]) == 0
    table = json.loads((place / "t.json").read_text())
    result = table["models"][0]["results"][1]["result"]
    assert (result["data"], result["command"][:2]) == ("images", ["crnn", "evaluate"])


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("/home/me/m.onnx", "m.onnx"),
        ("words_lmdb/", "words_lmdb/"[:-1]),
        ("--json=/tmp/x/r.json", "--json=r.json"),
        ("C:\\data\\words", "words"),
        ('{"alphabet": "a/b"}', '{"alphabet": "a/b"}'),
        ('--spec={"alphabet": "/"}', '--spec={"alphabet": "/"}'),
        ("--batch", "--batch"),
        ("16", "16"),
        ("/", "/"),
    ],
)
def test_paths_are_names_alone(word: str, named: str) -> None:
    assert by_name([word]) == [named]


# Readings as CSV.

ODD = ["Coast, North", 'say "hi"', "two\rlines", " spaces ", "路", "=1+1"]


@pytest.mark.parametrize("name", ["x.csv", "x.CSV", "x.tsv"])
def test_readings_are_csv_where_the_name_says_so(name: str, tmp_path: Path) -> None:
    model = write_echo_model(tmp_path / "m.onnx")
    images = write_images(tmp_path / "images", ["abc"] * len(ODD))
    lines = [
        json.dumps({"filename": f"{number}.png", "text": label})
        for number, label in enumerate(ODD, 1)
    ]
    (images / "annotation.txt").unlink()
    (images / "list.jsonl").write_text("\n".join(lines), encoding="utf-8")
    out = tmp_path / name
    assert main(["evaluate", str(model), str(images), "--readings", str(out)]) == 0
    with open(out, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t" if name == "x.tsv" else ","))
    assert list(rows[0]) == ["key", "label", "text", "confidence"]
    assert [row["label"] for row in rows] == ODD
    assert [row["key"] for row in rows] == [f"{number}.png" for number in range(1, 7)]
    assert {row["text"] for row in rows} == {"abc"}
    assert all(0 < float(row["confidence"]) <= 1 for row in rows)
    assert read_run(out).texts == {f"{number}.png": "abc" for number in range(1, 7)}


def test_csv_is_compared_with_as_json_lines_are(place: Path) -> None:
    for name in ("a.csv", "a.tsv", "a.jsonl"):
        evaluate("--readings", name)
        evaluate("--against", name, "--max-differ", "0")


def labelled(place: Path, texts: List[str]) -> None:
    shutil.rmtree(place / "input_bin")
    write_bins(place, texts, texts)


def test_a_result_over_other_words_of_the_same_names_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing was misread, so that nothing but the labels' lengths says which words they were.
    labelled(place, TEXTS)
    evaluate("--json", "there.json")
    evaluate("--against", "there.json")
    others = [*TEXTS[:-1], "moon"]
    others[1] = "aaa"
    labelled(place, others)
    capsys.readouterr()
    evaluate("--against", "there.json", code=1)
    said = " ".join(capsys.readouterr().err.split())
    assert "it has 3 labels of 2 characters, this run 2" in said


def test_a_miss_with_another_label_is_over_other_words(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--json", "there.json")
    label = (place / "label.txt").read_text()
    (place / "label.txt").write_text(label.replace("test_7.bin:no", "test_7.bin:on"))
    capsys.readouterr()
    evaluate("--against", "there.json", code=1)
    said = " ".join(capsys.readouterr().err.split())
    assert "have another label there (one: test_7, here 'on', there 'no')" in said


def test_readings_of_other_words_are_refused_and_a_corrected_label_is_told(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) for line in (place / "there.jsonl").read_text().splitlines()]
    for row in rows[:3]:
        row["label"] += "s"
    (place / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows[3]["label"] += "s"
    (place / "most.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    evaluate("--against", "some.jsonl", "--max-differ", "9")
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "3 of 7 words have another label there (one: test_1, here 'house', there 'houses')" in said
    )
    evaluate("--against", "most.jsonl", "--max-differ", "9", code=1)
    assert "4 of 7 words have another label there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "its first line is 'a,b'; expected readings"),
        ("key,label,text,confidence\nx,a,a\n", "line 2: 3 columns of 4"),
        ("key,label,text,confidence\nx,a,a,1\nx,a,a,1\n", "line 3: the key 'x' stands twice"),
        ('key,label,text,confidence\n"x,a,a,1\n', "neither a result JSON nor JSON Lines"),
    ],
)
def test_another_csv_is_refused(
    content: str, message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "x.csv").write_text(content)
    evaluate("--against", "x.csv", code=1)
    assert message in capsys.readouterr().err
