"""The scorer: what counts as right, as wrong, as a problem, and what is kept of the misses."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional

import numpy as np
import pytest

from crnn.batch import Batch, LabelCheck, Problem
from crnn.labels import fold_all
from crnn.metrics import wilson
from crnn.results import Model, RunInfo
from crnn.scoring import scorer as module
from crnn.scoring.scorer import Readings, Scorer, evaluation_of
from crnn.scoring.stream import Stages
from crnn.spec import ModelSpec

SPEC = ModelSpec.default()
GONE = Problem("missing bin", "no such file")


def logits_of(texts: List[str]) -> np.ndarray:
    logits = np.zeros((26, len(texts), 37), dtype=np.float32)
    logits[:, :, 0] = 1
    for row, text in enumerate(texts):
        for position, character in enumerate(text):
            logits[2 * position, row, SPEC.alphabet.table.index(character)] = 5
    return logits


def batch_of(labels: List[Optional[str]], problems: Dict[int, Problem], start: int = 1) -> Batch:
    keys = [f"test_{index}" for index in range(start, start + len(labels))]
    return Batch(
        keys, labels, np.zeros((len(labels) - len(problems), 1, 32, 100), np.float32), problems
    )


def test_right_wrong_folded_and_unlabelled() -> None:
    scorer = Scorer(SPEC)
    scorer.add(batch_of(["Good", "bad", None], {}), logits_of(["good", "bat", "x"]))
    assert (scorer.metric.correct, scorer.metric.total) == (1, 2)
    assert [(miss.key, miss.text, miss.label) for miss in scorer.misses] == [
        ("test_2", "bat", "bad")
    ]
    assert 0 < scorer.misses[0].confidence < 1


def test_a_problem_counts_as_wrong_where_there_is_a_label() -> None:
    scorer = Scorer(SPEC)
    scorer.add(batch_of(["a", "b", None], {1: GONE, 2: GONE}), logits_of(["a"]))
    assert (scorer.metric.correct, scorer.metric.total) == (1, 2)
    assert scorer.skipped == {"missing bin": 2}
    assert [(miss.key, miss.text, miss.confidence) for miss in scorer.misses] == [
        ("test_2", "", None)
    ]


@pytest.mark.parametrize("threshold", [None, 0.5], ids=["at once", "row by row"])
def test_a_sample_that_could_not_be_read_is_wrong_even_where_its_label_is_empty(
    threshold: Optional[float],
) -> None:
    scorer = Scorer(SPEC, threshold=threshold)
    scorer.add(batch_of(["", ""], {0: GONE}), logits_of([""]))
    assert (scorer.metric.correct, scorer.metric.total, scorer.misses_total) == (1, 2, 1)
    assert [miss.key for miss in scorer.misses] == ["test_1"]


def test_a_batch_without_readable_rows() -> None:
    scorer = Scorer(SPEC)
    scorer.add(batch_of(["a"], {0: GONE}), None)
    assert (scorer.metric.total, scorer.read) == (1, 0)


def test_output_that_is_not_finite_is_a_problem_of_its_row_only() -> None:
    scorer = Scorer(SPEC)
    logits = logits_of(["a", "b", "c"])
    logits[3, 1, 5] = np.nan
    scorer.add(batch_of(["a", "b", "c"], {}), logits)
    assert scorer.skipped == {"output not finite": 1}
    assert (scorer.metric.correct, scorer.metric.total) == (2, 3)


def test_readings_come_in_data_order_with_problems_in_their_place() -> None:
    scorer = Scorer(SPEC, confidences=True)
    readings = scorer.add(batch_of(["a", "b", "c"], {1: GONE}), logits_of(["a", "c"]))
    assert [(reading.key, reading.text) for reading in readings] == [
        ("test_1", "a"),
        ("test_2", ""),
        ("test_3", "c"),
    ]
    assert [reading.confidence is None for reading in readings] == [False, True, False]


def test_a_batch_counted_at_once_counts_as_row_by_row() -> None:
    # Where something is asked of single rows, a batch goes the other way.
    labels: List[Optional[str]] = ["Good", "bad", None, "tür", "e" * 27, "", None, "x"]
    logits = logits_of(["good", "bat", "x", "", "", "y", "x"])
    logits[3, 3, 5] = np.nan
    batch = batch_of(labels, {6: GONE})
    at_once, by_rows = Scorer(SPEC), Scorer(SPEC)
    readings = at_once.add(batch, logits)
    assert isinstance(readings, Readings)
    rows = by_rows.rows(batch, logits)
    by_rows._report(rows)
    for row in rows:
        by_rows._count(row)
    assert len(readings) == len(rows)
    assert list(readings) == [row.reading for row in rows]
    assert at_once.misses == by_rows.misses
    assert at_once.skipped == by_rows.skipped
    assert at_once.named == by_rows.named
    for name in ("total", "correct", "cer", "one_minus_ned", "by_length"):
        assert getattr(at_once.metric, name) == getattr(by_rows.metric, name), name


def test_a_batchs_labels_are_looked_at_as_each_one_is() -> None:
    check = LabelCheck(SPEC)
    fine: List[Optional[str]] = ["House", "", "a" * 13, "abcdefghijklmnopqrstuvwxyz"]
    for more in ([], [None], ["tür"], ["aa" * 7], ["abcdefghijklmnopqrstuvwxyz0"]):
        labels = [*fine, *more, "b"]
        found = dict(check.problems(labels, fold_all(labels, folds_case=True)))
        wanted = {row: check.problem(label) for row, label in enumerate(labels)}
        assert found == {row: problem for row, problem in wanted.items() if problem}
        assert list(found) == list(range(4, 4 + len(more)))


def test_the_worst_misses_are_kept_worst_first_then_in_data_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MISSES_KEPT", 3)
    scorer = Scorer(SPEC)
    scorer.add(batch_of(["abcd", "abcd", "abcd"], {}), logits_of(["abce", "xxxx", "abxx"]))
    scorer.add(batch_of(["abcd", "abcd"], {}, start=4), logits_of(["yyyy", "abxy"]))
    assert [miss.key for miss in scorer.misses] == ["test_2", "test_4", "test_3"]
    assert scorer.misses_total == 5


def test_only_the_first_few_of_a_reason_are_named() -> None:
    scorer = Scorer(SPEC)
    for index in range(5):
        scorer.report(f"k{index}", GONE)
    assert [key for key, _ in scorer.named] == ["k0", "k1", "k2"]
    assert scorer.skipped["missing bin"] == 5


def test_a_miss_is_as_bad_as_its_share_of_the_longer_text() -> None:
    scorer = Scorer(SPEC)
    labels = ["abcdefgh", "abcd", "a", "abcd", ""]
    # 2 of 8 characters, 3 of 4, 2 of 3, 1 of 4; and one without any, since it could not be read.
    scorer.add(batch_of(labels, {4: GONE}), logits_of(["abcdefxx", "xxxd", "abc", "abcx"]))
    assert [miss.key for miss in scorer.misses] == [
        "test_2",
        "test_3",
        "test_1",
        "test_4",
        "test_5",
    ]


@pytest.mark.parametrize(("seconds", "expected"), [(0.5, 6.0), (0.0, 0.0)])
def test_throughput_is_the_words_that_were_read_a_second(seconds: float, expected: float) -> None:
    scorer, stages = Scorer(SPEC), Stages()
    scorer.add(batch_of(["a", "b", None, "c"], {1: GONE}), logits_of(["a", "x", "y"]))
    run = RunInfo(Model(Path("m.onnx"), "", SPEC, "file"), None, None, 1, {}, simulated=False)
    stages.add("infer", 0.25)
    evaluation = evaluation_of(
        scorer, run, stages=stages, batch=4, seconds=seconds, protocol={"name": "kit"}
    )
    assert evaluation.throughput == expected
    assert (evaluation.correct, evaluation.total, evaluation.batch) == (1, 3, 4)
    assert evaluation.interval95 == wilson(1, 3)
    assert evaluation.stages["infer"]["sum"] == 250.0
    assert evaluation.run is run
