"""What a reading is made from: logits (T, n, K) in, texts out, with what else is asked for.

Without options it is greedy CTC and nothing else. What an option needs is imported only where that
option is set.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Union

import numpy as np

from crnn import ctc
from crnn.batch import Span
from crnn.errors import InputError
from crnn.python37 import Protocol
from crnn.results import Alternative, Character, Reading
from crnn.spec import ModelSpec

if TYPE_CHECKING:
    from crnn.decoding.choosers import Chooser


PER_SAMPLE, FULL = OF_SAMPLES = ("per-sample", "full")
"""The lexicons that an LMDB keeps: for each sample, and for all."""


@dataclass(frozen=True)
class DecodingOptions:
    """What is asked of a decoder; the defaults are greedy CTC.

    ``probability`` asks for that of each text, ``characters`` for where each one stands,
    ``alternatives`` for so many of the likeliest texts. At most one of ``lexicon``, ``pattern`` and
    ``allow`` says what may be read.
    """

    probability: bool = False
    characters: bool = False
    lexicon: Union[str, Path, Sequence[str], None] = None
    """A file, words, or what an LMDB keeps: "per-sample", "per-sample:2" and so on, "full"."""
    method: str = "auto"
    """Which words of a lexicon are scored: auto, exact, beam or paper."""
    beam: int = 10
    """How many prefixes a beam keeps."""
    allow: Optional[str] = None
    """A list of characters, such as "0-9A-Z"."""
    pattern: Optional[str] = None
    """Such as "[a-z]{2}[0-9]{4}" (`crnn.decoding.pattern`)."""
    alternatives: int = 0
    """How many of the likeliest texts are named."""

    @property
    def choose(self) -> bool:
        """Whether texts are not, or not only, decoded greedily."""
        restricts = (self.lexicon, self.allow, self.pattern) != (None, None, None)
        return restricts or self.alternatives > 0

    @property
    def width(self) -> int:
        """How many prefixes a beam keeps where it is to name alternatives too."""
        return max(self.beam, self.alternatives)

    @property
    def of_samples(self) -> bool:
        """Whether the lexicon is one that an LMDB keeps."""
        return isinstance(self.lexicon, str) and self.lexicon.split(":")[0] in OF_SAMPLES


class NoLexiconError(InputError):
    """A data set does not keep the lexicon that was asked for."""


class SampleWords(Protocol):
    """The words that a data set keeps for its samples."""

    def words(self, key: str, number: int) -> Sequence[str]:
        """Return a list of a sample's words.

        Args:
            key: The sample's name.
            number: Which list, from 1; the smallest is the first.

        Returns:
            The words; none where the sample has no such list.
        """

    def require(self, number: int) -> None:
        """Refuse a data set that keeps no such list for its first sample."""

    def whole(self) -> Sequence[str]:
        """Return the list of the whole data set."""


@dataclass(frozen=True)
class Decoded:
    """What the n columns of logits say.

    ``texts`` has n of them. The other fields have n entries each, and are None where they were not
    asked for: ``probabilities`` of the texts, float64 (n,); ``posteriors``, the share of a text
    among all candidates of its row, float64 (n,); ``alternatives``, the likeliest texts of each
    row, likeliest first; ``characters``, where those of each text stand and how sure each is.
    """

    texts: Sequence[str]
    probabilities: Optional[np.ndarray] = None
    posteriors: Optional[np.ndarray] = None
    alternatives: Optional[Sequence[Sequence[Alternative]]] = None
    characters: Optional[Sequence[Sequence[Character]]] = None

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
        if self.posteriors is not None and not np.isnan(self.posteriors[column]):
            asked["posterior"] = float(self.posteriors[column])
        if self.alternatives is not None:
            asked["alternatives"] = tuple(self.alternatives[column])
        if self.characters is not None:
            asked["characters"] = tuple(self.characters[column])
        return Reading(key, self.texts[column], confidence, label, **asked)


NOTHING = Decoded(())
"""What is decoded of no logits."""


class Decoder:
    """Decodes batches of logits by a model's spec.

    Args:
        spec: What the logits mean.
        options: What is asked for; None for the texts alone, greedily.
        samples: Gives the words of each sample, where the lexicon is theirs.

    Raises:
        InputError: A lexicon, a pattern or a list of characters cannot be used.
        UsageError: Two options contradict each other.
    """

    def __init__(
        self,
        spec: ModelSpec,
        options: Optional[DecodingOptions] = None,
        samples: Optional[SampleWords] = None,
    ) -> None:
        self._spec = spec
        self._alphabet = spec.alphabet
        self._options = options or DecodingOptions()
        self._chooser: Optional[Chooser] = None
        if self._options.choose:
            from crnn.decoding.choosers import chooser_of

            self._chooser = chooser_of(spec, self._options, samples)

    def decode(
        self,
        logits: np.ndarray,
        keys: Sequence[str],
        spans: Optional[Sequence[Optional[Span]]] = None,
        width: Optional[int] = None,
    ) -> Decoded:
        """Decode a batch.

        Args:
            logits: Scores (T, n, K), raw or log-softmax alike; all of them finite.
            keys: The n samples' names, by which a data set holds what is theirs alone.
            spans: Where the n inputs lie in their pictures; None where a picture is not known:
                its characters then stand in columns of the model's input.
            width: The columns of the inputs; None for the spec's.

        Returns:
            What was asked for, of each of the n columns.

        Raises:
            InputError: K is not the alphabet's number of classes.
        """
        if self._chooser is None or not logits.shape[1]:
            decoded = Decoded(ctc.greedy(logits, self._alphabet))
        else:
            ctc.require_classes(logits, self._alphabet)
            decoded = self._chooser.decode(logits, keys)
        return self._how_sure(decoded, logits, spans, width or self._spec.width)

    def notes(self) -> List[str]:
        """Return what a user should be told of what may be read, a line each.

        Returns:
            The lines; complete once all is decoded.
        """
        if self._chooser is None:
            return []
        return self._chooser.notes()

    def described(self) -> Dict[str, Any]:
        """Return what restricts the texts, as plain data.

        Returns:
            The fields of a result's ``decoding``; empty where nothing does.
        """
        if self._chooser is None:
            return {}
        return self._chooser.described()

    def _how_sure(
        self,
        decoded: Decoded,
        logits: np.ndarray,
        spans: Optional[Sequence[Optional[Span]]],
        width: int,
    ) -> Decoded:
        """Return what was decoded with the probabilities and characters that were asked for."""
        temperature = self._spec.temperature
        if self._options.probability and decoded.probabilities is None:
            from crnn.decoding.probability import classes_of_texts, probabilities

            classes = classes_of_texts(decoded.texts, self._alphabet)
            found = probabilities(logits, classes, temperature)
            decoded = dataclasses.replace(decoded, probabilities=found)
        if self._options.characters:
            from crnn.decoding.extents import characters

            if spans is None:
                spans = [None] * len(decoded.texts)
            whole = Span(0.0, float(width), width)
            known = [span or whole for span in spans]
            where = characters(logits, decoded.texts, self._alphabet, known, temperature)
            decoded = dataclasses.replace(decoded, characters=where)
        return decoded
