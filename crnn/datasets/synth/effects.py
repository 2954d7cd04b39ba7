"""The effects, each a small function of an image and how strong it is; the table says how strong
and how often.

Layers are uint8 (H, W, 4): the letters' ink, their rim, their shadow, and the words beside.
Pictures are float32 (H, W, 3), 0 to 255, red first.
"""

from __future__ import annotations

import math
import random
from typing import Optional, Tuple

import numpy as np

from crnn.errors import InputError, needs

with needs("opencv-python or opencv-python-headless", extra="datasets"):
    import cv2

INK, RIM, SHADOW, BESIDE = range(4)
MAX_WIDTH = 16_384
"""Of a word's letters:

OpenCV counts pixels in 16 bits where it bends and turns, and a word grows in that.
"""

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def noise_source(rng: random.Random) -> np.random.Generator:
    """Return a generator of arrays that follows from the word's own."""
    return np.random.Generator(np.random.PCG64(rng.getrandbits(64)))


# --- letters
# --------------------------------------------------------------------------------------------------


def stretch(mask: np.ndarray, factor: float) -> np.ndarray:
    """Return the mask with its width multiplied."""
    width = max(1, round(mask.shape[1] * factor))
    return cv2.resize(
        mask,
        (width, mask.shape[0]),
        interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR,
    )


def heavier(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Return the mask with its strokes grown by so many pixels in all."""
    return cv2.dilate(mask, _disc(pixels + 1))


def lighter(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Return the mask with its strokes shrunk, unless nothing much would be left of them."""
    thin = cv2.erode(mask, _disc(pixels + 1))
    if int(thin.sum()) > 0.35 * int(mask.sum()):
        return thin
    return mask


def rim(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Return the letters with a rim of so many pixels around them."""
    return cv2.dilate(mask, _disc(2 * pixels + 1))


def hollow(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Return the letters' contour alone."""
    return cv2.subtract(cv2.dilate(mask, _disc(pixels + 1)), cv2.erode(mask, _disc(pixels + 1)))


def shadow(mask: np.ndarray, offset: Tuple[float, float], sigma: float) -> np.ndarray:
    """Return the mask moved by x and y pixels and blurred."""
    move = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], dtype=np.float32)
    moved = cv2.warpAffine(mask, move, mask.shape[::-1])
    if sigma > 0.2:
        return cv2.GaussianBlur(moved, (0, 0), sigma)
    return moved


def worn(mask: np.ndarray, cell: float, share: float, rng: random.Random) -> np.ndarray:
    """Return the mask rubbed off over a share of its area, in spots of about ``cell`` pixels."""
    field = clouds(mask.shape, cell, rng)
    level = np.quantile(field[::3, ::3], share)
    keep = np.clip((field - level) * 8 + 0.5, 0.0, 1.0)
    return (mask * keep).astype(np.uint8)


# --- place
# --------------------------------------------------------------------------------------------------


def curve(layers: np.ndarray, rise: float) -> np.ndarray:
    """Return the layers with their middle raised by so many pixels, the ends where they were."""
    height, width = layers.shape[:2]
    extra = math.ceil(abs(rise))
    x = np.arange(width, dtype=np.float32)
    wave = np.sin(np.pi * x / max(1, width - 1)).astype(np.float32) * np.float32(rise)
    rows = np.arange(height + 2 * extra, dtype=np.float32)[:, None] - extra + wave[None, :]
    columns = np.broadcast_to(x, rows.shape)
    return cv2.remap(layers, np.ascontiguousarray(columns), rows, cv2.INTER_LINEAR)


def place(layers: np.ndarray, degrees: float, shear: float, shifts: np.ndarray) -> np.ndarray:
    """Return the layers turned, sheared and seen in perspective, on a canvas that holds them whole.

    ``shifts`` (4, 2) moves the corners, clockwise from the top left, inwards as fractions of the
    height.
    """
    height, width = layers.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=np.float32)
    moved = (
        corners
        + inwards * shifts.astype(np.float32) * height
        - np.array([width / 2, height / 2], dtype=np.float32)
    )
    angle = math.radians(degrees)
    turn = np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=np.float32
    )
    moved = moved @ np.array([[1, 0], [-shear, 1]], dtype=np.float32) @ turn.T
    moved -= moved.min(axis=0)
    size = np.maximum(1, np.ceil(moved.max(axis=0))).astype(int)
    matrix = cv2.getPerspectiveTransform(corners, np.ascontiguousarray(moved, dtype=np.float32))
    return cv2.warpPerspective(layers, matrix, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR)


def crop(layers: np.ndarray, margins: Tuple[float, float, float, float]) -> np.ndarray:
    """Return the layers cut around the ink, with so many pixels on the left, top, right and
    bottom.
    """
    ink = layers[:, :, INK] > 48
    columns, rows = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
    if not len(columns):
        return layers
    left, right = columns[0] - round(margins[0]), columns[-1] + 1 + round(margins[2])
    top, bottom = rows[0] - round(margins[1]), rows[-1] + 1 + round(margins[3])
    height, width = layers.shape[:2]
    outside = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    if any(outside):
        above, below, before, after = (int(side) for side in outside)
        layers = cv2.copyMakeBorder(layers, above, below, before, after, cv2.BORDER_CONSTANT)
    # Cuts from both sides may pass each other, and the edge.
    top = max(0, min(top + outside[0], layers.shape[0] - 4))
    left = max(0, min(left + outside[2], layers.shape[1] - 4))
    return layers[top : max(top + 4, bottom + outside[0]), left : max(left + 4, right + outside[2])]


# --- ground
# --------------------------------------------------------------------------------------------------


def colour(lightness: float, saturation: float, hue: float) -> np.ndarray:
    """Return a colour of this lightness (0 to 255); hue and saturation are 0 to 1.

    A light colour has as much of the saturation as its lightness leaves room for.
    """
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2], dtype=np.float32)) % 6 - 3) - 1, 0, 1)
    tint = 255 * (1 - saturation + saturation * wheel)
    shade = np.minimum(tint * (lightness / float(tint @ _LUMA)), 255)
    reached = float(shade @ _LUMA)
    white = (lightness - reached) / max(1.0, 255 - reached)
    return (shade + (255 - shade) * white).astype(np.float32)


def ground(shape: Tuple[int, int], paper: np.ndarray) -> np.ndarray:
    """Return a picture of one colour."""
    return np.full((*shape, 3), paper, dtype=np.float32)


def gradient(picture: np.ndarray, span: float, angle: float) -> np.ndarray:
    """Return the picture with lightness added that runs from -span/2 to span/2 in a direction."""
    return picture + (span * ramp(picture.shape[:2], angle))[:, :, None]


def texture(picture: np.ndarray, span: float, cell: float, rng: random.Random) -> np.ndarray:
    """Return the picture with clouds of about ``cell`` pixels, of so much lightness."""
    return picture + (span * (clouds(picture.shape[:2], cell, rng) - 0.5))[:, :, None]


def panel(picture: np.ndarray, change: float, angle: float, place: float) -> np.ndarray:
    """Return the picture, lighter or darker beyond a straight edge."""
    return picture + (change * (ramp(picture.shape[:2], angle) > place))[:, :, None].astype(
        np.float32
    )


def border(picture: np.ndarray, paint: np.ndarray, pixels: int, inset: int) -> np.ndarray:
    """Return the picture with a line around it."""
    height, width = picture.shape[:2]
    framed = np.ascontiguousarray(picture)
    cv2.rectangle(
        framed,
        (inset, inset),
        (width - 1 - inset, height - 1 - inset),
        [float(part) for part in paint],
        pixels,
    )
    return framed


def paint(
    picture: np.ndarray, mask: np.ndarray, colour: np.ndarray, opacity: float = 1.0
) -> np.ndarray:
    """Return the picture with a colour (3,), or a picture, laid over it where the mask is."""
    alpha = (mask.astype(np.float32) * (opacity / 255))[:, :, None]
    return picture + (colour - picture) * alpha


def light(picture: np.ndarray, span: float, angle: float) -> np.ndarray:
    """Return the picture with its brightness falling off in a direction, by a share of ``span``
    from end to end.
    """
    return picture * (1 + span * (ramp(picture.shape[:2], angle) - 0.25))[:, :, None]


# --- camera
# --------------------------------------------------------------------------------------------------


def resize(picture: np.ndarray, height: int) -> np.ndarray:
    """Return the picture at another height, its aspect kept."""
    width = max(4, round(picture.shape[1] * height / picture.shape[0]))
    smaller = height < picture.shape[0]
    return cv2.resize(
        picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    )


def blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Return the picture out of focus."""
    return cv2.GaussianBlur(picture, (0, 0), sigma)


def motion(picture: np.ndarray, pixels: int, angle: float) -> np.ndarray:
    """Return the picture as if moved while it was taken."""
    kernel = np.zeros((pixels, pixels), dtype=np.float32)
    middle = (pixels - 1) / 2
    x, y = math.cos(angle) * middle, math.sin(angle) * middle
    ends = [(round(middle - x), round(middle - y)), (round(middle + x), round(middle + y))]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(picture, -1, kernel / kernel.sum())


def noise(picture: np.ndarray, sigma: float, rng: random.Random) -> np.ndarray:
    """Return the picture with Gaussian noise."""
    return picture + np.float32(sigma) * noise_source(rng).standard_normal(
        picture.shape, dtype=np.float32
    )


def gamma(picture: np.ndarray, exponent: float) -> np.ndarray:
    """Return the picture with its tones bent; black and white stay."""
    return 255 * np.power(np.clip(picture, 0, 255) / 255, np.float32(exponent))


def gray(picture: np.ndarray) -> np.ndarray:
    """Return the picture without colour, still of three channels."""
    return np.repeat((picture @ _LUMA)[:, :, None], 3, axis=2)


def encode(picture: np.ndarray, quality: Optional[int]) -> bytes:
    """Return the picture as JPEG of a quality, or as PNG; `InputError` for one larger than the
    format takes.
    """
    pixels = cv2.cvtColor(np.clip(picture + 0.5, 0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
    if quality is None:
        name, options = "PNG", [cv2.IMWRITE_PNG_COMPRESSION, 3]
    else:
        name, options = "JPEG", [cv2.IMWRITE_JPEG_QUALITY, quality]
    try:
        encoded, data = cv2.imencode(f".{name.lower()}", pixels, options)
    except cv2.error as error:  # OpenCV 4.5 raises, newer ones return False
        raise too_large(pixels.shape, f"{name} takes") from error
    if not encoded:
        raise too_large(pixels.shape, f"{name} takes")
    return bytes(data)


def too_large(shape: Tuple[int, ...], than: str) -> InputError:
    """Return the error for an image of this height and width, larger than what ``than`` names."""
    return InputError(
        f"the image of a word would be {shape[1]}x{shape[0]} pixels, larger than {than}",
        hint="Give shorter strings, narrower letters or a lower resolution in --effects.",
    )


# --- fields
# --------------------------------------------------------------------------------------------------


def ramp(shape: Tuple[int, int], angle: float) -> np.ndarray:
    """Return float32 (H, W) that runs from -0.5 to 0.5 in a direction."""
    x, y = math.cos(angle), math.sin(angle)
    scale = 1 / (abs(x) + abs(y))
    across = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32) * np.float32(x * scale)
    down = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32) * np.float32(y * scale)
    return across[None, :] + down[:, None]


def clouds(shape: Tuple[int, int], cell: float, rng: random.Random) -> np.ndarray:
    """Return float32 (H, W), 0 to 1, smooth over about ``cell`` pixels."""
    rows, columns = (max(2, round(side / max(1.0, cell)) + 1) for side in shape)
    coarse = noise_source(rng).random((rows, columns), dtype=np.float32)
    return np.clip(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), 0, 1)


def _disc(size: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
