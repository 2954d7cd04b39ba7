"""MATLAB files as SciPy writes them, and the forms that it does not write, byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from crnn.datasets.matfile import cells, struct_rows, text, texts, variables
from crnn.errors import InputError
from tests.datasets.sources import put


def cell(*values: Any) -> np.ndarray:
    array = np.empty((1, len(values)), dtype=object)
    for place, value in enumerate(values):
        array[0, place] = value
    return array


def saved(tmp_path: Path, compressed: bool, **values: Any) -> Path:
    savemat(tmp_path / "x.mat", values, do_compression=compressed)
    return tmp_path / "x.mat"


def plain(value: Any) -> Any:
    """Lists and texts; SciPy writes an empty cell as an empty array of numbers."""
    if isinstance(value, list):
        return [plain(element) for element in value]
    return [] if isinstance(value, np.ndarray) else value


VALUES = {
    "text": ("CAFÉ", "CAFÉ"),
    "an empty text": ("", ""),
    "text in rows": (np.array(["one", "two"]), ["one", "two"]),
    "text in rows of other lengths": (np.array(["a", "bcd"]), ["a  ", "bcd"]),
    "other scripts": ("中文 жук", "中文 жук"),
    "a cell": (cell("a", "b"), ["a", "b"]),
    "cells in a cell": (cell(cell("a"), cell()), [["a"], []]),
    "a struct": (
        np.array([[("x", 1.0)]], dtype=[("name", object), ("size", object)]),
        [{"name": "x", "size": 1.0}],
    ),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("case", VALUES)
def test_values_are_those_that_were_saved(case, compressed, tmp_path):
    value, expected = VALUES[case]
    (found,) = cells(saved(tmp_path, compressed, first=np.zeros(9), list=cell(value)), "list")
    if case == "a struct":
        assert [(row["name"], float(row["size"].item())) for row in found] == [("x", 1.0)]
    else:
        assert plain(found) == expected


@pytest.mark.parametrize("kind", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_keep_shape_and_value(kind, compressed, tmp_path):
    array = (np.arange(24) % 120).astype(kind).reshape(2, 4, 3)
    (found,) = cells(saved(tmp_path, compressed, list=cell(array)), "list")
    assert (found.shape, found.dtype) == ((2, 4, 3), array.dtype)
    assert (found == array).all()


def test_variables_are_listed(tmp_path):
    rows = np.zeros((1, 3), dtype=[("ImgName", object), ("chars", object)])
    found = variables(saved(tmp_path, True, a=np.zeros((2, 5)), b=rows, c=cell("x")))
    assert [(v.name, v.dims, v.fields) for v in found] == [
        ("a", (2, 5), ()),
        ("b", (1, 3), ("ImgName", "chars")),
        ("c", (1, 1), ()),
    ]


def test_struct_fields_come_as_asked_for(tmp_path):
    rows = np.zeros((1, 2), dtype=[("a", object), ("b", object)])
    rows[0, :] = [("one", 1.0), ("two", 2.0)]
    found = list(struct_rows(saved(tmp_path, False, rows=rows), "rows", ("b", "nothing", "a")))
    assert [(b.item(), nothing, a) for b, nothing, a in found] == [
        (1.0, None, "one"),
        (2.0, None, "two"),
    ]


def test_texts_of_every_shape():
    assert text([["x"]]) == "x"
    assert text(np.empty((0, 0))) == ""
    assert texts("x") == ("x",)
    assert texts(["a", ["b"], np.empty((0, 0))]) == ("a", "b", "")
    assert texts(np.empty((0, 0))) == ()
    for value in (np.arange(3.0), ["a", "b"], [{"a": 1}]):
        with pytest.raises(ValueError, match="where text was expected"):
            text(value)


# --- forms that SciPy does not write
# --------------------------------------------------------------------------------


def element(order: str, kind: int, data: bytes) -> bytes:
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def array(
    order: str, kind: int, dims: tuple[int, ...], name: bytes, content: bytes, flags: int = 0
) -> bytes:
    head = element(order, 6, struct.pack(f"{order}II", kind | flags, 0))
    head += element(order, 5, struct.pack(f"{order}{len(dims)}i", *dims)) + element(order, 1, name)
    return element(order, 14, head + content)


def file(tmp_path: Path, order: str, content: bytes) -> Path:
    mark = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    return put(tmp_path / "x.mat", b"MATLAB 5.0 MAT-file".ljust(124) + mark + content)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_and_utf_16(order, tmp_path):
    encoding = "utf-16-le" if order == "<" else "utf-16-be"
    word = array(order, 4, (1, 2), b"", element(order, 17, "é中".encode(encoding)))
    small = array(
        order, 9, (1, 2), b"", element(order, 2, b"\x03\x07")
    )  # uint8 classes store as they like
    path = file(tmp_path, order, array(order, 1, (1, 2), b"list", word + small))
    first, second = cells(path, "list")
    assert (first, second.tolist()) == ("é中", [[3, 7]])


NUMBER = array("<", 9, (1, 1), b"", element("<", 2, b"\x01"))
BROKEN = {
    "more cells than data": (array("<", 1, (1, 1 << 20), b"list", NUMBER), "data end inside"),
    "cells beyond all memory": (
        array("<", 1, (1 << 30, 1 << 30), b"list", NUMBER),
        "data end inside",
    ),
    "more inner cells than data": (
        array("<", 1, (1, 1), b"list", array("<", 1, (1, 1 << 20), b"", b"")),
        "elements in",
    ),
    "more numbers than data": (
        array(
            "<",
            1,
            (1, 1),
            b"list",
            array("<", 9, (1 << 15, 1 << 15), b"", element("<", 2, b"\x01")),
        ),
        "1 numbers for dimensions",
    ),
    "more rows of text than text": (
        array(
            "<",
            1,
            (1, 1),
            b"list",
            array("<", 4, ((1 << 31) - 1, 1), b"", element("<", 16, b"cat")),
        ),
        "3 characters for dimensions",
    ),
    "more columns of text than text": (
        array("<", 1, (1, 1), b"list", array("<", 4, (3, 2), b"", element("<", 16, b"cat"))),
        "3 characters for dimensions",
    ),
    "negative dimensions": (array("<", 1, (1, -1), b"list", b""), "dimensions"),
    "an object": (
        array("<", 1, (1, 1), b"list", array("<", 17, (1, 1), b"", b"")),
        "MATLAB object, which is not read",
    ),
    "a function": (
        array("<", 1, (1, 1), b"list", array("<", 16, (1, 1), b"", b"")),
        "function, which is not read",
    ),
    "sparse numbers": (
        array("<", 1, (1, 1), b"list", array("<", 5, (1, 1), b"", b"")),
        "sparse array",
    ),
    "complex numbers": (
        array("<", 1, (1, 1), b"list", array("<", 6, (1, 1), b"", b"", 0x800)),
        "complex numbers",
    ),
    "an element beyond the end": (struct.pack("<II", 14, 1 << 30), "bytes beyond the end"),
    "a byte too many": (b"\x00", "data end inside"),
    "no list": (
        array("<", 6, (1, 1), b"other", element("<", 9, bytes(8))),
        "holds no list; it holds other",
    ),
    "no cell": (
        array("<", 6, (1, 1), b"list", element("<", 9, bytes(8))),
        "list is not a cell array",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_refused(case, tmp_path):
    content, message = BROKEN[case]
    with pytest.raises(InputError, match=message):
        list(cells(file(tmp_path, "<", content), "list"))


def test_rows_of_no_text_are_not_counted_out(tmp_path):
    rows = array("<", 4, ((1 << 31) - 1, 0), b"", element("<", 16, b""))
    assert list(cells(file(tmp_path, "<", array("<", 1, (1, 1), b"list", rows)), "list")) == [""]


def test_cells_do_not_go_down_for_ever(tmp_path):
    nest = NUMBER
    for _ in range(200):
        nest = array("<", 1, (1, 1), b"", nest)
    with pytest.raises(InputError, match="cells in cells"):
        list(cells(file(tmp_path, "<", array("<", 1, (1, 1), b"list", nest)), "list"))
