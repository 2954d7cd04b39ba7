"""Views as pictures: what each is, at which width, and where it lies in the word's picture."""

from __future__ import annotations

import io
from typing import Dict

import numpy as np
import pytest
from PIL import Image

from crnn.batch import Problem, Sample, Span
from crnn.image import decode
from crnn.samples.batches import Seen, image_batches
from crnn.samples.views import PictureViews
from crnn.spec import ModelSpec
from crnn.views import parsed
from crnn.widths import Widths

WIDE = ModelSpec(widths=Widths(list=(80, 100, 128)))
FIXED = ModelSpec()


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (50, 130), dtype=np.uint8)


def seen(spec: ModelSpec, names: str, data: bytes) -> Dict[str, Seen]:
    views, _ = PictureViews(spec, parsed(names)).of(data)
    return {view.name or "": view for view in views}


def test_the_first_view_is_the_word_as_it_is_read_without_views(noise: np.ndarray) -> None:
    data = png(noise)
    views = seen(WIDE, "near2,near3", data)
    np.testing.assert_array_equal(views["near1"].image, decode(data, WIDE))
    assert isinstance(views["near2"].image, np.ndarray)
    # 36 * 130 / 50 = 93.6: 100, then 80 by the ratio, then 128.
    assert [view.image.shape[2] for view in views.values()] == [100, 80, 128]  # type: ignore[union-attr]


def test_inverted_is_the_inverted_picture_resized(noise: np.ndarray) -> None:
    views = seen(FIXED, "inv", png(noise))
    np.testing.assert_array_equal(views["inv"].image, decode(png(255 - noise), FIXED))


def test_cropped_loses_eight_hundredths_above_and_below(noise: np.ndarray) -> None:
    views = seen(FIXED, "crop", png(noise))
    np.testing.assert_array_equal(views["crop"].image, decode(png(noise[4:-4]), FIXED))


def test_padded_goes_on_outwards_and_says_where_it_lies(noise: np.ndarray) -> None:
    views = seen(FIXED, "pad,inv.pad", png(noise))
    padded = np.pad(noise, 4, mode="edge")
    np.testing.assert_array_equal(views["pad"].image, decode(png(padded), FIXED))
    np.testing.assert_array_equal(views["inv.pad"].image, decode(png(255 - padded), FIXED))
    assert views["pad"].span == Span(-4.0, 134.0, 130)
    assert views["near1"].span == Span(0.0, 130.0, 130)


@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_turned_against_the_clock_without_a_black_corner(color: str) -> None:
    spec = ModelSpec(color=color)
    pixels = np.full((40, 160), 200, dtype=np.uint8)
    pixels[18:22] = 20
    views = seen(spec, "rot+3,rot-3", png(pixels))
    up, down = views["rot+3"].image, views["rot-3"].image
    assert isinstance(up, np.ndarray) and isinstance(down, np.ndarray)
    assert up.shape == spec.image_shape
    # The line's left end goes down, its right end up; the corners stay as the edge is.
    assert up[0, :, 5].argmin() > 16 > up[0, :, -5].argmin()
    assert down[0, :, 5].argmin() < 16 < down[0, :, -5].argmin()
    assert min(up[0, 0, 0], up[0, -1, -1], down[0, 0, -1], down[0, -1, 0]) > 190


@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (1000, 1), (3, 2)])
def test_pictures_of_any_shape_have_all_views(size: tuple) -> None:
    pixels = np.full(size, 128, dtype=np.uint8)
    for view in seen(WIDE, "18", png(pixels)).values():
        assert isinstance(view.image, np.ndarray)
        assert (view.image == 128).all() or "inv" in str(view.name)


def test_a_word_without_picture_has_one_row() -> None:
    views = PictureViews(FIXED, parsed("3"))
    for sample in (Sample("a", None, "x"), Sample("a", b"nothing", "x")):
        rows, remarks = views(sample)
        assert len(rows) == 1
        assert isinstance(rows[0].image, Problem)
        assert not remarks


def test_all_views_of_a_word_are_in_batches_of_one_width_each(noise: np.ndarray) -> None:
    samples = [Sample(f"w{n}", png(noise[:, : 60 + 10 * n]), "x") for n in range(7)]
    samples.insert(3, Sample("broken", b"nothing", "x"))
    maker = PictureViews(WIDE, parsed("5"))
    rows = []
    settled = 0
    for batch in image_batches(samples, WIDE, 4, views=maker, workers=1):
        assert batch.positions is not None
        assert batch.views is not None
        assert batch.settled >= settled
        settled = batch.settled
        assert len(batch.images) <= 4
        assert batch.images.shape[3] == batch.width or not len(batch.images)
        rows += list(zip(batch.keys, batch.views))
    assert settled == 8
    expected = {(f"w{n}", view.name) for n in range(7) for view in parsed("5")}
    assert set(rows) == expected | {("broken", "near1")}
    assert len(rows) == len(set(rows))
