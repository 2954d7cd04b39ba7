"""Words in batches of several sizes, streamed through a runner.

They have a module of their own since processes import it: nothing here takes long to import.
"""

from __future__ import annotations

from typing import Generator, List

import numpy as np

from crnn import ctc
from tests.models import SPEC, echo_images

WORDS = [f"{number}w{number}"[:6].replace("w", "c") for number in range(21)]
SIZES = (3, 1, 7, 4, 6)


def batches(repeat: int = 1) -> Generator[np.ndarray, None, None]:
    for _ in range(repeat):
        start = 0
        for size in SIZES:
            yield echo_images(WORDS[start : start + size])
            start += size


def read(logits: np.ndarray) -> List[str]:
    return ctc.greedy(logits, SPEC.alphabet)
