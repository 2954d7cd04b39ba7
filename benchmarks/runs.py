"""What a run's folder costs: bins on a simulated chip, with ``--run`` and without it.

python benchmarks/runs.py --data words_lmdb --words 50000

No chip is involved: the simulator, in timing-only mode, computes nothing, and what is measured is
the host. Whole commands are compared, from their start to their end: their processor time where the
chip takes no time, and their wall time where it takes its own, 64 / 17 815 s a batch of 64
(--real-time). In a run the chip has a process of its own, so that one that hangs can be given up.

--devices 4 measures that many chips, at --pace times that of one: what the process uses that hands
out batches and keeps the records, as a share of a core, while all of them compute.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import common
from simulated_chip import RATE, compile_simulated

from crnn.jobs.prepare import PrepareRequest, prepare


class Spent(NamedTuple):
    """What a command took: seconds of wall time, the processor's seconds, and seconds a word as its
    result says, from the first batch to the last.
    """

    wall: float
    cpu: float
    word: float


class Evaluation:
    """An evaluation on simulated chips.

    Args:
        words: What stands behind ``crnn evaluate``.
        folder: A folder for results.
        devices: How many chips there are.
        pace: How fast one that takes its time is, as a part of a real one's.
    """

    def __init__(self, words: Sequence[str], folder: Path, devices: int, pace: float = 1.0) -> None:
        self._milliseconds = 1000 * 64 / (RATE * pace)
        self._words = words
        self._folder = folder
        self._devices = devices
        self._runs = 0

    def spent(self, *, run: bool, paced: bool) -> Spent:
        """Evaluate, in a run's folder or without one, at a chip's pace or as fast as it goes."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.perf_counter()
        self.started(run=run, paced=paced).communicate()
        wall = time.perf_counter() - begin
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        data = json.loads((self._folder / "r.json").read_text())
        return Spent(wall, cpu, 1 / data["throughput"])

    def started(self, *, run: bool, paced: bool) -> subprocess.Popen[bytes]:
        """Start an evaluation."""
        result = self._folder / "r.json"
        result.unlink(missing_ok=True)
        simulator = [sys.executable, "-m", "crnn.simulator", "--timing-only"]
        simulator += ["--soc", "Ascend310P3", "--devices", str(self._devices)]
        if paced:
            simulator += ["--real-time", "--compute-ms", str(self._milliseconds)]
        chips = ",".join(map(str, range(self._devices)))
        command = [sys.executable, "-m", "crnn", "evaluate", *self._words, "--device", chips]
        command += ["--batch", "64", "--json", str(result)]
        if run:
            self._runs += 1
            command += ["--run", str(self._folder / f"run{self._runs}")]
        return subprocess.Popen(
            [*simulator, "--", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=common.ROOT,
        )


def commands(session: int) -> Dict[int, str]:
    """Return the processes below one, each with its command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if int(fields[1]) == session:
            found[int(entry.name)] = words
    return found


def own_seconds(pid: int) -> float:
    """Return the processor seconds of a process's own threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share_of_a_core(evaluation: Evaluation) -> float:
    """Return how much of a core the process uses that feeds the chips, between two moments in which
    all of them compute.
    """
    process = evaluation.started(run=True, paced=True)
    ended = threading.Thread(target=process.wait)
    ended.start()
    samples: List[Sequence[float]] = []
    while ended.is_alive():
        for pid, words in commands(process.pid).items():
            if "evaluate" in words:
                try:
                    samples.append((time.perf_counter(), own_seconds(pid)))
                except OSError:
                    break
        time.sleep(0.1)
    ended.join()
    first, last = samples[len(samples) // 2], samples[-len(samples) // 8]
    return (last[1] - first[1]) / (last[0] - first[0])


def compare(evaluation: Evaluation, args: argparse.Namespace) -> None:
    """Measure with a folder and without one, in turns."""
    for paced in (False, True):
        taken: Dict[bool, List[Spent]] = {False: [], True: []}
        for number in range(args.runs):
            for run in (number % 2 == 0, number % 2 == 1):
                common.wait_for_quiet(args.quiet)
                taken[run].append(evaluation.spent(run=run, paced=paced))
        pace = "a chip that takes no time"
        if paced:
            pace = f"a chip at {RATE:.0f} words/s"
        for what, wanted in (("cpu", ""), ("wall", "at most 1.05"), ("word", "")):
            common.show_ratio(
                f"{pace}: {what}, --run / without",
                [getattr(spent, what) for spent in taken[True]],
                [getattr(spent, what) for spent in taken[False]],
                wanted,
            )


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__)
    parser.add_argument("--words", type=int, default=50000, help="words a run (default 50000)")
    parser.add_argument("--devices", type=int, default=1, help="simulated chips (default 1)")
    parser.add_argument("--pace", type=float, default=1.0, help="of a chip (default 1)")
    args = parser.parse_args()
    common.head(f"runs on {args.devices} SIMULATED chip(s), {args.words} words", args)
    with tempfile.TemporaryDirectory() as disk, common.scratch() as memory:
        om = compile_simulated(Path(disk), 64)
        bins = Path(memory) / "bins"
        labels = bins.with_suffix(".txt")
        words = common.Repeated(args.data, args.words)
        prepare(PrepareRequest(words, str(bins), labels, common.SPEC, dtype="float32"))
        evaluation = Evaluation(
            [str(om), str(bins), "--label", str(labels)], Path(disk), args.devices, args.pace
        )
        if args.devices > 1:
            shares = [share_of_a_core(evaluation) for _ in range(args.runs)]
            common.show_ratio(
                "of a core: the process that feeds the chips", shares, [1.0] * args.runs
            )
            rate = json.loads((Path(disk) / "r.json").read_text())["throughput"]
            print(f"{rate:.0f} words/s in the last run: {1e6 * shares[-1] / rate:.1f} µs a word")
            return
        compare(evaluation, args)


if __name__ == "__main__":
    common.run(main)
