"""A float ONNX to an int8 one for processors:

calibrated on words, and compared with the float one on others. Weights keep to seven bits
(`reduce_range`), so that one file computes the same with and without VNNI (crnn/runners/int8.py).
"""

from __future__ import annotations

import itertools
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, Optional, Sequence, Set, Tuple

import numpy as np

from crnn import ctc
from crnn.batch import Sample
from crnn.errors import CheckError, InputError, needs
from crnn.export.rendered import NAME, rendered_samples
from crnn.files import atomic_file, require_parent
from crnn.image import ImageError, decode
from crnn.machine import describe
from crnn.metrics import TextMetric, paired_test, wilson
from crnn.runners.external_data import load_external_data
from crnn.runners.int8 import int8_of, saturates
from crnn.runners.onnx_runner import OnnxRunner, load_graph
from crnn.samples.lmdb import LmdbSamples
from crnn.spec import ModelSpec

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

    @property
    def p_value(self) -> float:
        """McNemar's exact two-sided test of the words that one of the models alone reads right."""
        return paired_test(self.lost, self.gained, self.held_back).p_value

    @property
    def drop(self) -> float:
        """The accuracy that was lost, as a fraction; negative where it was gained."""
        return self.accuracy_float - self.accuracy_int8

    def to_dict(self) -> Dict[str, Any]:
        """Return plain data for JSON."""
        return {
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
    *,
    calibrate: int = 128,
    max_drop: float = 0.005,
) -> Quantised:
    """Write an int8 copy of ``model`` if it reads held-back words as well as the float one.

    Static QDQ by ONNX Runtime's quantiser, a scale for each channel, ranges from ``calibrate``
    words taken evenly; the others are held back. The LSTMs are quantised dynamically. The spec is
    carried over.

    Args:
        model: the float ONNX.
        target: the int8 ONNX to write.
        words: an LMDB; None for the rendered words inside the package.
        calibrate: how many words set the ranges.
        max_drop: the fraction of the held-back words that may be lost; one word always may.

    Returns:
        What was written, and how both models read.

    Raises:
        InputError: The model is quantised already, or there are too few words.
        CheckError: Too many words are lost, and not by chance; nothing was written.
    """
    require_parent(target)
    proto = load_external_data(load_graph(model), model)
    if int8_of(proto).operators:
        raise InputError(
            f"{model} is quantised already; expected a float model, as crnn export writes it"
        )
    with OnnxRunner(model) as runner:
        spec = runner.spec
        chosen = _chosen(words, spec, calibrate)
        seen = [word for index, word in enumerate(_usable(words, spec)) if index in chosen]
        held = (word for index, word in enumerate(_usable(words, spec)) if index not in chosen)
        with tempfile.TemporaryDirectory(prefix="crnn-int8-") as folder:
            made = Path(folder) / "int8.onnx"
            made.write_bytes(_quantised(proto, seen, spec, Path(folder)))
            with OnnxRunner(made) as other:
                result = _compare(runner, other, held, model, target, len(seen))
            _require(result, max_drop)
            with atomic_file(target) as file:
                file.write(made.read_bytes())
    return result


Word = Tuple[np.ndarray, str]


def _chosen(words: Optional[Path], spec: ModelSpec, calibrate: int) -> Set[int]:
    """Return the numbers, among the usable words, of those to calibrate on, taken evenly."""
    usable = sum(1 for _ in _usable(words, spec))
    if usable < 2 * calibrate:
        where = words or NAME
        have = f"{where} has {usable} usable words"
        if words is None:
            have = (
                f"{NAME} (0-9, a-z and capitals) leave {usable} that this model's alphabet spells"
            )
        raise InputError(
            f"{have}; expected at least {2 * calibrate}, half of them to check with",
            hint=_more_words(words, usable),
        )
    return set(np.linspace(0, usable - 1, calibrate).astype(int).tolist())


def _more_words(words: Optional[Path], usable: int) -> str:
    fewer = f"calibrate on fewer: --count {max(1, usable // 2)}"
    if words is not None:
        return f"Give more words, or {fewer}"
    if usable < 2:
        return "Give words in the model's own alphabet: --calibrate LMDB"
    return f"Give words in the model's own alphabet (--calibrate LMDB), or {fewer}"


def _samples(words: Optional[Path], spec: ModelSpec) -> Iterable[Sample]:
    """Return the samples of an LMDB, or those inside the package that the alphabet spells."""
    if words is not None:
        return LmdbSamples(words)
    return (sample for sample in rendered_samples() if _spells(spec, sample.label or ""))


def _spells(spec: ModelSpec, label: str) -> bool:
    return not spec.alphabet.outside(spec.fold(label))


def _usable(words: Optional[Path], spec: ModelSpec) -> Iterator[Word]:
    """Yield the words that have image and label; anew at each call, since an LMDB may be larger
    than memory.
    """
    for sample in _samples(words, spec):
        if sample.image is not None and sample.label is not None:
            try:
                yield decode(sample.image, spec), spec.fold(sample.label)
            except ImageError:
                continue


def _quantised(proto: Any, seen: Sequence[Word], spec: ModelSpec, folder: Path) -> bytes:
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
            _Reader(name, [image for image, _ in seen], spec),
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

    def __init__(self, name: str, images: Sequence[np.ndarray], spec: ModelSpec) -> None:
        starts = range(0, len(images), BATCH)
        self._batches = (
            {name: spec.table[np.stack(images[start : start + BATCH])]} for start in starts
        )

    def get_next(self) -> Any:
        return next(self._batches, None)


def _compare(
    runner: OnnxRunner,
    other: OnnxRunner,
    held: Iterator[Word],
    model: Path,
    target: Path,
    seen: int,
) -> Quantised:
    metrics = (TextMetric(), TextMetric())
    count = differing = lost = gained = 0
    for group in iter(lambda: list(itertools.islice(held, BATCH)), []):
        count += len(group)
        images = np.stack([image for image, _ in group])
        texts = [ctc.greedy(each.run(images), runner.spec.alphabet) for each in (runner, other)]
        for first, second, (_, truth) in zip(*texts, group):
            lost += first == truth != second
            gained += first != truth == second
        for metric, read in zip(metrics, texts):
            for text, (_, truth) in zip(read, group):
                metric.update(text, truth)
        differing += sum(first != second for first, second in zip(*texts))
    return Quantised(
        target=target,
        bytes_before=model.stat().st_size,
        bytes_after=other.model.path.stat().st_size,
        calibrated_on=seen,
        held_back=count,
        accuracy_float=metrics[0].accuracy,
        accuracy_int8=metrics[1].accuracy,
        differing=differing,
        lost=lost,
        gained=gained,
    )


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
