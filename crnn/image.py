"""Encoded image bytes to pixels, as a ModelSpec asks.

The default spec gives Pillow's ``convert('L')`` and bicubic resize to 100x32, across first, then
down: bit for bit what the historical environment's Pillow gave, whichever is installed. EXIF
orientation is not applied and transparency is dropped, as in training, unless the spec says so.
Thread-safe.
"""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from pathlib import Path
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

# Importing a plug-in registers its format in Image.OPEN.
from PIL import (
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageOps,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from crnn.batch import IMAGE_TOO_LARGE, Problem
from crnn.errors import InputError, needs
from crnn.files import read_bounded
from crnn.image_decoders import plain as plain_image
from crnn.limits import LIMITS, limit
from crnn.python37 import Protocol
from crnn.spec import ModelSpec

TRANSPARENT = "image with transparent pixels"
TURNED = "image with an EXIF orientation"
LONGER = "image longer than the widest width"
"""What a picture depends on besides its pixels; counted, and said once a run."""
REMARKS = (TRANSPARENT, TURNED, LONGER)
MAX_PIXELS = LIMITS["pixels"].value
"""The most pixels that a first pass of resizing makes."""
_FEW = 1 << 20
"""Images of fewer pixels are decoded without asking how many others are."""

# Plain pictures only: Pillow would hand PostScript to an interpreter, for one.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000")
_SIZE_CHECKED_BY_PILLOW = ("GIF", "TIFF", "WEBP")
_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
# Image.BILINEAR and Image.BICUBIC, whose home in Pillow's name space moved between versions.
_PILLOW_FILTERS = {"pil-bilinear": 2, "pil-bicubic": 3}
# Modes that may have one colour, or some of a palette, stand for nothing.
_KEYED = ("1", "L", "RGB", "P")
_ORIENTATION = 0x0112
_raw_encoder: Any = Image.core.raw_encoder  # type: ignore[attr-defined]
_WARNINGS = threading.Lock()
_FREED = threading.Condition()
_taken = 0
"""Pixels of large images that are being decoded, over all threads."""
# Pillow takes an image's pixels in blocks of up to 16 MiB. After one such block was freed, the C
# library keeps as much for the future, in each thread that decodes: small blocks are what keeps
# memory flat (Pillow's docs, block allocator).
Image.core.set_block_size(128 << 10)  # type: ignore[attr-defined]


class Sized(Protocol):
    """What has a size, such as a picture."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def height(self) -> int:
        """Rows."""


class ImageError(InputError):
    """An image that cannot be used; ``problem.reason`` is one of those below, ``problem.detail``
    about this image.
    """

    EMPTY = "empty image"
    UNKNOWN = "not an image"
    BROKEN = "broken image"
    HUGE = IMAGE_TOO_LARGE

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.problem = Problem(reason, detail)


class Bounds(NamedTuple):
    """The most pixels that are decoded of one image, and of one side."""

    pixels: int
    side: int

    @classmethod
    def now(cls, pixels: Optional[int] = None) -> Bounds:
        """Return the bounds as the limits are (`crnn.limits`).

        Args:
            pixels: The most pixels; None for the limit.

        Returns:
            The bounds.
        """
        return cls(pixels or limit("pixels"), limit("side"))

    def hold(self, width: int, height: int) -> bool:
        """Say whether an image of a size is within the bounds.

        Args:
            width: In pixels.
            height: In pixels.

        Returns:
            True where it is.
        """
        return width * height <= self.pixels and max(width, height) <= self.side


def decode(data: bytes, spec: ModelSpec, *, max_pixels: Optional[int] = None) -> np.ndarray:
    """Decode an image to the spec's size.

    Takes every mode that Pillow converts: gray, colour, palette, CMYK, with or without alpha, 1
    bit; of 16-bit gray the nearest 8-bit value of v * 255 / 65535; of an animation the first frame.

    Args:
        data: The encoded image.
        spec: Colour, size and resizer.
        max_pixels: The most pixels that are decoded; None for the limit (`crnn.limits`).

    Returns:
        Pixels, uint8 (C, H, W); ``spec.table[pixels]`` is the float32 input.

    Raises:
        ImageError: It cannot be decoded, or has more pixels.
    """
    pixels, _ = decode_remarked(data, spec, max_pixels=max_pixels)
    return pixels


def decode_remarked(
    data: bytes, spec: ModelSpec, *, max_pixels: Optional[int] = None
) -> Tuple[np.ndarray, Sequence[str]]:
    """Decode an image to the spec's size, and say what its picture depends on besides.

    Args:
        data: The encoded image.
        spec: Colour, size, resizer, orientation and background.
        max_pixels: The most pixels that are decoded; None for the limit (`crnn.limits`).

    Returns:
        Pixels, uint8 (C, H, W), and those of `TRANSPARENT`, `TURNED` and `LONGER` that hold for the
        image. W is the width that the spec's rule chooses, where it has one.

    Raises:
        ImageError: It cannot be decoded, or has more pixels.
    """
    with opened_picture(data, spec, max_pixels=max_pixels) as (image, remarks):
        return resize(image, spec), remarks


@contextlib.contextmanager
def opened_picture(
    data: bytes, spec: ModelSpec, *, max_pixels: Optional[int] = None
) -> Iterator[Tuple[Image.Image, Sequence[str]]]:
    """Decode an image in its own size, to make several things of it; large ones are not open in all
    threads at once.

    Args:
        data: The encoded image.
        spec: Colour, orientation, background and widths.
        max_pixels: The most pixels that are decoded; None for the limit (`crnn.limits`).

    Yields:
        The picture, and those of `TRANSPARENT`, `TURNED` and `LONGER` that hold for the image.

    Raises:
        ImageError: It cannot be decoded, or has more pixels.
    """
    with _opened(data, Bounds.now(max_pixels)) as opened:
        yield _remarked(opened, spec)


def taken_picture(image: Image.Image, spec: ModelSpec) -> Tuple[Image.Image, Sequence[str]]:
    """Take a picture that somebody else has opened or made.

    Args:
        image: The picture, which stays as it is.
        spec: Colour, orientation, background and widths.

    Returns:
        The picture in its own size, and those of `TRANSPARENT`, `TURNED` and `LONGER` that hold for
        the image.

    Raises:
        ImageError: It cannot be decoded, or has more pixels than the limit (`crnn.limits`).
    """
    _require_bounds(image, Bounds.now())
    try:
        # Only now are the pixels of a file read.
        own = image.copy()
    except Exception as error:  # as in `picture`
        raise ImageError(ImageError.BROKEN, _first_line(error)) from error
    return _remarked(own, spec)


def _remarked(opened: Image.Image, spec: ModelSpec) -> Tuple[Image.Image, Sequence[str]]:
    image, remarks = _by_spec(opened, spec)
    if is_longer(image, spec):
        remarks = [*remarks, LONGER]
    return image, remarks


def is_longer(image: Sized, spec: ModelSpec) -> bool:
    """Say whether a picture is longer than the widest width that a model reads at.

    Args:
        image: The picture in its own size, turned where the spec asks for that.
        spec: Has the rule that chooses a width; without one no picture is longer.

    Returns:
        True where the widest one presses it together.
    """
    widths = spec.widths
    if widths is None:
        return False
    return widths.ideal(image.width, image.height) > widths.list[-1]


def decode_into(
    data: bytes, spec: ModelSpec, out: np.ndarray, bounds: Bounds
) -> Tuple[int, Sequence[str]]:
    """Decode an image to the spec's size, into memory at hand.

    Args:
        data: The encoded image.
        spec: Colour, size, resizer, orientation and background.
        out: Gets the pixels C, H, W, one after the other: uint8 (at least C * H * W,), contiguous.
        bounds: The most that is decoded.

    Returns:
        W, and what `decode_remarked` returns beside the pixels.

    Raises:
        ImageError: It cannot be decoded, or has more pixels; ``out`` is as it was.
    """
    if spec.color == "gray" and spec.resizer in _PILLOW_FILTERS:
        quick = _quick_word(data, bounds)
        if quick is not None:
            return _put_quick(quick, spec, out)
    with _opened(data, bounds) as opened:
        image, remarks = _remarked(opened, spec)
        pixels = resize(image, spec)
        out[: pixels.size] = pixels.ravel()
        return pixels.shape[2], remarks


class _QuickWord(NamedTuple):
    """An opaque picture: its own size, and the image of Pillow's C part."""

    width: int
    height: int
    core: Any


def _quick_word(data: bytes, bounds: Bounds) -> Optional[_QuickWord]:
    """Return what is most of all images: an opaque picture of a word's size, from a decoder faster
    than Pillow's; None for all others.
    """
    plain = plain_image(data)
    if plain is None or not plain.opaque or plain.width * plain.height >= _FEW:
        return None
    if not bounds.hold(plain.width, plain.height):
        return None
    core = plain.core()
    if core is None:
        return None
    return _QuickWord(plain.width, plain.height, core)


def _put_quick(picture: _QuickWord, spec: ModelSpec, out: np.ndarray) -> Tuple[int, Sequence[str]]:
    """Do for a `_quick_word` and gray pixels what `decode_into` does for all images.

    By the functions that `Image.convert`, `Image.resize` and `Image.tobytes` call, without their
    preparations for other modes, which are a fifth of the time that a word takes.
    """
    width = width_of(picture, spec)
    core = picture.core
    if core.mode != "L":
        core = core.convert("L", 0)
    how = _PILLOW_FILTERS[spec.resizer]
    for size in _passes(core.size, (width, spec.height)):
        core = core.resize(size, how, (0, 0, *core.size))
    length = width * spec.height
    encoder = _raw_encoder("L", "L")
    encoder.setimage(core, (0, 0, width, spec.height))
    _, _, content = encoder.encode(length)
    memoryview(out.data)[:length] = content
    if is_longer(picture, spec):
        return width, (LONGER,)
    return width, ()


def spec_picture(
    data: bytes, spec: ModelSpec, *, max_pixels: Optional[int] = None
) -> Tuple[Image.Image, Sequence[str]]:
    """Decode an image in its own size as a spec says, and what its picture depends on besides.

    Args:
        data: The encoded image.
        spec: Colour, orientation and background.
        max_pixels: The most pixels that are decoded; None for the limit (`crnn.limits`).

    Returns:
        The image, and those of `TRANSPARENT` and `TURNED` that hold for it.

    Raises:
        ImageError: It cannot be decoded, or has more pixels.
    """
    with _opened(data, Bounds.now(max_pixels)) as opened:
        return _by_spec(opened, spec)


def _by_spec(image: Image.Image, spec: ModelSpec) -> Tuple[Image.Image, Sequence[str]]:
    mode = "RGB"
    if spec.color == "gray":
        mode = "L"
    try:
        image.load()
        remarks: List[str] = []
        if _is_transparent(image):
            remarks.append(TRANSPARENT)
            if spec.background:
                image = _on(image, spec.background)
        if _is_turned(image):
            remarks.append(TURNED)
            if spec.orient:
                # It gives a copy; None is what it gives only where it changes the image itself.
                image = ImageOps.exif_transpose(image) or image
        return _converted(image, mode), remarks
    except ImageError:
        raise
    except Exception as error:  # as in `picture`
        raise ImageError(ImageError.BROKEN, _first_line(error)) from error


def resize(image: Image.Image, spec: ModelSpec, width: Optional[int] = None) -> np.ndarray:
    """Resize an image to the spec's size.

    Args:
        image: What `picture` gave in the spec's mode.
        spec: Size and resizer.
        width: The columns to resize to; None for what the spec's rule chooses for the picture, or
            its fixed width where it has no rule.

    Returns:
        Pixels, uint8 (C, H, W).
    """
    if width is None:
        width = width_of(image, spec)
    pixels = _resized(image, (width, spec.height), spec.resizer).reshape(
        spec.height, width, spec.channels
    )
    if spec.color == "bgr":
        pixels = pixels[:, :, ::-1]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def width_of(image: Sized, spec: ModelSpec) -> int:
    """Return the width that a picture is read at.

    Args:
        image: The picture in its own size, turned where the spec asks for that.
        spec: Has the rule, or the one width.

    Returns:
        Columns.
    """
    if spec.widths is None:
        return spec.width
    return spec.widths.choose(image.width, image.height)


def picture(data: bytes, mode: str, *, max_pixels: Optional[int] = None) -> Image.Image:
    """Decode an image in its own size.

    Args:
        data: The encoded image.
        mode: Pillow's mode, ``L`` or ``RGB``.
        max_pixels: The most pixels that are decoded; None for the limit (`crnn.limits`).

    Returns:
        The image in its own size.

    Raises:
        ImageError: It cannot be decoded, or has more pixels.
    """
    with _opened(data, Bounds.now(max_pixels)) as opened:
        return _decoded(opened, mode)


@contextlib.contextmanager
def _opened(data: bytes, bounds: Bounds) -> Iterator[Image.Image]:
    """Give an image, decoded where a decoder is faster than Pillow's, else its header alone; large
    ones wait for those of other threads.
    """
    plain = plain_image(data)
    if plain is not None and bounds.hold(plain.width, plain.height):
        if plain.width * plain.height < _FEW:
            quick = plain.decode()
            if quick is not None:
                yield quick
                return
        else:
            with _room(plain.width * plain.height):
                quick = plain.decode()
                if quick is not None:
                    yield quick
                    return
    image = _sized(data, bounds)
    with _room(image.width * image.height):
        yield image


def _sized(data: bytes, bounds: Bounds) -> Image.Image:
    """Read the header, and refuse what is too large before it is decoded."""
    image = _open(data)
    _require_bounds(image, bounds)
    return image


def _require_bounds(image: Image.Image, bounds: Bounds) -> None:
    width, height = image.size
    most, side = bounds
    if not width * height:
        raise ImageError(ImageError.EMPTY, f"{width}x{height}")
    if width * height > most:
        raise ImageError(
            ImageError.HUGE,
            f"{width}x{height} is {width * height / 1e6:.1f} Mpixel; the limit is {most / 1e6:g}",
        )
    if max(width, height) > side:
        # Pillow keeps a pointer for each row, and codecs more than that.
        raise ImageError(ImageError.HUGE, f"{width}x{height}: the limit of a side is {side}")


@contextlib.contextmanager
def _room(pixels: int) -> Iterator[None]:
    """Wait until so many pixels may be decoded beside those of the other threads."""
    global _taken
    if pixels < _FEW:
        yield
        return
    most = max(pixels, limit("pixels_at_once"))
    with _FREED:
        _FREED.wait_for(lambda: _taken + pixels <= most)
        _taken += pixels
    try:
        yield
    finally:
        with _FREED:
            _taken -= pixels
            _FREED.notify_all()


def _decoded(image: Image.Image, mode: str) -> Image.Image:
    try:
        image.load()
        return _converted(image, mode)
    except ImageError:
        raise
    except (
        Exception
    ) as error:  # decoders raise anything on broken bytes, which must cost one image only
        raise ImageError(ImageError.BROKEN, _first_line(error)) from error


def remark_lines(counts: Mapping[str, int], spec: ModelSpec) -> Iterator[str]:
    """Say how many images a run has taken otherwise than a person sees them, or may have.

    Args:
        counts: How many there were of `TRANSPARENT`, of `TURNED` and of `LONGER`.
        spec: What they were decoded by.

    Yields:
        A line for each.
    """
    for remark in REMARKS:
        if counts.get(remark):
            yield f"{remark}: {counts[remark]}, {taken_by(remark, spec)}"


def taken_by(remark: str, spec: ModelSpec) -> str:
    """Say how images are decoded of which a remark holds.

    Args:
        remark: One of `REMARKS`.
        spec: What they are decoded by.

    Returns:
        A few words.
    """
    if remark == TRANSPARENT:
        if spec.background:
            return f"put on {spec.background}"
        return "taken by the colour under it, as in training (--background at export or prepare)"
    if remark == LONGER and spec.widths is not None:
        return f"pressed into {spec.widths.list[-1]} columns; long lines are not cut into pieces"
    if spec.orient:
        return "turned as it says"
    return "taken as stored, as in training (--orient at export or prepare)"


def read_size(path: Path) -> Tuple[int, int]:
    """Read an image file's size from its header.

    Args:
        path: The image file.

    Returns:
        Width and height in pixels.

    Raises:
        InputError: It cannot be read; the message names the file.
    """
    try:
        return size_of(read_bounded(path, "image_bytes"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ImageError as error:
        raise InputError(f"{path}: {error.message}") from error


def size_of(data: bytes) -> Tuple[int, int]:
    """Read an image's size from its header.

    Args:
        data: The encoded image.

    Returns:
        Width and height in pixels.

    Raises:
        ImageError: It cannot be read.
    """
    size: Tuple[int, int] = _open(data).size
    return size


def _open(data: bytes) -> Image.Image:
    """Read the header.

    Image.open would warn of large images, and warnings cannot be kept back per thread.
    """
    if not data:
        raise ImageError(ImageError.EMPTY, "0 bytes")
    why = f"begins with {data[:8]!r}; expected one of {', '.join(FORMATS)}"
    for name in FORMATS:
        if name not in Image.OPEN:
            continue
        factory, accept = Image.OPEN[name]
        accepted: Any = True
        if accept:
            accepted = accept(data[:16])
        if isinstance(accepted, str):
            why = accepted
        elif accepted:
            try:
                if name not in _SIZE_CHECKED_BY_PILLOW:
                    return factory(io.BytesIO(data), "")
                with _WARNINGS, warnings.catch_warnings():
                    warnings.simplefilter("error", Image.DecompressionBombWarning)
                    return factory(io.BytesIO(data), "")
            except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
                raise ImageError(ImageError.HUGE, _first_line(error)) from error
            except Exception as error:  # as above
                raise ImageError(ImageError.BROKEN, f"{name}: {_first_line(error)}") from error
    raise ImageError(ImageError.UNKNOWN, why)


def _is_transparent(image: Image.Image) -> bool:
    """Say whether any pixel of a loaded image lets something through."""
    alpha = _alpha(image)
    if alpha is None:
        return False
    least: Any = alpha.getextrema()[0]
    return bool(least < 255)


def _alpha(image: Image.Image) -> Optional[Image.Image]:
    if image.mode in ("RGBA", "LA"):
        return image.getchannel("A")
    if image.mode == "PA" or ("transparency" in image.info and image.mode in _KEYED):
        return image.convert("RGBA").getchannel("A")
    return None


def _on(image: Image.Image, background: str) -> Image.Image:
    """Put a transparent image on a ground of one colour."""
    ground = Image.new("RGBA", image.size, background)
    flat = Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    flat.info = {key: image.info[key] for key in ("exif",) if key in image.info}
    return flat


def _is_turned(image: Image.Image) -> bool:
    """Say whether an image's EXIF tag asks for another orientation than that of its pixels."""
    if "exif" not in image.info and image.format != "TIFF":
        return False
    try:
        # A damaged tag says nothing, and the image is whole.
        return image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:  # noqa: BLE001  as in `picture`
        return False


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        image = _eight_bit(image)
    elif image.mode == "F":
        raise ImageError(
            ImageError.BROKEN,
            "floating-point pixels, whose range is unknown; expected 8 or 16 bits",
        )
    # It has no bearing on the pixels, but Pillow warns of some forms of it.
    image.info.pop("transparency", None)
    if image.mode == "P":
        # Pillow 8.0 rounds a palette's gray otherwise than that of the colours it stands for.
        image = image.convert("RGB")
    return image.convert(mode)


def _eight_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            ImageError.BROKEN,
            f"32-bit pixels from {values.min()} to {values.max()}; expected 8 or 16 bits",
        )
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _resized(image: Image.Image, size: Tuple[int, int], resizer: str) -> np.ndarray:
    if resizer in _PILLOW_FILTERS:
        return np.asarray(_across_then_down(image, size, _PILLOW_FILTERS[resizer]))
    with needs("opencv-python or opencv-python-headless", extra="opencv"):
        import cv2
    if resizer == "cv2-linear":
        how = cv2.INTER_LINEAR
    else:
        how = cv2.INTER_CUBIC
    pixels = np.asarray(image)
    if resizer == "cv2-cubic-two-step":
        # First to the height, keeping the aspect, then to the width.
        kept = min(max(1, round(image.width * size[1] / image.height)), MAX_PIXELS // size[1])
        pixels = cv2.resize(pixels, (kept, size[1]), interpolation=how)
    resized: np.ndarray = cv2.resize(pixels, size, interpolation=how)
    return resized


def _across_then_down(image: Image.Image, size: Tuple[int, int], how: int) -> Image.Image:
    """Return the image resized to (width, height): first across, then down.

    Each pass rounds to 8 bits, so that their order shows. A single call of Pillow goes across
    first up to 12.2, and from 13 on down first for some sizes; a call that changes one side alone
    makes one pass with every Pillow, and these two are the single call of the older ones, bit for
    bit.
    """
    for step in _passes(image.size, size):
        image = image.resize(step, how)
    return image


def _passes(size: Tuple[int, int], wanted: Tuple[int, int]) -> List[Tuple[int, int]]:
    """Return the sizes that a picture goes through, each pass along one side alone."""
    width, height = wanted
    between = (width, size[1])
    if width * size[1] > MAX_PIXELS:
        # A picture too tall to be a word's, whose first pass would need gigabytes.
        between = (size[0], height)
    steps = []
    if between != size:
        steps.append(between)
    if wanted != between:
        steps.append(wanted)
    return steps


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    if lines:
        return lines[0]
    return type(error).__name__
