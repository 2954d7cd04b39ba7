"""Which width an image is read at: one of a few, by the picture's own aspect.

Needs the standard library alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict, List, Sequence, Tuple

from crnn.errors import InputError

ASPECT = "aspect"
"""The one rule that there is."""
FACTOR = 36.0
MOST = 64
"""The most widths that a model may have."""
_KEYS = ("rule", "factor", "list")


@dataclass(frozen=True)
class Widths:
    """The widths that a model reads at, and the rule that chooses among them.

    A picture of W by H pixels goes to the width that is nearest to ``factor * W / H``; of two that
    are equally near to the narrower. ``list`` is ascending. Raises `InputError` for a value outside
    its range.
    """

    rule: str = ASPECT
    factor: float = FACTOR
    list: Tuple[int, ...] = (80, 100, 128, 160, 200)

    def __post_init__(self) -> None:
        if self.rule != ASPECT:
            raise InputError(f"widths: rule is {self.rule!r}; expected {ASPECT!r}")
        # A comparison, not a conversion: JSON may hold an integer that no float can.
        if not 0.001 <= self.factor <= 65535:
            raise InputError(f"widths: factor is {self.factor}; expected 0.001 to 65535")
        if not self.list:
            raise InputError("widths: list is empty; expected one width or more")
        if len(self.list) > MOST:
            raise InputError(f"widths: list has {len(self.list)} widths; at most {MOST}")
        for width in self.list:
            if not 1 <= width <= 65535:
                raise InputError(f"widths: {width} is in the list; expected 1 to 65535")
        if list(self.list) != sorted(set(self.list)):
            shown = ", ".join(map(str, self.list))
            raise InputError(f"widths: list is {shown}; expected ascending widths, each once")

    def choose(self, width: int, height: int) -> int:
        """Return the width that a picture is read at.

        Args:
            width: The picture's own, in pixels, after it was turned as its EXIF tag says where the
                spec asks for that.
            height: The picture's own, likewise.

        Returns:
            The one of ``list`` with the least ``|w - factor * width / height|``; the narrower of
            two.

        >>> Widths().choose(118, 36)
        128
        >>> Widths(list=(80, 128)).choose(104, 36)
        80
        """
        # Both sides times the height: with a whole factor there is no rounding, and a tie is one.
        ideal = self.factor * width
        return min(self.list, key=lambda each: abs(each * height - ideal))

    def ideal(self, width: int, height: int) -> float:
        """Return the width that a picture would have by its aspect alone.

        Args:
            width: The picture's own, in pixels.
            height: The picture's own, in pixels.

        Returns:
            ``factor * width / height``.
        """
        return self.factor * width / height

    def nearest(self, width: int, height: int) -> List[int]:
        """Return the widths by how near they are to a picture's aspect, by the ratio.

        Args:
            width: The picture's own, in pixels.
            height: The picture's own, in pixels.

        Returns:
            What `choose` gives first, then the others by ``|ln(w / ideal)|``; the narrower of two
            first.
        """
        chosen = self.choose(width, height)
        ideal = self.ideal(width, height)
        others = [each for each in self.list if each != chosen]
        others.sort(key=lambda each: abs(math.log(each / ideal)))
        return [chosen, *others]

    def to_dict(self) -> Dict[str, Any]:
        """Return plain data for JSON, such as ``{"rule": "aspect", "factor": 36.0, "list": [80]}``.

        Returns:
            The rule, its factor and the widths.
        """
        return {"rule": self.rule, "factor": float(self.factor), "list": list(self.list)}


def widths_of(data: object) -> Widths:
    """Read what `Widths.to_dict` gave.

    Args:
        data: The JSON's value; a list of widths alone stands for those by the usual rule.

    Returns:
        The widths.

    Raises:
        InputError: An unknown key, a wrong type or a value outside its range.
    """
    if isinstance(data, list):
        data = {"list": data}
    if not isinstance(data, dict) or not set(data) <= set(_KEYS) or "list" not in data:
        raise InputError(
            f"widths is {str(data)[:80]}; expected an object of {', '.join(_KEYS)}",
            hint='Such as {"rule": "aspect", "factor": 36, "list": [80, 100, 128, 160, 200]}.',
        )
    rule = data.get("rule", ASPECT)
    factor = data.get("factor", FACTOR)
    if not isinstance(rule, str):
        raise InputError(f"widths: rule is {rule!r}; expected {ASPECT!r}")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)):
        raise InputError(f"widths: factor is {factor!r}; expected a number")
    return Widths(rule, factor, _whole(data["list"]))


def _whole(numbers: object) -> Tuple[int, ...]:
    if not isinstance(numbers, (list, tuple)):
        raise InputError(f"widths: list is {numbers!r}; expected a list of whole numbers")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int):
            raise InputError(f"widths: {number!r} is in the list; expected whole numbers")
    return tuple(numbers)


def parsed(text: str) -> Sequence[int]:
    """Return the widths of an option such as ``80,100,128``, ascending, each once.

    Args:
        text: Whole numbers with commas between them.

    Returns:
        The widths.

    Raises:
        ValueError: It is something else.
    """
    numbers = {int(part) for part in text.split(",")}
    if min(numbers) < 1 or max(numbers) > 65535:
        raise ValueError("expected 1 to 65535")
    return sorted(numbers)


def nearest_widths(asked: Sequence[int], there: Sequence[int]) -> Dict[int, int]:
    """Return which width takes the place of each that is missing: the nearest, the narrower of two.

    >>> nearest_widths((80, 100, 128, 160), (80, 128, 200))
    {100: 80, 160: 128}

    Args:
        asked: Widths in pixels.
        there: Those that a model has, one or more.

    Returns:
        The stand-in of each that is asked for and not there.
    """
    found = {}
    for width in asked:
        if width not in there:
            found[width] = min(there, key=lambda one: (abs(one - width), one))
    return found
