"""The lexicons of samples, by the samples' names: those of an LMDB, or of a text file."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional, Sequence

from crnn.decoding.decoder import NoLexiconError, SampleWords
from crnn.errors import InputError
from crnn.filekind import require_file
from crnn.files import utf8_lines
from crnn.samples.lmdb import DATA_FILE, LmdbSamples
from crnn.samples.source import ImageSource


class LmdbWords:
    """See `crnn.decoding.decoder.SampleWords`.

    Args:
        samples: The LMDB.
    """

    def __init__(self, samples: LmdbSamples) -> None:
        self._samples = samples

    def words(self, key: str, number: int) -> Sequence[str]:
        """See `SampleWords`."""
        index = _index_of(key)
        if index is None:
            return ()
        lists = self._samples.lexicons(index)
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


class FileWords:
    """Lexicons in a text file: a line a sample, its name, a tab, and its words with spaces between
    them; further lists after further tabs. It is what `crnn dataset extract` writes.

    Samples are told apart by the number at the end of their names, which are others in an LMDB, in
    bins and in a folder.

    Args:
        path: The file.

    Raises:
        InputError: It is not such a file.
    """

    def __init__(self, path: Path) -> None:
        require_file(path, "lexicons of samples: a name, a tab and words a line")
        self._path = path
        self._lines: Dict[int, str] = {}
        for number, text, raw in utf8_lines(path):
            name, tab, words = (text or "").partition("\t")
            index = _index_of(Path(name).stem)
            if index is None or not tab:
                raise InputError(
                    f"{path}, line {number}: {raw[:60]!r}; expected the name of a sample with its"
                    " number at the end, a tab, and its words"
                )
            self._lines[index] = words

    def words(self, key: str, number: int) -> Sequence[str]:
        """Return a list of a sample's words.

        Args:
            key: The sample's name.
            number: Which list, from 1.

        Returns:
            The words; none where the sample has no such list.
        """
        index = _index_of(key)
        if index not in self._lines:
            return ()
        lists = self._lines[index].split("\t")
        if len(lists) < number:
            return ()
        return lists[number - 1].split(" ")

    def require(self, number: int) -> None:
        """Refuse a file whose first sample has no such list.

        Args:
            number: Which list, from 1.

        Raises:
            NoLexiconError: It has fewer.
        """
        first = next(iter(self._lines.values()), "")
        found = first.count("\t") + 1
        if found < number:
            raise NoLexiconError(
                f"{self._path} has {found} lists a sample; --lexicon per-sample:{number} wants more"
            )

    def whole(self) -> Sequence[str]:
        """Refuse: there is no list of the whole.

        Raises:
            NoLexiconError: Always.
        """
        raise NoLexiconError(
            f"{self._path} has lists of samples, none of the whole data set",
            hint="Give that one with --lexicon FILE.",
        )


def _index_of(key: str) -> Optional[int]:
    """Return the number at the end of a sample's name; None where there is none."""
    digits = key.rpartition("_")[2]
    if not digits.isascii() or not digits.isdigit():
        return None
    return int(digits[-18:])


def words_in(path: Path) -> SampleWords:
    """Open the lexicons of samples that another data set keeps.

    Args:
        path: An LMDB, or a text file (`FileWords`).

    Returns:
        The lexicons.

    Raises:
        InputError: It is neither.
    """
    if path.is_dir() or path.name == DATA_FILE:
        return LmdbWords(LmdbSamples(path))
    return FileWords(path)


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
