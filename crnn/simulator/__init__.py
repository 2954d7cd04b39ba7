"""A pyACL, an ATC and an npu-smi that need no Ascend: stricter than the documented real ones, and
saying so.

Run a command under it with ``python -m crnn.simulator -- COMMAND …``; within a process,
``installed(Simulator())``. How to use it stands in docs/simulator.md; what is simulated, from which
source and where it is stricter in docs/hardware.md. Nothing here was compared with a chip.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crnn.simulator.binding import installed
    from crnn.simulator.knobs import Fault, Knobs
    from crnn.simulator.record import Record
    from crnn.simulator.state import Simulator

__all__ = ["Fault", "Knobs", "Record", "Simulator", "installed"]

_HOMES = {
    "Fault": "knobs",
    "Knobs": "knobs",
    "Record": "record",
    "Simulator": "state",
    "installed": "binding",
}


def __getattr__(name: str) -> Any:
    # Looked up when asked for, so that ``python -m crnn.simulator`` gets as far as to say that
    # NumPy is missing.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    return getattr(home, name)
