"""``python -m crnn.simulator [--report FILE] [knobs] -- COMMAND …``."""

from __future__ import annotations

import sys

from crnn.simulator.launcher import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
