"""ONNX graphs that do not end, or that say more than is good, are refused before they are run."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from crnn.cli.main import main
from crnn.errors import InputError
from crnn.export.describe import describe_onnx
from crnn.runners.onnx_runner import OnnxRunner
from tests.conftest import ROOT
from tests.fuzz import hostile_onnx
from tests.fuzz.kinds import picture
from tests.lines import joined


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "crnn.onnx"
    assert main(["export", str(ROOT / "examples" / "crnn_small.pth"), str(path)]) == 0
    return path


REFUSED = {
    "loop": "it holds Loop, which may have no end",
    "constant of shape": "ConstantOfShape would make",
    "expand": "would make",
    "attributes": "RandomNormal would make",
    "sparse": "says that it has",
    "domain": "it holds the operator 'Run' of the domain",
}


@pytest.mark.parametrize("case", REFUSED)
def test_hostile_graphs(case: str, sound: Path, tmp_path: Path) -> None:
    for seed in range(3):
        path = tmp_path / "m.onnx"
        chance = random.Random(seed)
        if case == "constant of shape":
            chance.choice = lambda choices: choices[0]  # type: ignore[method-assign]
        hostile_onnx.CASES[case](chance, path, sound)
        with pytest.raises(InputError, match=REFUSED[case]):
            OnnxRunner(path)


def test_many_branches(sound: Path, tmp_path: Path) -> None:
    wanted = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "b", [], [wanted])
    true = numpy_helper.from_array(np.array(True), "true")
    for count in (16, 17):
        nodes = [
            helper.make_node("If", ["true"], [f"y{n}"], then_branch=branch, else_branch=branch)
            for n in range(count)
        ]
        path = tmp_path / "m.onnx"
        hostile_onnx.saved(path, nodes, [true])
        if count == 16:
            OnnxRunner(path)
            continue
        with pytest.raises(InputError, match="17 branches"):
            OnnxRunner(path)


def test_a_function_of_another_domain(sound: Path, tmp_path: Path) -> None:
    model = onnx.load(str(sound))
    model.functions.add(name="f", domain="mine").node.add(op_type="g", domain="mine")
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(InputError, match="a function that calls 'mine'"):
        OnnxRunner(tmp_path / "m.onnx")


@pytest.mark.parametrize("shape", [(26, 0, 37), (26, 1, 37), (25, 2, 37), (26, 2, 36), (26, 37)])
def test_outputs_of_another_size_than_the_spec_s(shape, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    constant = numpy_helper.from_array(np.zeros(shape, np.float32), "w")
    nodes = [helper.make_node("Identity", ["w"], ["y"])]
    hostile_onnx.saved(path, nodes, [constant], shape=("a", "b", "c")[: len(shape)])
    with pytest.raises(InputError, match="expect"), OnnxRunner(path) as runner:
        runner.run(np.zeros((2, 1, 32, 100), np.float32))


def test_more_rows_than_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    constant = numpy_helper.from_array(np.zeros((26, 3, 37), np.float32), "w")
    hostile_onnx.saved(
        path, [helper.make_node("Identity", ["w"], ["y"])], [constant], shape=("a", "b", "c")
    )
    with OnnxRunner(path) as runner, pytest.raises(
        InputError, match=r"got y float32 \(26, 3, 37\)"
    ):
        runner.run(np.zeros((2, 1, 32, 100), np.float32))


@pytest.mark.parametrize("kind", [99, -5])
def test_an_element_type_that_nobody_knows_is_shown(kind: int, sound: Path, tmp_path: Path) -> None:
    model = onnx.load(str(sound))
    model.graph.input[0].type.tensor_type.elem_type = kind
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert f"unknown type {kind}" in describe_onnx(tmp_path / "m.onnx")["inputs"][0]


def test_onnx_runtime_writes_nothing_to_stderr(
    sound: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = onnx.load(str(sound))
    del model.graph.initializer[0]
    onnx.save(model, str(tmp_path / "m.onnx"))
    image = tmp_path / "a.png"
    image.write_bytes(io.BytesIO(picture()).getvalue())
    assert main(["read", str(tmp_path / "m.onnx"), str(image)]) == 1
    written = capfd.readouterr().err
    assert "\x1b" not in written
    assert [line[:12] for line in joined(written).splitlines()] == ["crnn: error:"]


SPECS = {
    "width": 60_000,
    "time_steps": 9000,
    "alphabet": "".join(map(chr, range(0x20000, 0x31000))),
}


@pytest.mark.parametrize("key", SPECS)
def test_a_spec_that_asks_for_too_much(key: str, sound: Path, tmp_path: Path) -> None:
    import json

    from crnn.spec import METADATA_KEY, ModelSpec

    model = onnx.load(str(sound))
    spec = ModelSpec.default().to_dict()
    spec[key] = SPECS[key]
    del model.metadata_props[:]
    helper.set_model_props(model, {METADATA_KEY: json.dumps(spec)})
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(InputError, match="CRNN_MAX_"):
        OnnxRunner(tmp_path / "m.onnx")
