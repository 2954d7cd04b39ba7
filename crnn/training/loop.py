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

import torch

from crnn.errors import InputError, UnavailableError, UsageError
from crnn.image import remark_lines
from crnn.leftovers import held
from crnn.machine import usable_cpus
from crnn.presets import CrnnConfig
from crnn.signals import handled
from crnn.training.checkpoints import (
    TRAINING_KEY,
    Checkpoints,
    Counters,
    checkpoint_name,
    content_of,
    read_state,
    require_same_run,
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
from crnn.training.divergence import Divergence, guessed_loss
from crnn.training.evaluate import Evaluator
from crnn.training.groups import GroupBatches, GroupPlans, load_groups
from crnn.training.learner import Learner
from crnn.training.meter import Meter, resumed
from crnn.training.model import spec_and_config, steps_by_width
from crnn.training.precision import choose_together
from crnn.training.recipe import Recipe, precision_of
from crnn.training.report import CURVES, Place, Report, plot_curves
from crnn.training.step_profile import StepProfile
from crnn.training.world import World

RECIPE = "recipe.yaml"
PERFORMANCE_STEPS = 110
UNTIMED_STEPS = 10
"""Steps at the start of an epoch that its speed leaves out."""
AGREE_EVERY = 10
"""Steps after which several processes ask each other whether one was told to stop."""

Progress = Callable[[str, Optional[int]], ContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class TrainOptions:
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
class TrainingOutcome:
    """How a run ended:

    steps done, the best accuracy (None where none was measured), the signal that ended it, and one
    that came when there was nothing left to do.
    """

    step: int
    best: Optional[float]
    signal: int = 0
    late: int = 0


class Stop:
    """Remembers Ctrl-C or SIGTERM until a step is done; the second one does not wait."""

    def __init__(self) -> None:
        self.number = 0

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the block runs."""
        with handled(self._remember, signal.SIGINT, signal.SIGTERM):
            yield

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


@dataclass(frozen=True)
class Due:
    """What is to be done after a step."""

    log: bool
    """Lines of the last steps, because their number is reached."""
    epoch_ends: bool
    evaluation: bool
    save: bool
    """A numbered checkpoint."""
    stop: bool
    """A signal ends the run."""
    cut: bool
    """This is the last step that the run does, whether or not its recipe has more."""

    @property
    def anything(self) -> bool:
        """Whether there is something to do for which the loss must be known."""
        return any((self.log, self.epoch_ends, self.evaluation, self.save, self.stop, self.cut))


@dataclass
class Meters:
    """Sums over the steps since the last lines, and over those of an epoch that are timed."""

    lines: Meter = field(default_factory=Meter)
    epoch: Meter = field(default_factory=Meter)
    epoch_start: float = field(default_factory=time.perf_counter)

    def add(self, loss: torch.Tensor, words: int, data_seconds: float) -> None:
        """Count a step."""
        self.lines.add(loss, words, data_seconds)
        self.epoch.add(loss, words, data_seconds)

    def sums(self, world: World) -> Dict[str, Dict[str, Any]]:
        """Return what the run's next start goes on from."""
        return {"lines": self.lines.sums(world), "epoch": self.epoch.sums(world)}

    def begin_epoch(self) -> None:
        """Reset what belongs to an epoch."""
        self.epoch = Meter()
        self.epoch_start = time.perf_counter()


class Trainer:
    """A run of a recipe in one of its processes: everything is opened here, and `run` trains."""

    def __init__(
        self, recipe: Recipe, options: TrainOptions, world: World, console: Console
    ) -> None:
        """Open the data, the network and the run's folder.

        Args:
            recipe: every choice of the run.
            options: what concerns this start of it.
            world: this process's device and its place among the others.
            console: where the run speaks.
        """
        self.options = options
        self.world = world
        self.console = console
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        self.spec, config = spec_and_config(recipe)
        self.time_steps = steps_by_width(self.spec, config)
        most = max(self.time_steps.values(), default=self.spec.time_steps)
        self.mixture, self.labels = open_training_data(recipe, self.spec, most)
        self.plans = Plans(self.mixture, recipe.batch_size, world.rank, world.size, 0, 0)
        self.steps = recipe.length.steps(self.plans.steps_per_epoch)
        self.end = _last_step(self.steps, options)
        if options.performance:
            self.evaluators = []
        else:
            self.evaluators = self._evaluators(recipe)
        self.checkpoints = Checkpoints(options.folder, recipe.keep)

        state = self._state_to_resume()
        self.recipe = self._decided(recipe, state, config)
        self.learner = Learner(
            self.recipe,
            self.spec,
            config,
            world,
            steps_per_epoch=self.plans.steps_per_epoch,
            steps=self.steps,
        )
        characters = self.learner.loss.scale(recipe.batch_size)
        guess = guessed_loss(self.spec.classes, characters)
        self.divergence = Divergence(recipe.diverged, guess)
        self.counters = Counters()
        self.sums: Dict[str, Dict[str, Any]] = {}
        self.skipped: Counter[str] = collections.Counter()
        self.remarks: Counter[str] = collections.Counter()
        if not options.performance:
            self._open_folder(state)
        self.learner.connect()

    # The loop

    def run(self) -> TrainingOutcome:
        """Train to the end, or until a signal; leave ``last.pth`` to go on from.

        Returns:
            How the run ended.

        Raises:
            CheckError: the training diverged.
        """
        with self._alone():
            return self._run()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse a folder that another training is writing to: each would remove the other's
        checkpoints.
        """
        folder = self.options.folder
        if self.options.performance or not self.world.first:
            yield
            return
        with held(folder) as free:
            if not free:
                raise UsageError(
                    f"another training is at work in {folder}",
                    hint="Wait for it, or name another folder with --out.",
                )
            yield

    def _run(self) -> TrainingOutcome:
        stop = Stop()
        keeps = not self.options.performance
        if self.world.first and keeps:
            folder = self.options.folder
        else:
            folder = None
        report = Report(
            self.recipe.log_style,
            folder,
            self.console.say,
            after=self.counters.step,
            board=self.recipe.tensorboard,
        )
        self._introduce()
        with contextlib.ExitStack() as stack:
            stack.callback(self.learner.disconnect)
            stack.callback(report.close)
            stack.enter_context(stop.listening())
            advance = stack.enter_context(self.console.progress("training", self.end))
            advance(self.counters.step)
            batches = stack.enter_context(contextlib.closing(self._batches()))
            self._train(batches, report, stop, advance)
        for line in remark_lines(self.remarks, self.spec):
            self.console.note(f"of this device's words: {line}")
        if keeps and self.world.first and self.recipe.plot and not stop.number:
            self._plot()
        self.world.wait()
        best = None
        # Before the first evaluation there is neither an accuracy nor a best.pth.
        if self.evaluators and self.counters.best_step:
            best = self.counters.best
        if self.counters.step >= self.steps:
            return TrainingOutcome(self.counters.step, best, late=stop.number)
        return TrainingOutcome(self.counters.step, best, stop.number)

    def _train(
        self,
        batches: Iterator[TrainBatch],
        report: Report,
        stop: Stop,
        advance: Callable[[int], None],
    ) -> None:
        meters = Meters(
            resumed(self.sums.get("lines", {}), self.world),
            resumed(self.sums.get("epoch", {}), self.world),
        )
        if self.world.first:
            window = self.options.profile
        else:
            window = None
        profile = StepProfile(window, self.options.folder, self.console.note)
        for step in range(self.counters.step, self.end):
            profile.before(step)
            waiting = time.perf_counter()
            batch = next(batches)
            waited = time.perf_counter() - waiting
            loss = self.learner.step(step, batch)
            self.counters.step = step + 1
            self.skipped.update(batch.skipped)
            self.remarks.update(batch.remarks)
            meters.add(loss, len(batch.lengths), waited)
            advance(1)

            at = Place(step + 1, self.steps, self.plans.steps_per_epoch)
            due = self._due_after(at, stop)
            # A loss that is lost ends the run here, before anything is saved of it.
            self._report_steps(report, at, due, meters)
            self._report_epoch(report, at, due, meters)
            if due.anything:
                self.sums = meters.sums(self.world)
            if due.evaluation:
                self._evaluate(report, at)
            self._save(at, due)
            if due.stop:
                break
        profile.stop(self.end)

    def _due_after(self, at: Place, stop: Stop) -> Due:
        recipe = self.recipe
        ended = at.step == self.steps
        keeps = not self.options.performance
        save_every = recipe.save_every.steps(at.steps_per_epoch)
        return Due(
            log=at.step % recipe.log_every == 0,
            epoch_ends=at.place == at.steps_per_epoch,
            evaluation=bool(self.evaluators) and (ended or self._evaluation_due(at)),
            save=keeps and (ended or at.step % save_every == 0),
            stop=stop.agreed(at.step, self.world),
            cut=at.step == self.end,
        )

    def _evaluation_due(self, at: Place) -> bool:
        begun = at.step >= self.recipe.evaluate_from.steps(at.steps_per_epoch)
        return begun and at.step % self.recipe.evaluate_every.steps(at.steps_per_epoch) == 0

    def _report_steps(self, report: Report, at: Place, due: Due, meters: Meters) -> None:
        if not due.anything:
            return
        pace = meters.lines.pace(self.world)
        saved = self._saved()
        weights = self.learner.model.parameters()
        self.divergence.require_sound(pace.loss, weights, at.step, saved)
        if due.log or due.cut:
            epoch = meters.epoch.pace(self.world)
            report.step(at, pace, epoch, self.learner.rate(at.step - 1))
        if due.log:
            meters.lines = Meter()

    def _report_epoch(self, report: Report, at: Place, due: Due, meters: Meters) -> None:
        if self.options.performance:
            if due.cut:
                report.rate(meters.epoch.pace(self.world))
            elif at.step == UNTIMED_STEPS:
                meters.epoch = Meter()
            return
        if due.epoch_ends:
            pace = meters.epoch.pace(self.world)
            report.epoch(at, pace, time.perf_counter() - meters.epoch_start, self.skipped)
        if due.epoch_ends:
            meters.begin_epoch()
        elif at.place == UNTIMED_STEPS:
            meters.epoch = Meter()

    # Setting up

    def _state_to_resume(self) -> Optional[Dict[str, Any]]:
        if not self.options.resume or self.options.performance:
            return None
        return read_state(self.checkpoints.last)

    def _decided(
        self, recipe: Recipe, state: Optional[Dict[str, Any]], config: CrnnConfig
    ) -> Recipe:
        """Return the recipe with its precision decided: the files of a run hold the decision, so
        that it is taken once.
        """
        kept = None
        if state is not None:
            kept = precision_of(state[TRAINING_KEY]["recipe"])
        chosen = choose_together(recipe.precision, kept, config, recipe.batch_size, self.world)
        if chosen.line:
            self.console.note(chosen.line)
        return dataclasses.replace(recipe, precision=chosen.precision)

    def _open_folder(self, state: Optional[Dict[str, Any]]) -> None:
        """Make the folder, or take up the run that stands in it."""
        folder, last = self.options.folder, self.checkpoints.last
        if state is not None:
            self._restore(last, state)
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
            with self._alone():
                self.recipe.save(folder / RECIPE)
        self.world.wait()

    def _restore(self, path: Path, content: Dict[str, Any]) -> None:
        training = content[TRAINING_KEY]
        require_same_run(path, training, self._data_state(), self.recipe)
        self.learner.restore(path, content)
        self.counters = restore_counters(content)
        if self.counters.step > self.steps:
            raise UsageError(
                f"{path} has done {self.counters.step} steps; the recipe's length is {self.steps}"
            )
        self.divergence.first_loss = training["first_loss"]
        self.sums = training.get("sums", {})

    def _data_state(self) -> Dict[str, int]:
        return {
            "words an epoch": len(self.mixture),
            "words a step": self.recipe.batch_size * self.world.size,
        }

    def _evaluators(self, recipe: Recipe) -> List[Evaluator]:
        return [
            Evaluator(
                path,
                name,
                self.spec,
                self.world,
                batch=recipe.valid_batch_size,
                drop_oov=recipe.valid_oov == "drop",
                examples=recipe.examples,
            )
            for path, name in valid_sets(recipe)
        ]

    def _batches(self) -> Generator[TrainBatch, None, None]:
        recipe, world = self.recipe, self.world
        plans = Plans(
            self.mixture, recipe.batch_size, world.rank, world.size, self.counters.step, self.end
        )
        workers = recipe.workers
        if workers is None:
            workers = _default_workers(world.device)
        pin = world.device.type == "cuda"
        if self.spec.widths is not None:
            groups = GroupPlans(self.mixture, plans, self.counters.step, self.end, recipe.seed)
            sized = GroupBatches(self.mixture, self.labels, self.spec.widths, self.time_steps)
            return load_groups(sized, groups, workers=workers, pin=pin)
        return load(Batches(self.mixture, self.labels), plans, workers=workers, pin=pin)

    def _introduce(self) -> None:
        recipe, world, note = self.recipe, self.world, self.console.note
        parameters = sum(weight.numel() for weight in self.learner.model.parameters())
        note(
            f"network {recipe.network}, {parameters} parameters, {self.spec.classes} classes,"
            f" {recipe.precision}"
        )
        if not self.counters.step:
            for line in self.learner.notes:
                note(line)
        for part in self.mixture.parts:
            left = ""
            if part.words.skipped:
                left = f"; left out: {describe(part.words.skipped)}"
            note(f"{part.words.name}: {len(part.words)} words, {part.count} an epoch{left}")
            for key, problem in part.words.named:
                note(f"  {problem.reason}: {key} {problem.detail}".rstrip())
        for evaluator in self.evaluators:
            for line in evaluator.label_lines():
                note(f"{evaluator.name}: {line}")
        plural = ""
        if world.size > 1:
            plural = "s"
        note(
            f"{world.size} device{plural} ({world.device.type}), batch"
            f" {recipe.batch_size} on each, {recipe.batch_size * world.size} in all;"
            f" {self.plans.steps_per_epoch} steps an epoch"
        )
        begun = ""
        if self.counters.step:
            begun = f"from step {self.counters.step} "
        whole = ""
        if self.end != self.steps:
            whole = f" of {self.steps}"
        self._introduce_widths()
        note(f"training {begun}to step {self.end}{whole}")

    def _introduce_widths(self) -> None:
        sizes = []
        for width, steps in self.time_steps.items():
            sizes.append(f"{width} ({steps})")
        if sizes:
            self.console.note(f"batches of one width each (time steps): {', '.join(sizes)}")

    # Evaluating and saving

    def _evaluate(self, report: Report, at: Place) -> None:
        model = self.learner.model_to_use
        # BatchNorm's statistics are each process's own between steps.
        self.world.copy_from_first(list(model.buffers()))
        scores = [evaluator.score(model) for evaluator in self.evaluators]
        for score in scores:
            # The steps' losses may leave words out (zero_infinity) that show here what is lost.
            if not math.isfinite(score.loss):
                self.divergence.require_sound(score.loss, (), at.step, self._saved())
        counters = self.counters
        counters.accuracy = scores[0].accuracy
        is_best = counters.accuracy > counters.best or not counters.best_step
        if is_best:
            counters.best, counters.best_step = counters.accuracy, at.step
            if self.world.first:
                self.checkpoints.save_best(self._content(at))
        report.evaluation(at, scores, counters.best, is_best)

    def _saved(self) -> Optional[Path]:
        """Return the checkpoint to go back to, if there is one."""
        if self.checkpoints.last.exists() and not self.options.performance:
            return self.checkpoints.last
        return None

    def _save(self, at: Place, due: Due) -> None:
        if not self.world.first or self.options.performance:
            return
        if due.save:
            by_steps = self.recipe.save_every.unit == "steps"
            name = checkpoint_name(at.epoch, self.counters.accuracy, at.step, by_steps=by_steps)
            self.checkpoints.save_numbered(self._content(at), name)
        elif due.stop or due.cut:
            self.checkpoints.save_last(self._content(at))

    def _content(self, at: Place) -> Dict[str, Any]:
        learner = self.learner
        state = {
            "optimizer": learner.optimizer.state_dict(),
            "scaler": learner.scaler.inner.state_dict(),
            "first_loss": self.divergence.first_loss,
            "sums": self.sums,
            "data": self._data_state(),
            "recipe": self.recipe.to_yaml(),
        }
        # ModelZoo's files hold the number of the next epoch.
        epoch = at.epoch + 1
        return content_of(
            learner.model_to_use, learner.model, self.spec, self.counters, epoch, state
        )

    def _plot(self) -> None:
        try:
            plot_curves(self.options.folder)
        except UnavailableError as error:
            self.console.note(f"no {CURVES}: {error.message}")


def _last_step(steps: int, options: TrainOptions) -> int:
    """Return the step that a run of so many ends at."""
    end = min(steps, options.max_steps or steps)
    if options.performance:
        end = min(steps, options.max_steps or PERFORMANCE_STEPS)
    if options.profile and options.profile[0] >= end:
        raise UsageError(
            f"--profile begins at step {options.profile[0]}; the run ends at step {end}"
        )
    return end


def _default_workers(device: torch.device) -> int:
    # On a CPU the network wants the processors; beside a device there is nothing else for them to
    # do.
    if device.type == "cpu":
        return 0
    return max(1, min(8, usable_cpus() - 1))
