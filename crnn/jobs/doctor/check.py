"""One line of the doctor's table, and what the lines have in common."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict

from crnn.ascend.environment import Cann

SIMULATED = " (SIMULATED)"
NOT_ASKED_FOR = "not asked for"
CHIP = "chip"
"""What is asked for, beside the kinds of files ONNX and TORCH: to run an OM on a chip."""


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, whether it is as it should be, what was found, what to do.

    ``needed`` says whether what was asked for fails without it, ``applies`` whether there was
    anything to look at: a line that does not apply is neither right nor wrong.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = False
    applies: bool = True

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data; ``applies`` only where it does not."""
        data = dataclasses.asdict(self)
        if self.applies:
            del data["applies"]
        return data


def not_asked_for(check: Check) -> Check:
    """Return a line of what nobody asked for: there is nothing to do, and what is there stays."""
    found = NOT_ASKED_FOR
    if check.ok:
        found = f"{NOT_ASKED_FOR}; {check.found}"
    return dataclasses.replace(check, found=found, remedy="", needed=False, applies=False)


def looked(name: str, ok: object, found: str, remedy: str = "", *, needed: bool = False) -> Check:
    """Return a line with its remedy only where something is wrong."""
    if ok:
        remedy = ""
    return Check(name, bool(ok), found, remedy, needed)


def simulated_mark(simulated: bool) -> str:
    """Return what is written after whatever the simulator stands in for."""
    if simulated:
        return SIMULATED
    return ""


def first_line(text: str) -> str:
    """Return the first line of a text, or nothing."""
    lines = text.strip().splitlines()
    if not lines:
        return ""
    return lines[0].strip()


def source_of(cann: Cann) -> str:
    """Return the command that sets CANN's variables."""
    return f"source {cann.set_env or 'acl_env_x86.sh'}"
