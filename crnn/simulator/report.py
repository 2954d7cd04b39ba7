"""The report of a whole command: every process's part, put together."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Sequence
from typing import Counter as CounterType

from crnn.simulator.knobs import FLOAT32, Knobs, release_name

SCHEMA = "crnn-simulator/1"
_SHOWN = 10

PREFIX = "crnn.simulator: "
"""What the simulator's lines begin with."""


def merge(folder: Path, command: Sequence[str], code: int, knobs: Knobs) -> Dict[str, Any]:
    """Return the report of a command from the parts that its processes left in ``folder``.

    ``clean`` says that no process broke a rule or leaked; what a fault kept from being released is
    not a leak. ``advice`` is there only where there is some.

    Args:
        folder: Where the processes left their parts.
        command: The command and its arguments.
        code: The command's exit code.
        knobs: The simulated machine's settings.

    Returns:
        The report, schema ``crnn-simulator/1``.
    """
    calls: CounterType[str] = Counter()
    violations: List[Dict[str, Any]] = []
    advice: List[Dict[str, Any]] = []
    leaks: List[Dict[str, Any]] = []
    devices: List[Dict[str, Any]] = []
    processes: List[Dict[str, Any]] = []
    for path in sorted(folder.glob("*.jsonl")):
        part = _read(path)
        pid = part["process"]["pid"]
        processes.append(part["process"])
        calls.update(part["calls"])
        violations += [{**row, "pid": pid} for row in part["violations"]]
        advice += [{**row, "pid": pid} for row in part["advice"]]
        leaks += [{**row, "pid": pid} for row in part["leaks"]]
        devices += [{**row, "pid": pid} for row in part["devices"]]
    report: Dict[str, Any] = {
        "schema": SCHEMA,
        "simulated": True,
        "command": list(command),
        "exit": code,
        "knobs": json.loads(knobs.to_json()),
        "calls": dict(sorted(calls.items())),
        "violations": violations,
        "leaks": leaks,
        "devices": devices,
        "processes": processes,
        "clean": not violations and all(leak["release_failed"] for leak in leaks),
    }
    if advice:
        report["advice"] = advice
    return report


def _read(path: Path) -> Dict[str, Any]:
    part: Dict[str, Any] = {
        "process": {"pid": 0},
        "calls": {},
        "violations": [],
        "advice": [],
        "leaks": [],
        "devices": [],
    }
    open_since = ended = None
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if "start" in line:
            part["process"] = line["start"]
        elif "violation" in line:
            part["violations"].append(line["violation"])
        elif "advice" in line:
            part["advice"].append(line["advice"])
        elif "initialised" in line:
            open_since = line["initialised"]
        elif "finalized" in line:
            open_since = None
        elif "end" in line:
            ended = line["end"]
            part.update(
                calls=ended["calls"], leaks=ended["leaks"], devices=ended["clock"]["devices"]
            )
    if ended is None and open_since is not None:
        part["violations"].append(_cut_off(open_since))
    return part


def _cut_off(where: str) -> Dict[str, Any]:
    text = (
        "the process was killed, or left by os._exit, with ACL initialised: nothing it held was"
        " given back"
    )
    return {
        "rule": "cut-off",
        "call": "acl.init",
        "text": text,
        "where": where,
        "stack": [where],
        "thread": "",
    }


def summary(report: Dict[str, Any]) -> List[str]:
    """Return the lines for stderr: what was simulated, and the first things that were wrong.

    Args:
        report: What `merge` returned.

    Returns:
        The lines without line ends.
    """
    knobs = report["knobs"]
    leaks = [leak for leak in report["leaks"] if not leak["release_failed"]]
    head = (
        f"SIMULATED {knobs['soc']}, CANN {release_name(knobs['cann'])}, devices:"
        f" {knobs['devices']}; processes: {len(report['processes'])}, calls:"
        f" {sum(report['calls'].values())}, broken rules: {len(report['violations'])}, leaks:"
        f" {len(leaks)}"
    )
    if knobs["compute"] != FLOAT32:
        head += f"; --compute {knobs['compute']}"
    lines = [head]
    for row in report["violations"][:_SHOWN]:
        lines.append(f"  broken: {row['rule']} at {row['where']}, {row['call']}: {row['text']}")
    for row in leaks[:_SHOWN]:
        lines.append(f"  leaked: {row['what']}, made at {row['where']}")
    hidden = max(0, len(report["violations"]) - _SHOWN) + max(0, len(leaks) - _SHOWN)
    if hidden:
        lines.append(f"  and {hidden} more: see --report FILE")
    for row in report.get("advice", [])[:_SHOWN]:
        lines.append(f"  advice, breaks no rule: {row['where']}, {row['call']}: {row['text']}")
    for row in report["devices"]:
        if row["span_ms"]:
            share = f"busy {100 * row['busy']:.1f} % of {row['span_ms']:.1f} ms"
            lines.append(f"  device {row['device']} of process {row['pid']}: {share}, virtual")
    return lines


def wrapped(lines: Sequence[str], width: int) -> List[str]:
    """Break lines at blanks, each part marked as the simulator's.

    Args:
        lines: What `summary` returned.
        width: The columns of a line.

    Returns:
        The lines; paths and other words stay whole.
    """
    room = max(20, width - len(PREFIX))
    found: List[str] = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip(" ")) + 2)
        parts = textwrap.wrap(
            line,
            room,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        found += [PREFIX + part for part in parts]
    return found
