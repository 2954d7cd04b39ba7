"""Real words to check an export with."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional

import numpy as np

from crnn.image import ImageError, decode
from crnn.samples.lmdb import LmdbSamples
from crnn.spec import ModelSpec

LIMIT = 2000
BATCH = 64

Advance = Callable[[int], None]


class WordImages:
    """The first 2000 words of an LMDB as float32 batches (n, C, H, W), each of one width.

    ``skipped`` counts those without an image that can be read; ``labels`` are those of the images
    that were given out, None where there is none; ``advance`` is told of each word.
    """

    def __init__(self, path: Path, spec: ModelSpec) -> None:
        self._samples = LmdbSamples(path)
        self._spec = spec
        self.skipped = 0
        self.labels: List[Optional[str]] = []
        self.advance: Advance = lambda count: None

    def __len__(self) -> int:
        return min(LIMIT, len(self._samples))

    def __iter__(self) -> Iterator[np.ndarray]:
        self.skipped = 0
        self.labels = []
        table = self._spec.table
        groups: Dict[int, _Group] = {}
        with contextlib.closing(self._samples):
            for sample in itertools.islice(self._samples, LIMIT):
                try:
                    image = decode(sample.image or b"", self._spec)
                    group = groups.setdefault(image.shape[2], _Group())
                    group.images.append(image)
                    group.labels.append(sample.label)
                    if len(group.images) == BATCH:
                        yield table[self._given(groups.pop(image.shape[2]))]
                except ImageError:
                    self.skipped += 1
                self.advance(1)
        for group in groups.values():
            yield table[self._given(group)]

    def _given(self, group: _Group) -> np.ndarray:
        """Return a group's images, and remember its labels as given out."""
        self.labels.extend(group.labels)
        return np.stack(group.images)


class _Group:
    """Images of one width that wait to be given out."""

    def __init__(self) -> None:
        self.images: List[np.ndarray] = []
        self.labels: List[Optional[str]] = []
