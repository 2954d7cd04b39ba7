"""The READMEs are true:

their commands run, their output is what they show, their links lead somewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from tests.conftest import ROOT

READMES = ["ReadMe.md", "ReadMe.zh-CN.md"]
DOCUMENTS = [
    *READMES,
    "CHANGELOG.md",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md"))),
]


def blocks(name: str, language: str) -> List[str]:
    # Every second fence opens a block.
    parts = re.split(r"^```(\w*)\n", (ROOT / name).read_text(encoding="utf-8"), flags=re.M)
    return [body for tag, body in zip(parts[1::4], parts[2::4]) if tag == language]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the commands need, so that they leave nothing here."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("crnn", "examples"):
        # With what Python has compiled, but for what another process is writing just now.
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    for script in (*ROOT.glob("*.py"), *ROOT.glob("*.sh")):
        shutil.copy(script, copy)
    return copy


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = line.split("#")[0].split()
    if words[0] == "python":
        words[0] = sys.executable
    # The copy has no .venv, which atc_crnn.sh would take.
    environment = {**os.environ, "PYTHONPATH": str(folder), "CRNN_PYTHON": sys.executable}
    return subprocess.run(
        words, cwd=str(folder), env=environment, capture_output=True, text=True, check=False
    )


def test_the_output_of_the_demo_is_what_is_shown(checkout: Path) -> None:
    done = run("python examples/demo.py", checkout)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert printed[-3].startswith("The result is in demo/result.json. Now ")
    assert max(map(len, printed)) <= 80
    version = run("python -m crnn --version", checkout).stdout.split()[1]
    for readme in READMES:
        shown = blocks(readme, "")[0].splitlines()
        assert [stable(line, RELEASE) for line in shown] == [
            stable(line, version) for line in printed
        ]
        # What differs from processor to processor keeps its order of magnitude.
        for before, now in zip(differences(shown), differences(printed)):
            assert before == 0 == now or 0.1 < now / before < 10


RELEASE = "0.1.0"
"""The version whose output is shown; an ONNX file holds the version that wrote it."""
DIFFERENCE = re.compile(r"(?P<what> (?:from PyTorch|two images)) +(?P<measured>\S+)")
LEAST = re.compile(r"at least (?P<limit>\S+)")


def stable(line: str, version: str) -> str:
    """Return a line without what is the machine's own: speed, seconds, threads, differences of
    floats, the widths of columns; a file's size is given without the version in it.
    """
    line = re.sub(r"\d+(\.\d+)? (words/s|thread|s\b)s?", r"N \2", line)
    line = DIFFERENCE.sub(r"\g<what> N", line)
    # A tenth of thousands of the difference that was measured.
    line = LEAST.sub("at least N", line)
    line = re.sub(r"\d+(?= bytes)", lambda size: str(int(size[0]) - len(version)), line)
    return re.sub(r"-+", "-", re.sub(r" +", " ", line))


def differences(lines: List[str]) -> List[float]:
    text = "\n".join(lines)
    found = [match["measured"] for match in DIFFERENCE.finditer(text)]
    found += [match["limit"] for match in LEAST.finditer(text)]
    assert len(found) == 3
    return [float(number) for number in found]


def test_the_python_runs(checkout: Path) -> None:
    done = run("python -m crnn export examples/crnn_small.pth crnn.onnx", checkout)
    assert done.returncode == 0, done.stderr
    from tests.cli.test_read import word_png

    (checkout / "word.png").write_bytes(word_png("tree"))
    for code in blocks("ReadMe.md", "python"):
        (checkout / "example.py").write_text(code)
        done = run("python example.py", checkout)
        assert done.stdout == "tree\n", done.stderr


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith("https://"):
            assert ((ROOT / document).parent / target).exists(), f"{document} links to {target}"


@pytest.mark.parametrize("readme", READMES)
def test_every_verb_is_in_the_readme(readme: str) -> None:
    from crnn.cli.main import VERBS

    text = (ROOT / readme).read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f"`crnn {verb}" not in text] == []
