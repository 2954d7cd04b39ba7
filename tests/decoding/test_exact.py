"""The exact score of a lexicon against CTC's definition, and where numbers become very small."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crnn.decoding.exact import emissions, grouped_logs, shared_logs
from crnn.decoding.trie import Trie, build_trie, subset
from tests.decoding import brute

BLANKS = st.sampled_from([0, 3])
WORDS = st.lists(st.lists(st.integers(0, 2), max_size=5), min_size=1, max_size=8)


def classes_of(word: List[int], blank: int) -> Tuple[int, ...]:
    """Leave room for the blank's class among 0 to 3."""
    return tuple(number + (blank == 0) for number in word)


def trie_of(groups: List[List[Tuple[int, ...]]]) -> Trie:
    flat = [number for words in groups for word in words for number in word]
    lengths = np.array([len(word) for words in groups for word in words], dtype=np.int64)
    group_of = np.repeat(np.arange(len(groups)), [len(words) for words in groups])
    return build_trie(np.array(flat, dtype=np.int32), lengths, group_of, len(groups))


def logits_of(seed: int, steps: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    logits: np.ndarray = rng.normal(scale=3, size=(steps, rows, 4)).astype(np.float32)
    return logits


@settings(max_examples=60, deadline=None)
@given(WORDS, BLANKS, st.integers(1, 5), st.integers(0, 999))
def test_one_lexicon_for_all_rows_is_scored_as_the_definition_says(words, blank, steps, seed):
    distinct = sorted({classes_of(word, blank) for word in words})
    logits = logits_of(seed, steps, rows=3)
    logs = shared_logs(trie_of([distinct]), emissions(logits), blank)
    for row in range(3):
        expected = brute.probabilities(logits[:, row], blank)
        for number, word in enumerate(distinct):
            found = np.exp(logs[row, number])
            assert found == pytest.approx(expected.get(word, 0.0), rel=1e-9, abs=1e-300)


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4), BLANKS, st.integers(1, 5), st.integers(0, 999))
@example([[[0, 1]], [[0, 1], [0, 2]]], 0, 4, 1)
def test_a_lexicon_for_each_row_is_scored_as_the_definition_says(groups, blank, steps, seed):
    distinct = [sorted({classes_of(word, blank) for word in words}) for words in groups]
    logits = logits_of(seed, steps, rows=len(distinct))
    logs = iter(grouped_logs(trie_of(distinct), emissions(logits), blank))
    for row, words in enumerate(distinct):
        expected = brute.probabilities(logits[:, row], blank)
        for word in words:
            found = np.exp(next(logs))
            assert found == pytest.approx(expected.get(word, 0.0), rel=1e-9, abs=1e-300)


def test_some_words_of_a_lexicon_keep_their_scores() -> None:
    words = [(1,), (1, 2), (1, 2, 2), (2, 3), (3,)]
    logits = logits_of(5, steps=5, rows=2)
    emitted = emissions(logits)
    every = shared_logs(trie_of([words]), emitted, 0)
    flat = np.array([number for word in words for number in word], dtype=np.int32)
    lengths = np.array([len(word) for word in words])
    chosen = [np.array([1, 2, 4]), np.array([0, 3])]
    some = grouped_logs(subset(flat, lengths, chosen), emitted, 0)
    assert some == pytest.approx([every[0, 1], every[0, 2], every[0, 4], every[1, 0], every[1, 3]])


@pytest.mark.parametrize("grouped", [False, True])
def test_words_that_are_all_next_to_impossible_are_still_told_apart(grouped: bool) -> None:
    # Each step says 3 and nothing else: every path of these words is e^-4000, and they differ by
    # the number of their paths.
    logits = np.full((4, 1, 4), -1000.0, dtype=np.float32)
    logits[:, :, 3] = 0
    trie = trie_of([[(1,), (1, 2), (2, 1, 2)]])
    score = grouped_logs if grouped else shared_logs
    logs = score(trie, emissions(logits), 0).ravel()
    assert logs == pytest.approx(-4000 + np.log([10, 15, 7]), rel=1e-12)


def test_a_temperature_divides_the_logits() -> None:
    logits = logits_of(1, steps=4, rows=1)
    trie = trie_of([[(1, 2)]])
    warm = shared_logs(trie, emissions(logits, 2.0), 0)
    assert warm == pytest.approx(shared_logs(trie, emissions(logits / 2), 0), rel=1e-6)


def test_a_trie_shares_prefixes_and_knows_what_words_need() -> None:
    trie = trie_of([[(1,), (1, 2), (1, 2, 3), (2,)]])
    assert trie.nodes == 1 + 4
    assert trie.needed.tolist() == [1, 0, 0, 0, 0]
    assert trie.level_ends.tolist() == [1, 3, 4, 5]
    assert trie.label[trie.ends].tolist() == [1, 2, 3, 2]
