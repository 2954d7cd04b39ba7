"""How far rendered words are from photographed ones in what can be measured of their looks.

    python benchmarks/looks.py PHOTOGRAPHED_LMDB RENDERED_LMDB [RENDERED_LMDB …] [--odd] [--words N]

Each figure is measured word by word. A distance is the mean difference of the two sets' sorted
figures (Wasserstein's first) over the photographed set's spread between its 10th and 90th
percentile: 0 for the same distribution, about 1 for one that lies beside it. ``--odd`` takes the
odd-numbered words of the photographed set alone, so that the others can still judge.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Dict, List, Optional

import cv2
import numpy as np

from crnn.samples.lmdb import LmdbSamples

QUANTILES = np.linspace(0.01, 0.99, 99)
FIGURES = (
    "height in pixels",
    "width over height",
    "aspect a letter",
    "contrast",
    "Otsu's share between",
    "colour distance",
    "saturation of the ground",
    "saturation of the ink",
    "lightness of the ground",
    "lighter letters",
    "spread of the ground",
    "spread of the ink",
    "sharpness (Laplacian)",
    "edge width over height",
    "stroke over height",
    "margin left and right",
    "margin top and bottom",
    "ink at the border",
    "ink's share",
    "noise",
    "blockiness",
)


def measure(image: np.ndarray, letters: int) -> Optional[Dict[str, float]]:
    """Return the figures of a word, uint8 (H, W, 3); None for one without two tones."""
    height, width = image.shape[:2]
    # Where sizes matter, at one height, that of the network.
    scale = 32 / height
    wide = max(8, round(width * scale))
    way = cv2.INTER_CUBIC
    if scale < 1:
        way = cv2.INTER_AREA
    small = cv2.resize(image, (wide, 32), interpolation=way)
    gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    bright = cv2.threshold(gray, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1]
    if not 0 < bright.mean() < 1:
        return None
    border = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    ink = bright if border.mean() < 0.5 else 1 - bright
    lab = cv2.cvtColor(np.float32(small / 255), cv2.COLOR_BGR2LAB)
    on, off = lab[ink == 1], lab[ink == 0]
    tones = gray[ink == 1].astype(float), gray[ink == 0].astype(float)
    deep = cv2.distanceTransform(ink, cv2.DIST_L2, 3)
    ridge = deep[(deep >= cv2.dilate(deep, np.ones((3, 3)))) & (ink == 1)]
    columns, rows = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.sum(axis=1) > 0.02 * wide)
    saturation = np.hypot(lab[:, :, 1], lab[:, :, 2])
    slope = np.hypot(
        cv2.Sobel(gray, cv2.CV_64F, 1, 0, scale=1 / 8),
        cv2.Sobel(gray, cv2.CV_64F, 0, 1, scale=1 / 8),
    )
    contrast = abs(tones[0].mean() - tones[1].mean())
    edge = ink - cv2.erode(ink, np.ones((3, 3), np.uint8))
    steep = np.percentile(slope[edge == 1], 75) if edge.any() else 1.0
    return {
        "height in pixels": math.log(height),
        "width over height": math.log(width / height),
        "aspect a letter": math.log(width / height / letters),
        "contrast": contrast,
        "Otsu's share between": _between(tones, gray),
        "colour distance": float(np.linalg.norm(np.median(on, axis=0) - np.median(off, axis=0))),
        "saturation of the ground": float(np.median(saturation[ink == 0])),
        "saturation of the ink": float(np.median(saturation[ink == 1])),
        "lightness of the ground": float(np.median(gray[ink == 0])),
        "lighter letters": float(tones[0].mean() > tones[1].mean()),
        "spread of the ground": tones[1].std(),
        "spread of the ink": tones[0].std(),
        "sharpness (Laplacian)": math.log(1 + cv2.Laplacian(gray, cv2.CV_64F).std()),
        "edge width over height": math.log(contrast / max(1.0, steep)),
        "stroke over height": math.log(2 * float(np.median(ridge)) / 32),
        "margin left and right": (columns[0] + wide - 1 - columns[-1]) / 64,
        "margin top and bottom": (rows[0] + 31 - rows[-1]) / 64 if len(rows) else 0.5,
        "ink at the border": float(min(border.mean(), 1 - border.mean())),
        "ink's share": float(ink.mean()),
        "noise": math.log(1 + _noise(image)),
        "blockiness": _blockiness(image),
    }


def _between(tones: tuple, gray: np.ndarray) -> float:
    """Return the share of the variance that lies between letters and ground."""
    within = sum(part.var() * len(part) for part in tones) / gray.size
    return 1 - within / max(1.0, float(gray.var()))


def _noise(image: np.ndarray) -> float:
    """Return Immerkær's estimate of the noise's sigma (CVIU 64, 1996), its median over rows, at the
    image's own size.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    return float(np.median(np.abs(cv2.filter2D(gray, -1, kernel))) / 6 * math.sqrt(math.pi / 2))


def _blockiness(image: np.ndarray) -> float:
    """Return the steps between columns at the strongest of eight phases over their mean."""
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    steps = np.abs(np.diff(gray, 2, axis=1)).mean(axis=0)
    if len(steps) < 32:
        return 0.0
    phases = [steps[start::8].mean() for start in range(8)]
    return math.log((max(phases) + 0.5) / (float(np.mean(phases)) + 0.5))


def figures(path: Path, words: int, odd: bool) -> Dict[str, np.ndarray]:
    """Return each figure's values over a set's words."""
    found: List[Dict[str, float]] = []
    for number, sample in enumerate(LmdbSamples(path), 1):
        if odd and number % 2 == 0:
            continue
        image = cv2.imdecode(np.frombuffer(sample.image, np.uint8), cv2.IMREAD_COLOR)
        measured = measure(image, len(sample.label))
        if measured:
            found.append(measured)
        if len(found) == words:
            break
    return {name: np.array([word[name] for word in found]) for name in FIGURES}


def distance(photographed: np.ndarray, rendered: np.ndarray) -> float:
    """Return the distance of two sets of values, over the spread of the first."""
    first, second = np.quantile(photographed, QUANTILES), np.quantile(rendered, QUANTILES)
    spread = np.quantile(photographed, 0.9) - np.quantile(photographed, 0.1)
    if set(np.unique(photographed)) <= {0.0, 1.0}:
        return abs(float(photographed.mean() - rendered.mean()))
    return float(np.abs(first - second).mean() / max(spread, 1e-6))


def main() -> None:
    """Print a line for each figure: quartiles of the photographed, and of each other set with its
    distance.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographed", type=Path)
    parser.add_argument("rendered", type=Path, nargs="+")
    parser.add_argument("--odd", action="store_true")
    parser.add_argument("--words", type=int, default=1000)
    options = parser.parse_args()
    sets = [figures(options.photographed, options.words, options.odd)]
    sets += [figures(path, options.words, False) for path in options.rendered]
    totals = np.zeros(len(sets) - 1)
    for name in FIGURES:
        line = f"{name:26}"
        for place, values in enumerate(sets):
            low, middle, high = np.quantile(values[name], (0.25, 0.5, 0.75))
            if name == "lighter letters":
                middle = values[name].mean()
            line += f"  {low:7.2f} {middle:7.2f} {high:7.2f}"
            if place:
                far = distance(sets[0][name], values[name])
                totals[place - 1] += far
                line += f"  [{far:.2f}]"
        print(line)
    print("mean distance", " ".join(f"{total / len(FIGURES):.3f}" for total in totals))


if __name__ == "__main__":
    main()
