"""What becomes of a label, and the one vocabulary of reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn import labels
from crnn.datasets.check import CheckRules as CheckRules
from crnn.datasets.extract import extract
from crnn.errors import InputError
from crnn.jobs.prepare import PrepareRequest, prepare
from crnn.labels import Alphabet
from crnn.samples.lmdb import LmdbSamples
from crnn.spec import ModelSpec
from crnn.training.labels import LabelRules as TrainingLabels
from tests.datasets.test_look import change, make

SPEC = ModelSpec()


@pytest.mark.parametrize(("folds_case", "expected"), [(True, "ümlaut"), (False, "Ümlaut")])
def test_fold(folds_case: bool, expected: str) -> None:
    assert labels.fold("Ümlaut", folds_case=folds_case) == expected


@given(st.lists(st.one_of(st.none(), st.text("aBÜ"))), st.booleans())
def test_all_labels_are_folded_as_each_is(given_labels: list, folds_case: bool) -> None:
    each = [
        label if label is None else labels.fold(label, folds_case=folds_case)
        for label in given_labels
    ]
    assert list(labels.fold_all(given_labels, folds_case=folds_case)) == each


def test_an_alphabets_characters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRNN_MAX_CHARACTERS", "3")
    assert Alphabet("abc").classes == 4
    with pytest.raises(InputError, match="has 4 characters; at most 3") as refused:
        Alphabet("abcd")
    assert "CRNN_MAX_CHARACTERS" in refused.value.hint


def test_outside_names_each_once_in_order() -> None:
    assert labels.outside("b-a!-c", "abc") == "-!"
    assert labels.outside("abc", frozenset("abc")) == ""


@given(st.text("ab-!\U0001f600"), st.frozensets(st.sampled_from("ab-!")))
def test_strip_takes_out_what_is_outside(label: str, known: frozenset[str]) -> None:
    kept = labels.strip(label, known)
    assert not labels.outside(kept, known)
    assert sorted(kept) == sorted(c for c in label if c not in labels.outside(label, known))


@pytest.mark.parametrize(
    ("label", "expected"), [("a\r\nb", "a b"), ("a\n\rb", "a  b"), ("a\tb\u2028c", "a\tb\u2028c")]
)
def test_one_line(label: str, expected: str) -> None:
    assert labels.one_line(label) == expected


def test_steps_count_a_blank_between_equal_neighbours() -> None:
    assert [labels.steps(text) for text in ("", "abc", "aab", "aaa", "abab")] == [0, 3, 4, 5, 4]
    assert [labels.repeats(text) for text in ("", "a", "aab", "aaa", "abab")] == [0, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (None, labels.NO_LABEL),
        ("two!", labels.OUTSIDE),
        ("ab" * 13 + "a", labels.TOO_LONG),
        ("a" * 14, labels.TOO_LONG),
        ("a" * 13, ""),
        ("Two", ""),
    ],
)
def test_check_and_training_name_one_fault_by_one_word(label: Optional[str], reason: str) -> None:
    found = CheckRules(Alphabet(SPEC.characters), SPEC.time_steps).problems(label)
    assert [problem.reason for problem in found] == [reason][: len(found)]
    assert bool(found) == bool(reason)
    assert TrainingLabels(SPEC).take(label)[1] == reason


def test_prepare_and_extract_name_one_fault_by_one_word(tmp_path: Path) -> None:
    path = change(make(tmp_path / "lmdb", "one", "two", "th\nree"), label_000000002=None)
    bins = str(tmp_path / "bins")
    request = PrepareRequest(LmdbSamples(path), bins, tmp_path / "label.txt", SPEC)
    counts = prepare(request).counts
    extracted = extract(path, tmp_path / "out")
    assert extracted.skipped == {labels.NO_LABEL: 1}
    assert extracted.changed == {labels.LINE_BREAK: 1}
    assert counts == {labels.NO_LABEL: 1, labels.LINE_BREAK: 1, labels.OUTSIDE: 1}
