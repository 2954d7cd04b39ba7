"""``python -m crnn.simulator [--report FILE] [knobs] -- COMMAND …``."""

from __future__ import annotations

import importlib.util
import sys

from crnn.interpreter import prefer

MISSING = 4
"""The kit's exit code where the environment lacks something."""


def run() -> int:
    """Run the launcher on this process's arguments.

    Returns:
        The exit code: the launcher's, or 4 where NumPy is missing.
    """
    try:
        # The stand-ins of ATC and of npu-smi run in the Python that runs this.
        prefer(["numpy", "onnx", "onnxruntime"])
        from crnn.simulator.launcher import main

        # The launcher can do without, what it starts cannot.
        if importlib.util.find_spec("numpy") is None:
            raise ModuleNotFoundError("no numpy", name="numpy")
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        sys.stderr.write(
            "crnn.simulator: NumPy is not installed for this Python; install it with"
            " python3 -m pip install numpy\n"
        )
        return MISSING
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
