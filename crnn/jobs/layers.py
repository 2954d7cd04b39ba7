"""Where two models part: their tensors node by node, by name.

A fixed cosine would pass an error of 14 %, and a fixed difference would blame whoever computes in
float16. A node is blamed where its relative error is ten times that of a healthy pair of the same
precision (`HEALTHY`), and the first such node in the first model's order is where to look.
"""

from __future__ import annotations

import itertools
from typing import List, Tuple

import numpy as np

from crnn.export.node_tensors import FLOAT16, FLOAT32, INT8, Tensors
from crnn.reports.layers import Layer, LayerReport

HEALTHY = {FLOAT32: 1e-6, FLOAT16: 6e-4, INT8: 4e-2}
"""The relative error (L2) of a healthy pair's worst node, by the coarser one's precision."""
TIMES = 10
"""How many times a healthy error is one too many."""
WORDS = 64
"""The most words that are compared; every tensor of all of them is held in memory."""


def compare_layers(first: Tensors, second: Tensors) -> LayerReport:
    """Compare two models node by node.

    Args:
        first: The reference's tensors.
        second: The other's, for the same images.

    Returns:
        The tensors that both have, in the reference's order.
    """
    limit = TIMES * max(HEALTHY[first.precision], HEALTHY[second.precision])
    layers: List[Layer] = []
    unmatched: List[str] = []
    for name, value in first.values.items():
        other = second.values.get(name)
        if other is None or other.size != value.size:
            unmatched.append(name)
            continue
        layers.append(_layer(name, first.operators[name], value, other, limit))
    return LayerReport(layers, limit, unmatched)


def _layer(name: str, operator: str, value: np.ndarray, other: np.ndarray, limit: float) -> Layer:
    plain = other.reshape(value.shape)
    broken, largest, relative, cosine = _distances(value, plain)
    blamed = bool(broken) or not relative <= limit
    turned = blamed and _is_turned(value, other, limit)
    shape = tuple(value.shape[1:])
    return Layer(name, operator, shape, broken, largest, relative, cosine, turned, blamed)


def _distances(value: np.ndarray, other: np.ndarray) -> Tuple[int, float, float, float]:
    """Return how many values are broken in one alone, and of the others the largest difference, the
    relative error and the cosine.
    """
    sound = np.isfinite(value) & np.isfinite(other)
    broken = int((~sound & (value != other)).sum())
    one = np.where(sound, value, 0).astype(np.float64).reshape(-1)
    two = np.where(sound, other, 0).astype(np.float64).reshape(-1)
    difference = one - two
    length, length_two = float(np.linalg.norm(one)), float(np.linalg.norm(two))
    relative = float(np.linalg.norm(difference))
    if length:
        relative /= length
    cosine = 1.0
    if length and length_two:
        cosine = float(one @ two) / (length * length_two)
    elif length or length_two:
        cosine = 0.0
    return broken, float(np.abs(difference).max(initial=0.0)), relative, cosine


def _is_turned(value: np.ndarray, other: np.ndarray, limit: float) -> bool:
    """Say whether another order of its axes makes a tensor the first model's."""
    for order in itertools.permutations(range(1, other.ndim)):
        turned = other.transpose(0, *order)
        if turned.shape == value.shape and order != tuple(range(1, other.ndim)):
            broken, _, relative, _ = _distances(value, turned)
            if not broken and relative <= limit:
                return True
    return False
