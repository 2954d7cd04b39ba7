"""What two sides do not have in common before any model is run: pictures and classes."""

from __future__ import annotations

from typing import Iterator, List, Sequence, Tuple

from crnn.results import RunInfo
from crnn.spec import ModelSpec

_PICTURE = (
    *("height", "width", "color", "resizer", "divisor", "mean", "std", "orient", "background"),
    *("widths", "views"),
)
_SHOWN = 20


def input_differences(sides: Sequence[Tuple[str, RunInfo]]) -> List[str]:
    """Say in which ways sides prepare an image, or name their classes, differently.

    Args:
        sides: The name of each side whose model is known, and its run; the first is the reference.

    Returns:
        A sentence for each difference from the first.
    """
    found: List[str] = []
    for name, run in sides[1:]:
        first = sides[0][1].model.spec
        for sentence in _differences(first, run.model.spec):
            found.append(f"{sides[0][0]} and {name}: {sentence}")
    return found


def _differences(first: ModelSpec, second: ModelSpec) -> Iterator[str]:
    changed = []
    for name in _PICTURE:
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            changed.append(f"{name} {_told(one)} and {_told(other)}")
    if changed:
        yield f"they prepare an image differently: {', '.join(changed)}"
    yield from _alphabets(first, second)


def _told(value: object) -> str:
    if value is None or value == "":
        return "none"
    widths = getattr(value, "list", None)
    if widths is not None:
        return "/".join(map(str, widths))
    return str(value)


def _alphabets(first: ModelSpec, second: ModelSpec) -> Iterator[str]:
    mine = _only(first.characters, second.characters)
    others = _only(second.characters, first.characters)
    if mine:
        yield f"characters of the first alone: {mine}"
    if others:
        yield f"characters of the second alone: {others}"
    moved = first.alphabet.table != second.alphabet.table
    if moved and not mine and not others:
        blanks = f"blank {first.blank} and {second.blank}"
        yield f"the same characters in other classes ({blanks}), matched by character"
    if first.fold_case != second.fold_case:
        yield "one folds labels to lower case, the other does not"


def _only(one: str, other: str) -> str:
    """Return the characters of one alphabet that another lacks; of many the first."""
    alone = [character for character in one if character not in other]
    if len(alone) > _SHOWN:
        return f"{''.join(alone[:_SHOWN])!r} and {len(alone) - _SHOWN} more"
    if not alone:
        return ""
    return repr("".join(alone))
