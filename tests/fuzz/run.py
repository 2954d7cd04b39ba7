"""The mutations, and the loop that runs a target on them."""

from __future__ import annotations

import atexit
import collections
import os
import random
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Optional, Sequence, Tuple, Type

from crnn.errors import InputError

Mend = Callable[[bytearray, random.Random], None]
Make = Callable[[random.Random], bytes]


@dataclass(frozen=True)
class Target:
    """A parser: ``parse`` takes bytes and may raise nothing but ``allowed``, in ``seconds`` at
    most.

    ``seeds`` gives files to start from, by name. ``mend`` repairs what every mutation breaks (a
    length, a checksum), so that the next check is reached too; it is called for half of the cases.
    ``make`` builds files that are right in form and odd in content, for half of the cases too.
    ``tokens`` are pieces of the format, ``short`` the number of cases that the tests have time for.
    """

    name: str
    parse: Callable[[bytes], object]
    seeds: Callable[[], Dict[str, bytes]]
    mend: Optional[Mend] = None
    make: Optional[Make] = None
    tokens: Tuple[bytes, ...] = ()
    allowed: Tuple[Type[BaseException], ...] = (InputError,)
    seconds: float = 5.0
    short: int = 1500


@dataclass(frozen=True)
class Report:
    """What a run came to: cases by how they ended, and the longest one."""

    endings: Dict[str, int]
    seconds: float
    slowest: float
    slowest_case: int


def by_path(read: Callable[[Path], object], name: str) -> Callable[[bytes], object]:
    """Return a parser of bytes from one of files:

    each case becomes a file of this name in one temporary folder.
    """
    memory = "/dev/shm"
    folder = Path(
        tempfile.mkdtemp(prefix="fuzz-", dir=memory if os.access(memory, os.W_OK) else None)
    )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

    def parse(data: bytes) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return parse


class FuzzError(AssertionError):
    """A case that broke a target; the message says how to run it again."""


NUMBERS = (
    0,
    1,
    7,
    8,
    127,
    128,
    255,
    256,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)


def run(target: Target, count: int, seed: int, *, first: int = 0) -> Report:
    """Run ``count`` cases from number ``first``.

    Raises `FuzzError` at the first that fails or takes too long.
    """
    seeds = list(target.seeds().items())
    endings: Dict[str, int] = collections.Counter()
    began, slowest, slowest_case = time.perf_counter(), 0.0, first
    for case in range(first, first + count):
        chance = random.Random(f"{target.name} {seed} {case}")
        data = mutated(target, seeds, chance)
        again = (
            f"python -m tests.fuzz --target {target.name} --seed {seed} --first {case} --count 1"
        )
        start = time.process_time()
        try:
            target.parse(data)
            endings["read"] += 1
        except target.allowed as error:
            endings[f"refused by {type(error).__name__}"] += 1
        except Exception as error:
            raise FuzzError(
                f"{target.name}: {type(error).__name__}: {error}\nrun it again: {again}"
            ) from error
        took = time.process_time() - start
        if took > target.seconds:
            raise FuzzError(
                f"{target.name}: {took:.1f} s; at most {target.seconds} s\nrun it again: {again}"
            )
        if took > slowest:
            slowest, slowest_case = took, case
    return Report(dict(endings), time.perf_counter() - began, slowest, slowest_case)


def mutated(target: Target, seeds: Sequence[Tuple[str, bytes]], chance: random.Random) -> bytes:
    """Return one file, damaged or odd."""
    if target.make and chance.random() < 0.5:
        data = bytearray(target.make(chance))
        if chance.random() < 0.7:
            return bytes(data)
        seeds = [("made", bytes(data))]
    # Small files first: they are all structure, where large ones are mostly weights.
    weights = [1 / (1 + len(data)) ** 0.5 for _, data in seeds]
    data = bytearray(chance.choices([data for _, data in seeds], weights)[0])
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        chance.choice(_MUTATIONS)(data, target, seeds, chance)
    if target.mend and chance.random() < 0.5:
        target.mend(data, chance)
    return bytes(data)


def _place(data: bytearray, chance: random.Random) -> int:
    # Structure stands at the beginning of most formats.
    limit = min(len(data), chance.choice((64, 512, 4096, len(data))))
    return chance.randrange(limit) if limit else 0


def _flip(data: bytearray, target: Target, seeds: object, chance: random.Random) -> None:
    if data:
        data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _byte(data: bytearray, target: Target, seeds: object, chance: random.Random) -> None:
    if data:
        data[_place(data, chance)] = chance.randrange(256)


def _number(data: bytearray, target: Target, seeds: object, chance: random.Random) -> None:
    size = chance.choice((1, 2, 4, 8))
    place = _place(data, chance) // size * size
    value = chance.choice((*NUMBERS, len(data), len(data) - place, len(data) - 256))
    data[place : place + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def _cut(data: bytearray, target: Target, seeds: object, chance: random.Random) -> None:
    del data[_place(data, chance) :]


def _remove(data: bytearray, target: Target, seeds: object, chance: random.Random) -> None:
    place = _place(data, chance)
    del data[place : place + chance.choice((1, 2, 4, 8, 12, 24, 100))]


def _insert(data: bytearray, target: Target, seeds: object, chance: random.Random) -> None:
    place = _place(data, chance)
    piece = (
        chance.choice(target.tokens)
        if target.tokens and chance.random() < 0.7
        else _random_bytes(chance, chance.randint(1, 24))
    )
    data[place:place] = piece


def _repeat(data: bytearray, target: Target, seeds: object, chance: random.Random) -> None:
    place = _place(data, chance)
    piece = data[place : place + chance.choice((1, 4, 12, 24, 200))]
    data[place:place] = piece * chance.choice((1, 2, 30))


def _splice(
    data: bytearray, target: Target, seeds: Sequence[Tuple[str, bytes]], chance: random.Random
) -> None:
    other = chance.choice(seeds)[1]
    place = chance.randrange(len(other)) if other else 0
    start = _place(data, chance)
    piece = other[place : place + chance.choice((16, 64, 512, 4096))]
    data[start : start + chance.choice((0, len(piece)))] = piece


_Mutation = Callable[[bytearray, Target, Sequence[Tuple[str, bytes]], random.Random], None]
_MUTATIONS: Tuple[_Mutation, ...] = (
    _flip,
    _byte,
    _number,
    _number,
    _cut,
    _remove,
    _insert,
    _repeat,
    _splice,
)


def _random_bytes(chance: random.Random, count: int) -> bytes:
    # What Random.randbytes does, which came with Python 3.9.
    return chance.getrandbits(8 * count).to_bytes(count, "little")
