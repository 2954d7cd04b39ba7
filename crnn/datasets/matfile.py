"""MATLAB files of versions 5 to 7.2, streamed: structs, cells, text and numbers, every size checked
before it is used.

The format is MathWorks' "MAT-File Format" (R2024a), level 5. It is read here, and not by SciPy,
because SciPy's reader crashes the process on some damaged files, and holds all of SynthText's boxes
in memory.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from crnn.errors import InputError
from crnn.python37 import prod

MAX_INFLATED = 8 << 30
"""Compressed variables that inflate to more bytes are refused; SynthText's boxes are the largest
known, at 1.5 GB.
"""
MAX_ELEMENT = 256 << 20
"""So is one array or text of more bytes."""

_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC = range(6, 16)
_CLASSES = {3: "object", 5: "sparse array", 16: "function", 17: "object"}
_MAX_DEPTH = 8
_MAX_FIELD = 64


class Variable(NamedTuple):
    """A variable's name, MATLAB class, dimensions and, for a struct, field names."""

    name: str
    kind: int
    dims: Tuple[int, ...]
    fields: Tuple[str, ...]


def variables(path: Path) -> List[Variable]:
    """Return what the file holds; no more than the head of each variable is inflated.

    Raises `InputError`.
    """
    with _errors(path), open(path, "rb") as file:
        return [_opened(stream)[0] for stream in _streams(file, path)]


def cells(path: Path, name: str) -> Iterator[Any]:
    """Stream the elements of a cell array, column by column.

    Raises `InputError` where there is none of this name.
    """
    with _errors(path), open(path, "rb") as file:
        variable, stream = _find(file, path, name)
        if variable.kind != _CELL:
            raise InputError(f"{path}: {name} is not a cell array")
        for _ in range(_count(variable.dims)):
            yield _value(stream, 1)


def struct_rows(path: Path, name: str, fields: Sequence[str]) -> Iterator[Tuple[Any, ...]]:
    """Stream these fields of a struct array's elements, None for one that it lacks."""
    with _errors(path), open(path, "rb") as file:
        variable, stream = _find(file, path, name)
        for _ in range(_count(variable.dims)):
            row = {field: _value(stream, 1) for field in variable.fields}
            yield tuple(row.get(field) for field in fields)


def text(value: Any) -> str:
    """Return a text, or the only one of a cell; "" for an empty array.

    Raises ValueError for anything else.
    """
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, (list, np.ndarray)) and not len(value):
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} where text was expected")
    return value


def texts(value: Any) -> Tuple[str, ...]:
    """Return the texts of a cell array, or of a char array with a text a row."""
    if isinstance(value, np.ndarray) and not value.size:
        return ()
    return tuple(text(element) for element in (value if isinstance(value, list) else [value]))


# --- the bytes
# --------------------------------------------------------------------------------------------------


@dataclass
class _Stream:
    """A variable's bytes, inflated as they are asked for."""

    file: IO[bytes]
    left: int
    order: str
    inflate: Any = None
    buffer: bytes = b""
    place: int = 0
    total: int = 0

    def read(self, size: int) -> bytes:
        if size > MAX_ELEMENT:
            raise ValueError(f"an element of {size} bytes; the limit is {MAX_ELEMENT}")
        if len(self.buffer) - self.place < size:
            parts = [self.buffer[self.place :]]
            there = len(parts[0])
            while there < size:
                parts.append(self._more(max(size - there, 1 << 16)))
                there += len(parts[-1])
            self.buffer, self.place = b"".join(parts), 0
        self.place += size
        return self.buffer[self.place - size : self.place]

    def _more(self, size: int) -> bytes:
        if self.inflate is None:
            data = self.file.read(min(self.left, size))
            self.left -= len(data)
        else:
            data = b""
            while not data and not self.inflate.eof:
                packed = self.inflate.unconsumed_tail or self.file.read(min(self.left, 1 << 16))
                if not self.inflate.unconsumed_tail:
                    self.left -= len(packed)
                if not packed:
                    break
                data = self.inflate.decompress(packed, size)
            self.total += len(data)
            if self.total > MAX_INFLATED:
                raise ValueError(
                    f"a variable inflates to more than {MAX_INFLATED} bytes; it is refused"
                )
        if not data:
            raise ValueError("the data end inside an element")
        return data


def _streams(file: IO[bytes], path: Path) -> Iterator[_Stream]:
    """Yield each variable's bytes; they are read before the next is asked for."""
    order = _order(file.read(128), path)
    end = path.stat().st_size
    position = 128
    while position < end:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            raise ValueError("the data end inside an element")
        kind, size = struct.unpack(f"{order}II", head)
        if position + 8 + size > end:
            raise ValueError(
                f"an element of {size} bytes ends {position + 8 + size - end} bytes beyond the end"
            )
        if kind == _COMPRESSED:
            yield _Stream(file, size, order, zlib.decompressobj())
        elif kind == _MATRIX:
            yield _Stream(file, 8 + size, order, None, head)
        position += 8 + size


def _order(header: bytes, path: Path) -> str:
    if header.startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise InputError(
            f"{path} is a MATLAB 7.3 (HDF5) file", hint="Save it in MATLAB with: save(…, '-v7')"
        )
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if not header.startswith(b"MATLAB 5") or order is None:
        raise InputError(f"{path} begins with {header[:20]!r}; expected a MATLAB 5 file (.mat)")
    return order


def _find(file: IO[bytes], path: Path, name: str) -> Tuple[Variable, _Stream]:
    found = []
    for stream in _streams(file, path):
        variable, _ = _opened(stream)
        if variable.name == name:
            return variable, stream
        found.append(variable.name)
    raise InputError(f"{path} holds no {name}; it holds {', '.join(found) or 'nothing'}")


# --- elements
# --------------------------------------------------------------------------------------------------


def _opened(stream: _Stream) -> Tuple[Variable, _Stream]:
    """Read a variable's head; the stream then stands at its content."""
    kind, size, _ = _tag(stream)
    if kind != _MATRIX or not size:
        raise ValueError(f"an element of type {kind} where an array was expected")
    return _head(stream), stream


def _head(stream: _Stream) -> Variable:
    flags = _integers(stream, "u4")
    if len(flags) != 2:
        raise ValueError(f"{len(flags)} array flags; expected 2")
    kind = flags[0] & 0xFF
    dims = tuple(_integers(stream, "i4"))
    if not 2 <= len(dims) <= 32 or any(dim < 0 for dim in dims):
        raise ValueError(f"dimensions {dims[:4]}")
    name = _data(stream)[1].decode("latin-1")
    if flags[0] & 0x800:
        raise ValueError(f"{name!r} holds complex numbers")
    return Variable(name, kind, dims, _field_names(stream) if kind == _STRUCT else ())


def _field_names(stream: _Stream) -> Tuple[str, ...]:
    lengths = _integers(stream, "i4")
    if len(lengths) != 1 or not 1 <= lengths[0] <= _MAX_FIELD:
        raise ValueError(f"field names of {lengths[:4]} bytes")
    data = _data(stream)[1]
    names = [data[start : start + lengths[0]] for start in range(0, len(data), lengths[0])]
    return tuple(name.split(b"\0")[0].decode("latin-1") for name in names)


def _value(stream: _Stream, depth: int) -> Any:
    """Read an array:

    text as str (several rows as list), numbers as ndarray, cells as list, structs as list of dict.
    """
    kind, size, _ = _tag(stream)
    if kind != _MATRIX:
        raise ValueError(f"an element of type {kind} where an array was expected")
    if not size:
        return np.empty((0, 0))
    if depth > _MAX_DEPTH:
        raise ValueError(f"cells in cells, {depth} deep")
    head = _head(stream)
    if head.kind in (_CELL, _STRUCT):
        return _elements(stream, head, size, depth)
    if head.kind == _CHAR:
        return _text(stream, head.dims)
    if head.kind in _NUMERIC:
        return _numeric(stream, head.dims)
    raise ValueError(f"a MATLAB {_CLASSES.get(head.kind, f'class {head.kind}')}, which is not read")


def _elements(stream: _Stream, head: Variable, size: int, depth: int) -> List[Any]:
    count = _count(head.dims)
    # Each element takes eight bytes or more: dimensions that promise more than there is are found
    # out here.
    if count * 8 * max(1, len(head.fields)) > size:
        raise ValueError(f"{count} elements in {size} bytes")
    if head.kind == _CELL:
        return [_value(stream, depth + 1) for _ in range(count)]
    return [{field: _value(stream, depth + 1) for field in head.fields} for _ in range(count)]


def _text(stream: _Stream, dims: Tuple[int, ...]) -> Any:
    kind, data = _data(stream)
    if kind not in _TEXTS:
        raise ValueError(f"text of type {kind}")
    encoding = _TEXTS[kind]
    if encoding.startswith("utf-") and encoding != "utf-8":
        encoding += "-le" if stream.order == "<" else "-be"
    decoded = data.decode(encoding)
    rows = dims[0]
    if rows <= 1 or not decoded:  # one row is the rule
        return decoded
    if len(decoded) != _count(dims):
        raise ValueError(f"{len(decoded)} characters for dimensions {dims[:4]}")
    # Characters stand column by column.
    return [decoded[row::rows] for row in range(rows)]


def _numeric(stream: _Stream, dims: Tuple[int, ...]) -> np.ndarray:
    kind, data = _data(stream)
    if kind not in _NUMBERS:
        raise ValueError(f"numbers of type {kind}")
    values = np.frombuffer(data, dtype=stream.order + _NUMBERS[kind])
    if len(values) != _count(dims):
        raise ValueError(f"{len(values)} numbers for dimensions {dims[:4]}")
    return values.reshape(dims, order="F")


def _integers(stream: _Stream, kind: str) -> List[int]:
    data = _data(stream)[1]
    if len(data) > 256 or len(data) % 4:
        raise ValueError(f"{len(data)} bytes of array flags or dimensions")
    return [int(value) for value in np.frombuffer(data, dtype=stream.order + kind)]


def _data(stream: _Stream) -> Tuple[int, bytes]:
    """Read an element's type and bytes, and the padding after them."""
    kind, size, small = _tag(stream)
    if small is not None:
        return kind, small
    data = stream.read(size)
    stream.read(-size % 8)
    return kind, data


def _tag(stream: _Stream) -> Tuple[int, int, Any]:
    head = stream.read(8)
    kind, size = struct.unpack(f"{stream.order}II", head)
    if kind >> 16:  # up to four bytes stand in the tag itself
        size = kind >> 16
        if size > 4:
            raise ValueError(f"a small element of {size} bytes")
        return kind & 0xFFFF, size, head[4 : 4 + size]
    return kind, size, None


def _count(dims: Sequence[int]) -> int:
    return prod(dims)


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read as a MATLAB file: {error}",
            hint="It may be damaged: fetch it again.",
        ) from error
