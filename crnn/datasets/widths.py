"""Which few widths fit a data set's words: the best of each number of them, by their aspects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from crnn.widths import FACTOR

STEP = 4
"""Proposed widths are multiples of this, as time steps are a quarter of the columns."""
LEAST, MOST = 32, 1024
"""Narrower and wider ones are not proposed."""
COUNTS = 6
"""The most widths that are proposed: each is an OM more, or gears more."""
ENOUGH = 0.12
"""The mean |ln(chosen / ideal)| that is good enough."""
ADVISED = (3, 4)
"""How many are advised for a chip."""


@dataclass(frozen=True)
class Proposal:
    """The best widths of one number of them; ``error`` is the mean |ln(chosen / ideal)| of the
    words, each read at the width that the rule gives it.
    """

    widths: Tuple[int, ...]
    error: float

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data."""
        return {"widths": list(self.widths), "error": round(self.error, 4)}


@dataclass(frozen=True)
class Proposals:
    """The best widths of 1, 2, 3 … of them; ``proposed`` the fewest whose error is at most
    `ENOUGH`, or the last.
    """

    factor: float
    best: Tuple[Proposal, ...]
    proposed: Tuple[int, ...]

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data."""
        return {
            "factor": self.factor,
            "proposed": list(self.proposed),
            "best": [proposal.to_dict() for proposal in self.best],
        }


def propose(
    sizes: Sequence[Tuple[int, int]], factor: float = FACTOR, narrowest: int = LEAST
) -> Proposals:
    """Find the widths that fit images best.

    For each number of widths all sets of multiples of `STEP` are compared, by dynamic programming
    over the widths: between two that follow one another, images up to their middle go to the
    narrower (`crnn.widths.Widths.choose`).

    Args:
        sizes: Width and height of each image, in pixels.
        factor: An image's ideal width is this times its width over its height.
        narrowest: No narrower width is proposed, and an image that asks for a narrower one counts
            as one that asks for this.

    Returns:
        The best set of each number; none where there are no images.
    """
    if not sizes:
        return Proposals(factor, (), ())
    array = np.array(sizes, dtype=np.float64)
    wanted = factor * array[:, 0] / array[:, 1]
    if narrowest > LEAST:
        wanted = np.maximum(wanted, narrowest)
    ideals = np.sort(wanted)
    costs = _Costs(ideals, narrowest)
    # best[j]: the least cost of the images up to candidate j, if it is the widest so far.
    best = costs.below
    chosen: List[List[Tuple[int, ...]]] = [[(index,) for index in range(len(best))]]
    found: List[Proposal] = []
    for _ in range(min(COUNTS, len(costs.candidates))):
        # The images that are wider than the widest one go to it too.
        last = int(np.argmin(best + costs.above))
        widths = tuple(int(costs.candidates[index]) for index in chosen[-1][last])
        found.append(Proposal(widths, float((best + costs.above)[last]) / len(ideals)))
        # One width more, wider than those so far: from which of them is it reached most cheaply?
        reached = best[:, None] + costs.between
        before = np.argmin(reached, axis=0)
        best = reached[before, np.arange(len(before))]
        chosen.append([(*chosen[-1][first], index) for index, first in enumerate(before)])
    return Proposals(factor, tuple(found), _fewest(found))


def _fewest(found: Sequence[Proposal]) -> Tuple[int, ...]:
    """Return the first widths that are good enough, or the last."""
    for proposal in found:
        if proposal.error <= ENOUGH:
            return proposal.widths
    return found[-1].widths


class _Costs:
    """The sums of |ln(chosen / ideal)| of the images below a candidate, above it, between two.

    ``candidates`` are the n widths that may be proposed, ascending. ``below`` (n,) is the sum over
    the images that are at most as wide as a candidate, if all of them go to it; ``above`` (n,) that
    over the wider ones; ``between`` (n, n) that over those between two candidates that are both
    chosen with none between them, infinite where the first is not the narrower.
    """

    def __init__(self, ideals: np.ndarray, narrowest: int) -> None:
        """Compute them from the running sum of the ideals' logarithms.

        Args:
            ideals: Float64, ascending.
            narrowest: The least candidate.
        """
        least = max(narrowest, int(ideals[0] // STEP) * STEP)
        most = min(MOST, max(least, int(-(-ideals[-1] // STEP)) * STEP))
        least = min(least, most)
        self.candidates = np.arange(least, most + 1, STEP)
        logs = np.log(self.candidates)
        sums = np.concatenate([[0.0], np.cumsum(np.log(ideals))])
        places = np.searchsorted(ideals, self.candidates, side="right")
        count = len(ideals)
        self.below = places * logs - sums[places]
        self.above = (sums[-1] - sums[places]) - (count - places) * logs
        middles = (self.candidates[:, None] + self.candidates[None, :]) / 2
        halves = np.searchsorted(ideals, middles, side="right")
        first, second = places[:, None], places[None, :]
        to_first = (sums[halves] - sums[first]) - (halves - first) * logs[:, None]
        to_second = (second - halves) * logs[None, :] - (sums[second] - sums[halves])
        ordered = self.candidates[:, None] < self.candidates[None, :]
        self.between = np.where(ordered, to_first + to_second, np.inf)


def rows(proposals: Mapping[str, Any]) -> List[List[str]]:
    """Return a table of proposals.

    Args:
        proposals: What `Proposals.to_dict` gave.

    Returns:
        A row for each number of widths: how many, which, their error, and a word on them.
    """
    table: List[List[str]] = []
    for one in proposals["best"]:
        words = []
        if one["widths"] == proposals["proposed"]:
            words.append(f"proposed: at most {ENOUGH}")
        if len(one["widths"]) in ADVISED:
            words.append("advised on chips")
        widths = ", ".join(map(str, one["widths"]))
        table.append([str(len(one["widths"])), widths, f"{one['error']:.3f}", "; ".join(words)])
    return table
