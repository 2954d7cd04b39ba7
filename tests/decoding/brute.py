"""CTC by its definition: every path is written out."""

from __future__ import annotations

import itertools
from typing import Dict, Tuple

import numpy as np

Text = Tuple[int, ...]


def probabilities(logits: np.ndarray, blank: int) -> Dict[Text, float]:
    """Return the probability of every text, as classes, that some path of logits (T, K) gives."""
    weights = np.exp(logits.astype(np.float64))
    weights /= weights.sum(axis=1, keepdims=True)
    steps, classes = weights.shape
    found: Dict[Text, float] = {}
    for path in itertools.product(range(classes), repeat=steps):
        text = tuple(key for key, _ in itertools.groupby(path) if key != blank)
        found[text] = found.get(text, 0.0) + float(
            np.prod([weights[step, number] for step, number in enumerate(path)])
        )
    return found


def needs(text: Text) -> int:
    """Return the steps that a text needs."""
    return len(text) + sum(one == other for one, other in zip(text, text[1:]))
