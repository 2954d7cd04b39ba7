"""Greedy CTC against a loop that follows the definition, and on paths made by hand."""

from __future__ import annotations

from typing import List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn import ctc
from crnn.errors import InputError
from crnn.labels import Alphabet

DIGITS = Alphabet("0123456789")
BLANK_LAST = Alphabet("0123456789", blank=10)


def follow_definition(path: List[int], alphabet: Alphabet) -> str:
    text, last = "", None
    for index in path:
        if index != last and index != alphabet.blank:
            text += alphabet.table[index]
        last = index
    return text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param([0, 0, 0, 0], "", id="all blank"),
        pytest.param([1, 1, 1, 1], "0", id="one run"),
        pytest.param([1, 0, 1, 0], "00", id="repeat across a blank is kept"),
        pytest.param([1, 1, 0, 1], "00", id="run, blank, same again"),
        pytest.param([1, 2, 1, 2], "0101", id="no blanks needed between different ones"),
        pytest.param([0, 10, 10, 0], "9", id="last class"),
    ],
)
def test_path_by_hand(path: List[int], text: str) -> None:
    assert ctc.decode(np.array([path]), DIGITS) == [text]


@given(
    st.sampled_from([DIGITS, BLANK_LAST]),
    st.integers(1, 9),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_every_path_follows_the_definition(alphabet, steps, rows, random) -> None:
    paths = [[random.randrange(alphabet.classes) for _ in range(steps)] for _ in range(rows)]
    array = np.array(paths, dtype=np.int64).reshape(rows, steps)
    assert ctc.decode(array, alphabet) == [follow_definition(path, alphabet) for path in paths]


def test_rows_do_not_run_into_each_other() -> None:
    # The second row begins with the class that the first ends with.
    assert ctc.decode(np.array([[0, 5], [5, 0]]), DIGITS) == ["4", "4"]


def test_logits_axes_are_time_batch_classes() -> None:
    logits = np.zeros((4, 2, 11), dtype=np.float32)
    logits[:, 0, 3] = 1
    logits[1:3, 1, 7] = 1
    assert ctc.greedy(logits, DIGITS) == ["2", "6"]


def test_characters_outside_the_basic_plane() -> None:
    alphabet = Alphabet("a𝄞字")
    assert ctc.decode(np.array([[2, 0, 3, 1]]), alphabet) == ["𝄞字a"]


def test_wrong_class_count_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(4, 2, 12\); expected \(T, N, 11\)"):
        ctc.greedy(np.zeros((4, 2, 12), dtype=np.float32), DIGITS)


def test_logits_of_one_image_without_its_axis_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(4, 11\); expected \(T, N, 11\)"):
        ctc.greedy(np.zeros((4, 11), dtype=np.float32), DIGITS)


def test_confidence_is_the_probability_of_the_greedy_path() -> None:
    probabilities = np.array([[[0.5, 0.25, 0.25]], [[0.1, 0.8, 0.1]]])
    expected = 0.5 * 0.8
    for logits in (np.log(probabilities), np.log(probabilities) + 7):
        assert ctc.confidences(logits.astype(np.float32)) == pytest.approx([expected], rel=1e-6)


def test_confidence_of_large_logits_neither_overflows_nor_warns() -> None:
    logits = np.full((26, 1, 37), -1e30, dtype=np.float32)
    logits[:, :, 4] = 1e30
    assert ctc.confidences(logits) == pytest.approx([1.0])
