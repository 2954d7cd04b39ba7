"""In which ways a word is read where it is read more than once: named, and as lists of names.

Needs the standard library alone; `crnn.samples.views` makes the pictures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Mapping, Sequence, Tuple

from crnn.errors import UsageError
from crnn.spelling import did_you_mean

INVERTED, CROPPED, PADDED = "inv", "crop", "pad"
PLAIN = "near1"
MOST = 64
"""The most views of a word."""
STEEPEST = 45.0
"""The most degrees that a view is turned by."""
_NEAR = re.compile("near([1-9])")
_TURNED = re.compile(r"rot([+-][0-9]{1,2}(?:\.[0-9])?)")
_EXAMPLES = (PLAIN, "near2", "near3", "rot+3", "rot-3", INVERTED, CROPPED, PADDED)


@dataclass(frozen=True)
class View:
    """A way to read a word: how its picture is changed, and at which width it is read.

    ``change`` is "" for the picture as it is, `INVERTED`, `CROPPED`, `PADDED`, or "rot+3": turned
    by so many degrees against the clock. ``near`` is 1 for the width that the model's rule chooses,
    2 for the next nearest by the ratio, and so on (`crnn.widths.Widths.nearest`).
    """

    change: str = ""
    near: int = 1

    @property
    def name(self) -> str:
        """The view's name, such as near2, rot+3 or rot+3/near2."""
        if not self.change:
            return f"near{self.near}"
        if self.near == 1:
            return self.change
        return f"{self.change}/near{self.near}"

    @property
    def degrees(self) -> float:
        """By how much the picture is turned against the clock; 0 where it is not."""
        turned = _TURNED.fullmatch(self.change)
        if turned is None:
            return 0.0
        return float(turned[1])


def _times(changes: Sequence[str], nearest: int) -> Tuple[View, ...]:
    return tuple(View(change, near) for near in range(1, nearest + 1) for change in changes)


_TURNS = ("rot+3", "rot-3")
_WIDTHS = (View("", 2), View("", 3))
SETS: Mapping[int, Tuple[View, ...]] = {
    1: (View(),),
    3: (View(), *_times(_TURNS, 1)),
    5: (View(), *_WIDTHS, *_times(_TURNS, 1)),
    8: (View(), *_WIDTHS, *_times((*_TURNS, INVERTED, CROPPED), 1), View(INVERTED, 2)),
    18: _times(("", *_TURNS, INVERTED, CROPPED, PADDED), 3),
}
"""The named sets, chosen on the odd-numbered words of IIIT5K's training set (docs/reading.md)."""


def parsed(text: str) -> Tuple[View, ...]:
    """Read what ``--views`` names.

    Args:
        text: A number of `SETS`, or names with commas between them; the word as it is always comes
            first, whether it is named or not.

    Returns:
        The views, each once.

    Raises:
        UsageError: There is no such set, or no such view.

    >>> [view.name for view in parsed("near2,rot-5,inv/near2")]
    ['near1', 'near2', 'rot-5', 'inv/near2']
    """
    if text.isascii() and text.isdigit():
        if len(text) > 4 or int(text) not in SETS:
            raise UsageError(
                f"there is no set of {text[:20]} views; expected {', '.join(map(str, SETS))}, or a"
                f" list such as {','.join(_EXAMPLES[1:])}"
            )
        return SETS[int(text)]
    found: List[View] = [View()]
    for name in text.split(","):
        view = _view(name.strip())
        if view not in found:
            found.append(view)
    if len(found) > MOST:
        raise UsageError(f"{len(found)} views of a word; at most {MOST}")
    return tuple(found)


def _view(name: str) -> View:
    change, slash, width = name.partition("/")
    if not slash and _NEAR.fullmatch(name):
        change, width = "", name
    near = _NEAR.fullmatch(width or PLAIN)
    turned = _TURNED.fullmatch(change)
    known = change in (INVERTED, CROPPED, PADDED) or (not change and bool(width))
    if turned is not None:
        known = 0 < abs(float(turned[1])) <= STEEPEST
    if near is None or not known:
        question = did_you_mean(name, _EXAMPLES)
        raise UsageError(
            f"there is no view {name[:40]!r}{question}",
            hint=f"There are {', '.join(_EXAMPLES)}, and at another width such as inv/near2.",
        )
    return View(change, int(near[1]))


def available(views: Sequence[View], widths: int) -> Tuple[View, ...]:
    """Return the views that a model can read.

    Args:
        views: What is asked for.
        widths: How many widths the model reads at.

    Returns:
        Those for which it has a width.
    """
    return tuple(view for view in views if view.near <= widths)


def left_out_note(views: Sequence[View], widths: int, words: int) -> List[str]:
    """Say which views a model has no width for.

    Args:
        views: What is asked for.
        widths: How many widths the model reads at.
        words: How many words were read.

    Returns:
        A line, or none.
    """
    missing = [view.name for view in views if view.near > widths]
    if not missing:
        return []
    has = f"{widths} widths"
    if widths == 1:
        has = "one width"
    return [
        f"left out, since the model reads at {has}: {', '.join(missing)}:"
        f" {len(missing) * words} views of {words} words"
    ]
