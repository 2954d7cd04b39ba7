"""The simulator's page: its commands run and end as it says, and its programs are clean."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")


def blocks(language: str) -> List[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.M | re.S)


def commands() -> List[Tuple[str, int]]:
    """Each command of the page with the exit code that it names, 0 without one."""
    found = []
    for line in "".join(blocks("bash")).splitlines():
        command, _, comment = line.partition("# exit ")
        found.append((command.strip(), int(comment or 0)))
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the commands need, with the page's program in it."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("crnn", "examples"):
        # With what Python has compiled, but for what another process is writing just now.
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    for script in (*ROOT.glob("*.py"), *ROOT.glob("*.sh")):
        shutil.copy(script, copy)
    (copy / "program.py").write_text(blocks("python")[0], encoding="utf-8")
    return copy


def run(words: List[str], folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable if word == "python" else word for word in words]
    # The scripts take python3 from the path.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        words,
        cwd=str(folder),
        env={**os.environ, "PYTHONPATH": str(folder), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_end_as_the_page_says(checkout: Path) -> None:
    rows = commands()
    assert len(rows) == 15
    assert sorted({code for _, code in rows}) == [0, 1, 3, 70]
    for command, code in rows:
        done = run(shlex.split(command), checkout)
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        if "crnn.simulator" in command:
            assert "crnn.simulator: SIMULATED" in done.stderr
        if "bytes_to_ptr" in command:
            assert done.stdout == "False\n"
    assert (checkout / "report.json").is_file()


def test_the_program_within_a_process_is_clean(checkout: Path) -> None:
    done = run(["python", "-c", blocks("python")[1]], checkout)
    assert done.returncode == 0, done.stderr


def test_the_rules_of_the_page_are_those_of_the_code() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "crnn/simulator").rglob("*.py")
    )
    broken = set(re.findall(r"\.(?:broke|refuse)\(\s*\"([a-z-]+)\"", source)) | {"cut-off"}
    listed = PAGE.partition("The rules:")[2].partition("A call of pyACL")[0]
    told = {
        name
        for line in re.findall(r"^\* (.*?):", listed, flags=re.M | re.S)
        for name in re.findall(r"`([a-z-]+)`", line)
    }
    assert told == broken
