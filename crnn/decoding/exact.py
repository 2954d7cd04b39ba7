"""The exact CTC probability of every word of a trie.

The forward variables of CTC (Graves et al., "Connectionist Temporal Classification", ICML 2006,
section 4.1) of a word depend on its prefix alone, so words share those of the prefixes that they
share: a trie's node has two of them, of the paths that end in a blank and of those that end in the
node's character.

With b and l for these two sums of a node, p for its parent, y for the probabilities of the step,
and c for a node's character, a step makes of them

    b' = (b + l) y[blank]
    l' = (l + b_p + l_p) y[c]          where c is not p's character
    l' = (l + b_p) y[c]                where it is: between the two there must be a blank

A word's probability is b + l of its node after the last step. Each step's probabilities are divided
by their largest, so that float64 holds the sums of all words that matter. Where it holds none of a
row's, the row is computed again with logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

import numpy as np

from crnn.decoding.trie import Trie

CELLS = 1 << 16
"""About how many nodes times rows are worked on at a time: as many as a processor's cache holds."""


@dataclass(frozen=True)
class _Arithmetic:
    """How sums and products are computed: of probabilities, or of their logarithms."""

    plus: np.ufunc
    times: np.ufunc
    zero: float
    one: float


_PLAIN = _Arithmetic(np.add, np.multiply, 0.0, 1.0)
_LOGARITHMS = _Arithmetic(np.logaddexp, np.add, -np.inf, 0.0)


@dataclass(frozen=True)
class Emissions:
    """Probabilities of classes, each time step's largest being 1.

    The probability of a path is the product of its entries times exp(``log_scale``).
    """

    scaled: np.ndarray
    """The probabilities, float64 (T, N, K); some may be too small for float64, and so 0."""
    logarithms: np.ndarray
    """Their logarithms, float64 (T, N, K), of which none is infinite."""
    log_scale: np.ndarray
    """What was taken out of each row, float64 (N,)."""


def emissions(logits: np.ndarray, temperature: float = 1.0) -> Emissions:
    """Return what the exact sum and the beam take.

    Args:
        logits: Scores (T, N, K), raw or log-softmax alike, all finite.
        temperature: They are divided by it.

    Returns:
        Their softmax, each step scaled so that nothing that matters is too small.
    """
    logarithms = logits.astype(np.float64)
    logarithms -= logarithms.max(axis=2, keepdims=True)
    if temperature != 1.0:
        logarithms /= temperature
    scaled = np.exp(logarithms)
    return Emissions(scaled, logarithms, -np.log(scaled.sum(axis=2)).sum(axis=0))


def shared_logs(trie: Trie, emitted: Emissions, blank: int) -> np.ndarray:
    """Return the logarithm of the probability of each word for each row, one lexicon for all.

    Args:
        trie: With one group.
        emitted: Of N rows.
        blank: The class of the blank.

    Returns:
        float64 (N, W); minus infinity where a word needs more steps than there are.
    """
    rows = emitted.scaled.shape[1]
    logs = np.empty((rows, len(trie.ends)))
    # A row of nodes is a row of memory: whole rows are gathered at once.
    by_class = emitted.scaled.transpose(0, 2, 1)
    block = max(1, CELLS // trie.nodes)
    for begin in range(0, rows, block):
        part = np.ascontiguousarray(by_class[:, :, begin : begin + block])
        logs[begin : begin + block] = _forward(trie, part, trie.label, blank, _PLAIN).T
    _into_logs(logs)
    for row in np.flatnonzero(np.isneginf(logs.max(axis=1))).tolist():
        part = emitted.logarithms[:, row, :, None]
        logs[row] = _forward(trie, part, trie.label, blank, _LOGARITHMS)[:, 0]
    logs += emitted.log_scale[:, None]
    return logs


def grouped_logs(trie: Trie, emitted: Emissions, blank: int) -> np.ndarray:
    """Return the logarithm of the probability of each word, each row having a lexicon of its own.

    Args:
        trie: With a group a row, N of them.
        emitted: Of N rows.
        blank: The class of the blank.

    Returns:
        float64 (W,), in the order of the trie's words; minus infinity as for `shared_logs`.
    """
    steps, rows, classes = emitted.scaled.shape
    shape = (steps, rows * classes, 1)
    label = trie.group * classes + trie.label
    blanks = trie.group * classes + blank
    row_of = trie.group[trie.ends]
    logs = _forward(trie, emitted.scaled.reshape(shape), label, blanks, _PLAIN)[:, 0]
    _into_logs(logs)
    possible = np.bincount(row_of, weights=np.isfinite(logs), minlength=rows)
    hard = (possible == 0)[row_of]
    if hard.any():
        wide = emitted.logarithms.reshape(shape)
        logs[hard] = _forward(trie, wide, label, blanks, _LOGARITHMS)[hard, 0]
    logs += emitted.log_scale[row_of]
    return logs


def _into_logs(scores: np.ndarray) -> None:
    """Take logarithms in place; that of 0 is minus infinity, and no warning."""
    with np.errstate(divide="ignore"):
        np.log(scores, out=scores)


def _forward(
    trie: Trie,
    emitted: np.ndarray,
    label: np.ndarray,
    blank: Union[int, np.ndarray],
    arithmetic: _Arithmetic,
) -> np.ndarray:
    """Return the sum over all paths of each word.

    M columns are computed side by side: N rows that share a lexicon, or one where each node knows
    its own row and so where its emissions stand.

    Args:
        trie: The words.
        emitted: Probabilities, or their logarithms, (T, L, M).
        label: Which of the L is each node's character, (V,).
        blank: Which of the L is the blank: one for all nodes, or one for each, (V,).
        arithmetic: Of probabilities or of logarithms.

    Returns:
        The sums, (W, M).
    """
    plus, times = arithmetic.plus, arithmetic.times
    shape = (trie.nodes, emitted.shape[2])
    # Paths that give a node's prefix and end in a blank, in its character, and both together.
    in_blank, in_label, total = (np.full(shape, arithmetic.zero) for _ in range(3))
    roots = trie.groups
    in_blank[:roots] = arithmetic.one
    again = _repeats(trie)
    deepest = len(trie.level_ends) - 1
    for step, emission in enumerate(emitted):
        # No path is longer than the steps so far.
        end = trie.level_ends[min(step + 1, deepest)]
        plus(in_blank[:end], in_label[:end], out=total[:end])
        entering = total.take(trie.parent[roots:end], axis=0)
        repeated = again[: np.searchsorted(again, end)]
        # A character is the same as the one before it only across a blank.
        entering[repeated - roots] = in_blank[trie.parent[repeated]]
        plus(in_label[roots:end], entering, out=entering)
        times(entering, emission.take(label[roots:end], axis=0), out=in_label[roots:end])
        if isinstance(blank, int):
            times(total[:end], emission[blank], out=in_blank[:end])
        else:
            times(total[:end], emission.take(blank[:end], axis=0), out=in_blank[:end])
    sums: np.ndarray = plus(in_blank[trie.ends], in_label[trie.ends])
    return sums


def _repeats(trie: Trie) -> np.ndarray:
    """Return the nodes whose character is their parent's."""
    same = trie.label[trie.groups :] == trie.label[trie.parent[trie.groups :]]
    return np.flatnonzero(same) + trie.groups
