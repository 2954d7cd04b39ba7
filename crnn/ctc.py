"""Greedy CTC decoding, vectorised: logits (T, N, K) to texts, and to confidences where they are
asked for.

CTC (Graves et al., "Connectionist Temporal Classification", ICML 2006): of the likeliest class at
each time step, runs of the same class count once, then blanks are dropped. So a character repeats
in the text only across a blank.
"""

from __future__ import annotations

from typing import List

import numpy as np

from crnn.errors import InputError
from crnn.labels import Alphabet


def greedy(logits: np.ndarray, alphabet: Alphabet) -> List[str]:
    """Decode logits by greedy CTC: the likeliest class a step, repeats collapsed, blanks left out.

    Args:
        logits: Scores (T, N, K), raw or log-softmax alike, any float dtype.
        alphabet: The characters of the K classes.

    Returns:
        N texts; of equal classes the first wins.

    Raises:
        InputError: K is not the alphabet's number of classes.
    """
    return decode(best_path(logits, alphabet), alphabet)


def best_path(logits: np.ndarray, alphabet: Alphabet) -> np.ndarray:
    """Return the likeliest class of each row at each time step.

    Args:
        logits: Scores (T, N, K).
        alphabet: The characters of the K classes.

    Returns:
        Class numbers (N, T).

    Raises:
        InputError: K is not the alphabet's number of classes.
    """
    require_classes(logits, alphabet)
    return np.ascontiguousarray(logits.argmax(axis=2).T)


def require_classes(logits: np.ndarray, alphabet: Alphabet) -> None:
    """Refuse logits of another number of classes.

    Args:
        logits: Scores (T, N, K).
        alphabet: The characters of the K classes.

    Raises:
        InputError: K is not the alphabet's number of classes.
    """
    if logits.ndim != 3 or logits.shape[2] != alphabet.classes:
        raise InputError(
            f"logits have shape {logits.shape}; expected (T, N, {alphabet.classes}) for an alphabet"
            f" of {len(alphabet.characters)} characters and the blank"
        )


def decode(path: np.ndarray, alphabet: Alphabet) -> List[str]:
    """Return the texts of paths.

    Args:
        path: Class numbers (N, T).
        alphabet: The characters of the classes.

    Returns:
        N texts.
    """
    kept = path != alphabet.blank
    kept[:, 1:] &= path[:, 1:] != path[:, :-1]
    # All rows' characters become one string, which is then cut: one Unicode decoding instead of N.
    codes = np.frombuffer(alphabet.table.encode("utf-32-le"), dtype="<u4")
    text = codes[path[kept]].tobytes().decode("utf-32-le")
    ends = np.cumsum(kept.sum(axis=1)).tolist()
    return [text[start:end] for start, end in zip([0, *ends], ends)]


def confidences(logits: np.ndarray) -> np.ndarray:
    """Return the probability of each row's greedy path.

    It is the product over all T time steps, blanks included, of the largest softmax probability:
    what the model gives to the single path that was decoded, a lower bound of the probability of
    the text. It is defined for an empty text too (the all-blank path).

    Args:
        logits: Scores (T, N, K), raw or log-softmax alike.

    Returns:
        Probabilities, float32 (N,).
    """
    # log softmax at the maximum: max - logsumexp = -log(sum(exp(x - max)))
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_probability: np.ndarray = -np.log(np.exp(shifted).sum(axis=2)).sum(axis=0)
    probability: np.ndarray = np.exp(log_probability).astype(np.float32)
    return probability
