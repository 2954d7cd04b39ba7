"""What came out: readings, comparisons, how a model was run, and the one evaluation result."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from crnn.fingerprint import Fingerprint, read_fingerprint
from crnn.spec import ModelSpec


class ShownInNotebook:
    """What a notebook shows as the page of ``crnn report`` does, where Jinja2 is installed."""

    def _repr_html_(self) -> Optional[str]:
        """Return HTML for a notebook; None where it is to show text."""
        if importlib.util.find_spec("jinja2") is None:
            return None
        # By its name: what shows results stands above them, and is needed in notebooks alone.
        notebook = importlib.import_module("crnn.jobs.report.notebook")
        html: Optional[str] = notebook.html_of(self)
        return html


@dataclass(frozen=True)
class Alternative:
    """A text that a model might have read, and its probability."""

    text: str
    probability: float


@dataclass(frozen=True)
class Character:
    """A character of a reading: its CTC class ``index``, the largest ``probability`` of its steps,
    and the ``first`` and ``last`` column that it takes, in pixels of the picture from 0.
    """

    character: str
    index: int
    probability: float
    first: int
    last: int


@dataclass(frozen=True)
class Reading(ShownInNotebook):
    """What a model read; ``label`` is the truth as it was given, ``confidence`` None where it was
    not asked for.

    The fields with a default are None where they were not asked for, and are written only where
    they are set. ``probability`` is the text's own, over all its CTC paths; ``posterior`` its share
    among the candidates of a lexicon; ``alternatives`` are the likeliest texts, likeliest first.
    ``rejected`` says whether the probability is below the one that was asked for.
    ``width`` is the one that the image was read at, in columns, of a model with several; ``view``
    the view of the word that gave the text, where there were several, and ``views_agree`` whether
    all of them gave it. ``image`` is what `crnn.recognizer.Recognizer` has read it from, for
    notebooks; it is neither compared nor written.
    """

    key: str
    text: str
    confidence: Optional[float]
    label: Optional[str]
    probability: Optional[float] = None
    posterior: Optional[float] = None
    alternatives: Optional[Sequence[Alternative]] = None
    rejected: Optional[bool] = None
    characters: Optional[Sequence[Character]] = None
    width: Optional[int] = None
    view: Optional[str] = None
    views_agree: Optional[bool] = None
    image: Any = field(default=None, repr=False, compare=False)


class ReadingList(List[Reading], ShownInNotebook):
    """Readings, which a notebook shows beside their pictures."""


@dataclass(frozen=True)
class Model:
    """A model file: where it is, its hash, and the spec that it is read by.

    ``spec_from`` says where the spec comes from: file, default or given. ``external_data`` has the
    hashes of the files that hold an ONNX's weights, by name.
    """

    path: Path
    sha256: str
    spec: ModelSpec
    spec_from: str
    external_data: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    """The JSON of `inputs`; "" where the file has none."""

    @property
    def inputs(self) -> Optional[Fingerprint]:
        """What the model's own spec made of the built-in patterns where it was written; None where
        that is not known. It is read where bins, or another model, are compared with it.
        """
        return read_fingerprint(self.fingerprint)


@dataclass(frozen=True)
class RunInfo:
    """What has run a model, and with what.

    ``backend`` and ``device`` are None where another tool ran it and only its outputs are here.
    ``threads`` are the processor's. ``versions`` holds the kit's, and those of what stands below
    it. ``simulated`` says that no chip was involved; ``rehearsed`` is the precision in which a
    chip's computation was rehearsed, None where none was. ``lacking`` are the widths that the spec
    names and the model lacks, where the nearest took their places. ``given_up`` are the devices
    that failed while others went on, with the reason.
    """

    model: Model
    backend: Optional[str]
    device: Optional[str]
    threads: int
    versions: Mapping[str, str]
    simulated: bool
    rehearsed: Optional[str] = None
    lacking: Tuple[int, ...] = ()
    given_up: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """Words that were kept, how many of them are right, and the 95 % interval of that share."""

    count: int
    correct: int
    interval95: Tuple[float, float]


@dataclass(frozen=True)
class Rejection:
    """What is kept of ``total`` labelled words where those less probable than ``threshold`` are
    rejected, and those that could not be read.

    ``wanted`` is the accuracy for which the threshold was found on these words, None where it was
    given. ``transferred`` is then what thresholds found on one half of the words keep of the other.
    ``found`` is what a threshold that comes from another set kept there, as that set's result has
    it.
    """

    threshold: float
    total: int
    kept: Kept
    wanted: Optional[float] = None
    transferred: Optional[Kept] = None
    found: Optional[Mapping[str, Any]] = None


@dataclass(frozen=True)
class ReliabilityBin:
    """Words of about the same probability: their number, its mean, and how many are right."""

    count: int
    probability: float
    correct: int


@dataclass(frozen=True)
class Sureness:
    """How well the probabilities of ``words`` words tell the right ones from the wrong.

    ``auroc`` is the chance that a right word is more probable than a wrong one, None where all are
    right or all wrong; ``ece`` the expected calibration error over ``bins`` of equal count;
    ``curve`` has share, threshold and accuracy of the surest words.
    """

    words: int
    auroc: Optional[float]
    ece: float
    bins: Sequence[ReliabilityBin]
    curve: Sequence[Tuple[float, float, float]]
    rejection: Optional[Rejection] = None


@dataclass(frozen=True)
class Evaluation(ShownInNotebook):
    """The one result of an evaluation; everything printed, written or drawn is made from it.

    The fields are those of the result JSON (docs/formats.md), which has those of ``run`` beside
    them, and ``schema``, ``title`` and ``value`` besides. ``total`` counts labels, so a sample that
    could not be read counts as wrong. ``misses`` holds the worst. ``protocol`` says what counted:
    its ``name``, None for the kit's own, and its rules.
    ``data``, ``date`` (UTC, ISO 8601) and ``command`` say what was run on what and when, files and
    folders by their names alone; empty where that is not known. ``by_width`` has, for each width of
    a model with several, the ``words`` with a label that were read at it, how many are ``correct``,
    their ``accuracy``, and ``words_per_second``, of inference alone. ``sureness`` is None where
    nobody asked for probabilities. ``views`` is empty where words had one view; else it has, for
    each view whose readings were ``kept``, and for the words on which all views ``agree`` or
    ``disagree``, their number and how many are right.
    ``decoding`` says what restricted the texts: the lexicon, the pattern or the characters; empty
    where nothing did.
    """

    accuracy: float
    correct: int
    total: int
    interval95: Tuple[float, float]
    cer: float
    one_minus_ned: float
    skipped: Mapping[str, int]
    by_length: Mapping[int, Mapping[str, float]]
    throughput: float
    stages: Mapping[str, Mapping[str, float]]
    batch: int
    run: RunInfo
    misses: Sequence[Reading]
    misses_total: int
    protocol: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""
    date: str = ""
    command: Sequence[str] = ()
    by_width: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    sureness: Optional[Sureness] = None
    decoding: Mapping[str, Any] = field(default_factory=dict)
    views: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PairedTest:
    """Two runs over the same words: how many each alone got right, and whether the difference could
    be chance.

    ``difference`` is second - first, as a fraction of ``total``; ``interval95`` its interval after
    Agresti and Min (Statistics in Medicine 24, 2005: half a count added to each of the four cells,
    then Wald's); ``p_value`` the exact two-sided McNemar test, 1 where the runs never differ.
    """

    total: int
    only_first: int
    only_second: int
    difference: float
    interval95: Tuple[float, float]
    p_value: float


@dataclass(frozen=True)
class Difference:
    """A word that two runs read differently; ``change`` is `REGRESSION`, `IMPROVEMENT`, or empty
    where both are wrong or there is no label. ``margins`` are those of the other run and of this
    one (`LogDifferences`), None where the logits are not known.
    """

    key: str
    label: Optional[str]
    text: str
    other: str
    change: str = ""
    margins: Optional[Tuple[float, float]] = None


REGRESSION, IMPROVEMENT = "regression", "improvement"


@dataclass(frozen=True)
class LogDifferences:
    """How far the log-probabilities of two runs are apart, over the ``words`` whose logits both
    have in the same number of time steps.

    Both are log-softmaxed first, and the ``classes`` that both have are matched by their
    characters. ``largest`` is the largest absolute difference, found in the word ``key``, ``mean``
    their mean. The margin of a word is the least, over its time steps, of the best class's
    log-probability minus the second's: while these move by less than half of it, the text stays.
    ``margin_largest`` and ``margin_mean`` are of the differences of the two runs' margins,
    ``narrowest`` is the smallest margin of the first run.
    """

    words: int
    classes: int
    largest: float
    mean: float
    key: str
    margin_largest: float
    margin_mean: float
    narrowest: float


@dataclass(frozen=True)
class Comparison(ShownInNotebook):
    """The words that two runs read differently, and the paired test of this run (second) against
    the other (first).

    The words that were right there and are wrong here come first, then those the other way round,
    then the rest, each in data order; ``unlisted`` counts those that are not kept. ``simulated``
    says whether the other ran on the Ascend simulator, ``file`` is its file's name.
    ``words`` are all that were compared, with a label or without, ``both_wrong`` those of a label
    that neither run read right. ``logits`` is None where one run's are not known; ``left_out`` says
    of how many words the logits were not compared, by reason. ``alone`` are the words that only
    the other run, and only this one has.
    """

    differing: Sequence[Difference]
    test: PairedTest
    simulated: bool = False
    file: str = ""
    unlisted: int = 0
    words: int = 0
    both_wrong: int = 0
    logits: Optional[LogDifferences] = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    alone: Tuple[int, int] = (0, 0)

    @property
    def differ(self) -> int:
        """How many words were read differently."""
        return len(self.differing) + self.unlisted


MODEL, READINGS, RESULT, OUTPUTS, RUN = "model", "readings", "result", "outputs", "run"
"""What a side of a comparison is: a model that was run, or what a run has left."""


@dataclass(frozen=True)
class Side:
    """A side of a comparison: its ``name`` as it was given, what it is (``kind``), and how many of
    its labelled words are right.

    ``run`` is None where nothing is known of the run. ``evaluation`` is there for models alone.
    """

    name: str
    kind: str
    words: int
    correct: int
    total: int
    interval95: Tuple[float, float]
    skipped: Mapping[str, int] = field(default_factory=dict)
    simulated: bool = False
    run: Optional[RunInfo] = None
    evaluation: Optional[Evaluation] = None

    @property
    def accuracy(self) -> float:
        """The share of labelled words that are right; 0 where none has a label."""
        return self.correct / max(1, self.total)


@dataclass(frozen=True)
class SweepRun:
    """A model that has read the words again, with another batch, device or count of threads: how
    many of the ``words`` it read otherwise than at first, and these words.
    """

    side: str
    batch: int
    device: str
    threads: int
    words: int
    differ: int
    differing: Sequence[Difference]


@dataclass(frozen=True)
class SideBySide:
    """Two sides or more over the same words, each later one compared with the first.

    ``comparisons`` has one for each side but the first. ``inputs`` says in which ways the sides
    prepare an image, or name their classes, differently: where to look before a model is blamed.
    ``failures`` are the checks that did not hold, ``checks`` what was asked for. ``sweep`` is empty
    where each model has read the words once.
    """

    sides: Sequence[Side]
    comparisons: Sequence[Comparison]
    inputs: Sequence[str] = ()
    notes: Sequence[str] = ()
    failures: Sequence[str] = ()
    checks: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""
    date: str = ""
    command: Sequence[str] = ()
    sweep: Sequence[SweepRun] = ()


@dataclass(frozen=True)
class BatchTiming:
    """How fast one size of batch is; milliseconds a batch, words per second.

    ``stages`` and ``latency`` (all stages together) hold p50, p90 and p99, over batches that went
    through one stage after another, each in one thread but for the model's own. ``throughput``:
    ``compute`` counts computation alone, ``transfers`` the copies to and from the device too,
    ``stream`` is batches at hand through the runner's stream, ``data`` the same from the data set
    to texts, everything overlapping.
    """

    batch: int
    stages: Mapping[str, Mapping[str, float]]
    latency: Mapping[str, float]
    throughput: Mapping[str, float]
    busy: float = 0.0
    """How many processors other programs took meanwhile, where they left too few; else 0."""


@dataclass(frozen=True)
class ModelTiming:
    """A model on a backend, and how fast it is batch by batch."""

    run: RunInfo
    notes: Sequence[str]
    batches: Sequence[BatchTiming]


@dataclass(frozen=True)
class PairedRatio:
    """How much faster the first of two models is, over pairs of runs one right after the other.

    ``ratio`` is the second's time over the first's, copies included: its p10, p50 and p90 over the
    pairs.
    """

    batch: int
    pairs: int
    ratio: Mapping[str, float]


@dataclass(frozen=True)
class Suggestion:
    """The batch of the highest throughput (with transfers) whose p99 latency keeps a budget; None
    where none does.
    """

    budget_ms: float
    batch: Optional[int]


@dataclass(frozen=True)
class Benchmark(ShownInNotebook):
    """The one result of a benchmark: everything printed, written or drawn is made from it.

    ``runs`` are the model and, where there are two, the other; ``ratios`` is empty where there is
    one.
    """

    data: str
    loop: int
    warm_up: int
    machine: Mapping[str, str]
    runs: Sequence[ModelTiming]
    ratios: Sequence[PairedRatio]
    suggestion: Optional[Suggestion]
    date: str = ""
    command: Sequence[str] = ()
