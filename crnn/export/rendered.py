"""The rendered words inside the package, which serve where no data set is at hand.

examples/make_quantize_words.py made the file: a ZIP of grey PNGs, `NUMBER_LABEL.png` each.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Iterator

from crnn.batch import Sample

FILE = Path(__file__).with_name("rendered_words.zip")
NAME = "the words inside the package"


def rendered_samples() -> Iterator[Sample]:
    """Yield the words inside the package, in order: encoded images and labels of 0-9, A-Z, a-z."""
    with zipfile.ZipFile(FILE) as archive:
        for name in archive.namelist():
            key, _, label = Path(name).stem.partition("_")
            yield Sample(key, archive.read(name), label)
