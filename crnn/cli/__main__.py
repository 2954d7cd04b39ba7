"""The console script ``crnn``."""

from __future__ import annotations

import sys

from crnn.cli import main


def script() -> None:
    """Run ``crnn`` on the process's own arguments."""
    sys.exit(main())


if __name__ == "__main__":
    script()
