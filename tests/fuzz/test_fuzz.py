"""A short run of every fuzzing target, and proof that the fuzzer notices."""

from __future__ import annotations

import time

import pytest

from tests.fuzz.run import FuzzError, Target, run
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_short_run_breaks_nothing(name: str) -> None:
    report = run(TARGETS[name], TARGETS[name].short, 7)
    assert sum(report.endings.values()) == TARGETS[name].short
    # Both ways must be met, or the mutations miss the parser.
    assert len(report.endings) >= 2


def test_the_same_seed_gives_the_same_run() -> None:
    assert run(TARGETS["sidecar"], 50, 3).endings == run(TARGETS["sidecar"], 50, 3).endings


def _index(data: bytes) -> int:
    return data[10]


def _sleep(data: bytes) -> None:
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass


def test_an_exception_of_another_kind_is_noticed() -> None:
    with pytest.raises(
        FuzzError, match=r"bad: IndexError: .*\nrun it again: .* --seed 1 --first \d+ --count 1"
    ):
        run(Target("bad", _index, lambda: {"short": bytes(12)}), 100, 1)


def test_a_slow_case_is_noticed() -> None:
    with pytest.raises(FuzzError, match=r"slow: 0\.0 s; at most 0\.01 s"):
        run(Target("slow", _sleep, lambda: {"x": b"x"}, seconds=0.01), 1, 1)
