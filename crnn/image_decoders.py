"""Decoders that are faster than Pillow's, each only for files whose picture it is known to give bit
for bit as Pillow does.

`plain` reads a file's structure first. What it does not know to be plain, such as a file with EXIF
data, a transparent colour, an animation or a damaged part, is left to Pillow, whose result, warning
or refusal it then is. A decoder that stops at a file leaves it to Pillow too. Whether a decoder
agrees with the Pillow at hand, which may have been built with other libraries, is tried once a
process on images made for it.

None of the decoders has to be installed: ``pip install 'crnn-ascend[fast]'``. With
``CRNN_DECODERS=pillow`` in the environment none is used.
"""

from __future__ import annotations

import functools
import io
import os
import struct
import zlib
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import MAX_TEXT_CHUNK

MOST = 1 << 22
"""Pictures of more pixels are left to Pillow, which takes less memory for them."""
EXTRA = "fast"
VARIABLE = "CRNN_DECODERS"
"""Read once a process: ``pillow`` leaves all to Pillow."""

_map_buffer: Any = Image.core.map_buffer  # type: ignore[attr-defined]
_Header = Tuple[int, int, int]
"""Width, height, and a JPEG's components, negative of a progressive one, or a PNG's colour type."""
_OFF = f"{VARIABLE} says so"
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_IEND = b"\0\0\0\0IEND\xaeB`\x82"

_SEGMENT = struct.Struct(">BBH")
_FRAME = struct.Struct(">BHHB")
_SCAN = 0xDA
# Baseline and progressive, and the segment's length by its components.
_PROGRESSIVE = 0xC2
_FRAMES = frozenset([0xC0, _PROGRESSIVE])
_FRAME_LENGTHS = {1: 11, 3: 17}
# Huffman and quantisation tables, the restart interval, a comment.
_TABLES = frozenset([0xC4, 0xDB, 0xDD, 0xFE])
# What Pillow makes of an application's segment: what it begins with, and from how many bytes on it
# is read without complaint. All others are Pillow's.
_APPLICATIONS = {0xE0: (b"JFIF\0", 14), 0xE2: (b"ICC_PROFILE\0", 14), 0xEE: (b"Adobe", 12)}

_CHUNK = struct.Struct(">I4s")
_HEADER = struct.Struct(">IIBBBBB")
_STORED = struct.Struct("<BHH")
_LONGEST_BLOCK = 65535
"""Bytes of a part of a stream that is not compressed (RFC 1951, 3.2.4)."""
_PALETTE = 3
_LONGEST_PALETTE = 768
"""Bytes; Pillow refuses what is longer."""
_CHANNELS = {0: 1, 2: 3, _PALETTE: 1, 6: 4}
"""Bytes a pixel by a PNG's colour type; gray with alpha is Pillow's."""
_OPAQUE = frozenset([0, 2])
"""The colour types in which nothing can be transparent, and that have no palette."""
# The colour type that the lines are undone as, which for a palette's indices is gray, and the
# layouts that pyspng writes and Pillow reads.
_LAYOUTS = {
    0: (0, "L", "L"),
    2: (2, "RGBA", "RGBX"),
    _PALETTE: (0, "L", "P"),
    6: (6, "RGBA", "RGBA"),
}
# Chunks that have no bearing on the pixels, and the least length that Pillow reads them with.
_IGNORED = {b"tIME": 0, b"bKGD": 0, b"sBIT": 0, b"hIST": 0, b"pHYs": 9, b"gAMA": 4, b"cHRM": 32}
_IGNORED[b"sRGB"] = 1
# Texts in which Pillow looks for an orientation.
_TURNING = (b"XML:com.adobe.xmp", b"Raw profile type ")


class Used(NamedTuple):
    """Which decoder a format's plain files go through, and why not a faster one."""

    decoder: str
    why: str = ""


class _Pixels(NamedTuple):
    """What a decoder gives: pixels of one of Pillow's modes, and the colours of P."""

    mode: str
    array: np.ndarray
    palette: bytes = b""


class _Decoder:
    """A library's decoder of one format, with which it is called."""

    def __init__(self, load: Any, inflate: Any = None) -> None:
        self._load = load
        self._inflate = inflate

    def decode(self, data: bytes, header: _Header) -> Optional[_Pixels]:
        """Decode a plain file; None where it is to be left to Pillow after all."""
        raise NotImplementedError


class _Found(NamedTuple):
    decoder: Optional[_Decoder]
    used: Used
    progressive: bool = True
    """Whether progressive JPEGs are among what it may take."""


class Plain:
    """A file that a decoder faster than Pillow's may take, of which only the header was read."""

    def __init__(self, data: bytes, header: _Header, decoder: _Decoder, opaque: bool) -> None:
        self.width, self.height, _ = header
        self.opaque = opaque
        """Whether its picture is of the mode L or RGBX."""
        self._data = data
        self._header = header
        self._decoder = decoder

    def decode(self) -> Optional[Image.Image]:
        """Decode the file.

        Returns:
            The picture, of Pillow's mode L, P, RGBX or RGBA, with the pixels that Pillow gives;
            RGBX is an opaque RGB. None where the file is to be left to Pillow after all.
        """
        found = self._decoder.decode(self._data, self._header)
        if found is None:
            return None
        return _image(found)

    def core(self) -> Any:
        """Decode the file to an image of Pillow's C part, whose Python part would take a tenth of
        the time that a word takes.

        Returns:
            The image, as `decode` gives it; it lies in memory that is not to be written to. None as
            there.
        """
        found = self._decoder.decode(self._data, self._header)
        if found is None:
            return None
        # What Image.frombuffer calls.
        size = (self.width, self.height)
        return _map_buffer(found.array, size, "raw", 0, (found.mode, 0, 1))


def plain(data: bytes) -> Optional[Plain]:
    """Say whether a file is one for a decoder that is faster than Pillow's.

    Args:
        data: The encoded image.

    Returns:
        The file; None where it is to be left to Pillow.
    """
    opaque = True
    if data[:3] == _JPEG:
        found, header = _jpeg(), _jpeg_header(data)
    elif data[:8] == _PNG:
        found, header = _png(), _png_header(data)
        opaque = header is not None and header[2] in _OPAQUE
    else:
        return None
    if found.decoder is None or header is None or header[0] * header[1] > MOST:
        return None
    if header[2] < 0 and not found.progressive:
        return None
    return Plain(data, header, found.decoder, opaque)


def used() -> Dict[str, Used]:
    """Say which decoder each format's plain files go through.

    Returns:
        JPEG and PNG, each with its decoder and its version, and why it is Pillow's where it is.
    """
    return {"JPEG": _jpeg().used, "PNG": _png().used}


@functools.lru_cache(maxsize=None)
def _jpeg() -> _Found:
    """Return the decoder of JPEGs, tried the first time that this is called.

    Its own refusals stand for all that libjpeg warns of.
    """
    if _switched_off():
        return _pillow(_OFF)
    try:
        import simplejpeg
    except ImportError:
        return _pillow("simplejpeg is not installed")
    decoder = _JpegDecoder(simplejpeg.decode_jpeg)
    name = "simplejpeg " + _version(simplejpeg)
    found = _proven(decoder, name, _jpegs(), _damaged_jpegs())
    if found.decoder is None:
        return found
    # libjpeg-turbo 3 smooths what is incomplete otherwise than 2, and is alike in all else.
    if _proven(decoder, name, _progressive_jpegs(), []).decoder is None:
        return _Found(decoder, Used(name + ", not for progressive ones"), progressive=False)
    return found


@functools.lru_cache(maxsize=None)
def _png() -> _Found:
    """Return the decoder of PNGs, tried the first time that this is called.

    isal inflates where it is installed, in half of the time of zlib.
    """
    if _switched_off():
        return _pillow(_OFF)
    try:
        import pyspng
    except ImportError:
        return _pillow("pyspng is not installed")
    name = "pyspng " + _version(pyspng)
    library: Any = zlib
    try:
        import isal
        from isal import isal_zlib

        library = isal_zlib
        name += ", isal " + _version(isal)
    except ImportError:
        name += ", zlib"
    return _proven(_PngDecoder(pyspng.load, library), name, _pngs(), _damaged_pngs())


def _switched_off() -> bool:
    return os.environ.get(VARIABLE, "").lower() == "pillow"


def _pillow(why: str) -> _Found:
    return _Found(None, Used("Pillow", why))


def _version(module: Any) -> str:
    return str(getattr(module, "__version__", "of some version"))


def _proven(decoder: _Decoder, name: str, good: List[bytes], bad: List[bytes]) -> _Found:
    """Return a decoder if it agrees with the Pillow at hand on what must be decoded, and leaves to
    it what is damaged.
    """
    try:
        for data in good:
            if not _agrees(decoder, data):
                return _pillow(f"{name} gives other pixels than this Pillow")
        for data in bad:
            if _decoded(decoder, data) is not None:
                return _pillow(f"{name} accepts damaged files")
    except Exception as error:  # noqa: BLE001  whatever it is, this decoder is not to be used
        return _pillow(f"{name} fails: {type(error).__name__}")
    return _Found(decoder, Used(name))


def _agrees(decoder: _Decoder, data: bytes) -> bool:
    """Say whether a decoder gives the pixels of the Pillow at hand, of a file that it must decode.

    Both are compared as RGBA, since a decoder's RGBX is Pillow's RGB.
    """
    found = _decoded(decoder, data)
    with Image.open(io.BytesIO(data)) as expected:
        if found is None:
            return False
        return found.convert("RGBA").tobytes() == expected.convert("RGBA").tobytes()


def _decoded(decoder: _Decoder, data: bytes) -> Optional[Image.Image]:
    """Return what a decoder makes of a file; None where it leaves it to Pillow, or its header alone
    says that it is Pillow's.
    """
    header = _jpeg_header(data) or _png_header(data)
    if header is None:
        return None
    found = decoder.decode(data, header)
    if found is None:
        return None
    return _image(found)


def _image(found: _Pixels) -> Image.Image:
    """Return pixels as an image without copying them, where Pillow can."""
    height, width = found.array.shape[:2]
    mode = found.mode
    image: Image.Image = Image.frombuffer(mode, (width, height), found.array, "raw", mode, 0, 1)
    if found.palette:
        image.putpalette(found.palette)
    return image


# JPEG


def _jpeg_header(data: bytes) -> Optional[_Header]:
    """Return width, height and components of a JPEG of which nothing but its pixels matters, None
    for others.

    One frame of 8 bits, of one or three components, baseline or progressive; no segment of which
    Pillow makes something else than a number to be ignored. What stands after the first scan's
    header is the decoder's.
    """
    at, found = 2, None
    try:
        while True:
            mark, kind, length = _SEGMENT.unpack_from(data, at)
            if mark != 0xFF or length < 2:
                return None
            if kind == _SCAN:
                return found
            if kind in _FRAMES:
                found = _frame(data, at + 4, kind, length)
                if found is None:
                    return None
            elif kind in _APPLICATIONS:
                begin, least = _APPLICATIONS[kind]
                if length < least + 2 or not data.startswith(begin, at + 4):
                    return None
            elif kind not in _TABLES:
                return None
            at += 2 + length
    except struct.error:
        return None


def _frame(data: bytes, at: int, kind: int, length: int) -> Optional[_Header]:
    """Return what a frame's segment says; None where it is not one of those that are known.

    Args:
        data: The file.
        at: Where the segment's content begins.
        kind: Its marker.
        length: What it says of its own length.

    Returns:
        Width, height and components, negative of a progressive one.
    """
    bits, height, width, components = _FRAME.unpack_from(data, at)
    if bits != 8 or length != _FRAME_LENGTHS.get(components):
        return None
    if kind == _PROGRESSIVE:
        components = -components
    return (width, height, components)


class _JpegDecoder(_Decoder):
    """Decodes JPEGs; `load` refuses even what libjpeg only warns of, such as an end too early."""

    def decode(self, data: bytes, header: _Header) -> Optional[_Pixels]:
        mode, layout = "RGBX", "RGBX"
        if abs(header[2]) == 1:
            mode, layout = "L", "GRAY"
        try:
            # Not the quicker transform, nor the quicker way to bring colour to full size.
            return _Pixels(mode, self._load(data, layout, False, False, 0, 0, 1, None, True))
        except ValueError:
            return None


# PNG


def _png_header(data: bytes) -> Optional[_Header]:
    """Return width, height and colour type of a PNG of 8 bits a sample, not interlaced; None for
    others.
    """
    if len(data) < 33 or data[8:16] != b"\0\0\0\rIHDR":
        return None
    if zlib.crc32(data[12:29]) != int.from_bytes(data[29:33], "big"):
        return None
    width, height, depth, color, *others = _HEADER.unpack_from(data, 16)
    if depth != 8 or any(others) or color not in _CHANNELS:
        return None
    return width, height, color


class _PngDecoder(_Decoder):
    """Decodes PNGs.

    The stream is inflated here, so that its length and its checksum are known to be right, and
    handed on uncompressed, without any other chunk, to have its lines' filters undone.
    """

    def decode(self, data: bytes, header: _Header) -> Optional[_Pixels]:
        width, height, color = header
        streams: List[bytes] = []
        palette = _png_chunks(data, streams)
        if palette is None or bool(palette) != (color == _PALETTE):
            return None
        size = height * (1 + width * _CHANNELS[color])
        lines = _inflated(self._inflate, b"".join(streams), size)
        if lines is None:
            return None
        kind, layout, mode = _LAYOUTS[color]
        try:
            pixels = self._load(_stored(width, height, kind, lines), layout)
        except RuntimeError:
            return None
        return _Pixels(mode, pixels, palette)


def _png_chunks(data: bytes, streams: List[bytes]) -> Optional[bytes]:
    """Append the parts of the compressed pixels, and return the palette, empty for none; None for a
    file with a chunk that matters, a damaged one or an unknown one.
    """
    at, palette, ended = 33, b"", False
    try:
        while True:
            length, kind = _CHUNK.unpack_from(data, at)
            begin, end = at + 8, at + 8 + length
            if kind == b"IEND":
                return _if_true(palette, length == 0 and bool(streams))
            if kind == b"IDAT":
                # Pillow takes the pixels to end at the first other chunk.
                if ended:
                    return None
                streams.append(data[begin:end])
            else:
                ended = bool(streams)
                body = data[begin:end]
                (checksum,) = struct.unpack_from(">I", data, end)
                if checksum != zlib.crc32(data[at + 4 : end]):
                    return None
                if kind == b"PLTE" and not streams and not palette:
                    if len(body) > _LONGEST_PALETTE:
                        return None
                    palette = body
                elif not _is_ignored(kind, body):
                    return None
            at = end + 4
    except struct.error:
        return None


def _if_true(value: bytes, condition: bool) -> Optional[bytes]:
    if condition:
        return value
    return None


def _is_ignored(kind: bytes, body: bytes) -> bool:
    """Say whether Pillow passes over a chunk without complaint, and no pixel depends on it."""
    if kind in _IGNORED:
        return len(body) >= _IGNORED[kind]
    if kind == b"tEXt":
        # Pillow keeps texts beside what it knows of the image, whose names are of small letters.
        if body.startswith(_TURNING):
            return False
        return body[:1].isupper() and len(body) < MAX_TEXT_CHUNK
    if kind == b"iCCP":
        return _is_small_profile(body)
    return False


def _is_small_profile(body: bytes) -> bool:
    """Say whether Pillow takes a colour profile for certain.

    It inflates the profile, and refuses a file whose profile is too long. No pixel depends on it.
    """
    _, _, rest = body.partition(b"\0")
    if rest[:1] != b"\0":
        return False
    # One byte becomes 1032 at most, and Pillow refuses profiles from a length on.
    return len(rest) < MAX_TEXT_CHUNK // 1032


def _inflated(library: Any, stream: bytes, size: int) -> Optional[bytes]:
    """Return a zlib stream's content if it is whole, of this size, and nothing stands behind it."""
    inflating = library.decompressobj()
    try:
        content: bytes = inflating.decompress(stream, size + 1)
    except library.error:
        return None
    if len(content) != size or not inflating.eof or inflating.unused_data:
        return None
    return content


def _stored(width: int, height: int, color: int, lines: bytes) -> bytes:
    """Return a PNG of these lines whose stream is not compressed and whose checksums are left out,
    since its reader asks for neither.
    """
    blocks = -(-len(lines) // _LONGEST_BLOCK)
    header = _HEADER.pack(width, height, 8, color, 0, 0, 0)
    parts = [
        _PNG,
        _CHUNK.pack(13, b"IHDR"),
        header,
        zlib.crc32(header, zlib.crc32(b"IHDR")).to_bytes(4, "big"),
        _CHUNK.pack(6 + 5 * blocks + len(lines), b"IDAT"),
        b"\x78\x01",
    ]
    for at in range(0, len(lines), _LONGEST_BLOCK):
        # Most pictures are of one block, which is the whole, and not copied here.
        block = lines[at : at + _LONGEST_BLOCK]
        is_last = at + len(block) == len(lines)
        parts.append(_STORED.pack(is_last, len(block), len(block) ^ _LONGEST_BLOCK))
        parts.append(block)
    # Two checksums that nobody asks for: of the stream and of the chunk.
    parts.append(b"\0\0\0\0\0\0\0\0")
    parts.append(_IEND)
    return b"".join(parts)


# What a decoder is tried on


def _noise(width: int, height: int, channels: int) -> np.ndarray:
    """Return pixels between smooth and random, the same everywhere.

    At most those of `_all_noise`, which are made once.
    """
    return _all_noise()[:height, :width, :channels]


@functools.lru_cache(maxsize=None)
def _all_noise() -> np.ndarray:
    rows, columns, planes = np.ogrid[:32, :92, :3]
    smooth = rows * 5 + columns * 3 + planes * 40
    rough = (rows * 7919 + columns * 104729 + planes * 1299709) % 251
    pixels: np.ndarray = ((smooth + rough * (columns % 16 > 7)) % 256).astype(np.uint8)
    return pixels


def _encoded(pixels: np.ndarray, **options: Any) -> bytes:
    """Return a JPEG of pixels.

    It is written by the Pillow at hand: what counts is that two decoders read it alike.
    """
    file = io.BytesIO()
    if pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    Image.fromarray(pixels).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


@functools.lru_cache(maxsize=None)
def _subsampled() -> bytes:
    return _encoded(_noise(45, 27, 3), subsampling=2)


def _jpegs() -> List[bytes]:
    """Return JPEGs of each kind in which decoders differ: how colour is brought to full size, and
    what stands at odd edges.
    """
    colour = _noise(45, 27, 3)
    square = _encoded(_noise(32, 32, 3), subsampling=1)
    found = [_encoded(colour, subsampling=sampling) for sampling in (0, 1)]
    found.append(_subsampled())
    found.append(_encoded(_noise(45, 27, 1)))
    # 4:2:2 with its sides exchanged is 4:4:0: as many blocks, in the same order.
    frame = square.index(b"\xff\xc0")
    found.append(square[: frame + 11] + b"\x12" + square[frame + 12 :])
    return found


def _progressive_jpegs() -> List[bytes]:
    """Return a progressive JPEG, and one that ends before it is complete, which is smoothed."""
    whole = _encoded(_noise(45, 27, 3), subsampling=2, progressive=True)
    scans = whole.split(b"\xff\xda")
    return [whole, b"\xff\xda".join(scans[:3]).rpartition(b"\xff\xc4")[0] + b"\xff\xd9"]


def _damaged_jpegs() -> List[bytes]:
    """Return JPEGs that Pillow refuses, or of which libjpeg warns.

    Their end is missing, their second half, or their second half but for the end.
    """
    whole = _subsampled()
    return [whole[:-2], whole[: len(whole) // 2], whole[: len(whole) // 2] + b"\xff\xd9"]


@functools.lru_cache(maxsize=None)
def _png_of(color: int, *, cut: int = 0, checksum: int = 0) -> bytes:
    """Return a PNG of random lines, whose filters take turns; damaged by so much."""
    width, height = 23, 17
    lines = bytearray()
    noise = _noise(width * _CHANNELS[color], height, 1)
    for number, line in enumerate(noise):
        lines.append(number % 5)
        lines += line.tobytes()
    stream = bytearray(zlib.compress(bytes(lines[: len(lines) - cut])))
    stream[-1] ^= checksum
    chunks = [(b"IHDR", _HEADER.pack(width, height, 8, color, 0, 0, 0))]
    if color == _PALETTE:
        chunks.append((b"PLTE", _noise(64, 1, 3).tobytes()))
    chunks.append((b"IDAT", bytes(stream)))
    file = [_PNG]
    for kind, body in chunks:
        file += [_CHUNK.pack(len(body), kind), body]
        file.append(zlib.crc32(kind + body).to_bytes(4, "big"))
    return b"".join([*file, _IEND])


def _pngs() -> List[bytes]:
    """Return a PNG of each colour type that is not left to Pillow.

    Each has lines of all five filters.
    """
    return [_png_of(color) for color in _CHANNELS]


def _damaged_pngs() -> List[bytes]:
    """Return PNGs that must be left to Pillow.

    A byte of the pixels is missing, their checksum is another, or the file is cut.
    """
    return [_png_of(2, cut=1), _png_of(2, checksum=1), _png_of(2)[:-30]]
