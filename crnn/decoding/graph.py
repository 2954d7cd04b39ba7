"""What may follow what: the states that a beam walks through, a trie's nodes or an automaton's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crnn.decoding.trie import Trie


@dataclass(frozen=True)
class Graph:
    """States with labelled edges; at most one edge of a state has a certain label.

    S is the number of states, E that of edges; the edges of a state stand side by side.
    """

    first: np.ndarray
    """The first edge of each state, integers (S,)."""
    count: np.ndarray
    """How many edges it has, integers (S,)."""
    target: np.ndarray
    """The state that each edge leads to, integers (E,)."""
    label: np.ndarray
    """The class of each edge, integers (E,)."""
    needed: np.ndarray
    """How many more characters a text needs to end, integers (S,); 0 where it may end."""
    starts: np.ndarray
    """Where walks begin: row n at ``starts[n % len(starts)]``."""


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
