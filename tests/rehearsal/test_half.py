"""Rounding to float16."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.rehearsal.half import LARGEST, to_half

FINITE = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
"""Every finite value of float16 from 0 on, in order."""


def one(value: float) -> float:
    return float(to_half(np.array([value], dtype=np.float32))[0])


def bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)


def test_every_value_of_float16_stays() -> None:
    for values in (FINITE, -FINITE):
        assert np.array_equal(bits(to_half(values)), bits(values))


def test_between_two_values_the_nearer_and_of_two_as_near_the_even_one() -> None:
    lower, upper = FINITE[:-1], FINITE[1:]
    middle = ((lower.astype(np.float64) + upper) / 2).astype(np.float32)
    even = np.where(np.arange(len(lower)) % 2 == 0, lower, upper)
    below = np.nextafter(middle, np.float32(0))
    above = np.nextafter(middle, np.float32(np.inf))
    for sign in (1, -1):
        assert np.array_equal(to_half(sign * middle), sign * even)
        assert np.array_equal(to_half(sign * below), sign * lower)
        assert np.array_equal(to_half(sign * above), sign * upper)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (65519.996, LARGEST),
        (65520.0, np.inf),
        (-65520.0, -np.inf),
        (3e38, np.inf),
        (np.inf, np.inf),
        (2.0**-25, 0.0),
        (2.0**-25 * 1.0001, 2.0**-24),
        (1e-45, 0.0),
    ],
)
def test_the_ends_of_the_range(value: float, expected: float) -> None:
    assert one(value) == expected


def test_what_is_not_a_number_stays_so_and_zero_keeps_its_sign() -> None:
    assert np.isnan(one(np.nan))
    assert np.signbit(to_half(np.array([-0.0, 0.0], dtype=np.float32))).tolist() == [True, False]


@pytest.mark.parametrize("shape", [(), (0,), (3, 1, 2)])
def test_the_shape_stays_and_the_argument_too(shape: tuple) -> None:
    values = np.full(shape, 1.0001, dtype=np.float32)
    rounded = to_half(values)
    assert (rounded.shape, rounded.dtype) == (shape, np.float32)
    assert (rounded == 1).all()
    assert (values == np.float32(1.0001)).all()


def test_an_array_seen_by_strides_is_rounded_too() -> None:
    values = np.linspace(-3, 3, 24, dtype=np.float32).reshape(4, 6)
    turned = values.T[::2]
    assert np.array_equal(to_half(turned), turned.astype(np.float16).astype(np.float32))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_as_the_standard_librarys_own_rounding_and_as_near_as_can_be(value: float) -> None:
    rounded = one(value)
    if abs(value) >= 65520:
        assert rounded == np.copysign(np.inf, value)
        return
    assert rounded == struct.unpack("<e", struct.pack("<e", value))[0]
    distance = abs(Fraction(rounded) - Fraction(value))
    for towards in (-np.inf, np.inf):
        with np.errstate(over="ignore"):
            other = np.nextafter(np.float16(rounded), np.float16(towards))
        if np.isfinite(other):
            assert distance <= abs(Fraction(float(other)) - Fraction(value))


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=40)
)
def test_the_order_stays_and_a_second_rounding_changes_nothing(values: list) -> None:
    rounded = to_half(np.array(sorted(values), dtype=np.float32))
    assert (rounded[:-1] <= rounded[1:]).all()
    assert np.array_equal(to_half(rounded), rounded)
