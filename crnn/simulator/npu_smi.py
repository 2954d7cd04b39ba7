"""npu-smi's ``info`` table for the simulated chips.

Layout as public documents show it for 310 and 310P cards; power, temperature and bus numbers are
made up.
"""

from __future__ import annotations

import sys
from typing import List, Sequence

from crnn.simulator import standin
from crnn.simulator.knobs import Knobs

_RULE = (
    "+-------------------+-----------------+------------------------------------------------------+"
)
_DOUBLE = _RULE.replace("-", "=")
_HEAD = (
    (
        "| NPU     Name      | Health          | Power(W)     Temp(C)          "
        " Hugepages-Usage(page) |"
    ),
    (
        "| Chip    Device    | Bus-Id          | AICore(%)    Memory-Usage(MB)                    "
        "    |"
    ),
)


def main(argv: Sequence[str]) -> int:
    """Print the table for ``info``; everything else is unknown: 1.

    Args:
        argv: The command line without the program's name.

    Returns:
        The exit code: 0, or 1.
    """
    knobs, _ = standin.settings()
    if list(argv) != ["info"]:
        sys.stderr.write("npu-smi (simulated): only 'npu-smi info' is known\n")
        return 1
    if not knobs.devices:
        sys.stderr.write("DrvMngGetConsoleLogLevel failed. (simulated: no device)\n")
        return 1
    sys.stdout.write("\n".join(table(knobs)) + "\n")
    return 0


def table(knobs: Knobs) -> List[str]:
    """Return the table's lines: two a chip.

    Args:
        knobs: The simulated machine's settings.

    Returns:
        The lines without line ends.
    """
    width = len(_RULE) - 4
    name = knobs.soc
    if name.startswith("Ascend"):
        name = name[len("Ascend") :]
    megabytes = knobs.device_memory >> 20
    top = "+" + "-" * (len(_RULE) - 2) + "+"
    lines = [
        top,
        f"| {f'npu-smi (SIMULATED)                  Version: {knobs.version}.0':{width}} |",
        _RULE,
        *_HEAD,
        _DOUBLE,
    ]
    for device in range(knobs.devices):
        lines.append(
            f"| {device:<7} {name:<9} | {'OK':<15} | {'12.0':<12} {'40':<17} {'0    / 0':<21} |"
        )
        bus = f"0000:{0x10 + device:02X}:00.0"
        lines.append(f"| {0:<7} {device:<9} | {bus:<15} | {0:<12} {f'0    / {megabytes}':<39} |")
        lines.append(_DOUBLE)
    return lines
