"""How busy the host keeps a simulated chip that computes 17 815 words/s at batch 64, in real time.

python benchmarks/busy.py --data words_lmdb

No chip is involved. The simulator stands in CANN's place, in timing-only mode: its model computes
nothing and is done 64 / 17 815 s after it could begin. Its clock, virtual by default, is here the
wall's, and waiting for the chip is sleeping, as in pyACL's own synchronize calls, which let other
threads run. So what the host really takes shows as time that the chip is idle. The simulator's own
bookkeeping counts as the host's too: the share found is a lower bound. How much of the processor
time it is, is told apart: the time within its calls, by each thread's own clock.

--cores 1,2 runs everything on the first processor alone, then on the first two.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import common

from crnn.ascend import acl_state as process
from crnn.export.graph import GraphOptions, build_graph
from crnn.jobs.prepare import PrepareRequest, prepare
from crnn.runners.ascend_runner import AscendRunner
from crnn.samples.bins import BinFolder
from crnn.samples.source import ImageSource, WordSource
from crnn.scoring.scorer import Scorer
from crnn.scoring.stream import run_batches
from crnn.simulator import Knobs, Simulator, installed
from crnn.simulator.atc import compile_om
from crnn.simulator.om_file import to_bytes
from crnn.weights.checkpoint import load_checkpoint

RATE = 17815.0
"""Words a second that are published for a 310P3 at batch 64."""


def compile_simulated(folder: Path, batch: int) -> Path:
    """Write the shipped network as a simulated OM of one batch size."""
    onnx = folder / "model.onnx"
    checkpoint = load_checkpoint(common.ROOT / "examples" / "crnn_small.pth")
    onnx.write_bytes(build_graph(checkpoint, GraphOptions(batch=batch)))
    words = [
        "--framework=5",
        f"--model={onnx}",
        f"--output={folder / 'model'}",
        "--soc_version=Ascend310P3",
    ]
    shape = f"--input_shape=actual_input_1:{batch},1,32,100"
    target, om = compile_om(
        [*words, "--input_format=NCHW", shape], (6, 0), {"ASCEND_OPP_PATH": "/opp"}
    )
    target.write_bytes(to_bytes(om))
    return target


class Meter:
    """The processor seconds within the simulator's calls, whatever thread makes them."""

    def __init__(self, acl: Any) -> None:
        self.seconds = 0.0
        for module in (acl, acl.rt, acl.mdl, acl.util):
            for name, function in list(vars(module).items()):
                if callable(function) and not name.startswith("_"):
                    setattr(module, name, self._metered(function))

    def _metered(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.thread_time() - start

        return call


def busy_share(om: Path, source: WordSource, batch: int, spent: List[Sequence[float]]) -> float:
    """Evaluate the source on the simulated chip and return the share of time that it computed.

    ``spent`` gets the processor seconds of the evaluation, and those of them that the simulator's
    calls took.
    """
    compute_ms = 1000 * batch / RATE
    knobs = Knobs(soc="Ascend310P3", timing_only=True, real_time=True, compute_ms=compute_ms)
    simulator = Simulator(knobs)
    with installed(simulator) as acl:
        meter = Meter(acl)
        with AscendRunner([om]) as runner:
            meter.seconds = 0.0
            start = time.process_time()
            scorer = Scorer(runner.spec)
            for group, logits in run_batches(runner, source, batch):
                scorer.add(group, logits)
            spent.append((time.process_time() - start, meter.seconds))
        # Otherwise the next run's machine would be taken for one that is initialised.
        process.finalize()
    return float(simulator.clock.figures()[0]["busy"])


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
    args = parser.parse_args()
    common.head(f"a SIMULATED chip at {RATE:.0f} words/s, batch {args.batch}", args)
    usable = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name, common.scratch() as memory:
        om = compile_simulated(Path(name), args.batch)
        words = common.Repeated(args.data, args.words)
        for dtype in ("float32", "uint8"):
            bins = Path(memory) / dtype
            prepare(
                PrepareRequest(words, str(bins), bins.with_suffix(".txt"), common.SPEC, dtype=dtype)
            )
        for cores in args.cores or [len(usable)]:
            os.sched_setaffinity(0, usable[:cores])
            measure(args, cores, om, words, Path(memory))


if __name__ == "__main__":
    common.run(main)
