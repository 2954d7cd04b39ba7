"""``crnn compare``: sides of any kind over the same words."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import onnx
import pytest

from crnn.cann import OM_MAGIC
from crnn.cli.main import main
from crnn.jobs.comparison.sides import takes_device
from crnn.spec import ModelSpec
from tests.conftest import ROOT
from tests.foreign import few_words
from tests.models import write_bins, write_echo_model, write_images

SPEC = ModelSpec.default()
TEXTS = ["house", "aa", "bb", "foot", "net", "cc", "noon"]
LABELS = ["house", "aa", "xx", "foot", "net", "yy", "no"]
ALL = ["--data", "images"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "images", TEXTS, LABELS)
    write_echo_model(tmp_path / "m.onnx")
    return tmp_path


def other_model(place: Path, **changes: Any) -> Path:
    """Write the echo model with another spec."""
    spec = dataclasses.replace(SPEC, **changes)
    return write_echo_model(place / "other.onnx", spec=spec)


def biased_model(place: Path, *bias: float) -> Path:
    """Write the echo model with a number added to the first classes of every step."""
    proto = onnx.load(str(place / "m.onnx"))
    values = np.zeros(37, dtype=np.float32)
    values[: len(bias)] = bias
    proto.graph.node[-1].output[0] = "plain"
    proto.graph.initializer.append(onnx.numpy_helper.from_array(values, "bias"))
    proto.graph.node.append(onnx.helper.make_node("Add", ["plain", "bias"], ["output1"]))
    onnx.save(proto, str(place / "biased.onnx"))
    return place / "biased.onnx"


def write_readings(path: Path, changed: Dict[int, str], count: int = 7) -> Path:
    lines = []
    for number, (text, label) in enumerate(zip(TEXTS[:count], LABELS), 1):
        text = changed.get(number, text)
        lines.append(json.dumps({"key": f"{number}.png", "label": label, "text": text}))
    path.write_text("\n".join(lines) + "\n")
    return path


def compare(*words: str, code: int = 0) -> Dict[str, Any]:
    assert main(["compare", *words, "--json", "c.json"]) == code
    data: Dict[str, Any] = json.loads(Path("c.json").read_text())
    return data


def test_a_model_and_itself(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = compare("m.onnx", "m.onnx", "m.onnx", *ALL)
    assert data["schema"] == "crnn-comparison/1"
    assert (data["same_text"], data["passed"]) == (True, True)
    assert [side["name"] for side in data["sides"]] == ["m.onnx", "m.onnx (2)", "m.onnx (3)"]
    assert data["sides"][2]["accuracy"] == 4 / 7
    for one in data["comparisons"]:
        assert (one["words_compared"], one["differing"], one["both_wrong"]) == (7, 0, 3)
        assert one["log_probabilities"]["largest"] == 0
        assert one["log_probabilities"]["words"] == 7
    out = capsys.readouterr().out
    assert out.startswith("B: SAME TEXT: 7 of 7 words\nC: SAME TEXT: 7 of 7 words\nA  0.5714")
    assert out.endswith("PASS       --max-differ 0\n")


def test_sides_over_other_words_of_the_same_names_are_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_readings(place / "a.jsonl", {})
    rows = [json.loads(line) for line in (place / "a.jsonl").read_text().splitlines()]
    for row in rows[:3]:
        row["label"] += "s"
    (place / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    noted = compare("a.jsonl", "b.jsonl")["notes"]
    assert "b.jsonl: 3 of 7 words have another label there" in " ".join(noted)
    rows[3]["label"] += "s"
    (place / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["compare", "a.jsonl", "b.jsonl"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "a.jsonl and b.jsonl are over other words: 4 of 7 words have another label" in said


def test_a_result_over_other_words_of_the_same_names_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(place / "there", TEXTS, TEXTS)
    assert main(["evaluate", "m.onnx", "there", "--json", "r.json"]) == 0
    others = [*TEXTS[:-1], "net"]
    write_images(place / "here", others, others)
    compare("m.onnx", "r.json", "--data", "there")
    capsys.readouterr()
    assert main(["compare", "m.onnx", "r.json", "--data", "here"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "over other words than the other sides: it has 1 labels of 3 characters" in said


def test_a_result_has_no_words_in_common_that_it_has_not_seen(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(place / "there", TEXTS, TEXTS)
    assert main(["evaluate", "m.onnx", "there", "--json", "r.json"]) == 0
    write_readings(place / "few.jsonl", {}, count=2)
    capsys.readouterr()
    assert main(["compare", "few.jsonl", "r.json", "--common"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "r.json is over 7 labels, the other sides have 2" in said


def test_the_verdict_comes_first_and_the_words_follow(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_readings(place / "r.jsonl", {1: "mouse", 3: "xx", 6: "q"})
    data = compare("m.onnx", "r.jsonl", *ALL, code=3)
    one = data["comparisons"][0]
    assert (one["differing"], one["regressions"], one["improvements"]) == (3, 1, 1)
    assert (one["both_wrong"], one["difference"]) == (2, 0)
    assert [word["key"] for word in one["words"]] == ["1.png", "3.png", "6.png"]
    assert "log_probabilities" not in one
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "3 of 7 words differ"
    assert "regression  1.png  label:house  A:house  B:mouse" in lines
    assert "improvement  3.png  label:xx  A:bb  B:xx" in lines
    assert "differs  6.png  label:yy  A:cc  B:q" in lines
    assert lines[-1].startswith("FAIL") or "FAIL" in captured.out
    assert "r.jsonl holds texts alone: its log-probabilities are not compared" in captured.err


def test_checks(place: Path) -> None:
    write_readings(place / "r.jsonl", {1: "mouse"})
    assert compare("m.onnx", "r.jsonl", *ALL, code=3)["checks"] == {"max_differ": 0}
    compare("m.onnx", "r.jsonl", *ALL, "--max-differ", "1")
    # A seventh is 0.1429: the texts that differ count no longer.
    assert compare("m.onnx", "r.jsonl", *ALL, "--max-drop", "0.15")["passed"]
    data = compare("m.onnx", "r.jsonl", *ALL, "--max-drop", "0.14", code=3)
    assert "loses 0.1429 of accuracy" in data["failures"][0]
    compare("m.onnx", "r.jsonl", *ALL, "--max-drop", "0.15", "--max-differ", "0", code=3)
    # What a side wins is not a loss.
    compare("r.jsonl", "m.onnx", *ALL, "--max-drop", "0")


def test_outputs_that_are_not_finite_are_no_agreement(place: Path) -> None:
    broken = str(biased_model(place, float("nan")))
    data = compare(broken, broken, *ALL, "--max-drop", "1", code=3)
    assert data["passed"] is False
    assert "not finite for 7 of 7 words" in data["failures"][0]


def test_sides_of_other_words_are_refused_unless_common(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_readings(place / "few.jsonl", {}, 5)
    assert main(["compare", "m.onnx", "few.jsonl", *ALL]) == 1
    err = " ".join(capsys.readouterr().err.split())
    assert "5 stand in all of them" in err
    assert "few.jsonl lacks 2 of the others' words: 6.png, 7.png" in err
    assert "--common" in err
    data = compare("m.onnx", "few.jsonl", *ALL, "--common")
    assert (data["comparisons"][0]["only_in_first"], data["sides"][0]["total"]) == (2, 5)
    assert main(["compare", "few.jsonl", "few.jsonl", "m.onnx", *ALL]) == 1
    assert "few.jsonl (2) lacks 2" in capsys.readouterr().err


def test_readings_in_another_order_and_as_csv(place: Path) -> None:
    rows = [["key", "label", "text", "confidence"]]
    for number, (text, label) in reversed(list(enumerate(zip(TEXTS, LABELS), 1))):
        rows.append([f"{number}.png", label, text, ""])
    with open("r.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert compare("m.onnx", "r.csv", *ALL)["same_text"]
    # Two readings need no data.
    write_readings(place / "r.jsonl", {2: "x"})
    data = compare("r.csv", "r.jsonl", "--max-differ", "1")
    assert [word["key"] for word in data["comparisons"][0]["words"]] == ["2.png"]


def test_a_result_names_its_misses_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "m.onnx", "images", "--json", "r.json"]) == 0
    assert compare("r.json", "m.onnx", *ALL)["same_text"]
    assert "names its misses alone" in capsys.readouterr().err
    content = json.loads(Path("r.json").read_text())
    content["misses"][0]["text"] = "other"
    Path("changed.json").write_text(json.dumps(content))
    assert compare("changed.json", "m.onnx", *ALL, code=3)["comparisons"][0]["differing"] == 1
    write_readings(place / "few.jsonl", {}, 6)
    assert main(["compare", "few.jsonl", "r.json"]) == 1
    assert "of the words that it names are not in the other" in capsys.readouterr().err
    assert main(["compare", "r.json", "r.json"]) == 2


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("crnn-evaluation/9", "A newer kit wrote it"),
        ("crnn-comparison/1", "Sides are models, readings"),
        ("other", "Sides are models, readings"),
    ],
)
def test_what_is_no_side(
    schema: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("r.json").write_text(json.dumps({"schema": schema}))
    assert main(["compare", "m.onnx", "r.json", *ALL]) == 1
    assert said in " ".join(capsys.readouterr().err.split())


def test_sides_that_cannot_be(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "m.onnx", *ALL]) == 2
    assert main(["compare", "m.onnx", "m.onnx"]) == 2
    assert "m.onnx is a model: say which words it is to read" in capsys.readouterr().err
    assert main(["compare", "m.onnx", "nothing.onnx", *ALL]) == 1
    assert "nothing.onnx" in capsys.readouterr().err
    (place / "empty").mkdir()
    assert main(["compare", "m.onnx", "empty", *ALL]) == 1
    assert "empty is an empty folder" in capsys.readouterr().err
    Path("bad.jsonl").write_text('{"key": "a", "text": "b"}\n[]\n')
    assert main(["compare", "bad.jsonl", "bad.jsonl"]) == 1
    assert "bad.jsonl, line 2: not a reading" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "none.jsonl is empty; expected a model"),
        ("\n\n", "none.jsonl is empty: it holds blank lines alone; expected a model"),
        ("tree\n", "none.jsonl: its first line is not a reading; expected an object with key"),
    ],
)
def test_a_file_of_no_readings(
    content: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("none.jsonl").write_text(content)
    assert main(["compare", "m.onnx", "none.jsonl", *ALL]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("side", "said"),
    [
        ("float16: m.onnx", "write float16:m.onnx"),
        ("float16:", "its name follows the colon, as in float16:MODEL.onnx"),
        ("float16: ", "its name follows the colon"),
    ],
)
def test_a_space_after_the_colon(
    side: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "m.onnx", side, *ALL]) == 2
    assert said in capsys.readouterr().err


def test_layers_of_models_without_a_common_width(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, more in (("wide.onnx", ["--widths", "160,200"]), ("one.onnx", [])):
        checkpoint = str(ROOT / "examples" / "crnn_small.pth")
        assert main(["export", checkpoint, name, *more]) == 0
    capsys.readouterr()
    words = [*ALL, "--layers", "2", "--max-differ", "7"]
    assert main(["compare", "wide.onnx", "one.onnx", *words]) == 0
    said = capsys.readouterr().out
    assert "one.onnx: it takes images of width 100, and wide.onnx has none of the words" in said


@pytest.mark.parametrize("data", ["images", "bins"])
def test_raw_outputs(data: str, place: Path) -> None:
    where = ["images"]
    if data == "bins":
        write_bins(place, TEXTS, LABELS)
        where = ["input_bin", "--label", "label.txt"]
    assert main(["evaluate", "m.onnx", *where, "--save-outputs", "raw"]) == 0
    found = compare("m.onnx", "raw", "--data", *where)
    assert found["same_text"]
    assert [side["kind"] for side in found["sides"]] == ["model", "outputs"]
    assert found["comparisons"][0]["log_probabilities"]["largest"] == 0
    assert found["sides"][1]["correct"] == 4
    if data == "bins":
        assert compare("raw", "raw", "--label", "label.txt")["same_text"]


def test_logits_are_compared_as_log_probabilities(place: Path) -> None:
    biased_model(place, *[2.5] * 37)
    one = compare("m.onnx", "biased.onnx", *ALL)["comparisons"][0]
    assert one["log_probabilities"]["largest"] < 1e-6
    # In most steps the blank is 1/255 above the classes that have no row, else 1 below a character.
    biased_model(place, 0.5)
    one = compare("m.onnx", "biased.onnx", *ALL)["comparisons"][0]["log_probabilities"]
    assert 0.4 < one["largest"] < 0.5
    assert one["narrowest"] == pytest.approx(1 / 255, abs=1e-6)
    assert one["margin_largest"] == pytest.approx(0.5 - 2 / 255, abs=1e-6)


def test_margins_stand_beside_each_word_that_differs(place: Path) -> None:
    biased_model(place, 0, 1.25)
    one = compare("m.onnx", "biased.onnx", *ALL, code=3)["comparisons"][0]
    assert one["differing"] == 7
    first, second = one["words"][0]["margins"]
    assert first == pytest.approx(1 / 255, abs=1e-6)
    assert second == pytest.approx(0.25 - 1 / 255, abs=1e-6)


def test_other_alphabets_and_pictures_are_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other_model(place, characters=SPEC.characters[:-2] + "AB", fold_case=False)
    data = compare("m.onnx", "other.onnx", *ALL, "--max-differ", "9")
    assert any("characters of the first alone: 'yz'" in line for line in data["inputs"])
    assert any("characters of the second alone: 'AB'" in line for line in data["inputs"])
    assert any("one folds labels" in line for line in data["inputs"])
    assert data["comparisons"][0]["log_probabilities"]["classes"] == 35
    other_model(place, characters=SPEC.characters[::-1])
    data = compare("m.onnx", "other.onnx", *ALL, "--max-differ", "9")
    assert any("the same characters in other classes" in line for line in data["inputs"])
    assert data["comparisons"][0]["differing"] == 7
    other_model(place, resizer="pil-bilinear", mean=0.25)
    data = compare("m.onnx", "other.onnx", *ALL, "--max-differ", "9")
    assert "resizer pil-bicubic and pil-bilinear" in data["inputs"][0]
    assert "mean 0.5 and 0.25" in data["inputs"][0]
    assert "they prepare an image differently" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("batch", ["1", "3", "16"])
def test_models_of_other_pictures_share_one_reading(batch: str, place: Path) -> None:
    words = few_words(place / "words", 20)
    other_model(place, resizer="cv2-linear", input_dtype="float32")
    (place / "other.onnx").rename("linear.onnx")
    other_model(place, input_dtype="uint8", std=0.25)
    data = compare(
        *("m.onnx", "linear.onnx", "other.onnx", "m.onnx"),
        *("--data", str(words), "--batch", batch, "--max-differ", "99"),
    )
    for name, side in zip(("m", "linear", "other", "m"), data["sides"]):
        assert main(["evaluate", f"{name}.onnx", str(words), "--json", "one.json"]) == 0
        alone = json.loads(Path("one.json").read_text())
        assert (side["correct"], side["total"]) == (alone["correct"], alone["total"])
        assert side["skipped"] == alone["skipped"]
    assert data["comparisons"][2]["differing"] == 0


def test_labels_that_steer_a_terminal(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = ["\x1b[2J<script>", "\u202eabc", "x" * 10_000, "a\nb"]
    lines = []
    for number, label in enumerate(hostile, 1):
        lines.append(json.dumps({"key": f"k{number}{label}", "label": label, "text": label}))
    Path("a.jsonl").write_text("\n".join(lines) + "\n")
    Path("b.jsonl").write_text("\n".join(lines).replace('"text": "', '"text": "!') + "\n")
    data = compare("a.jsonl", "b.jsonl", code=3)
    found: List[str] = [word["label"] for word in data["comparisons"][0]["words"]]
    assert sorted(found) == sorted(hostile)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "x" * 101 not in out.replace("\n", "").replace(" ", "")


def test_a_key_that_stands_twice(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = '{"key": "a", "label": "b", "text": "b"}\n'
    Path("a.jsonl").write_text(line + line)
    Path("b.jsonl").write_text(line + line)
    assert compare("a.jsonl", "b.jsonl")["comparisons"][0]["words_compared"] == 2
    Path("b.jsonl").write_text('{"key": "c", "text": "b"}\n{"key": "d", "text": "b"}\n')
    assert main(["compare", "a.jsonl", "b.jsonl", "--common"]) == 1
    assert "a.jsonl: the key 'a' stands twice" in capsys.readouterr().err


@pytest.mark.parametrize("common", [[], ["--common"]])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_key_that_stands_twice_in_one_side(
    place: Path, capsys: pytest.CaptureFixture[str], common: List[str], name: str
) -> None:
    for side, keys in ((name, "aba"), ("b.jsonl", "ab")):
        lines = [f'{{"key": "{key}", "label": "b", "text": "b"}}\n' for key in keys]
        if side.endswith(".csv"):
            lines = ["key,label,text,confidence\n", *(f"{key},b,b,\n" for key in keys)]
        Path(side).write_text("".join(lines))
    assert main(["compare", name, "b.jsonl", *common]) == 1
    assert f"{name}: the key 'a' stands twice" in capsys.readouterr().err


def test_a_report_shows_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_readings(place / "r.jsonl", {1: "mouse", 3: "xx"})
    biased_model(place, 0.5)
    compare("m.onnx", "r.jsonl", "biased.onnx", *ALL, code=3)
    assert main(["report", "c.json", "--data", "images", "-o", "c.html"]) == 0
    html = Path("c.html").read_text(encoding="utf-8")
    assert "r.jsonl" in html
    assert "2 of 7 words were read differently" in html or "2 of 7" in html
    assert "SAME TEXT: 7 of 7 words" in html
    assert "Log-probabilities differ by at most 0.4" in html
    assert html.count("data:image/webp") == 2
    content = json.loads(Path("c.json").read_text())
    for key, value in (("sides", [{}]), ("comparisons", [{"total": 1}]), ("sides", 3)):
        Path("bad.json").write_text(json.dumps({**content, key: value}))
        assert main(["report", "bad.json", "-o", "c.html"]) == 1
        assert "not a comparison as crnn compare writes it" in capsys.readouterr().err
    Path("new.json").write_text(json.dumps({**content, "schema": "crnn-comparison/2"}))
    assert main(["report", "new.json", "-o", "c.html"]) == 1
    assert "A newer kit wrote it" in capsys.readouterr().err


def write_batch_model(path: Path, least: int) -> Path:
    """Write the echo model, with a bias on the first class after the blank in each batch of at
    least so many images.
    """
    proto = onnx.load(str(path.parent / "m.onnx"))
    values = np.zeros(37, dtype=np.float32)
    values[1] = 1.25
    proto.graph.node[-1].output[0] = "plain"
    make = onnx.helper.make_node
    proto.graph.node.extend(
        [
            make("Shape", ["plain"], ["shape"]),
            make("Gather", ["shape", "one"], ["count"]),
            make("Less", ["count", "least"], ["small"]),
            make("Not", ["small"], ["large"]),
            make("Cast", ["large"], ["factor"], to=onnx.TensorProto.FLOAT),
            make("Mul", ["bias", "factor"], ["added"]),
            make("Add", ["plain", "added"], ["output1"]),
        ]
    )
    for name, value in (("bias", values), ("one", np.array(1)), ("least", np.array(least))):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    onnx.save(proto, str(path))
    return path


def test_the_text_is_the_same_whatever_the_batch_and_the_threads(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = compare("m.onnx", *ALL, "--batches", "1,2,3,tail,6", "--threads", "1,2")
    tried = [(run["batch"], run["threads"]) for run in data["sweep"]]
    assert tried == [(1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (6, 1), (6, 2)]
    assert {run["words_compared"] for run in data["sweep"]} == {7}
    assert data["same_text"]
    out = capsys.readouterr().out
    assert out.startswith("SAME TEXT in 7 runs with other batches, devices or threads\nA  0.5714")


def test_a_model_whose_text_hangs_on_the_batch(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_batch_model(place / "batch.onnx", 3)
    data = compare("m.onnx", "batch.onnx", *ALL, "--batches", "1,2,3", code=3)
    assert data["comparisons"][0]["differing"] == 0
    assert not data["same_text"]
    # Of seven words in batches of three the last is alone.
    found = [(run["side"], run["batch"], run["differing"]) for run in data["sweep"]]
    assert found == [
        *(("m.onnx", 2, 0), ("m.onnx", 3, 0)),
        *(("batch.onnx", 2, 0), ("batch.onnx", 3, 6)),
    ]
    out = " ".join(capsys.readouterr().out.split())
    assert "ANOTHER TEXT in 1 of 4 runs" in out
    assert "B reads the same on cpu, threads" in out
    assert ", batch 3: 6 of 7 words differ" in out
    assert "at first:house now:h0o0u0s0e0" in out


def test_a_device_is_taken_by_those_that_can(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert takes_device("m.onnx", "cpu")
    assert takes_device("m.onnx", "cuda:1")
    assert not takes_device("m.onnx", "0,1")
    assert not takes_device("float16:m.onnx", "cpu")
    Path("x.om").write_bytes(OM_MAGIC)
    assert takes_device("x.om", "0,1")
    assert takes_device("x.om", "npu:1")
    assert not takes_device("x.om", "cpu")
    assert main(["compare", "m.onnx", "m.onnx", *ALL, "--device", "0"]) == 2
    assert "no model here runs on it" in capsys.readouterr().err


@pytest.mark.parametrize("option, value", [("--devices", "7"), ("--threads", "1,1")])
def test_a_sweep_without_a_run_says_nothing_good(
    place: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert main(["compare", "m.onnx", *ALL, option, value]) == 2
    assert "PASS" not in capsys.readouterr().out


def test_a_sweep_needs_a_model(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_readings(place / "r.jsonl", {})
    assert main(["compare", "r.jsonl", "r.jsonl", "--batches", "1,2"]) == 2
    assert "need a model among the sides" in capsys.readouterr().err
    assert main(["compare", "m.onnx", *ALL, "--batches", "1,two"]) == 2
    assert main(["compare", "m.onnx", *ALL, "--devices", "cuda:7"]) == 4


def test_the_folder_of_a_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "m.onnx", "images", "--batch", "2", "--run", "run"]) == 0
    data = compare("m.onnx", "run", *ALL)
    assert data["same_text"]
    assert [side["kind"] for side in data["sides"]] == ["model", "run"]
    assert data["sides"][1]["correct"] == 4
    assert "run keeps texts alone" in capsys.readouterr().err
    write_readings(place / "r.jsonl", {4: "fool"})
    one = compare("run", "r.jsonl", code=3)["comparisons"][0]
    assert [word["key"] for word in one["words"]] == ["4.png"]
    shard = next((place / "run" / "shards").glob("*.jsonl"))
    whole = shard.read_bytes()
    lines = whole.splitlines(keepends=True)
    shard.write_bytes(b"".join([*lines[:1], b'{"key": 3}\n', *lines[2:]]))
    assert main(["compare", "run", "r.jsonl"]) == 1
    assert "not a reading" in capsys.readouterr().err
    shard.unlink()
    assert main(["compare", "run", "r.jsonl"]) == 1
    assert "run is not complete: 1 of its 1 shards are missing" in capsys.readouterr().err
