"""``python -m tests.fuzz.hostile``: hostile files of every kind, given to all verbs that read them.

Each try must end with a message of the kit's or a right reading, in time and in bounded memory:
no traceback, no death by a signal, no hang. The kinds are in `tests.fuzz.kinds`.
"""

from __future__ import annotations

import argparse
import collections
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Sequence

from crnn.cli import console
from tests.fuzz.forked import Child, Ended, command, fails, warm

SECONDS, MEMORY = 10.0, 1 << 30
"""What a try may take: a file that is itself larger may take more, but no input here is."""
PATIENCE = 60.0
"""Seconds after which a try counts as hanging; the machine may be busy."""

Commands = Sequence[Sequence[object]]


@dataclass(frozen=True)
class Kind:
    """A kind of hostile input.

    ``make`` writes one into an empty folder and returns the command lines that are to meet it;
    ``inputs`` holds a sound model and data (see `sound_inputs`).
    """

    name: str
    make: Callable[[random.Random, Path, Path], Commands]


def try_kind(kind: Kind, inputs: Path, count: int, seed: int, first: int = 0) -> List[str]:
    """Run the tries of a kind, print how they ended, and return what must not have been."""
    faults = []
    endings: Dict[str, int] = collections.Counter()
    slowest, largest = 0.0, 0
    for case in range(first, first + count):
        place = Path(tempfile.mkdtemp(prefix="crnn-hostile-"))
        try:
            for argv in kind.make(random.Random(f"{kind.name} {seed} {case}"), place, inputs):
                ended = Child(command(*argv)).end(PATIENCE)
                found = _faults(ended)
                if found:
                    words = " ".join(str(word)[:200] for word in argv)
                    faults.append(
                        f"{kind.name} {case}: {found}: crnn {words}\n{ended.text[-1500:]}"
                    )
                endings[f"exit {ended.code}"] += 1
                slowest, largest = max(slowest, ended.cpu), max(largest, ended.peak)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    told = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items()))
    console.out(
        f"{kind.name}: {count} inputs, {sum(endings.values())} commands: {told}; slowest"
        f" {slowest:.1f} s, most memory {largest >> 20} MiB, {len(faults)} faults"
    )
    console.flush()
    return faults


def _faults(ended: Ended) -> List[str]:
    found = fails(ended, seconds=SECONDS, memory=MEMORY)
    # A code that is not documented is an answer, not an error.
    answered = "not documented" in ended.text
    if ended.code == 1 and "crnn: error: " not in ended.text and not answered:
        found.append("no message")
    if ended.code not in (0, 1, 2, 3, 4):
        found.append(f"exit {ended.code}")
    if "\x1b" in ended.text or "\u202e" in ended.text or "\x9b" in ended.text:
        found.append("terminal escapes")
    return found


def main() -> int:
    """Run the kinds and return 1 if one of them fell."""
    from tests.fuzz.kinds import KINDS, sound_inputs

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.hostile", description=__doc__)
    names = [kind.name for kind in KINDS]
    parser.add_argument("--kind", choices=names, action="append", help="default: all")
    parser.add_argument("--count", type=int, default=40, help="inputs a kind (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    parser.add_argument("--first", type=int, default=0, help="the first input's number")
    args = parser.parse_args()
    warm()
    began = time.monotonic()
    inputs = Path(tempfile.mkdtemp(prefix="crnn-sound-"))
    faults: List[str] = []
    try:
        sound_inputs(inputs)
        for kind in KINDS:
            if args.kind is None or kind.name in args.kind:
                faults += try_kind(kind, inputs, args.count, args.seed, args.first)
    finally:
        shutil.rmtree(inputs, ignore_errors=True)
    for fault in faults:
        console.out(ascii(fault))
    console.out(f"{len(faults)} faults in {time.monotonic() - began:.0f} s")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
