"""Start-up: ``--help`` of crnn and of each historical script, against importing NumPy.

python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys
from typing import Callable, Sequence

import common

SCRIPTS = (
    "pth2onnx.py",
    "parse_testdata.py",
    "get_info.py",
    "post_CRNN_pytorch_acl.py",
    "postpossess_CRNN_pytorch.py",
)


def process(words: Sequence[str]) -> Callable[[], object]:
    """Return a run of Python with these arguments."""
    return lambda: subprocess.run(
        [sys.executable, *words], cwd=common.ROOT, stdout=subprocess.DEVNULL, check=True
    )


def main() -> None:
    """Measure and print."""
    args = common.arguments(__doc__, runs=21).parse_args()
    common.head("start-up", args)
    contenders = {
        "import numpy": process(["-c", "import numpy"]),
        "crnn": process(["-m", "crnn", "--help"]),
    }
    contenders.update({script: process([script, "--help"]) for script in SCRIPTS})
    contenders["python alone"] = process(["-c", ""])
    seconds = common.interleaved(contenders, args, warm_up=2)
    for name in ("crnn", *SCRIPTS):
        common.show_ratio(
            f"{name} --help / import numpy", seconds[name], seconds["import numpy"], "at most 2"
        )
    common.show_ratio(
        "python alone / import numpy", seconds["python alone"], seconds["import numpy"]
    )


if __name__ == "__main__":
    common.run(main)
