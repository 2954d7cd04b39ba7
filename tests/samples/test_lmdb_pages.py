"""A damaged LMDB is told by name before liblmdb maps it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Callable

import lmdb
import pytest

from crnn.cli.main import main
from crnn.errors import InputError
from crnn.samples.lmdb import LmdbSamples
from crnn.samples.lmdb_pages import require_sound_pages
from crnn.samples.lmdb_writer import LmdbWriter

PAGE = 4096


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six hundred words, of which every third has pages of its own."""
    writer = LmdbWriter(folder := _made(tmp_path / "words"))
    for number in range(600):
        writer.add(bytes([number % 251]) * (100 + 1700 * (number % 3)), f"word{number}")
    writer.finish()
    writer.close()
    return folder / "data.mdb"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def kinds(data: bytes, kind: int) -> list[int]:
    pages = range(2, len(data) // PAGE)
    heads = {page: struct.unpack_from("<QHH", data, page * PAGE) for page in pages}
    return [page for page in pages if heads[page] == (page, 0, kind)]


def node(data: bytearray, page: int, number: int) -> int:
    return page * PAGE + struct.unpack_from("<H", data, page * PAGE + 16 + 2 * number)[0]


def big(data: bytearray) -> int:
    """Return the place of a node whose value has pages of its own."""
    for page in kinds(data, 2):
        for number in range((struct.unpack_from("<H", data, page * PAGE + 12)[0] - 16) // 2):
            place = node(data, page, number)
            if struct.unpack_from("<H", data, place + 4) == (1,):
                return place
    raise AssertionError("no large value")


def at(kind: int, offset: int, value: int) -> Callable[[bytearray], None]:
    """Return what puts a number of 16 bits into the second page of a kind."""

    def damage(data: bytearray) -> None:
        struct.pack_into(
            "<H", data, kinds(data, kind)[1 % len(kinds(data, kind))] * PAGE + offset, value
        )

    return damage


def in_node(kind: int, offset: int, value: int) -> Callable[[bytearray], None]:
    def damage(data: bytearray) -> None:
        struct.pack_into("<H", data, node(data, kinds(data, kind)[0], 1) + offset, value)

    return damage


def in_value(number: int) -> Callable[[bytearray], None]:
    def damage(data: bytearray) -> None:
        struct.pack_into("<Q", data, big(data) + 8 + len("image-000000001"), number)

    return damage


def root(number: int) -> Callable[[bytearray], None]:
    def damage(data: bytearray) -> None:
        for meta in (0, 1):
            struct.pack_into("<Q", data, meta * PAGE + 128, number)

    return damage


def of_both(offset: int, value: int) -> Callable[[bytearray], None]:
    def damage(data: bytearray) -> None:
        for meta in (0, 1):
            struct.pack_into("<H", data, meta * PAGE + offset, value)

    return damage


def cut(data: bytearray) -> None:
    del data[-PAGE:]


def zeroed(data: bytearray) -> None:
    page = kinds(data, 2)[3]
    data[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)


DAMAGES = {
    "a cut file": (cut, "is cut off"),
    "a zeroed page": (zeroed, "it is another page"),
    "the root beyond the end": (root(2**40), "a page of its tree, but the file has"),
    "the root among the metadata": (root(1), "a page of its tree, but the file has"),
    "pages of no size": (of_both(40, 3), "its pages have 3 bytes"),
    "keys in another order": (of_both(92, 4), "the flags of its keys are 4"),
    "more entries": (of_both(120, 9), "9 keys on"),
    "a leaf that is another page": (at(2, 0, 7), "it is another page"),
    "a leaf that is a branch": (at(2, 10, 1), "its kind is wrong"),
    "an odd end of the keys": (at(2, 12, 33), "the place of its keys is wrong"),
    "no keys": (at(2, 12, 16), "the place of its keys is wrong"),
    "a page of keys": (at(2, 14, 65535), "the place of its keys is wrong"),
    "a key outside": (at(2, 16, 65534), "a key's place is wrong"),
    "a branch's key outside": (at(1, 16, 4094), "a key's place is wrong"),
    "a branch of one": (at(1, 12, 18), "the place of its keys is wrong"),
    "a branch to the metadata": (in_node(1, 0, 1), "a page of its tree, but the file has"),
    "a branch to nowhere": (in_node(1, 2, 255), "a page of its tree, but the file has"),
    "a key of no length": (in_node(2, 6, 0), "a key's length is wrong"),
    "a key too long": (in_node(2, 6, 600), "a key's length is wrong"),
    "a node that is a tree": (in_node(2, 4, 4), "a key's flags are wrong"),
    "a value without end": (in_node(2, 2, 200), "ends outside of it|are not in the file"),
    "a value beyond the end": (in_value(2**40), "are not in the file"),
    "a value among the metadata": (in_value(0), "are not in the file"),
    "a value on a leaf": (in_value(9), "another's"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damage_is_told_by_name(case: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage, message = DAMAGES[case]
    content = bytearray(data.read_bytes())
    before = bytes(content)
    damage(content)
    assert bytes(content) != before
    data.write_bytes(content)
    with pytest.raises(InputError, match=message):
        require_sound_pages(data)
    assert main(["dataset", "check", str(data.parent)]) == 1
    assert f"crnn: error: {data} is" in capsys.readouterr().err


def test_a_page_that_is_there_twice(data: Path) -> None:
    content = bytearray(data.read_bytes())
    branch = kinds(content, 1)[0]
    content[node(content, branch, 1) : node(content, branch, 1) + 6] = content[
        node(content, branch, 0) : node(content, branch, 0) + 6
    ]
    data.write_bytes(content)
    with pytest.raises(InputError, match="it is a page of its tree twice"):
        require_sound_pages(data)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 3000])
def test_sound_files_are_read(count: int, tmp_path: Path) -> None:
    folder = tmp_path / "words"
    with lmdb.open(str(folder), map_size=1 << 27) as environment:
        for start in range(0, count, 500):
            with environment.begin(write=True) as writing:
                for number in range(start, min(count, start + 500)):
                    writing.put(b"image-%09d" % (number * 7919 % 10007), bytes(number % 9000))
                    writing.put(b"k" * (1 + number % 511), b"")
        # Pages that nobody uses any more, among those that are in use.
        with environment.begin(write=True) as writing:
            for number in range(0, count, 3):
                writing.delete(b"image-%09d" % (number * 7919 % 10007))
    require_sound_pages(folder / "data.mdb")


def test_a_database_inside_is_no_damage(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / "words"), max_dbs=2) as environment:
        inner = environment.open_db(b"inner")
        with environment.begin(write=True) as writing:
            writing.put(b"image-000000001", b"x")
            writing.put(b"image-000000001", b"y", db=inner)
    require_sound_pages(tmp_path / "words" / "data.mdb")
    assert len(LmdbSamples(tmp_path / "words")) == 1


def test_a_render_that_goes_on_looks_at_what_is_there(data: Path) -> None:
    content = bytearray(data.read_bytes())
    zeroed(content)
    data.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        LmdbWriter(data.parent)
