"""Fixtures that several parts' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Several test processes share the processors: OpenMP's idle threads must not spin in one another's
# way.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real words and files that cannot be shipped; tests that need it skip where it
    is absent.
    """
    folder = Path(os.environ.get("CRNN_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder
