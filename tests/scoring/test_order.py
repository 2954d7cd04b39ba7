"""Readings of batches of several widths are in data order; of a word's views the best is kept."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.batch import Batch, Problem
from crnn.results import Reading
from crnn.samples.buckets import Row as Image
from crnn.samples.buckets import bucketed
from crnn.scoring.order import DataOrder
from crnn.scoring.rows import Row
from crnn.scoring.scorer import NOT_FINITE, Scorer
from crnn.scoring.stream import Stages, WidthTime
from crnn.spec import ModelSpec
from crnn.views import PLAIN
from crnn.widths import Widths

SPEC = replace(ModelSpec.default(), height=1, widths=Widths(list=(8, 12, 16)))
GONE = Problem("missing image")


def logits_of(batch: Batch, *, steps: int) -> Optional[np.ndarray]:
    """Return logits that read the last digit of each row's position."""
    if not len(batch.images):
        return None
    logits = np.zeros((steps, len(batch.images), 37), dtype=np.float32)
    for column, row in enumerate(batch.readable):
        logits[0, column, 1 + batch.positions[row] % 10] = 9
        logits[1:, column, 0] = 9
    return logits


@given(
    st.lists(st.sampled_from([0, 8, 8, 8, 12, 16]), max_size=150),
    st.integers(1, 6),
)
def test_readings_are_in_data_order(widths: Sequence[int], size: int) -> None:
    images: List[Image] = []
    for position, width in enumerate(widths):
        image = np.zeros((1, 1, width), dtype=np.uint8)
        label = str(position % 10)
        images.append(Image(position, f"k{position}", label, image if width else GONE))
    scorer = Scorer(SPEC)
    readings: List[Reading] = []
    for batch in bucketed(images, SPEC, size):
        readings.extend(scorer.add(batch, logits_of(batch, steps=3)))
    assert [reading.key for reading in readings] == [image.key for image in images]
    assert [reading.width for reading in readings] == [width or None for width in widths]
    for reading, width in zip(readings, widths):
        assert reading.text == (reading.label if width else "")
    assert (scorer.metric.total, scorer.metric.correct) == (
        len(widths),
        sum(width > 0 for width in widths),
    )


def test_figures_by_width() -> None:
    scorer = Scorer(SPEC)
    stages = Stages()
    for width, labels in ((8, ["0", "1", "x"]), (12, ["3", "4"])):
        positions = range(3) if width == 8 else range(3, 5)
        images = np.zeros((len(labels), 1, 1, width), dtype=np.float32)
        batch = Batch(
            [f"k{position}" for position in positions],
            labels,
            images,
            positions=list(positions),
            settled=positions[-1] + 1,
            width=width,
        )
        scorer.add(batch, logits_of(batch, steps=4))
        stages.at_width(width, len(labels), 0.5)
    stages.at_width(12, 6, 1.5)
    assert stages.by_width == {8: WidthTime(3, 0.5), 12: WidthTime(8, 2.0)}
    assert scorer.by_width(stages) == {
        8: {"words": 3, "correct": 2, "accuracy": 2 / 3, "words_per_second": 6.0},
        12: {"words": 2, "correct": 2, "accuracy": 1.0, "words_per_second": 4.0},
    }
    assert scorer.read == 5
    # Not right at its width either, though it was to read nothing.
    empty = np.zeros((0, 1, 1, 8), dtype=np.float32)
    scorer.add(Batch(["k5"], [""], empty, {0: GONE}, positions=[5], settled=6, width=8), None)
    assert scorer.metric.correct == 4
    assert scorer.by_width(stages)[8]["correct"] == 2


def test_widths_of_which_nothing_counted_are_there_narrowest_first() -> None:
    stages = Stages()
    stages.at_width(16, 3, 0.0)
    stages.at_width(8, 1, 0.5)
    found = Scorer(SPEC).by_width(stages)
    assert list(found) == [8, 16]
    nothing = {"words": 0, "correct": 0, "accuracy": 0.0}
    assert found == {
        8: {**nothing, "words_per_second": 2.0},
        16: {**nothing, "words_per_second": 0.0},
    }


def views_of(words: Sequence[Sequence[Tuple[str, int, float]]], *, bad: int = -1) -> List[Reading]:
    """Read one word a list, of which each view is a text's digit, a width and how clear it is."""
    images: List[Image] = []
    for position, views in enumerate(words):
        for number, (digit, width, clear) in enumerate(views):
            image = np.full((1, 1, width), int(digit), dtype=np.uint8)
            image[0, 0, 1] = int(clear * 10)
            last = number == len(views) - 1
            images.append(Image(position, f"k{position}", digit, image, (), f"v{number}", last))
    scorer = Scorer(SPEC)
    readings: List[Reading] = []
    for batch in bucketed(images, SPEC, 2, dtype="uint8"):
        logits = np.zeros((2, len(batch.images), 37), dtype=np.float32)
        for column, image in enumerate(batch.images):
            logits[0, column, 1 + image[0, 0, 0]] = image[0, 0, 1]
            logits[1, column, 0] = 20
            if image[0, 0, 1] == bad:
                logits[0, column, 5] = np.nan
        readings.extend(scorer.add(batch, logits))
    assert scorer.metric.total == len(words)
    assert scorer.read == len([reading for reading in readings if reading.view is not None])
    return readings


def test_the_reading_of_the_highest_probability_is_kept() -> None:
    readings = views_of(
        [
            [("1", 8, 0.5), ("2", 12, 0.9), ("1", 16, 0.7)],
            [("3", 12, 0.4), ("3", 16, 0.2), ("3", 8, 0.3)],
            [("4", 8, 0.6)],
        ]
    )
    assert [(each.text, each.view, each.width, each.views_agree) for each in readings] == [
        ("2", "v1", 12, False),
        ("3", "v0", 12, True),
        ("4", "v0", 8, None),
    ]


def test_a_view_that_is_not_finite_is_kept_only_where_there_is_no_other() -> None:
    readings = views_of([[("1", 8, 0.9), ("2", 12, 0.3)], [("3", 8, 0.9)]], bad=9)
    assert [(each.text, each.view) for each in readings] == [("2", "v1"), ("", None)]


def test_a_problem_of_one_view_is_not_counted_where_another_was_read() -> None:
    scorer = Scorer(SPEC)
    images = np.zeros((1, 1, 1, 8), dtype=np.float32)
    batch = Batch(
        ["k", "k"],
        ["0", "0"],
        images,
        {1: NOT_FINITE},
        positions=[0, 0],
        settled=1,
        views=["a", "b"],
        width=8,
    )
    [reading] = scorer.add(batch, logits_of(batch, steps=2))
    assert (reading.text, reading.view) == ("0", "a")
    assert scorer.skipped == {}


def test_a_label_too_long_is_one_for_the_steps_of_its_own_width() -> None:
    spec = replace(SPEC, time_steps=4)
    for steps, skipped in ((3, {"label too long": 1}), (6, {})):
        scorer = Scorer(spec)
        images = np.zeros((1, 1, 1, 8), dtype=np.float32)
        batch = Batch(["k"], ["01234"], images, positions=[0], settled=1, width=8)
        scorer.add(batch, logits_of(batch, steps=steps))
        assert scorer.skipped == skipped


def row_of(view: str, text: str, worth: float, problem: Optional[Problem] = None) -> Row:
    reading = Reading("k", text, None, "label", view=view)
    return Row(reading, "label", problem, worth=worth)


def kept_of(rows: Sequence[Row]) -> Row:
    """Return what is kept of a word's views, of which each comes in a batch of its own."""
    order = DataOrder()
    images = np.zeros((1, 1, 1, 8), dtype=np.float32)
    for number, row in enumerate(rows, 1):
        views = [row.reading.view]
        settled = int(number == len(rows))
        batch = Batch(
            ["k"], ["label"], images, positions=[0], settled=settled, views=views, width=8
        )
        complete = order.add(batch, [row])
    (kept,) = complete
    return kept


@pytest.mark.parametrize("names", list(itertools.permutations([PLAIN, "aside", "rot+5"])))
def test_of_equally_probable_views_the_word_as_it_is_is_kept(names: Sequence[str]) -> None:
    assert kept_of([row_of(name, "x", 0.5) for name in names]).reading.view == PLAIN
    others = [row_of(name, "x", 0.5) for name in names if name != PLAIN]
    assert kept_of(others).reading.view == "aside"


@pytest.mark.parametrize(
    ("texts", "agree"), [("x", None), ("xx", True), ("xxxx", True), ("xyy", False), ("xyxy", False)]
)
def test_views_agree_where_all_gave_one_text(texts: str, agree: Optional[bool]) -> None:
    rows = [row_of(f"v{number}", text, number) for number, text in enumerate(texts)]
    assert kept_of(rows).reading.views_agree is agree


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_view_with_a_problem_has_no_say(at: int) -> None:
    rows = [row_of("v0", "x", 0.1), row_of("v1", "x", 0.2)]
    rows.insert(at, row_of("lost", "", 0.9, GONE))
    kept = kept_of(rows)
    assert (kept.reading.view, kept.problem, kept.reading.views_agree) == ("v1", None, True)
