"""AIPP: the chip's own preprocessing, which lets an OM take bytes in place of normalised floats."""

from __future__ import annotations

from typing import Tuple

from crnn.errors import InputError
from crnn.spec import ModelSpec

_FORMATS = {"gray": "YUV400_U8", "rgb": "RGB888_U8", "bgr": "RGB888_U8"}
# What ATC's documentation allows for the source image.
_WIDTHS = (2, 4096)
_HEIGHTS = (1, 4096)
_MINIMA = (0.0, 255.0)
_LARGEST_FACTOR = 65504.0


def aipp_config(spec: ModelSpec) -> str:
    """Return the AIPP file for a spec, in ATC's text format.

    The chip computes ``(pixel - mean_chn - min_chn) * var_reci_chn``; mean_chn is a whole number,
    so the spec's ``mean * divisor`` stands in min_chn and ``1 / (divisor * std)`` in var_reci_chn.
    Both are half floats: 127.5 is exact and 1/127.5 is off by 1.5e-5 of its value; other numbers
    are off by up to 5e-4 of theirs. The OM's input is then uint8 NHWC in the spec's own channel
    order, so red and blue are never swapped.
    """
    if not (_WIDTHS[0] <= spec.width <= _WIDTHS[1] and _HEIGHTS[0] <= spec.height <= _HEIGHTS[1]):
        raise InputError(
            f"--aipp: AIPP takes images of {_WIDTHS[0]} to {_WIDTHS[1]} by {_HEIGHTS[0]} to"
            f" {_HEIGHTS[1]} pixels; the spec has {spec.width} by {spec.height}"
        )
    least, factor = _numbers(spec)
    lines = [
        "aipp_mode: static",
        "related_input_rank: 0",
        f"input_format: {_FORMATS[spec.color]}",
        f"src_image_size_w: {spec.width}",
        f"src_image_size_h: {spec.height}",
        "csc_switch: false",
    ]
    if spec.channels > 1:
        lines.append("rbuv_swap_switch: false")
    for channel in range(spec.channels):
        lines += [
            f"mean_chn_{channel}: 0",
            f"min_chn_{channel}: {least:.9g}",
            f"var_reci_chn_{channel}: {factor:.9g}",
        ]
    return "\n".join(["aipp_op {", *(f"    {line}" for line in lines), "}", ""])


def _numbers(spec: ModelSpec) -> Tuple[float, float]:
    """Return min_chn and var_reci_chn; `InputError` where AIPP does not take them."""
    least = spec.mean * spec.divisor
    factor = 1 / (spec.divisor * spec.std)
    if not _MINIMA[0] <= least <= _MINIMA[1]:
        raise InputError(
            f"--aipp: the spec's mean {spec.mean:g} gives min_chn {least:.9g}; AIPP takes"
            f" {_MINIMA[0]:g} to {_MINIMA[1]:g}",
            hint="Compile without --aipp: the host normalises then.",
        )
    if abs(factor) > _LARGEST_FACTOR:
        raise InputError(
            f"--aipp: the spec's std {spec.std:g} gives var_reci_chn {factor:.9g}; AIPP takes"
            f" -{_LARGEST_FACTOR:g} to {_LARGEST_FACTOR:g}, the range of half floats",
            hint="Compile without --aipp: the host normalises then.",
        )
    return least, factor
