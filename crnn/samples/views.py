"""A word's picture to the images of its views: decoded once, each view resized from it."""

from __future__ import annotations

import math
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageOps

from crnn.batch import Problem, Sample, Span
from crnn.image import ImageError, opened_picture, resize, taken_picture, width_of
from crnn.samples.batches import Seen
from crnn.spec import ModelSpec
from crnn.views import CROPPED, INVERTED, PADDED, View, degrees

EDGE = 0.08
"""Of the height: what is cut off above and below, or put around."""
_BICUBIC: Any = 3
"""Image.BICUBIC, whose home in Pillow's name space moved between versions."""


class PictureViews:
    """Makes the images of a word (`crnn.samples.batches.ViewMaker`).

    Args:
        spec: What the model takes.
        views: Those to make, in this order; only such as the model has a width for.
        max_pixels: Larger images are problems; None for the limit (`crnn.limits`).
    """

    def __init__(
        self, spec: ModelSpec, views: Sequence[View] = (View(),), max_pixels: Optional[int] = None
    ) -> None:
        self._spec = spec
        self._views = views
        self._max_pixels = max_pixels

    def __call__(self, sample: Sample) -> Tuple[Sequence[Seen], Sequence[str]]:
        """Decode a sample and make its views."""
        if sample.image is None:
            return self.fault(sample.fault()), ()
        try:
            return self.of(sample.image)
        except ImageError as error:
            return self.fault(error.problem), ()

    def of(self, data: bytes) -> Tuple[Sequence[Seen], Sequence[str]]:
        """Decode an image and make its views.

        Args:
            data: The encoded image.

        Returns:
            The views, and what the picture depends on besides (`crnn.image.decode_remarked`).

        Raises:
            ImageError: It cannot be decoded.
        """
        with opened_picture(data, self._spec, max_pixels=self._max_pixels) as (picture, remarks):
            return self._made(picture), remarks

    def of_picture(self, image: Image.Image) -> Tuple[Sequence[Seen], Sequence[str]]:
        """Make the views of a picture that somebody else has opened or made.

        Args:
            image: The picture, which stays as it is.

        Returns:
            As of `of`.

        Raises:
            ImageError: It cannot be decoded.
        """
        picture, remarks = taken_picture(image, self._spec)
        return self._made(picture), remarks

    def fault(self, problem: Problem) -> Sequence[Seen]:
        """Return the one row of a word that has no picture."""
        if len(self._views) == 1:
            return [Seen(None, problem)]
        return [Seen(self._views[0].name, problem)]

    def _made(self, picture: Image.Image) -> List[Seen]:
        found: List[Seen] = []
        for view in self._views:
            pixels, span = self.made(picture, view)
            name: Optional[str] = view.name
            if len(self._views) == 1:
                name = None
            found.append(Seen(name, pixels, span))
        return found

    def made(self, picture: Image.Image, view: View) -> Tuple[np.ndarray, Span]:
        """Make one view.

        Args:
            picture: The word's, in its own size.
            view: How it is changed, and at which width it is read.

        Returns:
            Pixels, uint8 (C, H, W), and where they lie in the picture.
        """
        changed, span = picture, Span(0.0, float(picture.width), picture.width)
        for change in view.changes:
            changed, span = _changed(changed, span, change)
        return resize(changed, self._spec, self.width(picture, view)), span

    def width(self, picture: Image.Image, view: View) -> int:
        """Return the width that a view is read at.

        Args:
            picture: The word's, in its own size.
            view: Which of the widths it takes.

        Returns:
            Columns.
        """
        widths = self._spec.widths
        if view.near == 1 or widths is None:
            return width_of(picture, self._spec)
        return widths.nearest(picture.width, picture.height)[view.near - 1]


def _changed(picture: Image.Image, span: Span, change: str) -> Tuple[Image.Image, Span]:
    """Change a picture.

    Args:
        picture: The word's, or what an earlier change made of it.
        span: Where that lies in the word's picture.
        change: One of `View.changes`.

    Returns:
        The changed picture, and where it lies.
    """
    if change == INVERTED:
        return ImageOps.invert(picture), span
    edge = round(EDGE * picture.height)
    if change == CROPPED:
        return picture.crop((0, edge, picture.width, picture.height - edge)), span
    if change == PADDED:
        edge = max(1, edge)
        return _padded(picture, edge, edge), span._replace(
            left=span.left - edge, right=span.right + edge
        )
    return _turned(picture, degrees(change)), span


def _turned(picture: Image.Image, angle: int) -> Image.Image:
    """Turn a picture about its middle.

    Args:
        picture: Any picture.
        angle: Degrees against the clock.

    Returns:
        The turned picture in its own size; the edges of the old one go on outwards.
    """
    width, height = picture.size
    slope = math.sin(math.radians(abs(angle)))
    across = int(height * slope / 2) + 2
    down = int(width * slope / 2) + 2
    turned = _padded(picture, across, down).rotate(angle, _BICUBIC)
    return turned.crop((across, down, across + width, down + height))


def _padded(picture: Image.Image, across: int, down: int) -> Image.Image:
    """Return a picture with so many columns and rows put around it, each like its outermost."""
    # As np.pad with mode="edge", in a fifth of the time.
    rows = np.arange(-down, picture.height + down).clip(0, picture.height - 1)
    columns = np.arange(-across, picture.width + across).clip(0, picture.width - 1)
    return Image.fromarray(np.asarray(picture)[rows][:, columns])
