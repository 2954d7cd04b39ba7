"""Commands of the kit under the simulator, within the test's process: the start of a process takes
longer than most commands. ATC and npu-smi stay processes of their own.

What whole processes do, tests/simulator/test_launcher.py and the pages' tests start.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

from crnn.cli.main import main
from crnn.simulator import Knobs, knobs
from crnn.simulator.launcher import _lay_out
from tests.ascend.machine import Findings, clean, machine


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def simulated(folder: Path, *words: str, options: str = "") -> Done:
    """Run ``crnn WORDS…`` in a folder on a simulated host, where it may break no rule and leave
    nothing.

    ``options`` are those of ``python -m crnn.simulator``.
    """
    with host(folder, options):
        return ran(words)


def ran(words: Sequence[str]) -> Done:
    """Run ``crnn WORDS…`` here."""
    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        code = main(list(words))
    return Done(code, said.getvalue(), told.getvalue())


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Let a folder be the current one in the block."""
    here = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


@contextlib.contextmanager
def host(folder: Path, options: str = "") -> Iterator[Findings]:
    """Let the block run on a simulated host, in a folder, where it may break no rule and leave
    nothing; yield what is known of it at its end.
    """
    given = parsed(options)
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="crnn-simulator-") as private:
        os.environ.update(_lay_out(Path(private), given))
        try:
            with inside(folder), machine(given) as findings:
                yield findings
            clean(findings)
        finally:
            os.environ.clear()
            os.environ.update(environment)


def parsed(options: str) -> Knobs:
    """Return what the simulator's options say."""
    parser = argparse.ArgumentParser()
    knobs.add_arguments(parser)
    return knobs.from_arguments(parser.parse_args(options.split()))
