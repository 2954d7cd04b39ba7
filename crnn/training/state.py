"""What a checkpoint has to hold for a run to go on from it: each part, and whether it is sound."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Mapping

import torch

from crnn import plain_yaml
from crnn.errors import KitError

_MOST = 1 << 53
"""The largest count: floats are whole numbers up to it."""


def wrong_part(content: Mapping[str, Any], training: Any) -> str:
    """Find what a run cannot go on from.

    Args:
        content: What a checkpoint holds.
        training: What it holds of its run.

    Returns:
        The name of the first part that is not as this trainer writes it; empty where all are.
    """
    for name, check in _WEIGHTS.items():
        if not check(content.get(name)):
            return name
    if not isinstance(training, dict):
        return "crnn.training"
    for name, check in _RUN.items():
        if not check(training.get(name)):
            return name
    for name, check in _OPTIONAL.items():
        if name in training and not check(training[name]):
            return name
    return ""


def fits(optimizer: torch.optim.Optimizer) -> bool:
    """Say whether an optimiser's averages have the shapes of the weights that they are of.

    Args:
        optimizer: One that has taken up a state.

    Returns:
        False where a step would fail.
    """
    for weight, averages in optimizer.state.items():
        if not isinstance(averages, dict):
            return False
        for value in averages.values():
            if isinstance(value, torch.Tensor) and value.dim() and value.shape != weight.shape:
                return False
    return True


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_loss(value: Any) -> bool:
    return value is None or _is_number(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _is_weights(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(isinstance(tensor, torch.Tensor) for tensor in value.values())


def _is_recipe(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return isinstance(plain_yaml.load(value), dict)
    except (KitError, ValueError):
        return False


def _is_sums(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    for sums in value.values():
        if not isinstance(sums, dict) or not _is_count(sums.get("steps", 0)):
            return False
        # The sum of a run that is diverging may be infinite.
        if type(sums.get("loss", 0.0)) not in (int, float):
            return False
    return True


_Checks = Dict[str, Callable[[Any], bool]]
_WEIGHTS: _Checks = {"state_dict": _is_weights, "best_acc": _is_share, "optimizer": _is_table}
_RUN: _Checks = {
    "accuracy": _is_share,
    "best_step": _is_count,
    "data": _is_counts,
    "first_loss": _is_loss,
    "recipe": _is_recipe,
    "scaler": _is_table,
    "step": _is_count,
}
_OPTIONAL: _Checks = {"raw": _is_weights, "sums": _is_sums}
