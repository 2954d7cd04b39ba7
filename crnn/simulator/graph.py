"""The ONNX graph as ATC's parser sees it: what it refuses, and its shapes for a batch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np

from crnn.simulator.atc_flags import AtcError, Release
from crnn.simulator.knobs import release_name

Dims = Tuple[int, ...]

OPERATORS = frozenset(
    """
    Abs Add And ArgMax AveragePool BatchNormalization Cast Ceil Clip Concat Constant
    ConstantOfShape Conv ConvTranspose CumSum DepthToSpace Div Dropout Elu Equal Erf Exp
    Expand Flatten Floor GRU Gather Gemm GlobalAveragePool GlobalMaxPool Greater
    HardSigmoid Identity InstanceNormalization LSTM LeakyRelu Less Log LogSoftmax MatMul
    Max MaxPool Min Mul Neg Not Or PRelu Pad Pow Range Reciprocal ReduceMax ReduceMean
    ReduceMin ReduceSum Relu Reshape Resize Selu Shape Sigmoid Sign Slice Softmax
    Softplus Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Unsqueeze Upsample
    Where
    """.split()
)
"""The simulator's list, not ATC's, which is longer:

what convolutional and recurrent recognisers are made of.
"""

_OPSETS = (8, 18)
_OLD_LSTM_OPSETS = (8, 13)
_OLD_LSTM: Release = (5, 0)
"""The last release with the LSTM parser of opset 8 to 13, and the first whose LSTM is standard."""
_IGNORED = ("activations", "activation_alpha", "activation_beta", "clip", "layout", "input_forget")


class Graph:
    """An ONNX file. Raises `AtcError` for what is none."""

    def __init__(self, path: Path) -> None:
        try:
            import onnx
        except ImportError as error:
            raise SystemExit(
                f"the simulated ATC needs onnx, which {sys.executable} lacks: pip install onnx"
            ) from error

        self.data = path.read_bytes()
        try:
            # Weights that lie in other files are sought beside the model.
            self.model: Any = onnx.load(str(path))
            onnx.checker.check_model(self.model)
            graph_alone = onnx.load_from_string(self.data)
            if graph_alone != self.model:
                self.data = self.model.SerializeToString()
        except Exception as error:
            raise AtcError(
                "E19999", f"{path.name} is not a valid ONNX model: {str(error).splitlines()[0]}"
            ) from error

    @property
    def inputs(self) -> List[Tuple[str, str, List[Optional[int]]]]:
        """Name, NumPy dtype and dims (None where open) of each input that is not an initialiser."""
        given = {tensor.name for tensor in self.model.graph.initializer}
        return [
            (value.name, *_typed(value))
            for value in self.model.graph.input
            if value.name not in given
        ]

    @property
    def outputs(self) -> List[Tuple[str, str]]:
        """Name and NumPy dtype of each output."""
        return [(value.name, _typed(value)[0]) for value in self.model.graph.output]

    def producer(self, output: str) -> Tuple[str, int]:
        """Return the node that makes a tensor, and which of its outputs it is.

        Args:
            output: The tensor's name.

        Returns:
            The node's name, and the output's index.
        """
        for node in self.model.graph.node:
            if output in node.output:
                return node.name or f"{node.op_type}_{output}", list(node.output).index(output)
        return output, 0

    def take_outputs(self, nodes: Sequence[Tuple[str, int]]) -> None:
        """Make outputs of nodes the model's outputs, in the place of its own (--out_nodes).

        Args:
            nodes: Each node's name, and the number of its output.

        Raises:
            AtcError: There is no such node, or it has no such output.
        """
        import onnx

        inferred = onnx.shape_inference.infer_shapes(self.model)
        values = {value.name: value for value in inferred.graph.value_info}
        values.update((value.name, value) for value in inferred.graph.output)
        named = {node.name: node for node in self.model.graph.node if node.name}
        taken = []
        for name, number in nodes:
            if name not in named:
                raise AtcError("E11017", f"Node [{name}] of [--out_nodes] is not in the graph")
            outputs = named[name].output
            if number >= len(outputs) or outputs[number] not in values:
                raise AtcError("E11016", f"Node [{name}] has no output [{number}]")
            taken.append(values[outputs[number]])
        del self.model.graph.output[:]
        self.model.graph.output.extend(taken)
        self.data = self.model.SerializeToString()

    def check(self, release: Release, *, gears: bool) -> None:
        """Refuse what ATC of this release refuses.

        Args:
            release: CANN's release, such as (6, 0).
            gears: Whether --dynamic_batch_size is given.

        Raises:
            AtcError: The parser refuses the graph.
        """
        self._check_opset()
        constant = self._constants()
        ranks = self._ranks()
        for node in self.model.graph.node:
            if node.op_type not in OPERATORS:
                raise AtcError(
                    "E16002",
                    f"No parser is registered for Op [{node.name}] of type [{node.op_type}]",
                )
            if node.op_type == "LSTM":
                self._check_lstm(node, constant, ranks, release, gears)

    def _check_opset(self) -> None:
        domains = {entry.domain or "ai.onnx": entry.version for entry in self.model.opset_import}
        if set(domains) != {"ai.onnx"}:
            raise AtcError(
                "E16005",
                f"The model has the opset domains {', '.join(sorted(domains))}; only ai.onnx is"
                " taken",
            )
        version = domains["ai.onnx"]
        if not _OPSETS[0] <= version <= _OPSETS[1]:
            raise AtcError(
                "E16002",
                f"No parser is registered for opset {version}; expected {_OPSETS[0]} to"
                f" {_OPSETS[1]}",
            )

    def _check_lstm(
        self, node: Any, constant: Set[str], ranks: Mapping[str, int], release: Release, gears: bool
    ) -> None:
        attributes = {entry.name: entry for entry in node.attribute}
        inputs = [*node.input, *[""] * (8 - len(node.input))]
        problem = self._weights(inputs, constant, ranks)
        if not problem:
            problem = _ignored(attributes)
        if not problem:
            problem = self._too_new(release)
        if not problem and gears and (inputs[5] or inputs[6]):
            problem = "initial_h and initial_c make a dynamic shape op, which gears do not allow"
        if problem:
            raise AtcError("E19999", f"Op [{node.name}] of type [LSTM]: {problem}")

    def _weights(self, inputs: List[str], constant: Set[str], ranks: Mapping[str, int]) -> str:
        """Say what the fused operator does not take of an LSTM's inputs."""
        if any(name and name not in constant for name in inputs[1:4]):
            return "W, R and B must be constant: the weights of the fused operator are null"
        if ranks.get(inputs[0], 3) != 3:
            return f"X has rank {ranks[inputs[0]]}; expected 3"
        if inputs[4] or inputs[7]:
            return "sequence_lens and peepholes are not taken"
        return ""

    def _too_new(self, release: Release) -> str:
        """Say what an old release does not take of an LSTM; nothing of a newer one."""
        version = f"CANN {release_name(release)}"
        if release < _OLD_LSTM:
            return f"{version} has no converter for a standard LSTM"
        opset = self.model.opset_import[0].version
        if release == _OLD_LSTM and not _OLD_LSTM_OPSETS[0] <= opset <= _OLD_LSTM_OPSETS[1]:
            return f"{version} takes LSTM of opset 8 to 13"
        return ""

    def _constants(self) -> Set[str]:
        names = {tensor.name for tensor in self.model.graph.initializer}
        return names | {
            name
            for node in self.model.graph.node
            if node.op_type == "Constant"
            for name in node.output
        }

    def _ranks(self) -> Dict[str, int]:
        import onnx

        inferred = onnx.shape_inference.infer_shapes(self.model)
        values = (*inferred.graph.value_info, *inferred.graph.input)
        return {
            value.name: len(value.type.tensor_type.shape.dim)
            for value in values
            if value.type.tensor_type.HasField("shape")
        }

    def output_dims(self, shapes: Mapping[str, Dims]) -> List[Dims]:
        """Return the outputs' dims for these input dims:

        by inference or, where that fails, by a run on zeros.

        Args:
            shapes: Each input's dims.

        Returns:
            The dims of each output.

        Raises:
            AtcError: The shapes do not fit.
        """
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        del model.graph.value_info[:]
        for value in model.graph.input:
            if value.name in shapes:
                for dim, size in zip(value.type.tensor_type.shape.dim, shapes[value.name]):
                    dim.dim_value = size
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
        try:
            inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except Exception:  # noqa: BLE001  strict inference gives up in several ways; the run below decides
            return self._run(shapes)
        found = [_typed(value)[1] for value in inferred.graph.output]
        if all(dims and None not in dims for dims in found):
            return [tuple(size or 0 for size in dims) for dims in found]
        return self._run(shapes)

    def _run(self, shapes: Mapping[str, Dims]) -> List[Dims]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        feeds = {name: np.zeros(shapes[name], dtype=dtype) for name, dtype, _ in self.inputs}
        try:
            session = onnxruntime.InferenceSession(
                self.data, options, providers=["CPUExecutionProvider"]
            )
            results = session.run(None, feeds)
        except Exception as error:
            raise AtcError(
                "E19999", f"infer shape failed for {dict(shapes)}: {str(error).splitlines()[0]}"
            ) from error
        return [result.shape for result in results]


def _ignored(attributes: Mapping[str, Any]) -> str:
    """Say which attribute of an LSTM the parser would ignore without a word."""
    for name in _IGNORED:
        if name in attributes:
            return f"the attribute {name} would be ignored"
    return ""


def _typed(value: Any) -> Tuple[str, List[Optional[int]]]:
    import onnx

    tensor = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    dims: List[Optional[int]] = []
    for dim in tensor.shape.dim:
        size: Optional[int] = None
        if dim.HasField("dim_value"):
            size = dim.dim_value
        dims.append(size)
    return dtype, dims
