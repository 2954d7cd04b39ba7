"""How busy the host keeps a simulated chip that computes 17 815 words/s at batch 64, in real time.

python benchmarks/busy.py --data words_lmdb

No chip is involved. The simulator stands in CANN's place, in timing-only mode: its model computes
nothing and is done 64 / 17 815 s after it could begin. Its clock, virtual by default, is here the
wall's, and waiting for the chip is sleeping, as in pyACL's own synchronize calls, which let other
threads run. So what the host really takes shows as time that the chip is idle. The simulator's own
bookkeeping counts as the host's too: the share found is a lower bound.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import List

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
from crnn.simulator.clock import Clock
from crnn.simulator.om_file import to_bytes
from crnn.weights.checkpoint import load_checkpoint

RATE = 17815.0
"""Words a second that are published for a 310P3 at batch 64."""


class WallClock(Clock):
    """The simulator's clock at the wall's pace."""

    def __init__(self, knobs: Knobs) -> None:
        super().__init__(knobs)
        self._start = time.perf_counter()

    @property
    def now(self) -> float:  # type: ignore[override]
        """Milliseconds since the start."""
        return (time.perf_counter() - self._start) * 1000 if hasattr(self, "_start") else 0.0

    @now.setter
    def now(self, value: float) -> None:
        """Leave time to itself."""

    def wait_until(self, moment: float) -> None:
        """Sleep, as a thread does that waits for a chip."""
        left = moment - self.now
        if left > 0:
            time.sleep(left / 1000)


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


def busy_share(om: Path, source: WordSource, batch: int) -> float:
    """Evaluate the source on the simulated chip and return the share of time that it computed."""
    knobs = Knobs(soc="Ascend310P3", timing_only=True, compute_ms=1000 * batch / RATE)
    simulator = Simulator(knobs)
    simulator.clock = clock = WallClock(knobs)
    simulator.streams._clock = clock
    with installed(simulator):
        with AscendRunner([om]) as runner:
            scorer = Scorer(runner.spec)
            for group, logits in run_batches(runner, source, batch):
                scorer.add(group, logits)
        # Otherwise the next run's machine would be taken for one that is initialised.
        process.finalize()
    return float(clock.figures()[0]["busy"])


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__)
    parser.add_argument("--words", type=int, default=20000, help="words a run (default 20000)")
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    common.head(f"a SIMULATED chip at {RATE:.0f} words/s, batch {args.batch}", args)
    with tempfile.TemporaryDirectory() as name, common.scratch() as memory:
        om = compile_simulated(Path(name), args.batch)
        words = common.Repeated(args.data, args.words)
        sources = {"the LMDB": ImageSource(words, common.SPEC, args.threads)}
        for dtype in ("float32", "uint8"):
            bins = Path(memory) / dtype
            prepare(
                PrepareRequest(words, str(bins), bins.with_suffix(".txt"), common.SPEC, dtype=dtype)
            )
            sources[f"{dtype} bins"] = BinFolder(bins, bins.with_suffix(".txt"), common.SPEC)
        shares: dict[str, List[float]] = {what: [] for what in sources}
        for _ in range(args.runs):
            for what, source in sources.items():
                # timed repeats a run that others disturbed: the last result is the one that counts.
                found: List[float] = []
                common.timed(lambda: found.append(busy_share(om, source, args.batch)), args.quiet)  # noqa: B023
                shares[what].append(found[-1])
    for what, values in shares.items():
        wanted = "at least 0.95" if what == "float32 bins" else ""
        common.show_ratio(f"busy, fed from {what}", values, [1.0] * len(values), wanted)


if __name__ == "__main__":
    main()
