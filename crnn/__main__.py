"""``python -m crnn`` is ``crnn``."""

from __future__ import annotations

from crnn.interpreter import prefer

if __name__ == "__main__":
    prefer(["numpy"])
    from crnn.cli.main import script

    script()
