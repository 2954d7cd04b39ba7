"""What a run says:

lines for people in a style of their choice, JSON Lines for programs, and curves at the end.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from crnn.errors import InputError, needs
from crnn.files import atomic_file
from crnn.training.evaluate import Score

METRICS, CURVES = "metrics.jsonl", "curves.png"
FEW = 30
"""Fewer points than this are drawn as such."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where a run stands after ``step`` of ``steps`` steps; epochs count from 0, ``place`` within
    one from 1.
    """

    step: int
    steps: int
    steps_per_epoch: int

    @property
    def epoch(self) -> int:
        """The epoch of the last step done."""
        return max(0, self.step - 1) // self.steps_per_epoch

    @property
    def place(self) -> int:
        """The number of its steps done."""
        return self.step - self.epoch * self.steps_per_epoch

    @property
    def epochs(self) -> int:
        """The epochs that the run begins."""
        return math.ceil(self.steps / self.steps_per_epoch)


@dataclass(frozen=True)
class Pace:
    """Means over steps:

    loss, milliseconds in all and waiting for data, and words a second on all devices.
    """

    loss: float
    step_ms: float
    data_ms: float
    words_per_second: float


class Style:
    """The kit's own lines. Other styles are those of other systems, for who parses them."""

    def step(self, at: Place, now: Pace, epoch: Pace, rate: float) -> Iterator[str]:
        """Give the lines of the steps since the last such lines; ``epoch`` is the mean of the epoch
        so far.
        """
        share = ""
        if now.step_ms:
            share = f", data {100 * now.data_ms / now.step_ms:.0f} %"
        yield (
            f"step {at.step}/{at.steps}  epoch {at.epoch + 1}  loss {now.loss:.4f}  rate {rate:.3g}"
            f"  {now.words_per_second:.0f} words/s ({now.step_ms:.1f} ms a step{share})"
        )

    def epoch(self, at: Place, pace: Pace, seconds: float) -> Iterator[str]:
        """Give the lines at an epoch's end."""
        yield (
            f"epoch {at.epoch + 1} done in {seconds:.1f} s  loss {pace.loss:.4f} "
            f" {pace.words_per_second:.0f} words/s"
        )

    def evaluation(
        self, at: Place, scores: Sequence[Score], best: float, is_best: bool
    ) -> Iterator[str]:
        """Give the lines of an evaluation; the first data set decides which is the best."""
        for score in scores:
            yield (
                f"step {at.step}/{at.steps}  {score.name}: accuracy {score.accuracy:.4f} "
                f"({score.correct} of {score.total})  loss {score.loss:.4f}"
            )
        yield f"  {'the best so far' if is_best else f'the best so far is {best:.4f}'}"

    def rate(self, pace: Pace) -> Iterator[str]:
        """Give the last line of a run that measures speed."""
        yield f"FPS@all {pace.words_per_second:.3f}"


class ModelZoo(Style):
    """The lines of CRNN for PyTorch of Ascend ModelZoo, tab separated."""

    def step(self, at: Place, now: Pace, epoch: Pace, rate: float) -> Iterator[str]:
        """See `Style`."""
        yield (
            f"Epoch: [{at.epoch}][{at.place - 1}/{at.steps_per_epoch}]\tTime {now.step_ms:.3f} ms "
            f"({epoch.step_ms:.3f} ms)\tData {now.data_ms:.3f} ms ({epoch.data_ms:.3f} ms)\t"
            f"Fps {now.words_per_second:.3f}\tLoss {now.loss:.4f} ({epoch.loss:.4f})"
        )

    def epoch(self, at: Place, pace: Pace, seconds: float) -> Iterator[str]:
        """See `Style`."""
        yield from self.rate(pace)

    def evaluation(
        self, at: Place, scores: Sequence[Score], best: float, is_best: bool
    ) -> Iterator[str]:
        """See `Style`."""
        for score in scores:
            yield f"Epoch: [{at.epoch}][{at.place}/{at.steps_per_epoch}]"
            for raw, text, truth in score.examples:
                yield f"{raw:<20} => {text:<20}, gt: {truth:<20}"
            yield str(score.correct)
            yield str(score.total)
            yield f"Test loss: {score.loss:.4f}, accuracy: {score.accuracy:.4f}"
        yield f"is best: {is_best}"
        yield f"best acc is: {best}"

    def rate(self, pace: Pace) -> Iterator[str]:
        """See `Style`."""
        yield f" * FPS@all {pace.words_per_second:.3f}"


class MindSpore(Style):
    """The lines of MindSpore's CRNN."""

    def step(self, at: Place, now: Pace, epoch: Pace, rate: float) -> Iterator[str]:
        """See `Style`."""
        yield (
            f"epoch: [{at.epoch + 1}/{at.epochs}] step: [{at.place}/{at.steps_per_epoch}], loss:"
            f" {now.loss:.6f}, lr : {rate:.6f}, per step time: {now.step_ms:.3f} ms"
        )

    def epoch(self, at: Place, pace: Pace, seconds: float) -> Iterator[str]:
        """See `Style`."""
        yield f"epoch: {at.epoch + 1} step: {at.place}, loss is {pace.loss}"
        yield f"Epoch time: {seconds:.3f}s, per step time: {pace.step_ms / 1000:.3f}s"

    def evaluation(
        self, at: Place, scores: Sequence[Score], best: float, is_best: bool
    ) -> Iterator[str]:
        """See `Style`."""
        for score in scores:
            yield f"correct num:  {score.correct} , total num:  {score.total}"
            yield f"result: {{'CRNNAccuracy': {score.accuracy}}}"


class TensorFlow(Style):
    """The lines of CRNN for TensorFlow of Ascend ModelZoo; its ``step_per_sec`` is seconds per
    step.
    """

    def step(self, at: Place, now: Pace, epoch: Pace, rate: float) -> Iterator[str]:
        """See `Style`."""
        yield (
            f"Epoch_Train: {at.step} cost= {now.loss:9f}, lr= {rate:9f}, FPS:"
            f" {now.words_per_second:.3f}, step_per_sec: {now.step_ms / 1000:.6f}"
        )

    def epoch(self, at: Place, pace: Pace, seconds: float) -> Iterator[str]:
        """See `Style`; it has no epochs."""
        yield from ()

    def evaluation(
        self, at: Place, scores: Sequence[Score], best: float, is_best: bool
    ) -> Iterator[str]:
        """See `Style`."""
        for score in scores:
            yield f"Mean test full sequence accuracy is {score.accuracy:.6f}"


STYLES: Mapping[str, Style] = {
    "plain": Style(),
    "modelzoo": ModelZoo(),
    "mindspore": MindSpore(),
    "tensorflow": TensorFlow(),
}


class Report:
    """Says what happens in a style and keeps it as JSON Lines; silent in all processes but the
    first.
    """

    def __init__(
        self, style: str, folder: Optional[Path], say: Say, *, after: int = 0, board: bool = False
    ) -> None:
        """Continue the file in ``folder`` after the step ``after``, or write none where it is
        None.
        """
        self._style = STYLES[style]
        self._say = say
        if folder is None:
            self._file = None
        else:
            self._file = _continued(folder / METRICS, after)
        self._board: Any = None
        if board and folder is not None:
            with needs("tensorboard"):
                from torch.utils.tensorboard import SummaryWriter
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=after or None)

    def step(self, at: Place, now: Pace, epoch: Pace, rate: float) -> None:
        """Report the steps since the last report."""
        self._lines(self._style.step(at, now, epoch, rate))
        self._keep("train", at, {**dataclasses.asdict(now), "learning_rate": rate})

    def epoch(self, at: Place, pace: Pace, seconds: float, skipped: Mapping[str, int]) -> None:
        """Report an epoch."""
        self._lines(self._style.epoch(at, pace, seconds))
        more = {"seconds": seconds, "skipped": dict(skipped)}
        self._keep("epoch", at, {**dataclasses.asdict(pace), **more}, board=False)

    def evaluation(self, at: Place, scores: Sequence[Score], best: float, is_best: bool) -> None:
        """Report an evaluation on all data sets."""
        self._lines(self._style.evaluation(at, scores, best, is_best))
        for score in scores:
            values = {
                "accuracy": score.accuracy,
                "correct": score.correct,
                "total": score.total,
                "loss": score.loss,
            }
            self._keep("evaluation", at, {"data": score.name, **values, "best": best})

    def rate(self, pace: Pace) -> None:
        """Report the speed, as the last line."""
        self._lines(self._style.rate(pace))

    def close(self) -> None:
        """Close the files."""
        if self._file:
            self._file.close()
        if self._board:
            self._board.close()

    def _lines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._say(line)

    def _keep(
        self, event: str, at: Place, values: Mapping[str, Any], *, board: bool = True
    ) -> None:
        if self._file:
            line = {"event": event, "step": at.step, "epoch": at.epoch, **values}
            self._file.write(json.dumps(line, sort_keys=True, allow_nan=False) + "\n")
            self._file.flush()
        if self._board and board:
            if "data" in values:
                name = f"{event}/{values['data']}"
            else:
                name = event
            for key, value in values.items():
                if isinstance(value, (int, float)):
                    self._board.add_scalar(f"{name}/{key}", value, at.step)


def read_metrics(path: Path) -> List[Dict[str, Any]]:
    """Return the lines of a run's metrics; a last one that was cut off is left out."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


def plot_curves(folder: Path) -> Path:
    """Draw loss and accuracy over steps from a run's metrics, and return the picture's path."""
    with needs("matplotlib", extra="plot"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    lines = read_metrics(folder / METRICS)
    trained = _of_event(lines, "train")
    if not trained:
        raise InputError(f"{folder / METRICS} holds no step to draw")
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log", title=folder.name)
    marker = ""
    if len(trained) < FEW:
        marker = "."  # a line through one point is none
    steps, losses = _column(trained, "step"), _column(trained, "loss")
    left.plot(steps, losses, marker=marker, color="0.5", label="loss")
    measured = _of_event(lines, "evaluation")
    if measured:
        _plot_accuracy(left.twinx(), measured)
    with atomic_file(folder / CURVES) as file:
        figure.savefig(file, format="png", dpi=120)
    return folder / CURVES


def _plot_accuracy(axes: Any, measured: Sequence[Mapping[str, Any]]) -> None:
    """Draw a line for each data set."""
    axes.set(ylabel="accuracy", ylim=(0, 1))
    for name in dict.fromkeys(_column(measured, "data")):
        mine = [line for line in measured if line["data"] == name]
        axes.plot(_column(mine, "step"), _column(mine, "accuracy"), marker=".", label=name)
    axes.legend(loc="center right")


def _of_event(lines: Sequence[Dict[str, Any]], event: str) -> List[Dict[str, Any]]:
    return [line for line in lines if line["event"] == event]


def _column(lines: Sequence[Mapping[str, Any]], key: str) -> List[Any]:
    return [line[key] for line in lines]


def _continued(path: Path, after: int) -> Any:
    """Open the metrics for appending, what lies after a step taken off: it will be done again."""
    if after and path.exists():
        kept = [line for line in read_metrics(path) if line["step"] <= after]
    else:
        kept = []
    with atomic_file(path) as file:
        file.write(
            "".join(json.dumps(line, sort_keys=True) + "\n" for line in kept).encode("utf-8")
        )
    return open(path, "a", encoding="utf-8")
