"""``python -m crnn`` is ``crnn``."""

from __future__ import annotations

from crnn.cli.main import script

if __name__ == "__main__":
    script()
