"""The temperature of least log loss, of words whose best one is known."""

from __future__ import annotations

from typing import Tuple

import numpy as np
import pytest

from crnn.scoring import temperature as module
from crnn.scoring.temperature import GRID, Fit, TemperatureFit, Words, log_loss


def words_of(best: float) -> Tuple[np.ndarray, np.ndarray]:
    """Return words that are right exactly as often as their probability at a temperature says, so
    that no other one has less log loss: with logits z the derivative vanishes there alone.
    """
    shares = np.arange(1, 10) / 10
    logits = np.repeat(best * np.log(shares / (1 - shares)), 10)
    right = np.concatenate([np.arange(10) < count for count in range(1, 10)])
    logs = [-np.log1p(np.exp(-logits / each)) for each in GRID]
    return np.array(logs), right


def fitted(best: float) -> Fit:
    fit = TemperatureFit()
    logs, right = words_of(best)
    for begin in range(0, len(right), 7):
        fit.add(logs[:, begin : begin + 7], right[begin : begin + 7])
    assert fit.words == len(right)
    return fit.gathered().fit()


@pytest.mark.parametrize("best", [0.15, 0.3, 0.77, 1.0, 1.37, 2.9, 7.5])
def test_the_temperature_at_which_probabilities_are_right_is_found(best: float) -> None:
    found = fitted(best)
    # Of those that are tried, the nearest is up to 4 % away.
    assert found.temperature == pytest.approx(best, rel=0.004)
    assert not found.at_end


@pytest.mark.parametrize(("best", "end"), [(0.05, 0.125), (20.0, 8.0)])
def test_a_temperature_beyond_those_that_are_tried_is_an_end(best: float, end: float) -> None:
    assert fitted(best) == Fit(end, True)


def test_probabilities_between_two_temperatures_are_between_theirs() -> None:
    logs, right = words_of(1.0)
    words = Words(logs, right)
    for place in (0, 7, len(GRID) - 1):
        np.testing.assert_allclose(words.at(GRID[place]), np.exp(logs[place]), rtol=1e-12)
    middle = words.at(float(np.sqrt(GRID[7] * GRID[8])))
    np.testing.assert_allclose(middle, np.exp((logs[7] + logs[8]) / 2), rtol=1e-12)
    # A logarithm just above 0, by rounding, is not a probability above 1.
    assert Words(np.full((len(GRID), 1), 1e-9), np.ones(1, dtype=bool)).at(1.5) == 1.0


def test_no_more_words_are_kept_than_are_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 5)
    fit = TemperatureFit()
    logs, right = words_of(1.0)
    fit.add(logs[:, :3], right[:3])
    assert not fit.is_full
    fit.add(logs[:, 3:9], right[3:9])
    assert fit.is_full
    assert fit.words == 5
    kept = fit.gathered()
    np.testing.assert_array_equal(kept.logs, logs[:, :5].astype(np.float32))
    np.testing.assert_array_equal(kept.right, right[:5])
    np.testing.assert_array_equal(kept.every_other(1).right, right[1:5:2])


def test_without_words_nothing_is_fitted() -> None:
    nothing = TemperatureFit().gathered()
    assert nothing.logs.shape == (len(GRID), 0)
    assert log_loss(nothing.at(1.0), nothing.right) == 0.0
    assert nothing.fit() == Fit(GRID[0], True)


def test_log_loss_by_hand() -> None:
    right = np.array([True, False, True])
    found = log_loss(np.array([0.5, 0.25, 1.0]), right)
    assert found == pytest.approx((np.log(2) - np.log(0.75)) / 3)
    # One sure mistake is not everything.
    assert log_loss(np.array([1.0]), np.array([False])) == pytest.approx(-np.log(1e-12), rel=1e-4)
