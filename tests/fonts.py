"""Whether this machine has what words are rendered with."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from crnn.datasets.synth import words
from crnn.datasets.synth.fonts import find_fonts
from crnn.errors import UnavailableError
from crnn.labels import DIGITS_AND_LETTERS


def installed() -> List[Path]:
    try:
        return find_fonts(None, words.characters_of(DIGITS_AND_LETTERS))
    except UnavailableError:
        return []


needs_fonts = pytest.mark.skipif(
    not installed(), reason="no font with an open licence is installed"
)
