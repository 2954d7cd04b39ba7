"""What a reading is made from: logits (T, n, K) in, texts out, with what else is asked for.

Without options it is greedy CTC and nothing else. What an option needs is imported only where that
option is set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from crnn import ctc
from crnn.results import Alternative, Reading
from crnn.spec import ModelSpec


@dataclass(frozen=True)
class DecodingOptions:
    """What is asked of a decoder; the defaults are greedy CTC."""


@dataclass(frozen=True)
class Decoded:
    """What the n columns of logits say.

    ``texts`` has n of them. The other fields have n entries each, and are None where they were not
    asked for: ``probabilities`` of the texts, float64 (n,); ``posteriors``, the share of a text
    among all candidates of its row, float64 (n,); ``alternatives``, the likeliest texts of each
    row, likeliest first.
    """

    texts: Sequence[str]
    probabilities: Optional[np.ndarray] = None
    posteriors: Optional[np.ndarray] = None
    alternatives: Optional[Sequence[Sequence[Alternative]]] = None

    def reading(
        self, column: int, key: str, confidence: Optional[float], label: Optional[str]
    ) -> Reading:
        """Return what was read of a column.

        Args:
            column: From 0 to n - 1.
            key: The sample's name.
            confidence: Its confidence (`crnn.ctc.confidences`), None where nobody asked for it.
            label: Its truth, None where it has none.

        Returns:
            The reading, with all that this holds of the column.
        """
        asked: Dict[str, Any] = {}
        if self.probabilities is not None:
            asked["probability"] = float(self.probabilities[column])
        if self.posteriors is not None:
            asked["posterior"] = float(self.posteriors[column])
        if self.alternatives is not None:
            asked["alternatives"] = tuple(self.alternatives[column])
        return Reading(key, self.texts[column], confidence, label, **asked)


NOTHING = Decoded(())
"""What is decoded of no logits."""


class Decoder:
    """Decodes batches of logits by a model's spec.

    Args:
        spec: What the logits mean.
        options: What is asked for; None for the texts alone, greedily.
    """

    def __init__(self, spec: ModelSpec, options: Optional[DecodingOptions] = None) -> None:
        self._alphabet = spec.alphabet
        self._options = options

    def decode(self, logits: np.ndarray, keys: Sequence[str]) -> Decoded:
        """Decode a batch.

        Args:
            logits: Scores (T, n, K), raw or log-softmax alike; all of them finite.
            keys: The n samples' names, by which a data set holds what is theirs alone.

        Returns:
            What was asked for, of each of the n columns.

        Raises:
            InputError: K is not the alphabet's number of classes.
        """
        texts: List[str] = ctc.greedy(logits, self._alphabet)
        return Decoded(texts)
