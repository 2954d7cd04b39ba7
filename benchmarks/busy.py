"""How busy the host keeps a simulated chip that computes 17 815 words/s at batch 64, in real time.

python benchmarks/busy.py --data words_lmdb [--before ../crnn-before]

No chip is involved. The simulator stands in CANN's place, in timing-only mode: its model computes
nothing and is done 64 / 17 815 s after it could begin. Its clock, virtual by default, is here the
wall's, and waiting for the chip is sleeping, as in pyACL's own synchronize calls, which let other
threads run. So what the host really takes shows as time that the chip is idle. The simulator's own
bookkeeping counts as the host's too: the share found is a lower bound. How much of the processor
time it is, is told apart: the time within its calls, by each thread's own clock.

--cores 1,2 runs everything on the first processor alone, then on the first two.

--before compares with an earlier checkout what is fed from LMDBs of JPEG copies of the words
(quality 90) and of the words as they are; a process for each checkout, which take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

import common
from decode import Checkout, words_of
from simulated_chip import RATE, busy_share, compile_simulated

from crnn.jobs.prepare import PrepareRequest, prepare
from crnn.samples.bins import BinFolder
from crnn.samples.lmdb_writer import new_lmdb
from crnn.samples.source import ImageSource, WordSource

CHILD = str(Path(__file__).resolve().parent / "simulated_chip.py")
WANTED = {"JPEG": "at least 2.4", "as they are": "at least 1.2"}


class Fed(NamedTuple):
    """The share of time that the chip computed, and microseconds of processor time a word."""

    share: float
    spent: float


def compare(args: argparse.Namespace, memory: Path) -> None:
    """Compare with an earlier checkout on each number of processors and print."""
    checkouts = {
        "before": Checkout(args.before.resolve(), CHILD),
        "after": Checkout(common.ROOT, CHILD),
    }
    for kind, words in words_of(args.data).items():
        data = memory / kind.replace(" ", "_")
        with new_lmdb(data) as writer:
            for number in range(args.words):
                writer.add(words[number % len(words)], "word")
        for cores in args.cores:
            found: Dict[str, List[Fed]] = {name: [] for name in checkouts}
            for run in range(args.runs):
                for name in list(checkouts)[:: 1 - 2 * (run % 2)]:
                    answer = checkouts[name].ask(data, cores, args.batch)
                    found[name].append(Fed(*map(float, answer.split())))
            wanted = ""
            if cores > 1:
                wanted = WANTED[kind]
            show(f"{cores} core(s), {kind}", found, wanted)


def show(title: str, found: Dict[str, List[Fed]], wanted: str) -> None:
    """Print the shares and the processor time of both checkouts, and their ratios."""
    for name, values in found.items():
        shares = [fed.share for fed in values]
        common.show_ratio(f"{title}: busy, {name}", shares, [1.0] * len(shares))
        spent = statistics.median(fed.spent for fed in values)
        print(f"{title}: processor time, {name}: {spent:.1f} µs a word")
    before, after = found["before"], found["after"]
    common.show_ratio(
        f"{title}: busy, after / before",
        [fed.share for fed in after],
        [fed.share for fed in before],
        wanted,
    )
    common.show_ratio(
        f"{title}: processor time, before / after",
        [fed.spent for fed in before],
        [fed.spent for fed in after],
    )


def measure(args: argparse.Namespace, cores: int, om: Path, words: Any, memory: Path) -> None:
    """Measure on the first ``cores`` processors and print."""
    sources: Dict[str, WordSource] = {"the LMDB": ImageSource(words, common.SPEC, cores)}
    for dtype in ("float32", "uint8"):
        bins = memory / dtype
        sources[f"{dtype} bins"] = BinFolder(bins, bins.with_suffix(".txt"), common.SPEC)
    shares: Dict[str, List[float]] = {what: [] for what in sources}
    times: Dict[str, List[Sequence[float]]] = {what: [] for what in sources}
    for _ in range(args.runs):
        for what, source in sources.items():
            # timed repeats a run that others disturbed: the last result is the one that counts.
            found: List[float] = []
            spent: List[Sequence[float]] = []
            common.timed(
                lambda: found.append(busy_share(om, source, args.batch, spent)),  # noqa: B023
                args.quiet,
            )
            shares[what].append(found[-1])
            times[what].append(spent[-1])
    for what, values in shares.items():
        wanted = "at least 0.95" if what.endswith("bins") and cores > 1 else ""
        title = f"{cores} core(s): busy, fed from {what}"
        common.show_ratio(title, values, [1.0] * len(values), wanted)
    for what, rows in times.items():
        whole = statistics.median(whole for whole, _ in rows) * 1e6 / args.words
        inside = statistics.median(inside for _, inside in rows) * 1e6 / args.words
        title = f"{cores} core(s): processor time, fed from {what}"
        apart = f"{whole - inside:8.1f} µs a word without the simulator's {inside:.1f}"
        print(f"{title:<64} {apart}")


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__)
    parser.add_argument("--words", type=int, default=20000, help="words a run (default 20000)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument(
        "--cores",
        type=lambda text: [int(word) for word in text.split(",")],
        default=[],
        help="numbers of processors to measure on, as 1,2 (default: all usable at once)",
    )
    parser.add_argument("--before", type=Path, help="a checkout to compare with")
    args = parser.parse_args()
    common.head(f"a SIMULATED chip at {RATE:.0f} words/s, batch {args.batch}", args)
    usable = sorted(os.sched_getaffinity(0))
    args.cores = args.cores or [len(usable)]
    if args.before:
        with common.scratch() as memory:
            compare(args, Path(memory))
        return
    with tempfile.TemporaryDirectory() as name, common.scratch() as memory:
        om = compile_simulated(Path(name), args.batch)
        words = common.Repeated(args.data, args.words)
        for dtype in ("float32", "uint8"):
            bins = Path(memory) / dtype
            prepare(
                PrepareRequest(words, str(bins), bins.with_suffix(".txt"), common.SPEC, dtype=dtype)
            )
        for cores in args.cores:
            os.sched_setaffinity(0, usable[:cores])
            measure(args, cores, om, words, Path(memory))


if __name__ == "__main__":
    common.run(main)
