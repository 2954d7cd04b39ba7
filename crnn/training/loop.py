"""The training loop.

A step is a function of the state and its number, so a run can stop anywhere and go on.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import (
    Any,
    Callable,
    ContextManager,
    Counter,
    Dict,
    Generator,
    Iterator,
    List,
    Optional,
    Tuple,
)

import numpy as np
import torch
from torch import nn

from crnn.errors import CheckError, InputError, UnavailableError, UsageError
from crnn.machine import usable_cpus
from crnn.training.augment import light
from crnn.training.checkpoints import (
    TRAINING_KEY,
    Checkpoints,
    Counters,
    checkpoint_name,
    content_of,
    read_state,
    restore_counters,
)
from crnn.training.data import (
    Batches,
    Plans,
    TrainBatch,
    describe,
    load,
    open_training_data,
    valid_sets,
)
from crnn.training.evaluate import Evaluator
from crnn.training.model import CtcLoss, build_model, spec_and_config
from crnn.training.optim import Ema, Scaler, learning_rates, make_optimizer
from crnn.training.precision import CHANNELS_LAST, autocast, choose_together
from crnn.training.recipe import Recipe, precision_of, unlike
from crnn.training.report import CURVES, Pace, Place, Report, plot_curves
from crnn.training.world import World

RECIPE = "recipe.yaml"
PROFILE = "profile.json"
PERFORMANCE_STEPS = 110
UNTIMED_STEPS = 10
"""Steps at the start of an epoch that its speed leaves out."""
AGREE_EVERY = 10
"""Steps after which several processes ask each other whether one was told to stop."""

Progress = Callable[[str, Optional[int]], ContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Options:
    """What concerns this run and not the recipe.

    ``resume`` goes on from the folder's ``last.pth``. ``max_steps`` interrupts the run after that
    step. ``profile`` records the steps from the first number to before the second. ``performance``
    measures the speed of a few steps and keeps nothing.
    """

    folder: Path
    resume: bool = False
    max_steps: Optional[int] = None
    profile: Optional[Tuple[int, int]] = None
    performance: bool = False


@dataclass(frozen=True)
class Console:
    """Where a run speaks: ``say`` results, ``note`` the rest."""

    say: Callable[[str], None]
    note: Callable[[str], None]
    progress: Progress


@dataclass(frozen=True)
class Outcome:
    """How a run ended:

    steps done, the best accuracy (None where none was measured), and the signal that ended it.
    """

    step: int
    best: Optional[float]
    signal: int = 0


@dataclass
class Meter:
    """Sums since it was reset; the loss stays on the device until it is asked for."""

    loss: Any = 0.0
    steps: int = 0
    words: int = 0
    data_seconds: float = 0.0
    start: float = field(default_factory=time.perf_counter)

    def add(self, loss: torch.Tensor, words: int, data_seconds: float) -> None:
        """Count a step."""
        self.loss = self.loss + loss.detach()
        self.steps += 1
        self.words += words
        self.data_seconds += data_seconds

    def pace(self, world: World) -> Pace:
        """Return the means over all processes; this waits for the device."""
        loss, words = world.sum([float(self.loss), self.words])
        seconds = time.perf_counter() - self.start
        steps = max(1, self.steps)
        return Pace(
            loss / world.size / steps,
            1000 * seconds / steps,
            1000 * self.data_seconds / steps,
            words / seconds,
        )


class Stop:
    """Remembers Ctrl-C or SIGTERM until a step is done; the second one does not wait."""

    def __init__(self) -> None:
        self.number = 0

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the block runs."""
        before = {
            number: signal.signal(number, self._remember)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def agreed(self, step: int, world: World) -> bool:
        """Return whether to stop after this step, the same in all processes."""
        if world.size == 1:
            return bool(self.number)
        if step % AGREE_EVERY:
            return False
        told = world.sum([float(bool(self.number))])[0] > 0
        self.number = self.number or (signal.SIGTERM if told else 0)
        return told

    def _remember(self, number: int, frame: Optional[FrameType]) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number


class Trainer:
    """A run of a recipe in one of its processes: everything is opened here, and `run` trains."""

    def __init__(self, recipe: Recipe, options: Options, world: World, console: Console) -> None:
        self.recipe = recipe
        self.options = options
        self.world = world
        self.console = console
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        self.spec, config = spec_and_config(recipe)
        self.mixture, self.labels = open_training_data(recipe, self.spec)
        self.plans = Plans(self.mixture, recipe.batch_size, world.rank, world.size, 0, 0)
        self.steps = recipe.length.steps(self.plans.steps_per_epoch)
        self.end = min(self.steps, options.max_steps or self.steps)
        self.evaluators = [] if options.performance else self._evaluators()

        self.checkpoints = Checkpoints(options.folder, recipe.keep)
        self._state = self._state_to_resume()
        kept = None
        if self._state is not None:
            kept = precision_of(self._state[TRAINING_KEY]["recipe"])
        chosen = choose_together(recipe.precision, kept, config, recipe.batch_size, world)
        if chosen.line:
            console.note(chosen.line)
        # The files of a run hold the decision, so that it is taken once.
        recipe = dataclasses.replace(recipe, precision=chosen.precision)
        self.recipe = recipe

        self.model = build_model(recipe, config).to(world.device)
        if world.device.type in CHANNELS_LAST:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # is not in its overloads
        self.optimizer = make_optimizer(recipe, self.model.parameters())
        self.scaler = Scaler(recipe, world.device)
        self.ema = Ema(self.model, recipe.ema) if recipe.ema is not None else None
        self.rate = learning_rates(recipe, self.plans.steps_per_epoch, self.steps)
        self.loss = CtcLoss(
            self.spec.characters.blank, recipe.ctc_reduction, zero_infinity=recipe.zero_infinity
        )
        self.table = torch.from_numpy(self.spec.table).to(world.device)

        self.counters = Counters()
        self.first_loss: Optional[float] = None
        self.skipped: Counter[str] = collections.Counter()
        self._begin()
        self.network = self._shared()

    # The loop

    def run(self) -> Outcome:
        """Train to the end, or until a signal; leave ``last.pth`` to go on from.

        Raises `CheckError` on divergence.
        """
        stop = Stop()
        keeps = not self.options.performance
        folder = self.options.folder if self.world.first and keeps else None
        report = Report(
            self.recipe.log_style,
            folder,
            self.console.say,
            after=self.counters.step,
            board=self.recipe.tensorboard,
        )
        self._introduce()
        with contextlib.ExitStack() as stack:
            stack.callback(report.close)
            stack.enter_context(stop.listening())
            advance = stack.enter_context(self.console.progress("training", self.end))
            advance(self.counters.step)
            batches = stack.enter_context(contextlib.closing(self._batches()))
            self._train(batches, report, stop, advance)
        if keeps and self.world.first and self.recipe.plot and not stop.number:
            self._plot()
        self.world.wait()
        return Outcome(
            self.counters.step, self.counters.best if self.evaluators else None, stop.number
        )

    def _train(
        self,
        batches: Iterator[TrainBatch],
        report: Report,
        stop: Stop,
        advance: Callable[[int], None],
    ) -> None:
        recipe, keeps = self.recipe, not self.options.performance
        meter, epoch_meter, epoch_start = Meter(), Meter(), time.perf_counter()
        profiler = None
        for step in range(self.counters.step, self.end):
            profiler = self._profile(step, profiler)
            waiting = time.perf_counter()
            batch = next(batches)
            waited = time.perf_counter() - waiting
            loss = self.train_step(step, batch)
            self.counters.step = step + 1
            self.skipped.update(batch.skipped)
            for each in (meter, epoch_meter):
                each.add(loss, len(batch.lengths), waited)
            advance(1)

            at = Place(step + 1, self.steps, self.plans.steps_per_epoch)
            last, cut = at.step == self.steps, at.step == self.end
            stopping = stop.agreed(at.step, self.world)
            epoch_ends = at.place == at.steps_per_epoch
            saving = keeps and (last or self._due(recipe.save_every.steps(at.steps_per_epoch)))
            evaluating = self.evaluators and (last or self._evaluation_due())
            if (
                at.step % recipe.log_every == 0
                or epoch_ends
                or saving
                or evaluating
                or stopping
                or cut
            ):
                pace = meter.pace(self.world)
                self._require_sound(pace.loss)
                if at.step % recipe.log_every == 0 or cut:
                    report.step(at, pace, epoch_meter.pace(self.world), self.rate(step))
                    meter = Meter()
            if keeps and (epoch_ends or cut):
                if epoch_ends:
                    report.epoch(
                        at,
                        epoch_meter.pace(self.world),
                        time.perf_counter() - epoch_start,
                        self.skipped,
                    )
                epoch_meter, epoch_start = Meter(), time.perf_counter()
            elif cut:
                report.rate(epoch_meter.pace(self.world))
            elif (at.place if keeps else at.step) == UNTIMED_STEPS:
                epoch_meter = Meter()
            if evaluating:
                self._evaluate(report, at)
            if saving:
                self._save(at)
            elif keeps and (stopping or cut):
                self._save_last(at)
            if stopping:
                break
        self._profile(self.end, profiler, ended=True)

    def train_step(self, step: int, batch: TrainBatch) -> torch.Tensor:
        """Do one step and return its loss, still on the device."""
        device, recipe = self.world.device, self.recipe
        # What is random in a step depends on its number alone, so there is no random state to
        # restore.
        torch.manual_seed(_seed(recipe.seed, step, self.world.rank))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)
        images = self.table[batch.images.to(device, non_blocking=True).long()]
        if recipe.augment == "light":
            images = light(images)
        self.optimizer.zero_grad(set_to_none=True)
        with self._unshared() if recipe.clip_before_reduce else contextlib.nullcontext():
            with autocast(device, recipe.precision):
                logits = self.network(images)
            loss = self.loss(logits, batch.targets.to(device, non_blocking=True), batch.lengths)
            self.scaler.inner.scale(loss).backward()
        self._clip()
        self.scaler.inner.step(self.optimizer)
        self.scaler.update()
        if self.ema:
            self.ema.update(self.model, step + 1)
        return loss

    def _clip(self) -> None:
        limit, parameters = self.recipe.clip_norm, list(self.model.parameters())
        if limit is None:
            return
        scaler = self.scaler.inner
        if self.recipe.clip_before_reduce:
            # Scaled gradients have a scaled norm. One that is infinite makes all processes' means
            # so, and all skip.
            nn.utils.clip_grad_norm_(parameters, limit * scaler.get_scale())
            self.world.average([weight.grad for weight in parameters if weight.grad is not None])
        else:
            scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(parameters, limit)

    # Setting up

    def _begin(self) -> None:
        """Make the folder, or take up the run that stands in it."""
        folder, last = self.options.folder, self.checkpoints.last
        if self.options.performance:
            self.end = min(self.steps, self.options.max_steps or PERFORMANCE_STEPS)
        if self.options.profile and self.options.profile[0] >= self.end:
            raise UsageError(
                f"--profile begins at step {self.options.profile[0]}; the run ends at step"
                f" {self.end}"
            )
        if self.options.performance:
            return
        if self._state is not None:
            self._restore(last, self._state)
            self._state = None
        elif last.exists():
            raise UsageError(
                f"{folder} holds a run already",
                hint="Go on with it by --resume, or name another folder with --out.",
            )
        if self.world.first:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"the run's folder {folder} cannot be made: {error.strerror}"
                ) from error
            self.recipe.save(folder / RECIPE)
        self.world.wait()

    def _state_to_resume(self) -> Optional[Dict[str, Any]]:
        if not self.options.resume or self.options.performance:
            return None
        return read_state(self.checkpoints.last)

    def _restore(self, path: Path, content: Dict[str, Any]) -> None:
        training = content[TRAINING_KEY]
        if training["data"] != self._data_state():
            raise InputError(
                f"{path} was trained with {_told(training['data'])}; this run has"
                f" {_told(self._data_state())}",
                hint=(
                    "Going on needs the same data, batch_size and number of processes; to begin"
                    f" anew from its weights: start_from={path}"
                ),
            )
        changed = unlike(self.recipe, training["recipe"])
        if changed:
            raise InputError(
                f"{path} was trained with another {' and '.join(changed)} than this recipe's",
                hint=f"Going on needs the same; to begin anew from its weights: start_from={path}",
            )
        options = [
            {key: group[key] for key in group if key != "params"}
            for group in self.optimizer.param_groups
        ]
        try:
            self.model.load_state_dict(training.get("raw", content["state_dict"]))
            self.optimizer.load_state_dict(content["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"{path} is of another network or optimiser than the recipe's: {error}"
            ) from error
        # The file's are those of its recipe; this one's may differ.
        for group, own in zip(self.optimizer.param_groups, options):
            group.update(own)
        if self.ema:
            self.ema.model.load_state_dict(content["state_dict"])
        self.scaler.inner.load_state_dict(training["scaler"])
        self.counters = restore_counters(content)
        if self.counters.step > self.steps:
            raise UsageError(
                f"{path} has done {self.counters.step} steps; the recipe's length is {self.steps}"
            )
        self.first_loss = training["first_loss"]

    def _data_state(self) -> Dict[str, int]:
        return {
            "words an epoch": len(self.mixture),
            "words a step": self.recipe.batch_size * self.world.size,
        }

    def _shared(self) -> Any:
        """Return the network as it is called in training:

        compiled, and tied to the other processes'.
        """
        network: Any = self.model
        if self.world.size > 1:
            devices = None if self.world.device.type == "cpu" else [self.world.device]
            # A view saves a copy of all gradients a step: a tenth of it on two cores.
            network = nn.parallel.DistributedDataParallel(
                network, device_ids=devices, gradient_as_bucket_view=True
            )
        self._ddp = network
        return torch.compile(network) if self.recipe.compile else network

    def _unshared(self) -> ContextManager[Any]:
        no_sync: ContextManager[Any] = (
            self._ddp.no_sync() if self.world.size > 1 else contextlib.nullcontext()
        )
        return no_sync

    def _evaluators(self) -> List[Evaluator]:
        return [
            Evaluator(
                path,
                name,
                self.spec,
                self.world,
                batch=self.recipe.valid_batch_size,
                drop_oov=self.recipe.valid_oov == "drop",
                examples=self.recipe.examples,
            )
            for path, name in valid_sets(self.recipe)
        ]

    def _batches(self) -> Generator[TrainBatch, None, None]:
        recipe, world = self.recipe, self.world
        plans = Plans(
            self.mixture, recipe.batch_size, world.rank, world.size, self.counters.step, self.end
        )
        on_cpu = world.device.type == "cpu"
        # On a CPU the network wants the processors; beside a device there is nothing else for them
        # to do.
        workers = (
            (0 if on_cpu else max(1, min(8, usable_cpus() - 1)))
            if recipe.workers is None
            else recipe.workers
        )
        return load(
            Batches(self.mixture, self.labels),
            plans,
            workers=workers,
            pin=world.device.type == "cuda",
        )

    def _introduce(self) -> None:
        recipe, world, note = self.recipe, self.world, self.console.note
        parameters = sum(weight.numel() for weight in self.model.parameters())
        note(
            f"network {recipe.network}, {parameters} parameters, {self.spec.classes} classes,"
            f" {recipe.precision}"
        )
        for part in self.mixture.parts:
            left = f"; left out: {describe(part.words.skipped)}" if part.words.skipped else ""
            note(f"{part.words.name}: {len(part.words)} words, {part.count} an epoch{left}")
        note(
            f"{world.size} device{'s' if world.size > 1 else ''} ({world.device.type}), batch"
            f" {recipe.batch_size} on each, {recipe.batch_size * world.size} in all;"
            f" {self.plans.steps_per_epoch} steps an epoch"
        )
        begun = f"from step {self.counters.step} " if self.counters.step else ""
        note(
            f"training {begun}to step {self.end}"
            + ("" if self.end == self.steps else f" of {self.steps}")
        )

    # Evaluating and saving

    def _due(self, every: int) -> bool:
        return self.counters.step % every == 0

    def _evaluation_due(self) -> bool:
        recipe, per_epoch = self.recipe, self.plans.steps_per_epoch
        begun = self.counters.step >= recipe.evaluate_from.steps(per_epoch)
        return begun and self._due(recipe.evaluate_every.steps(per_epoch))

    def _evaluate(self, report: Report, at: Place) -> None:
        model = self.ema.model if self.ema else self.model
        # BatchNorm's statistics are each process's own between steps.
        self.world.copy_from_first(list(model.buffers()))
        scores = [evaluator.score(model) for evaluator in self.evaluators]
        counters = self.counters
        counters.accuracy = scores[0].accuracy
        is_best = counters.accuracy > counters.best or not counters.best_step
        if is_best:
            counters.best, counters.best_step = counters.accuracy, at.step
            if self.world.first:
                self.checkpoints.save_best(self._content(at))
        report.evaluation(at, scores, counters.best, is_best)

    def _save(self, at: Place) -> None:
        by_steps = self.recipe.save_every.unit == "steps"
        if self.world.first:
            name = checkpoint_name(at.epoch, self.counters.accuracy, at.step, by_steps=by_steps)
            self.checkpoints.save_numbered(self._content(at), name)

    def _save_last(self, at: Place) -> None:
        if self.world.first:
            self.checkpoints.save_last(self._content(at))

    def _content(self, at: Place) -> Dict[str, Any]:
        state = {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.inner.state_dict(),
            "first_loss": self.first_loss,
            "data": self._data_state(),
            "recipe": self.recipe.to_yaml(),
        }
        model = self.ema.model if self.ema else self.model
        # ModelZoo's files hold the number of the next epoch.
        return content_of(model, self.model, self.spec, self.counters, at.epoch + 1, state)

    def _require_sound(self, loss: float) -> None:
        """Stop a run whose loss or weights are lost, before anything is saved of it."""
        finite = np.isfinite(loss) and all(
            bool(torch.isfinite(weight).all()) for weight in self.model.parameters()
        )
        if self.first_loss is None and finite:
            self.first_loss = loss
        # A run that begins from trained weights has a small first loss, and better ones than that
        # of a guess.
        guess = math.log(self.spec.classes) * self.loss.scale(self.recipe.batch_size)
        limit = self.recipe.diverged * max(self.first_loss or 0.0, guess)
        if finite and loss <= limit:
            return
        what = (
            f"the loss is {loss:.4g}, above {limit:.4g}"
            if np.isfinite(loss)
            else f"the loss is {loss}"
        )
        what = "there are weights that are not finite" if np.isfinite(loss) and not finite else what
        saved = (
            self.checkpoints.last
            if self.checkpoints.last.exists() and not self.options.performance
            else None
        )
        told = (
            f"the last good checkpoint is {saved}" if saved else "no checkpoint was written before"
        )
        raise CheckError(
            f"the training diverged by step {self.counters.step}: {what}; {told}",
            hint=(
                "Try a lower learning_rate, a longer warmup, clip_norm=5, or precision=bfloat16 in"
                " the place of float16."
            ),
        )

    def _plot(self) -> None:
        try:
            plot_curves(self.options.folder)
        except UnavailableError as error:
            self.console.note(f"no {CURVES}: {error.message}")

    def _profile(self, step: int, profiler: Any, *, ended: bool = False) -> Any:
        """Start and stop the profiler at its steps; return it while it runs."""
        if self.options.profile is None or not self.world.first:
            return None
        first, end = self.options.profile
        if profiler is None and step == first and not ended:
            profiler = torch.profiler.profile()
            profiler.start()
        elif profiler is not None and (step == end or ended):
            profiler.stop()
            self.options.folder.mkdir(parents=True, exist_ok=True)
            profiler.export_chrome_trace(str(self.options.folder / PROFILE))
            self.console.note(f"steps {first + 1} to {step} are in {self.options.folder / PROFILE}")
            profiler = None
        return profiler


def _seed(seed: int, step: int, rank: int) -> int:
    return int(
        np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1)
    )


def _told(state: Dict[str, int]) -> str:
    return ", ".join(f"{value} {name}" for name, value in state.items())
