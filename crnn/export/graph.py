"""A CRNN's ONNX graph, written from the weights.

PyTorch's exporter starts at opset 18, and the tracing one before it leaves Shape chains on every
LSTM, which the Ascend compiler refuses for several batch sizes. Written here the graph is 30 nodes
of opset 11: BatchNorm folded into the convolutions, no initial LSTM state, every size constant but
the batch. Where the spec reads at several widths, the width is free too, and so are the time steps:
no constant of the graph depends on either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from torch import nn

from crnn import __version__
from crnn.errors import UsageError, needs
from crnn.export.split_bilstm import split_directions
from crnn.fingerprint import FINGERPRINT_KEY
from crnn.network import CRNN
from crnn.patterns import fingerprint_of
from crnn.presets import CONVOLUTIONS, LAST_CONVOLUTIONS
from crnn.spec import CHECKPOINT_KEY, METADATA_KEY
from crnn.weights.checkpoint import Checkpoint

with needs("onnx"):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

OPSET = 11
IR_VERSION = 6
INPUT = "actual_input_1"
OUTPUT = "output1"

# ONNX has an LSTM's gates as input, output, forget, cell; PyTorch as input, forget, cell, output.
_IOFC = (0, 3, 1, 2)


@dataclass(frozen=True)
class GraphOptions:
    """What the graph is to be like.

    ``batch`` fixes the batch size; None leaves it open. ``split_bilstm`` writes each bidirectional
    LSTM as two forward ones, the time of the second turned by a constant Gather before and after
    it, for compilers that refuse two directions. ``log_softmax`` ends the graph with
    log-probabilities in place of raw scores.
    """

    batch: Optional[int] = None
    split_bilstm: bool = False
    log_softmax: bool = False


def build_graph(checkpoint: Checkpoint, options: GraphOptions) -> bytes:
    """Return the ONNX file for a checkpoint: the same bytes for the same checkpoint and options.

    Input ``actual_input_1`` float32 (batch, C, 32, W), output ``output1`` float32 (T, batch, K); W
    and T are free where the spec has several widths.
    The spec and the checkpoint's hash stand in ``metadata_props``. The model has passed ONNX's full
    check, and opset and IR version were read back from these bytes.
    """
    if options.split_bilstm and checkpoint.spec.widths is not None:
        raise UsageError(
            "--split-bilstm turns a fixed number of time steps, and a graph of several widths has"
            " none",
            hint=(
                "crnn compile splits the static copy of each width where its CANN needs it; or"
                " export without widths."
            ),
        )
    written = _Writer(checkpoint, options).model()
    if options.split_bilstm:
        written = split_directions(written, time_steps=checkpoint.spec.time_steps)
    data: bytes = written.SerializeToString()
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets != {"": OPSET} or model.ir_version != IR_VERSION:
        raise AssertionError(f"wrote opsets {opsets} and IR version {model.ir_version}")
    return data


class _Writer:
    """Nodes and constants in the order in which they are written; every method returns the name of
    its result.
    """

    def __init__(self, checkpoint: Checkpoint, options: GraphOptions) -> None:
        self.checkpoint = checkpoint
        self.options = options
        self.weights: Dict[str, np.ndarray] = {
            name: tensor.numpy() for name, tensor in checkpoint.model.state_dict().items()
        }
        self._free = checkpoint.spec.widths is not None
        self.nodes: List[Any] = []
        self.constants: Dict[str, np.ndarray] = {}

    def model(self) -> Any:
        spec = self.checkpoint.spec
        logits = self._recurrent(self._sequence(self._convolutions(self.checkpoint.model)))
        if self.options.log_softmax:
            # Opset 11's LogSoftmax flattens from its axis on, so the last axis has to be named.
            logits = self._node("LogSoftmax", [logits], "log_softmax", axis=2)
        self.nodes[-1].output[0] = OUTPUT
        batch = self.options.batch or "batch"
        images: List[Any] = [batch, *spec.image_shape]
        scores: List[Any] = [spec.time_steps, batch, spec.classes]
        if self._free:
            images[3] = "width"
            scores[0] = "steps"
        graph = helper.make_graph(
            self.nodes,
            "crnn",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, images)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, scores)],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="crnn",
            producer_version=__version__,
        )
        properties = {METADATA_KEY: spec.to_json(), CHECKPOINT_KEY: self.checkpoint.sha256}
        inputs = fingerprint_of(spec)
        if inputs is not None:
            properties[FINGERPRINT_KEY] = inputs.to_json()
        for key, value in properties.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = key, value
        return model

    def _convolutions(self, network: CRNN) -> str:
        features = INPUT
        config = network.config
        for index in range(CONVOLUTIONS):
            name = f"cnn.conv{index}"
            weight, bias = self._folded(index)
            last = index == CONVOLUTIONS - 1
            features = self._node(
                "Conv",
                [
                    features,
                    self._constant(f"{name}.weight", weight),
                    self._constant(f"{name}.bias", bias),
                ],
                name,
                kernel_shape=list(weight.shape[2:]),
                pads=[0, 0, 0, LAST_CONVOLUTIONS[config.last_convolution]] if last else [1] * 4,
                strides=[1, 1],
            )
            features = self._node("Relu", [features], f"cnn.relu{index}")
            pool = config.pool(index)
            if pool:
                kernel, stride, padding = map(list, pool)
                features = self._node(
                    "MaxPool",
                    [features],
                    f"cnn.pooling{index}",
                    kernel_shape=kernel,
                    strides=stride,
                    pads=padding * 2,
                )
        return features

    def _folded(self, index: int) -> Tuple[np.ndarray, np.ndarray]:
        """Fold the BatchNorm after a convolution into its weights, in float64."""
        weight, bias = (
            self.weights[f"cnn.conv{index}.{part}"].astype(np.float64)
            for part in ("weight", "bias")
        )
        config = self.checkpoint.model.config
        if index in config.batchnorms:
            name = f"cnn.batchnorm{index}"
            gamma, beta, mean, variance = (
                self.weights[f"{name}.{part}"].astype(np.float64)
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            norm = self.checkpoint.model.cnn.get_submodule(f"batchnorm{index}")
            assert isinstance(norm, nn.BatchNorm2d)
            scale = gamma / np.sqrt(variance + norm.eps)
            weight = weight * scale[:, None, None, None]
            bias = (bias - mean) * scale + beta
        return weight.astype(np.float32), bias.astype(np.float32)

    def _sequence(self, features: str) -> str:
        """(N, C, 1, T) to (T, N, C)."""
        rows = self._node("Squeeze", [features], "squeeze", axes=[2])
        return self._node("Transpose", [rows], "sequence", perm=[2, 0, 1])

    def _recurrent(self, sequence: str) -> str:
        config = self.checkpoint.model.config
        for layer, bidirectional, linear in (
            ("rnn.0", True, config.linear_between_lstms),
            ("rnn.1", config.second_lstm_bidirectional, True),
        ):
            if not bidirectional:
                sequence = self._forward_lstm(layer, sequence)
            else:
                sequence = self._lstm(layer, sequence)
            if linear:
                sequence = self._linear(f"{layer}.embedding", sequence)
        return sequence

    def _lstm(self, layer: str, sequence: str) -> str:
        """(T, N, C) to (T, N, 2H), by one node for both directions."""
        both = self._lstm_node(f"{layer}.rnn", sequence, ["", "_reverse"], layer)
        turned = self._node("Transpose", [both], f"{layer}.directions", perm=[0, 2, 1, 3])
        if f"{layer}.embedding.weight" in self.weights:
            return turned  # (T, N, 2, H), which the linear layer's own Reshape takes as well
        steps, hidden = self.checkpoint.spec.time_steps, self.checkpoint.model.config.hidden
        if self._free:
            return self._joined(f"{layer}.states", turned, 2 * hidden)
        shape = self._shape(f"{layer}.states.shape", steps, self.options.batch or -1, 2 * hidden)
        return self._node("Reshape", [turned, shape], f"{layer}.states")

    def _forward_lstm(self, layer: str, sequence: str) -> str:
        """(T, N, C) to (T, N, H), for a network whose second LSTM reads forward only."""
        name = f"{layer}.rnn"
        states = self._lstm_node(name, sequence, [""], layer)
        return self._node("Squeeze", [states], f"{name}.states", axes=[1])

    def _lstm_node(self, name: str, sequence: str, directions: List[str], layer: str) -> str:
        """(T, N, C) to (T, directions, N, H)."""

        def stacked(part: str) -> np.ndarray:
            return np.stack(
                [
                    _iofc(self.weights[f"{layer}.rnn.{part}_l0{direction}"])
                    for direction in directions
                ]
            )

        inputs = [
            sequence,
            self._constant(f"{name}.weight_ih", stacked("weight_ih")),
            self._constant(f"{name}.weight_hh", stacked("weight_hh")),
            self._constant(
                f"{name}.bias", np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1)
            ),
        ]
        direction = "forward"
        if len(directions) == 2:
            direction = "bidirectional"
        return self._node(
            "LSTM",
            inputs,
            name,
            direction=direction,
            hidden_size=self.checkpoint.model.config.hidden,
        )

    def _linear(self, name: str, both: str) -> str:
        """(T, N, …) holding a step's states to (T, N, outputs), by one matrix product over all
        steps.
        """
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        if self._free:
            return self._free_linear(name, both, weight, bias)
        steps, batch = self.checkpoint.spec.time_steps, self.options.batch
        if batch:
            rows = steps * batch
        else:
            rows = -1
        flat = self._node(
            "Reshape", [both, self._shape(f"{name}.flat", rows, weight.shape[1])], f"{name}.rows"
        )
        product = [
            flat,
            self._constant(f"{name}.weight", weight),
            self._constant(f"{name}.bias", bias),
        ]
        scores = self._node("Gemm", product, name, transB=1)
        shape = self._shape(f"{name}.shape", steps, batch or -1, weight.shape[0])
        return self._node("Reshape", [scores, shape], f"{name}.steps")

    def _free_linear(self, name: str, both: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """(T, N, …) to (T, N, outputs) whatever T and N are: a product of three axes by two."""
        states = self._joined(f"{name}.rows", both, weight.shape[1])
        factor = self._constant(f"{name}.weight", weight.T)
        product = self._node("MatMul", [states, factor], f"{name}.product")
        return self._node("Add", [product, self._constant(f"{name}.bias", bias)], name)

    def _joined(self, name: str, both: str, columns: int) -> str:
        """(T, N, …) to (T, N, columns); 0 is Reshape's word for a size that stays."""
        return self._node("Reshape", [both, self._shape(f"{name}.shape", 0, 0, columns)], name)

    def _shape(self, name: str, *sizes: int) -> str:
        return self._constant(name, np.array(sizes, dtype=np.int64))

    def _constant(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def _node(self, kind: str, inputs: List[str], name: str, **attributes: Any) -> str:
        output = f"{name}.out"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output


def _iofc(rows: np.ndarray) -> np.ndarray:
    blocks = np.split(rows, 4)
    return np.concatenate([blocks[gate] for gate in _IOFC])
