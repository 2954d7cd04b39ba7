"""One of two processes that train every recipe in turn:

whole, in two parts, and once more for what only they do.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from crnn.presets import CrnnConfig
from crnn.training.precision import choose_together
from crnn.training.world import open_world
from tests.training.runs import DECIDED, OWN, SHORT, train


def main() -> None:
    folder, tiny = Path(sys.argv[1]), sys.argv[2:]
    with open_world("cpu") as world:
        for name in OWN:
            words = [*tiny, *SHORT, *DECIDED.get(name, [])]
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


if __name__ == "__main__":
    main()
    # All is checked and closed. PyTorch's own threads are not waited for: taking them down at the
    # interpreter's end has ended a finished process in "terminate called without an active
    # exception", seldom. An error above still ends in its traceback and exit code.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
