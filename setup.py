"""The build's own part: the version out of git, written into what is built.

Everything else stands in pyproject.toml.
"""

import importlib.util
import re
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


def _version_module():
    spec = importlib.util.spec_from_file_location("version", ROOT / "crnn" / "version.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _git(*arguments):
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _from_git(base):
    """Return the version by the last tag ``vX.Y.Z``; None outside a repository of the kit's own."""
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != ROOT:
        return None
    commit = _git("rev-parse", "--short=8", "HEAD")
    described = _git("describe", "--tags", "--long", "--match", "v[0-9]*")
    if described is None:
        count = _git("rev-list", "--count", "HEAD")
        return f"{base}.dev{count}+{commit}"
    tag, count, _ = described.rsplit("-", 2)
    if count == "0":
        return tag[1:]
    return f"{base}.dev{count}+{commit}"


def _version():
    """Return the version: an archive's own, else git's, else one over the files."""
    archived = ROOT / "PKG-INFO"
    if archived.exists():
        found = re.search(r"^Version: (.+)$", archived.read_text(encoding="utf-8"), re.MULTILINE)
        if found is not None:
            return found[1]
    module = _version_module()
    from_git = _from_git(module.BASE)
    if from_git is not None:
        return from_git
    return f"{module.BASE}+src.{module.source_digest(ROOT / 'crnn')}"


VERSION = _version()


class BuildWithVersion(build_py):
    """Write the version into the built package, never into the sources."""

    def run(self):
        """Build, then write the module that `crnn.version` looks for."""
        super().run()
        if getattr(self, "editable_mode", False):
            return
        target = Path(self.build_lib) / "crnn" / "_built.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        text = f'"""Written by the build."""\n\nVERSION = "{VERSION}"\n'
        target.write_text(text, encoding="utf-8")


setup(version=VERSION, cmdclass={"build_py": BuildWithVersion})
