"""Where characters stand: on paths made by hand, against every path, and on annotated words."""

from __future__ import annotations

import itertools
from typing import Dict, List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn import ctc
from crnn.batch import Span
from crnn.decoding.extents import aligned, characters
from crnn.labels import Alphabet
from crnn.results import Character

AB = Alphabet("ab")


def logits_of(path: List[int], certain: List[float]) -> np.ndarray:
    """Return logits (T, 1, 3) whose likeliest path is given, with its probability at each step."""
    values = np.empty((len(path), 1, 3))
    for step, (number, most) in enumerate(zip(path, certain)):
        values[step, 0] = (1 - most) / 2
        values[step, 0, number] = most
    return np.log(values).astype(np.float32)


def test_characters_by_hand() -> None:
    logits = logits_of([0, 1, 1, 0, 0, 2, 0, 2, 0, 0], [0.9, 0.6, 0.8] + [0.9] * 2 + [0.7] * 5)
    found = characters(logits, ["abb"], AB, [Span(0.0, 100.0, 100)])[0]
    assert [each.character for each in found] == ["a", "b", "b"]
    assert [each.index for each in found] == [1, 2, 2]
    assert [each.probability for each in found] == pytest.approx([0.8, 0.7, 0.7])
    # Centres at columns 20, 55 and 75; halfway between them 37.5 and 65.
    assert [(each.first, each.last) for each in found] == [(2, 37), (38, 64), (65, 84)]


def test_one_character_has_the_whole_width_and_none_has_none() -> None:
    logits = logits_of([0, 1, 0, 0], [0.9] * 4)
    assert characters(logits, ["a"], AB, [Span(0.0, 33.0, 33)])[0] == (
        Character("a", 1, pytest.approx(0.9), 0, 32),
    )
    assert characters(logits_of([0, 0], [0.9] * 2), [""], AB, [Span(0.0, 33.0, 33)]) == [()]


def test_a_part_of_the_picture_and_a_picture_with_a_margin() -> None:
    logits = logits_of([1, 0, 0, 2], [0.9] * 4)
    inner = characters(logits, ["ab"], AB, [Span(10.0, 50.0, 50)])[0]
    assert [(each.first, each.last) for each in inner] == [(10, 29), (30, 49)]
    outer = characters(logits, ["ab"], AB, [Span(-5.0, 45.0, 40)])[0]
    assert [(each.first, each.last) for each in outer] == [(0, 19), (20, 39)]


def test_a_narrow_picture_gives_each_character_a_column() -> None:
    logits = logits_of([1, 2, 1, 2, 1, 2], [0.9] * 6)
    found = characters(logits, ["ababab"], AB, [Span(0.0, 3.0, 3)])[0]
    assert all(0 <= each.first <= each.last <= 2 for each in found)


def test_the_temperature_makes_it_less_sure() -> None:
    logits = logits_of([1, 0], [0.9, 0.9])
    sharp = characters(logits, ["a"], AB, [Span(0.0, 9.0, 9)], 1.0)[0][0]
    flat = characters(logits, ["a"], AB, [Span(0.0, 9.0, 9)], 2.0)[0][0]
    assert flat.probability < sharp.probability
    assert flat.first == sharp.first


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([AB, Alphabet("ab", 2)]))
def test_the_alignment_is_the_likeliest_path_of_its_text(seed, steps, alphabet) -> None:
    random = np.random.default_rng(seed)
    logits = random.standard_normal((steps, 2, 3)).astype(np.float32)
    best: List[Dict[str, float]] = [{}, {}]
    for path in itertools.product(range(3), repeat=steps):
        text = ctc.decode(np.array([path]), alphabet)[0]
        for row in range(2):
            score = sum(float(logits[step, row, number]) for step, number in enumerate(path))
            best[row][text] = max(best[row].get(text, -np.inf), score)
    texts = sorted(best[0])
    for first, second in zip(texts, reversed(texts)):
        paths = aligned(logits, [first, second], alphabet)
        assert ctc.decode(paths.copy(), alphabet) == [first, second]
        for row, text in enumerate((first, second)):
            score = logits[np.arange(steps), row, paths[row]].sum()
            assert score == pytest.approx(best[row][text], abs=1e-5)


def test_a_text_that_was_not_the_likeliest_has_its_characters_too() -> None:
    logits = logits_of([1, 0, 0, 2], [0.9] * 4)
    found = characters(logits, ["aa"], AB, [Span(0.0, 40.0, 40)])[0]
    assert [each.character for each in found] == ["a", "a"]
    assert found[1].probability == pytest.approx(0.05)
