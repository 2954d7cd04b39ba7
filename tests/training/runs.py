"""Runs of the trainer as tests start them, and what they leave."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import torch

from crnn.cli.main import main
from crnn.training.recipe import FOLDER, load_recipe

# Those left out differ from their base in what a test overrides: the number of epochs or the batch;
# quick, in the weights that it begins with, is tests/test_own_words.py's.
OWN = sorted(
    {path.stem for path in FOLDER.glob("*.yaml")}
    - {"modelzoo-8p", "modelzoo-8p-script", "mindspore-v2-config", "mindspore-v1-config", "quick"}
)
# Their warm-ups are longer than a test, and so are their intervals and the search for a loss scale.
SHORT = [
    "length=3 epochs",
    "warmup=2 steps",
    "loss_scale_start=1024",
    "log_every=1",
    "save_every=4 steps",
]
# Where a machine measures what "auto" is, two runs may measure differently.
DECIDED = {"synthetic": ["precision=bfloat16"]}
# PyTorch has it on the CPU since 2.3, as it has the class that scales the loss there.
CPU_FLOAT16 = hasattr(torch.amp, "GradScaler")
if not CPU_FLOAT16:
    HALF = [name for name in OWN if load_recipe(name).precision == "float16"]
    DECIDED.update((name, ["precision=float32"]) for name in HALF)
SHORT += ["evaluate_from=0 steps", "evaluate_every=1 epoch"]


def train(recipe: str, out: Path, *words: str, code: int = 0) -> Path:
    """Run ``crnn train`` in this process and return the run's folder."""
    assert main(["train", recipe, "--out", str(out), "--device", "cpu", *words]) == code
    return out


def saved(path: Path) -> Dict[str, Any]:
    """Return a checkpoint's content."""
    content: Dict[str, Any] = torch.load(path, weights_only=True)
    return content


def same(first: Any, second: Any) -> bool:
    """Compare two nested structures bit by bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def metrics(folder: Path, event: str = "train") -> List[Dict[str, Any]]:
    """Return the lines of one kind of a run's metrics."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def lines_in(path: Path) -> int:
    """Return how many whole lines a file has that another process writes."""
    if not path.exists():
        return 0
    return path.read_text(encoding="utf-8").count("\n")


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does, for a minute."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("nothing happened in a minute")
