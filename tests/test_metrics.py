"""Metrics against published figures, hand-made tables and the definitions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn import metrics
from crnn.results import PairedTest

WORDS = st.text(alphabet="ab1 é", max_size=8)


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("good", "god", 1),
        ("ab", "ba", 2),
        ("字", "字字", 1),
        # More rows than a machine's word has bits.
        ("b" * 70, "a" * 80, 80),
        ("b" + "a" * 79, "a" * 79 + "b", 2),
        ("x" * 10, "a" * 66 + "x" * 4, 66),
    ],
)
def test_edit_distance_by_hand(first: str, second: str, distance: int) -> None:
    assert metrics.edit_distance(first, second) == distance


def by_definition(first: str, second: str) -> int:
    row = list(range(len(second) + 1))
    for left, character in enumerate(first, 1):
        above, row[0] = row[0], left
        for right, other in enumerate(second, 1):
            changed = above + (character != other)
            above = row[right]
            row[right] = min(above + 1, row[right - 1] + 1, changed)
    return row[-1]


@given(st.text(alphabet="ab1 é字", max_size=80), st.text(alphabet="ab1 é字", max_size=80))
def test_edit_distance_is_the_tables(first: str, second: str) -> None:
    assert metrics.edit_distance(first, second) == by_definition(first, second)


@given(WORDS, WORDS, WORDS)
def test_edit_distance_is_a_metric(first: str, second: str, third: str) -> None:
    distance = metrics.edit_distance
    assert (distance(first, second) == 0) == (first == second)
    assert distance(first, second) == distance(second, first)
    assert distance(first, third) <= distance(first, second) + distance(second, third)
    assert abs(len(first) - len(second)) <= distance(first, second) <= max(len(first), len(second))


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(
    correct: int, total: int, low: float, high: float
) -> None:
    assert metrics.wilson(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_at_the_edges() -> None:
    assert metrics.wilson(0, 0) == (0.0, 1.0)
    # Exactly: rounding is about 1e-18 to either side.
    assert {metrics.wilson(0, total)[0] for total in range(1, 100)} == {0.0}
    assert {metrics.wilson(total, total)[1] for total in range(1, 100)} == {1.0}


def test_text_metric_on_three_words() -> None:
    metric = metrics.TextMetric()
    for text, truth in [("good", "good"), ("god", "good"), ("", "x")]:
        metric.update(text, truth)
    assert (metric.correct, metric.total, metric.accuracy) == (1, 3, pytest.approx(1 / 3))
    assert metric.cer == pytest.approx(2 / 9)
    assert metric.one_minus_ned == pytest.approx((1 + 0.75 + 0) / 3)
    assert metric.by_length == {
        1: {"accuracy": 0.0, "correct": 0, "total": 1},
        4: {"accuracy": 0.5, "correct": 1, "total": 2},
    }
    assert list(metric.by_length) == [1, 4]  # not as they came


def test_a_batch_counts_as_its_words_do() -> None:
    texts = ["good", "god", "", "", "x", "ab", ""]
    truths = ["good", "good", "x", "", None, "ab", ""]
    together, apart = metrics.TextMetric(), metrics.TextMetric()
    missed = together.update_all(texts, truths, {5: "why", 6: "why"})
    for row, (text, truth) in enumerate(zip(texts, truths)):
        if truth is not None:
            apart.update(text, truth, wrong=row in (5, 6))
    assert missed == {1: 1, 2: 1, 5: 0, 6: 0}
    for name in ("total", "correct", "cer", "one_minus_ned", "by_length"):
        assert getattr(together, name) == getattr(apart, name), name
    assert (together.total, together.correct) == (6, 2)


def test_text_metric_of_nothing_and_of_empty_strings() -> None:
    metric = metrics.TextMetric()
    assert (metric.accuracy, metric.cer, metric.one_minus_ned, metric.by_length) == (
        0.0,
        0.0,
        0.0,
        {},
    )
    metric.update("", "")
    assert (metric.accuracy, metric.cer, metric.one_minus_ned) == (1.0, 0.0, 1.0)
    metric.update("abc", "")
    assert metric.one_minus_ned == 0.5
    assert metric.cer == 0.0  # no character of truth to be wrong about


def test_paired_test_by_hand() -> None:
    # Exact McNemar of 2 against 9: 2 * (C(11,0) + C(11,1) + C(11,2)) / 2**11
    result = metrics.paired_test(2, 9, 100)
    assert result.p_value == pytest.approx(2 * (1 + 11 + 55) / 2**11)
    assert result.difference == pytest.approx(0.07)
    # 2.5 against 9.5 of 102: 7/102, and 1.96 times the root of 12 - 49/102, over 102.
    assert result.interval95 == pytest.approx((0.00341, 0.13385), abs=5e-6)


def test_the_interval_of_a_difference_stays_among_the_differences_that_there_are() -> None:
    assert metrics.paired_test(0, 1, 1).interval95 == pytest.approx((-0.5101, 1.0), abs=5e-5)
    assert metrics.paired_test(1, 0, 1).interval95 == pytest.approx((-1.0, 0.5101), abs=5e-5)


def test_paired_test_of_equal_and_of_no_runs() -> None:
    assert metrics.paired_test(0, 0, 50).p_value == 1.0
    low, high = metrics.paired_test(0, 0, 50).interval95
    assert low == pytest.approx(-high)
    assert metrics.paired_test(0, 0, 0) == PairedTest(0, 0, 0, 0.0, (-1.0, 1.0), 1.0)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_p_value_is_a_probability_for_any_counts(first: int, second: int) -> None:
    result = metrics.paired_test(first, second, first + second)
    assert 0 <= result.p_value <= 1
    assert all(math.isfinite(bound) for bound in result.interval95)
