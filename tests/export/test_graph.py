"""The ONNX file:

its form, as the Ascend compiler wants it, and its values, as PyTorch computes them.
"""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from crnn.export.graph import CHECKPOINT_KEY, INPUT, OUTPUT, GraphOptions, build_graph
from crnn.export.selfcheck import GraphComparison, check_generated, generated_images
from crnn.presets import CrnnConfig
from crnn.spec import METADATA_KEY, ModelSpec
from crnn.weights.checkpoint import Checkpoint, load_checkpoint
from tests.conftest import ROOT
from tests.weights.checkpoints import prefixed, save, split, state, training

OPTIONS = [
    GraphOptions(),
    GraphOptions(batch=3),
    GraphOptions(split_bilstm=True),
    GraphOptions(log_softmax=True),
    GraphOptions(batch=2, split_bilstm=True, log_softmax=True),
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint(save(tmp_path_factory.mktemp("tiny") / "x.pth", split(state())))


def parse(data: bytes) -> Any:
    return onnx.load_model_from_string(data)


def shape(value: Any) -> List[Any]:
    return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]


def run(data: bytes, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    output: np.ndarray = session.run([OUTPUT], {INPUT: images})[0]
    return output


def truth(checkpoint: Checkpoint, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        output: np.ndarray = checkpoint.model(torch.from_numpy(images)).numpy()
    return output


def test_file_is_opset_11_and_ir_6_with_the_historical_names_and_shapes(tiny: Checkpoint) -> None:
    model = parse(build_graph(tiny, GraphOptions()))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 11)]
    assert model.ir_version == 6
    (image,), (logits,) = model.graph.input, model.graph.output
    assert (image.name, shape(image)) == ("actual_input_1", ["batch", 1, 32, 100])
    assert (logits.name, shape(logits)) == ("output1", [26, "batch", 37])
    assert {value.type.tensor_type.elem_type for value in (image, logits)} == {
        onnx.TensorProto.FLOAT
    }


def test_graph_holds_nothing_that_the_compiler_trips_over(tiny: Checkpoint) -> None:
    """No BatchNorm, no Shape chain, no initial LSTM state, weights constant: 30 nodes."""
    graph = parse(build_graph(tiny, GraphOptions())).graph
    kinds = collections.Counter(node.op_type for node in graph.node)
    assert kinds == {
        "Conv": 7,
        "Relu": 7,
        "MaxPool": 4,
        "Squeeze": 1,
        "Transpose": 3,
        "LSTM": 2,
        "Reshape": 4,
        "Gemm": 2,
    }
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "LSTM":
            assert len(node.input) == 4
            assert set(node.input[1:]) <= constants
            assert {attribute.name for attribute in node.attribute} == {"direction", "hidden_size"}


def test_static_batch_leaves_no_size_open(tiny: Checkpoint) -> None:
    model = parse(build_graph(tiny, GraphOptions(batch=5)))
    assert shape(model.graph.input[0]) == [5, 1, 32, 100]
    assert shape(model.graph.output[0]) == [26, 5, 37]
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    sizes = [size for value in inferred.graph.value_info for size in shape(value)]
    assert len(inferred.graph.value_info) == len(model.graph.node) - 1
    assert all(isinstance(size, int) and size > 0 for size in sizes)
    reshapes = [
        tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT64
    ]
    assert all((onnx.numpy_helper.to_array(tensor) > 0).all() for tensor in reshapes)


def test_split_lstms_are_forward_ones_between_constant_gathers(tiny: Checkpoint) -> None:
    graph = parse(build_graph(tiny, GraphOptions(split_bilstm=True))).graph
    directions = [node.attribute[0].s for node in graph.node if node.op_type == "LSTM"]
    assert directions == [b"forward"] * 4
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    gathers = [node for node in graph.node if node.op_type == "Gather"]
    assert len(gathers) == 4
    for node in gathers:
        assert constants[node.input[1]].tolist() == list(range(25, -1, -1))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_values_are_pytorchs(tiny: Checkpoint, options: GraphOptions) -> None:
    images = generated_images(tiny.spec, options.batch or 4)
    expected = torch.from_numpy(truth(tiny, images))
    expected = expected.log_softmax(2) if options.log_softmax else expected
    np.testing.assert_allclose(
        run(build_graph(tiny, options), images), expected.numpy(), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_same_checkpoint_gives_the_same_bytes(tmp_path: Path, options: GraphOptions) -> None:
    path = save(tmp_path / "x.pth", split(state()))
    assert build_graph(load_checkpoint(path), options) == build_graph(
        load_checkpoint(path), options
    )


def test_both_key_layouts_give_the_same_graph(tmp_path: Path) -> None:
    first = load_checkpoint(save(tmp_path / "a", split(state())))
    second = load_checkpoint(save(tmp_path / "b", training(prefixed(state()))))
    assert (
        parse(build_graph(first, GraphOptions())).graph
        == parse(build_graph(second, GraphOptions())).graph
    )


def test_metadata_hold_the_spec_and_the_checkpoints_hash(tmp_path: Path) -> None:
    path = save(tmp_path / "x.pth", state(CrnnConfig(channels=(2,) * 7, hidden=3, classes=6)))
    checkpoint = load_checkpoint(path, alphabet="Aaé一 ", width=64)
    metadata: Dict[str, str] = {
        entry.key: entry.value
        for entry in parse(build_graph(checkpoint, GraphOptions())).metadata_props
    }
    assert ModelSpec.from_json(metadata[METADATA_KEY]) == checkpoint.spec
    assert (checkpoint.spec.characters, checkpoint.spec.time_steps) == ("Aaé一 ", 17)
    assert metadata[CHECKPOINT_KEY] == checkpoint.sha256


@pytest.mark.parametrize("width", [4, 30, 160, 320])
def test_width_is_baked_in(tmp_path: Path, width: int) -> None:
    checkpoint = load_checkpoint(save(tmp_path / "x.pth", state()), width=width)
    data = build_graph(checkpoint, GraphOptions())
    assert shape(parse(data).graph.output[0]) == [width // 4 + 1, "batch", 37]
    images = generated_images(checkpoint.spec, 2)
    np.testing.assert_allclose(run(data, images), truth(checkpoint, images), atol=1e-6, rtol=0)


def test_trained_network_differs_by_rounding_alone(tmp_path: Path) -> None:
    """Its logits reach 12, where float32 resolves 1e-6, and two LSTMs carry each rounding on."""
    checkpoint = load_checkpoint(ROOT / "examples" / "crnn_small.pth")
    data = build_graph(checkpoint, GraphOptions())
    images = generated_images(checkpoint.spec, 16)
    comparison = GraphComparison(data, checkpoint, GraphOptions())
    difference = np.abs(comparison.onnx(images) - comparison.torch(images))
    assert difference.max() < 3e-5
    assert difference.mean() < 2e-6


def test_published_architecture_exports_small_and_close(tmp_path: Path) -> None:
    weights = state(CrnnConfig())
    checkpoint = load_checkpoint(save(tmp_path / "x.pth", {"state_dict": split(weights)}))
    assert checkpoint.parameters == 8_331_301
    data = build_graph(checkpoint, GraphOptions())
    assert len(parse(data).graph.node) <= 32
    assert len(data) <= 34_000_000
    figures = check_generated(GraphComparison(data, checkpoint, GraphOptions()))
    assert all(figure.passed for figure in figures)
    assert figures[0].value <= 1e-5
    bidirectional = build_graph(
        load_checkpoint(save(tmp_path / "y.pth", prefixed(weights))), GraphOptions()
    )
    assert parse(bidirectional).graph == parse(data).graph
