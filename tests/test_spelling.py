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
