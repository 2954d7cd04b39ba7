"""Where a text's characters stand, and how sure each is: from the best path that gives the text.

CTC places a character at the steps of its run; between two characters lie blanks of either. So a
character is taken to be centred on its run, and to reach halfway to its neighbours' centres; the
first and the last reach outwards as far as inwards.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

import numpy as np

from crnn import ctc
from crnn.batch import Span
from crnn.decoding.probability import classes_of_texts
from crnn.labels import Alphabet
from crnn.results import Character


def characters(
    logits: np.ndarray,
    texts: Sequence[str],
    alphabet: Alphabet,
    spans: Sequence[Span],
    temperature: float = 1.0,
) -> List[Tuple[Character, ...]]:
    """Return the characters of each row's text.

    Args:
        logits: Scores (T, n, K), raw or log-softmax alike, finite.
        texts: What each row was read as; some path must give it.
        alphabet: The characters of the K classes.
        spans: Where each row's input lies in its picture.
        temperature: The scores are divided by it where probabilities are computed.

    Returns:
        The characters of n rows, in the texts' order.
    """
    path = ctc.best_path(logits, alphabet)
    others: List[int] = []
    for row, (greedy, text) in enumerate(zip(ctc.decode(path, alphabet), texts)):
        if greedy != text:
            others.append(row)
    if others:
        path[others] = aligned(logits[:, others], [texts[row] for row in others], alphabet)
    certain = _certainties(logits, path, temperature)
    found: List[Tuple[Character, ...]] = []
    for row, span in enumerate(spans):
        found.append(_of_row(path[row], certain[row], alphabet, span))
    return found


def aligned(logits: np.ndarray, texts: Sequence[str], alphabet: Alphabet) -> np.ndarray:
    """Return the likeliest of the paths that give each row's text (Viterbi).

    Args:
        logits: Scores (T, n, K), finite.
        texts: A text for each row.
        alphabet: The characters of the K classes.

    Returns:
        Class numbers (n, T); of a text that no path gives some path of its classes.
    """
    wanted = classes_of_texts(texts, alphabet)
    steps, rows, _ = logits.shape
    every = np.arange(rows)
    states = np.full((2 * len(wanted.classes) + 1, rows), alphabet.blank)
    states[1::2] = wanted.classes
    best = np.full(states.shape, -np.inf)
    best[0] = 0.0
    moves = np.zeros((steps, *states.shape), dtype=np.int8)
    for step in range(steps):
        # Stay, come from the state before, or leave out the blank between two other characters.
        options = np.full((3, *states.shape), -np.inf)
        options[0] = best
        options[1, 1:] = best[:-1]
        if step:
            options[2, 3::2] = np.where(wanted.differs, best[1:-2:2], -np.inf)
        moves[step] = options.argmax(axis=0)
        best = options.max(axis=0)
        scores = logits[step].astype(np.float64)
        best += scores[every, states]
    # It ends in the last character or in the blank after it; from there the moves lead back.
    state = 2 * wanted.lengths
    before = np.maximum(state - 1, 0)
    state = np.where(best[before, every] > best[state, every], before, state)
    path = np.empty((rows, steps), dtype=np.intp)
    for step in reversed(range(steps)):
        path[:, step] = states[state, every]
        state = np.maximum(state - moves[step][state, every], 0)
    return path


def _certainties(logits: np.ndarray, path: np.ndarray, temperature: float) -> np.ndarray:
    """Return how probable each step's class is.

    Args:
        logits: Scores (T, n, K).
        path: The classes (n, T).
        temperature: The scores are divided by it.

    Returns:
        Softmax probabilities, float64 (n, T).
    """
    scores = logits.astype(np.float64) / temperature
    scores -= scores.max(axis=2, keepdims=True)
    chosen = np.take_along_axis(scores, path.T[:, :, None], axis=2)[:, :, 0]
    certain: np.ndarray = np.exp(chosen).T / np.exp(scores).sum(axis=2).T
    return certain


def _of_row(
    path: np.ndarray, certain: np.ndarray, alphabet: Alphabet, span: Span
) -> Tuple[Character, ...]:
    """Return the characters of one row.

    Args:
        path: The classes of its steps (T,).
        certain: How probable each of them is (T,).
        alphabet: The characters of the classes.
        span: Where the input lies in the picture; steps are spread evenly over it.

    Returns:
        The characters, from left to right.
    """
    runs = _runs(path, alphabet.blank)
    left, right, _ = span
    column = (right - left) / len(path)
    centres: List[float] = []
    for first, last in runs:
        centres.append(left + column * (first + last + 1) / 2)
    edges = _edges(centres, left, right)
    found: List[Character] = []
    for place, (first, last) in enumerate(runs):
        number = int(path[first])
        most = float(certain[first : last + 1].max())
        begin, end = _columns(edges[place], edges[place + 1], span.columns)
        found.append(Character(alphabet.table[number], number, most, begin, end))
    return tuple(found)


def _runs(path: np.ndarray, blank: int) -> List[Tuple[int, int]]:
    """Return where a path's characters stand.

    Args:
        path: The classes of a row's steps (T,).
        blank: The blank's class.

    Returns:
        The first and the last step of each run of a character's class.
    """
    starts = np.flatnonzero(np.concatenate([[True], path[1:] != path[:-1]]))
    ends = np.append(starts[1:], len(path)) - 1
    is_character = path[starts] != blank
    return list(zip(starts[is_character].tolist(), ends[is_character].tolist()))


def _edges(centres: Sequence[float], left: float, right: float) -> List[float]:
    """Return where characters begin and end.

    Args:
        centres: Of each character, ascending, in columns of the picture.
        left: The left edge of the input.
        right: Its right edge.

    Returns:
        Where each character begins and, at the end, where the last one ends. A single one has the
        whole width.
    """
    if len(centres) < 2:
        return [left, right]
    edges = [(one + other) / 2 for one, other in zip(centres, centres[1:])]
    outer_left = 2 * centres[0] - edges[0]
    outer_right = 2 * centres[-1] - edges[-1]
    return [max(left, outer_left), *edges, min(right, outer_right)]


def _columns(begin: float, end: float, columns: int) -> Tuple[int, int]:
    """Return the first and the last of a picture's columns between two edges: at least one."""
    first = min(max(0, round(begin)), columns - 1)
    last = min(round(end), columns) - 1
    return first, max(first, last)
