"""A Benchmark as a picture: throughput and latency over the batch size."""

from __future__ import annotations

from pathlib import Path

from crnn.errors import needs
from crnn.files import atomic_file
from crnn.reports.bench import SIMULATED, simulated, title
from crnn.results import Benchmark, ModelTiming

FIRST = "data"
LINES = {FIRST: "from the data", "transfers": "with transfers"}
"""The throughputs that are drawn; of several models the first alone."""


def draw(benchmark: Benchmark, path: Path) -> None:
    """Write a PNG; one colour for each model, which the legend names.

    Args:
        benchmark: What to draw.
        path: The file to write.

    Raises:
        UnavailableError: matplotlib is missing.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), layout="constrained")
    speed, latency = figure.subplots(1, 2)
    several = len(benchmark.runs) > 1
    for number, run in enumerate(benchmark.runs):
        sizes = [timing.batch for timing in run.batches]
        for style, (name, label) in zip(("-", "--"), LINES.items()):
            if several and name != FIRST:
                continue
            values = [timing.throughput[name] for timing in run.batches]
            color = f"C{number}o"
            speed.plot(sizes, values, color, linestyle=style, label=_named(run, label, several))
        usual, slow = ([timing.latency[q] for timing in run.batches] for q in ("p50", "p99"))
        latency.plot(sizes, usual, f"C{number}o-", label=_named(run, "p50, up to p99", several))
        latency.fill_between(sizes, usual, slow, color=f"C{number}", alpha=0.15)
    for axes, what in ((speed, "words a second"), (latency, "milliseconds a batch, all stages")):
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xlabel("batch")
        axes.set_ylabel(what)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12))
    if simulated(benchmark):
        figure.suptitle(SIMULATED)
    else:
        figure.suptitle(f"{title(benchmark.runs[0])}; {benchmark.machine['processor']}")
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _named(run: ModelTiming, what: str, several: bool) -> str:
    if several:
        return f"{run.run.model.path.name}: {what}"
    return what


def require_matplotlib() -> None:
    """Raise `UnavailableError` where matplotlib is missing."""
    with needs("matplotlib", extra="plot"):
        import matplotlib.figure  # noqa: F401
