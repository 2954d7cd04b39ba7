"""``python -m crnn`` is ``crnn``."""

from __future__ import annotations

from crnn.cli.__main__ import script

if __name__ == "__main__":
    script()
