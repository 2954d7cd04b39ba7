"""TensorFlow's checkpoints (version 2) and frozen graphs, read without TensorFlow.

A checkpoint is ``PREFIX.index`` and ``PREFIX.data-00000-of-0000N``. The index is a LevelDB table
(github.com/google/leveldb, doc/table_format.md): blocks of sorted keys, each stored as what it does
not share with the key before, and a footer that finds them. Its values are messages
(tensorflow/core/protobuf/tensor_bundle.proto) that say where in which data file a variable lies:
``dtype`` = 1, ``shape`` = 2, ``shard_id`` = 3, ``offset`` = 4, ``size`` = 5, ``crc32c`` = 6,
``slices`` = 7. A frozen graph is a GraphDef whose variables have become constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np

from crnn.crc32c import masked_crc
from crnn.errors import InputError
from crnn.filekind import refuse_foreign_folder, refuse_lfs_pointer, require_file
from crnn.protobuf import WireError, fields, payload, signed, varint
from crnn.python37 import prod
from crnn.weights.arrays import MAX_BYTES, array_of

WHAT = "a TensorFlow checkpoint (PREFIX of PREFIX.index and PREFIX.data-00000-of-00001)"
MAX_INDEX = 1 << 20
MAX_VARIABLES = 10_000
"""A training's checkpoint of a CRNN has 150 variables, and an index of 5000 bytes."""

_MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
_FOOTER = 48
_TYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "|u1",
    5: "<i2",
    6: "|i1",
    9: "<i8",
    10: "|b1",
    19: "<f2",
}
"""tensorflow/core/framework/types.proto."""


@dataclass(frozen=True)
class Variable:
    """A variable as the index has it; ``dtype`` is NumPy's, or the number that stands in the file
    where it has none.
    """

    name: str
    dtype: str
    shape: Tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    partitioned: bool


def read_tensorflow(path: Path, wanted: Callable[[str], bool]) -> Dict[str, np.ndarray]:
    """Return the tensors whose names are ``wanted``, of a checkpoint's prefix or of a frozen graph
    (``.pb``).

    Of a graph only constants of floating-point numbers are taken: the others steer its operators.
    The prefix may have ``.index``, ``.meta`` or ``.data-…`` after it. Every block of the index and
    every variable is held against its checksum. Raises `InputError` for everything that is no such
    file.
    """
    refuse_foreign_folder(path, WHAT)
    if path.name == "saved_model.pb":
        refuse_foreign_folder(path.parent, WHAT)
    try:
        if path.suffix == ".pb":
            return _read_frozen(path, wanted)
        return _read_checkpoint(_prefix(path), wanted)
    except WireError as error:
        raise InputError(
            f"{path} is damaged, or no TensorFlow file: {error}",
            hint=(
                "If it was copied or downloaded, compare the sizes and checksums with the"
                " originals'."
            ),
        ) from error


def _prefix(path: Path) -> Path:
    if ".data-" in path.name:
        name = path.name.split(".data-")[0]
    else:
        name = path.name
    for ending in (".index", ".meta"):
        if name.endswith(ending):
            name = name[: -len(ending)]
        else:
            name = name
    return path.with_name(name)


def _read_checkpoint(prefix: Path, wanted: Callable[[str], bool]) -> Dict[str, np.ndarray]:
    index = prefix.with_name(prefix.name + ".index")
    if not index.exists() and prefix.is_dir():
        found = sorted(prefix.glob("*.index"))
        hint = ""
        if found:
            hint = f"Give one of: {', '.join(str(file)[: -len('.index')] for file in found[:4])}"
        raise InputError(f"{prefix} is a folder; expected {WHAT}", hint=hint)
    require_file(index, WHAT)
    refuse_lfs_pointer(index)
    if index.stat().st_size > MAX_INDEX:
        raise InputError(f"{index} has {index.stat().st_size} bytes; the limit is {MAX_INDEX}")
    shards, variables = read_index(index.read_bytes())
    tensors = {}
    for number in range(shards):
        chosen = [
            variable for variable in variables if variable.shard == number and wanted(variable.name)
        ]
        if chosen:
            file = prefix.with_name(f"{prefix.name}.data-{number:05d}-of-{shards:05d}")
            require_file(file, f"the data file that belongs to {index.name}")
            refuse_lfs_pointer(file)
            tensors.update(_read_shard(file, chosen))
    return tensors


def _read_shard(path: Path, variables: List[Variable]) -> Dict[str, np.ndarray]:
    size = path.stat().st_size
    tensors = {}
    with open(path, "rb") as file:
        for variable in variables:
            name = variable.name
            if variable.offset + variable.size > size:
                end = variable.offset + variable.size
                raise InputError(
                    f"{path} is cut off: it has {size} bytes; {name} ends at byte {end}"
                )
            if variable.partitioned:
                raise InputError(
                    f"{path}: {name} is partitioned; only whole variables can be imported"
                )
            file.seek(variable.offset)
            data = file.read(variable.size)
            if masked_crc(data) != variable.checksum:
                raise WireError(
                    f"{path.name} does not have the checksum that the index gives for {name}"
                )
            tensors[name] = _array(name, variable.dtype, variable.shape, memoryview(data))
    return tensors


def read_index(data: bytes) -> Tuple[int, List[Variable]]:
    """Return the number of data files and the variables of an index file; `WireError` where it is
    none.
    """
    shards = 0
    variables = []
    for key, value in _table(memoryview(data)):
        if not key:
            shards = _header(value)
        else:
            variables.append(_variable(key, value))
        if len(variables) > MAX_VARIABLES:
            raise WireError(f"the index holds more than {MAX_VARIABLES} variables")
    if not 0 < shards <= 1000:
        raise WireError(f"the index speaks of {shards} data files")
    return shards, variables


def _table(data: memoryview) -> Iterator[Tuple[bytes, memoryview]]:
    """Yield the keys and values of a LevelDB table."""
    if len(data) < _FOOTER or data[-8:] != _MAGIC:
        raise WireError("it does not end as an index file does")
    footer = data[-_FOOTER:-8]
    _, position = _handle(footer, 0)  # of the block of filters, which such files do not have
    index, _ = _handle(footer, position)
    budget = 0
    for _, value in _block(data, index):
        handle, _ = _handle(value, 0)
        # Blocks lie side by side, so together they are no longer than the file.
        budget += handle[1]
        if budget > len(data):
            raise WireError("its blocks overlap")
        yield from _block(data, handle)


def _handle(data: memoryview, position: int) -> Tuple[Tuple[int, int], int]:
    offset, position = varint(data, position)
    size, position = varint(data, position)
    return (offset, size), position


def _block(data: memoryview, handle: Tuple[int, int]) -> Iterator[Tuple[bytes, memoryview]]:
    offset, size = handle
    # After a block stand one byte for its compression and four of checksum.
    if size < 4 or offset + size + 5 > len(data) - _FOOTER:
        raise WireError(f"a block of {size} bytes at {offset} is not within the file")
    stored = int.from_bytes(data[offset + size + 1 : offset + size + 5], "little")
    if masked_crc(data[offset : offset + size + 1]) != stored:
        raise WireError(f"the block at {offset} does not have its checksum")
    if data[offset + size]:
        raise WireError(
            f"the block at {offset} is compressed ({data[offset + size]}); TensorFlow writes plain"
            " ones"
        )
    block = data[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    end = size - 4 - 4 * restarts
    if end < 0:
        raise WireError(f"the block at {offset} has {restarts} restarts")
    key, position = b"", 0
    while position < end:
        shared, position = varint(block, position)
        added, position = varint(block, position)
        length, position = varint(block, position)
        if (
            shared > len(key)
            or added > end - position
            or length > end - position - added
            or shared + added > 4096
        ):
            raise WireError(f"an entry of the block at {offset} is not within it")
        key = key[:shared] + bytes(block[position : position + added])
        position += added
        yield key, block[position : position + length]
        position += length


def _header(data: memoryview) -> int:
    """BundleHeaderProto: ``num_shards`` = 1, ``endianness`` = 2."""
    numbers = {number: value for number, value in fields(data, most=100) if isinstance(value, int)}
    if numbers.get(2, 0):
        raise WireError("it was written on a big-endian machine")
    return numbers.get(1, 0)


def _variable(key: bytes, data: memoryview) -> Variable:
    try:
        name = key.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"a name is not text: {error}") from error
    numbers: Dict[int, int] = {}
    shape: Tuple[int, ...] = ()
    checksum = 0
    partitioned = False
    for number, value in fields(data, most=1000):
        if number == 2:
            shape = _shape(payload(value))
        elif number == 6:
            checksum = int.from_bytes(payload(value), "little")
        elif number == 7:
            partitioned = True
        elif isinstance(value, int):
            numbers[number] = value
    code = numbers.get(1, 0)
    shard, offset, size = (signed(numbers.get(number, 0)) for number in (3, 4, 5))
    if shard < 0 or offset < 0 or not 0 <= size <= MAX_BYTES:
        raise WireError(f"{name} lies at {offset}, {size} bytes, of data file {shard}")
    return Variable(
        name, _TYPES.get(code, str(code)), shape, shard, offset, size, checksum, partitioned
    )


def _shape(data: memoryview) -> Tuple[int, ...]:
    """TensorShapeProto: repeated ``dim`` = 2 of ``size`` = 1."""
    sides = []
    for number, value in fields(data, most=100):
        if number == 2:
            found = [
                signed(side)
                for key, side in fields(payload(value), most=10)
                if key == 1 and isinstance(side, int)
            ]
            sides.append(found[-1] if found else 0)
    return tuple(sides)


def _read_frozen(path: Path, wanted: Callable[[str], bool]) -> Dict[str, np.ndarray]:
    """GraphDef: repeated ``node`` = 1."""
    require_file(path, "a frozen graph (.pb)")
    refuse_lfs_pointer(path)
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has {path.stat().st_size} bytes; the limit is {MAX_BYTES}")
    tensors = {}
    for number, value in fields(memoryview(path.read_bytes())):
        if number == 1:
            name, tensor = _constant(payload(value))
            if tensor is not None and wanted(name):
                array = _tensor(name, tensor)
                if array is not None:
                    tensors[name] = array
    return tensors


def _constant(node: memoryview) -> Tuple[str, Optional[memoryview]]:
    """NodeDef:

    ``name`` = 1, ``op`` = 2, map ``attr`` = 5 from key = 1 to AttrValue = 2, whose ``tensor`` = 8.
    """
    name, kind, tensor = "", b"", None
    for number, value in fields(node, most=1000):
        if number == 1:
            name = bytes(payload(value)[:4096]).decode("utf-8", errors="replace")
        elif number == 2:
            kind = bytes(payload(value)[:64])
        elif number == 5:
            entry = dict(fields(payload(value), most=10))
            if 2 in entry and bytes(payload(entry.get(1, 0))) == b"value":
                tensor = next(
                    (payload(item) for key, item in fields(payload(entry[2]), most=10) if key == 8),
                    None,
                )
    return name, tensor if kind == b"Const" else None


def _tensor(name: str, data: memoryview) -> Optional[np.ndarray]:
    """TensorProto:

    ``dtype`` = 1, ``tensor_shape`` = 2, ``tensor_content`` = 4, ``float_val`` = 5.
    """
    code, content = 0, memoryview(b"")
    shape: Tuple[int, ...] = ()
    for number, value in fields(data):
        if number == 1 and isinstance(value, int):
            code = value
        elif number == 2:
            shape = _shape(payload(value))
        elif number in (4, 5) and not isinstance(value, int):
            content = value
    dtype = _TYPES.get(code, "")
    if np.dtype(dtype or "i4").kind != "f":
        return None
    if code == 1 and len(content) == 4 and _is_small(shape):
        # One value that fills the whole tensor is stored once.
        content = memoryview(bytes(content) * prod(shape))
    return _array(name, dtype, shape, content)


def _is_small(shape: Tuple[int, ...]) -> bool:
    return all(0 < side <= MAX_BYTES for side in shape) and prod(shape) < 1 << 16


def _array(name: str, dtype: str, shape: Tuple[int, ...], content: memoryview) -> np.ndarray:
    if dtype.isdigit():
        raise WireError(
            f"{name} has TensorFlow's data type {dtype}; expected one of"
            f" {', '.join(_TYPES.values())}"
        )
    return array_of(name, dtype, shape, content)
