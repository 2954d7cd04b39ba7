"""The page on training with one's own words, and training.md's own recipe: their lines run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from crnn.training.recipe import load_recipe
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "own-words.md").read_text(encoding="utf-8")
TRAINING = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
NOT_HERE = ("boards.yaml", "places")
"""What the lines that want fonts and word lists, or an hour, have in them."""


def fenced(text: str, language: str) -> List[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def test_the_lines_run_in_their_order(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    commands = tmp_path / "bin"
    commands.mkdir()
    script = commands / "crnn"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m crnn "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
    }
    ran = []
    for line in "".join(fenced(PAGE, "sh")).splitlines():
        if any(mark in line for mark in NOT_HERE):
            continue
        if line.startswith("crnn train "):
            line += ' length="2 steps" warmup="1 step" evaluate_every="2 steps"'
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=str(tmp_path),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        ran.append(done.stdout)
    assert len(ran) == 10
    assert "of 75 words" in ran[5]
    assert len(ran[-1].splitlines()) == 30


def test_quick_goes_on_from_the_shipped_weights() -> None:
    quick, synthetic = load_recipe("quick"), load_recipe("synthetic")
    assert quick.start_from == "examples/crnn_small.pth"
    assert (ROOT / quick.start_from).is_file()
    assert (quick.channels, quick.hidden) == (synthetic.channels, synthetic.hidden)
    assert quick.precision == "auto"
    steps = re.search(r"for (\d+) steps of (\d+) words", PAGE)
    assert steps
    assert (str(quick.length), quick.batch_size) == (f"{steps[1]} steps", int(steps[2]))


def test_the_recipe_shown_is_that_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("characters.txt").write_text("abc\n", encoding="utf-8")
    Path("my.yaml").write_text(fenced(TRAINING, "yaml")[0], encoding="utf-8")
    words = shlex.split(fenced(TRAINING, "sh")[0].replace("\\\n", " "))
    assert words[:2] == ["crnn", "train"]
    assert load_recipe("my.yaml") == load_recipe(words[2], words[3:])


def test_the_recipe_of_another_alphabet_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("characters.txt").write_text("武汉北京\n", encoding="utf-8")
    text = next(text for text in fenced(PAGE, "yaml") if "alphabet" in text)
    Path("places.yaml").write_text(text, encoding="utf-8")
    recipe = load_recipe("places.yaml")
    assert recipe.alphabet == "武汉北京"
    assert recipe.start_from == "examples/crnn_small.pth"
