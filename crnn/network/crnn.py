"""CRNN: seven convolutions, two LSTMs in both directions, a row of class scores for every four
columns of the image.

Shi, Bai, Yao, "An End-to-End Trainable Neural Network for Image-based Sequence Recognition and Its
Application to Scene Text Recognition", TPAMI 39(11), 2017, https://arxiv.org/abs/1507.05717. The
parameters have the names of the common PyTorch port (github.com/meijieru/crnn.pytorch), so its
files load without a renaming.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Mapping, Optional, Tuple, cast

import torch
from torch import nn

from crnn.errors import InputError

HEIGHT = 32
CONVOLUTIONS = 7
POOLINGS: Mapping[str, Mapping[int, Tuple[Tuple[int, int], Tuple[int, int], Tuple[int, int]]]] = {
    "padded": {3: ((2, 2), (2, 1), (0, 1)), 5: ((2, 2), (2, 1), (0, 1))},
    "narrow": {3: ((2, 1), (2, 1), (0, 0)), 5: ((2, 1), (2, 1), (0, 0))},
}
"""The kinds of the last two poolings: the convolution before each, and its kernel, stride and
padding as (rows, columns). The first two, after convolutions 0 and 1, are 2x2 in all kinds.
"""
LAST_CONVOLUTIONS: Mapping[str, int] = {"valid": 0, "padded": 1}
"""The columns of zeros at the right of the last convolution's input."""
_SQUARE = ((2, 2), (2, 2), (0, 0))


@dataclass(frozen=True)
class CrnnConfig:
    """The sizes of a CRNN and what its variants differ in; the defaults are the published network
    of 8 331 301 values.

    ``batchnorms`` names the convolutions that a BatchNorm follows, ``epsilon`` is theirs.
    ``between`` says whether a linear layer joins the two LSTMs, ``backward`` whether the second one
    reads in both directions. A network without biases is one whose biases are 0.
    """

    in_channels: int = 1
    channels: Tuple[int, ...] = (64, 128, 256, 256, 512, 512, 512)
    hidden: int = 256
    classes: int = 37
    pooling: str = "padded"
    last_convolution: str = "valid"
    batchnorms: Tuple[int, ...] = (2, 4, 6)
    epsilon: float = 1e-5
    between: bool = True
    backward: bool = True

    def pool(
        self, index: int
    ) -> Optional[Tuple[Tuple[int, int], Tuple[int, int], Tuple[int, int]]]:
        """Return kernel, stride and padding of the max pooling after a convolution, None where
        there is none.
        """
        return _SQUARE if index < 2 else POOLINGS[self.pooling].get(index)


ALL_BATCHNORMS = tuple(range(CONVOLUTIONS))
_MINDSPORE = CrnnConfig(in_channels=3, pooling="narrow", batchnorms=ALL_BATCHNORMS, epsilon=1e-4)
VARIANTS: Mapping[str, CrnnConfig] = {
    "modelzoo": CrnnConfig(),
    "sierkinhane": CrnnConfig(),
    "mindspore-v2": _MINDSPORE,
    "mindspore-v1": replace(_MINDSPORE, between=False, backward=False),
    "mindocr-vgg7": replace(_MINDSPORE, batchnorms=(2, 4, 6), between=False),
    "tensorflow": replace(_MINDSPORE, last_convolution="padded", epsilon=1e-3, between=False),
}
"""The networks of the systems whose weights can be taken over, by the names of `crnn.systems`."""


def time_steps(width: int, config: CrnnConfig = CrnnConfig()) -> int:
    """Return T for images ``width`` columns wide, by default ``width // 4 + 1``. Raises
    `InputError` where T is 0.

    The two square poolings halve the width; padding adds a column at each of the last two poolings
    or before the last convolution, which takes one away.
    """
    least = 4 if config.pooling == "padded" or LAST_CONVOLUTIONS[config.last_convolution] else 8
    if width < least:
        raise InputError(f"the width is {width}; expected at least {least}: two poolings halve it")
    return (
        width // 4
        + (1 if config.pooling == "padded" else -1)
        + LAST_CONVOLUTIONS[config.last_convolution]
    )


class CRNN(nn.Module):
    """Images (N, C, 32, W) to raw class scores (T, N, K), T = ``time_steps(W, config)``; no
    softmax.
    """

    def __init__(self, config: CrnnConfig) -> None:
        super().__init__()
        self.config = config
        self.cnn = _convolutions(config)
        between = config.hidden if config.between else None
        self.rnn = nn.Sequential(
            Recurrent(config.channels[-1], config.hidden, between),
            Recurrent(
                between or 2 * config.hidden,
                config.hidden,
                config.classes,
                backward=config.backward,
            ),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.cnn(images)  # (N, channels, 1, T)
        return cast(torch.Tensor, self.rnn(features.squeeze(2).permute(2, 0, 1)))


class Recurrent(nn.Module):
    """An LSTM, in both directions unless told otherwise, and a linear layer over it where
    ``outputs`` are asked for.

    (T, N, inputs) to (T, N, outputs), or to (T, N, hidden) for each direction.
    """

    def __init__(
        self, inputs: int, hidden: int, outputs: Optional[int], *, backward: bool = True
    ) -> None:
        super().__init__()
        self.rnn = nn.LSTM(inputs, hidden, bidirectional=backward)
        if outputs is not None:
            self.embedding = nn.Linear(2 * hidden if backward else hidden, outputs)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        states = self.rnn(sequence)[0]
        return cast(torch.Tensor, self.embedding(states) if hasattr(self, "embedding") else states)


def _convolutions(config: CrnnConfig) -> nn.Sequential:
    # The height goes 32, 16, 8, 4, 2, 1; the last two poolings halve it alone.
    layers = nn.Sequential()
    inputs = config.in_channels
    for index, outputs in enumerate(config.channels):
        last = index == CONVOLUTIONS - 1
        if last and LAST_CONVOLUTIONS[config.last_convolution]:
            layers.add_module(
                f"padding{index}",
                nn.ZeroPad2d((0, LAST_CONVOLUTIONS[config.last_convolution], 0, 0)),
            )
        kernel, padding = (2, 0) if last else (3, 1)
        layers.add_module(f"conv{index}", nn.Conv2d(inputs, outputs, kernel, padding=padding))
        if index in config.batchnorms:
            layers.add_module(f"batchnorm{index}", nn.BatchNorm2d(outputs, eps=config.epsilon))
        layers.add_module(f"relu{index}", nn.ReLU(inplace=True))
        pool = config.pool(index)
        if pool:
            layers.add_module(f"pooling{index}", nn.MaxPool2d(*pool))
        inputs = outputs
    return layers
