"""What harnesses that kill commands count, print and end with."""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Protocol, TypeVar

from crnn.cli import console


class Case(Protocol):
    """Something that is killed."""

    @property
    def name(self) -> str:
        """What it is called in the report."""


class Tries(Protocol):
    """The kills of one case."""

    kills: Dict[str, int]
    """How many, by what was hit; "too late" are commands that had ended."""
    faults: List[str]

    def once(self, number: int) -> None:
        """Kill once or more, and look at what is left."""


C = TypeVar("C", bound=Case)


def try_all(cases: Iterable[C], begin: Callable[[C], Tries], count: int) -> int:
    """Kill each case so many times, and print what came of it; return 1 where there is a fault."""
    faults: List[str] = []
    total = 0
    for case in cases:
        tries = begin(case)
        number = 0
        while _total(tries) < count and number < 3 * count:
            tries.once(number)
            number += 1
        faults += tries.faults
        total += _total(tries)
        console.out(f"{case.name}: {dict(tries.kills)}, {len(tries.faults)} faults")
        console.flush()
    for fault in faults:
        console.out(fault)
    console.out(f"{total} kills, {len(faults)} faults")
    return int(bool(faults))


def _total(tries: Tries) -> int:
    """Return the number of commands that were killed before their end."""
    return sum(kills for how, kills in tries.kills.items() if how != "too late")
