"""Images of every kind that the kit meets, whole and damaged, made here.

``python -m tests.images FILE`` tells what the kit makes of each of a pickle's images, as JSON;
``python -m tests.images write FILE`` writes such a pickle of all that are made here.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import random
import struct
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np
from PIL import Image

from crnn import image_decoders
from crnn.image import Bounds, ImageError, decode_into, decode_remarked
from crnn.spec import ModelSpec
from crnn.widths import Widths

Named = Iterator[Tuple[str, bytes]]
SPECS = (
    ModelSpec.default(),
    ModelSpec(color="rgb", background="#336699", orient=True, resizer="pil-bilinear"),
    ModelSpec(widths=Widths(list=(20, 40, 50))),
)
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Where each of the seven passes of an interlaced PNG begins, and its steps: x, y, dx, dy.
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
PASSES += ((0, 1, 1, 2),)


def noise(width: int, height: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Something between smooth and random."""
    values = np.random.default_rng(seed).integers(0, 90, (height, width, channels))
    ramp = np.add.outer(np.arange(height) * 3, np.arange(width))[..., None]
    return ((values + ramp) % 256).astype(np.uint8)


def chunk(kind: bytes, body: bytes = b"", *, checksum: int = 0) -> bytes:
    summed = zlib.crc32(kind + body) ^ checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", summed)


def header(width: int, height: int, depth: int, color: int, *, interlaced: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))


def any_bytes(count: int, chance: random.Random) -> bytes:
    return bytes(chance.getrandbits(8) for _ in range(count))


def lines(width: int, height: int, bits: int, seed: int) -> bytes:
    """Filtered lines of noise; all five filters take turns."""
    chance = random.Random(seed)
    made = bytearray()
    for number in range(height):
        made.append((number + seed) % 5)
        made += any_bytes((width * bits + 7) // 8, chance)
    return bytes(made)


def png(
    depth: int = 8,
    color: int = 2,
    *,
    size: Tuple[int, int] = (37, 19),
    before: bytes = b"",
    after: bytes = b"",
    stream: Any = None,
    interlaced: bool = False,
    entries: int = 256,
    seed: int = 1,
) -> bytes:
    width, height = size
    bits = depth * CHANNELS[color]
    if interlaced:
        raw = b"".join(
            lines(-(-(width - x) // dx), -(-(height - y) // dy), bits, seed)
            for x, y, dx, dy in PASSES
            if width > x and height > y
        )
    else:
        raw = lines(width, height, bits, seed)
    packed = zlib.compress(raw) if stream is None else stream(raw)
    palette = b""
    if color == 3:
        palette = chunk(b"PLTE", noise(entries, 1).tobytes())
    return b"".join(
        [
            SIGNATURE,
            header(width, height, depth, color, interlaced=int(interlaced)),
            palette,
            before,
            chunk(b"IDAT", packed),
            after,
            chunk(b"IEND"),
        ]
    )


def jpeg(pixels: np.ndarray, mode: str = "", **options: Any) -> bytes:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return saved(image.convert(mode) if mode else image, "JPEG", **{"quality": 85, **options})


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def segment(kind: int, body: bytes) -> bytes:
    return bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body


def exif(orientation: int) -> bytes:
    return b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + bytes([0, orientation]) + bytes(6)


def whole_pngs() -> Named:
    for color, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16))):
        for depth in depths:
            for interlaced in (False, True):
                name = f"PNG color {color} depth {depth} interlaced {interlaced}"
                entries = min(256, 1 << depth)
                yield name, png(depth, color, interlaced=interlaced, entries=entries)
    for seed in range(12):
        color = (0, 2, 3, 6)[seed % 4]
        yield f"PNG {seed} of another size", png(8, color, size=(seed * 9 + 1, 50), seed=seed)
    yield "PNG, 300 lines", png(8, 2, size=(120, 300))
    yield "PNG RGBA, opaque", saved(Image.fromarray(noise(30, 20)).convert("RGBA"), "PNG")
    yield "PNG RGBA, interlaced", png(8, 6, interlaced=True)
    for entries in (1, 5, 255):
        yield f"PNG, {entries} entries, indices beyond", png(8, 3, entries=entries)
    for level in (0, 1, 9):
        yield f"PNG, level {level}", png(stream=lambda raw, level=level: zlib.compress(raw, level))
    yield "PNG in many pieces", in_pieces(png(size=(60, 40)))


def in_pieces(data: bytes) -> bytes:
    at = data.index(b"IDAT") - 4
    length = struct.unpack_from(">I", data, at)[0]
    body = data[at + 8 : at + 8 + length]
    cut = [body[begin : begin + 100] for begin in range(0, length, 100)]
    return data[:at] + b"".join(chunk(b"IDAT", piece) for piece in [b"", *cut]) + chunk(b"IEND")


TURNED = b'<rdf:Description tiff:Orientation="6"/>'


def in_parts(between: bytes) -> bytes:
    """A PNG with something between two parts of its pixels."""
    data = png()
    at = data.index(b"IDAT") - 4
    packed = data[at + 8 : -16]
    parts = [chunk(b"IDAT", packed[:90]), between, chunk(b"IDAT", packed[90:])]
    return data[:at] + b"".join(parts) + chunk(b"IEND")


def pngs_with_chunks() -> Named:
    profile = b"name\0\0" + zlib.compress(bytes(range(256)) * 8)
    long_profile = b"name\0\0" + zlib.compress(any_bytes(3000, random.Random(1)))
    bodies = {
        b"gAMA": [struct.pack(">I", 45455), struct.pack(">I", 0), b"\0"],
        b"cHRM": [struct.pack(">8I", *range(1, 9)), b"short"],
        b"sRGB": [b"\0", b""],
        b"pHYs": [struct.pack(">IIB", 2835, 2835, 1), b"short"],
        b"iCCP": [profile, long_profile, b"name\0\0broken", b"name\0\1", b"none"],
        b"tRNS": [b"\0\1\0\2\0\3", b"\0\1", b"\0", bytes(range(200, 256)), b""],
        b"tEXt": [
            b"Software\0some",
            b"exif\0" + exif(6),
            b"transparency\0no",
            b"interlace\0yes",
            b"XML:com.adobe.xmp\0" + TURNED,
            b"Raw profile type exif\0\nexif\n" + exif(6).hex().encode(),
        ],
        b"zTXt": [b"Comment\0\0" + zlib.compress(b"hello"), b"Comment\0\1"],
        b"iTXt": [b"Title\0\0\0\0\0text"],
        b"eXIf": [exif(6), exif(1), b"nothing"],
        b"tIME": [struct.pack(">HBBBBB", 2020, 1, 2, 3, 4, 5), b""],
        b"bKGD": [b"\0\1\0\2\0\3"],
        b"sBIT": [b"\5\6\5"],
        b"hIST": [b"\0\1"],
        b"acTL": [struct.pack(">II", 1, 0), struct.pack(">II", 0, 0)],
        b"fcTL": [struct.pack(">IIIIIHHBB", 0, 37, 19, 0, 0, 1, 10, 0, 0)],
        b"PLTE": [noise(4, 1).tobytes(), b"\1\2"],
        b"prVt": [b"private"],
        b"CRIT": [b"critical"],
        b"12ab": [b"no name"],
    }
    for kind, many in bodies.items():
        for number, body in enumerate(many):
            for color in (0, 2, 3, 6):
                name = f"PNG color {color}, {kind!r} {number}"
                yield name + " before", png(8, color, before=chunk(kind, body))
                yield name + " after", png(8, color, after=chunk(kind, body))
        wrong = chunk(kind, many[0], checksum=1)
        yield f"PNG, {kind!r} with a wrong checksum", png(before=wrong)
        yield f"PNG, {kind!r} with a wrong checksum behind", png(after=wrong)


def damaged_pngs() -> Named:
    whole = png()
    for at in range(0, len(whole), 37):
        yield f"PNG cut at {at}", whole[:at]
    for cut in range(1, 14):
        yield f"PNG cut by {cut}", whole[:-cut]
    yield "PNG with more behind", whole + b"more"
    yield "PNG, a wrong header checksum", whole[:30] + b"\0" + whole[31:]
    yield "PNG, a wrong pixel checksum", whole[:-13] + bytes([whole[-13] ^ 1]) + whole[-12:]
    for change in ("cut", "checksum", "more", "twice", "filter", "behind", "window"):
        yield f"PNG, stream: {change}", png(stream=lambda raw, change=change: wrong(raw, change))
    yield "PNG, another chunk between its pixels", in_parts(chunk(b"tIME"))
    yield "PNG, a palette too long", png(8, 3, entries=257)
    yield "PNG without pixels", SIGNATURE + header(3, 3, 8, 2) + chunk(b"IEND")
    yield "PNG, palette missing", SIGNATURE + header(3, 3, 8, 3) + whole[33:]
    for size in ((0, 5), (5, 0), (1 << 31, 5), (70000, 1)):
        yield f"PNG of {size}", SIGNATURE + header(*size, 8, 2) + whole[33:]
    for number in range(300):
        yield f"PNG, damage {number}", damage(png(seed=number, size=(25, 12)), number)


def wrong(raw: bytes, change: str) -> bytes:
    if change == "cut":
        return zlib.compress(raw[:-1])
    if change == "more":
        return zlib.compress(raw + b"\0" * 200)
    if change == "filter":
        return zlib.compress(b"\x09" + raw[1:])
    packed = zlib.compress(raw)
    if change == "checksum":
        return packed[:-1] + bytes([packed[-1] ^ 1])
    if change == "window":
        return b"\x08\x1d" + packed[2:]
    if change == "behind":
        return packed + b"behind"
    return packed + packed


def damage(data: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    if seed % 3 == 0:
        begin = chance.randrange(len(changed))
        del changed[begin : begin + chance.randrange(1, 30)]
    return bytes(changed)


def whole_jpegs() -> Named:
    for width, height in ((1, 1), (7, 9), (16, 16), (33, 31), (100, 32), (131, 47)):
        for sampling in (0, 1, 2):
            for progressive in (False, True):
                name = f"JPEG {width}x{height} subsampling {sampling} progressive {progressive}"
                options = {"subsampling": sampling, "progressive": progressive}
                yield name, jpeg(noise(width, height), **options)
        yield f"JPEG {width}x{height} gray", jpeg(noise(width, height, 1))
        yield f"JPEG {width}x{height} CMYK", jpeg(noise(width, height), "CMYK")
    for quality in (1, 30, 75, 100):
        yield f"JPEG of quality {quality}", jpeg(noise(64, 40), quality=quality)
    for blocks in (1, 3):
        data = jpeg(noise(64, 40), restart_marker_blocks=blocks)
        yield f"JPEG, a restart marker each {blocks}", data
    yield "JPEG of 1.2 Mpixel", jpeg(noise(1500, 800))
    yield "JPEG of 4.4 Mpixel", jpeg(noise(2200, 2000))
    yield "JPEG in RGB", jpeg(noise(50, 20), keep_rgb=True)
    yield "JPEG, better tables", jpeg(noise(50, 20), optimize=True)
    square = jpeg(noise(32, 32), subsampling=1)
    at = square.index(b"\xff\xc0") + 11
    for factors in (0x12, 0x41, 0x14, 0x31):
        name = f"JPEG, sampling {factors:x}"
        yield name, square[:at] + bytes([factors]) + square[at + 1 :]


def jpegs_with_segments() -> Named:
    whole = jpeg(noise(45, 27))
    turned = b"Exif\0\0" + exif(6)
    bodies = {
        0xE0: [b"JFIF\0\1\1\1\0\x48\0\x48\0\0", b"JFIF\0", b"AVI1", b""],
        0xE1: [turned, b"Exif\0\0" + exif(1), b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0<x/>"],
        0xE2: [b"ICC_PROFILE\0\1\1profile", b"ICC_PROFILE\0", b"MPF\0", b"FPXR\0"],
        0xE5: [b"anything"],
        0xED: [b"Photoshop 3.0\0008BIM\3\xed\0\0\0\0\0\2ab", b"Photoshop 3.0\0008BIM\3\xed"],
        0xEE: [b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\1", b"Adobe\0", b"Adobe"],
        0xFE: [b"a comment", b""],
        0xDD: [b"\0\2", b"\0"],
        0xDC: [b"\0\5"],
        0xCC: [b"\0\1"],
    }
    for kind, many in bodies.items():
        for number, body in enumerate(many):
            yield f"JPEG, {kind:x} {number}", whole[:2] + segment(kind, body) + whole[2:]
    yield "JPEG, filled markers", whole[:2] + b"\xff\xff\xff" + whole[2:]
    yield "JPEG, junk between", whole[:2] + b"junk" + whole[2:]


def damaged_jpegs() -> Named:
    whole, progressive = jpeg(noise(45, 27)), jpeg(noise(45, 27), progressive=True)
    for name, data in (("baseline", whole), ("progressive", progressive)):
        for at in range(0, len(data), 31):
            yield f"JPEG {name} cut at {at}", data[:at]
            yield f"JPEG {name} cut at {at}, ended", data[:at] + b"\xff\xd9"
        yield f"JPEG {name} without end", data[:-2]
        yield f"JPEG {name} with more behind", data + b"more"
        yield f"JPEG {name}, two", data + data
    frame = whole.index(b"\xff\xc0")
    for kind in (0xC1, 0xC2, 0xC3, 0xC9):
        yield f"JPEG, frame {kind:x}", whole[: frame + 1] + bytes([kind]) + whole[frame + 2 :]
    yield "JPEG of 12 bits", whole[: frame + 4] + b"\x0c" + whole[frame + 5 :]
    for size in (b"\0\0\0\x10", b"\0\x10\0\0", b"\xff\xff\xff\xff", b"\0\x1a\0\x2e"):
        yield f"JPEG of {size!r}", whole[: frame + 5] + size + whole[frame + 9 :]
    for number in range(300):
        kinds = {"progressive": number % 2 == 1, "subsampling": number % 3}
        yield f"JPEG, damage {number}", damage(jpeg(noise(40, 24, seed=number), **kinds), number)


def others() -> Named:
    image = Image.fromarray(noise(60, 30))
    for kind in ("BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000"):
        try:
            data = saved(image, kind)
        except OSError:  # Pillow 8.0 writes JPEG 2000 into files alone
            continue
        yield kind, data
        yield f"{kind} cut", data[: len(data) // 2]
    yield "WebP, transparent", saved(Image.fromarray(noise(30, 20, 4)), "WEBP", lossless=True)
    yield "nothing", b""
    yield "text", b"not an image"


def all_images() -> Dict[str, bytes]:
    """Every one by its name."""
    makers = (whole_pngs, pngs_with_chunks, damaged_pngs, whole_jpegs, jpegs_with_segments)
    found: Dict[str, bytes] = {}
    for maker in (*makers, damaged_jpegs, others):
        for name, data in maker():
            assert name not in found, name
            found[name] = data
    return found


def outcome(data: bytes) -> List[Any]:
    """What becomes of an image by each spec, and of a tighter limit: pixels, remarks, warnings or
    the refusal; by itself, and put into a batch's memory.
    """
    found: List[Any] = []
    for spec, most in (*((spec, None) for spec in SPECS), (SPECS[0], 500)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                pixels, remarks = decode_remarked(data, spec, max_pixels=most)
                result = [hashlib.sha256(pixels.tobytes()).hexdigest(), list(remarks)]
            except ImageError as error:
                result = [error.problem.reason, error.problem.detail]
        found.append([*result, [str(warning.message) for warning in caught]])
        found.append(put(data, spec, most))
    return found


def put(data: bytes, spec: ModelSpec, most: Optional[int]) -> List[Any]:
    """What becomes of an image where it is one of many."""
    room = np.zeros(spec.channels * spec.height * spec.read_widths[-1] + 1, np.uint8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            columns, remarks = decode_into(data, spec, room, Bounds.now(most))
            said = [columns, *remarks]
        except ImageError as error:
            said = [error.problem.reason, error.problem.detail]
    pixels = hashlib.sha256(room.tobytes()).hexdigest()
    return [pixels, said, [str(warning.message) for warning in caught]]


def is_quick(data: bytes) -> bool:
    """Whether another decoder than Pillow's gives the picture."""
    plain = image_decoders.plain(data)
    return plain is not None and plain.decode() is not None


def main() -> None:
    if sys.argv[1] == "write":
        Path(sys.argv[2]).write_bytes(pickle.dumps(all_images()))
        return
    images = pickle.loads(Path(sys.argv[1]).read_bytes())
    outcomes = {name: outcome(data) for name, data in images.items()}
    quick = [name for name, data in images.items() if is_quick(data)]
    json.dump({"outcomes": outcomes, "quick": quick, "used": image_decoders.used()}, sys.stdout)


if __name__ == "__main__":
    main()
