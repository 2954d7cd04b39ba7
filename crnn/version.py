"""Which build of the kit this is, so that results of different builds can be told apart."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

BASE = "0.1.0"
"""The release that the code leads to; the next one after a release is tagged."""

HASHED = (".py", ".yaml", ".sh", ".json")


@functools.lru_cache(maxsize=None)
def version() -> str:
    """Return the version of the code that runs.

    Returns:
        What the build wrote, such as ``0.1.0`` (built at its tag) or ``0.1.0.dev41+1a2b3c4d``
        (41 commits, no tag); ``0.1.0+src.`` and 8 hexadecimal digits over the package's files
        for a checkout or a copy that was never built, an editable installation included. Git is
        never asked here.
    """
    try:
        from crnn._built import VERSION
    except ImportError:
        return f"{BASE}+src.{source_digest(Path(__file__).parent)}"
    return str(VERSION)


def source_digest(package: Path) -> str:
    """Return what tells the files of a package from those of another state.

    Args:
        package: The folder of the package.

    Returns:
        The first 8 hexadecimal digits of a SHA-256 over names and contents of its files.
    """
    digest = hashlib.sha256()
    files = [path for path in package.rglob("*") if path.suffix in HASHED]
    for path in sorted(files, key=lambda path: path.relative_to(package).as_posix()):
        name = path.relative_to(package).as_posix()
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:8]
