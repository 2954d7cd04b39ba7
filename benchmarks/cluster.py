"""Two workers of one thread on a Ray of their own, beside one process of two threads.

python benchmarks/cluster.py --data words_lmdb --model crnn.onnx --words 20000
python benchmarks/cluster.py --data words_lmdb --chips 4 --pace 0.1 --words 400000 --disk DIR

The words are read from files into a run. Rates are those from the first shard that is whole to the
last: beginning is told apart. The most anonymous memory of the command, of the process that speaks
to Ray and of the largest worker is told, and the processor time of the first two: all of it, and a
second while the shards between those became whole.

With --chips bins are evaluated on so many SIMULATED chips that compute nothing, at that part of a
chip's pace: two cores can feed four of them at a tenth of it.
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

from memory import write_bins
from simulated_chip import RATE, compile_simulated

from crnn.jobs.run_folder import RunFolder
from crnn.samples.lmdb import LmdbSamples
from crnn.simulator.launcher import BROKEN

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


def memory_of(process: int) -> float:
    """Return a process's anonymous memory in MiB; 0 of the dead."""
    with contextlib.suppress(OSError, StopIteration):
        status = Path(f"/proc/{process}/status").read_text().splitlines()
        return int(next(line for line in status if line.startswith("RssAnon")).split()[1]) / 1024
    return 0.0


def seconds_of(process: int) -> float:
    """Return a process's processor time; 0 of the dead."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def words_of(process: int) -> bytes:
    """Return a process's command line; empty of the dead."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


def below(process: int) -> List[int]:
    """Return the processes that a process has started, and theirs."""
    found: List[int] = []
    waiting = [process]
    while waiting:
        with contextlib.suppress(OSError):
            one = waiting.pop()
            children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
            waiting.extend(map(int, children))
            found.extend(map(int, children))
    return found


class Watch:
    """What a command and the processes below it take, looked at again and again."""

    def __init__(self) -> None:
        self.most = {"command": 0.0, "client": 0.0, "worker": 0.0}
        """Anonymous memory in MiB."""
        self.spent: List[Tuple[float, Dict[str, float]]] = []
        """Processor seconds of command and client at times, as `time.time` has them."""

    def look(self, root: int) -> None:
        """Look once; ``root`` is the command, or the simulator that has started it."""
        seconds = {"command": 0.0, "client": 0.0}
        for process in [root, *below(root)]:
            what = words_of(process)
            name = ""
            if b"crnn.cluster.client" in what:
                name = "client"
            elif what.startswith(b"ray::Hired"):
                name = "worker"
            elif b"--run" in what.split(b"\0") and b"crnn.simulator" not in what:
                name = "command"
            if name:
                self.most[name] = max(self.most[name], memory_of(process))
            if name in seconds:
                seconds[name] = max(seconds[name], seconds_of(process))
        self.spent.append((time.time(), seconds))

    def share(self, name: str, begin: float, end: float) -> float:
        """Return how much of a core a process used between two moments."""
        first = next(entry for entry in self.spent if entry[0] >= begin)
        last = next(entry for entry in reversed(self.spent) if entry[0] <= end)
        return (last[1][name] - first[1][name]) / (last[0] - first[0])


def measure(words: List[str], run: Path) -> Dict[str, float]:
    """Run a command, and return its rate, its seconds, and what it and its child took."""
    began = time.time()
    watch = Watch()
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            watch.look(process.pid)
            time.sleep(0.1)
    # Ray itself breaks a rule of pyACL's: it asks for the chip's name before acl.init.
    if process.returncode not in (0, BROKEN):
        raise SystemExit(process.returncode)
    folder = RunFolder.open(run)
    whole = [
        (folder.whole(shard).stat().st_mtime, shard.end - shard.begin) for shard in folder.shards
    ]
    whole.sort()
    first, last = (int(share * len(whole)) for share in SHARES)
    begin, end = whole[first][0], whole[last][0]
    count = sum(words for _, words in whole[first + 1 : last + 1])
    found = {
        "words/s": count / (end - begin),
        "begins after s": whole[0][0] - began,
        "s": time.time() - began,
    }
    found.update({f"{name} MiB": most for name, most in watch.most.items()})
    for name in ("command", "client"):
        found[f"{name} s"] = max(seconds[name] for _, seconds in watch.spent)
        found[f"{name} % of a core"] = 100 * watch.share(name, begin, end)
    return found


def show(which: str, found: Dict[str, float]) -> None:
    """Print what was found."""
    print(which, {key: round(value, 2) for key, value in found.items()}, flush=True)


def of_chips(args: argparse.Namespace, folder: Path) -> None:
    """Measure simulated chips, each with a worker."""
    om = compile_simulated(folder, int(args.batch))
    write_bins(args.data, folder / "bins", args.words)
    milliseconds = 1000 * int(args.batch) / (RATE * args.pace)
    simulator = [sys.executable, "-m", "crnn.simulator", "--timing-only", "--soc", "Ascend310P3"]
    simulator += ["--devices", str(args.chips)]
    simulator += ["--real-time", "--compute-ms", str(milliseconds), "--"]
    evaluate = [sys.executable, "-m", "crnn", "evaluate", str(om), str(folder / "bins")]
    evaluate += ["--label", str(folder / "bins.txt"), "--batch", args.batch]
    for number in range(args.runs):
        run = folder / f"run{number}"
        cluster = ["--cluster", "local", "--json", str(folder / "r.json"), "--run", str(run)]
        found = measure([*simulator, *evaluate, *cluster], run)
        show(f"{args.chips} SIMULATED chips at {args.pace:g} of {RATE:.0f} words/s", found)


def main() -> None:
    """Measure both in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="what reads files; not with --chips")
    parser.add_argument("--words", type=int, default=20000)
    parser.add_argument("--batch", default="64")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--chips", type=int, help="simulated chips")
    parser.add_argument("--pace", type=float, default=0.1, help="of a chip (default 0.1)")
    parser.add_argument("--disk", type=Path, help="where words and runs are (default: /tmp)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.disk) as name:
        folder = Path(name)
        if args.chips:
            of_chips(args, folder)
            return
        path = write_list(args.data, folder, args.words)
        common = ["read", str(args.model), "--list", str(path), "--batch", args.batch]
        for number in range(args.runs):
            for which, more in (
                ("one process, two threads", ["--threads", "2"]),
                ("two workers, one thread", ["--cluster", "local", "--cluster-cpus", "2"]),
            ):
                run = folder / f"run{number}{which[:3]}"
                out = ["--run", str(run), "--out", str(folder / "out.jsonl")]
                command = [sys.executable, "-m", "crnn", *common, *out, *more]
                show(which, measure(command, run))


if __name__ == "__main__":
    main()
