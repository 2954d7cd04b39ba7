"""The words of a trie that are near a text by edit distance.

The CRNN paper (Shi, Bai and Yao, "An End-to-End Trainable Neural Network for Image-based Sequence
Recognition", section 2.4) looks for them with a BK-tree, which visits more than half of a large
lexicon. Here the table of distances grows along the trie, a level at a time, and a prefix from
which all is too far is not followed.
"""

from __future__ import annotations

import numpy as np

from crnn.decoding.trie import Trie


def words_within(trie: Trie, text: np.ndarray, most: int) -> np.ndarray:
    """Return the words whose Levenshtein distance to a text is at most so large.

    Args:
        trie: Of one group.
        text: The text's classes, (M,).
        most: The largest distance.

    Returns:
        The words' numbers, ascending.
    """
    far = most + 1
    columns = np.arange(len(text) + 1)
    distance = np.full(trie.nodes, far, dtype=np.int64)
    distance[0] = len(text)
    node = np.zeros(1, dtype=np.int64)
    rows = columns[None]
    # Prefixes of one length: their nodes, and a row of distances to each beginning of the text.
    while len(node):
        count = trie.count[node]
        above = np.repeat(np.arange(len(node)), count)
        begins = np.cumsum(count) - count
        child = np.arange(len(above)) + (trie.first[node] - begins)[above]
        rows = _next_rows(rows[above], trie.label[child, None] != text, columns)
        distance[child] = rows[:, -1]
        near = rows.min(axis=1) <= most
        node, rows = child[near], rows[near]
    return np.flatnonzero(distance[trie.ends] <= most)


def _next_rows(above: np.ndarray, differs: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the rows of Levenshtein's table that belong to prefixes one character longer.

    Args:
        above: The rows of the prefixes, (P, M + 1).
        differs: Whether the new character is another than each of the text's, (P, M).
        columns: 0 to M.

    Returns:
        The new rows, (P, M + 1).
    """
    rows = above + 1
    np.minimum(rows[:, 1:], above[:, :-1] + differs, out=rows[:, 1:])
    # A character of the text that the word lacks costs one more than the entry to its left.
    nearest: np.ndarray = np.minimum.accumulate(rows - columns, axis=1) + columns
    return nearest
