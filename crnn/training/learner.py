"""The network of a run with all that changes its weights, and one step of training."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, ContextManager, Dict, Mapping, Optional

import numpy as np
import torch
from torch import nn

from crnn.errors import InputError
from crnn.network import CRNN
from crnn.presets import CrnnConfig
from crnn.spec import ModelSpec
from crnn.training.augment import light
from crnn.training.checkpoints import TRAINING_KEY
from crnn.training.data import TrainBatch
from crnn.training.model import CtcLoss, build_model
from crnn.training.optim import Ema, Scaler, learning_rates, make_optimizer
from crnn.training.precision import CHANNELS_LAST, autocast
from crnn.training.recipe import Recipe
from crnn.training.state import fits
from crnn.training.world import World


class Learner:
    """A network, its loss, its optimiser, and the average of its weights where there is one."""

    def __init__(
        self,
        recipe: Recipe,
        spec: ModelSpec,
        config: CrnnConfig,
        world: World,
        *,
        steps_per_epoch: int,
        steps: int,
    ) -> None:
        """Make the network with its first weights; `connect` is called before the first step.

        Args:
            recipe: the run's, its precision decided.
            spec: how images are prepared and classes are read.
            config: the network's sizes.
            world: this process's device and its place among the others.
            steps_per_epoch: of the run.
            steps: of the whole run, for the schedule of learning rates.
        """
        self._recipe = recipe
        self._world = world
        model, self.notes = build_model(recipe, config)
        """What a person should know of the first weights."""
        self.model = model.to(world.device)
        if world.device.type in CHANNELS_LAST:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # is not in its overloads
        self.optimizer = make_optimizer(recipe, self.model.parameters())
        self.scaler = Scaler(recipe, world.device)
        self.ema: Optional[Ema] = None
        if recipe.ema is not None:
            self.ema = Ema(self.model, recipe.ema)
        self.rate = learning_rates(recipe, steps_per_epoch, steps)
        self.loss = CtcLoss(
            spec.alphabet.blank, recipe.ctc_reduction, zero_infinity=recipe.zero_infinity
        )
        self.table = torch.from_numpy(spec.table).to(world.device)

    @property
    def model_to_use(self) -> CRNN:
        """The network that is evaluated and saved: the averaged one where there is one."""
        if self.ema is None:
            return self.model
        averaged: CRNN = self.ema.model
        return averaged

    def connect(self) -> None:
        """Tie the network to the other processes' and compile it, after its weights are set."""
        network: Any = self.model
        if self._world.size > 1:
            if self._world.device.type == "cpu":
                devices = None
            else:
                devices = [self._world.device]
            # A view saves a copy of all gradients a step: a tenth of it on two cores.
            network = nn.parallel.DistributedDataParallel(
                network, device_ids=devices, gradient_as_bucket_view=True
            )
        self._ddp = network
        self._network = network
        if self._recipe.compile:
            self._network = torch.compile(network)

    def disconnect(self) -> None:
        """Let go of the other processes, so that their group ends where the world is left, whatever
        an error's frames still hold of this run.
        """
        self._ddp = self._network = self.model

    def step(self, step: int, batch: TrainBatch) -> torch.Tensor:
        """Do one step.

        Args:
            step: its number, from 0.
            batch: its words.

        Returns:
            The loss, a scalar still on the device.
        """
        device, recipe = self._world.device, self._recipe
        # What is random in a step depends on its number alone, so there is no random state to
        # restore.
        torch.manual_seed(_seed(recipe.seed, step, self._world.rank))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)
        images = self.table[batch.images.to(device, non_blocking=True).long()]
        if recipe.augment == "light":
            images = light(images)
        self.optimizer.zero_grad(set_to_none=True)
        with self._gradients():
            with autocast(device, recipe.precision):
                logits = self._network(images)
            targets = batch.targets.to(device, non_blocking=True)
            loss = self.loss(logits, targets, batch.lengths)
            self.scaler.inner.scale(loss).backward()
        self._clip()
        self.scaler.inner.step(self.optimizer)
        self.scaler.update()
        if self.ema:
            self.ema.update(self.model, step + 1)
        return loss

    def restore(self, path: Path, content: Mapping[str, Any]) -> None:
        """Take up the state of a run.

        Args:
            path: the checkpoint, for messages.
            content: what it holds.

        Raises:
            InputError: it is of another network or optimiser.
        """
        training = content[TRAINING_KEY]
        options = [_options(group) for group in self.optimizer.param_groups]
        try:
            self.model.load_state_dict(training.get("raw", content["state_dict"]))
            self.optimizer.load_state_dict(content["optimizer"])
            if self.ema:
                self.ema.model.load_state_dict(content["state_dict"])
            self.scaler.inner.load_state_dict(training["scaler"])
            fit = fits(self.optimizer)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise InputError(
                f"{path} is of another network or optimiser than the recipe's: {error}"
            ) from error
        if not fit:
            raise InputError(
                f"{path}: the averages of its optimiser have not the shapes of its weights"
            )
        # The file's are those of its recipe; this one's may differ.
        for group, own in zip(self.optimizer.param_groups, options):
            group.update(own)

    def _gradients(self) -> ContextManager[Any]:
        """Return the context of a backward pass: without the mean over processes where the
        gradients are clipped before it.
        """
        if self._recipe.clip_before_reduce and self._world.size > 1:
            apart: ContextManager[Any] = self._ddp.no_sync()
            return apart
        return contextlib.nullcontext()

    def _clip(self) -> None:
        limit, parameters = self._recipe.clip_norm, list(self.model.parameters())
        if limit is None:
            return
        scaler = self.scaler.inner
        if self._recipe.clip_before_reduce:
            # Scaled gradients have a scaled norm. One that is infinite makes all processes' means
            # so, and all skip.
            nn.utils.clip_grad_norm_(parameters, limit * scaler.get_scale())
            self._world.average([weight.grad for weight in parameters if weight.grad is not None])
        else:
            scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(parameters, limit)


def _options(group: Mapping[str, Any]) -> Dict[str, Any]:
    return {key: group[key] for key in group if key != "params"}


def _seed(seed: int, step: int, rank: int) -> int:
    sequence = np.random.SeedSequence([seed, step, rank])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
