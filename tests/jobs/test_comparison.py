"""What `crnn compare` is made of: words put together by name, log-probabilities, tails."""

from __future__ import annotations

import tracemalloc
from typing import Iterator, List, Optional, Sequence

import numpy as np
import pytest

from crnn.jobs.comparison.logits import LogComparer, log_softmax, margins, matched_classes
from crnn.jobs.comparison.sweep import tail_of
from crnn.jobs.comparison.words import WAITING, Word, joined
from crnn.spec import ModelSpec

SPEC = ModelSpec.default()
OTHER = ModelSpec(characters="cab", blank=3, time_steps=4)
CHANCE = np.random.default_rng(5)


def words(keys: Sequence[str]) -> Iterator[Word]:
    for key in keys:
        yield Word(key, None, key, np.zeros((1, 1)))


def keys_of(rows: Iterator[List[Optional[Word]]]) -> List[str]:
    found = []
    for row in rows:
        found.append("".join(word.key if word else "-" for word in row))
    return found


@pytest.mark.parametrize(
    ("sides", "rows"),
    [
        (["abc", "abc"], ["aa", "bb", "cc"]),
        (["abc", "cba", "abc"], ["bbb", "aaa", "ccc"]),
        (["ab", "abc"], ["aa", "bb", "-c"]),
        (["", "ab"], ["-a", "-b"]),
        (["ab", "cd"], ["a-", "-c", "b-", "-d"]),
    ],
)
def test_words_are_put_together_by_name(sides: List[str], rows: List[str]) -> None:
    assert keys_of(joined([words(side) for side in sides], ["A", "B", "C"])) == rows


def test_words_that_wait_long_give_up_their_logits() -> None:
    count = WAITING + 100
    keys = [str(number) for number in range(count)]
    rows = list(joined([words(keys), words(keys[::-1])], ["A", "B"]))
    kept = 0
    for row in rows:
        assert row[0] is not None
        assert row[1] is not None
        kept += row[0].logits is not None and row[1].logits is not None
    assert len(rows) == count
    assert 0 < kept < count


def test_a_pass_in_step_keeps_nothing() -> None:
    keys = [str(number) for number in range(20_000)]
    tracemalloc.start()
    for _ in joined([words(keys), words(keys)], ["A", "B"]):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000


def test_classes_are_matched_by_character() -> None:
    first = ModelSpec(characters="abc", blank=0, time_steps=4)
    assert matched_classes(first, OTHER) == ([0, 1, 2, 3], [3, 1, 2, 0])
    assert matched_classes(OTHER, ModelSpec(characters="bx")) == ([3, 2], [0, 1])


def test_the_same_network_in_other_classes_and_scale_differs_in_nothing() -> None:
    first = ModelSpec(characters="abc", blank=0, time_steps=4)
    logits = CHANCE.normal(size=(4, 4)).astype(np.float32)
    moved = np.empty_like(logits)
    moved[:, [3, 1, 2, 0]] = logits + 7
    comparer = LogComparer(first, OTHER)
    pairs = comparer.add(["k"], [logits], [moved])
    found = comparer.finish()
    assert found is not None
    assert found.largest < 1e-6
    assert found.margin_largest < 1e-6
    assert pairs[0] is not None
    assert pairs[0][0] == pytest.approx(float(margins(log_softmax(logits[None]))[0]))


def test_what_cannot_be_compared_is_counted() -> None:
    comparer = LogComparer(SPEC, SPEC)
    sound = np.zeros((26, 37), dtype=np.float32)
    broken = sound.copy()
    broken[3, 4] = np.nan
    pairs = comparer.add(["a", "b", "c"], [sound, sound, sound], [broken, sound[:20], sound])
    assert comparer.left_out == {"output not finite": 1, "other time steps": 1}
    assert pairs == [None, None, (0.0, 0.0)]
    found = comparer.finish()
    assert found is not None
    assert found.words == 1


def test_words_of_several_lengths() -> None:
    comparer = LogComparer(SPEC, SPEC)
    first = [CHANCE.normal(size=(steps, 37)) for steps in (26, 51, 26)]
    second = [logits.copy() for logits in first]
    second[1][50, 7] += 3
    pairs = comparer.add(["a", "b", "c"], first, second)
    found = comparer.finish()
    assert found is not None
    assert (found.words, found.key) == (3, "b")
    assert found.largest > 1
    assert pairs[0] is not None
    assert pairs[0][0] == pairs[0][1]


@pytest.mark.parametrize("words_there", [*range(2, 80), 2000, 100_000])
def test_a_tail_is_short_and_not_empty(words_there: int) -> None:
    assert words_there % tail_of(words_there) or words_there == 2
