"""What ATC would reject is found before it runs; what it takes passes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Callable, Optional, Tuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from crnn.ascend.environment import Version
from crnn.compile.preflight import check_graph, doubts, problems
from crnn.errors import InputError
from crnn.export.onnx_graph import Graph
from crnn.spec import ModelSpec
from tests.lstm_models import HIDDEN, lstm_model, traced_model

SPEC = ModelSpec.default()
Change = Callable[[onnx.ModelProto], Any]


def check(
    model: onnx.ModelProto,
    *batches: int,
    cann: Optional[Tuple[int, int]] = None,
    spec: ModelSpec = SPEC,
) -> Optional[int]:
    version = Version(*cann) if cann else None
    return check_graph(
        model, spec=spec, batches=batches or (1,), cann=version, where="m.onnx"
    ).batch


def refused(model: onnx.ModelProto, *batches: int, cann: Optional[Tuple[int, int]] = None) -> str:
    with pytest.raises(
        InputError,
        match="m.onnx: (ATC would reject this graph|the graph is not what its spec says)\n  - ",
    ) as caught:
        check(model, *batches, cann=cann)
    return caught.value.message


def test_a_good_graph_passes_for_any_batch_gears_and_version() -> None:
    model = lstm_model()
    assert check(model) is None
    assert check(model, 16) is None
    assert check(model, 1, 4, 8, 16, cann=(5, 0)) is None
    assert check(lstm_model(batch=4), 4) == 4


def test_the_inputs_name_is_taken_from_the_graph() -> None:
    model = lstm_model()
    model.graph.input[0].name = model.graph.node[0].input[0] = "imgs"
    assert check_graph(model, spec=SPEC, batches=(1,), cann=None, where="m").name == "imgs"


def _turned(model: onnx.ModelProto, names: Tuple[str, ...]) -> onnx.ModelProto:
    """Give the output another order of axes, with open sizes of these names."""
    dims = model.graph.output[0].type.tensor_type.shape.dim
    for dim, name in zip(dims, names):
        dim.Clear()
        dim.dim_param = name
    return model


def test_the_name_of_the_batch_tells_its_axis() -> None:
    model = lstm_model()
    name = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert name
    for names, axes in (((name, "t", "k"), "NTK"), ((name, "", ""), "NTK")):
        line = refused(_turned(lstm_model(), names), 26)
        assert f"--output-axes {axes}" in line
    assert check(_turned(lstm_model(), ("t", name, "k")), 26) is None
    assert check(_turned(lstm_model(), (name, name, "k")), 26) is None
    assert check(_turned(lstm_model(), ("a", "b", "c")), 26) is None
    spec = dataclasses.replace(SPEC, output_axes="NTK")
    assert check(_turned(lstm_model(), (name, "t", "k")), 26, spec=spec) is None


def set_opset(version: int) -> Change:
    return lambda model: setattr(model.opset_import[0], "version", version)


def set_dim(tensor: str, axis: int, size: Optional[int]) -> Change:
    def change(model: onnx.ModelProto) -> None:
        dim = getattr(model.graph, tensor)[0].type.tensor_type.shape.dim[axis]
        dim.ClearField("dim_param" if size else "dim_value")
        setattr(dim, "dim_value" if size else "dim_param", size or "free")

    return change


def node(model: onnx.ModelProto, kind: str) -> Any:
    return next(node for node in model.graph.node if node.op_type == kind)


def compute_weights(model: onnx.ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("Neg", ["W"], ["W_computed"]))
    node(model, "LSTM").input[1] = "W_computed"


def add_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1]))


def add_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1]))


def add_function(model: onnx.ModelProto) -> None:
    identity = helper.make_node("Identity", ["x"], ["y"])
    opset = helper.make_opsetid("", 11)
    function = helper.make_function("ai.onnx", "twice", ["x"], ["y"], [identity], [opset])
    model.functions.append(function)


def rename_input(name: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].name = name
        model.graph.node[0].input[0] = name

    return change


def drop_axis(model: onnx.ModelProto) -> None:
    del model.graph.input[0].type.tensor_type.shape.dim[3]


def make_double(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def add_peepholes(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(
        numpy_helper.from_array(np.zeros((2, 3 * HIDDEN), np.float32), "P")
    )
    node(model, "LSTM").input.extend(["", "", "", "P"])


def compute_lengths(model: onnx.ModelProto) -> None:
    node(model, "LSTM").input.append("lengths")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            set_opset(18), "opset 18: this ATC converts opset 8 to 16", id="opset too new"
        ),
        pytest.param(set_opset(7), "opset 7:", id="opset too old"),
        pytest.param(
            lambda m: setattr(m, "ir_version", 10), "IR version 10: expected 3 to 8", id="IR"
        ),
        pytest.param(
            lambda m: m.opset_import.append(helper.make_opsetid("com.microsoft", 1)),
            "other operator sets than ONNX's own: com.microsoft (E16005)",
            id="domain declared",
        ),
        pytest.param(
            lambda m: setattr(node(m, "MatMul"), "domain", "my.ops"),
            "operators without a converter (E16002): my.ops::MatMul",
            id="domain used",
        ),
        pytest.param(
            lambda m: setattr(node(m, "MatMul"), "op_type", "Einsum"),
            "operators without a converter (E16002): Einsum",
            id="operator",
        ),
        pytest.param(
            set_dim("input", 3, None), "axes 3 have no size; only axis 0", id="open width"
        ),
        pytest.param(
            set_dim("input", 3, 160),
            "is (?, 1, 32, 160); the spec expects (N, 1, 32, 100)",
            id="width",
        ),
        pytest.param(
            set_dim("output", 2, 63), "is (26, ?, 63); the spec expects (26, N, 37)", id="classes"
        ),
        pytest.param(
            add_input, "2 inputs (actual_input_1, other): expected the image alone", id="two inputs"
        ),
        pytest.param(add_output, "2 outputs: expected the logits alone", id="two outputs"),
        pytest.param(
            add_function, "1 model-local functions: ATC knows operators only", id="function"
        ),
        *(
            pytest.param(
                rename_input(f"in{mark}put"),
                f"the input's name 'in{mark}put' holds a character that --input_shape cannot",
                id=f"name with {mark!r}",
            )
            for mark in ";,= "
        ),
        pytest.param(
            drop_axis,
            "input actual_input_1 has 3 axes: expected (N, 1, 32, 100)",
            id="three axes",
        ),
        pytest.param(make_double, "is double: expected float", id="dtype"),
        pytest.param(
            compute_weights, "LSTM lstm: W is computed; ATC wants constant weights", id="weights"
        ),
        pytest.param(compute_lengths, "the sequence lengths are computed", id="lengths"),
        pytest.param(add_peepholes, "peephole weights, which ATC does not read", id="peepholes"),
    ],
)
def test_what_atc_rejects_is_named(change: Change, said: str) -> None:
    model = lstm_model()
    change(model)
    assert said in refused(model)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"clip": 1.0}, "clip=1, which ATC does not read"),
        ({"input_forget": 1}, "input_forget=1, which ATC does not read"),
        ({"activations": ["Relu", "Tanh", "Tanh"] * 2}, "activations relu, tanh, tanh"),
    ],
)
def test_lstm_attributes_that_atc_would_drop_in_silence(attributes: Any, said: str) -> None:
    assert said in refused(lstm_model(**attributes))


def test_the_default_activations_spelt_out_are_fine() -> None:
    check(lstm_model(activations=["Sigmoid", "Tanh", "Tanh"] * 2))


def test_opsets_after_13_are_for_cann_after_5_0() -> None:
    model = lstm_model()
    set_opset(14)(model)
    check(model, cann=(5, 1))
    assert "opset 14: this ATC converts opset 8 to 13" in refused(model, cann=(5, 0))


def test_all_problems_are_listed_at_once() -> None:
    model = lstm_model(clip=1.0)
    set_opset(18)(model)
    assert refused(model).count("\n  - ") == 2


def test_a_fixed_batch_is_good_for_itself_alone() -> None:
    model = lstm_model(batch=1)
    check(model, 1)
    assert "the batch is fixed at 1, so no OM for 16 can come of it" in refused(model, 16)
    assert "so no OM for 1, 4 can" in refused(model, 1, 4)


def test_zero_initial_states_stop_gears_only() -> None:
    model = lstm_model(states=np.zeros((2, 4, HIDDEN), np.float32))
    check(model, 4)
    assert "LSTM lstm: initial states are given, so the batch cannot have gears (1, 4)" in refused(
        model, 1, 4
    )
    # They carry the batch that they were exported with.
    assert "initial_h has shape (2, 4, 6): expected batch 8 on axis 1" in refused(model, 8)


def test_another_spec_is_another_expectation() -> None:
    spec = dataclasses.replace(SPEC, width=160, time_steps=41)
    with pytest.raises(InputError, match=r"the spec expects \(N, 1, 32, 160\)"):
        check(lstm_model(), spec=spec)


@pytest.mark.parametrize(
    "split", [True, False], ids=["two one-way LSTMs and flips", "one of two directions"]
)
@pytest.mark.parametrize("open_batch", [True, False], ids=["open batch", "batch 1"])
def test_graphs_traced_by_pytorch_pass_for_a_static_batch(
    split: bool, open_batch: bool, tmp_path: Path
) -> None:
    model = traced_model(tmp_path / "t.onnx", split=split, open_batch=open_batch)
    assert node(model, "LSTM").input[5], "the exporter gives initial states"
    check(model, 1)
    if open_batch:
        check(model, 16)
        assert "initial states are given" in refused(model, 1, 4)


def test_operators_by_release() -> None:
    for operator, first, last in (("Upsample", (5, 1), (7, 0)), ("GRU", (5, 1), (9, 1))):
        model = lstm_model()
        model.graph.node.append(helper.make_node(operator, ["a"], ["b"]))
        for release in ((5, 0), (5, 1), (7, 0), (8, 0), (9, 1)):
            found = "\n".join(
                problems(Graph(model), spec=SPEC, batches=(1,), cann=Version(*release))
            )
            assert (f"(E16002): {operator}" in found) == (not first <= release <= last)


def test_doubts_about_lstms_under_old_releases() -> None:
    assert HIDDEN % 16
    model = lstm_model()
    for release, words in (
        ((3, 3), ["standard LSTM is not known to pass", "not a multiple of 16"]),
        ((5, 0), ["not a multiple of 16"]),
        ((5, 1), []),
    ):
        said = list(doubts(model, Version(*release)))
        assert len(said) == len(words)
        assert all(word in text for word, text in zip(words, said))
    assert list(doubts(model, None)) == []
    for node in model.graph.node:
        for entry in node.attribute:
            if entry.name == "hidden_size":
                entry.i = 32
    assert list(doubts(model, Version(5, 0))) == []
