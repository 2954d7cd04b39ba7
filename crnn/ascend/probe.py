"""What pyACL says of the devices, asked in a process of its own:

a broken driver may crash or hang whoever asks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from crnn.ascend import acl_state as process
from crnn.ascend.pyacl import Acl, load_acl
from crnn.cann import ACL_DDR_MEM, ACL_HBM_MEM
from crnn.errors import KitError

_MARK = "crnn-probe "
_CODE = (
    "import sys; sys.path = [sys.argv.pop(1), *filter(None, sys.path)]; from crnn.ascend.probe"
    " import main; main()"
)


@dataclass(frozen=True)
class Device:
    """A device as pyACL sees it; memory in bytes, None where it is not told; ``error`` where it
    cannot be opened.
    """

    index: int
    soc: str = ""
    memory_free: Optional[int] = None
    memory_total: Optional[int] = None
    error: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Probe:
    """What was found; ``error`` says why ``import acl`` or a call after it failed, empty where all
    went well.
    """

    imported: bool
    simulated: bool = False
    version: str = ""
    devices: Tuple[Device, ...] = ()
    error: str = ""
    remedy: str = ""


def probe(timeout: float = 60.0) -> Probe:
    """Ask pyACL in a child process of this Python, with this environment.

    Args:
        timeout: Seconds after which the child process is given up.

    Returns:
        What was found, with the error where pyACL failed, crashed or hung.
    """
    root = str(Path(__file__).resolve().parents[2])
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CODE, root],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        remedy = "Check the chips: npu-smi info. If that hangs too, restart the machine."
        return Probe(
            imported=True, error=f"pyACL did not answer within {timeout:g} s", remedy=remedy
        )
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    answer = next((line for line in lines if line.startswith(_MARK)), None)
    if answer is None:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["nothing"]
        error = f"asking pyACL ended with exit {done.returncode} and {said[0]}"
        return Probe(
            imported=True, error=error, remedy="Does the driver fit CANN? See docs/hardware.md."
        )
    values: Dict[str, Any] = json.loads(answer[len(_MARK) :])
    return Probe(**{**values, "devices": tuple(Device(**device) for device in values["devices"])})


def main() -> None:
    """Ask in this process and write the answer as a line of JSON."""
    sys.stdout.write(f"{_MARK}{json.dumps(_ask())}\n")


def _ask() -> Dict[str, Any]:
    found: Dict[str, Any] = {"imported": False, "devices": []}
    try:
        acl = load_acl()
        found.update(imported=True, simulated=acl.simulated)
        process.initialize(acl)
        if acl.has("get_version"):
            found["version"] = acl.get_version()
        else:
            found["version"] = ""
        found["devices"] = [_device(acl, index) for index in range(acl.get_device_count())]
        process.finalize()
    except KitError as error:
        found.update(error=error.message, remedy=error.hint)
    return found


def _device(acl: Acl, index: int) -> Dict[str, Any]:
    try:
        process.open_device(acl, index)
        try:
            memory = _memory(acl)
            return {
                "index": index,
                "soc": acl.get_soc_name(),
                "memory_free": memory[0],
                "memory_total": memory[1],
            }
        finally:
            process.close_device(acl, index)
    except KitError as error:
        return {"index": index, "error": error.message, "remedy": error.hint}


def _memory(acl: Acl) -> Tuple[Optional[int], Optional[int]]:
    if not acl.has("rt.get_mem_info"):
        return None, None
    for kind in (ACL_DDR_MEM, ACL_HBM_MEM):
        free, total = acl.get_mem_info(kind)
        if total:
            return free, total
    return None, None
