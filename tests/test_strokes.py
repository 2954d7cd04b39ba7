"""The built-in pictures are the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest

from crnn.spec import ModelSpec
from crnn.strokes import COUNT, digest, stroke_pictures

GRAY = "28cae917ef9e56904142e3c7e968cc74180016dea0c96641ab60970b3ff8bde3"
RGB = "b6df4076915acf6fb5969aa9cf763de5122e59520fb2b52dc803d4263250a598"
TINY = "6369f9951963f454d0997ecbb40b0f8a098b8b9d0050e021302bfffcedea860b"


@pytest.mark.parametrize(
    ("spec", "golden"),
    [
        (ModelSpec.default(), GRAY),
        (ModelSpec(color="rgb", width=160), RGB),
        (ModelSpec(height=8, width=9), TINY),
    ],
    ids=["gray 32x100", "rgb 32x160", "tiny"],
)
def test_the_pixels_are_golden(spec: ModelSpec, golden: str) -> None:
    pictures = stroke_pictures(spec)
    assert pictures.shape == (COUNT, *spec.image_shape)
    assert pictures.dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == COUNT
    assert digest(pictures) == golden
