"""The name that was probably meant."""

from __future__ import annotations

from typing import Iterable, Optional

_ALIKE = 0.75
"""The least share of letters in common, by difflib: below it names are only as long as each other,
such as epoch_size and batch_size."""


def nearest(name: object, known: Iterable[str], alike: float = _ALIKE) -> Optional[str]:
    """Return the known name that is spelled most like another one.

    Args:
        name: What was given; its text counts.
        known: The names that there are.
        alike: The least share of letters in common.

    Returns:
        One of them, None where none is similar.
    """
    # Imported where a name is wrong: the command line starts faster without it.
    import difflib

    found = difflib.get_close_matches(str(name)[:200], list(known), n=1, cutoff=alike)
    if not found:
        return None
    return found[0]


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a question for the end of a message about an unknown name.

    Args:
        name: What was given; its text counts.
        known: The names that there are.

    Returns:
        "; did you mean NAME?", or "" where none is similar.
    """
    near = nearest(name, known)
    if near is None:
        return ""
    return f"; did you mean {near}?"
