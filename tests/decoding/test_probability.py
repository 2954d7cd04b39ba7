"""The probability of a text against the sum over every path, written out."""

from __future__ import annotations

import itertools
import math
from typing import Dict, List, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn import ctc
from crnn.decoding.probability import (
    Classes,
    classes_of_path,
    classes_of_texts,
    log_probabilities,
    probabilities,
)
from crnn.labels import Alphabet

AB = Alphabet("ab")
BLANK_LAST = Alphabet("ab", blank=2)


def every_path(
    logits: np.ndarray, alphabet: Alphabet, temperature: float = 1.0
) -> Dict[str, float]:
    """Return the probability of each text of one row's logits (T, K): that of all its paths."""
    scores = logits.astype(np.float64) / temperature
    steps = scores - scores.max(axis=1, keepdims=True)
    steps = np.exp(steps) / np.exp(steps).sum(axis=1, keepdims=True)
    found: Dict[str, float] = {}
    for path in itertools.product(range(alphabet.classes), repeat=len(logits)):
        text = ctc.decode(np.array([path]), alphabet)[0]
        weight = math.prod(steps[step, number] for step, number in enumerate(path))
        found[text] = found.get(text, 0.0) + weight
    return found


def draw(seed: int, steps: int, rows: int, spread: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.standard_normal((steps, rows, 3)) * spread).astype(np.float32)


@given(
    st.sampled_from([AB, BLANK_LAST]),
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0.3, 2.0, 12.0]),
    st.sampled_from([1.0, 0.5, 2.5]),
)
def test_it_is_the_sum_over_all_paths(alphabet, seed, steps, rows, spread, temperature) -> None:
    logits = draw(seed, steps, rows, spread)
    expected = [every_path(logits[:, row], alphabet, temperature) for row in range(rows)]
    # Each text that some path gives, all rows at once, so that long and short stand together.
    for texts in zip(*(itertools.cycle(found) for found in expected[1:]), expected[0]):
        ordered = [texts[-1], *texts[:-1]]
        values = probabilities(logits, classes_of_texts(ordered, alphabet), temperature)
        wanted = [found[text] for found, text in zip(expected, ordered)]
        np.testing.assert_allclose(values, wanted, rtol=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from([AB, BLANK_LAST]))
def test_the_greedy_texts_classes_are_those_of_its_path(seed, steps, alphabet) -> None:
    path = ctc.best_path(draw(seed, steps, 5, 1.0), alphabet)
    found = classes_of_path(path, alphabet.blank)
    wanted = classes_of_texts(ctc.decode(path, alphabet), alphabet)
    np.testing.assert_array_equal(found.classes, wanted.classes)
    np.testing.assert_array_equal(found.lengths, wanted.lengths)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_it_is_never_below_that_of_the_one_path(seed, steps) -> None:
    logits = draw(seed, steps, 3, 3.0)
    texts = classes_of_path(ctc.best_path(logits, AB), AB.blank)
    assert (probabilities(logits, texts) >= ctc.confidences(logits) * (1 - 1e-5)).all()


def test_a_text_that_no_path_gives_is_impossible() -> None:
    # "aa" needs a blank between: three steps.
    logits = np.zeros((2, 3, 3), dtype=np.float32)
    values = log_probabilities(logits, classes_of_texts(["aa", "ab", ""], AB))
    assert values[0] == -math.inf
    np.testing.assert_allclose(values[1:], math.log(1 / 9))


def reference(logits: np.ndarray, texts: Sequence[str]) -> List[float]:
    """Return PyTorch's logarithms in float64."""
    torch = pytest.importorskip("torch")
    steps, rows, _ = logits.shape
    numbers = [AB.table.index(character) for text in texts for character in text]
    loss = torch.nn.functional.ctc_loss(
        torch.log_softmax(torch.from_numpy(logits.astype(np.float64)), 2),
        torch.tensor(numbers, dtype=torch.long),
        torch.full((rows,), steps),
        torch.tensor([len(text) for text in texts]),
        reduction="none",
    )
    return [-value for value in loss.tolist()]


@pytest.mark.parametrize("steps", [26, 300, 870, 1500])
@pytest.mark.parametrize("spread", [1.0, 40.0, 400.0])
def test_long_and_extreme_logits_as_pytorch(steps: int, spread: float) -> None:
    logits = draw(steps, steps, 3, spread)
    greedy = ctc.greedy(logits, AB)
    for texts in (greedy, ["ab" * 10, "b", "aabb"], [greedy[0][:-1], greedy[1][1:], "a"]):
        values = log_probabilities(logits, classes_of_texts(texts, AB))
        np.testing.assert_allclose(values, reference(logits, texts), rtol=1e-9)


def test_scores_larger_than_any_float32_exponent_do_not_warn() -> None:
    logits = np.full((26, 1, 3), -1e30, dtype=np.float32)
    logits[:, :, 1] = 1e30
    assert probabilities(logits, classes_of_texts(["a"], AB)) == pytest.approx([1.0])
    assert log_probabilities(logits, classes_of_texts(["b"], AB))[0] < -1e31


def test_shapes_without_values() -> None:
    empty = Classes(np.zeros((0, 0), dtype=np.intp), np.zeros(0, dtype=np.intp), 0)
    assert probabilities(np.zeros((26, 0, 3)), empty).shape == (0,)
    path = np.zeros((2, 4), dtype=np.intp)
    texts = classes_of_path(path, 0)
    assert texts.classes.shape == (0, 2)
    np.testing.assert_allclose(probabilities(np.zeros((4, 2, 3)), texts), 1 / 81)
