"""What ATC would reject in an ONNX graph, found before ATC runs:

it takes a minute, and its messages are short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, Iterator, Mapping, Optional, Sequence, Set, Tuple

from crnn.ascend.environment import Version
from crnn.errors import InputError, needs
from crnn.export.onnx_graph import Graph, attributes
from crnn.spec import ModelSpec

with needs("onnx"):
    from onnx import TensorProto

# The LSTM's converter is the narrowest of those that a CRNN needs: opset 8 to 13 in CANN's list of
# operators up to 5.0, 8 to 16 in the later ones.
OPSETS_TO_5_0 = (8, 13)
OPSETS = (8, 16)

LARGEST_IR = 8
"""The IR version that belongs to opset 16."""

OPERATORS = frozenset(
    """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat
    Constant ConstantOfShape Conv ConvTranspose Cos CumSum DepthToSpace Div Dropout Elu
    Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gemm
    GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish
    Identity InstanceNormalization LRN LSTM LeakyRelu Less LessOrEqual Log LogSoftmax
    LpNormalization MatMul Max MaxPool Mean Min Mod Mul Neg Not OneHot Or PRelu Pad Pow
    Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
    ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence
    Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Size Slice Softmax
    Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose
    Unsqueeze Upsample Where Xor
    """.split()
)
"""Operators of the documented lists of ONNX operators that ATC converts, taken together; a
recogniser needs about ten of them.
"""
NOT_TO_5_0 = frozenset(("GRU", "Upsample"))
"""Missing from the list of 5.0.4."""
NOT_FROM_8_0 = frozenset(("Upsample",))
"""Missing from the list of 8.0."""

BLOCK = 16
"""The block in which CANN's LSTM of 5.0 and before counts its hidden size."""

_LSTM_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
# The default activations are the only ones ATC computes: it does not read the attribute.
_ACTIVATIONS = ("sigmoid", "tanh", "tanh")


SPEC = "the spec expects"
"""What a line says where the graph may well be sound, and is read by another spec than its own."""


@dataclass(frozen=True)
class Input:
    """The graph's image input: its name and its batch, None where that is open."""

    name: str
    batch: Optional[int]


def check_graph(
    model: Any,
    *,
    spec: ModelSpec,
    batches: Sequence[int],
    cann: Optional[Version],
    where: str,
    widths: Sequence[int] = (),
) -> Input:
    """Return the graph's image input, or raise one `InputError` that lists all that ATC would
    reject.

    ``batches`` are the sizes of one OM: one for a static OM, several for gears; with several
    ``widths`` the graph's may be open, too.
    """
    graph = Graph(model)
    found = list(problems(graph, spec=spec, batches=batches, cann=cann, widths=widths))
    if found:
        lines = [f"  - {text}" for text in found]
        if all(SPEC in text for text in found):
            raise InputError(
                f"{where}: the graph is not what its spec says",
                lines=lines,
                hint=(
                    "Name its own with --spec: a preset, or JSON of the keys that differ; crnn spec"
                    " set MODEL.onnx SPEC -o OUT.onnx writes it into a copy."
                ),
            )
        raise InputError(
            f"{where}: ATC would reject this graph",
            lines=lines,
            hint="crnn export writes a graph that ATC takes: crnn export CHECKPOINT.pth MODEL.onnx",
        )
    image = graph.inputs()[0]
    return Input(image.name, _sizes(image)[0])


def problems(
    graph: Graph,
    *,
    spec: ModelSpec,
    batches: Sequence[int],
    cann: Optional[Version],
    widths: Sequence[int] = (),
) -> Iterator[str]:
    """Yield what ATC would reject, a line each."""
    yield from _versions(graph, cann)
    yield from _operators(graph, cann)
    yield from _image_input(graph, spec, batches, free_width=len(widths) > 1)
    yield from _logits_output(graph, spec)
    lstms = [node for node in graph.nodes if node.op_type == "LSTM"]
    for node in lstms:
        yield from _lstm(graph, node)
    yield from _initial_states(graph, lstms, batches, widths)


def doubts(model: Any, cann: Optional[Version]) -> Iterator[str]:
    """Say what ATC may refuse, without certainty.

    Args:
        model: A ModelProto.
        cann: The CANN whose ATC will run; None where it is unknown.

    Yields:
        A sentence for each doubt.
    """
    if cann is None or cann.pair > (5, 0):
        return
    lstms = [node for node in model.graph.node if node.op_type == "LSTM"]
    if lstms and cann.pair < (5, 0):
        yield (
            f"CANN {cann}: a standard LSTM is not known to pass an ATC before 5.0, whatever its"
            " direction; a newer CANN is the way out"
        )
    sizes = sorted({int(attributes(node).get("hidden_size", 0)) for node in lstms})
    odd = [str(size) for size in sizes if size % BLOCK]
    if odd:
        yield (
            f"CANN {cann}: the hidden size {', '.join(odd)} is not a multiple of {BLOCK}, which the"
            " LSTM of the 310 takes only in releases cut after July 2021"
        )


def _versions(graph: Graph, cann: Optional[Version]) -> Iterator[str]:
    opsets = {entry.domain or "ai.onnx": entry.version for entry in graph.model.opset_import}
    if cann is not None and cann.pair <= (5, 0):
        oldest, newest = OPSETS_TO_5_0
    else:
        oldest, newest = OPSETS
    opset = opsets.pop("ai.onnx", 0)
    if not oldest <= opset <= newest:
        yield (
            f"opset {opset}: this ATC converts opset {oldest} to {newest}; 11 is the one that all"
            " its versions take"
        )
    if opsets:
        yield f"other operator sets than ONNX's own: {', '.join(sorted(opsets))} (E16005)"
    if not 3 <= graph.model.ir_version <= LARGEST_IR:
        yield (
            f"IR version {graph.model.ir_version}: expected 3 to {LARGEST_IR}, that of opset 8"
            " to 16"
        )
    if graph.model.functions:
        yield f"{len(graph.model.functions)} model-local functions: ATC knows operators only"


def _known_operators(cann: Optional[Version]) -> FrozenSet[str]:
    if cann is None:
        return OPERATORS
    if cann.pair <= (5, 0):
        return OPERATORS - NOT_TO_5_0
    if cann.pair >= (8, 0):
        return OPERATORS - NOT_FROM_8_0
    return OPERATORS


def _operators(graph: Graph, cann: Optional[Version]) -> Iterator[str]:
    foreign: Set[str] = {
        f"{node.domain}::{node.op_type}"
        for node in graph.nodes
        if node.domain not in ("", "ai.onnx")
    }
    own = {node.op_type for node in graph.nodes if node.domain in ("", "ai.onnx")}
    unknown = own - _known_operators(cann)
    if foreign | unknown:
        yield f"operators without a converter (E16002): {', '.join(sorted(foreign | unknown))}"


def _image_input(
    graph: Graph, spec: ModelSpec, batches: Sequence[int], *, free_width: bool
) -> Iterator[str]:
    inputs = graph.inputs()
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)
        yield f"{len(inputs)} inputs ({names or 'none'}): expected the image alone"
        return
    image = inputs[0]
    sizes = _sizes(image)
    if free_width and len(sizes) == 4 and sizes[3] is None:
        sizes = (*sizes[:3], spec.width)
    expected = ", ".join(["N", *map(str, spec.image_shape)])
    if any(mark in image.name for mark in ";, ="):
        yield f"the input's name {image.name!r} holds a character that --input_shape cannot"
    if len(sizes) != 4:
        yield f"input {image.name} has {len(sizes)} axes: expected ({expected})"
        return
    yield from _image_axes(image.name, sizes, spec, expected)
    if sizes[0] is not None and list(batches) != [sizes[0]]:
        yield (
            f"input {image.name}: the batch is fixed at {sizes[0]}, so no OM for {_text(batches)}"
            " can come of it: export again with an open batch"
        )
    kind = image.type.tensor_type.elem_type
    if kind != TensorProto.FLOAT:
        yield f"input {image.name} is {TensorProto.DataType.Name(kind).lower()}: expected float"


def _image_axes(
    name: str, sizes: Sequence[Optional[int]], spec: ModelSpec, expected: str
) -> Iterator[str]:
    open_axes = [index for index, size in enumerate(sizes[1:], start=1) if size is None]
    if open_axes:
        axes = ", ".join(map(str, open_axes))
        yield f"input {name}: axes {axes} have no size; only axis 0, the batch, may be open"
    elif tuple(sizes[1:]) != spec.image_shape:
        yield f"input {name} is ({_text(sizes)}); the spec expects ({expected})"


def _logits_output(graph: Graph, spec: ModelSpec) -> Iterator[str]:
    outputs = graph.model.graph.output
    if len(outputs) != 1:
        yield f"{len(outputs)} outputs: expected the logits alone"
        return
    if not outputs[0].type.tensor_type.HasField("shape"):
        return
    sizes = _sizes(outputs[0])
    fitting = spec.fitting_axes(sizes, None)
    batch_axis = _batch_axis(graph)
    by_name = [axes for axes in fitting if axes.index("N") == batch_axis]
    fitting = by_name or fitting
    if spec.output_axes in fitting:
        return
    names = ", ".join("N" if size is None else str(size) for size in spec.output_shape(None))
    line = f"output {outputs[0].name} is ({_text(sizes)}); the spec expects ({names})"
    if fitting:
        line += f"; its axes are {fitting[0]}: --output-axes {fitting[0]}"
    yield line


def _batch_axis(graph: Graph) -> Optional[int]:
    """Return the only axis of the output that has the name of the input's batch; None where the
    names do not tell.
    """
    images = graph.model.graph.input[0].type.tensor_type.shape.dim
    if not images or not images[0].dim_param:
        return None
    name = images[0].dim_param
    names = [dim.dim_param for dim in graph.model.graph.output[0].type.tensor_type.shape.dim]
    if names.count(name) != 1:
        return None
    return names.index(name)


def _lstm(graph: Graph, node: Any) -> Iterator[str]:
    name, given = f"LSTM {_name(node)}", _given(node)
    for key in ("W", "R", "B"):
        if key in given and not graph.is_constant(given[key]):
            yield f"{name}: {key} is computed; ATC wants constant weights"
    if "sequence_lens" in given and not graph.is_constant(given["sequence_lens"]):
        yield f"{name}: the sequence lengths are computed; ATC runs every sequence over all steps"
    if "P" in given:
        yield f"{name}: peephole weights, which ATC does not read"
    yield from _lstm_attributes(name, attributes(node))


def _lstm_attributes(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    """ATC reads direction and hidden_size only:

    anything else that is set would be dropped in silence.
    """
    activations = tuple(text.decode().lower() for text in values.get("activations", ()))
    if activations and activations != _ACTIVATIONS * (len(activations) // 3):
        yield (
            f"{name}: activations {', '.join(activations)}; ATC computes sigmoid, tanh, tanh"
            " whatever is asked"
        )
    for key in ("clip", "input_forget", "layout"):
        if values.get(key):
            yield f"{name}: {key}={values[key]:g}, which ATC does not read"


def _initial_states(
    graph: Graph, lstms: Sequence[Any], batches: Sequence[int], widths: Sequence[int]
) -> Iterator[str]:
    """An initial state carries the batch that it was exported with, or computes it, which gears do
    not allow.
    """
    stateful = [node for node in lstms if {"initial_h", "initial_c"} & set(_given(node))]
    if stateful and (len(batches) > 1 or len(widths) > 1):
        yield (
            f"LSTM {', '.join(map(_name, stateful))}: initial states are given, so the batch cannot"
            f" have gears ({_text(batches)}): use --static-set, or export without initial states"
            " (zero is the default)"
        )
        return
    for node in stateful:
        for key in ("initial_h", "initial_c"):
            state = graph.constant(_given(node).get(key, ""))
            if state is not None and (state.ndim != 3 or state.shape[1] != batches[0]):
                yield (
                    f"LSTM {_name(node)}: {key} has shape {state.shape}: expected batch"
                    f" {batches[0]} on axis 1"
                )


def _given(node: Any) -> Dict[str, str]:
    return {key: value for key, value in zip(_LSTM_INPUTS, node.input) if value}


def _name(node: Any) -> str:
    return str(node.name or node.output[0])


def _sizes(value: Any) -> Tuple[Optional[int], ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims
    )


def _text(sizes: Sequence[Optional[int]]) -> str:
    return ", ".join("?" if size is None else str(size) for size in sizes)
