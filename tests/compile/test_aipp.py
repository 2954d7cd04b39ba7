"""The AIPP file: its text, and its arithmetic against the spec's own."""

from __future__ import annotations

import re

import numpy as np
import pytest

from crnn.compile.aipp import aipp_config
from crnn.errors import InputError
from crnn.spec import ModelSpec

DEFAULT = """\
aipp_op {
    aipp_mode: static
    related_input_rank: 0
    input_format: YUV400_U8
    src_image_size_w: 100
    src_image_size_h: 32
    csc_switch: false
    mean_chn_0: 0
    min_chn_0: 127.5
    var_reci_chn_0: 0.00784313725
}
"""


def test_the_default_specs_file() -> None:
    assert aipp_config(ModelSpec.default()) == DEFAULT


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec.default(),
        ModelSpec(color="bgr", mean=0.588, std=0.193),
        ModelSpec(color="rgb", divisor=127.5, mean=1.0, std=1.0),
    ],
    ids=["gray", "bgr", "rgb"],
)
def test_the_chips_formula_gives_the_specs_values(spec: ModelSpec) -> None:
    text = aipp_config(spec)
    pixels = np.arange(256)
    for channel in range(spec.channels):
        low, scale = (
            np.float64(np.float16(re.search(rf"{name}_chn_{channel}: (\S+)", text).group(1)))  # type: ignore[union-attr]
            for name in ("min", "var_reci")
        )
        assert f"mean_chn_{channel}: 0\n" in text
        # Both numbers are half floats on the chip.
        np.testing.assert_allclose((pixels - low) * scale, spec.table, rtol=1e-3, atol=2e-3)
    assert f"_chn_{spec.channels}:" not in text


def test_colour_is_taken_in_the_specs_own_order() -> None:
    text = aipp_config(ModelSpec(color="bgr"))
    assert "input_format: RGB888_U8" in text
    assert "rbuv_swap_switch: false" in text


def test_an_image_that_aipp_cannot_take_is_refused() -> None:
    with pytest.raises(InputError, match="the spec has 5000 by 32"):
        aipp_config(ModelSpec(width=5000))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (ModelSpec(mean=-0.5), "min_chn -127.5; AIPP takes 0 to 255"),
        (ModelSpec(mean=1.5), "min_chn 382.5"),
        (ModelSpec(divisor=1.0, mean=0.0, std=1e-5), "AIPP takes -65504 to 65504"),
    ],
    ids=["negative mean", "mean above white", "factor beyond half floats"],
)
def test_numbers_that_aipp_does_not_take(spec: ModelSpec, words: str) -> None:
    with pytest.raises(InputError) as caught:
        aipp_config(spec)
    assert words in caught.value.message
    assert "without --aipp" in caught.value.hint
