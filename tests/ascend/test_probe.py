"""Asking pyACL in another process: without one, with one that crashes, hangs or chatters."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.ascend.probe import probe
from tests.cann_trees import write


@pytest.fixture
def acl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a module named acl is found by the child process."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "acl.py"


def test_without_acl_the_reason_is_told(acl: Path) -> None:
    found = probe()
    assert not found.imported
    assert "No module named 'acl'" in found.error


def test_an_acl_that_crashes_takes_only_its_own_process_with_it(acl: Path) -> None:
    write(acl, "import os\nos.abort()\n")
    found = probe()
    assert "ended with exit -6" in found.error
    assert found.devices == ()


def test_an_acl_that_hangs_is_left_alone(acl: Path) -> None:
    write(acl, "import time\ntime.sleep(60)\n")
    assert "did not answer within 2 s" in probe(timeout=2.0).error


def test_what_libraries_print_is_no_answer(acl: Path) -> None:
    write(acl, "print('[INFO] driver loaded')\ndef init(): return 507899\n")
    found = probe()
    assert found.imported
    assert "acl.init failed with 507899" in found.error
