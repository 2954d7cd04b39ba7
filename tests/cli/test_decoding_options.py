"""``--lexicon``, ``--allow``, ``--pattern`` and ``--alternatives`` at the command line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from crnn.cli.main import main
from crnn.recognizer import Recognizer
from crnn.samples.lmdb_writer import LmdbWriter
from crnn.spec import ModelSpec
from tests.models import echo_pixels, write_bins, write_echo_model, write_images

TEXTS = ["good", "bad", "food"]
LISTS = [["Gold", "fan"], ["bed", "mat"], ["Foot", "god", "fond"]]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    # The echo model is not sure of anything; a low temperature makes it so.
    spec = dataclasses.replace(ModelSpec.default(), temperature=0.01)
    return write_echo_model(tmp_path / "m.onnx", spec=spec)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("Gold\nbed\nfoot\ncafé\n", encoding="utf-8")
    return path


def write_lmdb(path: Path, lists: bool = True) -> Path:
    from PIL import Image

    writer = LmdbWriter(path)
    for text, own in zip(TEXTS, LISTS):
        picture = path.parent / "word.png"
        Image.fromarray(echo_pixels(text)[0]).save(picture)
        both = [own, [*own, text]] if lists else []
        writer.add(picture.read_bytes(), text, both)
    if lists:
        writer.set_lexicon(["hood", "bad"])
    writer.finish()
    writer.close()
    return path


def readings(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def evaluated(tmp_path: Path, *command: object) -> Dict[str, Any]:
    """Evaluate, and return the texts with what the result says restricted them."""
    result, lines = tmp_path / "r.json", tmp_path / "r.jsonl"
    written = ["--json", str(result), "--readings", str(lines)]
    assert main([str(word) for word in command] + written) == 0
    data = json.loads(result.read_text(encoding="utf-8"))
    found = readings(lines)
    return {"texts": [entry["text"] for entry in found], "lines": found, **data}


def test_a_file_restricts_what_is_read_and_the_result_says_so(
    tmp_path: Path, model: Path, words: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bins = write_bins(tmp_path, TEXTS)
    label = ("--label", tmp_path / "label.txt")
    plain = evaluated(tmp_path, "evaluate", model, bins, *label)
    assert plain["texts"] == TEXTS
    assert "decoding" not in plain
    assert set(plain["lines"][0]) == {"key", "label", "text", "confidence"}
    capsys.readouterr()
    found = evaluated(tmp_path, "evaluate", model, bins, *label, "--lexicon", words)
    assert found["texts"] == ["gold", "bed", "foot"]
    assert found["decoding"] == {
        "lexicon": "words.txt",
        "words": 3,
        "left_out": 1,
        "method": "exact",
    }
    assert found["lines"][0]["confidence"] == plain["lines"][0]["confidence"]
    assert 0 < found["lines"][0]["probability"] < found["lines"][0]["posterior"] <= 1
    shown = capsys.readouterr()
    assert "lexicon    words.txt  (3 words, 1 left out; exact)" in shown.out
    assert "1 words with characters outside the alphabet are left out (such as 'café')" in shown.err


def test_a_csv_has_columns_for_probability_and_posterior(
    tmp_path: Path, model: Path, words: Path
) -> None:
    bins, table = write_bins(tmp_path, TEXTS), tmp_path / "r.csv"
    command = ["evaluate", str(model), str(bins), "--label", str(tmp_path / "label.txt")]
    assert main([*command, "--readings", str(table), "--lexicon", str(words)]) == 0
    head, first = table.read_text(encoding="utf-8").splitlines()[:2]
    assert head == "key,label,text,confidence,probability,posterior"
    assert first.startswith("test_1,good,gold,") and first.count(",") == 5


def test_pattern_allow_list_and_alternatives(tmp_path: Path, model: Path) -> None:
    bins = write_bins(tmp_path, ["a1b2", "77ab"])
    base = ("evaluate", model, bins, "--label", tmp_path / "label.txt")
    digits = evaluated(tmp_path, *base, "--allow", "0-9")
    assert all(text.isdigit() for text in digits["texts"])
    assert digits["decoding"] == {"allow": "0123456789"}
    plates = evaluated(tmp_path, *base, "--pattern", "[A-Z][0-9][A-Z][0-9]")
    assert plates["texts"][0] == "a1b2"
    assert plates["texts"][1][::2].isalpha()
    assert plates["decoding"] == {"pattern": "[A-Z][0-9][A-Z][0-9]", "beam": 10}
    named = evaluated(tmp_path, *base, "--alternatives", "3")
    assert named["texts"] == ["a1b2", "77ab"]
    assert "decoding" not in named
    first = named["lines"][0]["alternatives"]
    assert first[0]["text"] == "a1b2" and len(first) == 3
    assert first[0]["probability"] > first[1]["probability"] >= first[2]["probability"]


def test_an_lmdb_keeps_lexicons_for_its_samples(tmp_path: Path, model: Path) -> None:
    data = write_lmdb(tmp_path / "lmdb")
    first = evaluated(tmp_path, "evaluate", model, data, "--lexicon", "per-sample")
    assert first["texts"] == ["gold", "bed", "foot"]
    second = evaluated(tmp_path, "evaluate", model, data, "--lexicon", "per-sample:2")
    assert second["texts"] == TEXTS
    whole = evaluated(tmp_path, "evaluate", model, data, "--lexicon", "full")
    assert whole["texts"] == ["hood", "bad", "hood"]


def test_lexicons_are_columns_of_a_table(
    tmp_path: Path, model: Path, words: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = [str(write_lmdb(tmp_path / "one")), str(write_lmdb(tmp_path / "two", lists=False))]
    columns = ["--lexicon", "none", "--lexicon", "per-sample:2", "--lexicon", str(words)]
    assert main(["evaluate", str(model), *data, *columns, "--json", str(tmp_path / "t.json")]) == 0
    shown = capsys.readouterr()
    assert "two keeps 0 lists of words for its sample test_1" in shown.err
    table = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    cells = table["models"][0]["results"]
    assert [cell["data"].rpartition(", ")[2] for cell in cells] == [
        "lexicon none",
        "lexicon per-sample:2",
        f"lexicon {words}",
    ] * 2
    assert [cell["result"]["correct"] for cell in cells if "result" in cell] == [3, 3, 0, 3, 0]
    assert "error" in cells[4]
    few = ["evaluate", str(model), data[1], *columns[:4], "--lexicons", data[0]]
    assert main([*few, "--json", str(tmp_path / "t.json")]) == 0
    table = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    cells = table["models"][0]["results"]
    assert [cell["result"]["correct"] for cell in cells] == [3, 3]
    assert main(["evaluate", str(model), data[0], "--lexicons", data[0]]) == 2
    # Of one data set, a lexicon that it lacks is an error as any.
    assert main(["evaluate", str(model), data[1], "--lexicon", "per-sample"]) == 1


def test_score_takes_a_lexicon_too(tmp_path: Path, model: Path, words: Path) -> None:
    bins, outputs = write_bins(tmp_path, TEXTS), tmp_path / "outputs"
    label = ("--label", tmp_path / "label.txt")
    plain = ["evaluate", model, bins, *label, "--save-outputs", outputs]
    assert main([str(word) for word in plain]) == 0
    sure = ("--spec", '{"temperature": 0.01}')
    found = evaluated(tmp_path, "score", outputs, *label, "--lexicon", words, *sure)
    assert found["texts"] == ["gold", "bed", "foot"]
    kept = ("score", outputs, *label, *sure, "--lexicon")
    lists = ("--lexicons", write_lmdb(tmp_path / "lmdb"))
    assert evaluated(tmp_path, *kept, "per-sample", *lists)["texts"] == ["gold", "bed", "foot"]
    assert evaluated(tmp_path, *kept, "full", *lists)["texts"] == ["hood", "bad", "hood"]
    # As crnn dataset extract names words; the second list is the larger one.
    lines = "".join(f"word_{n:09d}\t{' '.join(own)}\tgood\n" for n, own in enumerate(LISTS, 1))
    (tmp_path / "lexicons.txt").write_text(lines)
    lists = ("--lexicons", tmp_path / "lexicons.txt")
    assert evaluated(tmp_path, *kept, "per-sample", *lists)["texts"] == ["gold", "bed", "foot"]
    assert evaluated(tmp_path, *kept, "per-sample:2", *lists)["texts"] == ["good"] * 3
    for lexicon, code in (("per-sample:3", 1), ("full", 1), (words, 2)):
        assert main([str(word) for word in (*kept, lexicon, *lists)]) == code
    (tmp_path / "lexicons.txt").write_text("gold bed\n")
    assert main([str(word) for word in (*kept, "per-sample", *lists)]) == 1
    refused = ["score", str(outputs), "--label", str(label[1]), "--lexicon", "per-sample"]
    assert main(refused) == 2


def test_read_and_the_class_take_them(
    tmp_path: Path, model: Path, words: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = sorted(write_images(tmp_path / "images", TEXTS).glob("*.png"))
    command = ["read", str(model), *map(str, images), "--json", "-"]
    assert main([*command, "--lexicon", str(words), "--alternatives", "2"]) == 0
    found = json.loads(capsys.readouterr().out)["readings"]
    assert [entry["text"] for entry in found] == ["gold", "bed", "foot"]
    assert len(found[0]["alternatives"]) == 2
    with Recognizer(model, lexicon=["gold", "bed"]) as recognizer:
        assert [reading.text for reading in recognizer.read(images)] == ["gold", "bed", "gold"]
    with Recognizer(model, pattern="b.d", alternatives=2) as recognizer:
        reading = recognizer.read(images[1])
        assert (reading.text, reading.alternatives[0].text) == ("bad", "bad")
    with Recognizer(model, lexicon=words) as recognizer:
        assert any("café" in note for note in recognizer.notes)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--lexicon", "nowhere.txt"], 1, "nowhere.txt does not exist; expected a lexicon"),
        (["--allow", "é"], 1, "the model can read none of"),
        (["--allow", "0-9", "--pattern", "a"], 2, "contradict each other"),
        (["--pattern", "(?=a)"], 1, "is not supported"),
        (["--pattern", "(a|b)*a(a|b){20}"], 1, "the pattern is too large"),
        (["--lexicon-method", "paper"], 2, "--lexicon-method goes with --lexicon"),
        (["--beam", "0"], 2, "--beam"),
        (["--beam", "20"], 2, "--beam goes with --lexicon, --pattern or --alternatives"),
        (["--max-differ", "3"], 2, "--max-differ goes with --against"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], options, code, said
) -> None:
    bins = write_bins(tmp_path, TEXTS)
    result = tmp_path / "r.json"
    command = ["evaluate", str(model), str(bins), "--label", str(tmp_path / "label.txt")]
    try:
        ended = main([*command, "--json", str(result), *options])
    except SystemExit as exited:
        ended = exited.code
    assert ended == code
    assert said in capsys.readouterr().err
    assert not result.exists()


def test_a_lexicon_has_no_say_in_what_is_not_a_number(tmp_path: Path, words: Path) -> None:
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    logits = np.zeros((26, 1, 37), dtype="<f4")
    logits[0, 0, 0] = np.nan
    (outputs / "test_1_0.bin").write_bytes(logits.tobytes())
    (tmp_path / "label.txt").write_text("test_1.bin:gold\n")
    command = ("score", outputs, "--label", tmp_path / "label.txt", "--lexicon", words)
    found = evaluated(tmp_path, *command)
    assert found["texts"] == [""]
    assert found["skipped"] == {"output not finite": 1}
