"""An evaluation that is kept in a run's folder (`crnn.jobs.run_folder`): words to records, records
to an Evaluation.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

from crnn.batch import Batch, Problem
from crnn.decoding.decoder import DecodingOptions
from crnn.errors import InputError, UnavailableError, UsageError
from crnn.filekind import sha256
from crnn.jobs import evaluate as one
from crnn.jobs.evaluate import (
    Asked,
    EvaluateOutcome,
    EvaluateRequest,
    Job,
    Progress,
    ScoreRequest,
    Screen,
    Wanted,
)
from crnn.jobs.protocol import CountingProtocol
from crnn.jobs.run_folder import (
    Claims,
    RunFolder,
    Shard,
    part_of,
    refuse_used,
    require_same,
    shard_size,
)
from crnn.jobs.run_records import (
    Kept,
    KeptBatch,
    Rows,
    Told,
    batch_as_kept,
    batch_of,
    kept_lines,
    rows_keys,
)
from crnn.reports.result_json import run_dict
from crnn.results import Evaluation, Model, Reading, RunInfo
from crnn.runners.base import Runner
from crnn.samples.bins import BinFolder, Range
from crnn.samples.pack import PackedBins
from crnn.samples.source import ImageSource, WordSource
from crnn.scoring.rows import Row, judged
from crnn.scoring.scorer import PlainRows, Scorer, Sequenced, evaluation_of
from crnn.scoring.stream import Stages, run_batches
from crnn.spec import ModelSpec

_NEEDED = frozenset(["confidences", "data", "probability", "restricted", "run", "spec", "views"])
"""What a run of words with labels keeps of itself."""


@dataclass(frozen=True)
class RunOptions:
    """Where a run is kept, whether one that is there is gone on with, and which part of it is to be
    done here, such as "3/16"; None for all.
    """

    folder: Path
    resume: bool = False
    shard: Optional[str] = None


@dataclass(frozen=True)
class Unfinished:
    """What a run that is not complete has: words of words, and the notes of this part of it."""

    folder: Path
    words: int
    total: int
    notes: Sequence[str]


def evaluate_run(
    request: EvaluateRequest,
    options: RunOptions,
    progress: Progress,
    *,
    screen: Optional[Screen] = None,
) -> Union[EvaluateOutcome, Unfinished]:
    """Evaluate what is missing of a run, and make the result of its records once all are there.

    Args:
        request: What to do.
        options: Where.
        progress: As for `evaluate`.
        screen: As for `evaluate`; is told too when other processes are waited for.

    Returns:
        The evaluation; where another job is to do the rest, how far the run is.

    Raises:
        InputError: The folder holds another run, or something else.
        UsageError: Two options do not go together.
    """
    part_of((), options.shard or "1/1")
    begun = look_at(request, options)
    run = begun.run
    notes = list(begun.notes)
    counted = None
    if run is None or not run.complete():
        try:
            run, counted, more = _go_on(request, options, begun, progress, screen)
        except UnavailableError as error:
            kept = f"What was read is kept in {options.folder}: go on with --resume."
            error.hint = f"{error.hint} {kept}".strip()
            raise
        notes.extend(more)
    if not run.complete():
        return Unfinished(options.folder, run.words_done(), len(begun.job.source), notes)
    return _result(request, [run], progress, screen, notes, counted)


@dataclass(frozen=True)
class Begun:
    """What is to be evaluated, and the run as far as it is there; no model is entered yet."""

    job: Job
    asked: Asked
    configuration: Mapping[str, Any]
    run: Optional[RunFolder]
    notes: Sequence[str]


def look_at(request: EvaluateRequest, options: RunOptions) -> Begun:
    """Look at what is to be evaluated, and at the folder of the run.

    Args:
        request: What to do.
        options: Where.

    Returns:
        What there is.

    Raises:
        InputError: The folder holds another run, or something else.
        UsageError: Two options do not go together.
    """
    one.require_sound(request)
    _require_suitable(request)
    is_there = (options.folder / "run.json").exists()
    if not is_there or not options.resume:
        refuse_used(options.folder, joins=options.resume)
    job = one.job_of(request, CountingProtocol(), apart=True)
    asked = one.asked_of(request, job.sure, several=job.several)
    configuration = _configuration(request, job, asked)
    run = None
    if is_there:
        open_evaluation(options.folder)
        run = RunFolder.resume(options.folder, configuration)
    notes = [*one.input_notes(job.runner.model, job.source), *job.source.notes]
    return Begun(job, asked, configuration, run, notes)


def result_of(
    request: EvaluateRequest,
    folder: Path,
    progress: Progress,
    screen: Optional[Screen],
    notes: Sequence[str],
) -> EvaluateOutcome:
    """Make the result of a complete run.

    Args:
        request: What was done, and what to check.
        folder: The run's folder.
        progress: As for `evaluate`.
        screen: As for `evaluate`.
        notes: What a user should be told.

    Returns:
        The evaluation.

    Raises:
        InputError: A shard is missing, or its records are damaged.
    """
    return _result(request, [open_evaluation(folder)], progress, screen, notes)


def score_runs(
    request: ScoreRequest, folders: Sequence[Path], progress: Progress, screen: Optional[Screen]
) -> EvaluateOutcome:
    """Make the result of a run whose shards were done in several places.

    Args:
        request: What to check.
        folders: The run's folders: each shard is in one of them.
        progress: As for `evaluate`.
        screen: As for `evaluate`.

    Returns:
        The evaluation.

    Raises:
        InputError: They are not of one run, or a shard is missing.
    """
    one.require_sound(request)
    runs = [open_evaluation(folder) for folder in folders]
    for run in runs[1:]:
        other = f"in {runs[0].path} it is"
        hint = "Name the folders of one run: of one command, each with another --shard."
        require_same(run.kept, runs[0].kept, [], run.path, other, hint)
    return _result(request, runs, progress, screen, [])


@dataclass(frozen=True)
class SoFar:
    """What the folders of one run hold, be it complete or not: the shards that are whole, with the
    folder of each, and the words of the run, read or not.
    """

    shards: Sequence[Tuple[RunFolder, Shard]]
    total: int

    @property
    def run(self) -> RunFolder:
        """One of its folders."""
        return self.shards[0][0]

    @property
    def words(self) -> int:
        """How many words were read."""
        return sum(shard.end - shard.begin for _, shard in self.shards)

    @property
    def confidences(self) -> bool:
        """Whether the words that were right have a confidence too."""
        kept = self.run.configuration
        return bool(kept["confidences"] or kept["probability"])

    def lines(self) -> Iterator[List[bytes]]:
        """Yield the lines of each batch in the data's order, the last one the batch's own.

        Raises:
            InputError: Records cannot be read.
        """
        for run, shard in self.shards:
            with damage_told(run, shard):
                yield from run.records(shard)

    def evaluation(self) -> Evaluation:
        """Count all that is there.

        Returns:
            The evaluation of those words, without a date: that is not known.

        Raises:
            InputError: No word has a label, or records cannot be read.
        """
        info = _info(self.run.configuration, self.run.path)
        scorer = one.scorer_of(info.model.spec, None, None, confidences=False)
        counted = _Counted(scorer, None)
        for run, shard in self.shards:
            with damage_told(run, shard):
                for lines in run.records(shard):
                    counted.add(counted.batch(lines))
        evaluation = _evaluation(counted, info, self.run)
        return dataclasses.replace(evaluation, data=str(self.run.configuration["data"]))


def so_far(folders: Sequence[RunFolder]) -> SoFar:
    """Find what is there of a run.

    Args:
        folders: Its folders, as `open_evaluation` returns them.

    Returns:
        The shards that are whole now.

    Raises:
        InputError: There is none.
    """
    found = []
    for shard in folders[0].shards:
        for run in folders:
            if run.whole(shard).exists():
                found.append((run, shard))
                break
    if not found:
        raise InputError(
            f"{folders[0].path}: none of the {len(folders[0].shards)} shards is whole, so there is"
            " nothing to count",
            hint="Go on with crnn evaluate … --run DIR --resume.",
        )
    return SoFar(found, folders[0].count)


def open_evaluation(folder: Path) -> RunFolder:
    """Open a run whose words have labels.

    Args:
        folder: Its folder.

    Returns:
        The run.

    Raises:
        InputError: It is not a run, or one of ``crnn read``.
    """
    run = RunFolder.open(folder)
    if not _NEEDED.issubset(run.configuration):
        raise InputError(
            f"{folder} is a run of crnn read, whose words have no labels: nothing tells which are"
            " right",
            hint="Evaluate labelled words instead: crnn evaluate MODEL DATA --run DIR",
        )
    return run


def is_run(path: Path) -> bool:
    """Say whether a folder holds a run.

    Args:
        path: A folder, or anything else.

    Returns:
        Whether ``run.json`` is in it.
    """
    return (path / "run.json").is_file()


def _require_suitable(request: EvaluateRequest) -> None:
    decoding = request.decoding or DecodingOptions()
    refused = {
        "--protocol": request.protocol is not None,
        "--oov": request.oov is not None,
        "--save-outputs": request.save_outputs is not None,
        "--lexicon per-sample": decoding.of_samples,
    }
    for option, given in refused.items():
        if given:
            raise UsageError(f"{option} does not go with --run")


def _configuration(request: EvaluateRequest, job: Job, asked: Asked) -> Dict[str, Any]:
    """Return all that is known of a run before the model is opened."""
    decoding = asked.decoding
    model = job.runner.model
    restricted: Dict[str, Any] = {
        "allow": decoding.allow,
        "pattern": decoding.pattern,
        "beam": decoding.beam,
        "method": decoding.method,
        "lexicon": None,
    }
    if decoding.lexicon is not None:
        restricted["lexicon"] = str(decoding.lexicon)
        if Path(str(decoding.lexicon)).is_file():
            restricted["lexicon"] = sha256(Path(str(decoding.lexicon)))
    views: Sequence[str] = ()
    if job.views is not None:
        views = job.views.names
    return {
        "model": model.sha256,
        "external_data": dict(model.external_data),
        "spec": job.runner.spec.to_dict(),
        "listing": listing_digest(job.source),
        "batch": request.batch,
        "output": request.output,
        "rehearse": request.rehearse,
        "restricted": restricted,
        "probability": decoding.probability,
        "characters": decoding.characters,
        "alternatives": decoding.alternatives,
        "views": list(views),
        "confidences": request.readings is not None,
    }


def listing_digest(source: WordSource) -> str:
    """Return what stands for a data set's words and their labels.

    Args:
        source: The data set.

    Returns:
        A SHA-256.
    """
    if isinstance(source, (BinFolder, PackedBins)):
        return source.labels.digest()
    made = hashlib.sha256()
    for key, label in source.every_label():
        made.update(repr((key, label)).encode("utf-8", "backslashreplace"))
    return made.hexdigest()


def _go_on(
    request: EvaluateRequest,
    options: RunOptions,
    begun: Begun,
    progress: Progress,
    screen: Optional[Screen],
) -> Tuple[RunFolder, Optional[_CountedAtOnce], List[str]]:
    """Read what is missing; return the run, what was counted of it where nothing but counts are
    wanted, and what a user should be told.
    """
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(
            _reader(request, options.folder, begun.job, begun.asked, begun.configuration)
        )
        advance = stack.enter_context(progress("evaluating", len(begun.job.source)))
        run = reader.run
        if _is_only_counted(request):
            spec = _info(run.configuration, run.path).model.spec
            plain = one.scorer_of(spec, None, None, confidences=False)
            reader.counted = _CountedAtOnce(run, _Counted(plain, None))
        wanted = part_of(run.shards, options.shard or "1/1")
        advance(run.words_done())
        for told in run.rounds(wanted):
            if told and screen is not None:
                screen.note(told)
            reader.read(wanted, advance=advance)
    return run, reader.counted, reader.notes()


def _is_only_counted(request: EvaluateRequest) -> bool:
    """Say whether nothing is wanted of a run's records but their counts."""
    others = (request.readings, request.against, request.format, request.sure)
    return all(other is None for other in others)


class RunReader:
    """A model that was entered, and reads shards of a run; `open_reader` opens one.

    Args:
        run: The run.
        job: The model and the data.
        request: What to do.
        scorer: What makes readings of logits.
    """

    def __init__(self, run: RunFolder, job: Job, request: EvaluateRequest, scorer: Scorer) -> None:
        self.run = run
        self.counted: Optional[_CountedAtOnce] = None
        """Counts what is read, where nothing else is wanted of it."""
        self._job = job
        self._request = request
        self._writer = _Writer(job.runner, job.source, scorer, several=job.several)

    def read(
        self,
        wanted: Sequence[Shard],
        passed: Mapping[int, Problem] = MappingProxyType({}),
        given_up: Mapping[str, str] = MappingProxyType({}),
        advance: one.Advance = lambda count: None,
    ) -> None:
        """Read the shards that nobody works on.

        Args:
            wanted: The shards to choose from.
            passed: Words that are not read, by their positions in the data, and why.
            given_up: Devices that have failed elsewhere, with the reason: the records name them.
            advance: Is told how many words were read.
        """
        self._writer.elsewhere.update(given_up)
        lines = {place: self._line(place, problem) for place, problem in passed.items()}
        _read(self.run, wanted, self._writer, self.counted, advance, lines)

    def attempt(self, words: Sequence[Range]) -> None:
        """Read some words and forget them, to see whether that can be survived.

        Args:
            words: Their positions.
        """
        job = self._job
        ranges = _Ranges(job.source, words)
        with contextlib.closing(
            run_batches(job.runner, ranges, self.run.batch, Stages())
        ) as results:
            for _ in results:
                pass

    def notes(self) -> List[str]:
        """Return what a user should be told of what was read."""
        runner, scorer = self._job.runner, self._writer.scorer
        notes = one.notes_of(self._request, runner)
        notes.extend(one.remarks_of(scorer, runner.spec))
        if self._job.views is not None:
            notes.extend(self._job.views.notes(len(self._job.source)))
        return [*notes, *scorer.notes]

    def _line(self, place: int, problem: Problem) -> bytes:
        """Return the lines of a word that is not read."""
        key, label = self._word(place)
        return passed_line(Reading(key, "", None, label), problem, self._job.runner)

    def _word(self, place: int) -> Tuple[str, Optional[str]]:
        """Return the name and the label of a word as its batch would have them."""
        source = self._job.source
        if isinstance(source, (BinFolder, PackedBins)):
            labels = source.labels
            return labels.keys(place, place + 1)[0], labels.texts(place, place + 1)[0]
        return next(itertools.islice(source.every_label(), place, None))


def passed_line(reading: Reading, problem: Problem, runner: Runner) -> bytes:
    """Return the lines of a word that is not read, as a batch of its own.

    Args:
        reading: The word without a text.
        problem: Why it is not read.
        runner: What would have read it.

    Returns:
        The lines with their ends.
    """
    row = Row(reading, None, problem, None)
    return kept_lines([row], Told(), simulated=runner.simulated, waits=False).lines


@contextlib.contextmanager
def open_reader(request: EvaluateRequest, folder: Path, device: str) -> Iterator[RunReader]:
    """Open a model in order to read shards of a run that was begun, or that this begins.

    Args:
        request: What to do.
        folder: The run's folder.
        device: What the run is to call the device, whichever it is here; empty for its own name.

    Yields:
        What reads.

    Raises:
        InputError: The folder holds another run.
        UnavailableError: The device cannot be used.
    """
    job = one.job_of(request, CountingProtocol(), apart=True)
    asked = one.asked_of(request, job.sure, several=job.several)
    configuration = _configuration(request, job, asked)
    with _reader(request, folder, job, asked, configuration, device) as reader:
        yield reader


@contextlib.contextmanager
def _reader(
    request: EvaluateRequest,
    folder: Path,
    job: Job,
    asked: Asked,
    configuration: Mapping[str, Any],
    device: str = "",
) -> Iterator[RunReader]:
    """Enter the model, and begin the run or go on with it."""
    runner, source = job.runner, job.source
    runner.spare = True
    if isinstance(source, ImageSource):
        # What decodes images is among the versions that take part, whichever images come.
        import crnn.samples.batches  # noqa: F401
        from crnn import image_decoders

        image_decoders.used()
    with runner:
        decoder = one.decoder_of(request, runner.spec, asked, source)
        confidences = request.readings is not None
        scorer = Scorer(runner.spec, confidences=confidences, decoder=decoder)
        about = {**run_dict(runner.info()), "decoding": scorer.decoding}
        if device:
            about["device"] = device
        full = {**configuration, "data": request.data.resolve().name, "run": about}
        if (folder / "run.json").exists():
            del full["data"]
            run = RunFolder.resume(folder, full)
        else:
            count = len(source)
            size = shard_size(count, request.batch)
            run = RunFolder.create(folder, full, count=count, size=size, batch=request.batch)
        yield RunReader(run, job, request, scorer)


class _Ranges:
    """Some ranges of a source, as a source of batches."""

    def __init__(self, source: WordSource, ranges: Iterable[Range]) -> None:
        self._source = source
        self._ranges = ranges

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        return self._source.batches(size, keep=keep, ranges=self._ranges)

    def close(self) -> None:
        self._source.close()


class _Writer:
    """Makes the lines of what was read."""

    def __init__(
        self, runner: Runner, source: WordSource, scorer: Scorer, *, several: bool
    ) -> None:
        self.runner = runner
        self.source = source
        self.scorer = scorer
        self.stages = Stages()
        self.elsewhere: Dict[str, str] = {}
        """Devices that have failed in other processes, with the reason."""
        self._several = several
        self._asks = True
        self._told: Set[Tuple[str, Problem]] = set()
        self._given_up: Set[str] = set()
        self._remarks: Dict[str, int] = {}
        self._since = time.perf_counter()

    def begin(self) -> None:
        """Count time from now on."""
        self._since = time.perf_counter()

    def lines(self, batch: Batch, rows: Rows) -> Kept:
        """Return the lines of rows that were complete with a batch; none for no rows."""
        for remark, count in batch.remarks.items():
            self._remarks[remark] = self._remarks.get(remark, 0) + count
        self.scorer.remarks.update(batch.remarks)
        if not rows_keys(rows):
            return Kept(b"", exact=True)
        now = time.perf_counter()
        stages, by_width = self.stages.taken()
        extras = self._new_extras()
        given_up = {}
        for device, reason in {**self.runner.given_up, **self.elsewhere}.items():
            if device not in self._given_up:
                given_up[device] = reason
        self._given_up.update(given_up)
        told = Told(now - self._since, stages, by_width, self._remarks, extras, given_up)
        self._since, self._remarks = now, {}
        return kept_lines(rows, told, simulated=self.runner.simulated, waits=self.scorer.waits)

    def _new_extras(self) -> List[Tuple[str, Problem]]:
        """Return the problems of the data set that were not written down yet."""
        if not self._asks:
            return []
        # Those of bins in one view are all known from the beginning, and may be many.
        self._asks = not isinstance(self.source, (BinFolder, PackedBins)) or self._several
        extras = [extra for extra in self.source.extras() if extra not in self._told]
        self._told.update(extras)
        return extras


def _read(
    run: RunFolder,
    wanted: Sequence[Shard],
    writer: _Writer,
    counted: Optional[_CountedAtOnce],
    advance: one.Advance,
    passed: Mapping[int, bytes],
) -> None:
    """Read the shards that nobody works on."""
    writer.begin()
    with Claims(run, wanted, passed) as claims, contextlib.closing(
        run_batches(writer.runner, _Ranges(writer.source, claims), run.batch, writer.stages)
    ) as results:
        for batch, logits in results:
            begin = time.perf_counter()
            rows = writer.scorer.decode(batch, logits)
            writer.stages.add("score", time.perf_counter() - begin)
            kept = writer.lines(batch, rows)
            if not kept.lines:
                continue
            count = len(rows_keys(rows))
            place = claims.append(kept.lines, count)
            if counted is not None:
                counted.add(place, rows, kept)
            advance(count)


def _result(
    request: Union[EvaluateRequest, ScoreRequest],
    runs: Sequence[RunFolder],
    progress: Progress,
    screen: Optional[Screen],
    notes: Sequence[str],
    at_once: Optional[_CountedAtOnce] = None,
) -> EvaluateOutcome:
    """Count all records of a run; those that were counted ``at_once`` are only compared with it."""
    kept = runs[0].configuration
    info = _info(kept, runs[0].path)
    spec = info.model.spec
    sure = one.sure_of(request)
    asked = _kept_asked(kept, runs[0].path)
    if sure is not None and sure.decoding.probability and not asked.decoding.probability:
        raise UsageError(
            f"{runs[0].path} keeps no probabilities: begin it with --probability to ask for them"
        )
    if request.readings is not None and not kept["confidences"]:
        raise UsageError(
            f"{runs[0].path} keeps no confidences of words that were right: begin it with"
            " --readings to ask for them"
        )
    scorer = one.scorer_of(spec, sure, None, confidences=False)
    columns = one.columns_of(asked, spec, sure)
    comparer = one.comparer_of(request, spec)
    with one.readings_file(
        request, sure, simulated=info.simulated, more=columns
    ) as readings, progress("counting", runs[0].count) as advance:
        wanted = Wanted(
            spec, info.simulated, comparer, readings, None, one.style_of(request), screen
        )
        counted = _Counted(scorer, sure)
        position = 0
        if at_once is not None and at_once.holds():
            counted, position = at_once.counted, at_once.position
            scorer = counted.scorer
            advance(position)
        for shard in runs[0].shards:
            if shard.end <= position:
                continue
            run = _holder(runs, shard)
            with damage_told(run, shard):
                for lines in run.records(shard):
                    taken = counted.add(counted.batch(lines))
                    wanted.take(taken)
                    advance(len(taken))
    evaluation = _evaluation(counted, info, runs[0])
    said = [*notes, *one.hardly_note(evaluation)]
    for device, reason in counted.given_up.items():
        said.append(f"{device} was given up, and others went on: {_first_line(reason)}")
    return one.outcome_of(request, Path(kept["data"]), evaluation, scorer, wanted, sure, said)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _evaluation(counted: _Counted, info: RunInfo, run: RunFolder) -> Evaluation:
    """Return what the counted batches of a run come to."""
    scorer = counted.scorer
    for key, problem in counted.extras:
        scorer.report(key, problem)
    if not scorer.metric.total:
        raise InputError(f"{run.path} holds no labelled word, so there is nothing to evaluate")
    evaluation = evaluation_of(
        scorer,
        dataclasses.replace(info, given_up=counted.given_up),
        stages=counted.stages,
        batch=run.batch,
        seconds=counted.seconds,
        protocol=one.rules_of(None, CountingProtocol()),
    )
    return dataclasses.replace(evaluation, decoding=run.configuration["run"]["decoding"])


class _Counted:
    """Counts batches as they were written down."""

    def __init__(self, scorer: Scorer, sure: Any) -> None:
        self.seconds = 0.0
        self.extras: Dict[Tuple[str, Problem], None] = {}
        self.given_up: Dict[str, str] = {}
        self.scorer = scorer
        self.stages = Stages()
        self._threshold: Optional[float] = None
        if sure is not None:
            self._threshold = sure.threshold

    def batch(self, lines: Sequence[bytes]) -> KeptBatch:
        """Return what a batch's lines say."""
        return batch_of(lines, self.scorer.spec.fold, plain=self.scorer.plain)

    def add(self, batch: KeptBatch) -> Sequenced:
        """Count a batch and return its readings."""
        told = batch.told
        self.seconds += told.seconds
        for stage, values in told.stages.items():
            for value in values:
                self.stages.add(stage, value)
        for width, (rows, seconds) in told.by_width.items():
            self.stages.at_width(width, rows, seconds)
        self.extras.update(dict.fromkeys(told.extras))
        self.given_up.update(told.given_up)
        self.scorer.read += batch.read
        self.scorer.remarks.update(told.remarks)
        return self.scorer.count(self._judged(batch.rows))

    def _judged(self, rows: Rows) -> Rows:
        if self._threshold is None or isinstance(rows, PlainRows):
            return rows
        found = []
        for row in rows:
            reading = judged(row.reading, self._threshold)
            found.append(dataclasses.replace(row, reading=reading))
        return found


class _CountedAtOnce:
    """Counts whole shards while their records are written, so that these need not be read again:
    those from the run's first on that this process writes, one after the other.

    It counts what the records say; their checksums tell whether they still do.
    """

    def __init__(self, run: RunFolder, counted: _Counted) -> None:
        self.counted = counted
        self.position = 0
        """How many words of the run, from its first on, were counted."""
        self._run = run
        self._sums: List[int] = []
        self._sum = 0

    def add(self, place: int, rows: Rows, kept: Kept) -> None:
        """Count a batch that was written down, unless one before it was not counted."""
        if place != self.position:
            return
        shard = self._run.shards[len(self._sums)]
        if place == shard.begin:
            self._sum = zlib.crc32(self._run.header(shard))
        self._sum = zlib.crc32(kept.lines, self._sum)
        scorer = self.counted.scorer
        batch = batch_as_kept(rows, kept, scorer.spec.fold, plain=scorer.plain)
        self.position += len(self.counted.add(batch))
        if self.position == shard.end:
            self._sums.append(self._sum)

    def holds(self) -> bool:
        """Say whether all records that were counted are there as they were written."""
        for shard, written in zip(self._run.shards, self._sums):
            if _checksum(self._run.whole(shard)) != written:
                return False
        ends = [shard.end for shard in self._run.shards[: len(self._sums)]]
        return self.position == max(ends, default=0)


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found = zlib.crc32(block, found)
    return found


def _holder(runs: Sequence[RunFolder], shard: Shard) -> RunFolder:
    """Return the folder that has a shard's records."""
    for run in runs:
        if run.whole(shard).exists():
            return run
    missing = [other.name for other in runs[0].shards if not _is_there(runs, other)]
    named = ", ".join(missing[:5])
    if len(missing) > 5:
        named += f" and {len(missing) - 5} more"
    raise InputError(
        f"{', '.join(str(run.path) for run in runs)}: not complete: shards {named} of"
        f" {len(runs[0].shards)} are missing",
        hint="Go on with crnn evaluate … --run DIR --resume, or name the folders that have them.",
    )


def _is_there(runs: Sequence[RunFolder], shard: Shard) -> bool:
    return any(run.whole(shard).exists() for run in runs)


@contextlib.contextmanager
def damage_told(run: RunFolder, shard: Shard) -> Iterator[None]:
    """Name the file of records that cannot be read.

    Args:
        run: The run.
        shard: The shard whose records are read in the block.

    Raises:
        InputError: They cannot.
    """
    try:
        yield
    except InputError as error:
        path = str(run.whole(shard))
        if path in error.message:
            raise
        hint = error.hint or "Remove it and go on with --resume."
        raise InputError(f"{path}: {error.message}", hint=hint) from error


def _info(kept: Mapping[str, Any], path: Path) -> RunInfo:
    """Return what has run the model, as a run keeps it."""
    try:
        about = kept["run"]
        model = about["model"]
        spec = ModelSpec.from_dict(model["spec"], where=str(path / "run.json"))
        external = model.get("external_data", {})
        if not isinstance(kept["data"], str):
            raise TypeError(f"the data set is {kept['data']!r}")
        if not isinstance(about["decoding"], (dict, type(None))):
            raise TypeError(f"the decoding is {about['decoding']!r}")
        return RunInfo(
            Model(Path(model["path"]), model["sha256"], spec, model["spec_from"], external),
            about["backend"],
            about["device"],
            about["threads"],
            dict(about["versions"]),
            about["simulated"],
            about.get("rehearsed"),
            tuple(about.get("widths_lacking", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path / 'run.json'}: not as crnn evaluate --run writes it: {error!r}"
        ) from error


def _kept_asked(kept: Mapping[str, Any], path: Path) -> Asked:
    """Return how a run's words were decoded."""
    try:
        restricted = kept["restricted"]
        decoding = DecodingOptions(
            probability=kept["probability"],
            characters=kept["characters"],
            lexicon=restricted["lexicon"],
            pattern=restricted["pattern"],
        )
        return Asked(decoding, len(kept["views"]) > 1)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path / 'run.json'}: not as crnn evaluate --run writes it: {error!r}"
        ) from error
