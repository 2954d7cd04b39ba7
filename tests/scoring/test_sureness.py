"""How sure: figures by hand and against other ways to the same numbers."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.results import Reading
from crnn.scoring.rows import judged
from crnn.scoring.sureness import (
    NOTHING,
    SurenessCounter,
    auroc,
    expected_calibration_error,
    reliability,
)

WORDS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 0.99, 1.0]), st.booleans()), max_size=30
)


def counter_of(words: List[Tuple[float, bool]]) -> SurenessCounter:
    counter = SurenessCounter()
    for probability, right in words:
        counter.add(probability, right)
    return counter


@given(WORDS)
def test_auroc_is_the_share_of_pairs_in_order(words: List[Tuple[float, bool]]) -> None:
    right = [probability for probability, is_right in words if is_right]
    wrong = [probability for probability, is_right in words if not is_right]
    pairs = [(one > other) + 0.5 * (one == other) for one in right for other in wrong]
    values = np.array([probability for probability, _ in words])
    found = auroc(values, np.array([is_right for _, is_right in words], dtype=bool))
    if pairs:
        assert found == pytest.approx(sum(pairs) / len(pairs))
    else:
        assert found is None


def test_calibration_error_by_hand() -> None:
    # Twenty words, ten bins of two: said to be 0.9, and half of them are right.
    probabilities = np.full(20, 0.9)
    right = np.array([True, False] * 10)
    assert expected_calibration_error(probabilities, right) == pytest.approx(0.4)
    assert [one.count for one in reliability(probabilities, right)] == [2] * 10
    assert expected_calibration_error(np.zeros(0), np.zeros(0, dtype=bool)) == 0


def test_bins_are_of_equal_count_and_not_of_equal_width() -> None:
    probabilities = np.concatenate([np.linspace(0, 0.5, 5), np.linspace(0.99, 1, 95)])
    bins = reliability(probabilities, probabilities > 0.7)
    assert [one.count for one in bins] == [10] * 10
    assert [one.correct for one in bins] == [5] + [10] * 9
    assert bins[0].probability == pytest.approx(probabilities[:10].mean())


@given(WORDS, st.sampled_from([0.5, 0.75, 0.9, 1.0]))
def test_the_threshold_keeps_the_most_words(words: List[Tuple[float, bool]], wanted) -> None:
    rejection = counter_of(words).rejection_for(wanted)
    best = 0
    for threshold in {probability for probability, _ in words}:
        kept = [is_right for probability, is_right in words if probability >= threshold]
        if sum(kept) >= wanted * len(kept) - 1e-9:
            best = max(best, len(kept))
    assert rejection.kept.count == best
    assert rejection.total == len(words)
    kept = [is_right for probability, is_right in words if probability >= rejection.threshold]
    assert (len(kept), sum(kept)) == (rejection.kept.count, rejection.kept.correct)


def test_the_transferred_figure_uses_each_halfs_threshold_on_the_other() -> None:
    # Odd words: all right from 0.5 on. Even words: only from 0.9 on.
    odd = [(0.5, True), (0.9, True), (0.2, False)]
    even = [(0.5, False), (0.9, True), (0.95, True)]
    words = [word for pair in zip(odd, even) for word in pair]
    rejection = counter_of(words).rejection_for(1.0)
    assert rejection.threshold == 0.9
    assert (rejection.kept.count, rejection.kept.correct) == (3, 3)
    assert rejection.transferred is not None
    # 0.5 keeps three even words, one of them wrong; 0.9 keeps one odd word.
    assert (rejection.transferred.count, rejection.transferred.correct) == (4, 3)


def test_what_could_not_be_read_is_never_kept_and_not_in_the_figures() -> None:
    counter = counter_of([(0.9, True), (0.8, False)])
    counter.add(None, False)
    rejection = counter.rejection(0.0)
    assert (rejection.total, rejection.kept.count) == (3, 2)
    summary = counter.summary(rejection)
    assert summary.words == 2
    assert summary.auroc == 1.0
    assert judged(Reading("a", "", None, None), 0.0).rejected
    assert counter.rejection_for(0.5).kept.count == 2


def test_where_none_is_right_nothing_is_kept() -> None:
    rejection = counter_of([(0.9, False), (0.8, False)]).rejection_for(0.99)
    assert rejection.threshold == NOTHING
    assert rejection.kept.count == 0


def test_a_probability_at_the_threshold_is_kept() -> None:
    assert judged(Reading("a", "x", None, None, probability=0.5), 0.5).rejected is False
    assert judged(Reading("a", "x", None, None, probability=0.499), 0.5).rejected is True


def test_the_curve_is_of_the_surest_words_by_hand() -> None:
    words = [(0.2, False), (0.9, True), (0.4, True), (0.8, False), (0.7, True)]
    found = counter_of([*words, *[(0.1, False)] * 5]).summary(None)
    assert found.words == 10
    by_share = {share: (threshold, accuracy) for share, threshold, accuracy in found.curve}
    assert list(by_share) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0]
    assert by_share[0.1] == (0.9, 1.0)
    assert by_share[0.2] == (0.8, 0.5)
    assert by_share[0.3] == (0.7, pytest.approx(2 / 3))
    assert by_share[0.4] == (0.4, 0.75)
    assert by_share[0.5] == (0.2, 0.6)
    assert by_share[1.0] == (0.1, 0.3)
    assert counter_of([]).summary(None).curve == []
    # Of fewer words than shares, each share has one at least.
    assert counter_of([(0.5, True)]).summary(None).curve[0] == (0.1, 0.5, 1.0)
