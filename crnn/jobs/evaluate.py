"""A model file and a data set to an Evaluation, with everything that can be asked of it on the
way.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ContextManager,
    Dict,
    Generator,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np

from crnn.batch import Batch, Problem
from crnn.decoding.decoder import Decoder, DecodingOptions, SampleWords
from crnn.errors import InputError, UsageError
from crnn.files import atomic_file, atomic_folder, require_parent, require_target
from crnn.fingerprint import differences, other_keys
from crnn.jobs.compare import Comparer
from crnn.jobs.protocol import AppliedProtocol, apply, protocol_named
from crnn.jobs.protocol import CountingProtocol as Counting
from crnn.labels import OF_LABELS
from crnn.machine import by_name, now
from crnn.python37 import Protocol
from crnn.reports.formats import Format, format_named
from crnn.reports.readings import ReadingsWriter
from crnn.reports.result_json import to_dict
from crnn.results import Comparison, Evaluation, Model, ShownInNotebook
from crnn.runners.base import Runner, batch_note
from crnn.runners.open import (
    by_width_rule,
    open_rehearsal,
    open_runner,
    read_as_asked,
    spec_given,
)
from crnn.samples.annotations import ListOptions
from crnn.samples.source import WordSource, fitting_batch, holds_bins, open_source
from crnn.scoring.scorer import Scorer, Sequenced, evaluation_of
from crnn.scoring.stream import Stages, run_batches
from crnn.spec import ModelSpec

if TYPE_CHECKING:
    from crnn.jobs.raw_outputs import OutputWriter, ResultFolder
    from crnn.jobs.sure import LateReadings, SureJob, SureOptions
    from crnn.jobs.views import ViewJob

Advance = Callable[[int], None]
Progress = Callable[[str, Optional[int]], ContextManager[Advance]]
Results = Generator[Tuple[Batch, Optional[np.ndarray]], None, None]
"""Batches, each with the logits (T, n, K) of its readable rows, None where it has none."""

GREEDY = DecodingOptions()
HARDLY = 0.05
"""Below this accuracy something else than the model is wrong."""
FEW = 20
"""Fewer words than this say nothing of how a tool cut its outputs."""


class Screen(Protocol):
    """Where lines are printed."""

    def out(self, text: str) -> None:
        """Print a line of the result."""

    def note(self, text: str) -> None:
        """Print what is to be known beside it."""


@dataclass(frozen=True)
class EvaluateRequest:
    """What to evaluate and what to check; the fields are the options of ``crnn evaluate``."""

    model: Path
    data: Path
    more: Sequence[Path] = ()
    typed: Sequence[str] = ()
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
    output: Optional[str] = None
    output_axes: Optional[str] = None
    columns: Optional[Tuple[str, str]] = None
    encoding: Optional[str] = None
    protocol: Optional[str] = None
    oov: Optional[str] = None
    format: Optional[str] = None
    rehearse: Optional[str] = None
    sure: Optional[SureOptions] = None
    decoding: Optional[DecodingOptions] = None
    lexicons: Optional[Path] = None
    nearest_width: bool = False
    width_rule: Optional[str] = None
    views: Optional[str] = None


@dataclass(frozen=True)
class ScoreRequest:
    """Which results to score and what to check; the fields are the options of ``crnn score``."""

    results: Path
    label: Optional[Path] = None
    typed: Sequence[str] = ()
    spec: Optional[str] = None
    output_axes: Optional[str] = None
    columns: Optional[Tuple[str, str]] = None
    encoding: Optional[str] = None
    readings: Optional[Path] = None
    against: Optional[Path] = None
    max_differ: int = 0
    min_accuracy: Optional[float] = None
    strict: bool = False
    format: Optional[str] = None
    sure: Optional[SureOptions] = None
    decoding: Optional[DecodingOptions] = None
    lexicons: Optional[Path] = None
    width_rule: Optional[str] = None


AnyRequest = Union[EvaluateRequest, ScoreRequest]


@dataclass(frozen=True)
class EvaluateOutcome(ShownInNotebook):
    """The evaluation, what a person should see beside it, and the checks that did not hold, a
    sentence each.

    ``named`` are the first few samples of each reason for a problem.
    """

    evaluation: Evaluation
    named: Sequence[Tuple[str, Problem]]
    notes: Sequence[str]
    comparison: Optional[Comparison]
    failures: Sequence[str]

    def to_dict(self) -> Dict[str, Any]:
        """Return the result JSON (docs/formats.md) as plain data."""
        return to_dict(self.evaluation, self.comparison)


@dataclass(frozen=True)
class Wanted:
    """What is done with readings and logits besides counting them."""

    spec: ModelSpec
    simulated: bool
    comparer: Optional[Comparer]
    readings: Union[ReadingsWriter, LateReadings, None]
    outputs: Optional[OutputWriter]
    style: Optional[Format]
    screen: Optional[Screen]

    def take(self, readings: Sequenced) -> None:
        """Compare, write and show readings, the next ones in data order."""
        if self.comparer:
            for reading in readings:
                self.comparer.add(reading)
        if self.readings:
            self.readings.add(readings)
        if self.style and self.screen:
            for reading in readings:
                for line in self.style.reading(reading, self.spec):
                    self.screen.out(line)


def evaluate(
    request: EvaluateRequest,
    progress: Progress,
    *,
    screen: Optional[Screen] = None,
) -> EvaluateOutcome:
    """Evaluate, and write readings and raw outputs where asked; each appears whole, or not at all.

    Args:
        request: What to do.
        progress: Shows how far it is: called with a label and the number of samples.
        screen: Gets the lines that ``request.format`` has for each reading, in data order; and,
            before the first batch, what is to be known of the model, such as the memory that a set
            of OMs takes, which may be too much. The notes of the outcome then lack that.

    Returns:
        The evaluation; failed checks are in it.

    Raises:
        InputError: There is nothing to evaluate, or a file cannot be used.
        UsageError: Two options of the request do not go together.
    """
    require_sound(request)
    if request.save_outputs is not None:
        require_parent(request.save_outputs)
    protocol = Counting()
    if request.protocol is not None or request.oov is not None:
        protocol = protocol_named(request.protocol, request.oov)
    job = job_of(request, protocol)
    runner, source, views, sure = job.runner, job.source, job.views, job.sure
    comparer = comparer_of(request, runner.spec)
    stages = Stages()
    asked = asked_of(request, sure, several=job.several)
    columns = columns_of(asked, runner.spec, sure)
    with contextlib.ExitStack() as stack:
        stack.enter_context(runner)
        told = _tell_first(request, runner, screen)
        readings = stack.enter_context(
            readings_file(request, sure, simulated=runner.simulated, more=columns)
        )
        outputs = stack.enter_context(_outputs_writer(request, runner))
        advance = stack.enter_context(progress("evaluating", len(source)))
        wanted = Wanted(
            runner.spec, runner.simulated, comparer, readings, outputs, style_of(request), screen
        )
        decoder = decoder_of(request, runner.spec, asked, source)
        scorer = scorer_of(runner.spec, sure, decoder, confidences=readings is not None)
        size = request.batch
        if not job.several:
            size = fitting_batch(size, source)
        with contextlib.closing(run_batches(runner, source, size, stages)) as results:
            seconds = _count(results, scorer, stages, wanted, advance)
        report_extras(scorer, source)
        if not scorer.metric.total:
            raise InputError(
                f"{request.data} holds no labelled word, so there is nothing to evaluate"
            )
        evaluation = evaluation_of(
            scorer,
            runner.info(),
            stages=stages,
            batch=request.batch,
            seconds=seconds,
            protocol=rules_of(request.protocol, protocol),
        )
        notes = [*notes_of(request, runner)[told:], *input_notes(runner.model, source)]
        notes.extend([*source.notes, *remarks_of(scorer, runner.spec)])
        if views is not None:
            notes.extend(views.notes(len(source)))
        notes.extend([*scorer.notes, *hardly_note(evaluation)])
        return outcome_of(request, request.data, evaluation, scorer, wanted, sure, notes)


@dataclass(frozen=True)
class Job:
    """A model and the data that it is to read."""

    runner: Runner
    source: WordSource
    views: Optional[ViewJob]
    sure: Optional[SureJob]

    @property
    def several(self) -> bool:
        """Whether a word is read in several views."""
        return self.views is not None and self.views.several


def job_of(request: EvaluateRequest, protocol: Counting, *, apart: bool = False) -> Job:
    """Open the model, which is not entered yet, and the data. A chip is used from a process of its
    own where it is to be kept ``apart``.
    """
    runner = _runner(request, apart=apart)
    views = _views(request, runner.spec)
    source = _source(request, runner.spec, protocol, views)
    return Job(runner, source, views, sure_of(request))


def score(
    request: ScoreRequest, progress: Progress, *, screen: Optional[Screen] = None
) -> EvaluateOutcome:
    """Score the raw outputs that another tool has left, exactly as `evaluate` scores those of a
    runner.

    Args:
        request: What to do.
        progress: As for `evaluate`.
        screen: As for `evaluate`.

    Returns:
        The evaluation; failed checks are in it.

    Raises:
        InputError: The results or the labels cannot be used.
    """
    from crnn.jobs.raw_outputs import ResultFolder

    require_sound(request)
    if request.label is None:
        raise UsageError("this is required: --label FILE, with the words of the results")
    spec = None
    if request.spec or request.output_axes:
        spec = spec_given(ModelSpec.default(), request.spec, request.output_axes)
    if request.width_rule is not None:
        spec = by_width_rule(spec or ModelSpec.default(), request.width_rule, request.results)
    options = ListOptions(None, request.columns, request.encoding)
    folder = ResultFolder(request.results, request.label, spec, options)
    comparer = comparer_of(request, folder.spec)
    sure = sure_of(request)
    stages = Stages()
    asked = asked_of(request, sure)
    with readings_file(
        request, sure, simulated=folder.simulated, more=columns_of(asked, folder.spec, sure)
    ) as readings, progress("scoring", len(folder)) as advance:
        wanted = Wanted(
            folder.spec, folder.simulated, comparer, readings, None, style_of(request), screen
        )
        decoder = decoder_of(request, folder.spec, asked, folder)
        scorer = scorer_of(folder.spec, sure, decoder, confidences=readings is not None)
        with contextlib.closing(folder.batches(stages)) as results:
            seconds = _count(results, scorer, stages, wanted, advance)
        report_extras(scorer, folder)
        evaluation = evaluation_of(
            scorer,
            folder.info(),
            stages=stages,
            batch=1,
            seconds=seconds,
            protocol=rules_of(None, Counting()),
        )
        notes = [*folder.notes, *_axis_note(evaluation), *scorer.notes]
        notes.extend(hardly_note(evaluation))
        return outcome_of(request, request.results, evaluation, scorer, wanted, sure, notes)


def _count(
    results: Results, scorer: Scorer, stages: Stages, wanted: Wanted, advance: Advance
) -> float:
    """Count every batch, do with its readings and logits what is wanted, and return the seconds
    that it all took.
    """
    start = time.perf_counter()
    for batch, logits in results:
        begin = time.perf_counter()
        readings = scorer.add(batch, logits)
        stages.add("score", time.perf_counter() - begin)
        wanted.take(readings)
        if wanted.outputs and logits is not None:
            wanted.outputs.add(batch, logits)
        advance(len(readings))
    return time.perf_counter() - start


def sure_of(request: AnyRequest) -> Optional[SureJob]:
    if request.sure is None:
        return None
    from crnn.jobs.sure import SureJob

    return SureJob(request.sure)


def _views(request: EvaluateRequest, spec: ModelSpec) -> Optional[ViewJob]:
    characters = request.sure is not None and request.sure.characters
    wanted = request.views is not None or bool(spec.views) or characters
    if not wanted and not holds_bins(request.data):
        return None
    from crnn.jobs.views import ViewJob
    from crnn.samples.bins import prepared_views

    if not wanted and not prepared_views(request.data):
        return None
    job = ViewJob(request.data, request.views, spec, characters=characters)
    if job.several and request.save_outputs is not None:
        raise UsageError("--save-outputs writes one output a word: say --views 1 with it")
    return job


@dataclass(frozen=True)
class Asked:
    """How words are decoded, and whether in ``several`` views each."""

    decoding: DecodingOptions
    several: bool = False


def asked_of(request: AnyRequest, sure: Optional[SureJob], *, several: bool = False) -> Asked:
    """Return how words are to be decoded. Of ``several`` views of a word the most probable text is
    kept.
    """
    options = request.decoding or GREEDY
    if sure is not None:
        options = dataclasses.replace(
            options,
            probability=sure.decoding.probability,
            characters=sure.decoding.characters,
        )
    if several:
        options = dataclasses.replace(options, probability=True)
    return Asked(options, several)


def decoder_of(
    request: AnyRequest, spec: ModelSpec, asked: Asked, source: Union[WordSource, ResultFolder]
) -> Optional[Decoder]:
    """Return what makes texts of logits; None where that is greedy CTC and nothing more."""
    options = asked.decoding
    if options == GREEDY and request.lexicons is None:
        return None
    samples: Optional[SampleWords] = None
    if options.of_samples:
        samples = _sample_words(request.lexicons, source)
    elif request.lexicons is not None:
        raise UsageError("--lexicons goes with --lexicon per-sample or --lexicon full")
    return Decoder(spec, options, samples)


def _sample_words(
    lexicons: Optional[Path], source: Union[WordSource, ResultFolder]
) -> Optional[SampleWords]:
    """Return the lexicons of the samples: from where they were said to be, else the data set's."""
    from crnn.samples.sample_words import words_in, words_of

    if lexicons is not None:
        return words_in(lexicons)
    return words_of(source)


def scorer_of(
    spec: ModelSpec, sure: Optional[SureJob], decoder: Optional[Decoder], *, confidences: bool
) -> Scorer:
    if sure is None:
        return Scorer(spec, confidences=confidences, decoder=decoder)
    return Scorer(
        spec,
        confidences=confidences,
        decoder=decoder,
        sureness=sure.counter,
        threshold=sure.threshold,
    )


def style_of(request: AnyRequest) -> Optional[Format]:
    if request.format is None:
        return None
    return format_named(request.format)


def _tell_first(request: EvaluateRequest, runner: Runner, screen: Optional[Screen]) -> int:
    """Say what is known of a runner that was entered; return the number of these notes."""
    if screen is None:
        return 0
    notes = notes_of(request, runner)
    for note in notes:
        screen.note(note)
    return len(notes)


@contextlib.contextmanager
def readings_file(
    request: AnyRequest, sure: Optional[SureJob], *, simulated: bool, more: Sequence[str]
) -> Iterator[Union[ReadingsWriter, LateReadings, None]]:
    if request.readings is None:
        yield None
        return
    with atomic_file(request.readings) as file:
        writer = ReadingsWriter(file, request.readings, simulated=simulated, more=more)
        if sure is not None and sure.judges_late:
            from crnn.jobs.sure import LateReadings

            yield LateReadings(writer)
        else:
            yield writer


def _judged(
    evaluation: Evaluation,
    sure: Optional[SureJob],
    readings: Union[ReadingsWriter, LateReadings, None],
) -> Evaluation:
    """Return an evaluation with how sure the model was; readings that wait for the threshold are
    written.
    """
    if sure is None:
        return evaluation
    evaluation = sure.judged(evaluation)
    if isinstance(readings, ReadingsWriter) or readings is None:
        return evaluation
    if sure.threshold is not None:
        readings.write(sure.threshold)
    return evaluation


def columns_of(asked: Asked, spec: ModelSpec, sure: Optional[SureJob]) -> Sequence[str]:
    """Return what a CSV of readings has beside its usual columns."""
    decoding = asked.decoding
    found: List[str] = []
    chosen = decoding.lexicon is not None or decoding.pattern is not None
    if chosen or decoding.probability:
        found.append("probability")
    if decoding.lexicon is not None:
        found.append("posterior")
    if sure is not None and sure.rejects:
        found.append("rejected")
    if len(spec.read_widths) > 1:
        found.append("width")
    if asked.several:
        found.extend(["view", "views_agree"])
    return found


@contextlib.contextmanager
def _outputs_writer(request: EvaluateRequest, runner: Runner) -> Iterator[Optional[OutputWriter]]:
    path = request.save_outputs
    if path is None:
        yield None
        return
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(
            f"--save-outputs {path}: it exists and is not an empty folder; name a new one"
        )
    from crnn.jobs.insides import write_insides
    from crnn.jobs.raw_outputs import OutputWriter
    from crnn.runners.probe_runner import ProbeRunner

    with atomic_folder(path) as folder:
        yield OutputWriter(folder, request.outputs_style, simulated=runner.simulated)
        if isinstance(runner, ProbeRunner):
            write_insides(folder, runner)


def require_sound(request: AnyRequest) -> None:
    """Refuse what cannot be written, and an option without the one that it belongs to."""
    if request.readings is not None:
        require_target(request.readings)
    if request.max_differ and request.against is None:
        raise UsageError("--max-differ goes with --against")


def comparer_of(request: AnyRequest, spec: ModelSpec) -> Optional[Comparer]:
    if request.against is None:
        return None
    return Comparer(request.against, spec)


def report_extras(scorer: Scorer, source: Union[WordSource, ResultFolder]) -> None:
    for key, problem in source.extras():
        scorer.report(key, problem)


def notes_of(request: EvaluateRequest, runner: Runner) -> List[str]:
    notes = list(batch_note(request.batch, runner.batch_sizes))
    if runner.model.spec_from == "default":
        default = ModelSpec.default()
        notes.insert(
            0,
            f"{request.model} carries no spec, so it is read by the historical contract:"
            f" {default.color}, {default.width}x{default.height}, {default.resizer}, blank"
            f" {default.blank}, then {default.characters}",
        )
    notes.extend(runner.notes)
    return notes


def input_notes(model: Model, source: WordSource) -> Sequence[str]:
    """Say where bins were made otherwise than a model's images are.

    Args:
        model: The model; nothing is said of one that is read by another spec than its own.
        source: The data; nothing is said of others than bins that carry a fingerprint.

    Returns:
        A sentence, or none where the two fingerprints are equal or one is lacking.
    """
    made = source.description
    if made is None or made.inputs is None or model.spec_from != "file":
        return ()
    if model.inputs is None:
        return ()
    said = differences(
        made.inputs, model.inputs, ("the bins", "the model"), constants=made.dtype != "uint8"
    )
    if not said:
        return ()
    keys = ", ".join(other_keys(made.spec, model.spec))
    if keys:
        keys = f" (their specs differ by {keys})"
    note = (
        f"the bins were not made as the model's images are: {'; '.join(said)}{keys}. Words read"
        " wrong may be the bins' fault: prepare them again with crnn prepare --spec"
        f" {model.path.name}"
    )
    return (note,)


def _hardly(evaluation: Evaluation) -> bool:
    """Say whether hardly a word is right of those that the model could see and gave numbers for;
    what kept it from the others is named, and is no fault of alphabet or labels.
    """
    seen = evaluation.total
    for reason, count in evaluation.skipped.items():
        if reason not in OF_LABELS:
            seen -= count
    return evaluation.correct < HARDLY * seen


def _axis_note(evaluation: Evaluation) -> Sequence[str]:
    if evaluation.total < FEW or not _hardly(evaluation):
        return ()
    note = (
        "hardly a word is right: if the tool ran batches, it may have cut its outputs along time;"
        " run it with an output batch axis of 1 (ais_bench --output_batchsize_axis 1), or with"
        " batch 1"
    )
    return (note,)


def remarks_of(scorer: Scorer, spec: ModelSpec) -> Iterator[str]:
    """Say once how many images were transparent or turned."""
    if scorer.remarks:
        # Bins have none: what decodes images is not needed for them.
        from crnn.image import remark_lines

        yield from remark_lines(scorer.remarks, spec)


def hardly_note(evaluation: Evaluation) -> Sequence[str]:
    """Return what is usually wrong where hardly a word is right."""
    if not _hardly(evaluation):
        return ()
    begin = f"hardly a word is right ({evaluation.correct} of {evaluation.total}): "
    texts = {reading.text for reading in evaluation.misses}
    if evaluation.run.simulated and len(texts) == 1 < len(evaluation.misses):
        return (f"{begin}every word is read alike, as with --timing-only, which computes nothing",)
    for name in ("pattern", "lexicon", "allow"):
        if name in evaluation.decoding:
            return (f"{begin}do the labels fit --{name} {evaluation.decoding[name]}?",)
    note = (
        f"{begin}usually it is the"
        " alphabet or its order, the order of the LSTMs' gates (crnn export --lstm-gate-order igfo,"
        " for checkpoints of the first NPU training stack), a spec that is not the model's"
        " (--spec), or labels that the model cannot read"
    )
    return (note,)


def outcome_of(
    request: AnyRequest,
    data: Path,
    evaluation: Evaluation,
    scorer: Scorer,
    wanted: Wanted,
    sure: Optional[SureJob],
    notes: Sequence[str],
) -> EvaluateOutcome:
    """Return an evaluation of some data with its checks."""
    evaluation = _judged(evaluation, sure, wanted.readings)
    comparison = None
    if wanted.comparer:
        comparison = wanted.comparer.finish()
        notes = [*notes, *wanted.comparer.notes]
    evaluation = dataclasses.replace(
        evaluation, data=data.resolve().name, date=now(), command=by_name(request.typed)
    )
    failures = tuple(_failures(evaluation, comparison, request))
    return EvaluateOutcome(evaluation, scorer.named, tuple(notes), comparison, failures)


def _runner(request: EvaluateRequest, *, apart: bool) -> Runner:
    if request.rehearse is None:
        runner = open_runner(
            request.model,
            device=request.device,
            threads=request.threads,
            more=request.more,
            apart=apart,
        )
    else:
        runner = open_rehearsal(request.model, device=request.device)
    read_as_asked(runner, request.output, request.spec, request.output_axes)
    if request.width_rule is not None:
        runner.read_by(by_width_rule(runner.spec, request.width_rule, request.model))
    if request.nearest_width:
        runner.take_nearest()
    return runner


def rules_of(name: Optional[str], protocol: Counting) -> Mapping[str, object]:
    return {"name": name, **dataclasses.asdict(protocol)}


def _source(
    request: EvaluateRequest, spec: ModelSpec, protocol: Counting, views: Optional[ViewJob]
) -> WordSource:
    maker = None
    prepared: Sequence[str] = ()
    if views is not None:
        maker, prepared = views.maker, views.prepared
    under, rules = spec, None
    if protocol != Counting():
        under = apply(protocol, spec)
        rules = AppliedProtocol(protocol, spec)
    source = open_source(
        request.data,
        under,
        label=request.label,
        workers=request.threads,
        rules=rules,
        options=ListOptions(None, request.columns, request.encoding),
        views=maker,
        prepared=prepared,
    )
    if under != spec and holds_bins(request.data):
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
    evaluation: Evaluation, comparison: Optional[Comparison], request: AnyRequest
) -> Iterator[str]:
    if request.min_accuracy is not None and evaluation.accuracy < request.min_accuracy:
        yield (
            f"accuracy {evaluation.accuracy:.4f} is below the {request.min_accuracy} that"
            " --min-accuracy asks for"
        )
    if request.strict and evaluation.skipped:
        yield f"--strict: {sum(evaluation.skipped.values())} samples or files had a problem"
    if comparison and comparison.differ > request.max_differ:
        yield (
            f"{comparison.differ} words were read differently than in {request.against}; "
            f"--max-differ allows {request.max_differ}"
        )
