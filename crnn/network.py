"""CRNN: seven convolutions, two LSTMs in both directions, a row of class scores for every four
columns of the image.

Shi, Bai, Yao, "An End-to-End Trainable Neural Network for Image-based Sequence Recognition and Its
Application to Scene Text Recognition", TPAMI 39(11), 2017, https://arxiv.org/abs/1507.05717. The
parameters have the names of the common PyTorch port (github.com/meijieru/crnn.pytorch), so its
files load without a renaming.
"""

from __future__ import annotations

from typing import Optional, cast

import torch
from torch import nn

from crnn.presets import CONVOLUTIONS, LAST_CONVOLUTIONS, CrnnConfig

MODELZOO = CrnnConfig()


class CRNN(nn.Module):
    """Images (N, C, 32, W) to raw class scores (T, N, K), T = ``time_steps(W, config)``; no
    softmax. Without a config it is the network of the PyTorch port with 37 classes.
    """

    def __init__(self, config: CrnnConfig = MODELZOO) -> None:
        super().__init__()
        self.config = config
        self.cnn = _convolutions(config)
        if config.linear_between_lstms:
            between = config.hidden
        else:
            between = None
        self.rnn = nn.Sequential(
            Recurrent(config.channels[-1], config.hidden, between),
            Recurrent(
                between or 2 * config.hidden,
                config.hidden,
                config.classes,
                bidirectional=config.second_lstm_bidirectional,
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
        self, inputs: int, hidden: int, outputs: Optional[int], *, bidirectional: bool = True
    ) -> None:
        super().__init__()
        self.rnn = nn.LSTM(inputs, hidden, bidirectional=bidirectional)
        if outputs is not None:
            self.embedding = nn.Linear(2 * hidden if bidirectional else hidden, outputs)

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
        if last:
            kernel, padding = (2, 0)
        else:
            kernel, padding = (3, 1)
        layers.add_module(f"conv{index}", nn.Conv2d(inputs, outputs, kernel, padding=padding))
        if index in config.batchnorms:
            layers.add_module(f"batchnorm{index}", nn.BatchNorm2d(outputs, eps=config.epsilon))
        layers.add_module(f"relu{index}", nn.ReLU(inplace=True))
        pool = config.pool(index)
        if pool:
            layers.add_module(f"pooling{index}", nn.MaxPool2d(*pool))
        inputs = outputs
    return layers
