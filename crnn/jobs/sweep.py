"""A benchmark with several counts of threads, a process each: libraries take theirs at start."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Sequence

from crnn.errors import CheckError
from crnn.interpreter import CHECKOUT

SCHEMA = "crnn-bench-sweep/1"
_CODE = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from crnn.cli.main import script
script()
"""
_OWN = ("--threads", "--json", "--plot")


def sweep(typed: Sequence[str], threads: Sequence[int]) -> List[Dict[str, Any]]:
    """Measure once with each count of threads.

    Args:
        typed: The command line of ``crnn bench``, without the program's name.
        threads: The counts.

    Returns:
        What ``crnn bench --json`` writes, for each count.

    Raises:
        CheckError: One of them failed; what it said stands on stderr.
    """
    words = without_own(typed)
    found: List[Dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="crnn-sweep-") as folder:
        result = Path(folder) / "bench.json"
        for count in threads:
            own = ["--threads", str(count), "--json", str(result)]
            command = [sys.executable, "-c", _CODE, CHECKOUT, *words, *own]
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
            )
            if done.returncode:
                raise CheckError(
                    f"with --threads {count} it ended with exit code {done.returncode}"
                )
            found.append(json.loads(result.read_text(encoding="utf-8")))
    return found


def without_own(typed: Sequence[str]) -> List[str]:
    """Return a command line without the options that each process gets its own of.

    >>> without_own(["bench", "m.onnx", "--threads", "1,2", "--json=a.json", "--batch", "4"])
    ['bench', 'm.onnx', '--batch', '4']
    """
    kept: List[str] = []
    value_follows = False
    for word in typed:
        name = word.partition("=")[0]
        if value_follows:
            value_follows = False
        elif name in _OWN:
            value_follows = name == word
        else:
            kept.append(word)
    return kept
