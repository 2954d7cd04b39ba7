"""What came out: readings, comparisons, how a model was run, and the one evaluation result."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence, Tuple

from crnn.spec import ModelSpec


@dataclass(frozen=True)
class Reading:
    """What a model read; ``label`` is the truth as it was given, ``confidence`` None where it was
    not asked for.
    """

    key: str
    text: str
    confidence: Optional[float]
    label: Optional[str]


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


@dataclass(frozen=True)
class RunInfo:
    """What has run a model, and with what.

    ``backend`` and ``device`` are None where another tool ran it and only its outputs are here.
    ``threads`` are the processor's. ``versions`` holds the kit's, and those of what stands below
    it. ``simulated`` says that no chip was involved; ``rehearsed`` is the precision in which a
    chip's computation was rehearsed, None where none was.
    """

    model: Model
    backend: Optional[str]
    device: Optional[str]
    threads: int
    versions: Mapping[str, str]
    simulated: bool
    rehearsed: Optional[str] = None


@dataclass(frozen=True)
class Evaluation:
    """The one result of an evaluation; everything printed, written or drawn is made from it.

    The fields are those of the result JSON (docs/formats.md), which has those of ``run`` beside
    them, and ``schema``, ``title`` and ``value`` besides. ``total`` counts labels, so a sample that
    could not be read counts as wrong. ``misses`` holds the worst. ``protocol`` says what counted:
    its ``name``, None for the kit's own, and its rules.
    ``data``, ``date`` (UTC, ISO 8601) and ``command`` say what was run on what and when, files and
    folders by their names alone; empty where that is not known.
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
    where both are wrong or there is no label.
    """

    key: str
    label: Optional[str]
    text: str
    other: str
    change: str = ""


REGRESSION, IMPROVEMENT = "regression", "improvement"


@dataclass(frozen=True)
class Comparison:
    """The words that two runs read differently, and the paired test of this run (second) against
    the other (first).

    The words that were right there and are wrong here come first, then those the other way round,
    then the rest, each in data order. ``simulated`` says whether the other ran on the Ascend
    simulator, ``file`` is its file's name.
    """

    differing: Sequence[Difference]
    test: PairedTest
    simulated: bool = False
    file: str = ""


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
class Benchmark:
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
