"""The systems whose protocols can be taken over, by name: what each counts. Their models:
`crnn.presets`, where the sources are named too.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Mapping, Optional, Tuple

from crnn.spec import ModelSpec


@dataclass(frozen=True)
class Protocol:
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


PROTOCOLS: Mapping[str, Protocol] = {
    "modelzoo": Protocol(),
    "mindspore-ic": Protocol(oov="drop", min_length=3),
    "mindspore-iiit5k": Protocol(oov="strip"),
    # The mean of the whole batches' means is the mean over their samples; the values have half the
    # training's range.
    "tensorflow": Protocol(batch=64, trim=True, normalisation=(1.0, 127.5, 255.0)),
}


def apply(protocol: Protocol, spec: ModelSpec) -> ModelSpec:
    """Return the spec under a protocol."""
    if protocol.normalisation is None:
        return spec
    divisor, mean, std = protocol.normalisation
    return dataclasses.replace(spec, divisor=divisor, mean=mean, std=std)
