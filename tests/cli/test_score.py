"""``crnn score``, and what ``--format``, ``--protocol`` and ``--spec`` add to ``crnn evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List, Optional

import numpy as np
import pytest
from PIL import Image

from crnn.cli.main import main
from crnn.presets import SPECS
from crnn.simulator import Knobs
from tests import models
from tests.ascend.machine import clean, machine
from tests.simulator.programs import compile_model

TEXTS = ["house", "a1", "no", "it"]
LABELS = ["House", "a1", "on", "it's"]


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    monkeypatch.chdir(tmp_path)
    models.write_bins(tmp_path, TEXTS, LABELS)
    models.write_echo_model(tmp_path / "echo.onnx")
    models.write_echo_model(tmp_path / "bare.onnx", spec=None)
    assert main([*EVALUATE, "--save-outputs", "out", "--readings", "r.jsonl"]) == 0
    capsys.readouterr()
    return tmp_path


EVALUATE = ["evaluate", "echo.onnx", "input_bin", "--label", "label.txt"]
SCORE = ["score", "out", "--label", "label.txt"]
STARS = "*" * 50
PAIRS = ["house  ::  house", "a1  ::  a1", "no  ::  on", "it  ::  it's"]

FORMATS = [
    (
        "modelzoo",
        [
            '{"title": "Overall statistical evaluation", "value": [{"key": "Number of images",'
            ' "value": "4"}, {"key": "Number of classes", "value": "37"}, {"key": "Top1 accuracy",'
            ' "value": "50.00%"}]}'
        ],
    ),
    (
        "postpossess",
        [
            *("label:on  pred:no", "label:it's  pred:it", STARS),
            *("rightNum: 2", "totalNum: 4", "accuracy_rate 50.00", STARS),
        ],
    ),
    (
        "mindspore-eval",
        [*PAIRS, "correct num:  2 , total num:  4", "result: {'CRNNAccuracy': 0.5}"],
    ),
    ("mindspore-onnx", ["correct num:  2 , total num:  4", "result: 0.5"]),
    (
        "mindspore-310",
        [*PAIRS, "correct num:  2 , total num:  4", "result CRNNAccuracy is:  0.5"],
    ),
    ("sdk", [f"image-{index:09d} {text}" for index, text in enumerate(TEXTS, 1)]),
]


@pytest.mark.parametrize(("name", "lines"), FORMATS)
@pytest.mark.parametrize("verb", [EVALUATE, SCORE])
def test_formats(
    place: Path, capsys: pytest.CaptureFixture[str], verb: List[str], name: str, lines: List[str]
) -> None:
    assert main([*verb, "--format", name]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == lines
    assert "accuracy   0.5000  (2 of 4 words" in err


def test_score_says_and_writes_what_evaluate_does(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SCORE, "--json", "-", "--against", "r.jsonl", "--readings", "s.jsonl"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == "crnn-evaluation/2"
    assert (data["correct"], data["total"], data["backend"]) == (2, 4, "files")
    assert (place / "s.jsonl").read_bytes() == (place / "r.jsonl").read_bytes()
    assert main([*SCORE, "--min-accuracy", "0.6"]) == 3
    (place / "out" / "test_1_0.bin").unlink()
    assert main([*SCORE, "--strict"]) == 3
    assert "missing result: 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            [*SCORE, "--format", "x"],
            2,
            "there is no format 'x'; expected one of modelzoo, postpossess",
        ),
        ([*SCORE, "--format", "sdk", "--json", "-"], 2, "both want stdout"),
        (
            [*SCORE, "--spec", "nothing"],
            1,
            "no file nothing, and no preset of that name; presets are modelzoo",
        ),
        (["score", "out"], 2, "required: --label"),
        ([*EVALUATE, "--protocol", "x"], 2, "there is no protocol 'x'"),
        (
            [*EVALUATE, "--protocol", "tensorflow"],
            2,
            "the bins in input_bin are normalised already",
        ),
        ([*EVALUATE, "--spec", "mindspore-v2"], 1, "expected 38400|expects .*3, 32, 100"),
    ],
)
def test_refusals(
    place: Path, capsys: pytest.CaptureFixture[str], words: List[str], code: int, message: str
) -> None:
    import re

    assert main(words) == code
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("options", "name", "oov", "correct", "total"),
    [
        ([], None, "keep", 2, 4),
        (["--oov", "drop"], None, "drop", 2, 3),
        (["--protocol", "mindspore-iiit5k"], "mindspore-iiit5k", "strip", 2, 4),
        (["--protocol", "mindspore-ic"], "mindspore-ic", "drop", 1, 1),
    ],
)
def test_protocols_on_bins(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    options: List[str],
    name: Optional[str],
    oov: str,
    correct: int,
    total: int,
) -> None:
    assert main([*EVALUATE, *options, "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["correct"], data["total"]) == (correct, total)
    assert (data["protocol"]["name"], data["protocol"]["oov"]) == (name, oov)


def test_a_model_without_spec_is_read_by_the_one_given(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = place / "spec.json"
    reverse = SPECS["modelzoo"].characters[::-1]
    spec.write_text(SPECS["modelzoo"].to_json().replace(SPECS["modelzoo"].characters, reverse))
    words = ["evaluate", "bare.onnx", "input_bin", "--label", "label.txt", "--json", "-"]
    assert main([*words, "--spec", "spec.json"]) == 0
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert data["model"]["spec_from"] == "given"
    assert data["model"]["spec"]["alphabet"] == reverse
    assert "carries no spec" not in err
    assert data["correct"] == 0


def test_whatever_a_simulated_run_leaves_says_so(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    knobs = Knobs()
    om = compile_model(
        place / "echo.onnx",
        place / "echo",
        knobs,
        "--input_format=NCHW",
        "--input_shape=actual_input_1:1,1,32,100",
    )
    with machine(knobs) as findings:
        words = ["evaluate", str(om), "input_bin", "--label", "label.txt"]
        assert (
            main(
                [
                    *words,
                    "--readings",
                    "sim.jsonl",
                    "--json",
                    "sim.json",
                    "--save-outputs",
                    "sim_out",
                ]
            )
            == 0
        )
        Image.new("L", (100, 32)).save("word.png")
        capsys.readouterr()
        assert main(["read", str(om), "word.png"]) == 0
    clean(findings)
    assert capsys.readouterr().err.startswith("SIMULATED  no chip ran this")
    lines = (place / "sim.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["simulated"] for line in lines)
    assert all(
        "simulated" not in line
        for line in (place / "r.jsonl").read_text(encoding="utf-8").splitlines()
    )

    assert main(["score", "sim_out", "--label", "label.txt", "--json", "scored.json"]) == 0
    assert capsys.readouterr().out.startswith("SIMULATED  no chip ran this")
    assert json.loads((place / "scored.json").read_text(encoding="utf-8"))["simulated"] is True

    for earlier in ("sim.json", "sim.jsonl"):
        assert main([*EVALUATE, "--against", earlier]) == 0
        out = capsys.readouterr().out
        assert "against    (SIMULATED) 0 words read differently" in out
        assert not out.startswith("SIMULATED")
    assert main([*EVALUATE, "--against", "r.jsonl"]) == 0
    assert "SIMULATED" not in capsys.readouterr().out


def test_the_speed_of_scoring_is_no_model_s(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(SCORE) == 0
    assert "(scoring alone: another tool ran the model)" in capsys.readouterr().out


def test_a_label_given_twice_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(place / "label.txt", "a", encoding="utf-8") as file:
        file.write("test_1.bin:zzz\n")
    for verb in (EVALUATE, SCORE):
        assert main([*verb, "--strict"]) == 3
        assert "label given twice: 1\n  test_1.bin" in capsys.readouterr().err


def test_outputs_cut_along_time_are_suspected(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"name{number:02d}" for number in range(26)]
    (place / "many").mkdir()
    models.write_bins(place / "many", texts)
    words = [
        "evaluate",
        "echo.onnx",
        "many/input_bin",
        "--label",
        "many/label.txt",
        "--save-outputs",
        "right",
    ]
    assert main(words) == 0
    files = [place / "right" / f"test_{number}_0.bin" for number in range(1, 27)]
    batch = np.stack(
        [np.fromfile(path, dtype=np.float32).reshape(26, 37) for path in files], axis=1
    )
    (place / "wrong").mkdir()
    for path, rows in zip(files, batch):
        rows.tofile(place / "wrong" / path.name)
    capsys.readouterr()
    assert main(["score", "right", "--label", "many/label.txt"]) == 0
    assert "output_batchsize_axis" not in capsys.readouterr().err
    assert main(["score", "wrong", "--label", "many/label.txt"]) == 0
    assert "hardly a word is right: if the tool ran batches" in capsys.readouterr().err
