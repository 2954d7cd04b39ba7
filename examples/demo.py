"""The whole way on a laptop: checkpoint -> ONNX -> bins -> accuracy.

``make demo`` runs it; the files go to demo/.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from crnn.cli.main import main

STEPS = (
    "crnn export examples/crnn_small.pth demo/crnn.onnx",
    "crnn prepare examples/words_lmdb demo/input_bin --label demo/label.txt",
    "crnn evaluate demo/crnn.onnx demo/input_bin --label demo/label.txt \\\n"
    "    --batch 64 --json demo/result.json --min-accuracy 0.8",
)
"""The command lines, cut as they are printed."""

NEXT = """\
The result is in demo/result.json. Now the other commands of ReadMe.md's blocks
work in this folder (a comment says what needs CANN). For crnn by its name (and
python, where there is none) first say . .venv/bin/activate"""


def run_steps() -> int:
    """Run each step as its command line would; stop at the first that fails."""
    os.chdir(Path(__file__).resolve().parent.parent)
    Path("demo").mkdir(exist_ok=True)
    for step in STEPS:
        print(f"$ {step}", flush=True)
        code = main(step.replace("\\\n", " ").split()[1:])
        if code:
            return code
        print(flush=True)
    print(NEXT)
    return 0


if __name__ == "__main__":
    sys.exit(run_steps())
