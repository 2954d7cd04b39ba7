"""A model file and a data set to an Evaluation, with everything that can be asked of it on the
way.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    Callable,
    ContextManager,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from crnn.errors import InputError, UsageError
from crnn.files import atomic_file, atomic_folder, require_parent, require_target
from crnn.jobs.compare import Comparer
from crnn.jobs.outputs import OutputWriter
from crnn.jobs.protocol import Rules, protocol_named
from crnn.jobs.result_files import ResultFolder, score_folder
from crnn.jobs.score import OnReading
from crnn.jobs.sources import Source, open_source
from crnn.jobs.stream import Advance, OnLogits, Scored, batches_alive, score_batches
from crnn.reports.json import reading_line
from crnn.results import Comparison, Evaluation, Problem, Reading
from crnn.runners.base import Runner, batch_note
from crnn.runners.open import open_runner, open_spec
from crnn.samples.bins import BinFolder
from crnn.spec import ModelSpec
from crnn.systems import Protocol, apply

Progress = Callable[[str, Optional[int]], ContextManager[Advance]]
OnSpecReading = Callable[[Reading, ModelSpec], None]


@dataclass(frozen=True)
class Request:
    """What to evaluate and what to check; the fields are the options of ``crnn evaluate``."""

    model: Path
    data: Path
    label: Optional[Path] = None
    batch: int = 16
    device: str = ""
    threads: Optional[int] = None
    readings: Optional[Path] = None
    save_outputs: Optional[Path] = None
    outputs_style: str = "ais_bench"
    against: Optional[Path] = None
    max_differ: int = 0
    min_accuracy: Optional[float] = None
    strict: bool = False
    spec: Optional[str] = None
    protocol: Optional[str] = None
    oov: Optional[str] = None


@dataclass(frozen=True)
class ScoreRequest:
    """Which results to score and what to check; the fields are the options of ``crnn score``."""

    results: Path
    label: Path
    spec: Optional[str] = None
    readings: Optional[Path] = None
    against: Optional[Path] = None
    max_differ: int = 0
    min_accuracy: Optional[float] = None
    strict: bool = False


@dataclass(frozen=True)
class Outcome:
    """The evaluation, what a person should see beside it, and the checks that did not hold, a
    sentence each.
    """

    evaluation: Evaluation
    named: Sequence[Tuple[str, Problem]]
    notes: Sequence[str]
    comparison: Optional[Comparison]
    failures: Sequence[str]


def evaluate(
    request: Request, progress: Progress, *, on_reading: Optional[OnSpecReading] = None
) -> Outcome:
    """Evaluate, and write readings and raw outputs where asked; each appears whole, or not at all.

    ``on_reading`` gets every reading in data order, with the spec. Raises `InputError` where there
    is nothing to evaluate; failed checks are in the outcome.
    """
    if request.readings is not None:
        require_target(request.readings)
    if request.save_outputs is not None:
        require_parent(request.save_outputs)
    protocol = protocol_named(request.protocol, request.oov)
    runner = open_runner(request.model, device=request.device, threads=request.threads)
    if request.spec:
        runner.read_by(open_spec(request.spec))
    source = _source(request, runner.spec, protocol)
    comparer = Comparer(request.against, runner.spec) if request.against else None
    with contextlib.ExitStack() as stack:
        stack.enter_context(runner)
        listener = stack.enter_context(_listener(request.readings, comparer, on_reading, runner))
        on_logits = None
        if request.save_outputs:
            on_logits = stack.enter_context(
                _outputs_folder(request.save_outputs, request.outputs_style, runner)
            )
        scored = score_batches(
            runner,
            source.batches(request.batch, keep=batches_alive(runner)),
            batch=request.batch,
            extras=source.extras,
            on_reading=listener,
            on_logits=on_logits,
            advance=stack.enter_context(progress("evaluating", len(source))),
        )
        if not scored.evaluation.total:
            raise InputError(
                f"{request.data} holds no labelled word, so there is nothing to evaluate"
            )
        notes = (
            *_spec_note(runner.model.spec_from, request.model),
            *batch_note(request.batch, runner.batch_sizes),
            *runner.notes,
        )
        return _outcome(scored, notes, comparer, request, _rules(request.protocol, protocol))


def score(
    request: ScoreRequest, progress: Progress, *, on_reading: Optional[OnSpecReading] = None
) -> Outcome:
    """Score the raw outputs that another tool has left, exactly as `evaluate` scores those of a
    runner.
    """
    if request.readings is not None:
        require_target(request.readings)
    results = ResultFolder(
        request.results, request.label, open_spec(request.spec) if request.spec else None
    )
    comparer = Comparer(request.against, results.spec) if request.against else None
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listener(request.readings, comparer, on_reading, results))
        advance = stack.enter_context(progress("scoring", len(results)))
        scored = score_folder(results, on_reading=listener, advance=advance)
        notes = (*results.notes, *_axis_note(scored.evaluation))
        return _outcome(scored, notes, comparer, request, _rules(None, Protocol()))


def _axis_note(evaluation: Evaluation) -> Sequence[str]:
    if evaluation.total < 20 or evaluation.accuracy >= 0.05:
        return ()
    return (
        (
            "hardly a word is right: if the tool ran batches, it may have cut its outputs along"
            " time; run it with an output batch axis of 1 (ais_bench --output_batchsize_axis 1), or"
            " with batch 1"
        ),
    )


def _outcome(
    scored: Scored,
    notes: Sequence[str],
    comparer: Optional[Comparer],
    request: Union[Request, ScoreRequest],
    rules: Mapping[str, Any],
) -> Outcome:
    comparison = comparer.finish() if comparer else None
    evaluation = dataclasses.replace(scored.evaluation, protocol=rules)
    return Outcome(
        evaluation,
        scored.named,
        notes,
        comparison,
        tuple(_failures(evaluation, comparison, request)),
    )


def _rules(name: Optional[str], protocol: Protocol) -> Mapping[str, Any]:
    return {"name": name, **dataclasses.asdict(protocol)}


@contextlib.contextmanager
def _listener(
    readings: Optional[Path],
    comparer: Optional[Comparer],
    on_reading: Optional[OnSpecReading],
    run_by: Union[Runner, ResultFolder],
) -> Iterator[Optional[OnReading]]:
    """Give one listener for all who want to hear of readings; None where nobody does."""
    with contextlib.ExitStack() as stack:
        listeners: List[OnReading] = [comparer.add] if comparer else []
        if on_reading:
            listeners.append(lambda reading: on_reading(reading, run_by.spec))
        if readings:
            listeners.append(
                stack.enter_context(_readings_file(readings, simulated=run_by.simulated))
            )
        yield _to_each(listeners)


def _source(request: Request, spec: ModelSpec, protocol: Protocol) -> Source:
    rules = None if protocol == Protocol() else Rules(protocol, spec)
    under = apply(protocol, spec)
    source = open_source(
        request.data, under, label=request.label, workers=request.threads, rules=rules
    )
    if under != spec and isinstance(source, BinFolder):
        raise UsageError(
            f"--protocol {request.protocol} normalises in a way of its own, and the bins in"
            f" {request.data} are normalised already: evaluate on the LMDB or the images"
        )
    if under != spec and spec.input_dtype == "uint8":
        raise UsageError(
            f"--protocol {request.protocol} normalises in a way of its own; {request.model} does it"
            " itself"
        )
    return source


def _failures(
    evaluation: Evaluation, comparison: Optional[Comparison], request: Union[Request, ScoreRequest]
) -> Iterator[str]:
    if request.min_accuracy is not None and evaluation.accuracy < request.min_accuracy:
        yield (
            f"accuracy {evaluation.accuracy:.4f} is below the {request.min_accuracy} that"
            " --min-accuracy asks for"
        )
    if request.strict and evaluation.skipped:
        yield f"--strict: {sum(evaluation.skipped.values())} samples or files had a problem"
    if comparison and len(comparison.differing) > request.max_differ:
        yield (
            f"{len(comparison.differing)} words were read differently than in {request.against}; "
            f"--max-differ allows {request.max_differ}"
        )


def _spec_note(spec_from: str, model: Path) -> Iterator[str]:
    if spec_from == "default":
        default = ModelSpec.default()
        yield (
            f"{model} carries no spec, so it is read by the historical contract: {default.color},"
            f" {default.width}x{default.height}, {default.resizer}, blank {default.blank}, then"
            f" {default.alphabet}"
        )


@contextlib.contextmanager
def _readings_file(path: Path, *, simulated: bool) -> Iterator[OnReading]:
    with atomic_file(path) as file:

        def write(reading: Reading) -> None:
            file.write(reading_line(reading, simulated=simulated).encode("utf-8"))

        yield write


@contextlib.contextmanager
def _outputs_folder(path: Path, style: str, runner: Runner) -> Iterator[OnLogits]:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"--save-outputs {path}: it exists and is no empty folder; name a new one")
    with atomic_folder(path) as folder:
        yield OutputWriter(folder, style, simulated=runner.simulated).add


def _to_each(listeners: Sequence[OnReading]) -> Optional[OnReading]:
    if not listeners:
        return None

    def tell_each(reading: Reading) -> None:
        for listener in listeners:
            listener(reading)

    return tell_each
