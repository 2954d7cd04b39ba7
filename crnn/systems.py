"""The systems whose models and protocols can be taken over, by name: how each prepares an image,
what it counts.

Sources: the public repositories Ascend/ModelZoo-PyTorch, mindspore-ai/models,
Ascend/ModelZoo-TensorFlow, mindspore-lab/mindocr and Sierkinhane/CRNN_Chinese_Characters_Rec, by
commit in docs/migration.md.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Mapping, Optional, Tuple

from crnn.alphabet import DIGITS_AND_LETTERS
from crnn.spec import ModelSpec

LETTERS_AND_DIGITS = DIGITS_AND_LETTERS[10:] + DIGITS_AND_LETTERS[:10]
"""MindSpore's order of classes, its blank after them."""

# Written as in MindSpore's scripts: (x - 127.5) / 127.5 on pixels, not on pixels over 255.
_MINDSPORE = ModelSpec(
    color="bgr", resizer="cv2-linear", divisor=1.0, mean=127.5, std=127.5, time_steps=24
)

SPECS: Mapping[str, ModelSpec] = {
    "modelzoo": ModelSpec(),
    "sierkinhane": ModelSpec(
        width=160, resizer="cv2-cubic-two-step", mean=0.588, std=0.193, time_steps=41
    ),
    "mindspore-v2": _MINDSPORE,
    "mindspore-v1": _MINDSPORE,
    "mindocr-vgg7": dataclasses.replace(_MINDSPORE, color="rgb", mean=127.0, std=127.0),
    "mindspore-native": dataclasses.replace(_MINDSPORE, alphabet=LETTERS_AND_DIGITS, blank=36),
    "tensorflow": ModelSpec(
        color="rgb", resizer="pil-bilinear", divisor=127.5, mean=1.0, std=1.0, time_steps=25
    ),  # as in training; its evaluation divides by 255, see `PROTOCOLS`
}
"""The specs that models of each system were trained with. The classes are blank 0, then 0-9a-z, as
`crnn import` puts them; "mindspore-native" has those of MindSpore's own files.
"""


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
