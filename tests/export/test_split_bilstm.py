"""LSTMs of two directions as forward ones:

the same values, no direction left that an old ATC refuses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import numpy as np
import onnx
import pytest
from onnx import helper

from crnn.errors import InputError
from crnn.export.split_bilstm import needs_split, split_directions
from tests.lstm_models import HIDDEN, STEPS, lstm_model, outputs_of, traced_model


def directions(model: onnx.ModelProto) -> list[str]:
    found = []
    for node in model.graph.node:
        if node.op_type == "LSTM":
            values = {
                attribute.name: helper.get_attribute_value(attribute)
                for attribute in node.attribute
            }
            found.append(values.get("direction", b"forward").decode())
    return found


@pytest.mark.parametrize("direction", ["bidirectional", "reverse"])
@pytest.mark.parametrize("last_states", [False, True])
def test_the_split_graph_gives_the_same_values(direction: str, last_states: bool) -> None:
    model = lstm_model(direction=direction, last_states=last_states)
    split = split_directions(model, time_steps=STEPS)
    assert directions(split) == ["forward"] * (2 if direction == "bidirectional" else 1)
    for batch in (1, 5):
        np.testing.assert_allclose(
            outputs_of(split, batch), outputs_of(model, batch), rtol=0, atol=1e-6
        )


def test_the_model_itself_is_left_as_it_was() -> None:
    model = lstm_model()
    before = model.SerializeToString(deterministic=True)
    split_directions(model, time_steps=STEPS)
    assert model.SerializeToString(deterministic=True) == before


def test_the_whole_weights_do_not_travel_beside_their_halves() -> None:
    split = split_directions(lstm_model(), time_steps=STEPS)
    assert {"W", "R", "B"}.isdisjoint(tensor.name for tensor in split.graph.initializer)


@pytest.mark.parametrize("value", [0.0, 0.25, None], ids=["zero", "not zero", "absent"])
def test_initial_states_are_kept_unless_they_are_zero(value: Optional[float]) -> None:
    states = None if value is None else np.full((2, 3, HIDDEN), value, np.float32)
    model = lstm_model(states=states)
    split = split_directions(model, time_steps=STEPS)
    given = [
        bool(list(filter(None, node.input[4:])))
        for node in split.graph.node
        if node.op_type == "LSTM"
    ]
    assert given == [bool(value)] * 2
    np.testing.assert_allclose(outputs_of(split, 3), outputs_of(model, 3), rtol=0, atol=1e-6)


@pytest.mark.parametrize("open_batch", [True, False])
def test_a_traced_graph_is_split_too(open_batch: bool, tmp_path: Path) -> None:
    model = traced_model(tmp_path / "t.onnx", split=False, open_batch=open_batch)
    split = split_directions(model, time_steps=STEPS)
    assert directions(split) == ["forward"] * 4
    for batch in (1, 4) if open_batch else (1,):
        np.testing.assert_allclose(
            outputs_of(split, batch), outputs_of(model, batch), rtol=0, atol=1e-6
        )


def test_only_what_does_not_run_forward_needs_it() -> None:
    assert needs_split(lstm_model())
    assert needs_split(lstm_model(direction="reverse"))
    assert not needs_split(lstm_model(direction="forward"))


def test_computed_weights_cannot_be_split() -> None:
    model = lstm_model()
    model.graph.node.insert(0, helper.make_node("Neg", ["W"], ["W_computed"]))
    next(node for node in model.graph.node if node.op_type == "LSTM").input[1] = "W_computed"
    with pytest.raises(InputError, match="m.onnx: LSTM lstm: W_computed is computed"):
        split_directions(model, time_steps=STEPS, where="m.onnx")
