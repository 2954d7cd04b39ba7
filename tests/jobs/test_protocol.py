from __future__ import annotations

from typing import List, Optional, Tuple

import numpy as np
import pytest

from crnn.batch import Sample
from crnn.errors import UsageError
from crnn.jobs.protocol import (
    DROPPED,
    LEFT_OVER,
    PROTOCOLS,
    STRIPPED,
    TOO_SHORT,
    AppliedProtocol,
    CountingProtocol,
    apply,
    protocol_named,
)
from crnn.presets import SPECS
from crnn.spec import ModelSpec

SPEC = ModelSpec.default()
LABELS = ["House", "it's", "no", "d-", "é", " abc ", ""]


def applied(
    protocol: CountingProtocol, labels: List[Optional[str]]
) -> Tuple[List[Optional[str]], List[Tuple[str, str]]]:
    rules = AppliedProtocol(protocol, SPEC)
    kept = list(rules.apply(Sample(f"test_{i}", b"", label) for i, label in enumerate(labels, 1)))
    return [sample.label for sample in kept], [
        (key, problem.reason) for key, problem in rules.problems
    ]


@pytest.mark.parametrize(
    ("name", "kept", "problems"),
    [
        ("modelzoo", LABELS, []),
        # "d-" is outside the alphabet and short: it counts as the first.
        (
            "mindspore-ic",
            ["House"],
            [(f"test_{i}", TOO_SHORT if i in (3, 7) else DROPPED) for i in range(2, 8)],
        ),
        (
            "mindspore-iiit5k",
            ["House", "its", "no", "d", "", "abc", ""],
            [
                ("test_2", STRIPPED),
                ("test_4", STRIPPED),
                ("test_5", STRIPPED),
                ("test_6", STRIPPED),
            ],
        ),
        ("tensorflow", [], [(f"test_{i}", LEFT_OVER) for i in range(1, 8)]),
    ],
)
def test_each_protocol_counts_what_its_system_counts(
    name: str, kept: List[str], problems: List[Tuple[str, str]]
) -> None:
    assert applied(PROTOCOLS[name], list(LABELS)) == (kept, problems)


def test_tensorflow_counts_whole_batches_and_trims() -> None:
    labels, problems = applied(PROTOCOLS["tensorflow"], [" a "] * 130)
    assert labels == ["a"] * 128
    assert problems == [("test_129", LEFT_OVER), ("test_130", LEFT_OVER)]


def test_unlabelled_samples_are_left_alone() -> None:
    assert applied(PROTOCOLS["mindspore-ic"], [None, "abc"]) == ([None, "abc"], [])


def test_normalisations_are_the_published_ones() -> None:
    pixels = np.arange(256, dtype=np.float32)
    trained = SPECS["tensorflow"]
    np.testing.assert_array_equal(trained.table, pixels / np.float32(127.5) - np.float32(1))
    evaluated = apply(PROTOCOLS["tensorflow"], trained)
    np.testing.assert_array_equal(evaluated.table, (pixels - np.float32(127.5)) / np.float32(255))
    np.testing.assert_array_equal(
        SPECS["mindspore-v1"].table, (pixels - np.float32(127.5)) / np.float32(127.5)
    )
    np.testing.assert_array_equal(
        SPECS["mindocr-vgg7"].table, (pixels - np.float32(127)) / np.float32(127)
    )
    np.testing.assert_array_equal(
        SPECS["sierkinhane"].table,
        (pixels / np.float32(255) - np.float32(0.588)) / np.float32(0.193),
    )
    assert apply(PROTOCOLS["modelzoo"], SPEC) is SPEC


def test_names_and_policies() -> None:
    assert protocol_named(None) == CountingProtocol()
    assert protocol_named(None, "strip") == PROTOCOLS["mindspore-iiit5k"]
    with pytest.raises(UsageError, match="no protocol 'x'; expected one of modelzoo, mindspore-ic"):
        protocol_named("x")
    with pytest.raises(UsageError, match="leave --oov out"):
        protocol_named("modelzoo", "drop")
