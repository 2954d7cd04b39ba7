"""Reading each word at the width of its aspect, against one width for all: accuracy and speed.

crnn export examples/crnn_small.pth crnn.onnx --widths 80,100,128,160,200
python benchmarks/widths.py crnn.onnx --data words_lmdb --threads 1

The model has a free width. Speed is processor time, so that other programs count little: words a
second times the mean width, the rule's over the fixed width's.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import common

from crnn.cli import console
from crnn.jobs.evaluate import EvaluateOutcome, EvaluateRequest, evaluate
from crnn.metrics import paired_test

SETS: Dict[str, Optional[Tuple[int, ...]]] = {
    "fixed": None,
    "80, 100, 128, 160, 200": (80, 100, 128, 160, 200),
    "80, 128, 200": (80, 128, 200),
}
LONG = 9
"""Labels of so many characters and more are one row of the table by length."""


def request_of(args: object, widths: Optional[Sequence[int]], readings: Path) -> EvaluateRequest:
    """Return the evaluation of one set of widths; None for the fixed width."""
    model, data, batch, threads = args.model, args.data, args.batch, args.threads
    if widths is None:
        return EvaluateRequest(
            model, data, batch=batch, threads=threads, readings=readings, width_rule="off"
        )
    spec = json.dumps({"widths": list(widths)})
    return EvaluateRequest(model, data, batch=batch, threads=threads, readings=readings, spec=spec)


def measured(args: object, name: str, folder: Path) -> Tuple[float, EvaluateOutcome, List[dict]]:
    """Evaluate and return the processor seconds, the result and the readings."""
    readings = folder / "readings.jsonl"
    start = time.process_time()
    outcome = evaluate(request_of(args, SETS[name], readings), console.progress)
    seconds = time.process_time() - start
    lines = [json.loads(line) for line in readings.read_text("utf-8").splitlines()]
    return seconds, outcome, lines


def rights(lines: Sequence[dict]) -> List[bool]:
    """Return for each labelled word whether it was read right."""
    return [line["text"] == line["label"].lower() for line in lines]


def compare(name: str, fixed: Sequence[bool], other: Sequence[bool]) -> None:
    """Print accuracy and McNemar's test of the odd-numbered, the even-numbered and all words."""
    for part, start, step in (("all", 0, 1), ("odd", 0, 2), ("even", 1, 2)):
        pairs = list(zip(fixed, other))[start::step]
        lost = sum(before and not after for before, after in pairs)
        gained = sum(after and not before for before, after in pairs)
        test = paired_test(lost, gained, len(pairs))
        before = sum(first for first, _ in pairs) / len(pairs)
        after = sum(second for _, second in pairs) / len(pairs)
        print(
            f"{name}: {part} {len(pairs)} words  {before:.4f} -> {after:.4f}"
            f"  lost {lost}, gained {gained}, McNemar p = {test.p_value:.2g}"
        )


def by_length(lines: Sequence[dict], found: Dict[str, List[bool]]) -> None:
    """Print the accuracy by the label's length."""
    for length in range(1, LONG + 1):
        rows = [row for row, line in enumerate(lines) if min(LONG, len(line["label"])) == length]
        if not rows:
            continue
        shares = [
            f"{name}: {sum(right[row] for row in rows) / len(rows):.3f}"
            for name, right in found.items()
        ]
        print(f"length {length}{'+' * (length == LONG)} ({len(rows)} words)  {'; '.join(shares)}")


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__, runs=5)
    parser.add_argument("model", type=Path, help="an ONNX of free width")
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    common.head("widths", args)
    seconds: Dict[str, List[float]] = {name: [] for name in SETS}
    lines: Dict[str, List[dict]] = {}
    with tempfile.TemporaryDirectory() as folder:
        names = list(SETS)
        for name in names:
            measured(args, name, Path(folder))
        for run in range(args.runs):
            turn = run % len(names)
            for name in names[turn:] + names[:turn]:
                spent, _, lines[name] = measured(args, name, Path(folder))
                seconds[name].append(spent)
    found = {name: rights(lines[name]) for name in SETS}
    fixed_width = common.SPEC.width
    for name in names[1:]:
        compare(name, found["fixed"], found[name])
        mean = sum(line["width"] for line in lines[name]) / len(lines[name])
        print(f"{name}: mean width {mean:.1f}")
        scaled = [value * fixed_width / mean for value in seconds[name]]
        common.show_ratio(
            f"{name}: words/s x width / fixed", seconds["fixed"], scaled, "at least 0.92"
        )
    by_length(lines["fixed"], found)
    common.show_rates(seconds, len(lines["fixed"]), "words a processor second")


if __name__ == "__main__":
    common.run(main)
