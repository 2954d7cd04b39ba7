"""The pages of an LMDB, looked at before liblmdb maps them: it trusts them, and a wrong number in
one ends the process by an assertion or by a signal.

What is looked at is all that liblmdb follows on its way to a value: the two pages of metadata, each
branch and leaf page, each node of them, and the first page of each value that has pages of its own.
The layout is that of LMDB 0.9 on 64-bit machines of little-endian order (mdb.c: MDB_page, MDB_node,
MDB_db, MDB_meta; MDB_DATA_VERSION 1). What a value holds is not looked at.
"""

from __future__ import annotations

import mmap
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np

from crnn.errors import InputError

_MAGIC = 0xBEEFC0DE
_VERSION = 1
_PAGE_HEADER, _NODE_HEADER, _NUMBER = 16, 8, 8
_META_SIZE = 152
_BRANCH, _LEAF, _OVERFLOW, _META = 1, 2, 4, 8
_KINDS = 0x6F
"""The bits of a page's flags that say what it is; the others mean nothing in a file."""
_BIG, _SUB = 1, 2
_EMPTY = 2**64 - 1
_DEEPEST = 32
"""CURSOR_STACK: deeper trees are refused by liblmdb."""
_LONGEST_KEY = 511
_AT_ONCE = 512
"""Pages that are looked at in one go; their bytes are copied."""


@dataclass(frozen=True)
class _Tree:
    """What the newest metadata say of the file: flags, entries and leaf pages are the main
    database's.
    """

    page_size: int
    last_page: int
    flags: int
    leaves: int
    entries: int
    root: int


@dataclass(frozen=True)
class _Nodes:
    """The nodes of some pages: each one's page and place in it, and the four numbers it begins
    with.
    """

    page: np.ndarray
    place: np.ndarray
    low: np.ndarray
    high: np.ndarray
    flags: np.ndarray
    key_size: np.ndarray


def require_sound_pages(file: Path) -> None:
    """Refuse an LMDB that would make liblmdb read what is not there.

    A file that is not an LMDB at all, or of another version, is left for liblmdb to refuse.

    Args:
        file: The ``data.mdb``.

    Raises:
        InputError: The file is cut off, or one of its pages is damaged.
    """
    if sys.byteorder != "little" or sys.maxsize < 2**32:
        return
    size = file.stat().st_size
    if size < _PAGE_HEADER + _META_SIZE:
        return
    with open(file, "rb") as opened:
        tree = _tree(file, opened.fileno())
        if tree is None:
            return
        expected = (tree.last_page + 1) * tree.page_size
        if size < expected:
            raise InputError(
                f"{file} is cut off: it has {size} bytes; its header says at least {expected}",
                hint="The download or copy is incomplete: fetch it again.",
            )
        if tree.root == _EMPTY:
            return
        # Closed with the last array that stands on it: an error's traceback may hold one.
        mapped = mmap.mmap(opened.fileno(), size, access=mmap.ACCESS_READ)
    pages = np.frombuffer(mapped, np.uint8, expected).reshape(-1, tree.page_size)
    _Walk(file, pages, tree).walk()


def _tree(file: Path, descriptor: int) -> Optional[_Tree]:
    """Return what the newer of the two metadata says; None where liblmdb will refuse the file."""
    first = _meta(os.pread(descriptor, _PAGE_HEADER + _META_SIZE, 0))
    if first is None:
        return None
    size = first[0].page_size
    if not 256 <= size <= 65536 or size & (size - 1):
        raise _damaged(file, 0, f"its pages have {size} bytes")
    second = _meta(os.pread(descriptor, _PAGE_HEADER + _META_SIZE, size))
    if second is None:
        return None
    newest = first
    if first[1] < second[1]:
        newest = second
    tree = newest[0]
    if tree.page_size != size:
        raise _damaged(file, 1, f"its pages have {tree.page_size} bytes; page 0 says {size}")
    if tree.flags:
        raise _damaged(file, 0, f"the flags of its keys are {tree.flags}; expected 0")
    if tree.last_page >= 2**48:
        raise _damaged(file, 0, f"its last page is {tree.last_page}")
    return tree


def _meta(data: bytes) -> Optional[Tuple[_Tree, int]]:
    if len(data) < _PAGE_HEADER + _META_SIZE:
        return None
    short = np.frombuffer(data, np.uint16)
    words = np.frombuffer(data, np.uint32)
    longs = np.frombuffer(data, np.uint64)
    is_meta = int(short[5]) & _META
    if not is_meta or int(words[4]) != _MAGIC or int(words[5]) != _VERSION:
        return None
    tree = _Tree(
        page_size=int(words[10]),
        last_page=int(longs[17]),
        flags=int(short[46]),
        leaves=int(longs[13]),
        entries=int(longs[15]),
        root=int(longs[16]),
    )
    return tree, int(longs[18])


class _Walk:
    """One walk through the main database's tree, level by level."""

    def __init__(self, file: Path, pages: np.ndarray, tree: _Tree) -> None:
        self._file, self._pages, self._tree = file, pages, tree
        self._entries = 0
        self._big: List[np.ndarray] = []

    def walk(self) -> None:
        level = np.array([self._tree.root], np.uint64)
        for _ in range(_DEEPEST):
            self._require_pages(level, "a page of its tree")
            level = level.astype(np.int64)
            if self._kind(int(level[0])) == _LEAF:
                self._walk_leaves(level)
                return
            level = np.concatenate([self._children(part) for part in _parts(level)])
        raise self._damaged(self._tree.root, f"its tree is deeper than {_DEEPEST} pages")

    def _walk_leaves(self, level: np.ndarray) -> None:
        for part in _parts(level):
            self._look_at_leaves(part)
        tree = self._tree
        if (len(level), self._entries) != (tree.leaves, tree.entries):
            what = f"{tree.entries} keys on {tree.leaves} pages are declared"
            found = f"{self._entries} on {len(level)} are there"
            raise self._damaged(tree.root, f"{what}; {found}")
        if self._big:
            self._require_pages(np.concatenate(self._big), "a value")

    def _children(self, numbers: np.ndarray) -> np.ndarray:
        """Return the numbers of the pages below some branch pages."""
        nodes = self._nodes(numbers, _BRANCH, least=2)
        self._require_inside(nodes, nodes.key_size.astype(np.int64))
        children = nodes.low.astype(np.uint64)
        children |= nodes.high.astype(np.uint64) << np.uint64(16)
        children |= nodes.flags.astype(np.uint64) << np.uint64(32)
        return children

    def _look_at_leaves(self, numbers: np.ndarray) -> None:
        nodes = self._nodes(numbers, _LEAF, least=1)
        self._entries += len(nodes.page)
        wrong = (nodes.key_size == 0) | (nodes.key_size > _LONGEST_KEY)
        self._refuse(nodes.page, wrong, "a key's length is wrong")
        big = nodes.flags == _BIG
        known = big | (nodes.flags == 0) | (nodes.flags == _SUB)
        self._refuse(nodes.page, ~known, "a key's flags are wrong")
        size = nodes.low.astype(np.int64) | (nodes.high.astype(np.int64) << 16)
        inside = np.where(big, _NUMBER, size)
        self._require_inside(nodes, nodes.key_size + inside)
        if big.any():
            self._look_at_values(nodes, big, size[big])

    def _look_at_values(self, nodes: _Nodes, big: np.ndarray, size: np.ndarray) -> None:
        """Look at the first pages of values that have pages of their own."""
        page = nodes.page[big]
        start = nodes.place[big] + _NODE_HEADER + nodes.key_size[big]
        numbers = np.zeros(len(page), np.uint64)
        for byte in range(_NUMBER):
            shift = np.uint64(8 * byte)
            numbers |= self._pages[page, start + byte].astype(np.uint64) << shift
        count = (_PAGE_HEADER - 1 + size) // self._tree.page_size + 1
        beyond = numbers + count.astype(np.uint64) > np.uint64(len(self._pages))
        wrong = (numbers < 2) | (numbers >= np.uint64(len(self._pages))) | beyond
        self._refuse(page, wrong, "a value's pages are not in the file")
        heads = self._pages[numbers.astype(np.int64), :_PAGE_HEADER]
        same = heads.view(np.uint64)[:, 0] == numbers
        kind = heads.view(np.uint16)[:, 5] & _KINDS
        counted = heads.view(np.uint32)[:, 3] == count
        self._refuse(page, ~(same & (kind == _OVERFLOW) & counted), "a value's page is another's")
        self._big.append(numbers)

    def _nodes(self, numbers: np.ndarray, kind: int, *, least: int) -> _Nodes:
        """Return the nodes of pages that must be of one kind and have so many nodes."""
        size = self._tree.page_size
        pages = self._pages[numbers]
        short = pages.view(np.uint16)
        same = pages.view(np.uint64)[:, 0] == numbers.astype(np.uint64)
        self._refuse(numbers, ~same, "it is another page")
        self._refuse(numbers, (short[:, 5] & _KINDS) != kind, "its kind is wrong")
        lower, upper = short[:, 6].astype(np.int64), short[:, 7].astype(np.int64)
        count = (lower - _PAGE_HEADER) >> 1
        wrong = (lower % 2 == 1) | (lower > upper) | (upper > size) | (count < least)
        self._refuse(numbers, wrong, "the place of its keys is wrong")
        most = int(count.max())
        row, column = np.nonzero(np.arange(most) < count[:, None])
        place = short[row, 8 + column].astype(np.int64)
        wrong = (place % 2 == 1) | (place < upper[row]) | (place > size - _NODE_HEADER)
        self._refuse(numbers[row], wrong, "a key's place is wrong")
        start = place >> 1
        return _Nodes(
            page=numbers[row],
            place=place,
            low=short[row, start],
            high=short[row, start + 1],
            flags=short[row, start + 2],
            key_size=short[row, start + 3].astype(np.int64),
        )

    def _require_inside(self, nodes: _Nodes, size: np.ndarray) -> None:
        wrong = nodes.place + _NODE_HEADER + size > self._tree.page_size
        self._refuse(nodes.page, wrong, "a key or value ends outside of it")

    def _require_pages(self, numbers: np.ndarray, what: str) -> None:
        wrong = (numbers < 2) | (numbers >= np.uint64(len(self._pages)))
        if wrong.any():
            number = int(numbers[wrong][0])
            raise self._damaged(number, f"{what}, but the file has {len(self._pages)} pages")
        ordered = np.sort(numbers)
        twice = ordered[1:] == ordered[:-1]
        if twice.any():
            raise self._damaged(int(ordered[1:][twice][0]), f"it is {what} twice")

    def _kind(self, number: int) -> int:
        return int(self._pages[number, :_PAGE_HEADER].view(np.uint16)[5]) & _KINDS

    def _refuse(self, pages: np.ndarray, wrong: np.ndarray, what: str) -> None:
        if wrong.any():
            raise self._damaged(int(pages[wrong][0]), what)

    def _damaged(self, page: int, what: str) -> InputError:
        return _damaged(self._file, page, what)


def _damaged(file: Path, page: int, what: str) -> InputError:
    return InputError(
        f"{file} is damaged: page {page}: {what}",
        hint="Fetch or copy it again, and compare its size and checksum with the original's.",
    )


def _parts(numbers: np.ndarray) -> List[np.ndarray]:
    return [numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE)]
