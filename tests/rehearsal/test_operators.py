"""Each operator against a plain loop: bit for bit where the sums are exact in float32, within one
value of float16 elsewhere.
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import pytest

from crnn.rehearsal import operators
from tests.rehearsal import loops

STRIDES_AND_PADS = [
    ((1, 1), (1, 1, 1, 1)),
    ((1, 1), (0, 0, 0, 1)),
    ((2, 1), (0, 1, 0, 1)),
    ((2, 2), (0, 0, 0, 0)),
]


def whole(seed: int, *shape: int, most: int = 8) -> np.ndarray:
    """Small integers over 8: their products and sums are exact in float32, not in float16."""
    random = np.random.default_rng(seed)
    values: np.ndarray = random.integers(-8 * most, 8 * most + 1, shape).astype(np.float32)
    return values / 8


def above(seed: int, *shape: int) -> np.ndarray:
    """Values above 0: where terms cancel, what float32 has lost may be many values of float16."""
    return np.abs(real(seed, *shape))


def real(seed: int, *shape: int) -> np.ndarray:
    return loops.half(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize(("strides", "pads"), STRIDES_AND_PADS)
@pytest.mark.parametrize("count", [1, 5])
def test_convolution(
    strides: Tuple[int, int],
    pads: Tuple[int, ...],
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two images a product, so that the last product has one.
    monkeypatch.setattr(operators, "COLUMNS", 2 * 7 * 9)
    for values, most in ((whole, 0), (above, 1)):
        images, weight, bias = values(1, count, 3, 6, 8), values(2, 4, 3, 3, 3), values(3, 4)
        if pads == (0, 0, 0, 1):
            weight = np.ascontiguousarray(weight[:, :, :2, :2])
        got = operators.convolve(images, weight, bias, strides=strides, pads=pads)
        expected = loops.convolve(images, weight, bias, strides, pads)
        assert got.shape == expected.shape
        assert loops.ulps(got, expected).max() <= most


def test_a_sum_is_rounded_once_and_not_each_of_its_terms() -> None:
    """2048 + 1 + 1 is 2050 in float32; in float16 each 1 alone would be lost."""
    images = np.array([2048, 1, 1], dtype=np.float32).reshape(1, 3, 1, 1)
    ones = np.ones((1, 3, 1, 1), dtype=np.float32)
    flat = {"strides": (1, 1), "pads": (0, 0, 0, 0)}
    assert operators.convolve(images, ones, None, **flat).item() == 2050  # type: ignore[arg-type]
    assert operators.product(images.reshape(1, 3), ones.reshape(3, 1)).item() == 2050
    # The bias is added before the rounding: 2048 + 1 is 2048, and 2048 + 2 would be 2050.
    two = np.array([1], dtype=np.float32)
    rows = images[:, :2].reshape(1, 2)
    assert operators.product(rows, ones[:, :2].reshape(2, 1), two).item() == 2050


@pytest.mark.parametrize(("strides", "pads"), STRIDES_AND_PADS[1:])
def test_max_pooling(strides: Tuple[int, int], pads: Tuple[int, ...]) -> None:
    images = real(4, 2, 3, 6, 8) - 9  # below the zeros of a padding that would be wrong
    got = operators.max_pool(images, kernel=(2, 2), strides=strides, pads=pads)
    assert np.array_equal(got, loops.max_pool(images, (2, 2), strides, pads))


def test_product() -> None:
    for values, most in ((whole, 0), (above, 1)):
        left, right, bias = values(5, 7, 20), values(6, 20, 9), values(7, 9)
        got = operators.product(left, right, bias)
        assert loops.ulps(got, loops.product(left, right, bias)).max() <= most


def test_what_does_not_fit_is_infinity() -> None:
    left = np.array([[65504.0], [32760.0], [-32760.0], [32759.0]], dtype=np.float32)
    got = operators.product(left, np.full((1, 1), 2.0, dtype=np.float32)).ravel()
    assert got.tolist() == [np.inf, np.inf, -np.inf, 65504.0]


def test_log_softmax() -> None:
    scores = real(8, 5, 37) * 4
    exact = scores.astype(np.float64)
    exact = exact - np.log(np.exp(exact).sum(axis=1, keepdims=True))
    got = operators.log_softmax(scores)
    assert np.array_equal(got, loops.half(got))
    assert loops.ulps(got, exact).max() <= 1


def weights(values: Any, inputs: int = 5, size: int = 3) -> Tuple[np.ndarray, ...]:
    """The weights are small enough for the gates not to be shut or wide open all the time."""
    return values(10, 4 * size, inputs) / 8, values(11, 4 * size, size) / 8, values(12, 4 * size)


def run_lstm(sequence: np.ndarray, *given: np.ndarray, reverse: bool = False) -> np.ndarray:
    weight, recurrent, bias = given
    first = np.zeros((sequence.shape[1], recurrent.shape[1]), dtype=np.float32)
    return operators.lstm(sequence, weight, recurrent, bias, states=(first, first), reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_lstm(reverse: bool) -> None:
    sequence = whole(9, 1, 4, 5, most=1)
    exact = run_lstm(sequence, *weights(whole), reverse=reverse)
    assert loops.ulps(exact, loops.lstm(sequence, *weights(whole), reverse=reverse)).max() == 0
    sequence = real(9, 6, 4, 5)
    got = run_lstm(sequence, *weights(real), reverse=reverse)
    expected = loops.lstm(sequence, *weights(real), reverse=reverse)
    # In the cell terms cancel too: beside one value of float16, what float32 loses is allowed.
    assert ((loops.ulps(got, expected) <= 1) | (np.abs(got - expected) < 1e-6)).all()


def test_the_lstms_h_is_rounded_at_each_step() -> None:
    sequence = real(13, 26, 4, 5)
    got = run_lstm(sequence, *weights(real))
    rounded = loops.lstm(sequence, *weights(real))
    kept = loops.lstm(sequence, *weights(real), round_h=False)
    assert np.array_equal(got, loops.half(got))
    assert (kept != rounded).any()
    # As near as the sums' order lets it be to the one, and not to the other.
    assert (got != rounded).sum() < (got != kept).sum() / 4


def test_the_lstms_cell_stays_in_float32() -> None:
    """A cell of 1 that gains 2 ** -11 a step, with all gates open, gains 2 ** -7 in 16 steps; in
    float16 it would not move.
    """
    nothing = np.zeros((4, 1), dtype=np.float32)
    bias = np.array([30, 30, 30, 2.0**-11], dtype=np.float32)
    first = (np.zeros((1, 1), dtype=np.float32), np.ones((1, 1), dtype=np.float32))
    sequence = np.zeros((16, 1, 1), dtype=np.float32)
    got = operators.lstm(sequence, nothing, nothing, bias, states=first, reverse=False)
    assert got[-1].item() == np.float16(np.tanh(1 + 2.0**-7)) != np.float16(np.tanh(1))


def test_the_lstms_bias_stays_in_float32() -> None:
    """float16 has 1024 and 1025: a bias of 1024.375 against a sum of -1024 leaves 0.375."""
    weight = np.array([0, 0, 0, -1024], dtype=np.float32).reshape(4, 1)
    bias = np.array([30, 30, 30, 1024.375], dtype=np.float32)
    first = (np.zeros((1, 1), dtype=np.float32), np.zeros((1, 1), dtype=np.float32))
    sequence = np.ones((1, 1, 1), dtype=np.float32)
    got = operators.lstm(sequence, weight, weight * 0, bias, states=first, reverse=False)
    assert got.item() == np.float16(np.tanh(np.tanh(0.375)))


def test_the_lstm_begins_with_the_states_it_is_given() -> None:
    sequence, given = real(14, 3, 2, 5), weights(real)
    whole_run = run_lstm(real(15, 3, 2, 5), *given)
    states = (whole_run[-1], np.full((2, 3), 0.25, dtype=np.float32))
    with_states = operators.lstm(sequence, *given, states=states, reverse=False)
    assert (with_states != run_lstm(sequence, *given)).any()
