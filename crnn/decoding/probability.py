"""The probability of a text: the sum over all CTC paths that give it.

The forward variables of Graves et al., "Connectionist Temporal Classification" (ICML 2006), section
4.1, over a whole batch at once. `crnn.ctc.confidences` is the probability of one path alone.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np

from crnn.labels import Alphabet

_MOST_STEPS = 900
"""Steps and characters together up to which sums stay within the range of float64."""
_TINY = math.log(np.finfo(np.float64).tiny)
_MARGIN = 20.0
"""What is lost below the smallest float is then less than exp(-20) of a sum."""


@dataclass(frozen=True)
class Classes:
    """The texts of n rows as CTC classes.

    ``classes`` (L, n) has the texts in its columns, the longest of L characters, the others filled
    up with the blank; ``lengths`` (n,) says how long each is.
    """

    classes: np.ndarray
    lengths: np.ndarray
    blank: int

    @property
    def differs(self) -> np.ndarray:
        """Whether each character but the first is another than the one before, bool (L - 1, n): a
        repeated one needs a blank between.
        """
        different: np.ndarray = self.classes[1:] != self.classes[:-1]
        return different

    def of(self, rows: np.ndarray) -> Classes:
        """Return the texts of some rows."""
        lengths = self.lengths[rows]
        longest = int(lengths.max(initial=0))
        return Classes(self.classes[:longest, rows], lengths, self.blank)

    def at_end(self, values: np.ndarray) -> np.ndarray:
        """Return the values (L + 1, n) at each text's length."""
        found: np.ndarray = values[self.lengths, np.arange(len(self.lengths))]
        return found

    def before_end(self, values: np.ndarray, empty: float) -> np.ndarray:
        """Return the values (L, n) at each text's last character; ``empty`` for a text of none."""
        padded = np.concatenate([np.full((1, len(self.lengths)), empty), values])
        return self.at_end(padded)


def classes_of_path(path: np.ndarray, blank: int) -> Classes:
    """Return the classes that paths stand for: runs counted once, blanks left out.

    Args:
        path: Class numbers (n, T).
        blank: The blank's class.

    Returns:
        The classes of n texts.
    """
    kept = path != blank
    kept[:, 1:] &= path[:, 1:] != path[:, :-1]
    lengths = kept.sum(axis=1)
    longest = int(lengths.max(initial=0))
    filled = np.arange(longest)[None] < lengths[:, None]
    classes = np.full((len(path), longest), blank, dtype=np.intp)
    classes[filled] = path[kept]
    return Classes(np.ascontiguousarray(classes.T), lengths, blank)


def classes_of_texts(texts: Sequence[str], alphabet: Alphabet) -> Classes:
    """Return the classes of texts.

    Args:
        texts: Texts of the alphabet's characters.
        alphabet: Gives each character its class.

    Returns:
        The classes of n texts.

    Raises:
        KeyError: A character is not in the alphabet.
    """
    number = {character: place for place, character in enumerate(alphabet.table)}
    lengths = np.array([len(text) for text in texts], dtype=np.intp)
    classes = np.full((int(lengths.max(initial=0)), len(texts)), alphabet.blank, dtype=np.intp)
    for column, text in enumerate(texts):
        classes[: len(text), column] = [number[character] for character in text]
    return Classes(classes, lengths, alphabet.blank)


def probabilities(logits: np.ndarray, texts: Classes, temperature: float = 1.0) -> np.ndarray:
    """Return the probability of each row's text: that of all paths that give it.

    Args:
        logits: Scores (T, n, K), raw or log-softmax alike, finite.
        texts: A text for each row.
        temperature: The scores are divided by it: above 1 the probabilities are less extreme.

    Returns:
        Probabilities, float64 (n,).
    """
    values: np.ndarray = np.exp(log_probabilities(logits, texts, temperature))
    return values


def log_probabilities(logits: np.ndarray, texts: Classes, temperature: float = 1.0) -> np.ndarray:
    """Return the natural logarithm of each row's text's probability.

    Args:
        logits: Scores (T, n, K), raw or log-softmax alike, finite.
        texts: A text for each row.
        temperature: The scores are divided by it.

    Returns:
        Logarithms, float64 (n,); minus infinity where no path gives the text.
    """
    steps, rows, _ = logits.shape
    if not logits.size:
        return np.full(rows, -np.inf)
    scores = logits.astype(np.float64)
    if temperature != 1.0:
        scores /= temperature
    # NumPy finds the place of the largest of a few values sooner than the value.
    scores -= np.take_along_axis(scores, scores.argmax(axis=2)[:, :, None], axis=2)
    weights = np.exp(scores)
    best: np.ndarray = -np.log(weights.sum(axis=2)).sum(axis=0)
    size = steps + len(texts.classes)
    if size > _MOST_STEPS:
        best += _log_sums(scores, texts)
        return best
    with np.errstate(divide="ignore"):
        sums = np.log(_sums(weights, texts))
    # There are fewer than 2**size paths, and one of the likeliest classes alone weighs 1: only the
    # sum of a text that is far from the greedy one can be so small.
    lost = np.flatnonzero(sums < size * math.log(2) + _TINY + _MARGIN)
    if len(lost):
        sums[lost] = _log_sums(scores[:, lost], texts.of(lost))
    best += sums
    return best


class _Turn:
    """Parts of two arrays of states: of that which is read, and of that which is written."""

    __slots__ = ("characters", "ends", "next_characters", "stay", "step")

    def __init__(self, now: np.ndarray, then: np.ndarray) -> None:
        self.stay = now[1:]
        self.step = now[:-1]
        self.characters = now[2:-3:2]
        self.ends = then[1:]
        self.next_characters = then[4::2]


def _sums(weights: np.ndarray, texts: Classes) -> np.ndarray:
    """Return the sum, over each text's paths, of the product of their classes' weights.

    Args:
        weights: Of each class at each step, float64 (T, n, K), 0 to 1.
        texts: A text for each row.

    Returns:
        The sums, float64 (n,).
    """
    states = 2 * len(texts.classes) + 1
    # The paths so far by where they end: row 1 is the blank before the first character, row 2 that
    # character, row 3 the blank after it …; row 0 stays 0. Two arrays take turns.
    first = np.zeros((states + 1, weights.shape[1]))
    second = first.copy()
    first[1] = 1.0
    turns = itertools.cycle((_Turn(first, second), _Turn(second, first)))
    differs = texts.differs.astype(np.float64)
    skipped = np.empty_like(differs)
    for weight, turn in zip(_weights_of_states(weights, texts), turns):
        np.add(turn.stay, turn.step, out=turn.ends)
        # From one character to the next without the blank between.
        np.multiply(turn.characters, differs, out=skipped)
        np.add(turn.next_characters, skipped, out=turn.next_characters)
        np.multiply(turn.ends, weight, out=turn.ends)
    now = second
    if len(weights) % 2 == 0:
        now = first
    rows = np.arange(len(texts.lengths))
    last = 2 * texts.lengths
    sums: np.ndarray = now[last + 1, rows] + now[last, rows]
    return sums


def _weights_of_states(weights: np.ndarray, texts: Classes) -> np.ndarray:
    """Return the weights of the states that a path goes through.

    Args:
        weights: Of each class at each step (T, n, K).
        texts: A text for each row, the longest of L characters.

    Returns:
        Those of blank, first character, blank, second character …, (T, 2 L + 1, n).
    """
    steps, rows, classes = weights.shape
    length = len(texts.classes)
    places = np.full((2 * length + 1, rows), texts.blank)
    places[1::2] = texts.classes
    places += np.arange(rows) * classes
    return weights.reshape(steps, rows * classes).take(places, axis=1)


def _log_sums(scores: np.ndarray, texts: Classes) -> np.ndarray:
    """Return the logarithm of `_sums` of ``exp(scores)``, whatever its size.

    Args:
        scores: Logarithms of weights, float64 (T, n, K).
        texts: A text for each row.

    Returns:
        The logarithms of the sums, float64 (n,).
    """
    blanks, characters = _gathered(scores, texts)
    at_blank = np.full((len(texts.classes) + 1, scores.shape[1]), -np.inf)
    at_character = np.full(texts.classes.shape, -np.inf)
    at_blank[0] = 0.0
    allowed = np.where(texts.differs, 0.0, -np.inf)
    for blank, character in zip(blanks, characters):
        stay = np.logaddexp(at_character, at_blank[:-1])
        stay[1:] = np.logaddexp(stay[1:], at_character[:-1] + allowed)
        at_blank[1:] = np.logaddexp(at_blank[1:], at_character)
        at_blank += blank
        at_character = stay + character
    sums: np.ndarray = np.logaddexp(texts.at_end(at_blank), texts.before_end(at_character, -np.inf))
    return sums


def _gathered(values: np.ndarray, texts: Classes) -> Tuple[np.ndarray, np.ndarray]:
    """Return what belongs to the texts.

    Args:
        values: Of each class at each step (T, n, K).
        texts: A text for each row, the longest of L characters.

    Returns:
        The values (T, n) of the blank, and those (T, L, n) of the texts' classes.
    """
    steps, rows, classes = values.shape
    places = texts.classes + np.arange(rows) * classes
    return values[:, :, texts.blank], values.reshape(steps, rows * classes).take(places, axis=1)
