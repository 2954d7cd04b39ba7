"""The prefix beam: with room for everything it is exact, and it never comes back without a word."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.decoding.automaton import compile_pattern
from crnn.decoding.beam import search
from crnn.decoding.exact import emissions
from crnn.decoding.graph import graph_of
from crnn.decoding.pattern import parse_pattern
from crnn.labels import Alphabet
from tests.decoding import brute
from tests.decoding.test_exact import WORDS, classes_of, logits_of, trie_of

ABC = Alphabet("abc")


def possible(words, logits, blank):
    """Return the words that some path gives, likeliest first."""
    every = brute.probabilities(logits, blank)
    fitting = [word for word in words if brute.needs(word) <= len(logits)]
    return sorted(fitting, key=lambda word: -every[word])


@settings(max_examples=60, deadline=None)
@given(WORDS, st.sampled_from([0, 3]), st.integers(1, 5), st.integers(0, 999))
def test_a_beam_with_room_for_all_prefixes_is_exact(words, blank, steps, seed):
    distinct = sorted({classes_of(word, blank) for word in words})
    logits = logits_of(seed, steps, rows=3)
    kept = search(graph_of(trie_of([distinct])), emissions(logits).scaled, blank, width=60)
    for row in range(3):
        here = np.flatnonzero(kept.row == row)
        texts = [tuple(kept.spelled[number, : kept.length[number]]) for number in here]
        assert texts == possible(distinct, logits[:, row], blank)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["[ab]{1,2}c", "(ab|ba)+", "a*b?", ".{3}", "[^a]c*", "(a|bc){2}"]),
    st.integers(3, 5),
    st.integers(0, 999),
)
def test_a_beam_over_a_pattern_keeps_its_texts_and_no_others(pattern, steps, seed):
    graph = compile_pattern(parse_pattern(pattern), ABC, folds_case=True).graph
    logits = logits_of(seed, steps, rows=2)
    kept = search(graph, emissions(logits).scaled, 0, width=2000)
    for row in range(2):
        here = np.flatnonzero(kept.row == row)
        texts = [tuple(kept.spelled[number, : kept.length[number]]) for number in here]
        every = brute.probabilities(logits[:, row], 0)
        wanted = [text for text in every if re.fullmatch(pattern, spelled(text))]
        assert texts == sorted(wanted, key=lambda text: -every[text])


def spelled(text) -> str:
    return "".join(ABC.table[number] for number in text)


def test_a_narrow_beam_keeps_what_can_still_end() -> None:
    # Every step is surest of 1, but the only word needs three characters in three steps.
    logits = np.zeros((3, 1, 4), dtype=np.float32)
    logits[:, :, 1] = 8
    kept = search(graph_of(trie_of([[(1,) * 9, (3, 2, 3)]])), emissions(logits).scaled, 0, width=1)
    assert kept.spelled[:, :3].tolist() == [[3, 2, 3]]


@pytest.mark.parametrize("width", [1, 2, 7])
def test_rows_do_not_run_into_each_other(width: int) -> None:
    words = sorted({tuple(np.random.default_rng(seed).integers(1, 4, 3)) for seed in range(20)})
    graph = graph_of(trie_of([words]))
    scaled = emissions(logits_of(3, steps=6, rows=9)).scaled
    together = search(graph, scaled, 0, width)
    for row in range(9):
        alone = search(graph, scaled[:, [row]], 0, width)
        here = together.row == row
        assert together.state[here].tolist() == alone.state.tolist()
