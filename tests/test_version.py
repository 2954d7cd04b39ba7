"""Results of different builds can be told apart, and git is asked by the build alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crnn.version import BASE, source_digest

ROOT = Path(__file__).parent.parent
ASK = "import crnn; print(crnn.__version__)"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package's two modules that the version needs, never built."""
    package = tmp_path / "crnn"
    package.mkdir()
    for name in ("__init__.py", "version.py"):
        shutil.copy(ROOT / "crnn" / name, package)
    return package


def asked(package: Path) -> str:
    # An empty PATH: whoever asked git would end in an error.
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=package.parent,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_copy_is_named_by_its_files(copy: Path) -> None:
    assert asked(copy) == f"{BASE}+src.{source_digest(copy)}"


@pytest.mark.parametrize("change", ["content", "name", "new file"])
def test_another_state_has_another_version(copy: Path, change: str) -> None:
    (copy / "module.py").write_text("A = 1\n")
    before = asked(copy)
    if change == "content":
        (copy / "module.py").write_text("A = 2\n")
    elif change == "name":
        (copy / "module.py").rename(copy / "other.py")
    else:
        (copy / "table.yaml").write_text("a: 1\n")
    assert asked(copy) != before


def test_compiled_files_do_not_count(copy: Path) -> None:
    before = asked(copy)
    assert (copy / "__pycache__").exists() or sys.dont_write_bytecode
    assert asked(copy) == before


def git(folder: Path, *arguments: str) -> str:
    named = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    done = subprocess.run(
        ["git", *named, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(copy: Path) -> Path:
    """A repository of the copy with the build's files and one commit."""
    root = copy.parent
    for name in ("setup.py", "pyproject.toml", "ReadMe.md", "LICENSE"):
        shutil.copy(ROOT / name, root)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


def built(root: Path) -> str:
    target = root / "built"
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(target)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return asked(target / "crnn")


def test_a_build_without_a_tag_names_count_and_commit(repository: Path) -> None:
    commit = git(repository, "rev-parse", "--short=8", "HEAD")
    assert built(repository) == f"{BASE}.dev1+{commit}"


def test_a_build_at_its_tag_is_the_release(repository: Path) -> None:
    git(repository, "tag", "v3.1.4")
    assert built(repository) == "3.1.4"


def test_commits_after_a_tag_are_counted(repository: Path) -> None:
    git(repository, "tag", "v3.1.4")
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    commit = git(repository, "rev-parse", "--short=8", "HEAD")
    assert built(repository) == f"{BASE}.dev1+{commit}"


def test_a_build_outside_git_is_named_by_its_files(repository: Path) -> None:
    shutil.rmtree(repository / ".git")
    expected = f"{BASE}+src.{source_digest(repository / 'crnn')}"
    assert built(repository) == expected


def test_the_sources_stay_as_they_are(repository: Path) -> None:
    built(repository)
    assert not (repository / "crnn" / "_built.py").exists()
