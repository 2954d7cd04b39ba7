"""train: the trainer against a bare loop on the same words, and two processes of one thread against
one.

python benchmarks/training.py --batch 32 --steps 20 --runs 5
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator, List, Tuple

import common
import torch

from crnn.training.data import Batches, Plans, load
from crnn.training.loop import Console, Trainer, TrainOptions
from crnn.training.recipe import Recipe, load_recipe
from crnn.training.world import World

WANTED_TRAINER, WANTED_PAIR = 0.95, 1.7


@contextlib.contextmanager
def silent(label: str, total: object) -> Iterator[object]:
    """Show no progress."""
    yield lambda count: None


def make_trainer(recipe: Recipe, steps: int) -> Trainer:
    """Open a run of the recipe that keeps nothing."""
    voice = Console(lambda line: None, lambda line: None, silent)
    options = TrainOptions(Path(tempfile.gettempdir()), max_steps=steps, performance=True)
    return Trainer(recipe, options, World(torch.device("cpu")), voice)


def clock() -> Tuple[float, float]:
    """Return the time, and the processor time of this process, which other programs disturb
    less.
    """
    return time.perf_counter(), time.process_time()


def since(start: Tuple[float, float]) -> Tuple[float, float]:
    """Return what has passed of both."""
    now = clock()
    return now[0] - start[0], now[1] - start[1]


def bare(trainer: Trainer, steps: int) -> Tuple[float, float]:
    """Return the seconds of forward, loss, backward and step alone, on tensors that are there
    already.
    """
    learner = trainer.learner
    plans = Plans(trainer.mixture, trainer.recipe.batch_size, 0, 1, 0, steps)
    batches = [
        (learner.table[batch.images.long()], batch.targets, batch.lengths)
        for batch in load(Batches(trainer.mixture, trainer.labels), plans, workers=0, pin=False)
    ]
    model, optimizer = learner.model, learner.optimizer
    start = clock()
    for images, targets, lengths in batches:
        optimizer.zero_grad(set_to_none=True)
        learner.loss(model(images), targets, lengths).backward()
        optimizer.step()
    return since(start)


def whole(trainer: Trainer) -> Tuple[float, float]:
    """Return the seconds of the trainer's own run of the same steps, its reading and reporting
    included.
    """
    start = clock()
    trainer.run()
    return since(start)


def rate(pairs: List[str], processes: int, steps: int) -> float:
    """Return the words a second that so many processes of one thread train."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(processes),
    }
    environment.update(OMP_NUM_THREADS="1", PYTHONPATH=str(common.ROOT))
    words = [
        sys.executable,
        "-m",
        "crnn",
        "train",
        "modelzoo-1p",
        *pairs,
        "threads=1",
        "--device",
        "cpu",
    ]
    running = [
        subprocess.Popen(
            [*words, "--performance", "--max-steps", str(steps)],
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for rank in range(processes)
    ]
    out, *_ = (process.communicate()[0] for process in running)
    found = re.search(r"FPS@all ([\d.]+)", out)
    assert found, out
    return float(found[1])


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__, runs=5)
    parser.add_argument("--batch", type=int, default=32, help="words a step (default 32)")
    parser.add_argument("--steps", type=int, default=20, help="steps a run (default 20)")
    parser.add_argument("--alone", action="store_true", help="leave out the two processes")
    args = parser.parse_args()
    common.head("train", args)
    pairs = [f"train={args.data}", "valid=[]", "precision=float32", f"batch_size={args.batch}"]
    pairs += ["length=1000 epochs", "log_every=10"]
    recipe = load_recipe("modelzoo-1p", [*pairs, f"threads={args.threads}"])

    seconds: List[List[Tuple[float, float]]] = [[], []]
    bare(make_trainer(recipe, 3), 3)
    for run in range(args.runs):
        trainers = [make_trainer(recipe, args.steps) for _ in range(2)]
        contenders = [
            lambda: bare(trainers[0], args.steps),  # noqa: B023
            lambda: whole(trainers[1]),  # noqa: B023
        ]
        for index in (0, 1) if run % 2 else (1, 0):
            seconds[index].append(contenders[index]())
    words = args.batch * args.steps
    wall, processor = ([[pair[index] for pair in mine] for mine in seconds] for index in (0, 1))
    common.show_rates({"bare loop": wall[0], "trainer": wall[1]}, words)
    common.show_ratio(
        "the trainer's rate over the bare loop's", *wall, wanted=f"at least {WANTED_TRAINER}"
    )
    common.show_ratio("the same in processor time", *processor)

    if args.alone:
        return
    # The first ten steps are not timed.
    rates = [
        (rate(pairs, 1, args.steps + 10), rate(pairs, 2, args.steps + 10)) for _ in range(args.runs)
    ]
    one, two = ([pair[index] for pair in rates] for index in (0, 1))
    common.show_ratio("two processes of one thread over one", two, one, f"at least {WANTED_PAIR}")


if __name__ == "__main__":
    common.run(main)
