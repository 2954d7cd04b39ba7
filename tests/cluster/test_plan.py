"""Who does what on a cluster: whichever words end their workers, they are found, and no others."""

from __future__ import annotations

from typing import Dict, List, Set

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.cluster.plan import REASON, Attempt, Plan, Shards
from crnn.errors import UnavailableError
from crnn.jobs.run_folder import Shard

SIZE = 16
AHEAD = 6
"""How many words a worker has begun before it writes the first one down."""


class Workers:
    """Workers that end at some words, and keep what they have read two words before that."""

    def __init__(self, count: int, deadly: Set[int]) -> None:
        self.shards: List[Shard] = []
        for number in range(count):
            self.shards.append(Shard(number, number * SIZE, (number + 1) * SIZE))
        self.deadly = deadly
        self.done: Set[int] = set()
        self.places: Dict[int, int] = {}
        self.ended = 0
        self.plan = Plan(self.shards, 2, self.kept)

    def kept(self, shard: Shard) -> int:
        return self.places.get(shard.number, 0)

    def run(self) -> None:
        self.plan.begin([shard.number for shard in self.shards])
        for _ in range(2000):
            if len(self.done) == len(self.shards):
                return
            task = self.plan.take()
            assert task is not None
            if isinstance(task, Attempt):
                words = set(range(task.begin, task.end))
                if words & self.deadly - set(self.plan.passed):
                    self.ended += 1
                    self.plan.lost(task, [])
                else:
                    self.plan.survived(task)
                continue
            alive = all(self.read(self.shards[number]) for number in task.numbers)
            if not alive:
                self.ended += 1
                left = [number for number in task.numbers if number not in self.done]
                self.plan.lost(Shards(task.numbers), left)
        raise AssertionError(f"no end: {self.plan}")

    def read(self, shard: Shard) -> bool:
        """Read what is left of a shard, and say whether the worker lives."""
        for place in range(shard.begin + self.kept(shard), shard.end):
            if place in self.deadly and place not in self.plan.passed:
                kept = max(self.kept(shard), place - shard.begin - AHEAD)
                self.places[shard.number] = kept
                return False
        self.done.add(shard.number)
        return True


@given(st.integers(1, 40), st.sets(st.integers(0, 40 * SIZE - 1), max_size=5))
def test_each_word_that_ends_its_worker_is_found_and_no_other(count: int, words: Set[int]) -> None:
    deadly = {place for place in words if place < count * SIZE}
    workers = Workers(count, deadly)
    workers.run()
    assert set(workers.plan.passed) == deadly
    assert {problem.reason for problem in workers.plan.passed.values()} <= {REASON}
    # Two tries, halves of 16, and the word alone.
    assert workers.ended <= 8 * len(deadly)


def test_a_worker_that_is_lost_once_accuses_nobody() -> None:
    workers = Workers(3, set())
    workers.plan.begin([0, 1, 2])
    task = workers.plan.take()
    assert isinstance(task, Shards)
    workers.plan.lost(task, task.numbers)
    # It is done once more before its words are looked at.
    again = workers.plan.take()
    assert again == Shards((0,))
    workers.plan.put_back(again)
    workers.run()
    assert not workers.plan.passed


def test_where_no_word_is_to_blame_the_run_ends() -> None:
    plan = Plan([Shard(0, 0, 2)], 1, lambda shard: 0)
    plan.begin([0])
    with pytest.raises(UnavailableError, match="each of its words alone can be read"):
        for _ in range(20):
            task = plan.take()
            if isinstance(task, Attempt):
                plan.survived(task)
            else:
                assert task is not None
                plan.lost(task, [0])


def test_workers_get_smaller_shares_towards_the_end() -> None:
    plan = Plan([Shard(number, number, number + 1) for number in range(64)], 2, lambda shard: 0)
    plan.begin(range(64))
    sizes = []
    while True:
        task = plan.take()
        if task is None:
            break
        assert isinstance(task, Shards)
        sizes.append(len(task.numbers))
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1], sum(sizes)) == (8, 1, 64)
