"""A pyACL, an ATC and an npu-smi that need no Ascend: stricter than the documented real ones, and
saying so.

Run a command under it with ``python -m crnn.simulator -- COMMAND …``; within a process,
``installed(Simulator())``. What is simulated, from which source and where it is stricter stands in
docs/hardware.md. Nothing here was compared with a chip.
"""

from __future__ import annotations

from crnn.simulator.binding import installed
from crnn.simulator.knobs import Fault, Knobs
from crnn.simulator.record import Record
from crnn.simulator.state import Simulator

__all__ = ["Fault", "Knobs", "Record", "Simulator", "installed"]
