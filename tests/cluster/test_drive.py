"""What the command makes of a child that says nothing any more, or ends: no Ray takes part."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from typing import IO, Any, Iterator

import pytest

from crnn.cluster import drive
from crnn.cluster.order import LOCAL
from crnn.errors import UnavailableError

ALIVE = """print('{"is": "alive"}', flush=True)"""


@contextlib.contextmanager
def child(code: str) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as said, subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=said, bufsize=0
    ) as process:
        try:
            process.said = said  # type: ignore[attr-defined]
            yield process
        finally:
            process.kill()


def listen(process: Any) -> str:
    """Take messages until there are no more; return why."""
    said: IO[bytes] = process.said
    with pytest.raises(UnavailableError) as caught:
        for _ in drive._messages(process, said):
            pass
    return caught.value.message


def test_a_head_that_does_not_answer_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drive.SILENCE + drive.ENDING + 2 * drive.LOOK < 90
    monkeypatch.setattr(drive, "SILENCE", 1.0)
    with child(f"{ALIVE}\nimport time\ntime.sleep(60)") as process:
        said = listen(process)
    assert said == "the head of the Ray cluster is lost: it has not answered for 1 s"


def test_a_connection_that_ray_ends_is_told_with_its_last_words() -> None:
    words = "import os, sys; sys.stderr.write('C 0x1\\nGCS is gone\\n'); sys.stderr.flush()"
    with child(f"{ALIVE}\n{words}\nos._exit(7)") as process:
        said = listen(process)
    assert "the head of the Ray cluster is lost" in said
    assert "(exit 7): GCS is gone" in said


def test_a_ray_that_never_answered_is_not_called_lost() -> None:
    with child("raise ImportError('half a Ray')") as process:
        said = listen(process)
    assert "lost" not in said
    assert "Ray cannot be used here" in said
    assert "ImportError: half a Ray" in said


def test_what_is_not_set_is_set_for_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    named = ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "MALLOC_ARENA_MAX")
    for name in named:
        monkeypatch.delenv(name, raising=False)
    found = drive.environment_at(LOCAL)
    assert found["RAY_USAGE_STATS_ENABLED"] == "0"
    assert found["RAY_AUTH_MODE"] == "token"
    assert len(found["RAY_AUTH_TOKEN"]) == 64
    assert found["MALLOC_ARENA_MAX"] == "2"
    assert "RAY_AUTH_MODE" not in drive.environment_at("10.0.0.1:6379")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    found = drive.environment_at(LOCAL)
    assert (found["MALLOC_ARENA_MAX"], found["RAY_AUTH_MODE"]) == ("4", "disabled")
    assert "RAY_AUTH_TOKEN" not in found
