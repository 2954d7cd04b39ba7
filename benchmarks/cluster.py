"""Two workers of one thread on a Ray of their own, beside one process of two threads.

python benchmarks/cluster.py --data words_lmdb --model crnn.onnx --words 20000

The words are read from files into a run. Rates are those from the first shard that is whole to the
last: beginning is told apart. The most memory of the command and of the process that speaks to Ray
is told, and the command's processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Tuple

from crnn.jobs.run_folder import RunFolder
from crnn.samples.lmdb import LmdbSamples

SHARES = (0.2, 0.9)
"""Between these parts of the shards a rate is taken: at the end workers wait for each other."""


def write_list(data: Path, folder: Path, count: int) -> Path:
    """Write each word's image once, and a list that repeats them."""
    names: List[str] = []
    for number, sample in enumerate(LmdbSamples(data)):
        path = folder / f"{number}.img"
        path.write_bytes(sample.image or b"")
        names.append(str(path))
    lines = [names[number % len(names)] for number in range(count)]
    path = folder / "list.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def memory_of(process: int) -> Tuple[int, float]:
    """Return a process's most memory in kB, and its processor time in seconds; 0 of the dead."""
    with contextlib.suppress(OSError, StopIteration, IndexError):
        status = Path(f"/proc/{process}/status").read_text().splitlines()
        most = next(line for line in status if line.startswith("VmHWM"))
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return int(most.split()[1]), seconds
    return 0, 0.0


def children_of(process: int) -> List[int]:
    """Return the processes that a process has started."""
    try:
        return [
            int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()
        ]
    except OSError:
        return []


def measure(words: List[str], run: Path) -> Dict[str, float]:
    """Run a command, and return its rate, its seconds, and what it and its child took."""
    began = time.time()
    most: Dict[str, float] = {"command kB": 0, "client kB": 0, "command s": 0, "client s": 0}
    with subprocess.Popen([sys.executable, "-m", "crnn", *words]) as process:
        while process.poll() is None:
            kilobytes, seconds = memory_of(process.pid)
            most["command kB"] = max(most["command kB"], kilobytes)
            most["command s"] = max(most["command s"], seconds)
            for child in children_of(process.pid):
                kilobytes, seconds = memory_of(child)
                most["client kB"] = max(most["client kB"], kilobytes)
                most["client s"] = max(most["client s"], seconds)
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(process.returncode)
    folder = RunFolder.open(run)
    whole = [
        (folder.whole(shard).stat().st_mtime, shard.end - shard.begin) for shard in folder.shards
    ]
    whole.sort()
    first, last = (int(share * len(whole)) for share in SHARES)
    count = sum(words for _, words in whole[first + 1 : last + 1])
    rate = count / (whole[last][0] - whole[first][0])
    return {
        "words/s": rate,
        "begins after s": whole[0][0] - began,
        "s": time.time() - began,
        **most,
    }


def main() -> None:
    """Measure both in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--words", type=int, default=20000)
    parser.add_argument("--batch", default="64")
    parser.add_argument("--runs", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_list(args.data, folder, args.words)
        common = ["read", str(args.model), "--list", str(path), "--batch", args.batch]
        for number in range(args.runs):
            for which, more in (
                ("one process, two threads", ["--threads", "2"]),
                ("two workers, one thread", ["--cluster", "local", "--cluster-cpus", "2"]),
            ):
                run = folder / f"run{number}{which[:3]}"
                out = ["--run", str(run), "--out", str(folder / "out.jsonl")]
                found = measure([*common, *out, *more], run)
                print(which, {key: round(value, 1) for key, value in found.items()}, flush=True)


if __name__ == "__main__":
    main()
