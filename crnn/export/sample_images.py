"""Real words to check an export with."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Callable, Iterator, List, Optional

import numpy as np

from crnn.image import ImageError, decode
from crnn.samples.lmdb import LmdbSamples
from crnn.spec import ModelSpec

LIMIT = 2000
BATCH = 64

Advance = Callable[[int], None]


class WordImages:
    """The first 2000 words of an LMDB as float32 batches (n, C, H, W).

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
        images: List[np.ndarray] = []
        with contextlib.closing(self._samples):
            for sample in itertools.islice(self._samples, LIMIT):
                try:
                    images.append(decode(sample.image or b"", self._spec))
                    self.labels.append(sample.label)
                except ImageError:
                    self.skipped += 1
                if len(images) == BATCH:
                    yield table[np.stack(images)]
                    images = []
                self.advance(1)
        if images:
            yield table[np.stack(images)]
