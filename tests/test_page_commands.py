"""Each command of the pages runs as it is printed: in a copy of the checkout, in a shell that knows
nothing but where it is, with the `.venv` that the first command of the ReadMe makes.

`python` there is one without any package. What needs CANN meets the simulator.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

import pytest

from crnn.cli.main import build_parser
from tests.conftest import ROOT
from tests.fonts import installed
from tests.foreign import few_words_lmdb
from tests.processes import measured

MADE = ("make demo", "make test")
"""The two commands of the ReadMes, which install; the others are run after the first."""

MARKED: Dict[str, str] = {
    "python3 -m venv light": "downloads",
    "light/bin/": "light/",
    "pip install -e ": "# downloads",
    "crnn train synthetic alphabet=@characters.txt": "A recipe of your own",
    "crnn doctor --chip-report report": "from a box with a chip",
    "export ASCEND_INSTALL_ROOT=/opt/Ascend": "the folder that holds",
}
"""What is not run, by its beginning, and the words by which its page says why: it downloads, needs
data that is not in the checkout, or a machine of another kind (the report from a chip takes
minutes; tests/jobs/test_chip_report.py makes one)."""

PAGES = ("docs/ascend.md", "docs/datasets.md", "docs/runs.md", "docs/training.md")
"""Those that run besides the ReadMes; tests of their own run library.md's, own-words.md's,
reading.md's and simulator.md's."""
EXIT = {"./atc_crnn.sh": 4}
"""Exit codes without CANN."""


class Ended(NamedTuple):
    """A command of a page, and how it ended."""

    command: str
    code: int
    said: str


def fenced(page: str) -> List[str]:
    """Return the commands of a page's blocks, in their order, without their comments."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found: List[str] = []
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.M | re.S):
        if language not in ("sh", "console"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            line = line[2:] if line.startswith("$ ") else line
            command = re.sub(r"\s#\s.*$", "", f"{line} ").strip()
            if command:
                found.append(command)
    return found


def to_run(page: str) -> List[str]:
    """Return those that are run; each other one is marked in its page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    kept = []
    for command in fenced(page):
        marks = [mark for start, mark in MARKED.items() if command.startswith(start)]
        if marks:
            assert page.endswith("zh-CN.md") or marks[0] in text, f"{page}: {command}"
        elif command not in MADE and (installed() or " synth " not in command):
            kept.append(command)
    return kept


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `python` and a `python3` without packages."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(str(folder), with_pip=False, symlinks=True)
    return folder / "bin"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout with its `.venv`, and what the pages call the user's own."""
    leave = shutil.ignore_patterns("__pycache__")
    for name in ("crnn", "examples"):
        shutil.copytree(str(ROOT / name), str(tmp_path / name), ignore=leave)
    for script in (*ROOT.glob("*.py"), *ROOT.glob("*.sh")):
        shutil.copy(str(script), str(tmp_path))
    # How many words the commands read proves nothing.
    shutil.rmtree(str(tmp_path / "examples" / "words_lmdb"))
    few_words_lmdb(tmp_path / "examples" / "words_lmdb", 60)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    shutil.copy(str(ROOT / "examples" / "crnn_small.pth"), str(tmp_path / "crnn.pth"))
    (tmp_path / "IIIT5K_lmdb").symlink_to(tmp_path / "examples" / "words_lmdb")
    return tmp_path


def in_a_fresh_shell(
    commands: List[str], checkout: Path, python: Path, *before: str
) -> List[Ended]:
    """Run commands one after another in one shell; `crnn` needs what the demo's end names."""
    lines = []
    for number, command in enumerate(commands):
        if command.startswith("crnn "):
            command = f"(. .venv/bin/activate; {command})"
        lines.append(f"echo '=== {number}' >&2; {command}\necho \"=== ended $?\" >&2\n")
    (checkout / "page.sh").write_text("".join(lines), encoding="utf-8")
    environ = ["env", "-i", f"HOME={checkout}", f"PATH={python}:/usr/bin:/bin", "LANG=C.UTF-8"]
    environ += [f"{name}={value}" for name, value in measured().items()]
    # tests/conftest.py says why.
    environ += [
        f"{name}={os.environ[name]}" for name in ("OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS")
    ]
    done = subprocess.run(
        [*environ, *before, "bash", "page.sh"],
        cwd=str(checkout),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    parts = re.findall(r"^=== (\d+)\n(.*?)^=== ended (\d+)$", done.stdout, flags=re.M | re.S)
    assert len(parts) == len(commands), done.stdout
    return [Ended(commands[int(n)], int(code), said) for n, said, code in parts]


@pytest.fixture(scope="module")
def ran() -> Dict[Tuple[str, ...], Tuple[List[Ended], float]]:
    """How commands ended and the accuracy they gave: those of a page in two languages run once."""
    return {}


@pytest.mark.parametrize("page", ["ReadMe.md", "ReadMe.zh-CN.md"])
def test_every_command_of_the_readmes_runs(
    page: str,
    checkout: Path,
    python: Path,
    ran: Dict[Tuple[str, ...], Tuple[List[Ended], float]],
) -> None:
    commands = to_run(page)
    assert len(commands) >= 4
    if tuple(commands) not in ran:
        every = in_a_fresh_shell(commands, checkout, python)
        result = json.loads((checkout / "result.json").read_text())
        ran[tuple(commands)] = (every, result["accuracy"])
    every, accuracy = ran[tuple(commands)]
    for ended in every:
        expected = EXIT.get(ended.command.split()[0], 0)
        assert ended.code == expected, ended
        assert "Traceback" not in ended.said
        assert not expected or "CANN" in ended.said
    assert accuracy > 0.8


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_other_pages_runs(page: str, checkout: Path, python: Path) -> None:
    commands = to_run(page)
    if not commands:
        assert page == "docs/training.md"
        return
    before = ["python", "-m", "crnn.simulator", "--"]
    for ended in in_a_fresh_shell(commands, checkout, python, *before):
        assert ended.code == 0, ended
        assert "Traceback" not in ended.said


def test_a_command_that_does_not_run_is_found(checkout: Path, python: Path) -> None:
    commands = ["python pth2onnx.py none.pth crnn.onnx", "crnn doctor --ascand", "true"]
    codes = [ended.code for ended in in_a_fresh_shell(commands, checkout, python)]
    assert codes == [1, 2, 0]


# --- what stands within the lines


def every_parser() -> Dict[Tuple[str, ...], argparse.ArgumentParser]:
    """Return each parser by the words that lead to it."""
    return dict(_below(build_parser(), ()))


def _below(
    parser: argparse.ArgumentParser, words: Tuple[str, ...]
) -> Iterator[Tuple[Tuple[str, ...], argparse.ArgumentParser]]:
    yield words, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from _below(below, (*words, name))


def inline(page: Path) -> List[str]:
    """Return what a page has in backticks that begins with `crnn` and a verb."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [found.replace("\n", " ") for found in re.findall(r"`(crnn [a-z][^`]*)`", text)]


PROSE = [ROOT / "ReadMe.md", ROOT / "ReadMe.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_the_options_of_commands_within_lines_exist(page: Path) -> None:
    parsers = every_parser()
    for command in inline(page):
        words = command.replace("\\|", "|").split()[1:]
        parser = parsers[()]
        for length in (1, 2):
            parser = parsers.get(tuple(words[:length]), parser)
        assert parser is not parsers[()], f"{page.name}: {command}"
        for option in re.findall(r"(?<!\S)(--[a-z][a-z-]*)", command):
            assert option in parser._option_string_actions, f"{page.name}: {command}: {option}"


DOWNLOADED = "These commands\nneed the download"


def test_what_needs_a_download_is_marked() -> None:
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    table = text.partition("### Where the sets are published")[2].partition("\n## ")[0]
    assert len(re.findall(r"`crnn dataset convert [^`]+`", table)) == 7
    assert DOWNLOADED in table


# --- examples of --help


def examples() -> List[Tuple[str, str]]:
    found = []
    for words, parser in every_parser().items():
        for line in (parser.epilog or "").splitlines()[1:]:
            command = re.split(r" {3,}", line.strip())[0]
            if command:
                found.append((" ".join(words), command))
    return found


@pytest.mark.parametrize(("verb", "example"), examples())
def test_the_examples_of_every_help_parse(verb: str, example: str) -> None:
    words = shlex.split(example)
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :]
    if words[0] == "find":
        words = words[words.index("|") + 1 :]
    assert words[0] == "crnn"
    args, unknown = build_parser().parse_known_args(words[1:])
    # A recipe's pairs may stand among options.
    assert args.verb == "train" or unknown == []
    assert [word for word in unknown if word.startswith("-")] == []


def test_every_word_after_crnn_has_a_description_and_an_example() -> None:
    for words, parser in every_parser().items():
        if words:
            assert parser.description, words
            assert parser.description.endswith("."), words
            assert f"crnn {' '.join(words)}" in (parser.epilog or ""), words


def test_defaults_name_themselves() -> None:
    said = 0
    for words, parser in every_parser().items():
        for action in parser._actions:
            if not action.option_strings or action.default in _NOTHING:
                continue
            text = str(action.help)
            assert "default" in text, (words, action.option_strings)
            said += 1
    assert said > 20


_NOTHING = (None, False, "", (), [], argparse.SUPPRESS)
