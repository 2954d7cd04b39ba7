"""The systems whose models can be taken over, by name: how each prepares an image, and its network.

Sources: the public repositories Ascend/ModelZoo-PyTorch, mindspore-ai/models,
Ascend/ModelZoo-TensorFlow, mindspore-lab/mindocr and Sierkinhane/CRNN_Chinese_Characters_Rec, by
commit in docs/migration.md. Needs no PyTorch.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Any, Dict, Mapping, Optional, Tuple

from crnn.errors import InputError
from crnn.labels import DIGITS_AND_LETTERS
from crnn.spec import ModelSpec

HEIGHT = 32
CONVOLUTIONS = 7
Pooling = Tuple[Tuple[int, int], Tuple[int, int], Tuple[int, int]]
"""Kernel, stride and padding, each as (rows, columns)."""

POOLINGS: Mapping[str, Mapping[int, Pooling]] = {
    "padded": {3: ((2, 2), (2, 1), (0, 1)), 5: ((2, 2), (2, 1), (0, 1))},
    "narrow": {3: ((2, 1), (2, 1), (0, 0)), 5: ((2, 1), (2, 1), (0, 0))},
}
"""The kinds of the last two poolings: the convolution before each, and its kernel, stride and
padding as (rows, columns). The first two, after convolutions 0 and 1, are 2x2 in all kinds.
"""
LAST_CONVOLUTIONS: Mapping[str, int] = {"valid": 0, "padded": 1}
"""The columns of zeros at the right of the last convolution's input."""
_SQUARE = ((2, 2), (2, 2), (0, 0))


STORED_NAMES = {"linear_between_lstms": "between", "second_lstm_bidirectional": "backward"}
"""Fields of `CrnnConfig` that have another name in checkpoints and in JSON."""


@dataclass(frozen=True)
class CrnnConfig:
    """The sizes of a CRNN and what its variants differ in; the defaults are the published network
    of 8 331 301 values.

    ``batchnorms`` names the convolutions that a BatchNorm follows, ``epsilon`` is theirs.
    ``linear_between_lstms`` and ``second_lstm_bidirectional`` say what they are called; files hold
    them as ``between`` and ``backward`` (`to_dict`). A network without biases is one whose biases
    are 0.
    """

    in_channels: int = 1
    channels: Tuple[int, ...] = (64, 128, 256, 256, 512, 512, 512)
    hidden: int = 256
    classes: int = 37
    pooling: str = "padded"
    last_convolution: str = "valid"
    batchnorms: Tuple[int, ...] = (2, 4, 6)
    epsilon: float = 1e-5
    linear_between_lstms: bool = True
    second_lstm_bidirectional: bool = True

    def to_dict(self) -> Dict[str, Any]:
        """Return the fields by the names that checkpoints and JSON have for them."""
        values = dataclasses.asdict(self)
        for name, stored in STORED_NAMES.items():
            values[stored] = values.pop(name)
        return values

    def pool(self, index: int) -> Optional[Pooling]:
        """Return the max pooling after a convolution.

        Args:
            index: The convolution's number, from 0.

        Returns:
            Kernel, stride and padding, each as (rows, columns); None where there is no pooling.
        """
        if index < 2:
            return _SQUARE
        return POOLINGS[self.pooling].get(index)


def time_steps(width: int, config: CrnnConfig = CrnnConfig()) -> int:
    """Return how many rows of class scores a network gives for images of one width.

    The two square poolings halve the width; padding adds a column at each of the last two poolings
    or before the last convolution, which takes one away.

    Args:
        width: Columns of the images (N, C, 32, width).
        config: The network; the default gives ``width // 4 + 1``.

    Returns:
        T, at least 1.

    Raises:
        InputError: The images are too narrow for one row.
    """
    end_padding = LAST_CONVOLUTIONS[config.last_convolution]
    if config.pooling == "padded":
        least = 4
        more = 1
    elif end_padding:
        least = 4
        more = -1
    else:
        least = 8
        more = -1
    if width < least:
        raise InputError(f"the width is {width}; expected at least {least}: two poolings halve it")
    return width // 4 + more + end_padding


@dataclass(frozen=True)
class Preset:
    """A system's models: how their images are prepared and their classes read, and their network.

    ``stands_for`` names the preset of the same network that is trained, and that weights are
    imported as, where this one only describes a system's own files: their order of classes.
    """

    spec: ModelSpec
    config: CrnnConfig
    stands_for: Optional[str] = None


LETTERS_AND_DIGITS = DIGITS_AND_LETTERS[10:] + DIGITS_AND_LETTERS[:10]
"""MindSpore's order of classes, its blank after them."""
ALL_BATCHNORMS = tuple(range(CONVOLUTIONS))

# Written as in MindSpore's scripts: (x - 127.5) / 127.5 on pixels, not on pixels over 255.
_MINDSPORE_SPEC = ModelSpec(
    color="bgr", resizer="cv2-linear", divisor=1.0, mean=127.5, std=127.5, time_steps=24
)
_MINDSPORE = CrnnConfig(in_channels=3, pooling="narrow", batchnorms=ALL_BATCHNORMS, epsilon=1e-4)

PRESETS: Mapping[str, Preset] = {
    "modelzoo": Preset(ModelSpec(), CrnnConfig()),
    "sierkinhane": Preset(
        ModelSpec(width=160, resizer="cv2-cubic-two-step", mean=0.588, std=0.193, time_steps=41),
        CrnnConfig(),
    ),
    "mindspore-v2": Preset(_MINDSPORE_SPEC, _MINDSPORE),
    "mindspore-v1": Preset(
        _MINDSPORE_SPEC,
        replace(_MINDSPORE, linear_between_lstms=False, second_lstm_bidirectional=False),
    ),
    "mindocr-vgg7": Preset(
        replace(_MINDSPORE_SPEC, color="rgb", mean=127.0, std=127.0),
        replace(_MINDSPORE, batchnorms=(2, 4, 6), linear_between_lstms=False),
    ),
    "mindspore-native": Preset(
        replace(_MINDSPORE_SPEC, characters=LETTERS_AND_DIGITS, blank=36),
        _MINDSPORE,
        stands_for="mindspore-v2",
    ),
    # As in training; its evaluation divides by 255, see `crnn.jobs.protocol.PROTOCOLS`.
    "tensorflow": Preset(
        ModelSpec(
            color="rgb", resizer="pil-bilinear", divisor=127.5, mean=1.0, std=1.0, time_steps=25
        ),
        replace(_MINDSPORE, last_convolution="padded", epsilon=1e-3, linear_between_lstms=False),
    ),
}
"""The one table. The classes are blank 0, then 0-9a-z, as `crnn import` puts them;
"mindspore-native" has those of MindSpore's own files.
"""


def _specs() -> Dict[str, ModelSpec]:
    return {name: preset.spec for name, preset in PRESETS.items()}


def _networks() -> Dict[str, CrnnConfig]:
    return {name: preset.config for name, preset in PRESETS.items() if not preset.stands_for}


SPECS: Mapping[str, ModelSpec] = _specs()
"""The spec of each preset."""
VARIANTS: Mapping[str, CrnnConfig] = _networks()
"""The network of each preset that can be trained, and that weights can be imported as."""
