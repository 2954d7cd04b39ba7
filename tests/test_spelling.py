"""The name that was probably meant."""

from __future__ import annotations

import pytest

from crnn.spelling import did_you_mean, nearest


@pytest.mark.parametrize(
    ("name", "expected"), [("evalute", "evaluate"), ("xyz", None), (5, None), ("read", "read")]
)
def test_nearest(name, expected):
    assert nearest(name, {"evaluate": 1, "export": 2, "read": 3}) == expected


def test_did_you_mean():
    assert did_you_mean("exprt", ["read", "export"]) == "; did you mean export?"
    assert did_you_mean("zzz", ["read", "export"]) == ""


def test_names_that_are_only_as_long_as_each_other_are_not_alike():
    assert nearest("epoch_size", ["batch_size"]) is None
    assert nearest("epoch_size", ["batch_size"], alike=0.6) == "batch_size"
    assert nearest("batchsize", ["batch_size", "epoch_size"]) == "batch_size"
    # What is beyond the first 200 characters of a name that was given does not count.
    assert nearest("a" * 200 + "b" * 10_000, ["a" * 200]) == "a" * 200
