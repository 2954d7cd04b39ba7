"""In which ways a word is read where it is read more than once: named, and as lists of names.

Needs the standard library alone; `crnn.samples.views` makes the pictures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Mapping, Optional, Sequence, Tuple

from crnn.errors import UsageError
from crnn.spelling import did_you_mean

INVERTED, CROPPED, PADDED = "inv", "crop", "pad"
PLAIN = "near1"
MOST = 64
"""The most views of a word."""
STEEPEST = 45
"""The most degrees that a view is turned by."""
_NEAR = re.compile("near([1-9])")
_TURNED = re.compile(r"rot([+-][0-9]{1,2})")
_EXAMPLES = (PLAIN, "near2", "near3", "rot+3", "rot-3", INVERTED, CROPPED, PADDED)
_KINDS = 3
"""Letters that tell the kinds of changes apart."""


@dataclass(frozen=True)
class View:
    """A way to read a word: how its picture is changed, and at which width it is read.

    ``change`` is "" for the picture as it is, `INVERTED`, `CROPPED`, `PADDED`, or "rot+3": turned
    by so many degrees against the clock; or several of them, done one after the other, with points
    between: "inv.rot+3". ``near`` is 1 for the width that the model's rule chooses,
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
    def changes(self) -> Sequence[str]:
        """What is done to the picture, in this order."""
        if not self.change:
            return ()
        return self.change.split(".")


def degrees(change: str) -> int:
    """Return by how much a change turns a picture against the clock.

    Args:
        change: One of `View.changes`.

    Returns:
        Degrees; 0 where it does something else.
    """
    turned = _TURNED.fullmatch(change)
    if turned is None:
        return 0
    return int(turned[1])


def _times(changes: Sequence[str], nearest: int) -> Tuple[View, ...]:
    return tuple(View(change, near) for near in range(1, nearest + 1) for change in changes)


_TURNS = ("rot+3", "rot-3")
_INVERTED = (INVERTED, "inv.rot+3", "inv.rot-3")
_WIDTHS = (View("", 2), View("", 3))
SETS: Mapping[int, Tuple[View, ...]] = {
    1: (View(),),
    3: (View(), *_times(_TURNS, 1)),
    5: (View(), *_WIDTHS, *_times(_TURNS, 1)),
    8: (View(), *_WIDTHS, *_times((*_TURNS, *_INVERTED), 1)),
    18: _times(("", *_TURNS, *_INVERTED), 3),
}
"""The named sets, chosen on the odd-numbered words of IIIT5K's training set (docs/sure.md)."""


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
        view = named(name.strip())
        if view not in found:
            found.append(view)
    if len(found) > MOST:
        raise UsageError(f"{len(found)} views of a word; at most {MOST}")
    return tuple(found)


def named(name: str) -> View:
    """Return the view of a name.

    Args:
        name: As `View.name` gives it.

    Returns:
        The view.

    Raises:
        UsageError: There is none.
    """
    change, slash, width = name.partition("/")
    if not slash:
        width = PLAIN
        if _NEAR.fullmatch(name):
            change, width = "", name
    near = _NEAR.fullmatch(width)
    known = change == "" or _is_known(change.split("."))
    if near is None or not known or not name:
        question = did_you_mean(name, _EXAMPLES)
        raise UsageError(
            f"there is no view {name[:40]!r}{question}",
            hint=(
                f"There are {', '.join(_EXAMPLES)}, several such as inv.rot+3, and at another"
                f" width inv/near2; rot takes 1 to {STEEPEST} degrees."
            ),
        )
    return View(change, int(near[1]))


def _is_known(changes: Sequence[str]) -> bool:
    """Say whether there are such changes.

    Args:
        changes: Names such as inv and rot+3.

    Returns:
        True where each is known, and each kind is there once.
    """
    for change in changes:
        if change not in (INVERTED, CROPPED, PADDED) and not 0 < abs(degrees(change)) <= STEEPEST:
            return False
    return len({change[:_KINDS] for change in changes}) == len(changes)


def chosen(asked: Optional[str], default: str) -> Tuple[View, ...]:
    """Return the views that words are read in.

    Args:
        asked: What ``--views`` says; None where it was not given.
        default: What the model's spec says; "" for one view.

    Returns:
        The views, the word as it is first.

    Raises:
        UsageError: There is no such set, or no such view.
    """
    return parsed(asked or default or "1")


def available(views: Sequence[View], widths: int) -> Tuple[View, ...]:
    """Return the views that a model can read.

    Args:
        views: What is asked for.
        widths: How many widths the model reads at.

    Returns:
        Those for which it has a width.
    """
    return tuple(view for view in views if view.near <= widths)


def left_out_note(views: Sequence[View], widths: int, words: Optional[int] = None) -> List[str]:
    """Say which views a model has no width for.

    Args:
        views: What is asked for.
        widths: How many widths the model reads at.
        words: How many words were read; None where that is not known yet.

    Returns:
        A line, or none.
    """
    missing = [view.name for view in views if view.near > widths]
    if not missing:
        return []
    has = f"{widths} widths"
    if widths == 1:
        has = "one width"
    note = f"left out, since the model reads at {has}: {', '.join(missing)}"
    if words is not None:
        note += f": {len(missing) * words} views of {words} words"
    return [note]
