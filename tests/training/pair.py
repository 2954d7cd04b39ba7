"""One of two processes that train every recipe in turn:

whole, in two parts, and once more for what only they do.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from crnn.training.world import open_world
from tests.training.runs import OWN, SHORT, train


def main() -> None:
    folder, tiny = Path(sys.argv[1]), sys.argv[2:]
    with open_world("cpu") as world:
        for name in OWN:
            train(name, folder / name / "whole", *tiny, *SHORT)
            train(name, folder / name / "parts", *tiny, *SHORT, "--max-steps", "3")
            train(name, folder / name / "parts", *tiny, *SHORT, "--resume")
        tensor = torch.full((2, 3), float(world.rank))
        world.average([tensor])
        assert torch.equal(tensor, torch.full((2, 3), 0.5))
        assert world.sum([1.0, world.rank]) == [2.0, 1.0]
        world.wait()


if __name__ == "__main__":
    main()
