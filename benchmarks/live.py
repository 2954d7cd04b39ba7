"""``crnn read MODEL -`` as a server: from a line in to a line out, beside the model's own time; and
its start, beside ``crnn read`` of one image.

python benchmarks/live.py --data words_lmdb --threads 1

The model's own time is that of ONNX Runtime's session alone, with the kit's options, on the same
pixels one by one. A line is written when the answer to the one before is there, so that the server
is idle. Wall times are medians of all lines, since another program may come between; processor
times are of all lines together, of the server's process alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, NamedTuple, Sequence

import common

from crnn.export.graph import GraphOptions, build_graph
from crnn.runners.open import open_runner
from crnn.samples.lmdb import LmdbSamples
from crnn.weights.checkpoint import load_checkpoint


class Spent(NamedTuple):
    """Milliseconds a word: the median of wall times, and the mean of the processor's."""

    wall: float
    cpu: float


def own_time(model: Path, pixels: Sequence[object], threads: int) -> Spent:
    """Run a model on one image after another."""
    with open_runner(model, threads=threads) as runner:
        session, name = runner._session, runner.inputs[0].name  # type: ignore[attr-defined]
        for image in pixels[:20]:
            session.run(None, {name: image})
        walls: List[float] = []
        before = time.process_time()
        for image in pixels:
            begin = time.perf_counter()
            session.run(None, {name: image})
            walls.append(time.perf_counter() - begin)
        cpu = time.process_time() - before
    return Spent(1000 * statistics.median(walls), 1000 * cpu / len(pixels))


def served_time(model: Path, paths: Sequence[Path], threads: int) -> Spent:
    """Ask a server for one image after another."""
    words = [sys.executable, "-m", "crnn", "read", str(model), "-", "--threads", str(threads)]
    with subprocess.Popen(
        words, cwd=common.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        for path in paths[:20]:
            ask(server, path)
        walls: List[float] = []
        before = cpu_clock(server.pid)
        for path in paths:
            begin = time.perf_counter()
            ask(server, path)
            walls.append(time.perf_counter() - begin)
        cpu = cpu_clock(server.pid) - before
        server.communicate()
    return Spent(1000 * statistics.median(walls), 1000 * cpu / len(paths))


def ask(server: subprocess.Popen[bytes], path: Path) -> None:
    """Write a line, and read one."""
    assert server.stdin is not None
    assert server.stdout is not None
    os.write(server.stdin.fileno(), os.fsencode(path) + b"\n")
    if not server.stdout.readline():
        raise SystemExit("the server has ended")


def cpu_clock(pid: int) -> float:
    """Return the processor seconds of a process (clock_getcpuclockid(3): ~pid << 3 | 2)."""
    return time.clock_gettime((~pid << 3) | 2)


def started(words: Sequence[str], stdin: bytes) -> float:
    """Return the processor seconds of a command from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "crnn", *words],
        cwd=common.ROOT,
        input=stdin,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(model: Path, paths: Sequence[Path], args: argparse.Namespace) -> None:
    """Measure a model, and print."""
    pixels = list(common.pixels(args.data, len(paths))[:, None])
    own: List[Spent] = []
    served: List[Spent] = []
    for _ in range(args.runs):
        common.wait_for_quiet(args.quiet)
        own.append(own_time(model, pixels, args.threads))
        served.append(served_time(model, paths, args.threads))
    for what in Spent._fields:
        common.show_ratio(
            f"{model.stem}, line in to line out / the model alone: {what}",
            [getattr(spent, what) for spent in served],
            [getattr(spent, what) for spent in own],
            "at most 2",
        )
        for name, spents in (("served", served), ("alone", own)):
            median = statistics.median(getattr(spent, what) for spent in spents)
            print(f"{model.stem}, {name}: {what} {median:.3f} ms a word")


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__, runs=5)
    parser.add_argument("--words", type=int, default=300, help="lines a run (default 300)")
    parser.add_argument("--full", action="store_true", help="a full-width model too")
    args = parser.parse_args()
    common.head("crnn read MODEL -", args)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = folder / "small.onnx"
        checkpoint = load_checkpoint(common.ROOT / "examples" / "crnn_small.pth")
        small.write_bytes(build_graph(checkpoint, GraphOptions()))
        paths: List[Path] = []
        for number, sample in zip(range(args.words), LmdbSamples(args.data)):
            paths.append(folder / f"{number}.png")
            paths[-1].write_bytes(sample.image or b"")
        one = paths[0]
        live, named = ["read", str(small), "-"], ["read", str(small), str(one), "--jsonl"]
        starts: List[Sequence[float]] = []
        for _ in range(2 * args.runs + 1):
            starts.append((started(live, os.fsencode(one)), started(named, b"")))
        common.show_ratio(
            "read - / read of one image: processor time", *zip(*starts), wanted="at most 1.05"
        )
        models = [small]
        if args.full:
            models.append(common.full_width(folder)[1])
        for model in models:
            measure(model, paths, args)


if __name__ == "__main__":
    common.run(main)
