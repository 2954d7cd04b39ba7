"""One ONNX for all widths: free in width and batch, and what PyTorch computes at each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, List

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from crnn.cli.main import main
from crnn.errors import InputError, UsageError
from crnn.export.graph import GraphOptions, build_graph
from crnn.export.selfcheck import GraphComparison, check_generated
from crnn.export.to_onnx import export_onnx
from crnn.presets import PRESETS
from crnn.runners.onnx_runner import OnnxRunner
from crnn.spec import ModelSpec
from crnn.weights.checkpoint import Checkpoint, load_checkpoint
from crnn.widths import Widths
from tests.export.test_graph import parse, run, shape, tiny, truth  # noqa: F401
from tests.weights.checkpoints import save, state

SMALL = {"channels": (4, 4, 8, 8, 8, 8, 8), "hidden": 8}


def wide(checkpoint: Checkpoint, *widths: int) -> Checkpoint:
    spec = replace(checkpoint.spec, widths=Widths(list=widths))
    return replace(checkpoint, spec=spec)


def images(spec: ModelSpec, count: int, width: int) -> np.ndarray:
    random = np.random.default_rng(width)
    shape = (count, spec.channels, spec.height, width)
    values: np.ndarray = spec.table[random.integers(0, 256, shape)]
    return values


def of_preset(name: str, tmp_path: Path) -> Checkpoint:
    preset = PRESETS[name]
    path = save(tmp_path / f"{name}.pth", state(replace(preset.config, **SMALL)))
    found = load_checkpoint(path, variant=name)
    # The test is about the network: no OpenCV is needed.
    return replace(found, spec=replace(found.spec, resizer="pil-bilinear"))


def test_width_time_and_batch_are_open(tiny: Checkpoint) -> None:  # noqa: F811
    graph = parse(build_graph(wide(tiny, 80, 128), GraphOptions())).graph
    assert shape(graph.input[0]) == ["batch", 1, 32, "width"]
    assert shape(graph.output[0]) == ["steps", "batch", 37]
    fixed = parse(build_graph(wide(tiny, 80, 128), GraphOptions(batch=3))).graph
    assert shape(fixed.input[0]) == [3, 1, 32, "width"]


def test_no_constant_depends_on_width_or_time(tiny: Checkpoint) -> None:  # noqa: F811
    """So that a static copy of any width is the same graph with other sizes; and no chain of Shape
    nodes, which the Ascend compiler refuses.
    """
    graph = parse(build_graph(wide(tiny, 80, 128), GraphOptions())).graph
    assert not {node.op_type for node in graph.node} & {"Shape", "Gather", "Concat", "Slice"}
    sizes = [
        numpy_helper.to_array(tensor).tolist()
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.INT64
    ]
    assert sizes
    assert all(size[:2] == [0, 0] for size in sizes)


@pytest.mark.parametrize("name", ["modelzoo", "mindspore-v2", "mindspore-v1", "tensorflow"])
def test_every_width_and_odd_batches_are_pytorchs(tmp_path: Path, name: str) -> None:
    checkpoint = wide(of_preset(name, tmp_path), 48, 80, 101, 320)
    data = build_graph(checkpoint, GraphOptions())
    steps: List[int] = []
    for width in (48, 80, 101, 320):
        for count in (1, 3):
            pictures = images(checkpoint.spec, count, width)
            got, want = run(data, pictures), truth(checkpoint, pictures)
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, atol=5e-4)
        steps.append(got.shape[0])
    more = {"modelzoo": 1, "tensorflow": 0}.get(name, -1)
    assert steps == [width // 4 + more for width in (48, 80, 101, 320)]


@pytest.mark.parametrize("name", ["mindspore-v2", "tensorflow"])
def test_the_runner_measures_the_steps_of_other_poolings(tmp_path: Path, name: str) -> None:
    checkpoint = wide(of_preset(name, tmp_path), 80, 100)
    path = tmp_path / "m.onnx"
    path.write_bytes(build_graph(checkpoint, GraphOptions()))
    with OnnxRunner(path, threads=1) as runner:
        for width in (80, 100):
            pictures = images(checkpoint.spec, 2, width)
            assert runner.run(pictures).shape == truth(checkpoint, pictures).shape
        assert runner.run(pictures).shape[0] == checkpoint.spec.time_steps


def test_log_softmax_is_over_the_classes(tiny: Checkpoint) -> None:  # noqa: F811
    data = build_graph(wide(tiny, 80), GraphOptions(log_softmax=True))
    got = run(data, images(tiny.spec, 2, 80))
    np.testing.assert_allclose(np.exp(got).sum(axis=2), 1, atol=1e-5)


def test_the_check_is_of_each_width(tiny: Checkpoint) -> None:  # noqa: F811
    checkpoint = wide(tiny, 80, 128)
    sound = build_graph(checkpoint, GraphOptions())
    figures = check_generated(GraphComparison(sound, checkpoint, GraphOptions()))
    assert len(figures) == 8
    assert all(figure.passed for figure in figures)
    assert {figure.name.rpartition(", ")[2] for figure in figures} == {"width 80", "width 128"}


def test_a_graph_that_is_wrong_at_one_width_is_not_written(tmp_path: Path) -> None:
    checkpoint = wide(of_preset("modelzoo", tmp_path), 80, 128)

    class Wrong(GraphComparison):
        def onnx(self, pictures: np.ndarray) -> np.ndarray:
            return super().onnx(pictures) + (pictures.shape[3] == 128)

    graph = build_graph(checkpoint, GraphOptions())
    figures = check_generated(Wrong(graph, checkpoint, GraphOptions()))
    failed = [figure.name for figure in figures if not figure.passed]
    assert "largest difference from PyTorch, width 128" in failed
    assert not [name for name in failed if name.endswith("width 80")]


def test_what_cannot_be_written_is_refused(tmp_path: Path, tiny: Checkpoint) -> None:  # noqa: F811
    target = tmp_path / "m.onnx"
    with pytest.raises(UsageError, match="--split-bilstm turns a fixed number of time steps"):
        export_onnx(wide(tiny, 80), target, GraphOptions(split_bilstm=True))
    with pytest.raises(InputError, match="the width is 3; expected at least 4"):
        export_onnx(wide(tiny, 3, 80), target, GraphOptions())
    assert not target.exists()


def test_the_verb_writes_the_rule(tmp_path: Path, capsys: Any) -> None:
    source = save(tmp_path / "x.pth", state())
    target = str(tmp_path / "m.onnx")
    told = tmp_path / "told.json"
    options = ["--widths", "128,80", "--factor", "30", "--json", str(told)]
    assert main(["export", str(source), target, *options]) == 0
    assert json.loads(told.read_text("utf-8"))["onnx"]["widths"] == [80, 128]
    assert OnnxRunner(Path(target)).spec.widths == Widths(factor=30.0, list=(80, 128))
    capsys.readouterr()
    assert main(["spec", "show", target, "--json", "-"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["spec"]["format"] == "crnn-spec/2"
    assert shown["spec"]["widths"] == {"rule": "aspect", "factor": 30.0, "list": [80, 128]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--widths", "80,x"], "expected whole numbers"),
        (["--widths", ""], "expected whole numbers"),
        (["--widths", "0"], "expected whole numbers"),
        (["--factor", "30"], "--factor belongs to --widths"),
        (["--widths", "80", "--factor", "0"], "factor is 0.0; expected 0.001 to 65535"),
        (["--widths", "80,65535"], "at most 1048576"),
    ],
)
def test_odd_widths_are_told(tmp_path: Path, capsys: Any, options: List[str], said: str) -> None:
    source = save(tmp_path / "x.pth", state())
    code = main(["export", str(source), str(tmp_path / "m.onnx"), *options])
    error = capsys.readouterr().err
    assert code in (1, 2)
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "m.onnx").exists()


def test_chinese_lines_of_280_and_320_columns(tmp_path: Path, capsys: Any) -> None:
    """An alphabet of thousands, one width or both: exported, checked, read."""
    alphabet = "".join(chr(0x4E00 + number) for number in range(3000))
    (tmp_path / "characters.txt").write_text(alphabet, encoding="utf-8")
    config = replace(PRESETS["modelzoo"].config, **SMALL, classes=3001)
    source = str(save(tmp_path / "x.pth", state(config)))
    random = np.random.default_rng(1)
    for width in (280, 320):
        pixels = random.integers(0, 256, (32, width), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{width}.png")
    lines = [str(tmp_path / "280.png"), str(tmp_path / "320.png")]
    target = str(tmp_path / "m.onnx")
    characters = ["--alphabet", f"@{tmp_path / 'characters.txt'}"]
    assert main(["export", source, target, *characters, "--width", "280"]) == 0
    assert OnnxRunner(Path(target)).spec.time_steps == 71
    assert main(["read", target, *lines, "--json", str(tmp_path / "one.json")]) == 0
    both = ["--widths", "280,320", "--factor", "32"]
    assert main(["export", source, target, *characters, *both]) == 0
    capsys.readouterr()
    assert main(["read", target, *lines, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)["readings"]
    assert [reading["width"] for reading in found] == [280, 320]
    one = json.loads((tmp_path / "one.json").read_text("utf-8"))["readings"]
    assert found[0]["text"] == one[0]["text"]
