"""The words among which a sample's truth is: ``lexicon-%09d`` for one sample of an LMDB,
``lexicon`` for all.

The value is UTF-8: a line for each lexicon, the smallest first, words separated by one space. With
one lexicon this is the form that the first CRNN's tools wrote; IIIT5K has two per sample, of 50 and
of 1000 words.
"""

from __future__ import annotations

from typing import Sequence, Tuple

LEXICON = b"lexicon"


def encode_lexicons(lexicons: Sequence[Sequence[str]]) -> bytes:
    """Encode the lexicons of a sample.

    Args:
        lexicons: Lists of words; white space inside a word separates it into several.

    Returns:
        The value under an LMDB's key.
    """
    return "\n".join(" ".join(" ".join(words).split()) for words in lexicons).encode("utf-8")


def decode_lexicons(value: bytes) -> Tuple[Tuple[str, ...], ...]:
    """Return the lexicons of a value. Raises UnicodeDecodeError for what is not UTF-8."""
    return tuple(
        tuple(line.split(" ")) if line else () for line in value.decode("utf-8").split("\n")
    )
