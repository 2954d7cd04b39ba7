"""CTC prefix beam search over a graph, for all rows of a batch at once.

The search is that of Graves ("Supervised Sequence Labelling with Recurrent Neural Networks", 2012,
section 7.5.1) and Hannun et al. ("First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs", 2014): a prefix is kept with the probability of its paths that end
in a blank and that of those that end in its last character. Which characters may follow is the
graph's to say. At each step each row keeps the ``width`` likeliest prefixes, those alone that can
still end within the steps that are left.

No loop goes over rows or prefixes: a step is a few dozen NumPy operations on arrays (N, width), and
on the list of all edges that leave the prefixes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from crnn.decoding.graph import Graph

RESCALED_EVERY = 4
"""Steps after which the sums are divided by the row's largest."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_ROOT, _NO_PARENT, _NOBODY = np.uint64(1), np.uint64(0), np.uint64(2)


@dataclass(frozen=True)
class Survivors:
    """The prefixes that a beam has kept and that may end, of all rows, likeliest first in a row."""

    row: np.ndarray
    """The row of each prefix, ascending, (S,)."""
    state: np.ndarray
    """Where in the graph it ends, (S,)."""
    spelled: np.ndarray
    """The classes of its characters, (S, T); what comes after ``length`` of them means nothing."""
    length: np.ndarray
    """How many characters it has, (S,)."""


@dataclass
class _Beam:
    """The prefixes of all rows, (N, width) each; one with no probability is free."""

    state: np.ndarray
    """Where in the graph it ends."""
    last: np.ndarray
    """The class of its last character; the blank's where it has none."""
    in_blank: np.ndarray
    """The sum over its paths that end in a blank, but for a factor that a row has in common."""
    in_label: np.ndarray
    """The sum over those that end in its last character, likewise."""
    mark: np.ndarray
    """A hash of the prefix, by which a prefix finds the one that it grew from."""
    parent: np.ndarray
    """The hash of the prefix without its last character."""
    place: np.ndarray
    """Which edge of its parent's state it is."""
    spelled: np.ndarray
    """The classes of its characters, (N, width, T)."""
    length: np.ndarray
    """How many characters it has."""


@dataclass(frozen=True)
class _Grown:
    """Prefixes longer by a character, (M,) each, by rows."""

    source: np.ndarray
    """The flat number, row times width plus place, of what each one grows from."""
    edge: np.ndarray
    """By which edge of the graph."""
    score: np.ndarray
    """Its probability; 0 where it is in the beam already."""


def search(graph: Graph, scaled: np.ndarray, blank: int, width: int) -> Survivors:
    """Search all rows.

    Args:
        graph: What may follow what.
        scaled: `crnn.decoding.exact.Emissions.scaled`, (T, N, K).
        blank: The class of the blank.
        width: How many prefixes a row keeps.

    Returns:
        Those that may end; a row may have none.
    """
    steps, rows, _ = scaled.shape
    beam = _begin(graph, rows, width, steps, blank)
    characters = scaled.copy()
    characters[:, :, blank] = 0
    highest = characters.max(axis=2)
    for step in range(steps):
        _advance(beam, graph, scaled[step], highest[step], blank, steps - step - 1)
        if step % RESCALED_EVERY == RESCALED_EVERY - 1:
            _rescale(beam)
    return _survivors(beam, graph)


def _begin(graph: Graph, rows: int, width: int, steps: int, blank: int) -> _Beam:
    """Return a beam before the first step.

    Each row holds the empty prefix alone, as if a blank had gone before, so that its first
    character may be any. The other places are free.
    """
    shape = (rows, width)
    state = np.zeros(shape, dtype=np.int64)
    state[:, 0] = graph.starts[np.arange(rows) % len(graph.starts)]
    in_blank = np.zeros(shape)
    in_blank[:, 0] = 1
    mark = np.full(shape, _NOBODY)
    mark[:, 0] = _ROOT
    return _Beam(
        state=state,
        last=np.full(shape, blank, dtype=np.int64),
        in_blank=in_blank,
        in_label=np.zeros(shape),
        mark=mark,
        parent=np.full(shape, _NO_PARENT),
        place=np.zeros(shape, dtype=np.int64),
        spelled=np.zeros((rows, width, steps), dtype=np.int32),
        length=np.zeros(shape, dtype=np.int64),
    )


def _advance(
    beam: _Beam, graph: Graph, emission: np.ndarray, highest: np.ndarray, blank: int, left: int
) -> None:
    """Take one time step.

    A prefix stays as it is by a blank, or by its last character once more. It grows by a character
    that the graph allows. Where what it grows to is in the beam already, that one's paths become
    more; all else are candidates for a place.

    Args:
        beam: The prefixes; changed in place.
        graph: What may follow what.
        emission: The step's scaled probabilities, (N, K).
        highest: The largest of each row but the blank's, (N,).
        blank: The class of the blank.
        left: How many steps come after this one.
    """
    total = beam.in_blank + beam.in_label
    mine = np.take_along_axis(emission, beam.last, axis=1)
    in_label = beam.in_label * mine
    in_blank = total * emission[:, blank, None]
    # Pairs of prefixes in a row of which one is the other without its last character.
    row, child, parent = np.nonzero(beam.parent[:, :, None] == beam.mark[:, None, :])
    # Twice the same character needs a blank between: paths that end in it do not count.
    same = beam.last[row, child] == beam.last[row, parent]
    entering = np.where(same, beam.in_blank[row, parent], total[row, parent])
    in_label[row, child] += entering * mine[row, child]
    # What can no longer become a text gives its place to what can.
    ended = graph.needed[beam.state] > left
    in_label[ended] = 0
    in_blank[ended] = 0
    # A new prefix must be likelier than the least of those that stay, so few edges are looked at.
    least = (in_blank + in_label).min(axis=1)
    grows = total * highest[:, None] > least[:, None]
    grown = _grown(beam, graph, emission, total, grows, (row, child, parent))
    kept = grown.score > least[grown.source // beam.state.shape[1]]
    kept &= graph.needed[graph.target[grown.edge]] <= left
    beam.in_blank, beam.in_label = in_blank, in_label
    chosen = np.flatnonzero(kept)
    if len(chosen):
        _replace(beam, graph, _Grown(grown.source[chosen], grown.edge[chosen], grown.score[chosen]))


def _grown(
    beam: _Beam,
    graph: Graph,
    emission: np.ndarray,
    total: np.ndarray,
    grows: np.ndarray,
    families: Tuple[np.ndarray, np.ndarray, np.ndarray],
) -> _Grown:
    """Return every prefix that is one character longer, but for those that are in the beam.

    Args:
        beam: The prefixes before the step.
        graph: What may follow what.
        emission: The step's scaled probabilities, (N, K).
        total: The probability of each prefix before the step, (N, width).
        grows: Which of them are likely enough to be looked at, (N, width).
        families: Row, place and parent's place of the prefixes whose parents are in the beam too.

    Returns:
        The longer prefixes, those of a row side by side.
    """
    width = beam.state.shape[1]
    counts = np.where(grows, graph.count[beam.state], 0)
    flat = counts.ravel()
    begins = np.cumsum(flat) - flat
    # One entry an edge: which prefix it leaves, then the edge's own number.
    source = np.repeat(np.arange(flat.size), flat)
    edge = np.arange(len(source)) + (graph.first[beam.state].ravel() - begins)[source]
    label = graph.label[edge]
    same = label == beam.last.ravel()[source]
    score = np.where(same, beam.in_blank.ravel()[source], total.ravel()[source])
    score *= emission[source // width, label]
    row, child, parent = families
    here = np.flatnonzero(counts[row, parent])
    row, child, parent = row[here], child[here], parent[here]
    # Those that are in the beam have got their share already.
    score[begins.reshape(counts.shape)[row, parent] + beam.place[row, child]] = 0
    return _Grown(source, edge, score)


def _replace(beam: _Beam, graph: Graph, grown: _Grown) -> None:
    """Keep each row's likeliest of the prefixes that stay and those that are new.

    Args:
        beam: The prefixes after the step; changed in place.
        graph: What may follow what.
        grown: The new ones, at least one; rows without one are not touched.
    """
    width = beam.state.shape[1]
    row_of = grown.source // width
    rows, begins, counts = np.unique(row_of, return_index=True, return_counts=True)
    # The rows with something new, side by side: what stays, then what is new.
    scores = np.full((len(rows), width + int(counts.max())), -1.0)
    stay = beam.in_blank[rows] + beam.in_label[rows]
    scores[:, :width] = stay
    # As there are ``width`` that stay, free ones included, no gap (-1) is ever among the best.
    at = np.repeat(np.arange(len(rows)), counts)
    column = width + np.arange(len(row_of)) - np.repeat(begins, counts)
    scores[at, column] = grown.score
    number = np.zeros(scores.shape, dtype=np.int64)
    number[at, column] = np.arange(len(row_of))
    best = np.argpartition(-scores, width - 1, axis=1)[:, :width]
    is_new = best >= width
    picked = np.take_along_axis(number, best, axis=1)
    source = np.where(is_new, grown.source[picked], rows[:, None] * width + best)
    fresh = np.nonzero(is_new)
    _take(beam, rows, source)
    _write_new(beam, graph, grown, rows[fresh[0]], fresh[1], picked[fresh])


def _take(beam: _Beam, rows: np.ndarray, source: np.ndarray) -> None:
    """Put prefixes in the places of some rows.

    Args:
        beam: Changed in place.
        rows: The rows, (R,).
        source: The flat number, row times width plus place, of what goes where, (R, width).
    """
    for name in ("state", "last", "in_blank", "in_label", "mark", "parent", "place", "length"):
        array = getattr(beam, name)
        array[rows] = array.ravel()[source]
    beam.spelled[rows] = beam.spelled.reshape(-1, beam.spelled.shape[2])[source]


def _write_new(
    beam: _Beam,
    graph: Graph,
    grown: _Grown,
    row: np.ndarray,
    column: np.ndarray,
    picked: np.ndarray,
) -> None:
    """Lengthen the prefixes in some places, which are copies of their parents as yet.

    Args:
        beam: Changed in place.
        graph: What may follow what.
        grown: What they become.
        row: Their rows, (P,).
        column: Their places in these rows, (P,).
        picked: Which of ``grown`` each of them becomes, (P,).
    """
    edge = grown.edge[picked]
    label = graph.label[edge]
    there = (row, column)
    beam.place[there] = edge - graph.first[beam.state[there]]
    beam.parent[there] = beam.mark[there]
    beam.mark[there] = beam.mark[there] * _FACTOR + label.astype(np.uint64) + np.uint64(1)
    beam.state[there] = graph.target[edge]
    beam.last[there] = label
    beam.in_blank[there] = 0
    beam.in_label[there] = grown.score[picked]
    beam.spelled[row, column, beam.length[there]] = label
    beam.length[there] += 1


def _rescale(beam: _Beam) -> None:
    """Divide the sums of each row by its largest, so that they never become too small."""
    largest = (beam.in_blank + beam.in_label).max(axis=1, keepdims=True)
    largest[largest == 0] = 1
    beam.in_blank /= largest
    beam.in_label /= largest


def _survivors(beam: _Beam, graph: Graph) -> Survivors:
    """Return the prefixes that may end, sorted by row and then by probability."""
    total = beam.in_blank + beam.in_label
    total[graph.needed[beam.state] > 0] = 0
    order = np.argsort(-total, axis=1, kind="stable")
    alive = np.take_along_axis(total, order, axis=1) > 0
    row, place = np.nonzero(alive)
    there = (row, order[row, place])
    return Survivors(row, beam.state[there], beam.spelled[there], beam.length[there])
