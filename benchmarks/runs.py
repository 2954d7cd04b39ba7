"""What a run's folder costs: an OM on a simulated chip, with ``--run`` and without it.

python -m crnn.simulator -- crnn compile crnn.onnx bs64 --batch 64
crnn prepare words_lmdb input_bin --label label.txt
python benchmarks/runs.py bs64.om input_bin label.txt --quiet 0.05

No chip is involved: the simulator, in timing-only mode, computes nothing, and what is measured is
the host. In a run the chip has a process of its own. Ratios of words/s as the results say them, of
the first batch to the last, and of the processor time of whole commands.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List, NamedTuple

import common


class Spent(NamedTuple):
    """What a command took: seconds a word as its result says, and the processor's seconds."""

    word: float
    cpu: float


def evaluate(args: List[str], folder: Path) -> Spent:
    """Evaluate on a simulated chip."""
    crnn = [sys.executable, "-m", "crnn", "evaluate", *args, "--json", str(folder / "r.json")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "crnn.simulator", "--timing-only", "--", *crnn],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(1 / json.loads((folder / "r.json").read_text())["throughput"], cpu)


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__, runs=5)
    parser.add_argument("model", type=Path, help="a simulated OM")
    parser.add_argument("bins", type=Path)
    parser.add_argument("labels", type=Path)
    args = parser.parse_args()
    common.head("runs", args)
    words = [str(args.model), str(args.bins), "--label", str(args.labels), "--batch", "64"]
    plain: List[Spent] = []
    kept: List[Spent] = []
    for number in range(args.runs):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            common.wait_for_quiet(args.quiet)
            plain.append(evaluate(words, folder))
            kept.append(evaluate([*words, "--run", str(folder / f"run{number}")], folder))
    common.show_ratio(
        "words/s without a folder over words/s with one",
        [spent.word for spent in kept],
        [spent.word for spent in plain],
        "wanted: at most 1.05",
    )
    common.show_ratio(
        "processor time with a folder over that without",
        [spent.cpu for spent in kept],
        [spent.cpu for spent in plain],
    )


if __name__ == "__main__":
    common.run(main)
