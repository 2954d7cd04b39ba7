"""Other processes that a test starts: none outlives its test."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from typing import Any, Dict, Iterator, List

PATIENCE = 60
"""Seconds after which a process that was asked something does not answer any more."""


@contextlib.contextmanager
def started(command: List[str], **options: Any) -> Iterator[subprocess.Popen]:
    """Start a process as the leader of a session of its own.

    However the block ends, the process and whatever it has started in its session are killed, and
    its pipes closed: an assertion, a timeout or Ctrl-C leaves nothing that runs on, nor a warning
    that hits another test.
    """
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def uncounted() -> Dict[str, str]:
    """Return this environment for a process whose lines `make coverage` does not count."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def measured() -> Dict[str, str]:
    """Return what a child with an environment of its own needs for its lines to be counted."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


def answer(process: subprocess.Popen[bytes]) -> Dict[str, Any]:
    """Return the next object, which has to come though nothing more is asked."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    assert ready, "no answer"
    value: Dict[str, Any] = json.loads(process.stdout.readline())
    return value
