"""Measures the loss and the speed of a run's steps."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping

import torch

from crnn.training.report import Pace
from crnn.training.world import World


@dataclass
class Meter:
    """Sums since it was reset; the loss stays on the device until it is asked for.

    ``carried`` are steps of an earlier start of the run, whose losses are in the sum.
    """

    loss: Any = 0.0
    steps: int = 0
    carried: int = 0
    words: int = 0
    data_seconds: float = 0.0
    start: float = field(default_factory=time.perf_counter)

    def add(self, loss: torch.Tensor, words: int, data_seconds: float) -> None:
        """Count a step.

        Args:
            loss: its loss, a scalar on the run's device.
            words: the words of its batch in this process.
            data_seconds: how long it waited for them.
        """
        self.loss = self.loss + loss.detach()
        self.steps += 1
        self.words += words
        self.data_seconds += data_seconds

    def sums(self, world: World) -> Dict[str, Any]:
        """Return what the run's next start goes on from; this waits for the device.

        Args:
            world: this process's place among the others, all of which ask at the same step.

        Returns:
            The sum of all processes' losses, and the steps that it is over.
        """
        return {"loss": world.sum([float(self.loss)])[0], "steps": self.steps + self.carried}

    def pace(self, world: World) -> Pace:
        """Return the means over all processes; this waits for the device.

        Args:
            world: this process's place among the others, all of which ask at the same step.

        Returns:
            The means over the steps counted.
        """
        loss, words = world.sum([float(self.loss), self.words])
        seconds = time.perf_counter() - self.start
        steps = max(1, self.steps)
        return Pace(
            loss / world.size / max(1, self.steps + self.carried),
            1000 * seconds / steps,
            1000 * self.data_seconds / steps,
            words / seconds,
        )


def resumed(sums: Mapping[str, Any], world: World) -> Meter:
    """Return a meter that goes on where an earlier start of the run left it.

    Args:
        sums: What `Meter.sums` gave; empty in files of earlier releases.
        world: this process's place among the others; the first takes the sum.

    Returns:
        The meter.
    """
    meter = Meter(carried=sums.get("steps", 0))
    if world.first:
        meter.loss = sums.get("loss", 0.0)
    return meter
