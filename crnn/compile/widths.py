"""A model of several widths for ATC: which they are, and a static copy of the graph for each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Tuple

import numpy as np

from crnn.errors import InputError, UsageError, needs
from crnn.export.split_bilstm import split_directions
from crnn.spec import ModelSpec
from crnn.widths import Widths

with needs("onnx"):
    import onnx

WIDTH_AXIS = 3
ADVISED = 4
"""The most widths that are advised for a chip: each is an OM more, or gears more."""


def chosen_widths(asked: Optional[Sequence[int]], spec: ModelSpec, where: Path) -> Tuple[int, ...]:
    """Return the widths that OMs are compiled for.

    Args:
        asked: What ``--widths`` names; none of them for those that the model names itself, None
            where the option was not given.
        spec: The model's spec.
        where: The model, for errors.

    Returns:
        The widths, ascending; none where the model is compiled for its fixed width alone.

    Raises:
        UsageError: The model names none itself.
    """
    if asked is None:
        return ()
    if asked:
        return tuple(sorted(set(asked)))
    if spec.widths is None:
        raise UsageError(
            f"--widths all: {where} names no widths of its own",
            hint="Name them, as in --widths 80,128,200, or export with --widths.",
        )
    return tuple(spec.widths.list)


def spec_of_set(spec: ModelSpec, widths: Sequence[int]) -> ModelSpec:
    """Return the spec by which the OMs are read.

    Args:
        spec: The model's spec.
        widths: Those that it is compiled for; none for its fixed width alone.

    Returns:
        The spec, which chooses among these widths by the model's own rule.
    """
    if not widths:
        return dataclasses.replace(spec, widths=None)
    own = spec.widths or Widths()
    return dataclasses.replace(spec, widths=dataclasses.replace(own, list=tuple(widths)))


@dataclass(frozen=True)
class Sizes:
    """What is known of each width: its time steps and, where it gets OMs of its own, its graph."""

    steps: Mapping[int, int] = field(default_factory=dict)
    copies: Mapping[int, Any] = field(default_factory=dict)

    def spec_of(self, spec: ModelSpec, widths: Sequence[int]) -> ModelSpec:
        """Return a spec at the width of an OM.

        Args:
            spec: The model's.
            widths: The OM's; none where it has the fixed width alone.

        Returns:
            The spec at the first of the widths; ``spec`` where there is none.
        """
        if not widths:
            return spec
        return spec.at_width(widths[0], self.steps[widths[0]])

    def copy_of(self, widths: Sequence[int]) -> Any:
        """Return the graph that ATC gets for an OM; None for the model's own.

        Args:
            widths: The OM's.

        Returns:
            A ModelProto, or None.
        """
        if not self.copies or len(widths) != 1:
            return None
        return self.copies[widths[0]]

    def split(self, where: str) -> Sizes:
        """Return the same with graphs whose LSTMs run forward only.

        Args:
            where: Names the model in errors.

        Returns:
            The same steps, other copies.

        Raises:
            InputError: An LSTM cannot be split exactly.
        """
        copies = {}
        for width, copy in self.copies.items():
            copies[width] = split_directions(copy, time_steps=self.steps[width], where=where)
        return Sizes(self.steps, copies)


def sizes_of(
    model: Any, spec: ModelSpec, widths: Sequence[int], where: Path, *, copied: bool
) -> Sizes:
    """Ask a graph for its time steps at each width.

    Args:
        model: A ModelProto.
        spec: The model's.
        widths: In pixels; none for a model of its fixed width.
        where: The model, for errors.
        copied: Whether each width gets a graph of its own.

    Returns:
        The steps, and the graphs where they are wanted.

    Raises:
        InputError: The graph does not take images of one of the widths.
    """
    steps: Dict[int, int] = {}
    copies: Dict[int, Any] = {}
    _refuse_fixed_width(model, widths, where)
    for width in widths:
        steps[width] = steps_at(model, spec, width, where)
        if copied:
            copies[width] = static_copy(model, spec.at_width(width, steps[width]))
    return Sizes(steps, copies)


def steps_at(model: Any, spec: ModelSpec, width: int, where: Path) -> int:
    """Return the time steps that a graph gives for images of a width.

    By inference of shapes or, where that does not tell, by a run on an empty image.

    Args:
        model: A ModelProto whose width is open, or is this one.
        spec: Says which axis of the logits is time.
        width: In pixels.
        where: The model, for errors.

    Returns:
        T.

    Raises:
        InputError: The graph does not take images of this width.
    """
    axis = spec.output_axes.index("T")
    copy = _at_sizes(model, (1, spec.channels, spec.height, width))
    try:
        inferred = onnx.shape_inference.infer_shapes(copy, strict_mode=True, data_prop=True)
        dims = inferred.graph.output[0].type.tensor_type.shape.dim
        if len(dims) == len(spec.output_axes) and dims[axis].dim_value > 0:
            return int(dims[axis].dim_value)
    except onnx.shape_inference.InferenceError:
        pass  # a run tells what inference does not
    return _run(copy, (1, spec.channels, spec.height, width), where)[axis]


def _run(model: Any, shape: Tuple[int, ...], where: Path) -> Tuple[int, ...]:
    with needs("onnxruntime"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    image = np.zeros(shape, dtype=np.float32)
    # Nothing of what it raises is the kit's.
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        output = session.run(None, {session.get_inputs()[0].name: image})[0]
    except Exception as error:
        raise InputError(
            f"{where} does not take images of {shape[-1]} columns: {str(error).splitlines()[0]}",
            hint="Export it with a free width: crnn export CHECKPOINT.pth MODEL.onnx --widths …",
        ) from error
    return tuple(int(size) for size in output.shape)


def _refuse_fixed_width(model: Any, widths: Iterable[int], where: Path) -> None:
    fixed = _fixed_width(model)
    others = [width for width in widths if width != fixed]
    if fixed is None or not others:
        return
    raise InputError(
        f"{where}: its width is fixed at {fixed}, so no OM of {', '.join(map(str, others))} columns"
        " can come of it",
        hint="Export it again with a free width: crnn export CHECKPOINT.pth MODEL.onnx --widths …",
    )


def has_free_width(model: Any) -> bool:
    """Say whether a graph takes images of any width.

    Args:
        model: A ModelProto.

    Returns:
        True where the last axis of its image is open.
    """
    dims = _image(model).type.tensor_type.shape.dim
    return len(dims) > WIDTH_AXIS and dims[WIDTH_AXIS].dim_value <= 0


def _fixed_width(model: Any) -> Optional[int]:
    dims = _image(model).type.tensor_type.shape.dim
    if len(dims) <= WIDTH_AXIS:
        return None
    return int(dims[WIDTH_AXIS].dim_value) or None


def _image(model: Any) -> Any:
    """Return the first input that is not a weight."""
    given = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in given:
            return value
    return onnx.ValueInfoProto()


def static_copy(model: Any, spec: ModelSpec) -> Any:
    """Return a copy of a graph for images of one width.

    ATC gets it in the place of the graph of any width: only the batch is left open, as in a model
    that was exported for this width alone.

    Args:
        model: A ModelProto whose width is open.
        spec: The spec at this width (`ModelSpec.at_width`).

    Returns:
        A ModelProto; ``model`` stays as it is.
    """
    copy = _at_sizes(model, (None, *spec.image_shape))
    dims = copy.graph.output[0].type.tensor_type.shape.dim
    if len(dims) == len(spec.output_axes):
        dims[spec.output_axes.index("T")].dim_value = spec.time_steps
    return copy


def _at_sizes(model: Any, sizes: Sequence[Optional[int]]) -> Any:
    """Return a copy whose image has these sizes, None for one that stays as it is; shapes that were
    inferred before are left out.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for dim, size in zip(_image(copy).type.tensor_type.shape.dim, sizes):
        if size is not None and dim.dim_value != size:
            dim.dim_value = size
    if None not in sizes:
        copy.graph.output[0].type.tensor_type.ClearField("shape")
    return copy
