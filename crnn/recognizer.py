"""Words out of single images: `Recognizer`."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Counter,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
    Union,
    overload,
)

import numpy as np
from PIL.Image import Image as Picture

from crnn import ctc
from crnn.batch import NOT_FINITE
from crnn.decoding.decoder import Decoder, DecodingOptions
from crnn.errors import InputError, UsageError
from crnn.image import decode_remarked, resize, taken_picture
from crnn.results import Reading, ReadingList
from crnn.runners.open import by_width_rule, open_runner, spec_given
from crnn.samples.batches import Seen
from crnn.samples.given import WHAT, Given, Taken, is_one, taken
from crnn.samples.views import PictureViews
from crnn.spec import ModelSpec
from crnn.views import View, available, chosen, left_out_note

if TYPE_CHECKING:
    from crnn.jobs.reading import Opened
    from crnn.samples.buckets import Row

PICTURES = 50
"""The most readings of a list that keep the image they were read from."""


class Recognizer:
    """Reads words with a model, an .onnx, an .om or a .pth alike.

    >>> with Recognizer("crnn.onnx") as recognizer:  # doctest: +SKIP
    ...     recognizer.read("word.png").text
    'hello'

    ``device`` and ``threads`` are those of `crnn.runners.open.open_runner`; ``batch`` images are
    inferred at a time. ``spec`` is the spec to read the model by, or names it as ``--spec`` does,
    ``output_axes`` the order of its logits' axes where its spec does not, and ``output`` the one
    to take of several outputs. A model with several widths reads each image at the one that fits
    its aspect, unless ``width_rule`` is "off"; with ``nearest_width`` the nearest takes the place
    of one that a set of OMs lacks. ``views`` names the views of an image of which the most probable
    reading is kept (`crnn.views`; default: as the model's spec says). ``probability`` and
    ``characters`` ask for the fields of `Reading` of these names; readings less probable than
    ``reject`` are marked. What may be read can be restricted to the words of a ``lexicon`` (a file,
    or words), by a ``lexicon_method``, to texts of a ``pattern``, or to the characters that
    ``allow`` lists; ``alternatives`` asks for so many of the likeliest texts, of a ``beam`` that
    keeps so many (`crnn.decoding.decoder.DecodingOptions`). It holds the model until `close`, which
    leaving a ``with`` block calls.
    """

    def __init__(
        self,
        model: Union[str, Path],
        *,
        device: str = "",
        threads: Optional[int] = None,
        batch: int = 16,
        spec: Union[str, Path, ModelSpec, None] = None,
        output: Optional[str] = None,
        output_axes: Optional[str] = None,
        nearest_width: bool = False,
        width_rule: Optional[str] = None,
        views: Optional[str] = None,
        probability: bool = False,
        characters: bool = False,
        reject: Optional[float] = None,
        lexicon: Union[str, Path, Sequence[str], None] = None,
        lexicon_method: str = "auto",
        allow: Optional[str] = None,
        pattern: Optional[str] = None,
        beam: int = 10,
        alternatives: int = 0,
    ) -> None:
        if batch < 1:
            raise UsageError(f"batch is {batch}; expected a whole number from 1")
        _require_texts(views=views, allow=allow, pattern=pattern)
        self._batch = batch
        self._closed = False
        self._views: Optional[PictureViews] = None
        self.remarks: Counter[str] = collections.Counter()
        """How many images were transparent or turned (`crnn.image.remark_lines`)."""
        self._runner = open_runner(Path(model), device=device, threads=threads)
        if output:
            self._runner.take(output)
        if spec is not None or output_axes:
            self._read_by(spec, output_axes)
        if width_rule is not None:
            self._runner.read_by(by_width_rule(self._runner.spec, width_rule, Path(model)))
        if nearest_width:
            self._runner.take_nearest()
        self.spec = self._runner.spec
        self._threshold = _checked(reject)
        self._views_text = views
        self._asked = asked = chosen(views, self.spec.views)
        widths = len(self.spec.read_widths)
        several = self._see(available(asked, widths), characters=characters)
        self._options = DecodingOptions(
            lexicon=_lexicon(lexicon),
            method=lexicon_method,
            beam=beam,
            allow=allow,
            pattern=pattern,
            alternatives=alternatives,
            probability=probability or several or reject is not None,
            characters=characters,
        )
        self._decoder = Decoder(self.spec, self._options)
        self._runner.__enter__()
        self.notes = [*self._runner.notes, *self._decoder.notes(), *left_out_note(asked, widths)]
        self.simulated = self._runner.simulated

    def _see(self, views: Sequence[View], *, characters: bool) -> bool:
        """Choose what is made of each picture, and say whether it is several."""
        several = len(views) > 1
        if several or characters:
            self._views = PictureViews(self.spec, views)
        return several

    @property
    def opened(self) -> Opened:
        """The model with all that is asked of it, for `crnn.jobs.reading`."""
        from crnn.jobs.reading import Opened

        return Opened(
            runner=self._runner,
            options=self._options,
            decoder=self._decoder,
            batch=self._batch,
            views=self._views,
            asked=self._views_text,
            threshold=self._threshold,
            remarks=self.remarks,
        )

    @property
    def views_left_out(self) -> List[str]:
        """The views that were asked for of each image, and for which the model has no width."""
        widths = len(self.spec.read_widths)
        return [view.name for view in self._asked if view.near > widths]

    def _read_by(self, spec: Union[str, Path, ModelSpec, None], output_axes: Optional[str]) -> None:
        own: ModelSpec = self._runner.spec
        text = None
        if isinstance(spec, ModelSpec):
            own = spec
        elif spec is not None:
            text = str(spec)
        self._runner.read_by(spec_given(own, text, output_axes, self._runner.steps))

    def __enter__(self) -> Recognizer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the model; harmless when called twice."""
        self._closed = True
        self._runner.__exit__(None, None, None)

    # A str is an iterable of str, but a path all the same.
    @overload
    def read(self, images: Given, *, channels: str = "rgb") -> Reading: ...  # type: ignore[overload-overlap]

    @overload
    def read(self, images: Iterable[Given], *, channels: str = "rgb") -> List[Reading]: ...

    def read(
        self, images: Union[Given, Iterable[Given]], *, channels: str = "rgb"
    ) -> Union[Reading, List[Reading]]:
        """Read an image, or each of several.

        Args:
            images: A path, the bytes of an image file, a file opened for bytes, an array of uint8
                (H, W) or (H, W, 3), or a PIL image; or several of them.
            channels: The order of an array's channels: "rgb", or OpenCV's "bgr".

        Returns:
            The reading, or a list of them, with its confidence (`crnn.ctc.confidences`). A notebook
            shows them beside their pictures, of a list the first `PICTURES`.

        Raises:
            InputError: An image cannot be read; the first one is named.
            TypeError: An image is none of these.
        """
        first: List[Any] = []
        if is_one(images):
            several = _noted(_taken([images], channels, None), first)
            return dataclasses.replace(next(self._each(several, None)), image=first[0])
        if not isinstance(images, Iterable):
            raise TypeError(f"{WHAT}, or several of them, not {type(images).__name__}")
        # Nothing that fails is left out here, so the first readings are those of the first images.
        readings = ReadingList(self._each(_noted(_taken(images, channels, None), first), None))
        for place, image in enumerate(first):
            readings[place] = dataclasses.replace(readings[place], image=image)
        return readings

    def read_each(
        self,
        images: Iterable[Given],
        *,
        channels: str = "rgb",
        on_error: Optional[Callable[[InputError], None]] = None,
    ) -> Iterator[Reading]:
        """Read images as batches are done, for a list that is long or has no end: no more of them
        are taken than the next batch needs. A model of several widths may take eight batches of
        images before it gives the first reading.

        Args:
            images: As of `read`.
            channels: As of `read`.
            on_error: Gets the error of an image that cannot be read, which is then left out.

        Yields:
            The reading of each image; its key is the path, or the name of the file.

        Raises:
            InputError: An image cannot be read, and there is no ``on_error``.
            TypeError: An image is none of what is taken.
        """
        return self._each(_taken(images, channels, on_error), on_error)

    def _each(
        self, found: Iterable[Taken], on_error: Optional[Callable[[InputError], None]]
    ) -> Iterator[Reading]:
        if self._closed:
            raise UsageError(
                "this Recognizer is closed, so it holds no model any more; open another"
            )
        if self.spec.widths is not None or self._views is not None:
            yield from self._read_by_width(found, on_error)
            return
        group: List[Tuple[str, np.ndarray]] = []
        for image in found:
            with _told_of(image, on_error):
                group.append((image.key, self._decoded(image.image)))
            if len(group) == self._batch:
                yield from self._infer(group, on_error)
                group = []
        if group:
            yield from self._infer(group, on_error)

    def _read_by_width(
        self, images: Iterable[Taken], on_error: Optional[Callable[[InputError], None]]
    ) -> Iterator[Reading]:
        """Read images in batches of one width each; the readings are in the images' order."""
        from crnn.samples.buckets import bucketed
        from crnn.scoring.scorer import Scorer

        scorer = Scorer(
            self.spec, confidences=True, decoder=self._decoder, threshold=self._threshold
        )
        rows = self._rows(images, on_error)
        for batch in bucketed(rows, self.spec, self._batch, dtype="uint8"):
            for row in scorer.rows(batch, self._runner.run(batch.images)):
                if row.problem is None:
                    yield row.reading
                else:
                    _told(row.reading.key, on_error)

    def _rows(
        self, images: Iterable[Taken], on_error: Optional[Callable[[InputError], None]]
    ) -> Iterator[Row]:
        from crnn.samples.buckets import Row

        position = 0
        for image in images:
            seen: Sequence[Seen] = ()
            with _told_of(image, on_error):
                seen = self._seen(image.image)
            for number, one in enumerate(seen, 1):
                last = number == len(seen)
                yield Row(position, image.key, None, one.image, (), one.name, last, one.span)
            position += int(bool(seen))

    def _decoded(self, image: Union[bytes, Picture]) -> np.ndarray:
        if isinstance(image, bytes):
            pixels, remarks = decode_remarked(image, self.spec)
        else:
            picture, remarks = taken_picture(image, self.spec)
            pixels = resize(picture, self.spec)
        self.remarks.update(remarks)
        return pixels

    def _seen(self, image: Union[bytes, Picture]) -> Sequence[Seen]:
        if self._views is None:
            return [Seen(None, self._decoded(image))]
        if isinstance(image, bytes):
            seen, remarks = self._views.of(image)
        else:
            seen, remarks = self._views.of_picture(image)
        self.remarks.update(remarks)
        return seen

    def _infer(
        self,
        group: Sequence[Tuple[str, np.ndarray]],
        on_error: Optional[Callable[[InputError], None]],
    ) -> Iterator[Reading]:
        logits = self._runner.run(np.stack([pixels for _, pixels in group]))
        finite = np.isfinite(logits).all(axis=(0, 2))
        for (key, _), good in zip(group, finite):
            if not good:
                _told(key, on_error)
        logits = logits[:, finite]
        keys = [key for (key, _), good in zip(group, finite) if good]
        decoded = self._decoder.decode(logits, keys)
        for column, confidence in enumerate(ctc.confidences(logits).tolist()):
            reading = decoded.reading(column, keys[column], confidence, None)
            if self._threshold is not None:
                reading = _judged(reading, self._threshold)
            yield reading


def _noted(images: Iterable[Taken], first: List[Any]) -> Iterator[Taken]:
    """Yield images, and keep those that a notebook may show: all would be too much of a long list
    of bytes.
    """
    for image in images:
        if len(first) < PICTURES:
            first.append(image.shown)
        yield image


def _told(key: str, on_error: Optional[Callable[[InputError], None]]) -> None:
    """Say that an image's output is not finite."""
    error = InputError(f"{key or 'the image'}: {NOT_FINITE.detail}")
    if on_error is None:
        raise error
    on_error(error)


def _taken(
    images: Iterable[object], channels: str, on_error: Optional[Callable[[InputError], None]]
) -> Iterator[Taken]:
    """Take images one by one."""
    if channels not in ("rgb", "bgr"):
        raise UsageError(f"channels is {channels!r}; expected 'rgb' or 'bgr'")
    for image in images:
        try:
            found = taken(image, bgr=channels == "bgr")
        except InputError as error:
            if on_error is None:
                raise
            on_error(error)
        else:
            yield found


@contextlib.contextmanager
def _told_of(image: Taken, on_error: Optional[Callable[[InputError], None]]) -> Iterator[None]:
    """Say which image it is that cannot be decoded."""
    try:
        yield
    except InputError as error:
        if image.key:
            error = InputError(f"{image.key}: {error.message}", hint=error.hint)
        if on_error is None:
            raise error from None
        on_error(error)


def _judged(reading: Reading, threshold: float) -> Reading:
    # What counts words is needed for nothing else, and takes its time to import.
    from crnn.scoring.rows import judged

    return judged(reading, threshold)


_EXAMPLES = {"views": "near2,rot+3", "allow": "0-9A-Z", "pattern": "[a-z]{2}[0-9]{4}"}


def _require_texts(**options: object) -> None:
    """Refuse what is not the text that an option takes."""
    for name, value in options.items():
        if value is not None and not isinstance(value, str):
            kind = type(value).__name__
            raise TypeError(f"{name} is a str, such as {_EXAMPLES[name]!r}, not {kind}")


def _lexicon(given: object) -> Union[str, Path, Sequence[str], None]:
    """Return a lexicon: a file, or words."""
    if given is None or isinstance(given, (str, Path)):
        return given
    what = "a lexicon is a file's path (str or Path) or a list of words (str)"
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise TypeError(f"{what}, not {type(given).__name__}")
    words = list(given)
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"{what}; one of the words is of type {type(word).__name__}")
    return words


def _checked(threshold: Optional[float]) -> Optional[float]:
    """Return a threshold that is one.

    What a run found may be above 1, where all words were to be rejected.
    """
    if threshold is not None and not 0 <= threshold <= 2:
        raise UsageError(f"reject is {threshold}; expected a probability from 0 to 1")
    return threshold
