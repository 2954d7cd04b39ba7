"""The way of an evaluation stays short."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.cli import console
from tests.measure import walk


@pytest.fixture(scope="module")
def found() -> walk.Walk:
    return walk.example_walk()


def test_few_files_take_part(found: walk.Walk) -> None:
    # What nobody asked for (lexicons, widths, views, bins, fingerprints) is not entered.
    assert len(found.files) <= 28, found.files
    assert len(found.jobs) <= 3, found.jobs


def test_few_generators_wait_for_one_another(found: walk.Walk) -> None:
    # What is counted is what it is meant to be: the loop, the runner's stream and the data.
    assert 3 <= found.generators <= 6


def test_the_runtime_is_called_near_the_top(found: walk.Walk) -> None:
    assert 3 <= found.depth <= 10


def test_no_function_is_handed_down(found: walk.Walk) -> None:
    assert found.handed_down == ()


def test_a_function_that_is_handed_down_is_seen() -> None:
    tracer = walk._Tracer(Path(console.__file__).parents[1])
    walk.sys.setprofile(tracer)
    console.note(len)  # type: ignore[arg-type]
    console.note(test_a_function_that_is_handed_down_is_seen)  # type: ignore[arg-type]
    walk.sys.setprofile(None)
    assert tracer.handed_down == {"note(text)"}
