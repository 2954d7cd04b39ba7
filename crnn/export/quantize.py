"""A float ONNX to an int8 one for processors:

calibrated on words, and compared with the float one on others. Weights keep to seven bits
(`reduce_range`), so that one file computes the same with and without VNNI (crnn/runners/int8.py).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from crnn.batch import NOT_FINITE, Batch, LabelCheck, ProblemCounts, Sample
from crnn.errors import CheckError, InputError, needs
from crnn.export.adjust import adjusted_file
from crnn.export.rendered import NAME, rendered_samples
from crnn.files import atomic_file, require_parent
from crnn.fingerprint import FINGERPRINT_KEY, fingerprint_in
from crnn.machine import describe
from crnn.metrics import paired_test, wilson
from crnn.patterns import fingerprint_after
from crnn.results import Reading
from crnn.runners.base import Runner
from crnn.runners.int8 import int8_of, saturates
from crnn.runners.onnx_file import load_external_data
from crnn.runners.onnx_runner import OnnxRunner, load_graph
from crnn.runners.open import by_width_rule, spec_given
from crnn.samples.batches import image_batches
from crnn.samples.source import open_labelled
from crnn.scoring.scorer import Scorer
from crnn.scoring.stream import Stages, run_batches
from crnn.spec import METADATA_KEY, ModelSpec, spec_in

OPSET = 13
"""Scales for each channel came with it; ATC is given opset 11 and no quantised graph."""
QUANTISED = ("Conv", "Relu", "MaxPool", "Squeeze", "Transpose")
"""Convolutions by calibrated ranges, each with its Relu, whose range is then its own; and what
passes eight bits on.
"""
DYNAMIC = ("LSTM",)
"""By the ranges of the batch at hand, since no calibrated form of it exists. The small layers after
them stay float: their conversions cost more than they save (docs/formats.md has the figures).
"""
WEIGHTS_ONLY = frozenset(("DequantizeLinear", "MatMulNBits"))
"""Operators of models whose weights alone are quantised."""
NOTHING = 0.01
"""Of a model whose accuracy is below this an int8 copy proves nothing."""
NOTE_KEY = "crnn.quantised"
NOTE = "int8 for ONNX Runtime on processors; not for ATC"
BATCH = 32
SIGNIFICANT = 0.05
"""A loss whose McNemar p is not below it may be chance, and does not refuse a model."""


@dataclass(frozen=True)
class Quantised:
    """What was written, and how both models read the held-back words."""

    target: Path
    bytes_before: int
    bytes_after: int
    calibrated_on: int
    held_back: int
    accuracy_float: float
    accuracy_int8: float
    differing: int
    lost: int
    gained: int
    problems: ProblemCounts = field(default_factory=ProblemCounts)
    """What kept words that were given from being used, or from being read right."""
    by_width: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """Of a model with several widths: at each the words ``held_back``, and the accuracies ``float``
    and ``int8``.
    """

    @property
    def p_value(self) -> float:
        """McNemar's exact two-sided test of the words that one of the models alone reads right."""
        return paired_test(self.lost, self.gained, self.held_back).p_value

    @property
    def drop(self) -> float:
        """The accuracy that was lost, as a fraction; negative where it was gained."""
        return self.accuracy_float - self.accuracy_int8

    def to_dict(self) -> Dict[str, Any]:
        """Return plain data for JSON; ``skipped`` only where there is something in it."""
        skipped = {}
        if self.problems.counts:
            skipped["skipped"] = dict(self.problems.counts)
        widths = {}
        if self.by_width:
            widths["by_width"] = {str(width): counts for width, counts in self.by_width.items()}
        return {
            **skipped,
            **widths,
            "schema": "crnn-quantised/1",
            "target": self.target.name,
            "bytes": {"float": self.bytes_before, "int8": self.bytes_after},
            "calibrated_on": self.calibrated_on,
            "held_back": self.held_back,
            "accuracy": {"float": self.accuracy_float, "int8": self.accuracy_int8},
            "interval95": {
                "float": list(wilson(round(self.accuracy_float * self.held_back), self.held_back)),
                "int8": list(wilson(round(self.accuracy_int8 * self.held_back), self.held_back)),
            },
            "differing": self.differing,
        }


def quantise(
    model: Path,
    target: Path,
    words: Optional[Path] = None,
    annotation: Optional[Path] = None,
    *,
    calibrate: int = 128,
    max_drop: float = 0.005,
    spec: Optional[str] = None,
    output: Optional[str] = None,
    output_axes: Optional[str] = None,
    width_rule: Optional[str] = None,
) -> Quantised:
    """Write an int8 copy of ``model`` if it reads held-back words as well as the float one.

    Static QDQ by ONNX Runtime's quantiser, a scale for each channel, ranges from ``calibrate``
    words taken evenly; the others are held back. The LSTMs are quantised dynamically. The spec is
    carried over.

    Args:
        model: the float ONNX.
        target: the int8 ONNX to write.
        words: an LMDB or a folder of images; None for the rendered words inside the package.
        annotation: the list of a folder's images; None for its only text file.
        calibrate: how many words set the ranges.
        max_drop: the fraction of the held-back words that may be lost; one word always may.
        spec: what ``--spec`` names, which the copy then carries; None for the model's own.
        output: the logits of a model that has several outputs.
        output_axes: the order of the logits' axes; None for what the model's spec says.
        width_rule: "off" for the fixed width alone, which the copy then carries.

    Returns:
        What was written, and how both models read.

    Raises:
        InputError: The model is quantised already, or there are too few words.
        CheckError: Too many words are lost, and not by chance; nothing was written.
    """
    require_parent(target)
    with adjusted_file(model, spec=spec, output=output) as source:
        data = None
        if words is not None:
            data = _DataSet(words, annotation)
        return _quantise(
            source, model, target, data, calibrate, max_drop, (output_axes, width_rule)
        )


@dataclass(frozen=True)
class _DataSet:
    """The words that were given, and the list of a folder of images where one was named."""

    path: Path
    annotation: Optional[Path]

    def __str__(self) -> str:
        return str(self.path)


def _quantise(
    source: Path,
    model: Path,
    target: Path,
    words: Optional[_DataSet],
    calibrate: int,
    max_drop: float,
    read_by: Tuple[Optional[str], Optional[str]],
) -> Quantised:
    """Do `quantise` with ``source``, which is ``model`` as it is to be read but for the axes and
    the rule of widths.
    """
    output_axes, width_rule = read_by
    proto = load_external_data(load_graph(source), source)
    if _is_quantised(proto):
        raise InputError(
            f"{model} is quantised already; expected a float model, as crnn export writes it"
        )
    runner = OnnxRunner(source)
    given = spec_given(runner.spec, None, output_axes)
    given = by_width_rule(given, width_rule, model)
    if given != runner.spec:
        runner.read_by(given)
        _carry(proto, source, runner.spec)
    with runner:
        problems = ProblemCounts()
        seen, held = _divided(words, runner.spec, calibrate, problems)
        first = _read(runner, held)
        _require_sound(model, first, target)
        with tempfile.TemporaryDirectory(prefix="crnn-int8-") as folder:
            made = Path(folder) / "int8.onnx"
            made.write_bytes(quantised(proto, seen, Path(folder)))
            with OnnxRunner(made) as other:
                second = _read(other, held)
            differing, lost, gained = _compared(first, second, runner.spec)
            result = Quantised(
                target=target,
                bytes_before=model.stat().st_size,
                bytes_after=made.stat().st_size,
                calibrated_on=calibrate,
                held_back=len(first.readings),
                accuracy_float=first.accuracy,
                accuracy_int8=second.accuracy,
                differing=differing,
                lost=lost,
                gained=gained,
                problems=problems,
                by_width=_by_width(first, second, runner.spec),
            )
            _require(result, max_drop)
            with atomic_file(target) as file:
                file.write(made.read_bytes())
    return result


def _is_quantised(proto: Any) -> bool:
    """Say whether a model computes in eight bits, or keeps weights in eight bits or fewer."""
    names = {node.op_type for node in proto.graph.node}
    return bool(int8_of(proto).operators or names & WEIGHTS_ONLY)


class _Words:
    """Some of the words that were given, as a source of batches of pixels.

    Args:
        words: An LMDB; None for the words inside the package.
        spec: What the model takes.
        taken: For each sample, whether it is one of them.
    """

    def __init__(self, words: Optional[_DataSet], spec: ModelSpec, taken: Sequence[bool]) -> None:
        self._words = words
        self._spec = spec
        self._taken = taken

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        """See `BatchSource`."""
        samples = itertools.compress(_samples(self._words, self._spec), self._taken)
        return image_batches(samples, self._spec, size, dtype="uint8", keep=keep)

    def close(self) -> None:
        """Do nothing: an LMDB is opened anew each time, since it may be larger than memory."""


def _carry(proto: Any, where: Path, spec: ModelSpec) -> None:
    """Put a spec into a model, in the place of one that is there."""
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    before = spec_in(metadata, where) or ModelSpec.default()
    inputs = fingerprint_after(fingerprint_in(metadata), before, spec)
    replaced = (METADATA_KEY, FINGERPRINT_KEY)
    others = [entry for entry in proto.metadata_props if entry.key not in replaced]
    del proto.metadata_props[:]
    proto.metadata_props.extend(others)
    proto.metadata_props.add(key=METADATA_KEY, value=spec.to_json())
    if inputs is not None:
        proto.metadata_props.add(key=FINGERPRINT_KEY, value=inputs.to_json())


def _divided(
    words: Optional[_DataSet], spec: ModelSpec, calibrate: int, problems: ProblemCounts
) -> Tuple[List[np.ndarray], _Words]:
    """Return the values of the words to calibrate on, batch by batch, taken evenly, and the words
    that are held back.
    """
    usable = _usable(words, spec, problems)
    numbers = np.flatnonzero(usable)
    if len(numbers) < 2 * calibrate:
        raise _too_few(words, len(numbers), calibrate)
    chosen = np.zeros_like(usable)
    chosen[numbers[np.linspace(0, len(numbers) - 1, calibrate).astype(int)]] = True
    seen: List[np.ndarray] = []
    for batch in _Words(words, spec, chosen.tolist()).batches(BATCH, keep=1):
        seen.append(spec.table[batch.images])
    return seen, _Words(words, spec, (usable & ~chosen).tolist())


def _usable(words: Optional[_DataSet], spec: ModelSpec, problems: ProblemCounts) -> np.ndarray:
    """Return for each sample whether it has a label and an image that can be decoded."""
    usable: Dict[int, bool] = {}
    check = LabelCheck(spec)
    for batch in image_batches(_samples(words, spec), spec, BATCH, dtype="uint8"):
        # Batches of several widths are not in the samples' order.
        places = batch.positions or range(len(usable), len(usable) + len(batch.labels))
        for row, label in enumerate(batch.labels):
            usable[places[row]] = label is not None and row not in batch.problems
            problem = batch.problems.get(row) or check.problem(label)
            if problem:
                problems.add(batch.keys[row], problem)
    return np.array([usable[place] for place in sorted(usable)], dtype=bool)


def _too_few(words: Optional[_DataSet], usable: int, calibrate: int) -> InputError:
    have = f"{words} has {usable} usable words"
    if words is None:
        have = f"{NAME} (0-9, a-z and capitals) leave {usable} that this model's alphabet spells"
    return InputError(
        f"{have}; expected at least {2 * calibrate}, half of them to check with",
        hint=_more_words(words, usable),
    )


def _more_words(words: Optional[_DataSet], usable: int) -> str:
    fewer = f"calibrate on fewer: --count {max(1, usable // 2)}"
    if words is not None:
        return f"Give more words, or {fewer}"
    if usable < 2:
        return "Give words in the model's own alphabet: --calibrate LMDB"
    return f"Give words in the model's own alphabet (--calibrate LMDB), or {fewer}"


def _samples(words: Optional[_DataSet], spec: ModelSpec) -> Iterable[Sample]:
    """Return the samples of a data set, or those inside the package that the alphabet spells."""
    if words is not None:
        return open_labelled(words.path, words.annotation)
    return (sample for sample in rendered_samples() if _spells(spec, sample.label or ""))


def _spells(spec: ModelSpec, label: str) -> bool:
    return not spec.alphabet.outside(spec.fold(label))


def quantised(proto: Any, seen: Sequence[np.ndarray], folder: Path) -> bytes:
    """Return the int8 copy of a model, whatever it reads.

    Args:
        proto: the float ModelProto.
        seen: the model's inputs for words, batches (N, C, H, W), which set the ranges.
        folder: a place for temporary files.

    Returns:
        The ONNX file's bytes.
    """
    with needs("onnx"):
        import onnx
        from onnx import version_converter
    with needs("onnxruntime"):
        from onnxruntime.quantization import (
            QuantFormat,
            QuantType,
            quantize_dynamic,
            quantize_static,
        )
    name = proto.graph.input[0].name
    newer = version_converter.convert_version(proto, OPSET)
    onnx.save(newer, str(folder / "newer.onnx"))
    # The quantiser advises, through the root logger, what the written graph has no need of.
    logging.getLogger().addFilter(_not_advice)
    try:
        quantize_static(
            str(folder / "newer.onnx"),
            str(folder / "static.onnx"),
            _Reader(name, seen),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,
        )
        quantize_dynamic(
            str(folder / "static.onnx"),
            str(folder / "out.onnx"),
            op_types_to_quantize=list(DYNAMIC),
            weight_type=QuantType.QInt8,
            reduce_range=True,
        )
    finally:
        logging.getLogger().removeFilter(_not_advice)
    made = onnx.load(str(folder / "out.onnx"))
    del made.metadata_props[:]
    onnx.helper.set_model_props(
        made, {**{entry.key: entry.value for entry in proto.metadata_props}, NOTE_KEY: NOTE}
    )
    _leave_used_domains(made)
    made.ir_version = 7  # the one that opset 13 came with
    made.doc_string = NOTE
    data: bytes = made.SerializeToString()
    return data


def _leave_used_domains(model: Any) -> None:
    """Take out of a model the operator sets that no node is of: early quantisers name them all."""
    used = {node.domain for node in model.graph.node}
    for entry in list(model.opset_import):
        if entry.domain not in used:
            model.opset_import.remove(entry)


def _not_advice(record: logging.LogRecord) -> bool:
    return "quantization" not in Path(record.pathname).parts


class _Reader:
    """What the quantiser asks for its images, batch after batch."""

    def __init__(self, name: str, batches: Sequence[np.ndarray]) -> None:
        self._name = name
        self._batches = iter(batches)

    def get_next(self) -> Any:
        batch = next(self._batches, None)
        if batch is None:
            return None
        return {self._name: batch}


@dataclass(frozen=True)
class _Run:
    """What a model read of the words that were held back."""

    accuracy: float
    readings: Sequence[Reading]
    not_finite: int
    by_width: Mapping[int, Mapping[str, float]]


def _by_width(first: _Run, second: _Run, spec: ModelSpec) -> Mapping[int, Mapping[str, float]]:
    """Return how both runs read at each width; a width that no word was held back for is named
    too.
    """
    found: Dict[int, Mapping[str, float]] = {}
    if spec.widths is None:
        return found
    nothing = {"words": 0, "accuracy": 0.0}
    for width in spec.widths.list:
        before = first.by_width.get(width, nothing)
        after = second.by_width.get(width, nothing)
        found[width] = {
            "held_back": before["words"],
            "float": before["accuracy"],
            "int8": after["accuracy"],
        }
    return found


def _read(runner: Runner, words: _Words) -> _Run:
    scorer = Scorer(runner.spec)
    readings: List[Reading] = []
    with contextlib.closing(run_batches(runner, words, BATCH)) as results:
        for batch, logits in results:
            readings.extend(scorer.add(batch, logits))
    not_finite = scorer.skipped.get(NOT_FINITE.reason, 0)
    return _Run(scorer.metric.accuracy, readings, not_finite, scorer.by_width(Stages()))


def _require_sound(model: Path, run: _Run, target: Path) -> None:
    """Refuse a model whose own outputs say nothing of an int8 copy."""
    hint = (
        "Usually it is the alphabet or its order, the order of the LSTMs' gates (crnn export"
        " --lstm-gate-order igfo), the spec, or labels that the model cannot read."
    )
    if run.not_finite:
        raise CheckError(
            f"{model} gives NaN or infinity for {run.not_finite} of {len(run.readings)} held-back"
            f" words; {target} was not written",
            hint="Export it again from a sound checkpoint: crnn evaluate shows the words.",
        )
    if run.accuracy < NOTHING:
        right = round(run.accuracy * len(run.readings))
        raise CheckError(
            f"{model} reads {right} of {len(run.readings)} held-back words, so there is nothing to"
            f" compare an int8 copy with; {target} was not written",
            hint=hint,
        )


def _compared(first: _Run, second: _Run, spec: ModelSpec) -> Tuple[int, int, int]:
    """Return how many words the second run read differently, how many of them the first alone read
    right, and how many the second alone.
    """
    differing = lost = gained = 0
    for one, other in zip(first.readings, second.readings):
        if one.text == other.text:
            continue
        truth = spec.fold(one.label or "")
        differing += 1
        lost += one.text == truth
        gained += other.text == truth
    return differing, lost, gained


def _require(result: Quantised, max_drop: float) -> None:
    """Refuse a loss that is too large and that is not chance."""
    net = result.lost - result.gained
    allowed = max(1.0, max_drop * result.held_back)
    if net <= allowed or result.p_value >= SIGNIFICANT:
        return
    processor = describe()["processor"]
    adding = "adds int8 products exactly"
    if saturates():
        adding = "has no VNNI, which the int8 weights written here do not need"
    raise CheckError(
        f"int8 reads {result.accuracy_int8:.4f} of {result.held_back} held-back words, float"
        f" {result.accuracy_float:.4f}, on {processor}, which {adding}: a net loss of {net} words,"
        f" {allowed:g} are allowed (--max-drop {max_drop:g}), and McNemar's p is"
        f" {result.p_value:.2g}, below {SIGNIFICANT}, so it is not chance. {result.target} was not"
        " written",
        hint=(
            "Calibrate on words like those that will be read (--calibrate), on more of them"
            " (--count), or allow a larger loss (--max-drop)."
        ),
    )
