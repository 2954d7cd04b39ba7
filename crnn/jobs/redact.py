"""Takes out of texts what names a person or a machine: home, user, host, and their folders."""

from __future__ import annotations

import getpass
import os
import platform
import pwd
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Mapping, Tuple

_PUBLIC = (
    "/bin/",
    "/dev/",
    "/etc/",
    "/lib/",
    "/lib64/",
    "/opt/Ascend/",
    "/proc/",
    "/sbin/",
    "/sys/",
    "/usr/",
)
"""Folders that are alike on every machine."""
_PATH = re.compile(r"(?<![\w/.<>~-])/(?!/)[^\s:;,\"'()\[\]{}<>|=*\\]+")


@dataclass(frozen=True)
class Redaction:
    """What is replaced in a text, in this order: whole folders, words, then every other path."""

    folders: Tuple[Tuple[str, str], ...]
    words: Tuple[Tuple[str, str], ...]

    def __call__(self, text: str) -> str:
        """Return a text without what names somebody.

        Args:
            text: Any text.

        Returns:
            The text with `<home>`, `<user>`, `<host>` and `<path>` in their places.
        """
        for folder, mark in self.folders:
            text = text.replace(folder, mark)
        text = _PATH.sub(_public, text)
        for word, mark in self.words:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", mark, text)
        return text


def redaction(named: Mapping[str, Path], environ: Mapping[str, str]) -> Redaction:
    """Return the redaction for this user and machine.

    Args:
        named: Folders with marks of their own, such as ``{"<report>": …}``.
        environ: Environment variables.

    Returns:
        What takes them out of texts.
    """
    folders: List[Tuple[str, str]] = []
    for mark, path in named.items():
        folders += [(text, mark) for text in {str(path), str(path.resolve())}]
    folders += [(text, "<home>") for text in _homes(environ)]
    # A folder inside another goes first.
    folders.sort(key=lambda pair: len(pair[0]), reverse=True)
    words = [(user, "<user>") for user in sorted(set(_users(environ)))]
    words += [(host, "<host>") for host in sorted(set(_hosts()), key=len, reverse=True)]
    return Redaction(tuple(folders), tuple(words))


def _public(match: re.Match[str]) -> str:
    path = match.group(0)
    if path.startswith(_PUBLIC):
        return path
    name = path.rstrip("/").rpartition("/")[2]
    return f"<path>/{name}"


def _homes(environ: Mapping[str, str]) -> Iterator[str]:
    for text in (environ.get("HOME", ""), pwd.getpwuid(os.getuid()).pw_dir):
        # A home of "/" would take every path with it.
        if len(text.rstrip("/")) > 1:
            yield text.rstrip("/")
            yield os.path.realpath(text)


def _users(environ: Mapping[str, str]) -> Iterator[str]:
    for name in ("USER", "LOGNAME", "SUDO_USER"):
        if environ.get(name):
            yield environ[name]
    yield pwd.getpwuid(os.getuid()).pw_name
    yield getpass.getuser()


def _hosts() -> Iterator[str]:
    name = platform.node()
    for text in (name, name.partition(".")[0]):
        if text and text != "localhost":
            yield text
