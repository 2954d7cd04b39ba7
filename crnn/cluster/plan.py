"""Which worker does what: shards, those of dead workers again, and the word that ends its worker.

A shard whose worker ended is done again. Where that ends a worker too, halves of what is left of it
are read, and forgotten, until one word is found that ends a worker by itself; it is then passed
over and becomes a record with its problem.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import Callable, Deque, Dict, Optional, Sequence, Tuple, Union

from crnn.batch import Problem
from crnn.errors import UnavailableError
from crnn.jobs.run_folder import Shard

REASON = "ends its process"
"""The problem of a word that ended every process that read it, as results count it."""
SHARE = 4
"""A worker gets this part of what would be its share of the shards that are left."""
TIMES = 2
"""So many lost workers a shard may have before its words are looked at."""
INNOCENT = 2
"""So many times no single word may be found to blame."""


@dataclass(frozen=True)
class Shards:
    """Shards that are to be read, by their numbers."""

    numbers: Tuple[int, ...]


@dataclass(frozen=True)
class Attempt:
    """Words of a shard that are read and forgotten, to see whether a worker outlives that: those
    from a position to before another that are not passed over.
    """

    number: int
    begin: int
    end: int


Task = Union[Shards, Attempt]


@dataclass
class _Suspect:
    """A shard's range that has a word which ends its worker."""

    begin: int
    end: int

    def next(self, number: int) -> Attempt:
        """Return the half that is looked at next."""
        half = max(1, (self.end - self.begin) // 2)
        return Attempt(number, self.begin, self.begin + half)


@dataclass
class Plan:
    """What is left to do.

    Args:
        shards: All shards of the run.
        workers: How many workers share them.
        kept: How many records of a shard are kept already.
    """

    shards: Sequence[Shard]
    workers: int
    kept: Callable[[Shard], int]
    passed: Dict[int, Problem] = field(default_factory=dict)
    """The words that are passed over, by their positions, and why."""
    _ready: Deque[int] = field(default_factory=collections.deque)
    _again: Deque[Task] = field(default_factory=collections.deque)
    _lost: Dict[int, int] = field(default_factory=dict)
    _suspects: Dict[int, _Suspect] = field(default_factory=dict)
    _innocent: Dict[int, int] = field(default_factory=dict)

    def begin(self, numbers: Sequence[int]) -> None:
        """Say which shards are to be done.

        Args:
            numbers: Their numbers.
        """
        self._ready.extend(numbers)

    def take(self) -> Optional[Task]:
        """Return what a worker is to do now; None where nothing is left to give.

        Returns:
            A task.
        """
        if self._again:
            return self._again.popleft()
        if not self._ready:
            return None
        share = len(self._ready) // (SHARE * self.workers)
        count = max(1, share)
        numbers = [self._ready.popleft() for _ in range(count)]
        return Shards(tuple(numbers))

    def put_back(self, task: Task) -> None:
        """Take a task back that nobody has done, through no fault of its words.

        Args:
            task: The task.
        """
        self._again.append(task)

    def later(self, numbers: Sequence[int]) -> None:
        """Take shards back that other processes work on.

        Args:
            numbers: Their numbers.
        """
        self._ready.extend(numbers)

    def survived(self, attempt: Attempt) -> None:
        """Take note of words that a worker has read.

        Args:
            attempt: The words.

        Raises:
            UnavailableError: Workers end, and no word is to blame.
        """
        suspect = self._suspects[attempt.number]
        suspect.begin = attempt.end
        if suspect.begin < suspect.end:
            self._again.append(suspect.next(attempt.number))
            return
        del self._suspects[attempt.number]
        self._innocent[attempt.number] = self._innocent.get(attempt.number, 0) + 1
        if self._innocent[attempt.number] >= INNOCENT:
            raise UnavailableError(
                f"shard {attempt.number} ends its workers, though each of its words alone can be"
                " read",
                hint="Is there memory enough for so many workers on one machine?",
            )
        self._once_more(attempt.number)

    def lost(self, task: Task, unfinished: Sequence[int]) -> None:
        """Take a task back whose worker has ended.

        Args:
            task: The task.
            unfinished: The shards of it that have no records yet, by their numbers.
        """
        if isinstance(task, Attempt):
            self._attempt_lost(task)
            return
        for place, number in enumerate(unfinished):
            if place == 0:
                self._shard_lost(number)
            else:
                self._again.append(Shards((number,)))

    def _attempt_lost(self, attempt: Attempt) -> None:
        suspect = self._suspects[attempt.number]
        if attempt.end - attempt.begin > 1:
            suspect.end = attempt.end
            self._again.append(suspect.next(attempt.number))
            return
        detail = "every worker that read it has ended without a word"
        self.passed[attempt.begin] = Problem(REASON, detail)
        del self._suspects[attempt.number]
        self._once_more(attempt.number)

    def _once_more(self, number: int) -> None:
        # Where this is lost too, its words are looked at at once.
        self._lost[number] = TIMES - 1
        self._again.append(Shards((number,)))

    def _shard_lost(self, number: int) -> None:
        self._lost[number] = self._lost.get(number, 0) + 1
        if self._lost[number] < TIMES:
            self._again.append(Shards((number,)))
            return
        shard = self.shards[number]
        begin = shard.begin + self.kept(shard)
        if begin == shard.end:
            self._once_more(number)
            return
        self._suspects[number] = _Suspect(begin, shard.end)
        self._again.append(self._suspects[number].next(number))
