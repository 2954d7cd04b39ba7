"""Optimisers, learning rates and the average of weights."""

from __future__ import annotations

import copy
import math
from typing import Any, Callable, Dict, Iterable, List

import torch
from torch import nn

from crnn.network import CRNN
from crnn.training.recipe import Recipe


def make_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the recipe's optimiser. Momentum is SGD with a momentum, as PyTorch has it."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    epsilon: Dict[str, Any] = {} if recipe.epsilon is None else {"eps": recipe.epsilon}
    if recipe.optimizer == "adadelta":
        return torch.optim.Adadelta(
            parameters, lr=rate, rho=recipe.rho, weight_decay=decay, **epsilon
        )
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(
            parameters, lr=rate, betas=recipe.betas, weight_decay=decay, **epsilon
        )
    return torch.optim.SGD(
        parameters, lr=rate, momentum=recipe.momentum, nesterov=recipe.nesterov, weight_decay=decay
    )


def learning_rates(recipe: Recipe, steps_per_epoch: int, steps: int) -> Callable[[int], float]:
    """Return the learning rate as a function of the number of steps done.

    It rises from 0 over the warm-up, which stands in the place of the schedule's first steps. The
    cosine and the polynomial fall over ``schedule_length``, the run's length where None; by the
    epoch they keep their value through each. Nothing of it needs to be saved.
    """
    if recipe.schedule_length:
        whole = recipe.schedule_length.steps(steps_per_epoch)
    else:
        whole = steps
    warmup = recipe.warmup.steps(steps_per_epoch)
    top, end = recipe.learning_rate, recipe.final_learning_rate

    def rate(step: int) -> float:
        if step < warmup:
            return top * step / warmup
        if recipe.schedule_unit == "epoch":
            step -= step % steps_per_epoch
        done = min(1.0, step / whole)
        if recipe.schedule == "cosine":
            return end + (top - end) * 0.5 * (1 + math.cos(math.pi * done))
        if recipe.schedule == "polynomial":
            return float(end + (top - end) * (1 - done) ** recipe.power)
        return top

    return rate


class Ema:
    """An exponential moving average of a network's weights, which starts short and lengthens to
    ``decay``.

    Buffers (BatchNorm's statistics) are copied: they are averages already.
    """

    def __init__(self, model: CRNN, decay: float) -> None:
        self.model = copy.deepcopy(model).eval()
        self._decay = decay
        self._averaged: List[torch.Tensor] = list(self.model.parameters())
        self._copied: List[torch.Tensor] = list(self.model.buffers())

    @torch.no_grad()
    def update(self, model: CRNN, steps: int) -> None:
        """Take in the weights after so many steps."""
        share = 1 - min(self._decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(
            self._averaged, [weight.detach() for weight in model.parameters()], share
        )
        for mine, theirs in zip(self._copied, model.buffers()):
            mine.copy_(theirs)


class Scaler:
    """A loss scale for float16:

    PyTorch's, dynamic or held at one value; no scale at all for other precisions.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        if recipe.loss_scale == "dynamic":
            self._fixed = None
        else:
            self._fixed = float(recipe.loss_scale)
        enabled = recipe.precision == "float16"
        options: Dict[str, Any] = {
            "init_scale": recipe.loss_scale_start if self._fixed is None else self._fixed,
            "growth_interval": recipe.loss_scale_interval,
            "enabled": enabled,
        }
        self.inner: Any
        if hasattr(torch.amp, "GradScaler"):
            self.inner = torch.amp.GradScaler(device.type, **options)
        else:
            # Before PyTorch 2.3 there was one for CUDA alone; on the CPU it warned and scaled
            # nothing, as it does when it is told so.
            options["enabled"] = enabled and device.type != "cpu"
            self.inner = torch.cuda.amp.GradScaler(**options)

    def update(self) -> None:
        """Set the scale for the next step."""
        if self.inner.is_enabled():
            self.inner.update(self._fixed)
