"""Hostile files of every kind, and commands that are killed: a few of each.

`make fuzz` has many.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.fonts import installed
from tests.fuzz.kinds import KINDS
from tests.processes import uncounted


def ran(*words: str) -> str:
    """Run one of the programs in a process of its own, which forks, and return what it says."""
    command = [sys.executable, "-m", *words]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=uncounted()
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return done.stdout


def test_hostile_files() -> None:
    # All kinds in one process: it imports PyTorch before it forks.
    told = ran("tests.fuzz.hostile", "--count", "2", "--seed", "11")
    for kind in KINDS:
        assert f"{kind.name}: 2 inputs" in told


@pytest.mark.parametrize("refused", [False, True])
def test_killed_commands(refused: bool) -> None:
    verbs = ["--verb", "prepare", "--verb", "convert"]
    if installed():
        verbs += ["--verb", "synth"]
    more = ["--refused"] if refused else []
    told = ran("tests.fuzz.kills", "--count", "4", "--seed", "11", *verbs, *more)
    assert "0 faults" in told


def test_killed_runs() -> None:
    told = ran("tests.fuzz.run_kills", "--count", "2", "--seed", "11")
    assert "0 faults" in told
