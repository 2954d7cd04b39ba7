"""``python -m crnn`` is ``crnn``."""

from __future__ import annotations

import sys

from crnn.interpreter import of_verb, prefer

if __name__ == "__main__":
    prefer(of_verb(sys.argv[1:]))
    from crnn.cli.main import script

    script()
