"""``make demo`` keeps the PyTorch that somebody has installed before it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tools.pins import pins

PINNED = (ROOT / "constraints.txt").read_text(encoding="utf-8")


def printed(folder: Path) -> str:
    """Return what make constrains pip by, where Python finds what stands in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.pins", str(ROOT / "constraints.txt")],
        cwd=str(ROOT),
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_pytorch_that_is_there_stays(tmp_path: Path) -> None:
    info = tmp_path / "torch-99.1.0+cpu.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99.1.0+cpu\n")
    lines = printed(tmp_path).splitlines()
    assert "torch==99.1.0+cpu" in lines
    # Of all others the pins stay.
    changed = set(PINNED.splitlines()) ^ set(lines)
    assert {line.split("==")[0] for line in changed} == {"torch"}


def test_without_one_the_pins_are_as_they_stand() -> None:
    assert pins(PINNED, None) == PINNED
    assert pins("", "2.0.0") == ""


def test_make_takes_these_pins() -> None:
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert made.count("\t$(PIN)\n\t$(PIP) -e ") == 2
    assert "--quiet $(PINS)" not in made
