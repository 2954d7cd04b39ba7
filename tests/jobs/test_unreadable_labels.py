"""Labels that a model cannot read, and images without one: counted and named by every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import lmdb
import pytest
from PIL import Image

from crnn.batch import LabelCheck
from crnn.cli.main import main
from crnn.simulator import Knobs
from crnn.spec import ModelSpec
from tests.ascend.machine import machine
from tests.foreign import few_words_lmdb
from tests.models import SPEC, echo_pixels, write_bins, write_echo_model, write_images
from tests.simulator.programs import compile_model

KINDS: Dict[str, Tuple[List[str], str]] = {
    # id: (what becomes of a word, what is said of the first)
    "str of bytes": (["b'good'"], 'test_1: "b\'good\'" has "\'"'),
    "a list of CRLF": (["good\r"], r"test_1: 'good\r' has '\r'"),
    "a space at the end": (["good "], "test_1: 'good ' has ' '"),
    "a space that is not one": (["\u3000good"], r"test_1: '\u3000good' has '\u3000'"),
    "Chinese": (["好词"], "test_1: '好词' has '好词'"),
    "a NUL": (["good\0"], r"test_1: 'good\x00' has '\x00'"),
    "accents": (["goöd"], "test_1: 'goöd' has 'ö'"),
    "punctuation": (["go-od!"], "test_1: 'go-od!' has '-!'"),
}
OUTSIDE = "label outside the alphabet"


def write(path: Path, labels: List[Optional[str]], word: str = "good") -> Path:
    file = path.parent / "word.png"
    Image.fromarray(echo_pixels(word)[0]).save(file)
    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(
        write=True
    ) as transaction:
        transaction.put(b"num-samples", str(len(labels)).encode())
        for index, label in enumerate(labels, 1):
            transaction.put(b"image-%09d" % index, file.read_bytes())
            if label is not None:
                transaction.put(b"label-%09d" % index, label.encode())
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_evaluate_and_bench_count_and_name_them(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (bad,), said = KINDS[kind]
    words = write(tmp_path / "lmdb", [bad, bad, None, "good"])
    model = write_echo_model(tmp_path / "m.onnx")
    result = tmp_path / "r.json"
    assert main(["evaluate", str(model), str(words), "--json", str(result)]) == 0
    err = capsys.readouterr().err
    assert f"{OUTSIDE}: 2\n" in err
    assert said in err
    assert "no label: 1\n  test_3" in err
    assert json.loads(result.read_text())["skipped"] == {OUTSIDE: 2, "no label": 1}
    # Where more is asked of each row, rows are counted one by one.
    more = ["--probability", "--json", str(result)]
    assert main(["evaluate", str(model), str(words), *more]) == 0
    assert said in capsys.readouterr().err
    assert json.loads(result.read_text())["skipped"] == {OUTSIDE: 2, "no label": 1}
    assert main(["evaluate", str(model), str(words), "--strict"]) == 3
    capsys.readouterr()
    assert main(["bench", str(model), "--data", str(words), "--loop", "1", "--batch", "1"]) == 0
    err = capsys.readouterr().err
    assert f"{OUTSIDE}: 2\n" in err
    assert said in err
    assert "no label: 1\n" in err


def test_bins_and_their_labels_are_looked_at_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_echo_model(tmp_path / "m.onnx")
    bins = write_bins(tmp_path, ["good", "lamp"], ["good", "lamp "])
    label = ["--label", str(tmp_path / "label.txt")]
    assert main(["evaluate", str(model), str(bins), *label]) == 0
    assert f"{OUTSIDE}: 1\n  test_2: 'lamp ' has ' '" in capsys.readouterr().err
    assert main(["bench", str(model), "--data", str(bins), *label, "--batch", "1"]) == 0
    assert f"{OUTSIDE}: 1\n" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["str of bytes", "a list of CRLF", "Chinese"])
def test_train_counts_and_names_them_in_both_sets(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (bad,), _ = KINDS[kind]
    words = write(tmp_path / "lmdb", [bad, "good", "good", "good", None])
    recipe = ["train", "synthetic", f"train={words}", f"valid={words}", "length=1 steps"]
    recipe += ["batch_size=2", "hidden=4", "channels=[4,4,4,4,4,4,4]", "workers=0"]
    assert main([*recipe, "--out", str(tmp_path / "run")]) == 0
    err = capsys.readouterr().err
    assert f"left out: 1 {OUTSIDE}, 1 no label" in err
    assert f"{OUTSIDE}: test_1 {bad!r}" in err
    assert "no label: test_5" in err
    assert f"{OUTSIDE}: 1" in err
    assert "no label: 1" in err


@pytest.mark.parametrize("kind", ["str of bytes", "a space at the end", "Chinese"])
def test_quantize_counts_and_names_them(
    shipped: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (bad,), _ = KINDS[kind]
    few_words_lmdb(tmp_path / "words", 60)
    with lmdb.open(str(tmp_path / "words"), lock=False) as environment, environment.begin(
        write=True
    ) as transaction:
        transaction.put(b"label-000000007", bad.encode())
        transaction.delete(b"label-000000050")
    command = ["quantize", str(shipped), str(tmp_path / "q.onnx"), "--json", "-", "--count", "20"]
    assert main([*command, "--calibrate", str(tmp_path / "words")]) == 0
    captured = capsys.readouterr()
    assert f"{OUTSIDE}: 1\n  test_7: " in captured.err
    assert "no label: 1\n  test_50" in captured.err
    written = captured.out[captured.out.index("{\n") :]
    assert json.loads(written)["skipped"] == {OUTSIDE: 1, "no label": 1}


@pytest.mark.parametrize("word", ["a" * 14, "aa" * 7, "abcdefghijklmnopqrstuvwxyz0", "a" * 26])
def test_a_label_longer_than_ctc_can_spell_is_named(word: str) -> None:
    problem = LabelCheck(SPEC).problem(word)
    assert problem is not None
    assert problem.reason == "label too long"
    assert "the model has 26" in problem.detail


@pytest.mark.parametrize("word", ["", "a" * 13, "ab" * 13, "ABC", "İ"[:0]])
def test_what_a_model_can_read_has_no_problem(word: str) -> None:
    assert LabelCheck(SPEC).problem(word) is None


def test_the_alphabet_of_the_model_decides() -> None:
    assert LabelCheck(ModelSpec(characters="好词 ", fold_case=False)).problem("好 词") is None


@pytest.mark.parametrize("wrong", [4, 20])
def test_below_five_percent_a_line_says_what_is_usually_wrong(
    tmp_path: Path, wrong: int, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_echo_model(tmp_path / "m.onnx")
    words = write(tmp_path / "lmdb", ["lamp"] * wrong)
    assert main(["evaluate", str(model), str(words)]) == 0
    said = capsys.readouterr().err
    assert said.count("hardly a word is right") == 1
    for cause in ("alphabet", "--lstm-gate-order igfo", "--spec", "labels"):
        assert cause in said
    words = write(tmp_path / "better", ["good"] + ["lamp"] * 19)
    assert main(["evaluate", str(model), str(words)]) == 0
    assert "hardly a word is right" not in capsys.readouterr().err


def test_where_a_pattern_was_given_it_is_named_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_echo_model(tmp_path / "m.onnx")
    words = write(tmp_path / "lmdb", ["good"] * 4)
    assert main(["evaluate", str(model), str(words), "--pattern", "[0-9]{4}"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "hardly a word is right (0 of 4): do the labels fit --pattern [0-9]{4}?" in said
    assert "LSTM" not in said


def test_a_simulator_that_computes_nothing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    knobs = Knobs(timing_only=True)
    onnx = write_echo_model(tmp_path / "m.onnx")
    om = compile_model(onnx, tmp_path / "m", knobs, "--input_shape=actual_input_1:4,1,32,100")
    words = write(tmp_path / "lmdb", ["good"] * 4)
    with machine(knobs):
        assert main(["evaluate", str(om), str(words), "--batch", "4"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "every word is read alike, as with --timing-only" in said
    assert "LSTM" not in said


def test_what_was_never_seen_accuses_neither_alphabet_nor_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_echo_model(tmp_path / "m.onnx")
    words = write(tmp_path / "lmdb", ["good"] + ["lamp"] * 3)
    write_images(tmp_path / "images", ["good"])
    (tmp_path / "lost.txt").write_text("".join(f"{number}.png good\n" for number in range(40)))
    label = ["--label", str(tmp_path / "lost.txt")]
    assert main(["evaluate", str(model), str(tmp_path / "images"), *label]) == 0
    said = capsys.readouterr().err
    assert "missing image: 39" in said
    assert "hardly a word is right" not in said
    assert main(["evaluate", str(model), str(words)]) == 0
    assert "hardly" not in capsys.readouterr().err


def test_a_miss_shows_what_cannot_be_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_echo_model(tmp_path / "m.onnx")
    words = write(tmp_path / "lmdb", ["good\r", "good "])
    assert main(["evaluate", str(model), str(words), "--show-misses", "2"]) == 0
    out = capsys.readouterr().out
    assert "label:'good\\r'  pred:good" in out
    assert "label:'good '  pred:good" in out
