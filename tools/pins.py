"""The constraints of an installation, but for a PyTorch that is there: ``python -m tools.pins``.

A CPU build that somebody has installed before ``make demo`` would otherwise be replaced by the
pinned release from the usual index, which brings CUDA on Linux.

.venv/bin/python -m tools.pins constraints.txt >.venv/constraints.txt
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Optional, Sequence

_TORCH = re.compile(r"^torch==.*$", flags=re.M)


def pins(constraints: str, torch: Optional[str]) -> str:
    r"""Return constraints that keep an installed PyTorch.

    Args:
        constraints: The text of a constraints file.
        torch: The installed release, such as 2.14.0+cpu; None where there is none.

    Returns:
        The text, with that release in the place of the pinned one.

    >>> pins("torch==2.13.0\n", "2.14.0+cpu")
    'torch==2.14.0+cpu\n'
    """
    if torch is None:
        return constraints
    return _TORCH.sub(f"torch=={torch}", constraints)


def installed() -> Optional[str]:
    """Return the release of the PyTorch that this Python has, None without one."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def main(argv: Sequence[str]) -> None:
    """Print the constraints of a file."""
    sys.stdout.write(pins(Path(argv[0]).read_text(encoding="utf-8"), installed()))


if __name__ == "__main__":
    main(sys.argv[1:])
