"""``crnn train``, in one process or in several that torchrun starts."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Iterator, Optional, Tuple

from crnn import dialects
from crnn.cli import console
from crnn.cli.arguments import natural, positive
from crnn.signals import too_late

HELP = "Train a network by a recipe."
EXAMPLE = """  crnn train modelzoo-1p data_path=/data length="2 epochs" --device cuda
  crnn train my.yaml "train=[mj_lmdb, st_lmdb]" valid=c_lmdb --out r
  crnn train my.yaml "train=[mj_lmdb, st_lmdb]" valid=c_lmdb --out r --resume
  torchrun --nproc_per_node=2 -m crnn train my.yaml --devices 2,3"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "recipe", metavar="RECIPE", help="a YAML file, or the name of one of the kit's own recipes"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="keys of the recipe, in YAML: seed=7"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="the run's folder (default: runs/NAME of the recipe)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from last.pth in the run's folder"
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:N, npu or npu:N (default auto)"
    )
    parser.add_argument(
        "--devices", type=_numbers, metavar="N,N", help="the devices that torchrun's processes take"
    )
    parser.add_argument("--seed", type=natural, metavar="N", help="the same as seed=N")
    parser.add_argument(
        "--log-style",
        choices=("plain", "modelzoo", "mindspore", "tensorflow"),
        help="whose log lines",
    )
    parser.add_argument(
        "--max-steps", type=positive, metavar="N", help="interrupt after step N; --resume goes on"
    )
    parser.add_argument(
        "--profile",
        type=_window,
        metavar="A:B",
        help="record the steps after the Ath, to the Bth, into profile.json",
    )
    parser.add_argument(
        "--performance", action="store_true", help="time a few steps and keep nothing"
    )
    parser.add_argument(
        "--show", action="store_true", help="print the recipe with all its keys, and end"
    )


def run(args: argparse.Namespace) -> int:
    """Train, and say where the weights are."""
    from crnn.training.recipe import find_recipe, load_recipe

    pairs = list(args.overrides)
    pairs += [f"seed={args.seed}"] if args.seed is not None else []
    pairs += [f"log_style={args.log_style}"] if args.log_style else []
    recipe = load_recipe(args.recipe, pairs, console.note)
    if args.show:
        console.out_text(recipe.to_yaml().rstrip())
        return 0

    from crnn.training.loop import Console, Trainer, TrainOptions
    from crnn.training.world import is_first, open_world

    folder = args.out or Path("runs") / find_recipe(args.recipe).stem
    options = TrainOptions(folder, args.resume, args.max_steps, args.profile, args.performance)
    speaking = is_first()
    # Lines of other systems are for who parses theirs.
    say = console.say if recipe.log_style == "plain" else console.out
    voice = Console(
        say if speaking else _silent,
        console.note if speaking else _silent,
        console.progress if speaking else _no_progress,
    )
    with open_world(dialects.device(args.device), args.devices) as world:
        outcome = Trainer(recipe, options, world, voice).run()
    if outcome.signal:
        voice.note(f"stopped after step {outcome.step}; go on with the same command and --resume")
        return 128 + outcome.signal
    if outcome.late:
        voice.note(too_late(outcome.late))
    if not args.performance:
        if outcome.best is None:
            best = ""
        else:
            best = f"; the best is best.pth, accuracy {outcome.best:.4f}"
        voice.say(f"{folder}: {outcome.step} steps, last.pth{best}")
    return 0


def _numbers(text: str) -> Tuple[int, ...]:
    return tuple(natural(part) for part in text.split(","))


def _window(text: str) -> Tuple[int, int]:
    first, _, end = text.partition(":")
    with contextlib.suppress(argparse.ArgumentTypeError):
        if natural(first) < natural(end):
            return natural(first), natural(end)
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a window of steps; expected A:B with A below B, such as 10:20"
    )


def _silent(text: str) -> None:
    """Say nothing: another process does."""


@contextlib.contextmanager
def _no_progress(label: str, total: Optional[int]) -> Iterator[console.Advance]:
    yield lambda count: None
