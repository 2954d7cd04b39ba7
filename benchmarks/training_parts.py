"""Where a step of training goes on a processor, and what the order of channels and the batch do.

ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/training_parts.py    # as on a processor without bfloat16

A step is forward, loss, backward and optimiser, on images that are there, in float32.
"""

from __future__ import annotations

import os
import statistics
from typing import Callable, Dict, List, Tuple

import common
import torch
from torch.profiler import ProfilerActivity, profile

from crnn.network import CRNN
from crnn.presets import CrnnConfig

NETWORKS = {
    "full width": CrnnConfig(),
    "a quarter of it": CrnnConfig(channels=(16, 32, 64, 64, 128, 128, 128), hidden=64),
}
BATCHES = (16, 64)
ORDERS = {"channels outermost": torch.contiguous_format, "innermost": torch.channels_last}
SHOWN = 6
"""Operators that are named, those that take most time."""


def step_of(config: CrnnConfig, batch: int, order: torch.memory_format) -> Callable[[], None]:
    """Return one step of training."""
    torch.manual_seed(0)
    model = CRNN(config).train().to(memory_format=order)  # type: ignore[call-overload]
    images = torch.randn(batch, 1, 32, 100).to(memory_format=order)
    targets = torch.randint(1, 37, (batch * 5,))
    lengths = torch.full((batch,), 5)
    optimizer = torch.optim.Adadelta(model.parameters())
    ctc = torch.nn.CTCLoss()

    def step() -> None:
        optimizer.zero_grad()
        scores = model(images).log_softmax(2)
        steps = torch.full((batch,), scores.shape[0])
        ctc(scores, targets, steps, lengths).backward()
        optimizer.step()

    return step


def shares(step: Callable[[], None]) -> List[Tuple[str, float]]:
    """Return the operators of a step that take most time, with their shares of it."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step()
    rows = [(row.key, row.self_cpu_time_total) for row in profiled.key_averages()]
    whole = sum(time for _, time in rows)
    rows.sort(key=lambda row: -row[1])
    return [(name, time / whole) for name, time in rows[:SHOWN]]


def main() -> None:
    """Measure and print."""
    args = common.arguments(__doc__).parse_args()
    torch.set_num_threads(args.threads)
    common.head(
        f"train; oneDNN up to {os.environ.get('ONEDNN_MAX_CPU_ISA', 'what is there')}", args
    )
    for name, config in NETWORKS.items():
        steps = {
            f"batch {batch}, {order}": step_of(config, batch, form)
            for batch in BATCHES
            for order, form in ORDERS.items()
        }
        seconds: Dict[str, List[float]] = common.interleaved(steps, args)
        for what, values in seconds.items():
            words = int(what.split(",")[0].split()[1])
            print(f"{name}, {what}: {statistics.median(values) / words * 1000:.2f} ms a word")
        for batch in BATCHES:
            slow, quick = (seconds[f"batch {batch}, {order}"] for order in ORDERS)
            common.show_ratio(f"{name}, batch {batch}: innermost / outermost", slow, quick)
        for operator, share in shares(steps[f"batch {BATCHES[-1]}, innermost"]):
            print(f"  {share:6.1%} {operator}")


if __name__ == "__main__":
    common.run(main)
