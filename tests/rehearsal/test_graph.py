"""Whole graphs in float16."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from crnn.rehearsal import operators
from crnn.rehearsal.graph import Rehearsal
from crnn.rehearsal.node import NotModelledError
from tests.lstm_models import lstm_model, traced_model
from tests.rehearsal import loops

Build = Callable[[], Any]


def model_of(
    nodes: Sequence[Any],
    constants: Dict[str, np.ndarray],
    shape: Sequence[Any] = (2, 3, 4, 6),
    *,
    kind: int = TensorProto.FLOAT,
    opset: int = 11,
) -> Any:
    """A graph from x to y."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=6)


def float32_of(model: Any, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    result: np.ndarray = session.run(None, {session.get_inputs()[0].name: images})[0]
    return result


def float16_of(model: Any, images: np.ndarray) -> np.ndarray:
    rehearsal = Rehearsal(model)
    (result,) = rehearsal.run({rehearsal.inputs[0]: images})
    assert np.array_equal(result, loops.half(result), equal_nan=True)
    return result


def images_of(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def test_what_only_moves_values_gives_onnx_runtimes() -> None:
    """Each moving operator once, on values that float16 has."""
    node = helper.make_node
    constants = {
        "starts": np.array([-1, 0]),
        "ends": np.array([-99, 3]),
        "axes": np.array([3, 2]),
        "steps": np.array([-2, 1]),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 2]),
        "value": np.array(7, dtype=np.float32),
        "order": np.array([2, 0]),
        "shape": np.array([0, -1, 5]),
    }
    nodes = [
        node("Slice", ["x", "starts", "ends", "axes", "steps"], ["sliced"]),
        node("Pad", ["sliced", "pads", "value"], ["padded"]),
        node("Gather", ["padded", "order"], ["gathered"], axis=1),
        node("Unsqueeze", ["gathered"], ["longer"], axes=[0]),
        node("Squeeze", ["longer"], ["shorter"], axes=[0]),
        node("Transpose", ["shorter"], ["turned"], perm=[0, 2, 1, 3]),
        node("Identity", ["turned"], ["same"]),
        node("Dropout", ["same"], ["kept"]),
        node("Concat", ["kept", "turned"], ["both"], axis=2),
        node("Relu", ["both"], ["above"]),
        node("Reshape", ["above", "shape"], ["shaped"]),
        node("Flatten", ["shaped"], ["y"], axis=2),
    ]
    model = model_of(nodes, constants)
    images = loops.half(images_of(2, 3, 4, 6))
    expected = float32_of(model, images)
    got = float16_of(model, images)
    assert got.shape == expected.shape
    assert np.array_equal(got, expected)


def test_shapes_are_computed_as_shapes() -> None:
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "first"], ["count"], axis=0),
        node("Unsqueeze", ["count"], ["one"], axes=[0]),
        node("Concat", ["one", "rest"], ["sizes"], axis=0),
        node("Reshape", ["x", "sizes"], ["y"]),
    ]
    # A count that float16 does not have.
    constants = {"first": np.array(0), "rest": np.array([-1])}
    model = model_of(nodes, constants, (2049, 2, 1))
    assert float16_of(model, images_of(2049, 2, 1)).shape == (2049, 2)


@pytest.mark.parametrize(("opset", "axis"), [(11, 1), (11, 2), (13, 1), (13, -1)])
def test_log_softmax_of_both_opsets(opset: int, axis: int) -> None:
    nodes = [helper.make_node("LogSoftmax", ["x"], ["y"], axis=axis)]
    model = model_of(nodes, {}, (3, 4, 5), opset=opset)
    images = loops.half(images_of(3, 4, 5))
    assert loops.ulps(float16_of(model, images), float32_of(model, images)).max() <= 1


def test_pixels_are_cast_and_float64_is_rounded_too() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["real", "more"], ["y"]),
    ]
    model = model_of(nodes, {"more": np.float32([2048])}, (3,), kind=TensorProto.UINT8)
    (got,) = Rehearsal(model).run({"x": np.array([0, 1, 3], dtype=np.uint8)})
    assert got.tolist() == [2048, 2048, 2052]


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_an_lstm_of_each_direction_is_near_float32_and_not_the_same(direction: str) -> None:
    model = lstm_model(direction=direction)
    images = images_of(4, 1, 32, 100)
    got, expected = float16_of(model, images), float32_of(model, images)
    assert 0 < np.abs(got - expected).max() < 0.01


def test_an_lstm_takes_its_first_states_and_both_biases_in_float32() -> None:
    states = np.random.default_rng(3).normal(size=(2, 4, 6)).astype(np.float32)
    model = lstm_model(states=states, batch=4)
    images = images_of(4, 1, 32, 100)
    assert np.abs(float16_of(model, images) - float32_of(model, images)).max() < 0.01
    near = lstm_model()
    (bias,) = (tensor for tensor in near.graph.initializer if tensor.name == "B")
    values = numpy_helper.to_array(bias).copy()
    values[:, :24] += 1024.375
    values[:, 24:] -= 1024.0
    bias.CopyFrom(numpy_helper.from_array(values, "B"))
    # Rounded one by one, 1024.375 and -1024 would cancel and lose what lies between.
    assert np.abs(float16_of(near, images) - float32_of(near, images)).max() < 0.01


def test_a_convolutions_bias_and_weights_are_rounded() -> None:
    weight, bias = images_of(4, 3, 3, 3), images_of(4) * 100
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], kernel_shape=[3, 3])
    images = images_of(2, 3, 4, 6)
    got = float16_of(model_of([node], {"w": weight, "b": bias}), images)
    halves = [loops.half(values) for values in (images, weight, bias)]
    expected = operators.convolve(*halves, strides=(1, 1), pads=(0, 0, 0, 0))
    assert np.array_equal(got, expected)
    unrounded = operators.convolve(halves[0], weight, bias, strides=(1, 1), pads=(0, 0, 0, 0))
    assert (got != unrounded).any()


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("open_batch", [False, True])
def test_pytorchs_own_exports(tmp_path: Path, split: bool, open_batch: bool) -> None:
    model = traced_model(tmp_path / "m.onnx", split=split, open_batch=open_batch)
    images = images_of(1, 1, 32, 100)
    got, expected = float16_of(model, images), float32_of(model, images)
    assert 0 < np.abs(got - expected).max() < 0.01


def test_the_first_node_that_overflows_is_named() -> None:
    node = helper.make_node
    nodes = [
        node("Add", ["x", "x"], ["twice"], name="small"),
        node("MatMul", ["twice", "w"], ["sums"], name="large"),
        node("Add", ["sums", "sums"], ["y"], name="after"),
    ]
    rehearsal = Rehearsal(model_of(nodes, {"w": np.float32([[40000]])}, ("n", 1)))
    rehearsal.run({"x": np.float32([[0.5]])})
    assert rehearsal.overflowed == "Add after"
    (result,) = rehearsal.run({"x": np.float32([[1]])})
    assert np.isinf(result).all()
    assert rehearsal.overflowed == "MatMul large"
    rehearsal.run({"x": np.float32([[0]])})
    assert rehearsal.overflowed == "MatMul large"


def conv(**attributes: Any) -> Any:
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="c", kernel_shape=[1, 1], **attributes)
    return model_of([node], {"w": np.ones((3, 1, 1, 1), dtype=np.float32)})


def batch_norm() -> Any:
    node = helper.make_node("BatchNormalization", ["x", "o", "o", "o", "o"], ["y"], name="bn1")
    return model_of([node], {"o": np.ones(3, dtype=np.float32)})


def foreign() -> Any:
    return model_of([helper.make_node("FusedConv", ["x"], ["y"], name="f", domain="other")], {})


def with_lengths() -> Any:
    model = lstm_model(batch=2)
    (node,) = (node for node in model.graph.node if node.op_type == "LSTM")
    node.input.append("lengths")
    lengths = numpy_helper.from_array(np.array([26, 26], dtype=np.int32), "lengths")
    model.graph.initializer.append(lengths)
    return model


REFUSED: List[Any] = [
    (batch_norm, "BatchNormalization (node bn1)"),
    (foreign, "other.FusedConv (node f)"),
    (lambda: conv(group=3), "Conv with group 3 (node c)"),
    (lambda: conv(dilations=[2, 2]), "Conv with dilations [2, 2] (node c)"),
    (lambda: conv(auto_pad="SAME_UPPER"), "Conv with auto_pad SAME_UPPER (node c)"),
    (lambda: lstm_model(last_states=True), "LSTM with its output Y_h in use (node lstm)"),
    (lambda: lstm_model(clip=1.0), "LSTM with clip 1.0 (node lstm)"),
    (with_lengths, "LSTM with sequence lengths (node lstm)"),
]


@pytest.mark.parametrize(("build", "named"), REFUSED, ids=[named for _, named in REFUSED])
def test_what_is_not_modelled_is_refused_by_name(build: Build, named: str) -> None:
    with pytest.raises(NotModelledError) as caught:
        Rehearsal(build())
    expected = (
        "float16 is rehearsed for the operators of the kit's own exports, and"
        f" {named} is not one of them"
    )
    assert str(caught.value) == expected
