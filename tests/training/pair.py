"""Two processes that train every recipe in turn:

whole, in two parts, and once more for what only they do. The second is forked off the first, so
that PyTorch is imported once; what it says is in the folder's file "second".
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import List

import torch

from crnn.presets import CrnnConfig
from crnn.training.precision import choose_together
from crnn.training.world import open_world
from tests.training.runs import DECIDED, OWN, SHORT, train


def main() -> None:
    folder, tiny = Path(sys.argv[1]), sys.argv[2:]
    with open_world("cpu") as world:
        for name in OWN:
            words = [*tiny, *SHORT, *DECIDED.get(name, []), "length=2 epochs"]
            train(name, folder / name / "whole", *words)
            train(name, folder / name / "parts", *words, "--max-steps", "3")
            train(name, folder / name / "parts", *words, "--resume")
        # The first process decides for both: the other asks for something else, and is not heard.
        asked = ("bfloat16", "float32")[world.rank]
        tiny_network = CrnnConfig(channels=(2, 2, 2, 2, 2, 2, 2), hidden=2)
        choice = choose_together(asked, None, tiny_network, 2, world)
        assert choice.precision == "bfloat16"
        assert world.first or not choice.line
        tensor = torch.full((2, 3), float(world.rank))
        world.average([tensor])
        assert torch.equal(tensor, torch.full((2, 3), 0.5))
        assert world.sum([1.0, world.rank]) == [2.0, 1.0]
        world.wait()
        # What a started run holds of the other process, it lets go of when it ends in an error.
        with contextlib.redirect_stderr(io.StringIO()) as told:
            words = [*tiny, *SHORT, "learning_rate=1e6", "precision=float32"]
            train(OWN[0], folder / "lost", *words, code=3)
        assert "the training diverged" in told.getvalue()


def thread_names() -> List[str]:
    """The names of this process's threads, those of PyTorch's own among them."""
    return [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]


def become_two(folder: Path) -> int:
    """Fork; return the second process's number in the first, and 0 in the second."""
    # No optimizer yet: the first one imports PyTorch's compiler, and it matters what was before.
    child = os.fork()
    rank = "0"
    if not child:
        rank = "1"
        told = os.open(str(folder / "second"), os.O_WRONLY | os.O_CREAT)
        os.dup2(told, 1)
        os.dup2(told, 2)
    os.environ.update(RANK=rank, LOCAL_RANK=rank)
    return child


if __name__ == "__main__":
    second = become_two(Path(sys.argv[1]))
    main()
    # A group that outlives its world would keep its threads into the interpreter's end, and one of
    # them could take the finished process down ("terminate called without an active exception").
    left = [name for name in thread_names() if "gloo" in name]
    assert not left, left
    if second:
        _, ended = os.waitpid(second, 0)
        assert ended == 0, ended
