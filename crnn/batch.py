"""What is to be read: a sample, a batch of samples, and why one cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Optional, Sequence

import numpy as np


@dataclass(frozen=True)
class Problem:
    """Why a sample cannot be read:

    ``reason`` is one of few phrases, to be counted; ``detail`` is about this sample.
    """

    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Sample:
    """A word as a data set holds it: encoded image bytes and label, each None where it is missing.

    ``problem`` says why the image is missing. ``key`` names the sample within its data set.
    """

    key: str
    image: Optional[bytes]
    label: Optional[str]
    problem: Optional[Problem] = None


@dataclass(frozen=True)
class Batch:
    """Samples in data order, their images as one array.

    Row i of ``keys`` and ``labels`` has a problem where ``problems`` holds i; the other rows'
    images stand in ``images`` (n, C, H, W), float32 or uint8, in the same order. The array may be
    reused once later batches are taken.
    """

    keys: Sequence[str]
    labels: Sequence[Optional[str]]
    images: np.ndarray
    problems: Mapping[int, Problem] = field(default_factory=dict)

    @property
    def readable(self) -> Sequence[int]:
        """The rows that have an image."""
        if not self.problems:
            return range(len(self.keys))
        return [row for row in range(len(self.keys)) if row not in self.problems]
