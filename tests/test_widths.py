"""The rule that chooses a picture's width."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.errors import InputError
from crnn.widths import Widths, parsed, widths_of

SIDES = st.integers(1, 70_000)
LISTS = st.lists(st.integers(1, 2000), min_size=1, max_size=9, unique=True).map(sorted).map(tuple)


@given(LISTS, SIDES, SIDES, st.integers(1, 100))
def test_the_chosen_width_is_the_nearest_and_of_two_the_narrower(widths, width, height, factor):
    chosen = Widths(factor=float(factor), list=widths).choose(width, height)
    ideal = Fraction(factor * width, height)
    assert chosen == min(widths, key=lambda each: (abs(each - ideal), each))


@given(LISTS, SIDES, SIDES)
def test_nearest_begins_with_the_chosen_and_has_each_width_once(widths, width, height):
    found = Widths(list=widths).nearest(width, height)
    assert found[0] == Widths(list=widths).choose(width, height)
    assert sorted(found) == list(widths)


def test_the_other_widths_follow_by_their_ratio():
    # 160 is as far from 118 as 76 is, by the ratio nearer than 80.
    assert Widths().nearest(118, 36) == [128, 100, 160, 80, 200]


@pytest.mark.parametrize("factor", [0.001, 1, 65535])
def test_a_factor_from_the_least_to_the_most(factor):
    assert widths_of({"list": [80], "factor": factor}).factor == factor


@pytest.mark.parametrize("factor", [0.0009, 65535.5, -36, math.nan, math.inf, 10**400, True, "36"])
def test_a_factor_outside_its_range_is_refused(factor):
    with pytest.raises(InputError, match="factor is .*; expected"):
        widths_of({"list": [80], "factor": factor})


def test_the_ends_of_a_list_of_widths():
    assert widths_of([1, 65535]).list == (1, 65535)
    assert len(widths_of(list(range(1, 65))).list) == 64
    with pytest.raises(InputError, match="list has 65 widths; at most 64"):
        widths_of(list(range(1, 66)))
    for width in (0, 65536):
        with pytest.raises(InputError, match=f"{width} is in the list; expected 1 to 65535"):
            widths_of([width])


@pytest.mark.parametrize(
    ("size", "width"),
    [((1, 1000), 80), ((1000, 1), 200), ((90, 36), 80), ((91, 36), 100), ((100, 36), 100)],
)
def test_odd_pictures_have_a_width_and_ties_go_to_the_narrower(size, width):
    assert Widths().choose(*size) == width


def test_widths_of_an_option():
    assert parsed("128,80, 100,80") == [80, 100, 128]
    for text in ("", "80,", "80,x", "0,80", "-5", "80;100", "70000"):
        with pytest.raises(ValueError):
            parsed(text)
