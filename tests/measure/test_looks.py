"""The figures of how words look, on words whose look is known; and the list of training's words."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT
from tools import word_list

sys.path.insert(0, str(ROOT / "benchmarks"))
looks = pytest.importorskip("looks")


def word(ink: int, paper: int, stroke: int = 4, blur: float = 0.0) -> np.ndarray:
    """Five strokes of a height on a ground that is not quite plain."""
    image = np.full((32, 96, 3), paper, dtype=np.uint8)
    for left in range(10, 85, 15):
        image[6:26, left : left + stroke] = ink
    if blur:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    return image


def test_figures_are_those_of_the_word():
    dark = looks.measure(word(20, 220), 5)
    light = looks.measure(word(220, 20), 5)
    assert set(dark) == set(looks.FIGURES)
    assert (dark["lighter letters"], light["lighter letters"]) == (0, 1)
    assert dark["contrast"] == light["contrast"] == pytest.approx(200)
    assert dark["aspect a letter"] == pytest.approx(np.log(96 / 32 / 5))
    assert dark["margin top and bottom"] == pytest.approx(12 / 64)
    assert dark["margin left and right"] == pytest.approx((10 + 96 - 74) / 64)
    assert dark["ink's share"] == pytest.approx(5 * 4 * 20 / 32 / 96)
    assert dark["Otsu's share between"] == pytest.approx(1)
    assert looks.measure(np.full((32, 96, 3), 9, np.uint8), 5) is None


def test_figures_follow_what_changes():
    plain, soft = looks.measure(word(20, 220), 5), looks.measure(word(20, 220, blur=2), 5)
    bold = looks.measure(word(20, 220, stroke=8), 5)
    assert soft["sharpness (Laplacian)"] < plain["sharpness (Laplacian)"]
    assert soft["edge width over height"] > plain["edge width over height"]
    assert bold["stroke over height"] > plain["stroke over height"]
    encoded = cv2.imencode(".jpg", word(20, 220, blur=2), [cv2.IMWRITE_JPEG_QUALITY, 5])[1]
    assert looks.measure(cv2.imdecode(encoded, 1), 5)["blockiness"] > soft["blockiness"] + 0.2


def test_a_distance_is_a_shift_over_the_spread():
    values = np.linspace(0, 1, 1001)
    assert looks.distance(values, values[::-1]) == 0
    assert looks.distance(values, values + 0.8) == pytest.approx(1.0, abs=1e-6)
    assert looks.distance(np.array([0.0, 1.0]), np.array([1.0, 1.0])) == 0.5


def test_common_words_come_more_often_but_less_than_in_texts():
    assert [word_list.weight(zipf) for zipf in (2, 4, 5, 6)] == [1, 5, 14, 40]
    assert word_list.weight(7.7) < 10 * word_list.weight(6)
