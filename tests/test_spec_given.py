"""A spec is named wherever a model is read, and JSON may hold only the keys that differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from crnn import Recognizer
from crnn.cli.main import main
from crnn.errors import InputError
from crnn.runners.open import open_runner, open_spec, spec_given
from crnn.spec import ModelSpec
from tests.conftest import ROOT
from tests.foreign import few_words_lmdb
from tests.models import echo_pixels, write_echo_model, write_images

EXAMPLE = ROOT / "examples" / "crnn_small.pth"
WORDS = ROOT / "examples" / "words_lmdb"


def wide(path: Path, *, logits: str = "output1", more: bool = False) -> Path:
    """Write the echo model for images of 120 columns, which carries no spec; its second output is
    the classes alone.
    """
    write_echo_model(path, spec=None)
    proto = onnx.load(str(path))
    proto.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 120
    proto.graph.output[0].name = logits
    proto.graph.node[-1].output[0] = logits
    if more:
        proto.graph.node.append(helper.make_node("ArgMax", [logits], ["ids"], axis=2, keepdims=0))
        value = helper.make_tensor_value_info("ids", TensorProto.INT64, [26, "batch"])
        proto.graph.output.append(value)
    onnx.save(proto, str(path))
    return path


def echo(path: Path, text: str) -> Path:
    pixels = np.zeros((32, 120), dtype=np.uint8)
    pixels[:, :100] = echo_pixels(text)[0]
    Image.fromarray(pixels).save(path)
    return path


CHANGED: Dict[str, Any] = {
    "a width": ({"width": 160}, {"width": 160, "time_steps": 41}),
    "a width and its steps": ({"width": 160, "time_steps": 40}, {"width": 160, "time_steps": 40}),
    "an alphabet": ({"alphabet": "ABC"}, {"characters": "ABC", "fold_case": False}),
    "a fold": (
        {"alphabet": "abc", "fold_case": False},
        {"characters": "abc", "fold_case": False},
    ),
    "a normalisation": ({"mean": 0, "std": 1}, {"mean": 0, "std": 1}),
    "with its format": ({"format": "crnn-spec/1", "color": "rgb"}, {"color": "rgb"}),
    "nothing": ({}, {}),
}


@pytest.mark.parametrize("kind", CHANGED)
@pytest.mark.parametrize("form", ["file", "words"])
def test_the_keys_that_differ_are_enough(tmp_path: Path, kind: str, form: str) -> None:
    given, changes = CHANGED[kind]
    import dataclasses

    text = json.dumps(given)
    if form == "file":
        (tmp_path / "s.json").write_text(text)
        text = str(tmp_path / "s.json")
    assert open_spec(text) == dataclasses.replace(ModelSpec(), **changes)


def test_they_differ_from_the_models_own(tmp_path: Path) -> None:
    own = ModelSpec(characters="xyz", blank=3, mean=0.1, width=60, time_steps=9)
    spec = open_spec('{"alphabet": "vwxyz"}', own)
    assert (spec.characters, spec.blank, spec.mean, spec.width) == ("vwxyz", 5, 0.1, 60)
    assert open_spec('{"width": 90}', own).time_steps == 9  # no rule of ours gave 9
    whole = ModelSpec(mean=0.7)
    assert open_spec(whole.to_json(), own) == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"with": 160}', "unknown key 'with'; did you mean width\\?"),
        ('{"width": "160"}', "width is '160'; expected int"),
        ('{"width": 0}', "width is 0; expected 1 to 65535"),
        ('{"format": "crnn-spec/99", "width": 8}', "the format is 'crnn-spec/99'"),
        ('{"width": ', "not JSON"),
        ('{"alphabet": "aa"}', "holds 'a' twice"),
    ],
)
def test_what_is_wrong_in_it_is_said(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_spec(text)


def test_a_width_brings_the_steps_that_the_model_has(tmp_path: Path) -> None:
    # The echo model gives 26 steps at any width, a checkpoint those of its poolings.
    runner = open_runner(wide(tmp_path / "m.onnx"))
    assert spec_given(runner.spec, '{"width": 120}', None, runner.steps).time_steps == 26
    torch = open_runner(EXAMPLE)
    assert spec_given(torch.spec, '{"width": 120}', None, torch.steps).time_steps == 31


@pytest.fixture
def case(tmp_path: Path) -> Any:
    model = wide(tmp_path / "m.onnx")
    echo(tmp_path / "w.png", "hello")
    data = write_images(tmp_path / "data", ["abc"])
    echo(data / "1.png", "abc")
    (tmp_path / "s.json").write_text('{"width": 120}')
    return tmp_path, model, data


def verbs(folder: Path, model: Path, data: Path) -> Dict[str, List[str]]:
    return {
        "read": ["read", str(model), str(folder / "w.png")],
        "evaluate": ["evaluate", str(model), str(data), "--min-accuracy", "1"],
        "bench": ["bench", str(model), "--data", str(data), "--loop", "1", "--batch", "1"],
        "compile": ["compile", str(model), str(folder / "om"), "--dry-run"],
    }


@pytest.mark.parametrize("verb", ["read", "evaluate", "bench", "compile"])
def test_every_verb_that_reads_a_model_takes_a_spec(
    verb: str, case: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, model, data = case
    words = verbs(folder, model, data)[verb]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "--spec" in said
    assert "ATC would reject" not in said
    assert main([*words, "--spec", str(folder / "s.json")]) == 0
    assert main([*words, "--spec", '{"width": 120}']) == 0
    copy = folder / "copy.onnx"
    assert main(["spec", "set", str(model), str(folder / "s.json"), "-o", str(copy)]) == 0
    assert main(verbs(folder, copy, data)[verb]) == 0


def test_the_recognizer_takes_a_spec(case: Any) -> None:
    folder, model, _ = case
    for spec in ('{"width": 120}', str(folder / "s.json"), folder / "s.json", ModelSpec(width=120)):
        with Recognizer(model, spec=spec) as recognizer:
            assert recognizer.read(folder / "w.png").text == "hello"


def test_a_spec_is_written_into_a_copy_and_no_other_byte_of_the_graph(case: Any) -> None:
    folder, model, _ = case
    copy = folder / "copy.onnx"
    before = model.read_bytes()
    assert main(["spec", "set", str(model), '{"width": 120, "mean": 0.4}', "-o", str(copy)]) == 0
    assert model.read_bytes() == before
    assert open_runner(copy).spec == ModelSpec(width=120, mean=0.4)
    assert onnx.load(str(copy)).graph == onnx.load(str(model)).graph
    assert open_runner(copy).model.spec_from == "file"


def test_a_spec_that_does_not_fit_writes_nothing(
    case: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, model, _ = case
    assert main(["spec", "set", str(model), '{"width": 64}', "-o", str(folder / "x.onnx")]) == 1
    assert not (folder / "x.onnx").exists()
    error = capsys.readouterr().err
    assert f"crnn: error: {model}: got " in error
    assert "the spec (given) expects" in error
    assert "--spec" not in error
    assert main(["spec", "set", str(model), "modelzo", "-o", str(folder / "x.onnx")]) == 1
    assert main(["spec", "set", str(model), "modelzoo", "-o", str(model)]) == 1
    assert "would be overwritten" in capsys.readouterr().err


def test_weights_beside_the_file_go_into_the_copy(shipped: Path, tmp_path: Path) -> None:
    proto = onnx.load(str(shipped))
    outside = tmp_path / "outside"
    outside.mkdir()
    onnx.save(
        proto,
        str(outside / "b.onnx"),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location="b.data",
        size_threshold=0,
    )
    words = ["spec", "set", str(outside / "b.onnx"), '{"mean": 0.5}', "-o"]
    assert main([*words, str(tmp_path / "c.onnx")]) == 0
    assert main(["evaluate", str(tmp_path / "c.onnx"), str(WORDS), "--min-accuracy", "0.9"]) == 0


@pytest.mark.slow
def test_an_int8_copy_carries_the_spec_that_was_given(shipped: Path, tmp_path: Path) -> None:
    proto = onnx.load(str(shipped))
    del proto.metadata_props[:]
    logits = proto.graph.output[0].name
    proto.graph.node.append(helper.make_node("ArgMax", [logits], ["ids"], axis=2, keepdims=0))
    value = helper.make_tensor_value_info("ids", TensorProto.INT64, [26, "batch"])
    proto.graph.output.append(value)
    onnx.save(proto, str(tmp_path / "b.onnx"))
    few = str(few_words_lmdb(tmp_path / "few", 60))
    words = ["quantize", str(tmp_path / "b.onnx"), str(tmp_path / "q.onnx")]
    words += ["--calibrate", few, "--count", "20"]
    assert main(words) == 1  # two outputs
    assert main([*words, "--output", logits, "--spec", '{"fold_case": true}']) == 0
    assert open_runner(tmp_path / "q.onnx").model.spec_from == "file"
    assert main(["evaluate", str(tmp_path / "q.onnx"), few, "--min-accuracy", "0.9"]) == 0


# Several outputs.


@pytest.mark.parametrize("logits", ["output1", "scores", "zz"])
def test_several_outputs_are_named_and_one_is_taken(
    logits: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = wide(tmp_path / "m.onnx", logits=logits, more=True)
    data = write_images(tmp_path / "data", ["abc"])
    echo(data / "1.png", "abc")
    echo(tmp_path / "w.png", "hello")
    for verb, words in verbs(tmp_path, model, data).items():
        spec = ["--spec", '{"width": 120}']
        assert main([*words, *spec]) == 1, verb
        said = capsys.readouterr().err
        assert "2 outputs" in said
        assert logits in said
        assert "ids" in said
        assert "--output" in said
        assert main([*words, *spec, "--output", logits]) == 0, verb
        assert main([*words, *spec, "--output", "nothing"]) == 1, verb
        assert f"has no output 'nothing'; it has {logits}, ids" in capsys.readouterr().err


def test_the_order_of_the_outputs_does_not_matter(tmp_path: Path) -> None:
    model = wide(tmp_path / "m.onnx", more=True)
    proto = onnx.load(str(model))
    outputs = list(proto.graph.output)[::-1]
    del proto.graph.output[:]
    proto.graph.output.extend(outputs)
    onnx.save(proto, str(model))
    echo(tmp_path / "w.png", "hello")
    with Recognizer(model, spec='{"width": 120}', output="output1") as recognizer:
        assert recognizer.read(tmp_path / "w.png").text == "hello"


def test_a_copy_of_one_output_has_no_other(tmp_path: Path) -> None:
    model = wide(tmp_path / "m.onnx", more=True)
    words = ["spec", "set", str(model), '{"width": 120}', "-o", str(tmp_path / "c.onnx")]
    assert main(words) == 1
    assert main([*words, "--output", "output1"]) == 0
    proto = onnx.load(str(tmp_path / "c.onnx"))
    assert [value.name for value in proto.graph.output] == ["output1"]
    assert "ArgMax" not in [node.op_type for node in proto.graph.node]


def test_output_is_for_onnx_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(EXAMPLE), str(WORDS), "--output", "x"]) == 2
    assert "is run by torch, which takes models of one output" in capsys.readouterr().err


# Weights as inputs, and batches that are fixed inside.


def with_weights_as_inputs(path: Path) -> Path:
    proto = onnx.load(str(path))
    for tensor in proto.graph.initializer:
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        proto.graph.input.append(value)
    proto.ir_version = 3
    onnx.save(proto, str(path))
    return path


@pytest.mark.parametrize("verb", ["read", "evaluate", "bench"])
def test_weights_that_are_inputs_bring_no_warnings(
    verb: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = with_weights_as_inputs(write_echo_model(tmp_path / "m.onnx"))
    data = write_images(tmp_path / "data", ["abc"])
    Image.fromarray(echo_pixels("abc")[0]).save(tmp_path / "w.png")
    assert main(verbs(tmp_path, model, data)[verb]) == 0
    said = capfd.readouterr().err
    assert "initializer" not in said.lower()
    assert "W:onnxruntime" not in said


def fixed_inside(path: Path, batch: int) -> Path:
    """Write the echo model with an open batch and a Reshape that holds a batch all the same."""
    write_echo_model(path)
    proto = onnx.load(str(path))
    last = proto.graph.node[-1]
    last.output[0] = "open"
    shape = numpy_helper.from_array(np.array([26, batch, 37], dtype=np.int64), "shape")
    proto.graph.initializer.append(shape)
    proto.graph.node.append(helper.make_node("Reshape", ["open", "shape"], ["output1"]))
    onnx.save(proto, str(path))
    return path


@pytest.mark.parametrize(("batch", "given"), [(4, 16), (2, 1), (7, 4), (32, 1)])
def test_the_batch_that_a_graph_holds_inside_is_named(
    batch: int, given: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = fixed_inside(tmp_path / "m.onnx", batch)
    words = ["abc", "def", "hello"] * 22
    data = write_images(tmp_path / "data", words[: 2 * batch])
    assert main(["evaluate", str(model), str(data), "--batch", str(given)]) == 1
    assert f"try --batch {batch}." in capsys.readouterr().err
    assert main(["evaluate", str(model), str(data), "--batch", str(batch)]) == 0


@pytest.mark.parametrize(("batch", "words"), [(4, 6), (4, 5), (3, 7)])
def test_the_rest_of_the_data_fills_the_batch_that_a_graph_holds(
    batch: int, words: int, tmp_path: Path
) -> None:
    model = fixed_inside(tmp_path / "m.onnx", batch)
    data = write_images(
        tmp_path / "data", ["abc", "def", "hello", "net", "4", "foot", "run"][:words]
    )
    checked = ["evaluate", str(model), str(data), "--min-accuracy", "1"]
    assert main([*checked, "--batch", str(batch)]) == 0


# What looks at a model without running data through it.


@pytest.mark.parametrize("given", ['{"width": 120}', "FILE"])
def test_the_doctor_reads_a_model_by_the_spec_that_is_given(
    given: str, case: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, model, _ = case
    spec = given.replace("FILE", str(folder / "s.json"))
    assert main(["doctor", str(model)]) == 4
    assert main(["doctor", str(model), "--spec", spec]) == 0
    assert "the one of --spec" in capsys.readouterr().out
    assert main(["doctor", str(EXAMPLE), "--spec", '{"mean": 0.4}']) == 0
    assert main(["doctor", str(EXAMPLE), "--spec", '{"alphabet": "abc"}']) == 4


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("--output_type=FP16", "the output FP16"),
        ("--output_type FP16", "the output FP16"),
        ('--output_type="output1:0:UINT8"', "the output UINT8"),
        ("--fusion_switch_file=x", "the output FP32"),
    ],
)
def test_the_note_on_precision_follows_flags_of_the_users_own(
    extra: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_echo_model(tmp_path / "m.onnx")
    words = ["compile", str(model), str(tmp_path / "om"), "--dry-run", f"--extra={extra}"]
    assert main(words) == 0
    assert said in capsys.readouterr().err
