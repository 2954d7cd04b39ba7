"""What the benchmarks share:

interleaved runs, paired ratios, a full-width model, words repeated to size.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from crnn.batch import Sample  # noqa: E402
from crnn.errors import KitError  # noqa: E402
from crnn.image import decode  # noqa: E402  the line above finds it
from crnn.machine import describe, instruction_sets, usable_cpus  # noqa: E402
from crnn.samples.lmdb import LmdbSamples  # noqa: E402
from crnn.spec import ModelSpec  # noqa: E402

SPEC = ModelSpec.default()
Contenders = Dict[str, Callable[[], object]]


def arguments(description: str, *, runs: int = 7) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=ROOT / "examples" / "words_lmdb", help="an LMDB of words"
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=runs,
        help=f"interleaved runs of each contender (default {runs})",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=usable_cpus(),
        help="for all contenders (default: all usable)",
    )
    parser.add_argument(
        "--quiet",
        type=float,
        default=1.0,
        metavar="SHARE",
        help=(
            "repeat a run in which other programs used more of the processors than this, such as"
            " 0.05 (default: any)"
        ),
    )
    return parser


def interleaved(
    contenders: Contenders,
    args: argparse.Namespace,
    *,
    warm_up: int = 1,
    before: Callable[[str], object] = lambda name: None,
) -> Dict[str, List[float]]:
    """Return the seconds of each contender in each of ``args.runs``; who goes first changes from
    run to run.

    ``before`` is called with the contender's name before each run, off the clock.
    """
    names, runs = list(contenders), args.runs
    for _ in range(warm_up):
        for name in names:
            before(name)
            contenders[name]()
    seconds: Dict[str, List[float]] = {name: [] for name in names}
    for run in range(runs):
        for name in names[run % len(names) :] + names[: run % len(names)]:
            before(name)
            seconds[name].append(timed(contenders[name], args.quiet))
    return seconds


def timed(run: Callable[[], object], quiet: float = 1.0) -> float:
    """Return the seconds of a run; it is repeated until others take no more of the processors than
    ``quiet``.
    """
    while True:
        if quiet < 1:
            wait_for_quiet(quiet)
        before, start = others_seconds(), time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        if (
            quiet >= 1
            or others_seconds() - before <= quiet * seconds * (os.cpu_count() or 1) + 0.03
        ):
            return seconds


def wait_for_quiet(quiet: float) -> None:
    """Return when others have left the processors alone for a fifth of a second."""
    while True:
        before = others_seconds()
        time.sleep(0.2)
        if others_seconds() - before <= quiet * 0.2 * (os.cpu_count() or 1) + 0.011:
            return


def others_seconds() -> float:
    """Return the processor seconds that all programs but this one and its children have used since
    the start.
    """
    ticks = [int(word) for word in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]]
    # user, nice, system, (idle, iowait), irq, softirq, steal
    used = sum(ticks[:3] + ticks[5:8]) / os.sysconf("SC_CLK_TCK")
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return used - sum(usage.ru_utime + usage.ru_stime for usage in own)


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Tuple[float, float, float]:
    """Return the median of the paired ratios, and their quartiles."""
    ratios = [first / second for first, second in zip(numerator, denominator)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return statistics.median(ratios), low, high


def show_ratio(
    what: str, numerator: Sequence[float], denominator: Sequence[float], wanted: str = ""
) -> None:
    """Print a paired ratio with its quartiles, and what is wanted of it."""
    median, low, high = ratio(numerator, denominator)
    print(f"{what:<64} {median:8.3f}   ({low:.3f} to {high:.3f})   {wanted}")


def show_rates(seconds: Dict[str, List[float]], count: int, unit: str = "words/s") -> None:
    """Print what each contender does a second, by its median run."""
    for name, values in seconds.items():
        print(f"{name:<64} {count / statistics.median(values):8.1f}   {unit}")


KINDS = {
    "AVX2": "no AVX2",
    "AVX512F": "no AVX-512",
    "AVX512_VNNI AVX_VNNI NEON_DOTPROD": "no VNNI",
    "AVX512_BF16 AMX_BF16 BF16": "no bfloat16",
}
"""Instruction sets that figures depend on, of which any one serves, and what is said without."""


def processor() -> str:
    """Return the processor's name, and which of the instruction sets that matter it has."""
    sets = instruction_sets()
    told = [describe()["processor"]]
    for names, without in KINDS.items():
        there = sets.intersection(names.split())
        if not sets:
            told.append("instruction sets unknown")
            break
        told.append(min(there) if there else without)
    return ", ".join(told)


def run(main: Callable[[], object]) -> None:
    """Run a benchmark; what the kit refuses ends it in a sentence, as it ends a verb."""
    try:
        main()
    except KitError as error:
        print(f"not measured: {error.message}", file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)
        sys.exit(error.exit_code)


def head(name: str, args: argparse.Namespace) -> None:
    """Print what the figures depend on."""
    machine = describe()
    print(f"{name}: {processor()}, {machine['usable']} usable, load before {machine['load']}")
    print(
        f"{args.runs} interleaved runs, {args.threads} threads, {args.data.name}; medians,"
        " quartiles in brackets"
    )


class Repeated:
    """An LMDB's words over and over, up to ``count``: as labelled source and as encoded images."""

    gaps = 0
    notes: Sequence[str] = ()

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        self.count = count
        self._samples = LmdbSamples(path)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Sample]:
        return (sample for _, sample in self.numbered())

    def numbered(self) -> Iterator[Tuple[int, Sample]]:
        """Yield the samples, numbered from 1."""
        return ((number, self.sample(number)) for number in self.numbers())

    def numbers(self) -> Iterator[int]:
        """Yield the numbers from 1."""
        return iter(range(1, self.count + 1))

    def sample(self, number: int) -> Sample:
        """Return a word."""
        sample = self._samples.sample((number - 1) % len(self._samples) + 1)
        return Sample(f"test_{number}", sample.image, sample.label, number=number)

    def several(self, numbers: Iterable[int]) -> Iterator[Sample]:
        """Yield words."""
        first = len(self._samples)
        taken = self._samples.several((number - 1) % first + 1 for number in numbers)
        for number, sample in zip(numbers, taken):
            yield Sample(f"test_{number}", sample.image, sample.label, number=number)

    def label_problem(self, number: int) -> None:
        """Return nothing, as `extras` does."""

    def close(self) -> None:
        """Close the LMDB, which a process can have open once only."""
        self._samples.close()

    def extras(self) -> List[object]:
        """Return nothing: the words are the data set's, its faults another matter."""
        return []

    faults = extras


def pixels(path: Path, count: int) -> np.ndarray:
    """Return ``count`` words as float32 images (N, 1, 32, 100)."""
    words = itertools.islice(LmdbSamples(path), count)
    images = [decode(sample.image, SPEC) for sample in words if sample.image]
    stacked = SPEC.table[np.stack(images)]
    return np.concatenate([stacked] * -(-count // len(stacked)))[:count]


def scratch() -> tempfile.TemporaryDirectory:
    """Return a folder for bins:

    in memory where there is room, for the disk is nobody's to measure here.
    """
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(
        prefix="crnn-bench-", dir=memory if os.access(memory, os.W_OK) else None
    )


def full_width(folder: Path) -> Tuple[Path, Path]:
    """Write the published network (8.3 million values) with seeded random weights; return
    checkpoint and ONNX.

    It reads nothing: what it computes takes as long as if it did.
    """
    import torch

    from crnn.export.graph import GraphOptions, build_graph
    from crnn.network import CRNN
    from crnn.presets import CrnnConfig
    from crnn.weights.checkpoint import load_checkpoint

    torch.manual_seed(0)
    checkpoint = folder / "full.pth"
    torch.save(CRNN(CrnnConfig()).state_dict(), checkpoint)
    onnx = folder / "full.onnx"
    onnx.write_bytes(build_graph(load_checkpoint(checkpoint), GraphOptions()))
    return checkpoint, onnx
