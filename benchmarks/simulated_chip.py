"""A SIMULATED chip that computes 17 815 words/s at batch 64, in real time, for `busy.py`.

No chip is involved. It runs by the checkout on PYTHONPATH, and answers a line for each line that it
is sent: ``LMDB CORES BATCH`` evaluates the LMDB's words on the first so many processors, and the
answer is the share of time that the chip computed, and the microseconds of processor time a word,
those of processes that were started for it included.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, List, Sequence

from crnn.ascend import acl_state as process
from crnn.export.graph import GraphOptions, build_graph
from crnn.runners.ascend_runner import AscendRunner
from crnn.samples.lmdb import LmdbSamples
from crnn.samples.source import ImageSource, WordSource
from crnn.scoring.scorer import Scorer
from crnn.scoring.stream import run_batches
from crnn.simulator import Knobs, Simulator, installed
from crnn.simulator.atc import compile_om
from crnn.simulator.clock import Clock
from crnn.simulator.om_file import to_bytes
from crnn.spec import ModelSpec
from crnn.weights.checkpoint import load_checkpoint

CHECKPOINT = Path(__file__).resolve().parent.parent / "examples" / "crnn_small.pth"
RATE = 17815.0
"""Words a second that are published for a 310P3 at batch 64."""


class WallClock(Clock):
    """The simulator's clock at the wall's pace, as its --real-time: an earlier checkout, by whose
    code this runs too, has none of its own.
    """

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
    checkpoint = load_checkpoint(CHECKPOINT)
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
    knobs = Knobs(soc="Ascend310P3", timing_only=True, compute_ms=1000 * batch / RATE)
    simulator = Simulator(knobs)
    simulator.clock = clock = WallClock(knobs)
    simulator.streams._clock = clock
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
    return float(clock.figures()[0]["busy"])


def processor_seconds() -> float:
    """Return what this process has used, and those processes of its own that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def main() -> None:
    """Answer until there are no more requests."""
    usable = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        oms = {}
        for line in sys.stdin:
            data, cores, batch = line.split()
            if batch not in oms:
                folder = Path(name) / batch
                folder.mkdir()
                oms[batch] = compile_simulated(folder, int(batch))
            os.sched_setaffinity(0, usable[: int(cores)])
            samples = LmdbSamples(Path(data))
            source = ImageSource(samples, ModelSpec.default(), int(cores))
            begin = processor_seconds()
            share = busy_share(oms[batch], source, int(batch), [])
            spent = 1e6 * (processor_seconds() - begin) / len(samples)
            sys.stdout.write(f"{share} {spent}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
