"""Whether an OM is the model that a spec describes, as far as the file itself tells."""

from __future__ import annotations

from typing import Iterator, Optional, Sequence, Tuple

from crnn.ascend.om import Om, OmTensor
from crnn.python37 import prod
from crnn.spec import ModelSpec

INPUT_DTYPES = ("float32", "float16", "uint8", "unknown")
OUTPUT_DTYPES = ("float32", "float16", "unknown")


def misfits(om: Om, spec: ModelSpec, batches: Optional[Sequence[int]] = None) -> Iterator[str]:
    """Compare an OM with the spec by which it is to be read.

    What the file does not tell counts as fitting. The input's axes are not compared one by one,
    since AIPP turns (N, C, H, W) into (N, H, W, C): its batch and its number of values are.

    Args:
        om: What the OM holds.
        spec: The spec by which it is to be read.
        batches: The batch sizes that it is to take; None for any.

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
    if batches is not None and sizes is not None and tuple(batches) != sizes:
        yield f"batch {_text(sizes)}; expected {_text(batches)}"
    yield from _input(om.data_inputs[0], spec)
    yield from _output(om.outputs[0], spec, batches or sizes)


def _input(tensor: OmTensor, spec: ModelSpec) -> Iterator[str]:
    if tensor.dtype not in INPUT_DTYPES:
        yield f"input {tensor.name} is {tensor.dtype}; expected float32, float16 or uint8"
    if tensor.shape is not None and prod(tensor.shape[1:]) != prod(spec.image_shape):
        yield (
            f"input {tensor.name} is ({_text(tensor.shape)}); the spec expects (N,"
            f" {_text(spec.image_shape)})"
        )


def _output(tensor: OmTensor, spec: ModelSpec, batches: Optional[Sequence[int]]) -> Iterator[str]:
    if tensor.dtype not in OUTPUT_DTYPES:
        yield f"output {tensor.name} is {tensor.dtype}; expected float32 or float16"
    if tensor.shape is None:
        return
    # With gears the file holds -1 or the largest of them.
    rows: Tuple[int, ...] = (-1, *(batches or ()))
    wanted = {"T": (spec.time_steps,), "N": rows, "K": (spec.classes,)}
    axes = [wanted[axis] for axis in spec.output_axes]
    free = batches is None
    if len(tensor.shape) != 3 or any(
        size not in sizes and not (free and axis == "N")
        for size, sizes, axis in zip(tensor.shape, axes, spec.output_axes)
    ):
        names = {"T": str(spec.time_steps), "N": "N", "K": str(spec.classes)}
        expected = ", ".join(names[axis] for axis in spec.output_axes)
        yield f"output {tensor.name} is ({_text(tensor.shape)}); the spec expects ({expected})"


def _text(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
