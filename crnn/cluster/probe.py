"""What a machine of the cluster is asked before it works: who it is, which versions it has, and
whether it sees the run's folder.

The standard library alone, and nothing of the kit at the top: this module travels to the machine as
it is, since the kit may be lacking or another one there.
"""

from __future__ import annotations

import importlib
import platform
import socket
from importlib import metadata  # novm: the cluster needs Python 3.8
from pathlib import Path
from typing import Dict, NamedTuple

DISTRIBUTIONS = {
    "Ray": "ray",
    "NumPy": "numpy",
    "Pillow": "pillow",
    "ONNX Runtime": "onnxruntime",
}
"""What has to be equal on all machines beside Python and the kit."""
NONE = "none"


class Machine(NamedTuple):
    """A machine: its name, its versions, and what stands in the probe file there, empty where it is
    not; ``place`` says whether it has the folder that the command was started in.
    """

    host: str
    versions: Dict[str, str]
    token: str
    place: bool


def look(probe: str, place: str) -> Machine:
    """Describe this machine.

    Args:
        probe: The path of a file that the driver wrote into the run's folder.
        place: The folder that the command was started in.

    Returns:
        The machine.
    """
    token = ""
    try:
        with open(probe, encoding="ascii") as file:
            token = file.read(100)
    except (OSError, ValueError):
        pass
    return Machine(socket.gethostname(), versions(), token, Path(place).is_dir())


def versions() -> Dict[str, str]:
    """Return this machine's versions by name, "none" for what is lacking."""
    found = {"Python": platform.python_version(), "the kit": _kit()}
    for name, distribution in DISTRIBUTIONS.items():
        try:
            found[name] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            found[name] = NONE
    return found


def _kit() -> str:
    try:
        return str(importlib.import_module("crnn.version").version())
    except ImportError:
        return NONE
