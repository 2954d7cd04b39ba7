"""Whether an OM is the model that a spec describes, as far as the file itself tells."""

from __future__ import annotations

import dataclasses
from typing import Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence, Tuple

from crnn.ascend.om import Om, OmTensor
from crnn.ascend.sidecar import Probe
from crnn.python37 import prod
from crnn.spec import ModelSpec

INPUT_DTYPES = ("float32", "float16", "uint8", "unknown")
OUTPUT_DTYPES = ("float32", "float16", "unknown")


class Size(NamedTuple):
    """What one gear of an OM takes, or the whole OM: images a batch, and their width."""

    batch: int
    width: int


def sizes_of(om: Om, spec: ModelSpec) -> Optional[Tuple[Size, ...]]:
    """Return the batches and widths that an OM takes.

    Args:
        om: What the OM holds.
        spec: The spec by which it is to be read, at any width.

    Returns:
        Pairs of batch and width, ascending; None where the file does not tell them, or its images
        are of another height or number of channels.
    """
    if len(om.data_inputs) != 1:
        return None
    shape = om.data_inputs[0].shape
    if shape is None or len(shape) != 4:
        return None
    rows: Sequence[Tuple[int, ...]] = [()]
    if om.gears is not None:
        rows = om.gears.sizes
    found = []
    for row in rows:
        size = _size(_filled(shape, row), spec)
        if size is None:
            return None
        found.append(size)
    return tuple(sorted(found))


def _filled(shape: Sequence[int], row: Sequence[int]) -> Tuple[int, ...]:
    """Put a gear's numbers into the places of -1."""
    numbers = list(row)
    filled = []
    for size in shape:
        if size == -1 and numbers:
            size = numbers.pop(0)
        filled.append(size)
    return tuple(filled)


def all_batches(sizes: Iterable[Size]) -> Tuple[int, ...]:
    """Return the batches among sizes, ascending, each once.

    Args:
        sizes: What OMs take.

    Returns:
        Images a batch.
    """
    return tuple(sorted({size.batch for size in sizes}))


def all_widths(sizes: Iterable[Size]) -> Tuple[int, ...]:
    """Return the widths among sizes, ascending, each once.

    Args:
        sizes: What OMs take.

    Returns:
        Widths in pixels.
    """
    return tuple(sorted({size.width for size in sizes}))


def steps_of(om: Om, spec: ModelSpec) -> Optional[int]:
    """Return the time steps that an OM's output has.

    Args:
        om: What the OM holds.
        spec: Says which of the output's axes they are.

    Returns:
        T; None where the file does not tell it, or there is not one output of three axes.
    """
    shapes = [output.shape for output in om.outputs]
    if len(shapes) != 1 or shapes[0] is None or len(shapes[0]) != len(spec.output_axes):
        return None
    steps = shapes[0][spec.output_axes.index("T")]
    if steps < 1:
        return None
    return steps


def _size(shape: Tuple[int, ...], spec: ModelSpec) -> Optional[Size]:
    """Return batch and width of images (N, C, H, W), or (N, H, W, C) as AIPP has them."""
    batch, *image = shape
    channels, height, _ = spec.image_shape
    width = image[1]
    if image[:2] == [channels, height]:
        width = image[2]
    elif (image[0], image[2]) != (height, channels):
        return None
    if batch < 1 or width < 1:
        return None
    return Size(batch, width)


def without_probe(om: Om, probe: Optional[Probe]) -> Om:
    """Return what an OM holds with its logits as the one output, as a probe would be without.

    Args:
        om: What the OM holds.
        probe: Which tensors its outputs are; None where it is not a probe.

    Returns:
        The OM; as it is where it is not a probe, or has another number of outputs than that says.
    """
    if probe is None or len(om.outputs) != len(probe.tensors):
        return om
    place = probe.tensors.index(probe.logits)
    return dataclasses.replace(om, outputs=om.outputs[place : place + 1])


def misfits(
    om: Om,
    spec: ModelSpec,
    batches: Optional[Sequence[int]] = None,
    steps: Optional[Mapping[int, int]] = None,
) -> Iterator[str]:
    """Compare an OM with the spec by which it is to be read.

    What the file does not tell counts as fitting. Of a model of one width the input's axes are not
    compared one by one, since AIPP turns (N, C, H, W) into (N, H, W, C): its batch and its number
    of values are.

    Args:
        om: What the OM holds.
        spec: The spec by which it is to be read.
        batches: The batch sizes that it is to take; None for any.
        steps: The widths that it is to take, each with its time steps; without them any of those
            that the spec names.

    Yields:
        A line for each input, output, dtype, shape or batch that does not fit.
    """
    if len(om.data_inputs) != 1 or len(om.outputs) != 1:
        yield (
            f"{len(om.data_inputs)} inputs for data and {len(om.outputs)} outputs; expected one of"
            " each"
        )
        return
    sizes = om.batch_sizes
    pairs = sizes_of(om, spec)
    if sizes is None and pairs is not None:
        sizes = all_batches(pairs)
    if batches is not None and sizes is not None and tuple(batches) != sizes:
        yield f"batch {_text(sizes)}; expected {_text(batches)}"
    several = bool(steps) or spec.widths is not None
    if several:
        yield from _widths(om.data_inputs[0], pairs, spec, steps)
    else:
        yield from _input(om.data_inputs[0], spec)
    wanted = _steps(spec, pairs, steps)
    yield from _output(om.outputs[0], spec, batches or sizes, wanted)


def _widths(
    tensor: OmTensor,
    pairs: Optional[Sequence[Size]],
    spec: ModelSpec,
    steps: Optional[Mapping[int, int]],
) -> Iterator[str]:
    yield from _dtype(tensor)
    if pairs is None:
        if tensor.shape is not None:
            channels, height, _ = spec.image_shape
            yield (
                f"input {tensor.name} is ({_text(tensor.shape)}); the spec expects (N, {channels},"
                f" {height}, W)"
            )
        return
    found = all_widths(pairs)
    if steps and found != tuple(sorted(steps)):
        yield f"width {_text(found)}; expected {_text(sorted(steps))}"
    if steps:
        return
    known = sorted({spec.width, *spec.read_widths})
    odd = [width for width in found if width not in known]
    if odd:
        yield f"width {_text(odd)}; the spec names {_text(known)}"


def _steps(
    spec: ModelSpec, pairs: Optional[Sequence[Size]], steps: Optional[Mapping[int, int]]
) -> Tuple[int, ...]:
    """Return the time steps that an output may have; none where nothing tells them."""
    if steps:
        return tuple(steps.values())
    if spec.widths is None or all_widths(pairs or ()) == (spec.width,):
        return (spec.time_steps,)
    return ()


def _dtype(tensor: OmTensor) -> Iterator[str]:
    if tensor.dtype not in INPUT_DTYPES:
        yield f"input {tensor.name} is {tensor.dtype}; expected float32, float16 or uint8"


def _input(tensor: OmTensor, spec: ModelSpec) -> Iterator[str]:
    yield from _dtype(tensor)
    if tensor.shape is not None and prod(tensor.shape[1:]) != prod(spec.image_shape):
        yield (
            f"input {tensor.name} is ({_text(tensor.shape)}); the spec expects (N,"
            f" {_text(spec.image_shape)})"
        )


def _output(
    tensor: OmTensor, spec: ModelSpec, batches: Optional[Sequence[int]], steps: Sequence[int]
) -> Iterator[str]:
    if tensor.dtype not in OUTPUT_DTYPES:
        yield f"output {tensor.name} is {tensor.dtype}; expected float32 or float16"
    if tensor.shape is None:
        return
    # With gears the file holds -1 or the largest of them.
    rows: Tuple[int, ...] = (-1, *(batches or ()))
    wanted = {"T": tuple(steps), "N": rows, "K": (spec.classes,)}
    free = {"T": not steps, "N": batches is None, "K": False}
    shown = {"T": "T", "N": "N", "K": str(spec.classes)}
    if steps:
        shown["T"] = " or ".join(map(str, steps))
    if len(steps) > 1:
        wanted["T"] = (-1, *steps)
    fitting = len(tensor.shape) == len(spec.output_axes)
    for size, axis in zip(tensor.shape, spec.output_axes):
        if size not in wanted[axis] and not free[axis]:
            fitting = False
    if not fitting:
        expected = ", ".join(shown[axis] for axis in spec.output_axes)
        yield f"output {tensor.name} is ({_text(tensor.shape)}); the spec expects ({expected})"


def _text(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
