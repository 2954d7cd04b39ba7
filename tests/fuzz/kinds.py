"""The kinds of hostile input."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Callable, Sequence, Tuple

from tests.conftest import ROOT
from tests.fuzz.forked import Child
from tests.fuzz.hostile import Commands, Kind

CHECKPOINT = ROOT / "examples" / "crnn_small.pth"
TINY = ["channels=[4,4,6,6,8,8,8]", "hidden=8", "batch_size=8", "plot=false", "workers=0",
        "threads=1", "length=2 steps", "schedule_length=2 steps", "save_every=2 steps"]  # fmt: skip


def sound_inputs(inputs: Path) -> None:
    """Write what is sound: ``crnn.onnx``, and ``words``, an LMDB with values of all sizes."""

    def write() -> int:
        from crnn.cli.main import main

        main(["export", str(CHECKPOINT), str(inputs / "crnn.onnx")])
        write_words(inputs / "words", 150)
        return main(["prepare", str(inputs / "words"), str(inputs / "bins"), "--label", str(inputs / "label.txt")])  # fmt: skip

    ended = Child(write).end()
    assert ended.code == 0, ended.text


def write_words(folder: Path, count: int) -> None:
    """Write an LMDB whose tree has branch pages, and values in and outside of its leaves."""
    import io

    from PIL import Image

    from crnn.samples.lmdb import LmdbSamples
    from crnn.samples.lmdb_writer import LmdbWriter

    folder.mkdir()
    writer = LmdbWriter(folder)
    samples = LmdbSamples(ROOT / "examples" / "words_lmdb")
    for number in range(1, count + 1):
        sample = samples.sample(number)
        assert sample.image is not None
        image = sample.image
        if number % 3 == 0:
            file = io.BytesIO()
            Image.open(io.BytesIO(image)).resize((100 + number, 40)).save(file, "BMP")
            image = file.getvalue()
        writer.add(image, sample.label or "")
    writer.finish()
    writer.close()


def readers(data: Path, place: Path, inputs: Path) -> Commands:
    """Return the verbs that read words: of one file, all four."""
    out = place / "out"
    return [
        ["dataset", "check", data],
        ["evaluate", inputs / "crnn.onnx", data, "--threads", 1],
        ["prepare", data, out / "bins", "--label", out / "label.txt"],
        ["train", "modelzoo-1p", f"train={data}", f"valid={inputs / 'words'}", *TINY, "--out", out / "run"],
    ]  # fmt: skip


# LMDBs


def _damaged_lmdb(chance: random.Random, place: Path, inputs: Path) -> Commands:
    data = bytearray((inputs / "words" / "data.mdb").read_bytes())
    chance.choice(_DAMAGES)(data, chance)
    folder = place / "damaged"
    folder.mkdir()
    (place / "out").mkdir()
    (folder / "data.mdb").write_bytes(data)
    return readers(folder, place, inputs)


def _bytes(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 4, 100))):
        data[chance.randrange(len(data))] = chance.randrange(256)


def _structure(data: bytearray, chance: random.Random) -> None:
    """Change bytes among the first of pages, where their numbers stand."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        page = chance.randrange(len(data) // 4096)
        data[page * 4096 + chance.randrange(64)] = chance.randrange(256)


def _zeros(data: bytearray, chance: random.Random) -> None:
    size = chance.choice((64, 512, 4096, 65536))
    start = chance.randrange(len(data)) // size * size
    data[start : start + size] = bytes(len(data[start : start + size]))


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.choice((chance.randrange(len(data)), len(data) - chance.randrange(4096))) :]


def _page_number(data: bytearray, chance: random.Random) -> None:
    """Put another page's number where a page, a branch or a value holds one."""
    pages = len(data) // 4096
    number = struct.pack(
        "<Q", chance.choice((0, 1, chance.randrange(pages), pages, 2**47, 2**64 - 1))
    )
    how = chance.randrange(4)
    page = chance.randrange(pages)
    if how == 0:  # the root's, in one of the metadata or both
        for meta in chance.choice(((0,), (1,), (0, 1))):
            data[meta * 4096 + 128 : meta * 4096 + 136] = number
    elif how == 1:  # a page's own
        data[page * 4096 : page * 4096 + 8] = number
    elif how == 2:  # a value's
        for page in _pages(data, 2, chance):
            place = _node(data, page, chance)
            flags, key = struct.unpack_from("<HH", data, place + 4)
            if flags == 1:
                data[place + 8 + key : place + 16 + key] = number
                return
    else:  # a branch's
        for page in _pages(data, 1, chance)[:1]:
            place = _node(data, page, chance)
            data[place : place + 4] = number[:4]


def _count(data: bytearray, chance: random.Random) -> None:
    """Put a wrong count, length or place into the metadata, a page's head or a node."""
    value = chance.choice((0, 1, 2, 7, 255, 4095, 4096, 32767, 65535))
    how = chance.randrange(3)
    if how == 0:
        place = chance.choice((24, 32, 40, 88, 92, 94, 96, 104, 112, 120, 136, 144))
        for meta in chance.choice(((0,), (1,), (0, 1))):
            struct.pack_into("<H", data, meta * 4096 + place, value)
        return
    pages = _pages(data, chance.choice((1, 2, 2, 4)), chance)
    if not pages:
        return
    if how == 1:
        struct.pack_into("<H", data, pages[0] * 4096 + chance.choice((10, 12, 14)), value)
        return
    place = _node(data, pages[0], chance)
    struct.pack_into("<H", data, place + chance.choice((0, 2, 4, 6)), value)


def _pages(data: bytearray, kind: int, chance: random.Random) -> Sequence[int]:
    found = [
        page for page in range(2, len(data) // 4096)
        if data[page * 4096 + 10] == kind and data[page * 4096 + 11] == 0
        and data[page * 4096 : page * 4096 + 8] == struct.pack("<Q", page)
    ]  # fmt: skip
    chance.shuffle(found)
    return found


def _node(data: bytearray, page: int, chance: random.Random) -> int:
    (lower,) = struct.unpack_from("<H", data, page * 4096 + 12)
    keys = max(1, (lower - 16) // 2)
    (place,) = struct.unpack_from("<H", data, page * 4096 + 16 + 2 * chance.randrange(keys))
    return min(page * 4096 + place, len(data) - 600)


_Damage = Callable[[bytearray, random.Random], None]
_DAMAGES: Tuple[_Damage, ...] = (_bytes, _structure, _structure, _zeros, _cut, _page_number, _page_number, _count, _count)  # fmt: skip

KINDS = (Kind("lmdb", _damaged_lmdb),)
