"""The ATC stand-in:

reads the documented command line, refuses with the documented codes, writes a simulated OM.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from crnn import cann
from crnn.python37 import prod
from crnn.simulator import aipp as aipp_file
from crnn.simulator import atc_flags, standin
from crnn.simulator.atc_flags import AtcError, Release
from crnn.simulator.graph import Dims, Graph
from crnn.simulator.om_file import Aipp, Gear, OmTensor, SimulatedOm, filled, to_bytes
from crnn.simulator.record import Record

_FAILED = "ATC run failed, Please check the detail log, Try 'atc --help' for more information"


def main(argv: Sequence[str]) -> int:
    """Run a command line within the launcher's environment; 0, or 255 for any failure.

    Args:
        argv: The command line without the program's name.

    Returns:
        The exit code: 0, or 255 for any failure.
    """
    knobs, folder = standin.settings()
    record = Record(folder, tool="atc")
    if list(argv) in (["--help"], ["-help"]):
        sys.stdout.write(
            "usage: atc " + " ".join(f"[--{name}=…]" for name in atc_flags.FLAGS) + "\n"
        )
        return 0
    sys.stdout.write(cann.ATC_START_LINE + "\n")
    sys.stdout.write("(simulated: no chip can run the result)\n")
    try:
        target, om = compile_om(argv, knobs.cann, os.environ)
        target.write_bytes(to_bytes(om))
    except AtcError as error:
        sys.stdout.write(f"{_FAILED}\n{error.code}: [PID: {os.getpid()}] {error.text}\n")
        record.start(exit=cann.ATC_EXIT_FAILURE, code=error.code)
        return cann.ATC_EXIT_FAILURE
    sys.stdout.write(cann.ATC_SUCCESS_LINE + "\n")
    record.start(exit=0, output=str(target))
    return 0


def compile_om(
    argv: Sequence[str], release: Release, environ: Mapping[str, str]
) -> Tuple[Path, SimulatedOm]:
    """Return where the OM goes and what is in it; `AtcError` with the documented code for anything
    ATC refuses.

    Args:
        argv: The command line without the program's name.
        release: CANN's release, such as (6, 0).
        environ: The environment variables.

    Returns:
        The OM's path and content.

    Raises:
        AtcError: ATC or the simulator refuses it.
    """
    values = atc_flags.parse(argv)
    atc_flags.check(values, release)
    if not Path(environ.get("ASCEND_OPP_PATH", "")).is_absolute():
        raise AtcError("E10501", "no operator is registered: ASCEND_OPP_PATH is not set")
    graph = Graph(_existing(values["model"], "model"))
    if "out_nodes" in values:
        graph.take_outputs(atc_flags.parse_out_nodes(values["out_nodes"]))
    gears = _gears(values)
    shapes = _shapes(graph, values, gears)
    graph.check(release, gears=gears.given)
    sizes = gears.batches
    if not gears.given:
        first = graph.inputs[0][0]
        sizes = (shapes[first][0],)
    target = _target(values["output"])
    layout = values.get("input_format", "NCHW")
    fed = tuple(OmTensor(name, dtype, shapes[name], layout) for name, dtype, _ in graph.inputs)
    inputs, aipp = _inputs(fed, values)
    numbers = gears.dims or tuple((size,) for size in sizes)
    by_size = []
    for gear in numbers:
        dims = graph.output_dims(_at(shapes, gear, by_dims=bool(gears.dims)))
        by_size.append(tuple(dims))
    largest = by_size[numbers.index(max(numbers, key=prod))]
    precision = values.get("precision_mode_v2") or values.get("precision_mode")
    om = SimulatedOm(
        name=target.stem,
        soc=values["soc_version"],
        release=release,
        command=" ".join(shlex.quote(word) for word in ["atc", *argv]),
        precision=precision or "force_fp16",
        inputs=tuple(inputs),
        outputs=_outputs(graph, values, release, largest),
        fed=fed,
        sizes=tuple(sizes),
        dynamic=gears.given,
        outputs_by_size=tuple(by_size),
        aipp=aipp,
        onnx=graph.data,
        dims_gears=gears.dims,
        shape_order=gears.order,
    )
    return target, om


class _Gears(NamedTuple):
    """The gears that are asked for, of batches or of dims, and the order of the inputs in
    --input_shape, which those of dims follow.
    """

    batches: Tuple[int, ...] = ()
    dims: Tuple[Gear, ...] = ()
    order: Tuple[str, ...] = ()

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return bool(self.batches or self.dims)

    @property
    def flag(self) -> str:
        """The flag that gives them."""
        if self.dims:
            return "--dynamic_dims"
        return "--dynamic_batch_size"


def _gears(values: Mapping[str, str]) -> _Gears:
    if "dynamic_batch_size" in values:
        return _Gears(batches=atc_flags.parse_gears(values["dynamic_batch_size"]))
    if "dynamic_dims" in values:
        order = tuple(atc_flags.parse_shapes(values["input_shape"]))
        return _Gears(dims=atc_flags.parse_dims_gears(values["dynamic_dims"]), order=order)
    return _Gears()


def _existing(name: str, flag: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise AtcError("E13000", f"Parameter [--{flag}]: the file [{name}] cannot be opened")
    return path


def _target(name: str) -> Path:
    path = Path(name)
    if not path.parent.is_dir() or path.is_dir() or name.endswith("/"):
        raise AtcError(
            "E13001",
            f"Parameter [--output]: the directory of [{name}] does not exist, or it names one",
        )
    return path.with_name(path.name + ".om")


def _shapes(graph: Graph, values: Mapping[str, str], gears: _Gears) -> Dict[str, Dims]:
    """Return every input's dims, -1 where gears decide; in the order of --input_shape."""
    given: Dict[str, Dims] = {}
    if "input_shape" in values:
        given = atc_flags.parse_shapes(values["input_shape"])
    own = {name: dims for name, _, dims in graph.inputs}
    for name in given:
        if name not in own:
            raise AtcError(
                "E10016", f"Opname [{name}] of [--input_shape] is not found in the model"
            )
    names = [*given, *(name for name in own if name not in given)]
    shapes = {name: _shape(name, own[name], given.get(name)) for name in names}
    _check_open(shapes, gears)
    return shapes


def _shape(name: str, own: List[Optional[int]], given: Optional[Dims]) -> Dims:
    if given is None:
        if None in own:
            text = (
                f"Value [{own}] of input [{name}] is invalid. Reason: it is dynamic; set"
                " [--input_shape]"
            )
            raise AtcError("E10001", text)
        return tuple(size or 0 for size in own)
    if len(given) != len(own):
        raise AtcError(
            "E10049",
            f"Input [{name}] has {len(own)} dims in the model; [--input_shape] gives {len(given)}",
        )
    for position, (size, fixed) in enumerate(zip(given, own)):
        if fixed is not None and size != fixed:
            text = (
                f"Dim {position} of input [{name}] is {fixed} in the model; [--input_shape] gives"
                f" {size}"
            )
            raise AtcError("E10001", text)
    return given


def _check_open(shapes: Mapping[str, Dims], gears: _Gears) -> None:
    flat = [
        (name, position)
        for name, dims in shapes.items()
        for position, size in enumerate(dims)
        if size == -1
    ]
    if gears.given and not flat:
        raise AtcError("E10031", f"[{gears.flag}] is given, but no input has a -1")
    if not gears.given and flat:
        text = f"Input [{flat[0][0]}] has a -1, which needs [--dynamic_batch_size]"
        raise AtcError("E10001", text)
    if gears.dims:
        _check_profiles(gears.dims, len(flat))
    else:
        _check_batches(flat)


def _check_profiles(gears: Sequence[Gear], places: int) -> None:
    for gear in gears:
        if len(gear) != places:
            text = f"the profile {gear} of [--dynamic_dims] does not fit the {places} of -1"
            raise AtcError("E10001", text)


def _check_batches(flat: Sequence[Tuple[str, int]]) -> None:
    for name, position in flat:
        if position:
            raise AtcError(
                "E10018",
                f"Input [{name}] has a -1 that is not its batch; [--dynamic_batch_size] gives N"
                " only",
            )


def _inputs(
    fed: Sequence[OmTensor], values: Mapping[str, str]
) -> Tuple[List[OmTensor], Optional[Aipp]]:
    inputs = list(fed)
    half = atc_flags.split_names(values.get("input_fp16_nodes", ""))
    names = [tensor.name for tensor in fed]
    for name in half:
        if name not in names:
            raise AtcError(
                "E10016", f"Opname [{name}] of [--input_fp16_nodes] is not found in the model"
            )
        index = names.index(name)
        inputs[index] = OmTensor(name, "float16", inputs[index].dims, inputs[index].layout)
    if "insert_op_conf" not in values:
        return inputs, None
    text = _existing(values["insert_op_conf"], "insert_op_conf").read_text(
        encoding="utf-8", errors="replace"
    )
    index, aipp = aipp_file.read(text, [(tensor.name, tensor.dims) for tensor in fed])
    if names[index] in half:
        raise AtcError("E10034", f"Input [{names[index]}] has AIPP and is in [--input_fp16_nodes]")
    if index:
        raise AtcError("E10001", "AIPP on another input than the first is not simulated")
    rows, channels, height, width = fed[index].dims
    inputs[index] = OmTensor(names[index], "uint8", (rows, height, width, channels), "NHWC")
    return inputs, aipp


def _outputs(
    graph: Graph, values: Mapping[str, str], release: Release, largest: Sequence[Dims]
) -> Tuple[OmTensor, ...]:
    types: Dict[str, str] = {}
    if "output_type" in values:
        types = atc_flags.parse_output_types(values["output_type"])
    # The type for all outputs stands under the empty name.
    common = types.get("")
    tensors = []
    for index, ((name, dtype), dims) in enumerate(zip(graph.outputs, largest)):
        node, edge = graph.producer(name)
        dtype = types.get(f"{node}:{edge}") or common or dtype
        shown = f"{node}:{edge}:{name}"
        if release < (6, 0):
            shown = f"output_{index}_{node}_{edge}"
        tensors.append(OmTensor(shown, dtype, tuple(dims), "ND"))
    return tuple(tensors)


def _at(shapes: Mapping[str, Dims], gear: Gear, *, by_dims: bool) -> Dict[str, Dims]:
    """Return the inputs' dims for a gear; ``shapes`` are in the order of --input_shape."""
    found: Dict[str, Dims] = {}
    start = 0
    for name, dims in shapes.items():
        numbers = gear
        if by_dims:
            count = dims.count(-1)
            numbers = gear[start : start + count]
            start += count
        found[name] = filled(dims, numbers)
    return found
