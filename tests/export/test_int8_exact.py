"""int8 arithmetic: which models and releases are told apart, and ONNX Runtime against NumPy's exact
integers.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from crnn.cli.main import main
from crnn.export.quantize import quantise
from crnn.export.rendered import rendered_samples
from crnn.image import decode
from crnn.runners.int8 import SAFE, Int8, int8_of, way_for
from crnn.spec import ModelSpec
from tests.conftest import ROOT
from tests.foreign import few_words_lmdb

WIDE = Int8(("MatMulInteger",), True, False)
BARE = Int8(("MatMulInteger",), True, True)


@pytest.fixture(scope="module")
def folder(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped model, float.onnx, and its int8 copy, int8.onnx."""
    path = tmp_path_factory.mktemp("int8")
    shutil.copy(str(shipped), str(path / "float.onnx"))
    few = few_words_lmdb(path / "few", 60)
    quantise(path / "float.onnx", path / "int8.onnx", few, calibrate=20)
    return path


def test_weights_keep_to_seven_bits_in_convolutions_and_lstms(folder: Path) -> None:
    proto = onnx.load(str(folder / "int8.onnx"))
    weights = {
        tensor.name: numpy_helper.to_array(tensor).astype(int)
        for tensor in proto.graph.initializer
        if tensor.data_type == TensorProto.INT8 and len(tensor.dims) > 1
    }
    assert sum(name.startswith("cnn.") for name in weights) == 7
    assert sum(name.startswith("rnn.") for name in weights) == 4
    for name, values in weights.items():
        assert np.abs(values).max() <= SAFE, name
        assert np.abs(values).max() > SAFE // 2, name
    found = int8_of(proto)
    assert found.operators == ("DynamicQuantizeLSTM", "QuantizeLinear")
    assert not found.wide


def test_onnx_runtime_computes_the_convolutions_to_the_last_bit(folder: Path) -> None:
    """With weights of seven bits this holds on processors with and without VNNI."""
    proto = onnx.load(str(folder / "int8.onnx"))
    spec = ModelSpec.default()
    words = [decode(sample.image or b"", spec) for sample in list(rendered_samples())[:3]]
    images = spec.table[np.stack(words)]
    last = _last_convolution(proto)
    proto.graph.output.append(helper.make_tensor_value_info(last, TensorProto.UINT8, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    got = session.run([last], {proto.graph.input[0].name: images})[0]
    exact = _exact(proto, images, last)
    assert got.shape == exact.shape
    np.testing.assert_array_equal(got, exact)
    assert len(np.unique(exact)) > 20


def _last_convolution(proto: Any) -> str:
    """Return the name of the eight-bit output of the last convolution."""
    outputs = [node.output[0] for node in proto.graph.node if node.op_type == "Conv"]
    for node in proto.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] == outputs[-1]:
            return str(node.output[0])
    raise AssertionError("the last convolution is not quantised")


def _exact(proto: Any, images: np.ndarray, last: str) -> np.ndarray:
    """Compute the graph as far as ``last`` with integers of 64 bits."""
    constants = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    whole: Dict[str, np.ndarray] = {proto.graph.input[0].name: images}
    made = {node.output[0]: node for node in proto.graph.node}
    for node in proto.graph.node:
        name = node.output[0]
        if node.op_type == "QuantizeLinear":
            scale, zero = (constants[key] for key in node.input[1:3])
            whole[name] = _quantised(whole[node.input[0]], scale, int(zero))
            if name == last:
                break
        elif node.op_type == "DequantizeLinear" and node.input[0] in whole:
            # Integers less their zero point; the scale joins in `_conv`.
            whole[name] = whole[node.input[0]].astype(np.int64) - int(constants[node.input[2]])
        elif node.op_type == "MaxPool":
            whole[name] = _pooled(whole[node.input[0]], node)
        elif node.op_type == "Conv":
            whole[name] = _conv(node, made, whole, constants)
        # A value on its way to be quantised again by the same scale keeps its integers.
        if node.op_type == "MaxPool":
            zero_point = constants[made[node.input[0]].input[2]]
            whole[name] = _Same(whole[name] + int(zero_point))
    return whole[last].astype(np.uint8)


class _Same(np.ndarray):
    """Integers that are quantised already."""

    def __new__(cls, values: np.ndarray) -> _Same:
        return np.asarray(values).view(cls)


def _quantised(values: np.ndarray, scale: np.ndarray, zero: int) -> np.ndarray:
    if isinstance(values, _Same):
        return np.asarray(values)
    if values.dtype == np.float32:
        return np.clip(np.rint(values / scale) + zero, 0, 255).astype(np.int64)
    raise AssertionError(values.dtype)


def _conv(
    node: Any, made: Dict[str, Any], whole: Dict[str, np.ndarray], constants: Dict[str, np.ndarray]
) -> np.ndarray:
    x_scale = constants[made[node.input[0]].input[1]]
    weights = constants[made[node.input[1]].input[0]].astype(np.int64)
    w_scale = constants[made[node.input[1]].input[1]]
    bias = constants[made[node.input[2]].input[0]].astype(np.int64)
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    x = np.pad(whole[node.input[0]], ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weights.shape[2:], axis=(2, 3))
    sums = np.einsum("nchwij,ocij->nohw", windows, weights, optimize=True)
    sums = sums + bias[None, :, None, None]
    after = [other for other in made.values() if other.input and other.input[0] == node.output[0]]
    assert [other.op_type for other in after] == ["QuantizeLinear"]
    y_scale, zero = (constants[key] for key in after[0].input[1:3])
    # ONNX Runtime's requantisation: one float32 factor for each channel, then to the nearest even.
    factor = (x_scale * w_scale / y_scale).astype(np.float32)[None, :, None, None]
    values = np.rint(sums.astype(np.float32) * factor) + int(zero)
    return _Same(np.clip(values, 0, 255).astype(np.int64))


def _pooled(values: np.ndarray, node: Any) -> np.ndarray:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    rows, columns = attributes["kernel_shape"]
    down, across = attributes["strides"]
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    least = int(values.min())
    padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=least)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (rows, columns), axis=(2, 3))
    return windows[:, :, ::down, ::across].max(axis=(-2, -1))


def test_a_wide_model_is_recognised_whoever_wrote_it() -> None:
    for operator, inputs in (("MatMulInteger", 2), ("QLinearMatMul", 8), ("QAttention", 5)):
        assert int8_of(_model(operator, inputs, 127)) == Int8(
            (operator,), True, operator == "MatMulInteger"
        )
        assert not int8_of(_model(operator, inputs, -SAFE)).wide
        assert int8_of(_model(operator, inputs, -SAFE - 1)).wide
    assert int8_of(_model("MatMul", 2, 127)) == Int8((), False, False)
    assert int8_of(_model("QLinearMatMul", 8, 127, inside_if=True)).wide


def _model(operator: str, inputs: int, weight: int, *, inside_if: bool = False) -> Any:
    names = ["x", "w", *(f"n{index}" for index in range(inputs - 2))]
    weights = numpy_helper.from_array(np.full((4, 4), weight, np.int8), "w")
    node = helper.make_node(operator, names, ["y"])
    graph = helper.make_graph([node], "g", [], [], [weights])
    if inside_if:
        outer = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([outer], "outer", [], [])
    return helper.make_model(graph)


@pytest.mark.parametrize(
    ("found", "saturating", "version", "exact", "said"),
    [
        (WIDE, False, "1.31.1", False, ""),
        (Int8(("QGemm",), False, False), True, "1.31.1", False, ""),
        (WIDE, True, "1.31.1", True, "runs with session.x64quantprecision=1, exact and slower"),
        (WIDE, True, "1.13.1", True, "exact and slower"),
        (WIDE, True, "1.12.1", False, "ONNX Runtime 1.12.1 ignores session.x64quantprecision"),
        (WIDE, True, "1.9.0", False, "ONNX Runtime 1.9.0 ignores session.x64quantprecision"),
        (BARE, True, "1.19.2", False, "ONNX Runtime 1.19.2 may abort"),
        (BARE, True, "1.31.1", True, "exact and slower"),
    ],
)
def test_the_way_to_run_it(
    found: Int8, saturating: bool, version: str, exact: bool, said: str
) -> None:
    way = way_for(found, saturating, version)
    assert way.exact is exact
    assert said in way.note
    assert bool(way.note) is bool(said)


def test_inspect_and_doctor_tell_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("inspect", "doctor"):
        assert main([verb, str(folder / "int8.onnx")]) == 0
        out = capsys.readouterr().out
        assert "DynamicQuantizeLSTM" in out
        assert "int8" in out
        assert main([verb, str(folder / "float.onnx")]) == 0
        assert "DynamicQuantizeLSTM" not in capsys.readouterr().out


EMULATOR: Optional[str] = shutil.which("qemu-x86_64")
PROGRAM = """
import sys
from pathlib import Path
from crnn.runners.int8 import saturates
from crnn.runners.onnx_runner import OnnxRunner
import numpy as np
print("saturates", saturates())
with OnnxRunner(Path(sys.argv[1]), threads=1) as runner:
    print(*runner.notes)
    print("sums", int(runner.run(np.full((1, 1, 32, 100), 255, np.uint8)).ravel()[0]))
"""


@pytest.mark.skipif(EMULATOR is None, reason="no qemu-x86_64 (Debian: qemu-user)")
def test_on_a_processor_without_vnni(tmp_path: Path) -> None:
    """Emulated: a model of others, whose products saturate, gives exact sums and says how."""
    model = _product(tmp_path / "wide.onnx")
    command: List[str] = [str(EMULATOR), "-cpu", "Haswell", sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        [*command, str(model)], capture_output=True, text=True, cwd=ROOT, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    first, note, sums = done.stdout.splitlines()
    assert first == "saturates True"
    assert "session.x64quantprecision=1, exact and slower" in note
    assert sums == f"sums {255 * 127 * 64}"


def _product(path: Path) -> Path:
    """Write a model of one integer product, by weights of 127, with the default spec's ends."""
    nodes = list(_product_nodes())
    weights = np.full((64, 37), 127, np.int8)
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 1, 32, 100])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [26, 1, 37])],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.uint8(0), "zero"),
            numpy_helper.from_array(np.int8(0), "none"),
            numpy_helper.from_array(np.array([50, 64], np.int64), "rows"),
            numpy_helper.from_array(np.array([0], np.int64), "start"),
            numpy_helper.from_array(np.array([26], np.int64), "end"),
            numpy_helper.from_array(np.array([26, 1, 37], np.int64), "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.save(model, str(path))
    return path


def _product_nodes() -> Iterator[Any]:
    yield helper.make_node("Reshape", ["x", "rows"], ["all"])
    yield helper.make_node("Slice", ["all", "start", "end"], ["steps"])
    yield helper.make_node("MatMulInteger", ["steps", "w", "zero", "none"], ["sums"])
    yield helper.make_node("Cast", ["sums"], ["float"], to=TensorProto.FLOAT)
    yield helper.make_node("Reshape", ["float", "shape"], ["y"])
