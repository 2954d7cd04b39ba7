"""The self-check fails for what it is there to find: each graph here is wrong in one way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Set

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from crnn.errors import InputError
from crnn.export.graph import OUTPUT, GraphOptions, build_graph
from crnn.export.selfcheck import (
    Figure,
    GraphComparison,
    check_generated,
    check_words,
    generated_images,
)
from crnn.weights.checkpoint import Checkpoint, load_checkpoint
from tests.weights.checkpoints import save, split, state

DIFFERENCE = "largest difference from PyTorch"
ARGMAX = "time steps with another argmax"
ALONE = "largest difference between a row and its image alone"
APART = "least difference between two images"

Tamper = Callable[[Any], None]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint(save(tmp_path_factory.mktemp("tiny") / "x.pth", split(state())))


def scale(name: str, factor: float) -> Tamper:
    def tamper(model: Any) -> None:
        (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
        value = np.array(numpy_helper.to_array(tensor) * np.float32(factor))
        tensor.CopyFrom(numpy_helper.from_array(value, name))

    return tamper


def last(kind: str, *, extra: float = 0.0, **attributes: Any) -> Tamper:
    """Put a node between the logits and the output."""

    def tamper(model: Any) -> None:
        model.graph.node[-1].output[0] = "logits"
        inputs = ["logits"]
        if extra:
            model.graph.initializer.append(numpy_helper.from_array(np.float32(extra), "extra"))
            inputs.append("extra")
        model.graph.node.append(helper.make_node(kind, inputs, [OUTPUT], **attributes))

    return tamper


def mix_rows(model: Any) -> None:
    """Add a little of the batch's mean to every row:

    the sort of thing that is right at batch 1 only.
    """
    model.graph.node[-1].output[0] = "logits"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1e-3), "little"))
    model.graph.node.extend(
        [
            helper.make_node("ReduceMean", ["logits"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Sub", ["logits", "mean"], ["apart"]),
            helper.make_node("Mul", ["apart", "little"], ["share"]),
            helper.make_node("Add", ["logits", "share"], [OUTPUT]),
        ]
    )


def without_reverse(model: Any) -> None:
    (node,) = [node for node in model.graph.node if node.name == "rnn.0.rnn"]
    for tensor in model.graph.initializer:
        if tensor.name in node.input[1:]:
            value = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value[::-1]), tensor.name))


def check(data: bytes, checkpoint: Checkpoint, options: GraphOptions) -> Dict[str, Figure]:
    return {
        figure.name: figure
        for figure in check_generated(GraphComparison(data, checkpoint, options))
    }


def failed(figures: Dict[str, Figure]) -> Set[str]:
    return {name for name, figure in figures.items() if not figure.passed}


@pytest.mark.parametrize("batch", [None, 1, 3, 16, 20])
@pytest.mark.parametrize("split_bilstm", [False, True])
def test_right_graphs_pass(tiny: Checkpoint, batch: int, split_bilstm: bool) -> None:
    options = GraphOptions(batch=batch, split_bilstm=split_bilstm)
    figures = check(build_graph(tiny, options), tiny, options)
    assert not failed(figures)
    assert figures[DIFFERENCE].value < 1e-6
    steps = 26 * ((1 + 2 + 3 + 7 + 16) if batch is None else max(16, batch))
    assert figures[ARGMAX].where == f"{steps} time steps"


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        pytest.param(last("Neg"), {DIFFERENCE, ARGMAX}, id="everything wrong"),
        pytest.param(last("Add", extra=2e-4), {DIFFERENCE}, id="a bias, argmax unchanged"),
        pytest.param(
            scale("rnn.1.embedding.bias", 0.0), {DIFFERENCE, ARGMAX}, id="a constant lost"
        ),
        pytest.param(scale("cnn.conv3.bias", 1.01), {DIFFERENCE}, id="a weight one per cent off"),
        pytest.param(without_reverse, {DIFFERENCE, ARGMAX}, id="directions exchanged"),
        pytest.param(mix_rows, {ALONE}, id="rows depend on each other"),
        pytest.param(
            scale("rnn.1.embedding.weight", 0.0),
            {DIFFERENCE, ARGMAX, APART},
            id="same for every image",
        ),
        pytest.param(last("Sqrt"), {DIFFERENCE, ARGMAX, ALONE, APART}, id="not a number"),
    ],
)
@pytest.mark.parametrize("batch", [None, 7])
def test_wrong_graphs_fail_where_they_are_wrong(
    tiny: Checkpoint, tamper: Tamper, expected: Set[str], batch: int
) -> None:
    options = GraphOptions(batch=batch)
    model = onnx.load_model_from_string(build_graph(tiny, options))
    tamper(model)
    figures = check(model.SerializeToString(), tiny, options)
    assert failed(figures) >= expected
    # A wrong value must not be blamed on batching, nor the other way round.
    assert (ALONE in failed(figures)) == (ALONE in expected)


def test_graph_of_another_checkpoint_fails(tiny: Checkpoint, tmp_path: Path) -> None:
    other = load_checkpoint(save(tmp_path / "y.pth", state(seed=1)))
    assert failed(check(build_graph(other, GraphOptions()), tiny, GraphOptions())) >= {
        DIFFERENCE,
        ARGMAX,
    }


def test_network_that_sees_nothing_fails_though_the_graph_agrees(tmp_path: Path) -> None:
    weights = state()
    weights["cnn.conv0.weight"] = weights["cnn.conv0.weight"] * 0
    blind = load_checkpoint(save(tmp_path / "x.pth", weights))
    assert failed(check(build_graph(blind, GraphOptions()), blind, GraphOptions())) == {APART}


def test_network_of_zeros_fails(tmp_path: Path) -> None:
    zeros = {name: tensor * 0 for name, tensor in state().items()}
    blind = load_checkpoint(save(tmp_path / "x.pth", zeros))
    assert failed(check(build_graph(blind, GraphOptions()), blind, GraphOptions())) == {APART}


def test_words_are_compared_by_their_text(tiny: Checkpoint) -> None:
    options = GraphOptions()
    images = generated_images(tiny.spec, 20)
    comparison = GraphComparison(build_graph(tiny, options), tiny, options)
    difference, texts = check_words(comparison, [images[:15], images[15:]])
    assert difference.passed
    assert texts.passed
    assert texts.where == "20 words"
    model = onnx.load_model_from_string(build_graph(tiny, options))
    last("Neg")(model)
    difference, texts = check_words(
        GraphComparison(model.SerializeToString(), tiny, options), [images]
    )
    assert not difference.passed
    assert texts.value > 10


def test_words_fill_up_a_static_batch(tiny: Checkpoint) -> None:
    options = GraphOptions(batch=8)
    comparison = GraphComparison(build_graph(tiny, options), tiny, options)
    figures = check_words(comparison, [generated_images(tiny.spec, 13)])
    assert all(figure.passed for figure in figures)
    assert figures[0].where == "13 words"


def test_no_word_at_all_is_refused(tiny: Checkpoint) -> None:
    comparison = GraphComparison(build_graph(tiny, GraphOptions()), tiny, GraphOptions())
    with pytest.raises(InputError, match="no image that can be read"):
        check_words(comparison, [])


def test_generated_images_are_all_different_pixels_of_the_spec(tiny: Checkpoint) -> None:
    images = generated_images(tiny.spec, 16)
    assert images.shape == (16, 1, 32, 100)
    assert images.dtype == np.float32
    assert len({image.tobytes() for image in images}) == 16
    assert np.isin(images, tiny.spec.table).all()
    assert np.array_equal(images[:4], generated_images(tiny.spec, 4))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_figures_that_are_no_numbers_fail_and_are_null_in_json(value: float) -> None:
    figure = Figure("x", value, 1e-4, "here")
    assert not figure.passed
    assert json.loads(json.dumps(figure.to_dict(), allow_nan=False))["value"] is None


def test_figure_at_its_limit_passes() -> None:
    assert Figure("x", 1e-4, 1e-4, "").passed
    assert Figure("x", 1e-4, 1e-4, "", at_least=True).passed
    assert not Figure("x", float("nan"), 1e-4, "", at_least=True).passed
