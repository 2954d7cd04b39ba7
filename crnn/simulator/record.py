"""What a simulated process did:

calls counted, rules broken, things not given back, each with the line that did it.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any, Dict, List, Optional, Tuple
from typing import Counter as CounterType

HERE = str(Path(__file__).resolve().parent) + os.sep
_SHOWN = 6
_MOST = 1000

Site = Tuple[Tuple[str, int], ...]
"""The frames that led to a call, innermost first, as (file, line); the simulator's own are left
out.
"""


def site() -> Site:
    """Return where the running call came from.

    Returns:
        The lines, innermost first.
    """
    frames: List[Tuple[str, int]] = []
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None and len(frames) < _SHOWN:
        name = frame.f_code.co_filename
        if not _own(name):
            frames.append((name, frame.f_lineno))
        frame = frame.f_back
    return tuple(frames)


@functools.lru_cache(maxsize=None)
def _own(name: str) -> bool:
    """Whether a file is one of the simulator's, by whatever path it was imported, or Python's."""
    return name.startswith("<frozen") or os.path.realpath(name).startswith(HERE)


def line_of(where: Site) -> str:
    """Return the innermost line of a site as ``file:line``.

    Args:
        where: The lines that led to the call.

    Returns:
        Such as ``program.py:12``.
    """
    if not where:
        return "(unknown)"
    name, number = where[0]
    return f"{name}:{number}"


def lines_of(where: Site) -> List[str]:
    """Return a site's lines, innermost first.

    Args:
        where: The lines that led to the call.

    Returns:
        Each line as ``file:line``.
    """
    return [f"{name}:{number}" for name, number in where]


def within_finalizer() -> bool:
    """Whether the running call was made from a ``__del__``.

    Returns:
        True within a ``__del__``.
    """
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


@dataclass
class Violation:
    """A rule that was broken: which, by which call, how, and the line that made it."""

    rule: str
    call: str
    text: str
    where: Site

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data.

        Returns:
            The object of the report.
        """
        thread = threading.current_thread().name
        return {
            "rule": self.rule,
            "call": self.call,
            "text": self.text,
            "where": line_of(self.where),
            "stack": lines_of(self.where),
            "thread": thread,
        }


@dataclass
class Record:
    """The record of one process; with a folder, also written there line by line, so that a killed
    process leaves it.
    """

    folder: Optional[Path] = None
    tool: str = "acl"
    calls: CounterType[str] = field(default_factory=Counter)
    violations: List[Violation] = field(default_factory=list)
    advice: List[Violation] = field(default_factory=list)
    dropped: int = 0
    pid: int = field(default_factory=os.getpid)
    _file: Optional[IO[str]] = None

    def add(self, rule: str, call: str, text: str, where: Site) -> None:
        """Note a broken rule; the first thousand are kept, more are counted.

        Args:
            rule: The rule's name.
            call: The call that broke it.
            text: How it was broken.
            where: The lines that led to the call.
        """
        if len(self.violations) >= _MOST:
            self.dropped += 1
            return
        violation = Violation(rule, call, text, where)
        self.violations.append(violation)
        self.write({"violation": violation.to_dict()})

    def advise(self, rule: str, call: str, text: str, where: Site) -> None:
        """Note what no page demands, but Huawei's own examples do otherwise.

        Args:
            rule: The rule's name.
            call: The call that it is about.
            text: What it did.
            where: The lines that led to the call.
        """
        if len(self.advice) < _MOST:
            advice = Violation(rule, call, text, where)
            self.advice.append(advice)
            self.write({"advice": advice.to_dict()})

    def start(self, **facts: Any) -> None:
        """Write the first line: who this is."""
        self._open(facts)

    def write(self, line: Dict[str, Any]) -> None:
        """Write a line of the part file, if there is a folder for it.

        Args:
            line: One object of the part file.
        """
        file = self._open({})
        if file is not None:
            file.write(json.dumps(line, sort_keys=True) + "\n")
            file.flush()

    def _open(self, facts: Dict[str, Any]) -> Optional[IO[str]]:
        if self.folder is not None and self._file is None:
            name = f"{self.pid}-{self.tool}-{id(self):x}.jsonl"
            self._file = (self.folder / name).open("a", encoding="utf-8")
            self.write({"start": {"pid": self.pid, "tool": self.tool, "argv": sys.argv, **facts}})
        return self._file

    def forked(self) -> None:
        """Begin anew in a child made by fork: the parent's file and findings are the parent's."""
        self._file = None
        self.pid = os.getpid()
        self.calls.clear()
        self.violations.clear()
        self.advice.clear()
