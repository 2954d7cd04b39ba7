"""The lexicons that an LMDB keeps, by the names of its samples."""

from __future__ import annotations

from typing import Optional, Sequence

from crnn.decoding.decoder import NoLexiconError
from crnn.samples.lmdb import LmdbSamples
from crnn.samples.source import ImageSource


class LmdbWords:
    """See `crnn.decoding.decoder.SampleWords`.

    Args:
        samples: The LMDB.
    """

    def __init__(self, samples: LmdbSamples) -> None:
        self._samples = samples

    def words(self, key: str, number: int) -> Sequence[str]:
        """Return a list of a sample's words.

        Args:
            key: The sample's name.
            number: Which list, from 1; the smallest is the first.

        Returns:
            The words; none where the sample has no such list.
        """
        lists = self._samples.lexicons(int(key.rpartition("_")[2]))
        if len(lists) < number:
            return ()
        return lists[number - 1]

    def require(self, number: int) -> None:
        """Refuse an LMDB whose first sample has no such list.

        Args:
            number: Which list, from 1.

        Raises:
            NoLexiconError: It has fewer.
        """
        first = next(self._samples.numbers())
        found = len(self._samples.lexicons(first))
        if found < number:
            raise NoLexiconError(
                f"{self._samples.path} keeps {found} lists of words for its sample"
                f" {self._samples.key_of(first)}; --lexicon per-sample wants list {number} of each",
                hint=(
                    "crnn dataset convert takes them from the downloads of IIIT5K and SVT, and from"
                    " --lexicons FILE (docs/datasets.md)."
                ),
            )

    def whole(self) -> Sequence[str]:
        """Return the list of the whole LMDB.

        Returns:
            Its words.

        Raises:
            NoLexiconError: There is no such list.
        """
        words = self._samples.lexicon()
        if not words:
            raise NoLexiconError(
                f"{self._samples.path} keeps no list of words for all its samples",
                hint="Give a file with --lexicon FILE, or convert with --lexicon FILE.",
            )
        return words


def words_of(source: object) -> Optional[LmdbWords]:
    """Return the lexicons of a data set.

    Args:
        source: What gives the data set's batches.

    Returns:
        The lexicons; None where it is not an LMDB.
    """
    if isinstance(source, ImageSource) and isinstance(source.samples, LmdbSamples):
        return LmdbWords(source.samples)
    return None
