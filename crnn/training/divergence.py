"""Ends a run whose loss or weights are lost, before anything is saved of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Iterable, Optional

import numpy as np
import torch

from crnn.errors import CheckError


class Divergence:
    """Compares a run's loss with its first one."""

    def __init__(self, factor: float, guess: float) -> None:
        """Begin without a first loss.

        Args:
            factor: how many times the first loss is too much.
            guess: the loss of a network that guesses. A run that begins from trained weights has a
                smaller first loss; it may reach that of a guess.
        """
        self.first_loss: Optional[float] = None
        self._factor = factor
        self._guess = guess

    def require_sound(
        self, loss: float, weights: Iterable[torch.Tensor], step: int, saved: Optional[Path]
    ) -> None:
        """Refuse to go on from a loss or from weights that are lost.

        Args:
            loss: the mean loss of the last steps.
            weights: the network's.
            step: the number of steps done.
            saved: the last checkpoint, None where none was written.

        Raises:
            CheckError: the loss is too high or not finite, or a weight is not finite.
        """
        finite = bool(np.isfinite(loss)) and _all_finite(weights)
        if self.first_loss is None and finite:
            self.first_loss = loss
        limit = self._factor * max(self.first_loss or 0.0, self._guess)
        if finite and loss <= limit:
            return
        told = "no checkpoint was written before"
        if saved is not None:
            told = f"the last good checkpoint is {saved}"
        raise CheckError(
            f"the training diverged by step {step}: {_reason(loss, limit, finite)}; {told}",
            hint=(
                "Try a lower learning_rate, a longer warmup, clip_norm=5, or precision=bfloat16 in"
                " the place of float16."
            ),
        )


def guessed_loss(classes: int, characters: float) -> float:
    """Return the loss of a network that guesses.

    Args:
        classes: the number of the network's classes.
        characters: how many characters' losses the run's loss adds up.

    Returns:
        The loss, in nats.
    """
    return math.log(classes) * characters


def _all_finite(weights: Iterable[torch.Tensor]) -> bool:
    return all(bool(torch.isfinite(weight).all()) for weight in weights)


def _reason(loss: float, limit: float, finite: bool) -> str:
    if not np.isfinite(loss):
        return f"the loss is {loss}"
    if not finite:
        return "there are weights that are not finite"
    return f"the loss is {loss:.4g}, above {limit:.4g}"
