"""A model and labelled words to the temperature that fits its probabilities, and a copy of the
model that carries it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from crnn import ctc
from crnn.batch import Batch
from crnn.decoding.probability import classes_of_path, log_probabilities
from crnn.errors import InputError
from crnn.filekind import OM, ONNX, kind_of
from crnn.files import atomic_file, require_target
from crnn.jobs.evaluate import Progress
from crnn.runners.open import open_runner
from crnn.samples.annotations import ListOptions
from crnn.samples.source import fitting_batch, open_source
from crnn.scoring.stream import run_batches
from crnn.scoring.sureness import auroc, expected_calibration_error
from crnn.scoring.temperature import GRID, MOST, TemperatureFit, Words, log_loss
from crnn.spec import ModelSpec

FEWEST = 100
"""Fewer words than this, or no wrong one among them, say nothing of a temperature."""
FEW_WRONG = 30
"""With fewer wrong words than this a fit is told to say little."""


@dataclass(frozen=True)
class CalibrateRequest:
    """What to calibrate on what; the fields are the options of ``crnn calibrate``."""

    model: Path
    data: Path
    out: Path
    label: Optional[Path] = None
    batch: int = 16
    device: str = ""
    threads: Optional[int] = None
    columns: Optional[Tuple[str, str]] = None
    encoding: Optional[str] = None


@dataclass(frozen=True)
class Figures:
    """How well probabilities fit: expected calibration error, mean log loss, AUROC (None where all
    words are right or all wrong).
    """

    ece: float
    log_loss: float
    auroc: Optional[float]


@dataclass(frozen=True)
class Calibration:
    """The temperature that was fitted, and what it does.

    ``before`` are the figures at temperature 1, ``after`` those at the fitted one, on the same
    ``words``; ``crossed`` those where each half of the words is taken at the temperature that was
    fitted on the other: what it does on words that it has not seen. ``by_width`` has words and
    temperature for each width of a model with several.
    """

    temperature: float
    words: int
    correct: int
    before: Figures
    after: Figures
    crossed: Figures
    by_width: Sequence[Tuple[int, int, float]]
    simulated: bool
    notes: Sequence[str]

    def to_dict(self) -> Dict[str, Any]:
        """Return plain data for JSON."""
        values = dataclasses.asdict(self)
        del values["notes"]
        values["by_width"] = {}
        for width, words, temperature in self.by_width:
            values["by_width"][str(width)] = {"words": words, "temperature": temperature}
        if not self.by_width:
            del values["by_width"]
        return {"schema": "crnn-calibration/1", **values}


def calibrate(request: CalibrateRequest, progress: Progress) -> Calibration:
    """Fit a temperature and write a copy of the model that carries it.

    Args:
        request: What to do.
        progress: As for `crnn.jobs.evaluate.evaluate`.

    Returns:
        The temperature and its figures.

    Raises:
        InputError: The model or the data cannot be used, or the words are too few or all right.
    """
    require_target(request.out)
    writer = _writer(request.model)
    runner = open_runner(request.model, device=request.device, threads=request.threads)
    source = open_source(
        request.data,
        runner.spec,
        label=request.label,
        workers=request.threads,
        options=ListOptions(None, request.columns, request.encoding),
    )
    collected = _Collected(runner.spec)
    with runner, progress("calibrating", min(len(source), MOST)) as advance:
        size = fitting_batch(request.batch, source)
        with contextlib.closing(run_batches(runner, source, size)) as results:
            for batch, logits in results:
                if logits is not None:
                    collected.add(batch, logits)
                advance(len(batch.keys))
                if collected.every.is_full:
                    break
        simulated, notes = runner.simulated, list(runner.notes)
    words = collected.every.gathered()
    _require_enough(words, request.data)
    found = words.fit()
    if found.at_end:
        notes.append(
            f"the temperature is the end of what is tried, {found.temperature:g}: look at the"
            " model's labels and alphabet first"
        )
    wrong = len(words.right) - int(words.right.sum())
    if wrong < FEW_WRONG:
        notes.append(
            f"only {wrong} of {len(words.right)} words were read wrongly: a temperature from so few"
            " says little; take more words, or harder ones"
        )
    if collected.every.is_full:
        notes.append(f"the first {MOST} words were taken")
    temperature = float(f"{found.temperature:.4g}")
    writer(request.model, request.out, temperature)
    by_width: List[Tuple[int, int, float]] = []
    for width, fit in sorted(collected.by_width.items()):
        by_width.append((width, fit.words, fit.gathered().fit().temperature))
    return Calibration(
        temperature=temperature,
        words=len(words.right),
        correct=int(words.right.sum()),
        before=_figures(words.at(1.0), words.right),
        after=_figures(words.at(temperature), words.right),
        crossed=_crossed(words),
        by_width=tuple(by_width),
        simulated=simulated,
        notes=tuple(notes),
    )


class _Collected:
    """What words are worth at each temperature, together and by width."""

    def __init__(self, spec: ModelSpec) -> None:
        self.every = TemperatureFit()
        self.by_width: Dict[int, TemperatureFit] = {}
        self._spec = spec

    def add(self, batch: Batch, logits: np.ndarray) -> None:
        finite = np.isfinite(logits).all(axis=(0, 2))
        truths: List[Optional[str]] = []
        for row, good in zip(batch.readable, finite.tolist()):
            label = batch.labels[row]
            if label is None or not good:
                truths.append(None)
            else:
                truths.append(self._spec.fold(label))
        columns = [column for column, truth in enumerate(truths) if truth is not None]
        if not columns:
            return
        logits = logits[:, columns]
        path = ctc.best_path(logits, self._spec.alphabet)
        texts = ctc.decode(path, self._spec.alphabet)
        classes = classes_of_path(path, self._spec.blank)
        logs = np.stack([log_probabilities(logits, classes, each) for each in GRID])
        right = np.array([texts[place] == truths[column] for place, column in enumerate(columns)])
        self.every.add(logs, right)
        if batch.width is not None:
            self.by_width.setdefault(batch.width, TemperatureFit()).add(logs, right)


def _require_enough(words: Words, data: Path) -> None:
    wrong = len(words.right) - int(words.right.sum())
    if len(words.right) < FEWEST or not wrong or wrong == len(words.right):
        raise InputError(
            f"{data}: {len(words.right)} labelled words, {wrong} of them read wrongly; expected"
            f" {FEWEST} words or more, some right and some wrong",
            hint="A temperature says how often a model errs; take a set on which it does.",
        )


def _figures(probabilities: np.ndarray, right: np.ndarray) -> Figures:
    return Figures(
        ece=expected_calibration_error(probabilities, right),
        log_loss=log_loss(probabilities, right),
        auroc=auroc(probabilities, right),
    )


def _crossed(words: Words) -> Figures:
    """Return the figures of each half at the temperature of the other."""
    probabilities = np.empty(len(words.right))
    for first in (0, 1):
        other = words.every_other(1 - first).fit().temperature
        probabilities[first::2] = words.every_other(first).at(other)
    return _figures(probabilities, words.right)


def _writer(model: Path) -> Callable[[Path, Path, float], None]:
    """Return what writes a copy of a model with a temperature."""
    if model.is_dir():
        raise InputError(
            f"{model} is a folder; expected one model",
            hint=(
                "Calibrate the ONNX and compile it again: an OM's sidecar takes the temperature of"
                " its ONNX."
            ),
        )
    kind = kind_of(model)
    if kind == OM:
        return _write_om
    if kind == ONNX:
        return _write_onnx
    return _write_checkpoint


def _write_om(model: Path, out: Path, temperature: float) -> None:
    from crnn.ascend.sidecar import find_sidecar, sidecar_path, write_sidecar

    sidecar = find_sidecar(model)
    if sidecar is None:
        name = sidecar_path(model).name
        raise InputError(
            f"{model} has no {name} beside it, which would take the temperature",
            hint="Compile it again with crnn compile, or name the temperature with --spec.",
        )
    spec = dataclasses.replace(sidecar.spec, temperature=temperature)
    with atomic_file(out) as file, model.open("rb") as source:
        shutil.copyfileobj(source, file)
    write_sidecar(out, dataclasses.replace(sidecar, spec=spec))


def _write_onnx(model: Path, out: Path, temperature: float) -> None:
    from crnn.export.adjust import set_spec

    set_spec(model, out, spec=f'{{"temperature": {temperature!r}}}', output=None)


def _write_checkpoint(model: Path, out: Path, temperature: float) -> None:
    from crnn.weights.checkpoint import set_temperature

    set_temperature(model, out, temperature)
