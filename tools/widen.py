"""Write a wider network that reads as a trained one does, to begin a training from.

``python -m tools.widen crnn.pth wider.pth --channels 32,48,64,112,192,256,320 --hidden 160``

Net2WiderNet of Chen, Goodfellow and Shlens, "Net2Net: Accelerating Learning via Knowledge
Transfer", ICLR 2016, https://arxiv.org/abs/1511.05641: a new channel is a copy of an old one, and
what read the old one reads both, with weights that add up to the old weight. The shares are drawn
for each weight, so that the copies get different gradients and part in training.
"""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

import torch

from crnn.network import CRNN
from crnn.presets import CrnnConfig
from crnn.weights.checkpoint import load_checkpoint, save_checkpoint

GATES = 4
"""An LSTM's weights hold its gates one after the other."""
LEAST_SHARE, MOST_SHARE = 0.2, 1.0
"""Between these a copy's part is drawn, before the parts are made to add up to 1."""

Weights = Dict[str, torch.Tensor]


@dataclass(frozen=True)
class Copies:
    """Which old channel each new one is a copy of."""

    sources: torch.Tensor

    @staticmethod
    def draw(old: int, new: int, random: torch.Generator) -> Copies:
        """Return the old channels as they are, and copies of some that are drawn."""
        if new < old:
            raise SystemExit(f"{new} channels in the place of {old}: a network is only made wider")
        more: list[torch.Tensor] = []
        while new > old + sum(len(part) for part in more):
            more.append(torch.randperm(old, generator=random))
        drawn = torch.cat([torch.arange(old), *more])
        return Copies(drawn[:new])

    @staticmethod
    def none(count: int) -> Copies:
        """Return so many channels as they are."""
        return Copies(torch.arange(count))

    def then(self, other: Copies) -> Copies:
        """Return these channels with others after them."""
        return Copies(torch.cat([self.sources, other.sources + int(self.sources.max()) + 1]))

    def gates(self) -> torch.Tensor:
        """Return the rows of an LSTM's four gates, for hidden values copied so."""
        old = int(self.sources.max()) + 1
        return torch.cat([self.sources + gate * old for gate in range(GATES)])

    def shared(self, weight: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return the weights of a layer that reads these channels.

        Args:
            weight: (outputs, old channels, …).
            random: Draws the shares.

        Returns:
            (outputs, new channels, …): of all copies of a channel together, the old weight.
        """
        wide = weight[:, self.sources]
        shares = torch.empty_like(wide).uniform_(LEAST_SHARE, MOST_SHARE, generator=random)
        total = torch.zeros_like(weight).index_add_(1, self.sources, shares)
        return wide * shares / total[:, self.sources]


def widen(weights: Weights, old: CrnnConfig, new: CrnnConfig, seed: int) -> Weights:
    """Return the weights of a wider network that gives the same logits.

    Args:
        weights: A `CRNN`'s state dict.
        old: Its sizes.
        new: Those wanted, of which channels and hidden may be larger.
        seed: Of the copies and the shares.

    Returns:
        The state dict of a `CRNN` of the new sizes.
    """
    random = torch.Generator().manual_seed(seed)
    wide = dict(weights)
    inputs = Copies.none(old.in_channels)
    for index, (narrow, wider) in enumerate(zip(old.channels, new.channels)):
        outputs = Copies.draw(narrow, wider, random)
        name = f"cnn.conv{index}"
        wide[f"{name}.weight"] = inputs.shared(weights[f"{name}.weight"], random)[outputs.sources]
        wide[f"{name}.bias"] = weights[f"{name}.bias"][outputs.sources]
        if index in old.batchnorms:
            for part in ("weight", "bias", "running_mean", "running_var"):
                norm = f"cnn.batchnorm{index}.{part}"
                wide[norm] = weights[norm][outputs.sources]
        inputs = outputs
    between = _widen_lstm(wide, "rnn.0", inputs, old.hidden, new.hidden, random)
    inputs = _widen_linear(
        wide, "rnn.0", between, Copies.draw(old.hidden, new.hidden, random), random
    )
    between = _widen_lstm(wide, "rnn.1", inputs, old.hidden, new.hidden, random)
    _widen_linear(wide, "rnn.1", between, Copies.none(old.classes), random)
    return wide


def _widen_lstm(
    wide: Weights, name: str, inputs: Copies, old: int, new: int, random: torch.Generator
) -> Copies:
    """Widen an LSTM of both directions in place; return the copies among its outputs."""
    hidden = []
    for direction in ("", "_reverse"):
        copies = Copies.draw(old, new, random)
        rows = copies.gates()
        for part, read in (("weight_ih", inputs), ("weight_hh", copies)):
            key = f"{name}.rnn.{part}_l0{direction}"
            wide[key] = read.shared(wide[key], random)[rows]
        for part in ("bias_ih", "bias_hh"):
            key = f"{name}.rnn.{part}_l0{direction}"
            wide[key] = wide[key][rows]
        hidden.append(copies)
    forward, backward = hidden
    return forward.then(backward)


def _widen_linear(
    wide: Weights, name: str, inputs: Copies, outputs: Copies, random: torch.Generator
) -> Copies:
    """Widen the linear layer over an LSTM in place; return the copies among its outputs."""
    key = f"{name}.embedding"
    wide[f"{key}.weight"] = inputs.shared(wide[f"{key}.weight"], random)[outputs.sources]
    wide[f"{key}.bias"] = wide[f"{key}.bias"][outputs.sources]
    return outputs


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(prog="tools.widen", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--channels", required=True, help="of the seven convolutions: N,N,…")
    parser.add_argument("--hidden", required=True, type=int, help="values of the LSTMs")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    checkpoint = load_checkpoint(args.checkpoint)
    old = checkpoint.model.config
    channels: Tuple[int, ...] = tuple(int(part) for part in args.channels.split(","))
    new = dataclasses.replace(old, channels=channels, hidden=args.hidden)
    wide = widen(checkpoint.model.state_dict(), old, new, args.seed)
    CRNN(new).load_state_dict(wide)
    save_checkpoint(args.out, wide, new, checkpoint.spec, source=f"{args.checkpoint}, widened")


if __name__ == "__main__":
    main()
