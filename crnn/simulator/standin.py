"""The stand-in within a process that the launcher started:

made on ``import acl``, closed when the interpreter ends.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Tuple

from crnn.simulator.knobs import Knobs

if TYPE_CHECKING:
    from crnn.simulator.state import Simulator

VARIABLE = "CRNN_SIMULATOR"
"""The environment variable by which the launcher hands on the knobs and the folder of the report's
parts.
"""

_active: Optional[Simulator] = None


def variable(knobs: Knobs, folder: Path) -> str:
    """Return the variable's value.

    Args:
        knobs: The simulated machine's settings.
        folder: Where the report's parts go.

    Returns:
        A line of JSON.
    """
    return json.dumps({"knobs": knobs.to_json(), "folder": str(folder)})


def settings() -> Tuple[Knobs, Path]:
    """Return what the launcher handed on; RuntimeError where it did not.

    Returns:
        The knobs, and the folder of the report's parts.

    Raises:
        RuntimeError: The launcher did not start this process.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        raise RuntimeError(
            "this is the simulator's stand-in: start the command with python -m crnn.simulator --"
            " COMMAND"
        )
    values = json.loads(text)
    return Knobs.from_json(values["knobs"]), Path(values["folder"])


def install() -> None:
    """Make this process's simulator and put its modules in place."""
    # Not above: the launcher, which has no simulator of its own, starts in half the time.
    from crnn.simulator.binding import acl_modules
    from crnn.simulator.record import Record
    from crnn.simulator.state import Simulator

    global _active
    if _active is None:
        knobs, folder = settings()
        _active = Simulator(knobs, Record(folder))
        _active.record.start()
        os.register_at_fork(after_in_child=_in_child)
        if "crnn_simulator_exit" not in sys.modules:
            atexit.register(close)
    sys.modules.update(acl_modules(_active))


def _in_child() -> None:
    # Not a method of the simulator's: what is registered outlives all modules, and Python 3.8
    # crashes where a file is closed that late.
    if _active is not None:
        _active.in_child()


def close() -> None:
    """End this process's part of the report."""
    if _active is not None and not _active.forked:
        _active.close()
