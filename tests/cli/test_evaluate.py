"""``crnn evaluate`` and ``post_CRNN_pytorch_acl.py``, on bins that the echo model reads as
written.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import numpy as np
import onnx
import pytest

from crnn.cli.main import main
from crnn.cli.scripts import post_processing
from crnn.jobs.evaluate import EvaluateRequest
from crnn.jobs.evaluate import evaluate as evaluate_words
from tests.ascend import om_writer
from tests.lines import joined
from tests.models import write_bins, write_echo_model, write_images

WORDS = ["hello", "0", "aa11", "good", "lamp", "3", "kind"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with model, seven bins and labels, two of which are wrong, as the current
    directory.
    """
    write_echo_model(tmp_path / "m.onnx")
    write_bins(tmp_path, WORDS, ["Hello", "0", "aa12", "good", "lamb", "3", "KIND"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(*words: str) -> int:
    return main(
        ["evaluate", "m.onnx", "input_bin", "--label", "label.txt", "--threads", "1", *words]
    )


def result(capsys: pytest.CaptureFixture[str], *words: str) -> Dict[str, Any]:
    assert evaluate("--json", "-", *words) == 0
    data: Dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


@pytest.mark.parametrize("batch", ["1", "2", "7", "64"])
def test_every_word_counts_at_any_batch(
    place: Path, capsys: pytest.CaptureFixture[str], batch: str
) -> None:
    data = result(capsys, "--batch", batch)
    assert (data["correct"], data["total"], data["accuracy"]) == (5, 7, 5 / 7)
    assert [(miss["key"], miss["text"]) for miss in data["misses"]] == [
        ("test_3", "aa11"),
        ("test_5", "lamp"),
    ]


def test_a_batch_larger_than_the_data_takes_no_more_memory(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hundred million rows would be a terabyte."""
    data = result(capsys, "--batch", "100000000")
    assert (data["correct"], data["total"], data["batch"]) == (5, 7, 100_000_000)
    write_images(place / "images", WORDS)
    words = ["evaluate", "m.onnx", "images", "--batch", "100000000", "--json", "-"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["correct"] == 7


@pytest.mark.parametrize("name", ["n.onnx", "n.pth", "n.zip"])
def test_several_models_before_the_data_are_sent_into_a_folder(
    place: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (place / name).write_bytes(b"PK\x03\x04")
    assert main(["evaluate", "m.onnx", name, "input_bin", "--label", "label.txt"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"{name} is a model, and stands where the data stand" in said
    assert "put them into one folder" in said


def test_what_is_known_of_the_model_is_said_before_it_runs(place: Path) -> None:
    """The memory of a set of OMs helps nobody once the chip has too little."""
    events: List[str] = []

    class Screen:
        def out(self, text: str) -> None:
            raise AssertionError(text)

        def note(self, text: str) -> None:
            events.append(text)

    @contextlib.contextmanager
    def progress(label: str, total: Optional[int]) -> Iterator[Callable[[int], None]]:
        events.append(label)
        yield lambda count: None

    model = place / "bare.onnx"
    bare = onnx.load("m.onnx")
    del bare.metadata_props[:]
    onnx.save(bare, model)
    request = EvaluateRequest(model, place / "input_bin", label=place / "label.txt")
    outcome = evaluate_words(request, progress, screen=Screen())
    assert "carries no spec" in events[0]
    assert events[1:] == ["evaluating"]
    assert not any("carries no spec" in note for note in outcome.notes)
    # Who has no screen has it among the notes.
    outcome = evaluate_words(request, progress)
    assert any("carries no spec" in note for note in outcome.notes)


def test_a_terminal_is_told_what_was_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for kind, told in ((Terminal, True), (io.StringIO, False)):
        stderr = kind()
        monkeypatch.setattr(sys, "stderr", stderr)
        assert evaluate("--json", "r.json", "--readings", "r.jsonl") == 0
        for line in ("result written: r.json", "readings written: r.jsonl"):
            assert (line in stderr.getvalue()) is told


def test_result_json_has_the_contract_and_nothing_else(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = result(capsys)
    assert sorted(data) == sorted(
        "schema title value accuracy correct total interval95 cer ned1 skipped by_length throughput"
        " stages batch threads backend device simulated model misses misses_total protocol versions data date command".split()  # noqa: E501
    )
    assert data["schema"] == "crnn-evaluation/2"
    assert data["value"] == [
        {"key": "Number of images", "value": "7"},
        {"key": "Number of classes", "value": "37"},
        {"key": "Top1 accuracy", "value": "71.43%"},
    ]
    assert data["interval95"] == pytest.approx([0.3589, 0.9178], abs=1e-4)
    assert data["by_length"]["4"] == {"accuracy": 0.5, "correct": 2, "total": 4}
    assert (data["simulated"], data["backend"], data["device"], data["threads"]) == (
        False,
        "onnxruntime",
        "cpu",
        1,
    )
    assert set(data["stages"]) == {"read", "infer", "score"}
    assert set(data["stages"]["infer"]) == {"p50", "p90", "p99", "sum"}
    assert data["model"]["path"] == "m.onnx"
    assert data["model"]["spec"]["format"] == "crnn-spec/1"
    assert data["protocol"] == {
        **dict.fromkeys(["name", "batch", "normalisation"]),
        "oov": "keep",
        "min_length": 0,
        "trim": False,
    }
    assert data["throughput"] > 0


def test_json_file_is_sorted_utf8_and_whole(place: Path) -> None:
    (place / "label.txt").write_text("test_1.bin:héllo\n", encoding="utf-8")
    assert evaluate("--json", "r.json") == 0
    text = (place / "r.json").read_text(encoding="utf-8")
    assert "héllo" in text
    data = json.loads(text)
    assert list(data) == sorted(data)
    assert [path.name for path in place.iterdir() if "part" in path.name] == []


def test_the_historical_call(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = (
        "--pre_dir ./input_bin --batchsize 1 --modelpath m.onnx --label label.txt"
        " --json_output_file".split()
    )
    for name in ("result", "result.json"):
        assert post_processing([*call, name]) == 0
        assert json.loads((place / "result.json").read_text())["accuracy"] == 5 / 7
    assert not (place / "result.json.json").exists()
    assert "accuracy   0.7143" in capsys.readouterr().out


def test_the_historical_defaults(place: Path) -> None:
    assert post_processing("--pre_dir input_bin --modelpath m.onnx --label label.txt".split()) == 0
    assert json.loads((place / "result.json").read_text())["batch"] == 1


def test_problems_are_counted_by_reason_and_count_as_wrong(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "input_bin" / "test_1.bin").unlink()
    (place / "input_bin" / "test_2.bin").write_bytes(b"short")
    (place / "input_bin" / "test_99.bin").write_bytes(bytes(12_800))
    (place / "input_bin" / "word.bin").write_bytes(bytes(12_800))
    (place / "input_bin" / "summary.json").write_text("{}")
    data = result(capsys)
    assert data["skipped"] == {
        "missing bin": 1,
        "wrong size": 1,
        "bin without label": 1,
        "misnamed bin": 1,
    }
    assert (data["correct"], data["total"], data["misses_total"]) == (3, 7, 4)
    assert evaluate("--strict") == 3
    assert "--strict: 4 samples or files had a problem" in capsys.readouterr().err


def test_strict_passes_where_nothing_is_wrong(place: Path) -> None:
    assert evaluate("--strict") == 0


@pytest.mark.parametrize(("least", "code"), [("0.7", 0), ("0.72", 3), ("1", 3), ("0", 0)])
def test_min_accuracy(
    place: Path, capsys: pytest.CaptureFixture[str], least: str, code: int
) -> None:
    assert evaluate("--min-accuracy", least, "--json", "r.json") == code
    assert (place / "r.json").exists(), "the result is written whatever the check says"
    if code:
        assert f"accuracy 0.7143 is below the {float(least)}" in capsys.readouterr().err


def test_readings_are_in_data_order(place: Path) -> None:
    assert evaluate("--readings", "r.jsonl", "--batch", "2") == 0
    readings = [json.loads(line) for line in (place / "r.jsonl").read_text().splitlines()]
    assert [reading["key"] for reading in readings] == [f"test_{index}" for index in range(1, 8)]
    assert [reading["text"] for reading in readings] == WORDS
    assert readings[0]["label"] == "Hello"
    assert all(0 < reading["confidence"] <= 1 for reading in readings)


def test_against_an_earlier_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--readings", "a.jsonl", "--json", "a.json") == 0
    for other in ("a.jsonl", "a.json"):
        assert evaluate("--against", other, "--batch", "3") == 0
    write_other = [
        line.replace('"lamp"', '"lamb"') for line in (place / "a.jsonl").read_text().splitlines()
    ]
    (place / "b.jsonl").write_text("\n".join(write_other))
    capsys.readouterr()
    assert evaluate("--against", "b.jsonl") == 3
    out, err = capsys.readouterr()
    assert "regression  test_5  label:lamb  this:lamp  other:lamb" in out
    assert "right only here 0, only there 1; accuracy -0.1429" in joined(out)
    assert "1 words were read differently than in b.jsonl; --max-differ allows 0" in err
    assert evaluate("--against", "b.jsonl", "--max-differ", "1") == 0


@pytest.mark.parametrize(("style", "ending"), [("ais_bench", "_0.bin"), ("benchmark", "_1.bin")])
def test_raw_outputs_are_the_logits_of_each_sample(place: Path, style: str, ending: str) -> None:
    assert evaluate("--save-outputs", "out", "--outputs-style", style, "--batch", "3") == 0
    files = sorted((place / "out").iterdir())
    assert [file.name for file in files] == [f"test_{index}{ending}" for index in range(1, 8)]
    logits = np.fromfile(files[0], dtype="<f4").reshape(26, -1, 37)
    bin_values = np.fromfile(place / "input_bin" / "test_1.bin", dtype="<f4").reshape(32, 100)
    np.testing.assert_array_equal(logits[:, 0, :32], bin_values[:, :26].T)


def test_show_misses_prints_only_as_many_as_asked(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate() == 0
    assert "pred:" not in capsys.readouterr().out
    assert evaluate("--show-misses", "1") == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "pred:" in line] == [
        "test_3  label:aa12  pred:aa11"
    ]


def test_with_json_on_stdout_people_are_spoken_to_on_stderr(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--json", "-", "--show-misses", "1") == 0
    out, err = capsys.readouterr()
    json.loads(out)
    assert "accuracy   0.7143" in err
    assert "pred:aa11" in err


def test_a_model_without_spec_says_how_it_is_read(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_echo_model(place / "m.onnx", spec=None)
    assert evaluate() == 0
    assert (
        "m.onnx carries no spec, so it is read by the historical contract"
        in capsys.readouterr().err
    )


def bad_model(text: bytes) -> Any:
    return lambda place: (place / "m.onnx").write_bytes(text)


def bad_labels(text: str) -> Any:
    return lambda place: (place / "label.txt").write_text(text, encoding="utf-8")


def only_wrong_sizes(place: Path) -> None:
    for file in (place / "input_bin").iterdir():
        file.write_bytes(bytes(99))


def fixed_batch(place: Path) -> None:
    """Let the graph hold a batch of 1 inside that its input does not declare."""
    import onnx

    model = onnx.load("m.onnx")
    squeeze = next(node for node in model.graph.node if node.op_type == "Squeeze")
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [3], [1, 37, 26])
    model.graph.initializer.append(shape)
    squeeze.CopyFrom(
        onnx.helper.make_node("Reshape", [squeeze.input[0], "shape"], list(squeeze.output))
    )
    onnx.save(model, "m.onnx")


def no_batch(place: Path) -> None:
    import onnx

    model = onnx.load("m.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 0
    onnx.save(model, "m.onnx")


def deep_spec(place: Path) -> None:
    import onnx

    model = onnx.load("m.onnx")
    onnx.helper.set_model_props(model, {"crnn.spec": "[" * 100_000})
    onnx.save(model, "m.onnx")


BAD: List[Any] = [
    # what is spoilt, further arguments, exit code, message
    pytest.param(
        lambda p: (p / "m.onnx").unlink(),
        [],
        1,
        "m.onnx does not exist; expected a model",
        id="no model",
    ),
    pytest.param(bad_model(b""), [], 1, "m.onnx is empty", id="empty model"),
    pytest.param(
        bad_model(b"\xff" * 99), [], 1, "not an ONNX file, an OM or a Py", id="noise for a model"
    ),
    pytest.param(
        bad_model(b"hello, this is text\n"), [], 1, "not an ONNX file, an OM", id="text for a model"
    ),
    pytest.param(
        bad_model(b"version https://git-lfs.github.com/spec/v1\n"),
        [],
        1,
        "Git LFS pointer",
        id="lfs",
    ),
    pytest.param(bad_model(b"PK\x03\x04broken"), [], 1, "m.onnx", id="a broken zip"),
    pytest.param(no_batch, [], 1, "is a batch of 0; expected 1 or more", id="a batch of none"),
    pytest.param(
        fixed_batch, [], 1, "cannot run it on images .*\n.*try --batch 1", id="a batch fixed inside"
    ),
    pytest.param(deep_spec, [], 1, "metadata crnn.spec: not JSON", id="a spec of brackets"),
    pytest.param(
        lambda p: shutil.rmtree(p / "input_bin"), [], 1, "input_bin does not exist", id="no bins"
    ),
    pytest.param(
        only_wrong_sizes, [], 1, "99 bytes; expected 12800 .* or 3200", id="bins of another model"
    ),
    pytest.param(
        lambda p: (p / "label.txt").unlink(), [], 1, "label.txt does not exist", id="no labels"
    ),
    pytest.param(bad_labels(""), [], 1, "label.txt is empty", id="empty labels"),
    pytest.param(
        bad_labels("test_1.bin hello\n"),
        [],
        1,
        "line 1 .*expected test_",
        id="labels of another form",
    ),
    pytest.param(
        bad_labels("a.bin:x\n"), [], 1, "line 1 .*expected test_", id="labels of other bins"
    ),
    pytest.param(None, ["--device", "cuda"], 4, "CUDAExecutionProvider", id="no such provider"),
    pytest.param(
        None, ["--device", "0"], 2, "--device 0: .* is not an OM", id="a chip for an ONNX"
    ),
    pytest.param(None, ["--batch", "0"], 2, "'0' is not a whole number from 1", id="batch 0"),
    pytest.param(None, ["--batch", "1.5"], 2, "'1.5' is not a whole number", id="batch 1.5"),
    pytest.param(
        None, ["--batch", "9" * 5000], 2, "is not a whole number", id="batch of 5000 digits"
    ),
    pytest.param(
        None,
        ["--threads", "-1"],
        2,
        "'-1' is not a whole number|expected one argument",
        id="threads -1",
    ),
    pytest.param(None, ["--min-accuracy", "79"], 2, "write 79 % as 0.79", id="percent"),
    pytest.param(None, ["--min-accuracy", "nan"], 2, "is not a fraction", id="not a number"),
    pytest.param(
        None, ["--against", "no.jsonl"], 1, "no.jsonl does not exist", id="nothing to compare with"
    ),
    pytest.param(
        None, ["--against", "label.txt"], 1, "neither a result JSON nor", id="compared with labels"
    ),
    pytest.param(
        None, ["--json", "no/r.json"], 1, "the folder no does not exist", id="result in no folder"
    ),
    pytest.param(
        None, ["--json", "input_bin"], 1, "input_bin: it is a folder", id="result over a folder"
    ),
    pytest.param(
        None,
        ["--readings", "input_bin"],
        1,
        "input_bin: it is a folder",
        id="readings over a folder",
    ),
    pytest.param(
        None,
        ["--readings", "no/r.jsonl"],
        1,
        "the folder no does not exist",
        id="readings in no folder",
    ),
    pytest.param(
        None, ["--save-outputs", "input_bin"], 2, "not an empty folder", id="outputs over bins"
    ),
    pytest.param(None, ["--jsn", "r.json"], 2, "did you mean --json", id="misspelt option"),
    pytest.param(
        None, ["--strict", "yes"], 2, "unrecognized arguments: yes", id="value for a switch"
    ),
]


@pytest.mark.parametrize(("spoil", "words", "code", "message"), BAD)
def test_bad_input(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Any,
    words: List[str],
    code: int,
    message: str,
) -> None:
    import re

    if spoil:
        spoil(place)
    assert evaluate(*words) == code
    out, err = capsys.readouterr()
    assert re.search(message, err), err
    assert out == ""
    assert "Traceback" not in err
    assert not list(place.glob("*.json*")), "nothing may be left of a run that failed"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "m.onnx", "input_bin"], "give their label file too, with --label"),
        (["evaluate", "m.onnx", "m.onnx"], "m.onnx is a model, and stands where the data stand"),
        (["evaluate", "m.onnx", "label.txt"], "label.txt cannot be read as an LMDB"),
        (["evaluate", "m.onnx", "empty"], "empty needs one annotation file"),
        (["evaluate"], "the following arguments are required: MODEL, DATA"),
        (["evalute", "m.onnx"], "invalid choice: 'evalute'"),
        ([], "evaluate  Read every word of a data set"),
    ],
)
def test_bad_command_lines(
    place: Path, capsys: pytest.CaptureFixture[str], words: List[str], message: str
) -> None:
    (place / "empty").mkdir()
    assert main(words) in (1, 2)
    assert message in capsys.readouterr().err


def test_names_in_another_encoding(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # As an archive from another system leaves them: GBK bytes, which are no UTF-8.
    model = os.fsdecode(b"\xc4\xe3.onnx")
    (place / "m.onnx").rename(model)
    words = ["--label", "label.txt", "--json", "r.json", "--readings", "r.jsonl"]
    assert main(["evaluate", model, "input_bin", *words]) == 0
    assert json.loads((place / "r.json").read_text(encoding="utf-8"))["model"]["path"] == model


@pytest.fixture
def runs(place: Path) -> Path:
    """A folder with three models (one of which is broken) and two sets of bins' images beside
    ``place``.
    """
    folder = place / "runs"
    folder.mkdir()
    for name in ("step_10.onnx", "step_9.onnx"):
        shutil.copy(place / "m.onnx", folder / name)
    (folder / "notes.txt").write_text("no model\n")
    return folder


def test_one_model_has_no_best(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(place / "a", ["one", "ten"])
    write_images(place / "b", ["three"])
    assert main(["evaluate", "m.onnx", "a", "b", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert "1.0000 (2 of 2)" in out
    assert "*" not in out


def test_a_folder_of_models_on_several_data_sets_gives_a_table(
    runs: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(place / "a", ["one", "ten"])
    write_images(place / "b", ["three", "four", "nine"], ["three", "four", "six"])
    assert main(["evaluate", "runs", "a", "b", "--threads", "1", "--json", "t.json"]) == 0
    rows = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    table = [[cell.strip() for cell in row if cell] for row in rows]
    assert table[0] == ["model", "a", "b"]
    assert table[2:4] == [
        ["step_9.onnx", "1.0000 (2 of 2) *", "0.6667 (2 of 3) *"],
        ["step_10.onnx", "1.0000 (2 of 2) *", "0.6667 (2 of 3) *"],
    ]
    data = json.loads((place / "t.json").read_text(encoding="utf-8"))
    assert data["schema"] == "crnn-evaluations/1"
    assert [entry["model"] for entry in data["models"]] == ["step_9.onnx", "step_10.onnx"]
    last = data["models"][1]["results"][1]
    assert last["data"] == "b"
    assert main(["evaluate", "runs/step_10.onnx", "b", "--threads", "1", "--json", "one.json"]) == 0
    one = json.loads((place / "one.json").read_text(encoding="utf-8"))
    timed = ("throughput", "stages", "batch", "date", "command")
    assert {key: one[key] for key in one if key not in timed} == {
        key: last["result"][key] for key in last["result"] if key not in timed
    }


def test_a_data_set_that_is_named_twice_is_not_pooled(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(place / "one", ["aa"])
    (place / "link").symlink_to("one")
    assert main(["evaluate", "m.onnx", "one", "link", "--json", "t.json"]) == 0
    captured = capsys.readouterr()
    assert "link is named twice: no row has all data sets together" in captured.err
    assert "combined" not in captured.out
    assert "combined" not in json.loads((place / "t.json").read_text())["models"][0]


def test_several_data_sets_are_pooled(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(place / "a", ["one", "ten"])
    write_images(place / "b_|<i>", ["three", "four", "nine"], ["three", "four", "six"])
    sets = ["a", "b_|<i>"]
    command = ["evaluate", "m.onnx", *sets, "--threads", "1"]
    assert main([*command, "--json", "t.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [cell.strip() for cell in lines[-1].split("  ") if cell.strip()]
    # 4 of 5 by Wilson; (3 + 3 + 5 + 4 + 3) / 5 characters.
    known = ["0.8000 (4 of 5)", "0.3755 to 0.9638", "-", "3.60"]
    assert cells == ["m.onnx", "a 2 + b_|<i> 3", *known]
    combined = json.loads((place / "t.json").read_text())["models"][0]["combined"]
    assert combined.pop("interval95") == pytest.approx([0.3755, 0.9638], abs=1e-4)
    assert combined == {
        "sets": {"a": 2, "b_|<i>": 3},
        "correct": 4,
        "total": 5,
        "accuracy": 0.8,
        "label_length": 3.6,
        "simulated": False,
    }
    assert main([*command, "--probability", "--format", "markdown", "--json", "t.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == r"| model | a | b\_\|&lt;i&gt; |"
    assert lines[1] == "| --- | --- | --- |"
    assert lines[2] == "| m.onnx | 1.0000 (2 of 2) | 0.6667 (2 of 3) |"
    assert lines[5] == "| " + " | ".join(["---"] * 6) + " |"
    assert lines[6].startswith(r"| m.onnx | a 2 + b\_\|&lt;i&gt; 3 | 0.8000 (4 of 5) |")
    results = json.loads((place / "t.json").read_text())["models"][0]
    total = 0.0
    for entry in results["results"]:
        for part in entry["result"]["sureness"]["bins"]:
            total += part["probability"] * part["count"]
    assert results["combined"]["probability"] == pytest.approx(total / 5)


def test_what_cannot_be_pooled_is_not(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(place / "a", ["one", "ten"])
    (place / "junk").mkdir()
    assert main(["evaluate", "m.onnx", "a", "junk", "--json", "t.json"]) == 1
    assert "combined" not in json.loads((place / "t.json").read_text())["models"][0]
    assert "combined" not in capsys.readouterr().out
    assert main(["evaluate", "m.onnx", "a", "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| model | words | right | accuracy | 95 % interval |")
    assert lines[2] == "| m.onnx | a 2 | 2 | 1.0000 | 0.3424 to 1.0000 | 0.0000 |"


def test_a_model_that_cannot_be_read_leaves_the_others_their_rows(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "step_1.pth").write_bytes(b"PK\x03\x04 cut short")
    assert main(["evaluate", "runs", "input_bin", "--label", "label.txt", "--threads", "1"]) == 1
    out, err = capsys.readouterr()
    assert "step_1.pth" in out and out.count("5 of 7") == 2
    assert "step_1.pth" in err and "Traceback" not in err


def test_data_that_cannot_be_read_leaves_the_others_their_column(
    runs: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(place / "a", ["one", "ten"])
    (place / "junk").mkdir()
    words = [
        "evaluate",
        "runs",
        "a",
        "junk",
        "--threads",
        "1",
        "--json",
        "t.json",
        "--min-accuracy",
        "1.0",
    ]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert out.count("1.0000 (2 of 2) *") == 2
    assert err.count("junk needs one annotation file") == 1
    results = json.loads((place / "t.json").read_text(encoding="utf-8"))["models"][0]["results"]
    assert [sorted(result) for result in results] == [["data", "result"], ["data", "error"]]


def test_failed_checks_are_told_beside_what_cannot_be_read(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "step_1.pth").write_bytes(b"PK\x03\x04 cut short")
    words = [
        "evaluate",
        "runs",
        "input_bin",
        "--label",
        "label.txt",
        "--threads",
        "1",
        "--min-accuracy",
        "0.9",
    ]
    assert main(words) == 1
    assert "step_9.onnx on input_bin: accuracy 0.7143 is below" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "code"), [(["--protocol", "nope"], 2), (["--device", "cuda"], 4)]
)
def test_the_codes_are_those_of_one_model(
    runs: Path, capsys: pytest.CaptureFixture[str], option: List[str], code: int
) -> None:
    assert main(["evaluate", "m.onnx", "input_bin", "--label", "label.txt", *option]) == code
    assert main(["evaluate", "runs", "input_bin", "--label", "label.txt", *option]) == code


def test_oms_beside_other_models_are_models_too(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "a_bs1.om").write_bytes(b"IMOD cut short")
    assert main(["evaluate", "runs", "input_bin", "--label", "label.txt", "--threads", "1"]) in (
        1,
        4,
    )
    assert "a_bs1.om" in capsys.readouterr().err


def test_what_the_machine_lacks_for_one_model_leaves_the_others_their_rows(
    runs: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "z_bs1.om").write_bytes(om_writer.static(1))
    words = [
        "evaluate",
        "runs",
        "input_bin",
        "--label",
        "label.txt",
        "--threads",
        "1",
        "--json",
        "t.json",
    ]
    assert main(words) == 4
    out, err = capsys.readouterr()
    assert out.count("5 of 7") == 2
    assert "import acl" in err
    assert (
        "error"
        in json.loads((place / "t.json").read_text(encoding="utf-8"))["models"][2]["results"][0]
    )


def test_what_could_not_be_read_is_told_for_each_cell(
    runs: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(place / "a", ["one", "ten"])
    (place / "a" / sorted(path.name for path in (place / "a").glob("*.png"))[0]).write_bytes(
        b"no image"
    )
    assert main(["evaluate", "runs", "a", "--threads", "1"]) == 0
    assert "step_9.onnx on a: not an image: 1" in capsys.readouterr().err


def test_the_checks_name_model_and_data(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "evaluate",
        "runs",
        "input_bin",
        "--label",
        "label.txt",
        "--threads",
        "1",
        "--min-accuracy",
        "0.9",
    ]
    assert main(words) == 3
    assert "step_9.onnx on input_bin: accuracy 0.7143 is below" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["runs", "input_bin", "--label", "label.txt", "--readings", "r.jsonl"],
            "--readings is for one model",
        ),
        (
            ["m.onnx", "input_bin", "runs", "--label", "label.txt"],
            "--label is for one model and one DATA",
        ),
        (["runs", "missing"], "missing does not exist"),
    ],
)
def test_what_a_table_does_not_do_is_refused(
    runs: Path, capsys: pytest.CaptureFixture[str], words: List[str], message: str
) -> None:
    assert main(["evaluate", *words]) in (1, 2)
    assert message in capsys.readouterr().err
