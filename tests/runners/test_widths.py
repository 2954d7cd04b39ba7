"""Models that read at several widths: what each gives is measured, and no other width is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Tuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from crnn.errors import InputError, UsageError
from crnn.labels import DIGITS_AND_LETTERS
from crnn.runners.onnx_runner import OnnxRunner
from crnn.runners.open import by_width_rule, open_runner
from crnn.runners.rehearsal_runner import RehearsalRunner
from crnn.spec import ModelSpec
from crnn.widths import Widths
from tests.models import write_echo_model, write_width_model
from tests.weights.checkpoints import save, state

# Its poolings give a step for four columns, and none more: 25 at 100, not the usual network's 26.
SPEC = replace(
    ModelSpec.default(),
    characters=DIGITS_AND_LETTERS[:31],
    time_steps=25,
    widths=Widths(list=(80, 100, 128)),
)


def images(count: int, width: int, seed: int = 1) -> np.ndarray:
    shape = (count, 1, 32, width)
    return SPEC.table[np.random.default_rng(seed).integers(0, 256, shape)]


def opened(path: Path, spec: ModelSpec = SPEC) -> OnnxRunner:
    runner = OnnxRunner(path, threads=1)
    runner.read_by(spec)
    return runner


@pytest.mark.parametrize("kind", [OnnxRunner, RehearsalRunner])
def test_each_width_has_the_time_steps_that_the_model_gives(tmp_path: Path, kind: Any) -> None:
    runner = kind(write_width_model(tmp_path / "m.onnx"))
    runner.read_by(SPEC)
    with runner:
        for width, steps in ((128, 32), (80, 20), (100, 25)):
            assert runner.run(images(3, width)).shape == (steps, 3, 32)


def test_a_stream_may_change_the_width_with_each_batch(tmp_path: Path) -> None:
    batches = [images(count, width, count) for count, width in ((3, 80), (1, 128), (2, 80))]
    with opened(write_width_model(tmp_path / "m.onnx")) as runner:
        for got, batch in zip(runner.stream(iter(batches)), batches):
            np.testing.assert_array_equal(got, runner.run(batch))


@pytest.mark.parametrize("width", [99, 96, 32, 200])
def test_no_image_of_another_width_is_read(tmp_path: Path, width: int) -> None:
    runner = opened(write_width_model(tmp_path / "m.onnx"))
    with runner, pytest.raises(InputError, match=r"W one of 80, 100, 128"):
        runner.run(images(1, width))


def test_a_spec_that_says_other_steps_of_the_fixed_width_is_refused(tmp_path: Path) -> None:
    wrong = replace(SPEC, time_steps=26)
    with opened(write_width_model(tmp_path / "m.onnx"), wrong) as runner:
        runner.run(images(1, 80))
        with pytest.raises(InputError, match="25 time steps for images of width 100; .* says 26"):
            runner.run(images(1, 100))


def test_a_model_of_one_width_says_which_it_lacks(tmp_path: Path) -> None:
    spec = replace(ModelSpec.default(), widths=Widths(list=(80, 100, 160)))
    runner = opened(write_echo_model(tmp_path / "m.onnx"), spec)
    with pytest.raises(InputError, match="lacks the width 80, 160, which the spec") as caught:
        runner.__enter__()
    assert "--width-rule off" in (caught.value.hint or "")


def write_inner_width_model(path: Path) -> Path:
    """Write a model that says it takes any width, and holds 25 time steps inside."""
    nodes = [
        helper.make_node("MaxPool", ["image"], ["pooled"], kernel_shape=[1, 4], strides=[1, 4]),
        helper.make_node("Reshape", ["pooled", "shape"], ["logits"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 32, "width"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [25, "batch", 32])
    shape = numpy_helper.from_array(np.array([25, -1, 32], dtype=np.int64), "shape")
    graph = helper.make_graph(nodes, "inner", [image], [logits], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("count", [1, 5])
def test_a_width_that_the_graph_holds_inside_is_found_at_the_first_run(
    tmp_path: Path, count: int
) -> None:
    with opened(write_inner_width_model(tmp_path / "m.onnx")) as runner:
        assert runner.run(images(3, 100)).shape == (25, 3, 32)
        with pytest.raises(InputError):
            runner.run(images(count, 80))


def test_a_width_too_narrow_for_the_network_is_told(tmp_path: Path) -> None:
    runner = open_runner(save(tmp_path / "m.pth", state()))
    runner.read_by(replace(ModelSpec.default(), widths=Widths(list=(2, 100))))
    with pytest.raises(InputError, match="the width is 2; expected at least 4"):
        runner.__enter__()


def test_off_reads_at_the_fixed_width(tmp_path: Path) -> None:
    path = write_width_model(tmp_path / "m.onnx")
    off = by_width_rule(SPEC, "off", path)
    assert off == replace(SPEC, widths=None)
    with opened(path, off) as runner:
        assert runner.run(images(2, 100)).shape == (25, 2, 32)
        with pytest.raises(InputError, match="expected"):
            runner.run(images(2, 80))
    assert by_width_rule(SPEC, None, path) is by_width_rule(SPEC, "aspect", path) is SPEC
    with pytest.raises(UsageError, match="names no widths"):
        by_width_rule(off, "aspect", path)


def test_axes_are_proven_where_a_batch_is_as_long_as_the_time_of_its_width(
    tmp_path: Path,
) -> None:
    path = write_width_model(tmp_path / "m.onnx")
    turned = replace(SPEC, output_axes="NTK")
    for spec, fits in ((SPEC, True), (turned, False)):
        with opened(path, spec) as runner:
            if fits:
                assert runner.run(images(20, 80)).shape == (20, 20, 32)
            else:
                with pytest.raises(InputError, match="the output's are TNK"):
                    runner.run(images(20, 80))


def test_the_width_of_a_batch_counts_for_its_sizes(tmp_path: Path) -> None:
    class Two(OnnxRunner):
        def _sizes_at(self, width: int) -> Tuple[int, ...]:
            return {80: (2, 4), 100: (3,), 128: (8,)}[width]

        def _run(self, images: np.ndarray) -> np.ndarray:
            ran.append((images.shape[3], len(images)))
            return super()._run(images)

    runner = Two(write_width_model(tmp_path / "m.onnx"), threads=1)
    runner.read_by(SPEC)
    with runner:
        for width, count in ((80, 6), (100, 4), (128, 1)):
            ran: list = []
            runner.run(images(count, width))
            ran.clear()
            assert runner.run(images(count, width)).shape[1] == count
            assert {each for each, _ in ran} == {width}
            assert [size for _, size in ran] == {80: [4, 2], 100: [3, 3], 128: [8]}[width]
