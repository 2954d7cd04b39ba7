"""What counts in an evaluation: the protocols of other systems by name, and one at work.

Needs only NumPy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Iterable, Iterator, List, Mapping, Optional, Tuple

from crnn.batch import Problem, Sample
from crnn.errors import UsageError
from crnn.labels import DROPPED, STRIPPED, strip
from crnn.spec import ModelSpec

TOO_SHORT = "label too short for the protocol: dropped"
LEFT_OVER = "not in a whole batch: dropped"


@dataclass(frozen=True)
class CountingProtocol:
    """What a system counts when it publishes an accuracy.

    ``oov`` says what becomes of a label with characters outside the alphabet: it is kept and counts
    as wrong ("keep"), the sample is dropped ("drop"), or the characters are taken out of the label
    ("strip"). Samples whose label is shorter than ``min_length`` are dropped. Of the data, only
    whole batches of ``batch`` count. ``trim`` takes spaces off a label's ends. ``normalisation``
    replaces the spec's divisor, mean and std.
    """

    oov: str = "keep"
    min_length: int = 0
    batch: Optional[int] = None
    trim: bool = False
    normalisation: Optional[Tuple[float, float, float]] = None


PROTOCOLS: Mapping[str, CountingProtocol] = {
    "modelzoo": CountingProtocol(),
    "mindspore-ic": CountingProtocol(oov="drop", min_length=3),
    "mindspore-iiit5k": CountingProtocol(oov="strip"),
    # The mean of the whole batches' means is the mean over their samples; the values have half the
    # training's range.
    "tensorflow": CountingProtocol(batch=64, trim=True, normalisation=(1.0, 127.5, 255.0)),
}


def apply(protocol: CountingProtocol, spec: ModelSpec) -> ModelSpec:
    """Return the spec under a protocol."""
    if protocol.normalisation is None:
        return spec
    divisor, mean, std = protocol.normalisation
    return dataclasses.replace(spec, divisor=divisor, mean=mean, std=std)


def protocol_named(name: Optional[str], oov: Optional[str] = None) -> CountingProtocol:
    """Return a protocol by name, or one with an ``oov`` policy alone; `UsageError` for both at a
    time.
    """
    if name is None:
        return CountingProtocol(oov=oov or "keep")
    if oov is not None:
        raise UsageError(
            f"--protocol {name} says what becomes of labels outside the alphabet; leave --oov out"
        )
    if name not in PROTOCOLS:
        raise UsageError(f"there is no protocol {name!r}; expected one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


class AppliedProtocol:
    """A protocol at work: which samples count, and by which label.

    ``problems`` says which did not, and why.
    """

    def __init__(self, protocol: CountingProtocol, spec: ModelSpec) -> None:
        self.problems: List[Tuple[str, Problem]] = []
        self._protocol = protocol
        self._spec = spec
        self._alphabet = spec.alphabet

    def apply(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield the samples that count, with the labels that they are compared with; unlabelled
        ones as they are.
        """
        size = self._protocol.batch or 1
        waiting: List[Sample] = []
        for sample in samples:
            if sample.label is not None:
                label = self._label(sample.key, sample.label)
                if label is None:
                    continue
                sample = dataclasses.replace(sample, label=label)
            waiting.append(sample)
            if len(waiting) == size:
                yield from waiting
                waiting.clear()
        self.problems += [(sample.key, Problem(LEFT_OVER)) for sample in waiting]

    def _label(self, key: str, label: str) -> Optional[str]:
        if self._protocol.trim:
            label = label.strip()
        folded = self._spec.fold(label)
        outside = self._alphabet.outside(folded)
        detail = f"{label!r} has {outside!r}"
        if outside and self._protocol.oov == "drop":
            self.problems.append((key, Problem(DROPPED, detail)))
            return None
        if len(label) < self._protocol.min_length:
            self.problems.append((key, Problem(TOO_SHORT, repr(label))))
            return None
        if outside and self._protocol.oov == "strip":
            self.problems.append((key, Problem(STRIPPED, detail)))
            return strip(folded, self._spec.characters)
        return label
