"""Which Python runs the kit: an old one is told so, one that lacks something hands over.

The old ones are looked for on PATH and among pyenv's; the suite says which are not there.
"""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import List, Optional

import pytest

from crnn.cli.main import BOX_VERBS, VERBS
from tests.conftest import ROOT
from tests.processes import measured

SCRIPTS = [
    "pth2onnx.py",
    "parse_testdata.py",
    "get_info.py",
    "post_CRNN_pytorch_acl.py",
    "postpossess_CRNN_pytorch.py",
]
PLAIN = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
TAKEN = 99
"""The exit code of the stand-in for the checkout's own Python."""


@functools.lru_cache(maxsize=None)
def python(version: str) -> Optional[str]:
    """Find a Python of a version that starts; pyenv's stubs are there for those not chosen too."""
    found = [shutil.which(f"python{version}")]
    found += sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")))
    for path in found:
        if path is None:
            continue
        run = subprocess.run([path, "-c", ""], capture_output=True, check=False)
        if run.returncode == 0:
            return path
    return None


def old(*versions: str) -> List[object]:
    """Return a parameter for each version, skipped where there is no such Python."""
    marked = []
    for version in versions:
        absent = pytest.mark.skipif(python(version) is None, reason=f"no Python {version} here")
        marked.append(pytest.param(version, marks=absent))
    return marked


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what runs, without a Python of its own."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in [*SCRIPTS, "acl_net.py"]:
        shutil.copy(ROOT / name, folder)
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(str(ROOT / "crnn"), str(folder / "crnn"), ignore=leave)
    return folder


@pytest.fixture(scope="module")
def owner(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a Python of its own, which writes its arguments and ends in `TAKEN`."""
    folder = tmp_path_factory.mktemp("owner") / "checkout"
    shutil.copytree(str(checkout), str(folder))
    (folder / ".venv" / "bin").mkdir(parents=True)
    stand_in(folder / ".venv" / "bin" / "python", TAKEN)
    return folder


def stand_in(path: Path, code: int) -> Path:
    """Write a program that prints its arguments, a line each, and ends with a code."""
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@"\nexit {code}\n', encoding="ascii")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def started(
    interpreter: Optional[str], *words: str, folder: Path, **environ: str
) -> subprocess.CompletedProcess[str]:
    assert interpreter is not None
    return subprocess.run(
        [interpreter, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=str(folder),
        env={**PLAIN, **measured(), **environ},
    )


@pytest.mark.parametrize("version", old("2.7", "3.6"))
@pytest.mark.parametrize(
    "words",
    [[name] for name in [*SCRIPTS, "acl_net.py"]]
    + [["-m", "crnn", "evaluate"], ["-m", "crnn.simulator", "--", "true"], ["-c", "import crnn"]],
)
def test_a_python_that_is_too_old_gets_a_line(
    version: str, words: List[str], checkout: Path
) -> None:
    run = started(python(version), *words, folder=checkout)
    assert run.returncode == 4
    assert run.stdout == ""
    line = f"crnn: error: crnn needs Python 3.7 or later; this is Python {version} ("
    assert run.stderr.startswith(line)
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("version", old("3.7"))
@pytest.mark.parametrize("verb", sorted(set(VERBS) - set(BOX_VERBS)))
def test_python_37_is_told_what_needs_more(version: str, verb: str, checkout: Path) -> None:
    run = started(python(version), "-m", "crnn", verb, "--help", folder=checkout)
    assert run.returncode == 4
    line = f"crnn: error: crnn {verb} needs Python 3.8 or later; this is Python 3.7 ("
    assert run.stderr.startswith(line)
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("version", old("3.7"))
def test_python_37_is_told_that_export_needs_more(version: str, checkout: Path) -> None:
    run = started(python(version), "pth2onnx.py", "a", "b", folder=checkout)
    assert run.returncode == 4
    assert run.stderr.startswith("crnn: error: pth2onnx.py needs Python 3.8 or later; this is")


@pytest.mark.parametrize("version", old("3.7"))
def test_python_37_without_a_package_explains_and_lists(version: str, checkout: Path) -> None:
    run = started(python(version), "-m", "crnn", "explain", "507011", folder=checkout)
    assert run.returncode == 0, run.stderr
    (checkout / "bins").mkdir()
    (checkout / "bins" / "test_1.bin").write_bytes(bytes(12800))
    words = ["get_info.py", "bin", "bins", "crnn.info", "100", "32"]
    run = started(python(version), *words, folder=checkout)
    assert run.returncode == 0, run.stderr
    assert (checkout / "crnn.info").read_text() == "0 bins/test_1.bin 100 32\n"
    for words in (["-m", "crnn", "--help"], ["post_CRNN_pytorch_acl.py", "--help"]):
        run = started(python(version), *words, folder=checkout)
        assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("version", old("2.7", "3.6"))
@pytest.mark.parametrize(
    "words", [["parse_testdata.py", "-x", "a b"], ["-m", "crnn.simulator", "--", "true"]]
)
def test_the_checkouts_own_python_takes_over_from_an_old_one(
    version: str, words: List[str], owner: Path
) -> None:
    run = started(python(version), *words, folder=owner)
    assert run.returncode == TAKEN
    assert run.stdout.splitlines() == words


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """This Python without any package, but for what counts its lines where they are counted."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(str(folder), with_pip=False, symlinks=True)
    if measured():
        coverage = importlib.import_module("coverage")
        packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
        (packages / "coverage").symlink_to(Path(str(coverage.__file__)).parent)
        (packages / "counted.pth").write_text("import coverage; coverage.process_startup()\n")
    return str(folder / "bin" / "python")


TYPED = [
    ["pth2onnx.py", "in.pth", "out.onnx"],
    ["parse_testdata.py", "lmdb", "out dir"],
    ["postpossess_CRNN_pytorch.py", "result", "label.txt"],
    ["get_info.py", "jpg", "images", "crnn.info"],
    ["post_CRNN_pytorch_acl.py", "--pre_dir", "a", "--modelpath", "b.om", "--label", "c"],
    ["./post_CRNN_pytorch_acl.py", "--pre_dir", "a", "--modelpath", "b.onnx", "--label", "c"],
]


@pytest.mark.parametrize("words", TYPED)
def test_a_script_hands_over_where_a_package_is_missing(
    words: List[str], bare: str, owner: Path
) -> None:
    run = started(bare, "-W", "error", *words, folder=owner)
    assert run.returncode == TAKEN
    assert run.stdout.splitlines() == ["-W", "error", *words]


def test_the_simulator_hands_over_where_a_package_is_missing(bare: str, owner: Path) -> None:
    words = ["-m", "crnn.simulator", "--report", "r.json", "--", "true"]
    run = started(bare, *words, folder=owner)
    assert run.returncode == TAKEN
    assert run.stdout.splitlines() == words


def test_the_module_hands_over_too(bare: str, owner: Path) -> None:
    run = started(bare, "-m", "crnn", "doctor", folder=owner)
    assert run.returncode == TAKEN
    assert run.stdout.splitlines() == ["-m", "crnn", "doctor"]


@pytest.fixture(scope="module")
def with_numpy(bare: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder for PYTHONPATH that holds a module named numpy and nothing else."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "numpy.py").write_text("", encoding="ascii")
    return str(folder)


@pytest.mark.parametrize(
    "words", [["evaluate", "a.onnx", "b"], ["report", "r.json"], ["evaluate", "a.pth", "b"]]
)
def test_the_module_hands_over_for_what_its_verb_needs(
    words: List[str], bare: str, with_numpy: str, owner: Path
) -> None:
    run = started(bare, "-m", "crnn", *words, folder=owner, PYTHONPATH=with_numpy)
    assert run.returncode == TAKEN, run.stderr
    assert run.stdout.splitlines() == ["-m", "crnn", *words]


def test_an_om_stays_with_the_python_of_the_box(bare: str, with_numpy: str, owner: Path) -> None:
    words = ["-m", "crnn", "evaluate", "crnn.om", "bins"]
    run = started(bare, *words, folder=owner, PYTHONPATH=with_numpy)
    assert run.returncode != TAKEN


def test_the_python_of_the_environment_is_taken_though_nothing_is_missing(
    owner: Path, tmp_path: Path
) -> None:
    other = stand_in(tmp_path / "other", TAKEN - 1)
    words = ["-m", "crnn", "spec", "show"]
    run = started(sys.executable, *words, folder=owner, CRNN_PYTHON=str(other))
    assert run.returncode == TAKEN - 1


def test_the_remedy_names_the_checkouts_own_python(bare: str, owner: Path) -> None:
    code = "from crnn.errors import needs\nwith needs('nopackage'): import nopackage"
    run = started(bare, "-c", code, folder=owner)
    assert f"{owner}/.venv/bin/python" in run.stderr


def test_a_script_hands_over_from_another_folder(bare: str, owner: Path, tmp_path: Path) -> None:
    run = started(bare, str(owner / "pth2onnx.py"), "a", "b", folder=tmp_path)
    assert run.returncode == TAKEN


def test_a_script_hands_over_when_it_is_called_by_a_link(
    bare: str, owner: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "with blanks"
    folder.mkdir()
    (folder / "by link.py").symlink_to(owner / "pth2onnx.py")
    (folder / "all").symlink_to(owner)
    for script in (folder / "by link.py", folder / "all" / "pth2onnx.py"):
        run = started(bare, str(script), "a", "b", folder=folder)
        assert run.returncode == TAKEN, run.stderr


def test_another_python_is_found_on_the_path(bare: str, owner: Path, tmp_path: Path) -> None:
    other = stand_in(tmp_path / "other", TAKEN - 1)
    path = f"{other.parent}:/usr/bin:/bin"
    run = started(bare, "pth2onnx.py", "a", "b", folder=owner, CRNN_PYTHON=other.name, PATH=path)
    assert run.returncode == TAKEN - 1


def test_another_python_is_named_by_the_environment(bare: str, owner: Path, tmp_path: Path) -> None:
    other = stand_in(tmp_path / "other", TAKEN - 1)
    run = started(bare, "pth2onnx.py", "a", "b", folder=owner, CRNN_PYTHON=str(other))
    assert run.returncode == TAKEN - 1


def test_one_that_does_not_start_is_named(bare: str, owner: Path) -> None:
    run = started(bare, "pth2onnx.py", "a", "b", folder=owner, CRNN_PYTHON="/no/python")
    assert run.returncode == 4
    assert "crnn: cannot start /no/python: No such file or directory" in run.stderr
    assert "torch" in run.stderr


def test_whoever_took_over_does_not_hand_over_again(bare: str, owner: Path) -> None:
    run = started(bare, "pth2onnx.py", "a", "b", folder=owner, CRNN_PYTHON=bare)
    assert run.returncode == 4
    assert "this needs torch" in run.stderr


def test_nothing_takes_over_from_a_python_that_has_all(owner: Path) -> None:
    for words in TYPED:
        run = started(sys.executable, words[0], "--help", folder=owner)
        assert run.returncode == 0, run.stderr


def test_somebody_elses_program_stays_with_its_python(
    bare: str, owner: Path, tmp_path: Path
) -> None:
    code = "from crnn.interpreter import prefer; prefer(['torch']); print('stayed')"
    program = tmp_path / "program.py"
    program.write_text(code, encoding="ascii")
    for words in (["-c", code], [str(program)]):
        run = started(bare, *words, folder=owner, PYTHONPATH=str(owner))
        assert run.stdout == "stayed\n", run.stderr


@pytest.mark.parametrize("script", [*SCRIPTS, "atc_crnn.sh"])
def test_a_script_that_was_copied_away_says_where_it_belongs(
    bare: str, tmp_path: Path, script: str
) -> None:
    shutil.copy(str(ROOT / script), str(tmp_path))
    # The historical kit had a file of this name.
    (tmp_path / "crnn.py").touch()
    command = [bare, script]
    if script.endswith(".sh"):
        command = ["bash", script, "a.onnx", "a"]
    run = subprocess.run(
        command, cwd=str(tmp_path), env=PLAIN, capture_output=True, text=True, check=False
    )
    assert run.returncode == 4
    told = "not beside the folder crnn: call it where its checkout is"
    assert run.stderr.endswith(f"{script}: {told}\n")
