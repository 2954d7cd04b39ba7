"""The network of a recipe:

its sizes, its first weights, its dropout; and the loss that it is trained with.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, Tuple

import torch
from torch import nn
from torch.nn import functional

from crnn.errors import InputError
from crnn.labels import Alphabet
from crnn.network import CRNN
from crnn.presets import SPECS, VARIANTS, CrnnConfig, time_steps
from crnn.spec import ModelSpec
from crnn.training.recipe import Recipe
from crnn.weights.checkpoint import Checkpoint, carries_spec, classes_in, load_checkpoint
from crnn.weights.renaming import moved_classes


def spec_and_config(recipe: Recipe) -> Tuple[ModelSpec, CrnnConfig]:
    """Return how the network's images are prepared and its classes read, and its sizes."""
    spec, variant = SPECS[recipe.network], VARIANTS[recipe.network]
    width = recipe.width or spec.width
    spec = dataclasses.replace(
        spec,
        width=width,
        time_steps=time_steps(width, variant),
        characters=recipe.alphabet,
        blank=0,
        fold_case=Alphabet(recipe.alphabet).folds_case,
        widths=recipe.widths,
    )
    config = dataclasses.replace(
        variant,
        channels=recipe.channels or variant.channels,
        hidden=recipe.hidden,
        classes=spec.classes,
    )
    return spec, config


def steps_by_width(spec: ModelSpec, config: CrnnConfig) -> Dict[int, int]:
    """Return the network's time steps at each width that it is trained at; none for one width."""
    if spec.widths is None:
        return {}
    return {width: time_steps(width, config) for width in spec.widths.list}


def build_model(recipe: Recipe, config: CrnnConfig) -> Tuple[CRNN, Tuple[str, ...]]:
    """Return the network with its first weights, from the seed or from ``start_from``, on the
    CPU; and what a person should know of where they come from.

    Characters that the file of ``start_from`` does not read get rows of the last layer that are
    drawn as for a new network.
    """
    torch.manual_seed(recipe.seed)
    model = CRNN(config)
    initialise(model, recipe.initialise)
    notes: Tuple[str, ...] = ()
    if recipe.start_from:
        notes = _start_from(model, Path(recipe.start_from), recipe)
    if recipe.dropout:
        _add_dropout(model, recipe.dropout, recipe.dropout_at)
    return model.train(), notes


def initialise(model: CRNN, style: str) -> None:
    """Draw first weights as a system does; what it leaves to its framework is PyTorch's here.

    "modelzoo": convolutions N(0, 0.02), BatchNorm's weights N(1, 0.02). "mindspore": convolutions
    from a normal of deviation 0.02 cut at two. "tensorflow": He's for convolutions, 0.2 cut at two
    for the last layer.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            if style == "modelzoo":
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif style == "mindspore":
                nn.init.trunc_normal_(module.weight, 0.0, 0.02, -0.04, 0.04)
            elif style == "tensorflow":
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            # Their networks have no such biases, or leave them at 0.
            if style in ("mindspore", "tensorflow") and module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and style == "modelzoo":
            nn.init.normal_(module.weight, 1.0, 0.02)
    if style == "tensorflow":
        last: Any = model.rnn[1]
        nn.init.trunc_normal_(last.embedding.weight, 0.0, 0.2, -0.4, 0.4)
        nn.init.zeros_(last.embedding.bias)


class CtcLoss:
    """The CTC loss of logits (T, N, K) against targets; a scalar, in float32 whatever the logits
    are.

    ``reduction``: "mean" is PyTorch's, each word's loss over its length and then the batch's mean;
    "batch_mean" the batch's mean of the words' losses, "sum" their sum.
    """

    def __init__(self, blank: int, reduction: str = "mean", *, zero_infinity: bool = True) -> None:
        self._blank = blank
        self._reduction = reduction
        self._zero_infinity = zero_infinity

    def scale(self, batch: int) -> float:
        """Return about how many characters' losses its value adds up, with five to a word."""
        return {"mean": 1.0, "batch_mean": 5.0, "sum": 5.0 * batch}[self._reduction]

    def __call__(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        steps, words, _ = logits.shape
        loss = functional.ctc_loss(
            logits.float().log_softmax(2),
            targets,
            torch.full((words,), steps, dtype=torch.int64),
            lengths,
            blank=self._blank,
            reduction="mean" if self._reduction == "mean" else "sum",
            zero_infinity=self._zero_infinity,
        )
        if self._reduction == "batch_mean":
            return loss / words
        return loss


def _start_from(model: CRNN, path: Path, recipe: Recipe) -> Tuple[str, ...]:
    """Give a network with first weights those of a file; return what became of its classes."""
    checkpoint, notes = _checkpoint_of(path, recipe)
    weights, wanted = checkpoint.model.state_dict(), Alphabet(recipe.alphabet)
    config = dataclasses.replace(checkpoint.model.config, classes=wanted.classes)
    known = checkpoint.spec.alphabet
    if config != model.config:
        held, asked = (each.to_dict() for each in (config, model.config))
        told = [
            f"{name} {held[name]}, the recipe's {asked[name]}"
            for name in held
            if held[name] != asked[name]
        ]
        raise InputError(
            f"start_from: {path} holds another network than the recipe's: {'; '.join(told)}",
            hint="Give the recipe the file's network, channels and hidden.",
        )
    if known != wanted:
        weights = moved_classes(weights, known, wanted, model.state_dict())
        notes = (*notes, *_told_of_classes(known, wanted))
    model.load_state_dict(weights)
    return notes


def _checkpoint_of(path: Path, recipe: Recipe) -> Tuple[Checkpoint, Tuple[str, ...]]:
    """Load the file by its own spec, or by what the recipe says of a file that carries none."""
    order = recipe.start_gate_order
    if carries_spec(path):
        return load_checkpoint(path, lstm_gate_order=order, alphabet=recipe.start_alphabet), ()
    classes = classes_in(path)
    usual = SPECS[recipe.network].characters
    notes: Tuple[str, ...] = ()
    alphabet = recipe.alphabet
    if recipe.start_alphabet is not None:
        alphabet = recipe.start_alphabet
    elif classes == len(usual) + 1 and classes != len(alphabet) + 1:
        alphabet = usual
        notes = (f"start_from: {path} does not say its characters: taken for {usual}",)
    elif classes != len(alphabet) + 1:
        raise InputError(
            f"start_from: {path} has {classes} classes and does not say which characters they"
            f" are; the recipe's alphabet has {len(alphabet)} and the blank",
            hint=(
                "Give the characters that the file was trained on, in their order:"
                " start_alphabet=CHARS, or start_alphabet=@FILE."
            ),
        )
    checkpoint = load_checkpoint(
        path, lstm_gate_order=order, alphabet=alphabet, variant=recipe.network
    )
    return checkpoint, notes


def _told_of_classes(known: Alphabet, wanted: Alphabet) -> Tuple[str, ...]:
    """Say how many characters keep their rows of the last layer, and which are new or lost."""
    lost = wanted.outside(known.characters)
    new = known.outside(wanted.characters)
    if not (lost or new):
        return ()
    kept = len(wanted.characters) - len(new)
    told = f"start_from: {kept} of {len(wanted.characters)} characters keep their weights"
    if new:
        told += f"; {len(new)} are new and drawn at random: {_some(new)}"
    if lost:
        told += f"; {len(lost)} of the file's are not read any more: {_some(lost)}"
    return (told,)


def _some(characters: str) -> str:
    if len(characters) <= 40:
        return characters
    return f"{characters[:40]}…"


def _add_dropout(model: CRNN, share: float, where: str) -> None:
    """Drop outputs of the first LSTM's layer, or of the last LSTM before its linear layer, while
    training.
    """

    # Hooks, not modules: the names of the weights stay what they are.
    def drop(module: nn.Module, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (functional.dropout(output[0], share, module.training), *output[1:])
        return functional.dropout(output, share, module.training)

    last: Any = model.rnn[1]
    (last.rnn if where == "last" else model.rnn[0]).register_forward_hook(drop)
