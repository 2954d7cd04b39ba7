"""Encoded images to pixels:

every kind of image against Pillow's own computation, and every kind of bad one refused.
"""

from __future__ import annotations

import hashlib
import io
import resource
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Callable

import numpy as np
import PIL
import pytest
from PIL import Image

from crnn.errors import InputError
from crnn.image import ImageError, decode, read_size, resize
from crnn.spec import ModelSpec

SPEC = ModelSpec.default()
COLORS = np.random.default_rng(0).integers(0, 256, (41, 130, 4), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def historical(data: bytes, mode: str = "L", how: int = Image.BICUBIC) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    if image.mode == "P":
        # Pillow 8.0 rounds a palette's gray otherwise than later ones, which go through colours.
        image = image.convert("RGB")
    image = image.convert(mode)
    pixels = np.asarray(image.resize((100, image.height), how).resize((100, 32), how))
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)


def picture(mode: str) -> Image.Image:
    return Image.fromarray(COLORS[..., :3]).convert(mode)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is this large, and has no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = struct.pack(">I", 100) + b"IDAT"
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + body
        + struct.pack(">I", zlib.crc32(body))
        + pixels
    )


def with_transparent_colours() -> bytes:
    # Pillow warns when it converts this one, and warnings are errors here.
    return encoded(picture("P"), transparency=bytes(range(256)))


EIGHT_BIT = {
    "gray PNG": encoded(picture("L")),
    "colour PNG": encoded(picture("RGB")),
    "JPEG": encoded(picture("RGB"), "JPEG"),
    "gray JPEG": encoded(picture("L"), "JPEG"),
    "CMYK JPEG": encoded(picture("CMYK"), "JPEG"),
    "CMYK TIFF": encoded(picture("CMYK"), "TIFF"),
    "palette": encoded(picture("P")),
    "palette with one transparent colour": encoded(picture("P"), transparency=3),
    "palette with transparent colours": with_transparent_colours(),
    "RGBA, its colours under full transparency too": encoded(Image.fromarray(COLORS)),
    "gray with alpha": encoded(Image.fromarray(COLORS).convert("LA")),
    "1 bit": encoded(picture("1")),
    "1 bit TIFF, fax": encoded(picture("1"), "TIFF", compression="group4"),
    "BMP": encoded(picture("RGB"), "BMP"),
    "GIF": encoded(picture("P"), "GIF"),
    "WebP": encoded(picture("RGB"), "WEBP"),
    "PPM": encoded(picture("RGB"), "PPM"),
    "JPEG 2000": encoded(picture("RGB"), "JPEG2000"),
    "animated GIF": encoded(
        picture("P"), "GIF", save_all=True, append_images=[Image.new("P", (130, 41), 7)]
    ),
    "animated PNG": encoded(
        picture("RGB"), save_all=True, append_images=[Image.new("RGB", (130, 41), "red")]
    ),
    "one pixel": encoded(Image.new("RGB", (1, 1), (200, 100, 50))),
    "one pixel high": encoded(picture("L").crop((0, 0, 130, 1))),
    "right size": encoded(picture("L").resize((100, 32))),
    "turned by EXIF, which training ignored": encoded(
        picture("RGB"),
        "JPEG",
        exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
    ),
}
if int(PIL.__version__.partition(".")[0]) > 10:  # 10 cannot read what it has written
    EIGHT_BIT["YCbCr TIFF"] = encoded(picture("YCbCr"), "TIFF")


@pytest.mark.parametrize("kind", EIGHT_BIT)
def test_eight_bit_images_are_pillows_bits(kind: str) -> None:
    data = EIGHT_BIT[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own way warns of transparent palettes
        expected = historical(data)
    pixels = decode(data, SPEC)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, expected)


def test_transparency_does_not_matter() -> None:
    assert COLORS[..., 3].min() == 0
    np.testing.assert_array_equal(
        decode(encoded(Image.fromarray(COLORS)), SPEC),
        decode(encoded(Image.fromarray(COLORS[..., :3])), SPEC),
    )


def test_the_float_input_is_the_trainings_bit_for_bit() -> None:
    pixels = decode(EIGHT_BIT["colour PNG"], SPEC)
    # As ToTensor and sub_(0.5).div_(0.5) compute it.
    training = (pixels.astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    np.testing.assert_array_equal(SPEC.table[pixels].view(np.uint32), training.view(np.uint32))


@pytest.mark.parametrize(
    ("resizer", "how"), [("pil-bicubic", Image.BICUBIC), ("pil-bilinear", Image.BILINEAR)], ids=str
)
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_colour(color: str, resizer: str, how: int) -> None:
    data = EIGHT_BIT["JPEG"]
    pixels = decode(data, replace(SPEC, color=color, resizer=resizer))
    expected = historical(data, "RGB", how)
    np.testing.assert_array_equal(pixels, expected if color == "rgb" else expected[::-1])


@pytest.mark.parametrize("resizer", ["cv2-linear", "cv2-cubic"])
@pytest.mark.parametrize("color", ["gray", "bgr"])
def test_opencvs_resizers(resizer: str, color: str) -> None:
    cv2 = pytest.importorskip("cv2")
    how = {"cv2-linear": cv2.INTER_LINEAR, "cv2-cubic": cv2.INTER_CUBIC}[resizer]
    source = np.asarray(picture("L" if color == "gray" else "RGB"))
    expected = (
        cv2.resize(source, (100, 32), interpolation=how)
        .reshape(32, 100, -1)[:, :, ::-1]
        .transpose(2, 0, 1)
    )
    pixels = decode(EIGHT_BIT["colour PNG"], replace(SPEC, resizer=resizer, color=color))
    np.testing.assert_array_equal(pixels, expected)
    assert not np.array_equal(pixels, decode(EIGHT_BIT["colour PNG"], replace(SPEC, color=color)))


def test_two_steps_go_by_way_of_the_height() -> None:
    cv2 = pytest.importorskip("cv2")
    source = np.asarray(picture("L"))
    between = cv2.resize(
        source, (round(source.shape[1] * 32 / source.shape[0]), 32), interpolation=cv2.INTER_CUBIC
    )
    expected = cv2.resize(between, (160, 32), interpolation=cv2.INTER_CUBIC)
    spec = replace(SPEC, resizer="cv2-cubic-two-step", width=160)
    np.testing.assert_array_equal(
        decode(EIGHT_BIT["colour PNG"], replace(spec, color="gray"))[0], expected
    )
    # A very flat image would be wider than any memory on the way.
    flat = io.BytesIO()
    Image.new("L", (40_000, 1), 128).save(flat, "PNG")
    assert decode(flat.getvalue(), spec).shape == (1, 32, 160)


def test_another_size() -> None:
    pixels = decode(EIGHT_BIT["JPEG"], replace(SPEC, width=160, height=48))
    assert pixels.shape == (1, 48, 160)


# The start of the sha256 of what a single call of Pillow 8.4.0 and of 9.5.0 makes of `pattern`, by
# resizer, mode, width and height.
GOLDEN = {
    ("pil-bilinear", "L", 130, 41): "5f6419cf4365630b",
    ("pil-bicubic", "L", 130, 41): "f081da4cb715c76c",
    ("pil-bilinear", "L", 130, 20): "90c75ed3ecc5dcfc",
    ("pil-bicubic", "L", 130, 20): "32850c6aac2843fa",
    ("pil-bilinear", "L", 60, 41): "3660f65f0e020730",
    ("pil-bicubic", "L", 60, 41): "52f48cf0fb8d7e3b",
    ("pil-bilinear", "L", 60, 20): "3e26afbf982205c4",
    ("pil-bicubic", "L", 60, 20): "9debebade7734a9c",
    ("pil-bilinear", "L", 100, 41): "a7c298a0380bee5c",
    ("pil-bicubic", "L", 100, 41): "9998f5e79e723362",
    ("pil-bilinear", "L", 130, 32): "d3dd3a48ced4b80f",
    ("pil-bicubic", "L", 130, 32): "e79cb9c9d1fee3e7",
    ("pil-bilinear", "L", 100, 32): "f19ccd050e54f251",
    ("pil-bicubic", "L", 100, 32): "f19ccd050e54f251",
    ("pil-bilinear", "L", 1, 1): "5a312281df4bd8df",
    ("pil-bicubic", "L", 1, 1): "5a312281df4bd8df",
    ("pil-bilinear", "L", 7, 300): "b18ff1f7b87c30a0",
    ("pil-bicubic", "L", 7, 300): "a61a2678485dd75b",
    ("pil-bilinear", "RGB", 130, 41): "2e031c6fa1120532",
    ("pil-bicubic", "RGB", 130, 41): "5123f3c6fafbf898",
    ("pil-bilinear", "RGB", 130, 20): "240691d78b14f752",
    ("pil-bicubic", "RGB", 130, 20): "d9dc7e9d6a7a795a",
    ("pil-bilinear", "RGB", 60, 41): "11cfe93e254c4cb0",
    ("pil-bicubic", "RGB", 60, 41): "17319b440e6eb006",
    ("pil-bilinear", "RGB", 60, 20): "a75f7148c28f4fc2",
    ("pil-bicubic", "RGB", 60, 20): "d39667f36753628e",
    ("pil-bilinear", "RGB", 100, 41): "8051f4de70cbf5ab",
    ("pil-bicubic", "RGB", 100, 41): "1829f74b9d9311fe",
    ("pil-bilinear", "RGB", 130, 32): "022b94032277df31",
    ("pil-bicubic", "RGB", 130, 32): "48b98ed129bdd287",
    ("pil-bilinear", "RGB", 100, 32): "d1d9c69559fc543b",
    ("pil-bicubic", "RGB", 100, 32): "d1d9c69559fc543b",
    ("pil-bilinear", "RGB", 1, 1): "895f4d7d0a03a190",
    ("pil-bicubic", "RGB", 1, 1): "895f4d7d0a03a190",
    ("pil-bilinear", "RGB", 7, 300): "57129dfbb2ea4667",
    ("pil-bicubic", "RGB", 7, 300): "5ee5d4f1c4c7ed7a",
}


def pattern(mode: str, width: int, height: int) -> Image.Image:
    """An image of whole-number arithmetic, the same everywhere."""
    rows = np.arange(height)[:, None, None]
    columns = np.arange(width)[None, :, None]
    channels = np.arange(3)
    values = rows * rows * 7 + columns * columns * 13 + rows * columns * 31 + channels * 85
    values = values + (rows * 5 ^ columns * 11)
    pixels = (values % 256).astype(np.uint8)
    if mode == "L":
        pixels = pixels[:, :, 0].copy()
    return Image.fromarray(pixels)


@pytest.mark.parametrize(("resizer", "mode", "width", "height"), GOLDEN)
def test_the_resize_is_the_historical_one(resizer: str, mode: str, width: int, height: int) -> None:
    spec = replace(SPEC, resizer=resizer, color={"L": "gray", "RGB": "rgb"}[mode])

    pixels = resize(pattern(mode, width, height), spec)

    digest = hashlib.sha256(np.ascontiguousarray(pixels.transpose(1, 2, 0)).tobytes()).hexdigest()
    assert digest[:16] == GOLDEN[resizer, mode, width, height]


@pytest.mark.parametrize(("width", "height"), [(130, 41), (60, 41), (130, 20), (60, 20)])
def test_the_order_of_pillows_own_single_call(
    width: int, height: int, record_property: Callable[[str, object], None]
) -> None:
    """Another order than the two known ones would be news, and this says so.

    Of these sizes, Pillow 13.0.0 goes down first for 60 x 41 alone, the older ones for none.
    """
    image = pattern("L", width, height)
    across_first = image.resize((100, height), Image.BICUBIC).resize((100, 32), Image.BICUBIC)
    down_first = image.resize((width, 32), Image.BICUBIC).resize((100, 32), Image.BICUBIC)
    assert across_first.tobytes() != down_first.tobytes()
    orders = {across_first.tobytes(): "across first", down_first.tobytes(): "down first"}

    order = orders.get(image.resize((100, 32), Image.BICUBIC).tobytes())

    record_property(f"Pillow {PIL.__version__}", order)
    assert order is not None, f"Pillow {PIL.__version__} goes neither across nor down first"


def test_a_very_tall_image_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRNN_MAX_SIDE", "2000000")
    # Across first it would have 100 columns of 2 million pixels on the way.
    tall = io.BytesIO()
    Image.new("L", (1, 2_000_000), 128).save(tall, "PNG")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    pixels = decode(tall.getvalue(), SPEC)

    assert (pixels == 128).all()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, f"{grown} KiB"


SIXTEEN = np.random.default_rng(1).integers(0, 65536, (32, 100)).astype(np.uint16)
SIXTEEN[0, :6] = [0, 128, 129, 257, 65406, 65407]  # both sides of the first and the last rounding


SIXTEEN_BIT = {
    "PNG": encoded(Image.fromarray(SIXTEEN)),
    "TIFF": encoded(Image.fromarray(SIXTEEN), "TIFF"),
    "PPM": b"P5 100 32 65535\n" + SIXTEEN.astype(">u2").tobytes(),
}


@pytest.mark.parametrize("data", SIXTEEN_BIT.values(), ids=SIXTEEN_BIT)
def test_sixteen_bits_become_the_nearest_eight(data: bytes) -> None:
    nearest = np.rint(SIXTEEN.astype(np.float64) * 255 / 65535).astype(np.uint8)
    np.testing.assert_array_equal(decode(data, SPEC)[0], nearest)
    assert nearest[0, :6].tolist() == [0, 0, 1, 1, 254, 255]


def test_big_endian_sixteen_bits() -> None:
    data = encoded(Image.frombytes("I;16B", (100, 32), SIXTEEN.astype(">u2").tobytes()), "TIFF")
    np.testing.assert_array_equal(
        decode(data, SPEC), decode(encoded(Image.fromarray(SIXTEEN)), SPEC)
    )


PNG = EIGHT_BIT["colour PNG"]
BAD = {
    "nothing": (b"", "empty image: 0 bytes"),
    "text": (b"hello, world", "not an image: begins with b'hello, w'; expected one of PNG, JPEG"),
    "one byte": (b"\x89", "not an image"),
    "PostScript, which Pillow would have interpreted": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        "not an image",
    ),
    "PNG cut off in its pixels": (PNG[: len(PNG) // 2], "broken image: .*truncated"),
    "PNG cut off in its header": (PNG[:20], "broken image: PNG: "),
    "JPEG cut off": (
        EIGHT_BIT["JPEG"][: len(EIGHT_BIT["JPEG"]) // 2],
        "broken image: image file is truncated",
    ),
    "JPEG of markers only": (b"\xff\xd8\xff\xe0" + b"\0" * 40, "broken image"),
    "GIF cut off": (EIGHT_BIT["GIF"][:200], "broken image"),
    "TIFF cut off": (EIGHT_BIT["CMYK TIFF"][:100], "broken image"),
    "WebP cut off": (EIGHT_BIT["WebP"][:40], "broken image"),
    "wrong checksum": (PNG[:40] + bytes([PNG[40] ^ 1]) + PNG[41:], "broken image"),
    "32-bit": (
        encoded(Image.fromarray(np.full((4, 4), 1 << 20, np.int32)), "TIFF"),
        "32-bit pixels from 1048576",
    ),
    "floating point": (
        encoded(Image.new("F", (4, 4), 0.5), "TIFF"),
        "floating-point pixels, whose range is unknown",
    ),
    "51 Mpixel": (
        png_header(8_500, 6_000),
        r"image too large: 8500x6000 is 51.0 Mpixel; the limit is 50",
    ),
    "90 Mpixel, at which Pillow warns": (png_header(10_000, 9_000), "image too large: 10000x9000"),
    "360 Mpixel, at which Pillow raises": (
        png_header(20_000, 18_000),
        "image too large: 20000x18000",
    ),
    "4 Gpixel": (png_header(1 << 16, 1 << 16), "image too large: 65536x65536"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_images_have_a_reason(kind: str) -> None:
    data, message = BAD[kind]
    with pytest.raises(ImageError, match=message) as caught:
        decode(data, SPEC)
    problem = caught.value.problem
    assert problem.reason in ("empty image", "not an image", "broken image", "image too large")
    assert problem.detail
    assert "\n" not in problem.detail


def large_gif() -> bytes:
    """A GIF whose first frame is larger than its screen, which Pillow finds out while it opens
    it.
    """
    image = struct.pack("<BHHHHB", 0x2C, 0, 0, 10_000, 10_000, 0) + b"\x02\x02\x4c\x01\x00;"
    return b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + image


@pytest.mark.parametrize("policy", ["error", "always", "ignore"])
@pytest.mark.parametrize("data", [png_header(10_000, 9_000), large_gif()], ids=["PNG", "GIF"])
def test_pillows_own_warning_of_large_images_never_comes_out(data: bytes, policy: str) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter(policy)
        with pytest.raises(ImageError, match="image too large"):
            decode(data, SPEC)
    assert not seen


def test_the_limit_is_the_callers_and_pillows_stays() -> None:
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError, match="130x41 is 0.0 Mpixel; the limit is 0.005"):
        decode(PNG, SPEC, max_pixels=5000)
    assert decode(PNG, SPEC, max_pixels=130 * 41).shape == (1, 32, 100)
    assert before == Image.MAX_IMAGE_PIXELS


def test_threads_get_what_one_gets() -> None:
    kinds = list(EIGHT_BIT.values()) + [data for data, _ in BAD.values()]
    expected = [outcome(data) for data in kinds]
    found: list[list[object]] = [[] for _ in range(4)]

    def work(results: list[object]) -> None:
        results.extend(outcome(data) for data in kinds * 3)

    threads = [threading.Thread(target=work, args=(results,)) for results in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected * 3] * 4


def outcome(data: bytes) -> object:
    try:
        return decode(data, SPEC).tobytes()
    except ImageError as error:
        return error.problem.reason


@pytest.mark.parametrize(
    "kind", ["colour PNG", "JPEG", "GIF", "CMYK TIFF", "WebP", "BMP", "PPM", "JPEG 2000"]
)
def test_damaged_bytes_give_pixels_or_an_image_error(kind: str) -> None:
    random = np.random.default_rng(3)
    good = np.frombuffer(EIGHT_BIT[kind], np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # decoders may warn of what they put up with
        for _ in range(60):
            damaged = good.copy()
            places = random.integers(0, min(len(good), 400), 4)
            damaged[places] = random.integers(0, 256, 4)
            outcome(damaged[: random.integers(1, len(good) + 1)].tobytes())


def test_a_files_size(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(EIGHT_BIT["JPEG"])
    (tmp_path / "b.jpg").write_bytes(b"hello")
    assert read_size(tmp_path / "a.jpg") == (130, 41)
    with pytest.raises(InputError, match=r"b\.jpg: not an image"):
        read_size(tmp_path / "b.jpg")
    with pytest.raises(InputError, match=r"c\.jpg cannot be read: No such file"):
        read_size(tmp_path / "c.jpg")


@pytest.mark.parametrize("size", [(1, 65_536), (65_536, 1)])
def test_a_side_has_a_limit(size: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("1", size).save(file, "PNG")
    with pytest.raises(ImageError, match="the limit of a side is 65535"):
        decode(file.getvalue(), SPEC)


def test_large_images_are_decoded_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    from crnn import image

    file = io.BytesIO()
    Image.new("L", (1100, 1000), 128).save(file, "PNG")
    monkeypatch.setenv("CRNN_MAX_PIXELS_AT_ONCE", "2200000")
    inner, most = image._by_spec, []

    def counted(opened: Image.Image, spec: ModelSpec) -> object:
        most.append(image._taken)
        return inner(opened, spec)

    monkeypatch.setattr(image, "_by_spec", counted)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: decode(file.getvalue(), SPEC), range(40)))
    assert len(most) == 40
    assert max(most) <= 2_200_000
    assert image._taken == 0
