"""Render the words inside the package.

    python examples/make_quantize_words.py --words LIST --fonts DIR

`crnn quantize` without --calibrate reads them. They are what `crnn dataset synth` renders with the
seed below, as grey PNGs of height 32, in one ZIP file with their labels in the images' names. The
file in the repository was made with Debian's list wamerican and the open fonts of Debian's packages
fonts-dejavu-core, fonts-ebgaramond, fonts-lato, fonts-liberation, fonts-liberation2,
fonts-open-sans and fonts-roboto-unhinted. The same list, fonts and versions give the same words.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

from PIL import Image

from crnn.datasets.synth.render import Renderer
from crnn.export.rendered import FILE

COUNT = 400
SEED = 2025
HEIGHT = 32
WIDEST = 320
THE_SAME_DATE = (2020, 1, 1, 0, 0, 0)


def small(data: bytes) -> bytes:
    """Return a picture as a grey PNG of at most `HEIGHT` rows and `WIDEST` columns."""
    with Image.open(io.BytesIO(data)) as opened:
        picture = opened.convert("L")
    picture.thumbnail((WIDEST, HEIGHT), Image.BICUBIC)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=Path, required=True, help="words, one a line")
    parser.add_argument("--fonts", type=Path, required=True, help="a folder of open fonts")
    args = parser.parse_args()
    renderer = Renderer.create(SEED, words=args.words, fonts=args.fonts)
    with zipfile.ZipFile(FILE, "w", zipfile.ZIP_STORED) as archive:
        for index in range(1, COUNT + 1):
            sample = renderer.sample(index)
            name = f"{index:03d}_{sample.label}.png"
            archive.writestr(zipfile.ZipInfo(name, THE_SAME_DATE), small(sample.image))
    print(f"{FILE}: {COUNT} words, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
