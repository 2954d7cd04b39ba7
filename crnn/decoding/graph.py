"""What may follow what: the states that a beam walks through, a trie's nodes or an automaton's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.decoding.trie import Trie


@dataclass(frozen=True)
class Graph:
    """States with labelled edges; at most one edge of a state has a certain label.

    The edges of state s are ``first[s]`` to ``first[s] + count[s]``, edge e leads to ``target[e]``
    and has the class ``label[e]``. ``needed[s]`` is how many more characters a text needs to end:
    0 where it may end. A walk begins at state ``starts[row % len(starts)]``.
    """

    first: np.ndarray
    count: np.ndarray
    target: np.ndarray
    label: np.ndarray
    needed: np.ndarray
    starts: np.ndarray


def graph_of(trie: Trie) -> Graph:
    """Return a trie as a graph, each group's root being a start.

    Args:
        trie: Of one group, or of a group a row.

    Returns:
        Its nodes as states.
    """
    roots = trie.groups
    return Graph(
        first=trie.first - roots,
        count=trie.count,
        target=np.arange(roots, trie.nodes, dtype=np.int32),
        label=trie.label[roots:],
        needed=trie.needed,
        starts=np.arange(roots),
    )


def graph_of_any(classes: np.ndarray) -> Graph:
    """Return the graph of all texts of some characters: one state, to which each leads back.

    Args:
        classes: The characters' classes, ascending, (C,).

    Returns:
        The graph.
    """
    only = np.zeros(1, dtype=np.int64)
    return Graph(
        first=only,
        count=np.array([len(classes)]),
        target=np.zeros(len(classes), dtype=np.int64),
        label=classes.astype(np.int64),
        needed=only,
        starts=only,
    )
