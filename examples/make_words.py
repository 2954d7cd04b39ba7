"""Render the words of examples/words_lmdb: python examples/make_words.py OUT_LMDB.

300 words, a quarter of them clear, the rest gradually harder: coloured text on a gradient, slanted,
blurred, noisy, compressed. Fonts are those of Debian's packages named in FONTS, all with an open
licence. The same seed and the same font files give the same words.
"""

from __future__ import annotations

import io
import random
import sys
from pathlib import Path

import lmdb
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

COUNT = 300
SEED = 2024
FONTS = {
    "fonts-dejavu-core (Bitstream Vera licence)": [
        "truetype/dejavu/DejaVuSans-Bold.ttf",
        "truetype/dejavu/DejaVuSerif.ttf",
    ],
    "fonts-lato (OFL)": ["truetype/lato/Lato-Regular.ttf", "truetype/lato/Lato-Black.ttf"],
    "fonts-liberation2 (OFL)": [
        "truetype/liberation2/LiberationSans-Regular.ttf",
        "truetype/liberation2/LiberationSerif-Bold.ttf",
        "truetype/liberation2/LiberationMono-Regular.ttf",
    ],
    "fonts-open-sans (OFL)": ["truetype/open-sans/OpenSans-Semibold.ttf"],
    "fonts-roboto-unhinted (Apache-2.0)": ["truetype/roboto/unhinted/RobotoTTF/Roboto-Medium.ttf"],
    "fonts-ebgaramond (OFL)": ["opentype/ebgaramond/EBGaramond12-Regular.otf"],
}
WORDS = """
above account action address after again agreement airport album always amount animal answer apple
april archive arrival august autumn avenue bakery balance banana bank basket battery beach beauty
before bicycle birthday black board bottle bridge bright broken brother budget building butter cabin
calendar camera canal candle captain carbon castle central century chapter cheese cherry chicken
church circle city classic clean climate clock clothes cloud coffee college colour common concert
copper corner cotton country cousin cream crystal culture custom dance danger daughter december
delivery dentist desert design diamond dinner discount doctor dollar double dragon dream early east
eight electric elephant engine entrance equal evening exit express factory family farmer father
festival field finger finish first fish flight floor flower forest forward fountain fresh friday
friend fruit furniture future garage garden general gentle ginger glass gold grand green grocery
group guitar hammer harbour health heavy hello hidden history holiday honey hospital hotel house
human hundred island jacket january jewel journey juice july jungle justice kettle kitchen knowledge
ladder language laundry leather lemon letter library light limited lion little local london lunch
machine magic mango market master meadow medical melody memory menu metal middle midnight milk
million minute mirror modern monday money morning mountain museum music nation nature needle network
never night noble north notice number ocean october office olive open orange orchard order origin
oven oxygen palace paper parade parking party pencil people pepper perfect photo piano picture pilot
planet player pocket police popular
""".split()


def main(out: Path) -> None:
    """Write the LMDB."""
    rng = random.Random(SEED)
    env = lmdb.open(str(out), map_size=16 << 20, lock=False)
    with env.begin(write=True) as txn:
        for index in range(1, COUNT + 1):
            word = spell(rng)
            txn.put(b"image-%09d" % index, render(word, rng, hardness=index / COUNT))
            txn.put(b"label-%09d" % index, word.encode())
        txn.put(b"num-samples", str(COUNT).encode())
    env.close()


def spell(rng: random.Random) -> str:
    """Return a word or a number, in one of the usual cases."""
    if rng.random() < 0.12:
        return str(rng.randrange(10, 100_000))
    word = rng.choice(WORDS)
    return rng.choice([word, word, word.capitalize(), word.upper()])


def render(word: str, rng: random.Random, hardness: float) -> bytes:
    """Return a JPEG of a word; at hardness 0 dark on light and straight, at 1 with every effect."""
    font_file = rng.choice([name for names in FONTS.values() for name in names])
    font = ImageFont.truetype(f"/usr/share/fonts/{font_file}", rng.randrange(30, 44))
    left, top, right, bottom = font.getbbox(word)
    margin = rng.randrange(3, 9)
    size = (right - left + 2 * margin, bottom - top + 2 * margin)
    ink, paper = colours(rng, hardness)
    image = gradient(size, paper, rng, hardness)
    ImageDraw.Draw(image).text((margin - left, margin - top), word, font=font, fill=ink)
    if hardness > 0.25:
        image = slant(image, rng, hardness)
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.3) * hardness))
        image = noise(image, rng, 22 * hardness)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=rng.randrange(60, 85))
    return file.getvalue()


def colours(
    rng: random.Random, hardness: float
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return ink and paper, far apart in brightness, less so when hard; light on dark now and
    then.
    """
    gap = 190 - 90 * hardness
    dark = rng.uniform(0, 255 - gap)
    spread = 40 * hardness
    pair = [
        tuple(int(min(255, max(0, level + rng.uniform(-spread, spread)))) for _ in range(3))
        for level in (dark, dark + gap)
    ]
    return tuple(pair if rng.random() < 1 - 0.4 * hardness else pair[::-1])


def gradient(
    size: tuple[int, int], paper: tuple[int, int, int], rng: random.Random, hardness: float
) -> Image.Image:
    """Return a background whose brightness runs across it."""
    width, height = size
    ramp = np.linspace(-1, 1, width)[None, :, None] * rng.uniform(-45, 45) * hardness
    return Image.fromarray(
        np.clip(np.array(paper) + np.broadcast_to(ramp, (height, width, 1)), 0, 255).astype(
            np.uint8
        )
    )


def slant(image: Image.Image, rng: random.Random, hardness: float) -> Image.Image:
    """Return the image sheared and seen a little from the side."""
    width, height = image.size
    shift = lambda: rng.uniform(0, 0.12) * height * hardness  # noqa: E731
    corners = (
        -shift(),
        -shift(),
        -shift(),
        height + shift(),
        width + shift(),
        height + shift(),
        width + shift(),
        -shift(),
    )
    fill = image.resize((1, 1)).getpixel((0, 0))
    return image.transform(
        image.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor=fill
    )


def noise(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """Return the image with Gaussian noise."""
    pixels = np.asarray(image, dtype=np.float32)
    grain = np.random.default_rng(rng.randrange(1 << 32)).normal(
        0, strength * rng.random(), pixels.shape
    )
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
