"""Training batches of one width each, of words of several.

The words of a few steps are looked at together: sorted by the width that their aspect asks for, cut
into as many batches as there are steps, each batch at the width that fits its middle word. So every
step has the words that it would have with one width, and is a function of seed, epoch and step.
"""

from __future__ import annotations

import collections
import contextlib
from dataclasses import dataclass
from typing import Counter, Generator, Iterator, List, Mapping, Sequence, Tuple, Union

import numpy as np
import torch
from PIL import Image

from crnn.batch import MISSING_IMAGE
from crnn.errors import InputError, KitError
from crnn.image import ImageError, resize, spec_picture
from crnn.labels import steps as steps_needed
from crnn.training.data import (
    DataPlan,
    Mixture,
    Plans,
    TrainBatch,
    class_table,
    describe,
    encode,
    load,
)
from crnn.training.labels import LabelRules
from crnn.widths import Widths

GROUP = 8
"""The steps whose words are looked at together."""


@dataclass(frozen=True)
class GroupPlan:
    """The words of some steps that follow one another, and those of its batches that are wanted:
    from ``first`` on to before ``end``.
    """

    plans: Tuple[DataPlan, ...]
    order: Tuple[int, ...]
    first: int
    end: int


class GroupPlans:
    """The plans of a run, a group of steps at a time; a run that goes on within a group looks at
    the whole of it again.
    """

    def __init__(self, mixture: Mixture, plans: Plans, start: int, end: int, seed: int) -> None:
        self._mixture = mixture
        self._plans = plans
        self._start, self._end, self._seed = start, end, seed

    def __len__(self) -> int:
        return sum(1 for _ in self._bounds())

    def _bounds(self) -> Iterator[Tuple[int, int]]:
        """Yield the first step of each group, and the step after its last."""
        epoch_steps = self._plans.steps_per_epoch
        step = self._start
        while step < self._end:
            epoch, place = divmod(step, epoch_steps)
            first = epoch * epoch_steps + place // GROUP * GROUP
            after = min(first + GROUP, (epoch + 1) * epoch_steps)
            yield first, after
            step = after

    def __iter__(self) -> Iterator[GroupPlan]:
        for first, after in self._bounds():
            plans = tuple(self._plans.between(first, after))
            generator = np.random.default_rng([self._seed, first, GROUP])
            order = tuple(generator.permutation(len(plans)).tolist())
            wanted = max(first, self._start) - first
            end = min(after, self._end) - first
            yield GroupPlan(plans, order, wanted, end)


@dataclass(frozen=True)
class _Word:
    """A word that can be trained on: decoded, not yet resized; ``ideal`` is the width, in pixels,
    that its aspect asks for.
    """

    picture: Image.Image
    text: str
    ideal: float


class GroupBatches:
    """Group plans to batches; what a `torch.utils.data.DataLoader` takes for a data set.

    ``time_steps`` are the network's at each width.
    """

    def __init__(
        self, mixture: Mixture, labels: LabelRules, widths: Widths, time_steps: Mapping[int, int]
    ) -> None:
        self._mixture = mixture
        self._labels = labels
        self._widths = widths
        self._time_steps = dict(time_steps)
        self._classes = class_table(labels.spec)

    def __getitem__(self, plan: GroupPlan) -> Union[List[TrainBatch], KitError]:
        # An error raised in another process would come as the text of its traceback.
        try:
            return self._batches(plan)
        except KitError as error:
            return error

    def _batches(self, group: GroupPlan) -> List[TrainBatch]:
        """Return the wanted batches of a group.

        What was left out of a step's own words is counted with that step.
        """
        count = len(group.plans)
        skipped: List[Counter[str]] = [collections.Counter() for _ in range(count)]
        remarks: List[Counter[str]] = [collections.Counter() for _ in range(count)]
        words: List[_Word] = []
        for step, plan in enumerate(group.plans):
            words.extend(self._words(plan, skipped[step], remarks[step]))
        if len(words) < count:
            total = sum(len(plan.numbers) for plan in group.plans)
            left_out = dict(sum(skipped, collections.Counter()))
            raise InputError(
                f"of {count} steps' {total} words only {len(words)} can be used:"
                f" {describe(left_out)}"
            )
        words.sort(key=lambda word: word.ideal)  # stable: equal ones stay in the epoch's order
        cuts = np.array_split(np.arange(len(words)), count)
        batches = []
        for place in range(group.first, group.end):
            chosen = [words[index] for index in cuts[group.order[place]]]
            batches.append(self._batch(chosen, skipped[place], remarks[place]))
        return batches

    def _words(
        self, plan: DataPlan, skipped: Counter[str], remarks: Counter[str]
    ) -> Iterator[_Word]:
        """Decode the words of a plan, and count those that are left out."""
        for number in plan.numbers.tolist():
            sample = self._mixture.sample(plan.epoch, number)
            text, reason = self._labels.take(sample.label)
            if not reason and sample.image is None:
                reason = MISSING_IMAGE
            if reason:
                skipped[reason] += 1
                continue
            assert sample.image is not None
            try:
                picture, remarked = spec_picture(sample.image, self._labels.spec)
            except ImageError as error:
                skipped[error.problem.reason] += 1
                continue
            remarks.update(remarked)
            yield _Word(picture, text, self._widths.ideal(*picture.size))

    def _batch(
        self, words: Sequence[_Word], skipped: Mapping[str, int], remarks: Mapping[str, int]
    ) -> TrainBatch:
        """Resize words to one width."""
        width = self._width(words)
        images = [resize(word.picture, self._labels.spec, width) for word in words]
        targets, lengths = encode([word.text for word in words], self._classes)
        stacked = torch.from_numpy(np.stack(images))
        return TrainBatch(stacked, targets, lengths, dict(skipped), dict(remarks))

    def _width(self, words: Sequence[_Word]) -> int:
        """Return the width that fits the middle word, or a wider one where a label needs it."""
        middle = words[len(words) // 2].picture.size
        fitting = self._widths.choose(*middle)
        needed = max(steps_needed(word.text) for word in words)
        for width in self._widths.list:
            if width >= fitting and self._time_steps[width] >= needed:
                return width
        # No label is taken that the widest has too few steps for.
        return self._widths.list[-1]


def load_groups(
    batches: GroupBatches, plans: GroupPlans, *, workers: int, pin: bool
) -> Generator[TrainBatch, None, None]:
    """Yield the planned batches in order, as `crnn.training.data.load` does."""
    with contextlib.closing(load(batches, plans, workers=workers, pin=pin)) as groups:
        for group in groups:
            yield from group
