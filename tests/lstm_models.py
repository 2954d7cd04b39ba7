"""Small CRNN-like ONNX graphs:

pooling, one or two LSTM layers, a linear layer; and traced ones of PyTorch's own.
"""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from crnn.spec import METADATA_KEY, ModelSpec

HIDDEN = 6
STEPS = 26


def lstm_model(
    *,
    direction: str = "bidirectional",
    batch: Optional[int] = None,
    states: Optional[np.ndarray] = None,
    last_states: bool = False,
    spec: Optional[ModelSpec] = None,
    opset: int = 11,
    **attributes: Any,
) -> onnx.ModelProto:
    """(N, 1, 32, 100) to (26, N, 37) through an LSTM of this direction; ``states`` become its
    initial h and c.

    ``last_states`` adds the LSTM's last h, averaged, to the logits, so that these outputs are in
    use too.
    """
    random = np.random.default_rng(7)
    count = 2 if direction == "bidirectional" else 1
    size = "batch" if batch is None else batch
    constants: Dict[str, np.ndarray] = {
        "W": random.normal(size=(count, 4 * HIDDEN, 32)).astype(np.float32) / 4,
        "R": random.normal(size=(count, 4 * HIDDEN, HIDDEN)).astype(np.float32) / 4,
        "B": random.normal(size=(count, 8 * HIDDEN)).astype(np.float32) / 4,
        "linear": random.normal(size=(count * HIDDEN, 37)).astype(np.float32),
        "columns": np.arange(0, 104, 4).clip(max=99).astype(np.int64),
        "merged": np.array([STEPS, -1, count * HIDDEN], dtype=np.int64),
    }
    inputs = ["sequence", "W", "R", "B"]
    if states is not None:
        constants.update(h0=states, c0=states)
        inputs += ["", "h0", "c0"]
    nodes: List[Any] = [
        helper.make_node("Gather", ["actual_input_1", "columns"], ["picked"], axis=3),
        helper.make_node("Squeeze", ["picked"], ["rows"], axes=[1]),
        helper.make_node("Transpose", ["rows"], ["sequence"], perm=[2, 0, 1]),
        helper.make_node(
            "LSTM",
            inputs,
            ["Y", "Y_h", "Y_c"],
            name="lstm",
            direction=direction,
            hidden_size=HIDDEN,
            **attributes,
        ),
        helper.make_node("Transpose", ["Y"], ["turned"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["turned", "merged"], ["features"]),
        helper.make_node(
            "MatMul", ["features", "linear"], ["scores" if last_states else "output1"]
        ),
    ]
    if last_states:
        nodes += [
            helper.make_node("ReduceMean", ["Y_h"], ["mean"], axes=[0, 1, 2], keepdims=1),
            helper.make_node("Add", ["scores", "mean"], ["output1"]),
        ]
    graph = helper.make_graph(
        nodes,
        "lstm",
        [helper.make_tensor_value_info("actual_input_1", TensorProto.FLOAT, [size, 1, 32, 100])],
        [helper.make_tensor_value_info("output1", TensorProto.FLOAT, [STEPS, size, 37])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)
    if spec is not None:
        helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    return model


def traced_model(path: Path, *, split: bool, open_batch: bool) -> onnx.ModelProto:
    """What PyTorch's tracing exporter makes of the usual CRNN layers:

    ``split`` into two one-way LSTMs and flips.
    """
    import torch
    from torch import nn

    class Layer(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.forwards = nn.LSTM(inputs, HIDDEN, bidirectional=not split)
            if split:
                self.backwards = nn.LSTM(inputs, HIDDEN)
            self.embedding = nn.Linear(2 * HIDDEN, outputs)

        def forward(self, sequence: Any) -> Any:
            both, _ = self.forwards(sequence)
            if split:
                back, _ = self.backwards(torch.flip(sequence, [0]))
                both = torch.cat([both, torch.flip(back, [0])], 2)
            steps, batch, features = both.size()
            return self.embedding(both.view(steps * batch, features)).view(steps, batch, -1)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(1, 8, 3, padding=1)
            self.pooling = nn.MaxPool2d((32, 4), (32, 4), (0, 2))
            self.layers = nn.Sequential(Layer(8, HIDDEN), Layer(HIDDEN, 37))

        def forward(self, image: Any) -> Any:
            return self.layers(self.pooling(self.convolution(image)).squeeze(2).permute(2, 0, 1))

    torch.manual_seed(3)
    axes = {"actual_input_1": {0: "-1"}, "output1": {1: "-1"}} if open_batch else None
    options: Dict[str, Any] = {}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:  # from PyTorch 2.5 on
        options["dynamo"] = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Net().eval(),
            (torch.zeros(1, 1, 32, 100),),
            str(path),
            opset_version=11,
            input_names=["actual_input_1"],
            output_names=["output1"],
            dynamic_axes=axes,
            **options,
        )
    return onnx.load(str(path))


def outputs_of(model: onnx.ModelProto, batch: int) -> np.ndarray:
    """Run a model on ONNX Runtime, on the same random images each time."""
    import onnxruntime

    images = np.random.default_rng(1).normal(size=(batch, 1, 32, 100)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    result: np.ndarray = session.run(None, {"actual_input_1": images})[0]
    return result
