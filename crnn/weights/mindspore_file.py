"""MindSpore's checkpoint files, read without MindSpore.

A ``.ckpt`` is one protocol-buffer message (mindspore/ccsrc/utils/checkpoint.proto): repeated
``value`` = 1 of ``tag`` = 1 (the parameter's name) and ``tensor`` = 2, which has ``dims`` = 1,
``tensor_type`` = 2 and ``tensor_content`` = 3. A parameter above 512 MB stands in several values of
the same tag, one after the other. A file saved with a check ends in "crc_num" and ten big-endian
bytes: the CRC-32 of everything before. The other form is safetensors.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from crnn.errors import InputError
from crnn.filekind import (
    ENCRYPTED_MINDSPORE,
    MINDIR,
    OM_MAGIC,
    PICKLE,
    ZIP,
    refuse_lfs_pointer,
    require_file,
)
from crnn.protobuf import WireError, fields, packed, payload
from crnn.weights.arrays import MAX_BYTES, array_of

WHAT = "a MindSpore checkpoint (.ckpt or .safetensors)"

_FOREIGN = {
    ZIP: "a zip archive, as PyTorch writes",
    PICKLE + b"\x02": "a pickle",
    OM_MAGIC: "an OM",
}
_CRC = b"crc_num"
_CRC_TAIL = len(_CRC) + 10
_MOST_HEADER = 1 << 20

_TYPES = {
    "Float16": "<f2",
    "Float32": "<f4",
    "Float64": "<f8",
    "Int8": "<i1",
    "Int16": "<i2",
    "Int32": "<i4",
    "Int64": "<i8",
    "UInt8": "<u1",
    "UInt16": "<u2",
    "UInt32": "<u4",
    "UInt64": "<u8",
    "Bool": "|b1",
}
_SAFETENSORS_TYPES = {
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "I8": "<i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "<u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
    "BOOL": "|b1",
}


def read_mindspore_file(path: Path) -> Dict[str, np.ndarray]:
    """Return a checkpoint's tensors by name, read-only views of the file's bytes; texts in it are
    left out.

    bfloat16 comes as float32. Raises `InputError` for everything that is no such file, with what it
    is where that can be told: encrypted, MindIR, AIR, another framework's.
    """
    require_file(path, WHAT)
    refuse_lfs_pointer(path)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(
            f"{path} has {size} bytes; {WHAT} of a CRNN has 100 MB, and the limit is {MAX_BYTES}"
        )
    data = path.read_bytes()
    _refuse_others(path, data)
    try:
        if _is_safetensors(data):
            return _safetensors(data)
        return _checkpoint(memoryview(_without_crc(data)))
    except WireError as error:
        raise InputError(
            f"{path} is damaged, or no MindSpore checkpoint: {error}",
            hint=(
                "If it was copied or downloaded, compare its size and checksum with the original's."
            ),
        ) from error


def _refuse_others(path: Path, data: bytes) -> None:
    if data.startswith(ENCRYPTED_MINDSPORE):
        raise InputError(
            f"{path} is encrypted (saved with enc_key); its weights cannot be read without the key",
            hint=(
                "Decrypt it with MindSpore: save_checkpoint(load_checkpoint(FILE, dec_key=KEY),"
                " 'plain.ckpt')."
            ),
        )
    if path.suffix in (".pb", ".onnx"):
        verb = "crnn evaluate and crnn compile take it as it is"
        if path.suffix == ".pb":
            verb = "crnn import tensorflow"
        raise InputError(
            f"{path} is by its name no MindSpore checkpoint; expected {WHAT}",
            hint=f"For it: {verb}.",
        )
    if MINDIR in data[:64] or path.suffix == ".mindir":
        found = "a MindIR, a compiled graph"
    elif path.suffix == ".air":
        found = "an AIR, a graph for Ascend's compiler"
    else:
        found = next((name for magic, name in _FOREIGN.items() if data.startswith(magic)), "")
        if found:
            raise InputError(
                f"{path} is {found}; expected {WHAT}",
                hint="For PyTorch's files: crnn import torch.",
            )
        return
    raise InputError(
        f"{path} is {found}, whose weights no longer have their layers' names; expected {WHAT}",
        hint="Give the checkpoint that it was exported from (crnn-10_14110.ckpt, best_acc.ckpt).",
    )


def _without_crc(data: bytes) -> bytes:
    if data[-_CRC_TAIL : -_CRC_TAIL + len(_CRC)] != _CRC:
        return data
    stored, found = int.from_bytes(data[-10:], "big"), zlib.crc32(data[:-_CRC_TAIL])
    if stored != found:
        raise WireError(f"its checksum is {found:#010x}, the file says {stored:#x}")
    return data[:-_CRC_TAIL]


def _checkpoint(data: memoryview) -> Dict[str, np.ndarray]:
    pieces: Dict[str, List[Tuple[str, Tuple[int, ...], memoryview]]] = {}
    last = ""
    for number, value in fields(data):
        if number != 1:
            raise WireError(f"a checkpoint holds field 1 only, this one {number}")
        tag, kind, shape, content = _value(payload(value))
        if tag in pieces and (tag != last or pieces[tag][0][:2] != (kind, shape)):
            raise WireError(f"{tag} stands twice")
        pieces.setdefault(tag, []).append((kind, shape, content))
        last = tag
    return {tag: _joined(tag, parts) for tag, parts in pieces.items() if parts[0][0] != "str"}


def _value(data: memoryview) -> Tuple[str, str, Tuple[int, ...], memoryview]:
    tag, tensor = "", None
    for number, value in fields(data, most=100):
        if number == 1:
            tag = _text(payload(value))
        elif number == 2:
            tensor = payload(value)
        else:
            raise WireError(
                f"{tag or 'a parameter'} is not a tensor (field {number}); only tensors can be"
                " imported"
            )
    if not tag or tensor is None:
        raise WireError("a parameter has no name or no tensor")
    dims: List[int] = []
    kind, content = "", memoryview(b"")
    for number, value in fields(tensor, most=100):
        if number == 1:
            dims += packed(value)
        elif number == 2:
            kind = _text(payload(value))
        elif number == 3:
            content = payload(value)
    # A scalar has no dims, or [0] in older files.
    return tag, kind, () if dims == [0] else tuple(dims), content


def _joined(tag: str, parts: List[Tuple[str, Tuple[int, ...], memoryview]]) -> np.ndarray:
    kind, shape, content = parts[0]
    if len(parts) > 1:
        content = memoryview(b"".join(part[2] for part in parts))
    if kind == "BFloat16":
        return _bfloat16(tag, shape, content)
    if kind not in _TYPES:
        raise WireError(f"{tag} has the type {kind!r}; expected one of {', '.join(_TYPES)}")
    return array_of(tag, _TYPES[kind], shape, content)


def _is_safetensors(data: bytes) -> bool:
    return (
        len(data) > 8 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8
    )


def _safetensors(data: bytes) -> Dict[str, np.ndarray]:
    """https://github.com/huggingface/safetensors:

    eight bytes of length, a JSON header, the tensors' bytes.
    """
    length = int.from_bytes(data[:8], "little")
    if length > _MOST_HEADER:
        raise WireError(f"its header has {length} bytes; the limit is {_MOST_HEADER}")
    try:
        header = json.loads(data[8 : 8 + length].decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WireError(f"its header is not JSON: {error}") from error
    body = memoryview(data)[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        kind, shape, content = _safetensor(name, entry, body)
        if kind == "BF16":
            tensors[name] = _bfloat16(name, shape, content)
        else:
            tensors[name] = array_of(name, _safe_type(name, kind), shape, content)
    return tensors


def _safetensor(name: str, entry: Any, body: memoryview) -> Tuple[str, Tuple[int, ...], memoryview]:
    if isinstance(entry, dict):
        found = entry
    else:
        found = {}
    offsets, shape = _whole_numbers(found.get("data_offsets")), _whole_numbers(found.get("shape"))
    if offsets is None or len(offsets) != 2 or shape is None:
        raise WireError(f"{name} has no shape or no data_offsets")
    start, end = offsets
    if not 0 <= start <= end <= len(body):
        raise WireError(f"{name} lies at {start} to {end} of {len(body)} bytes")
    return str(found.get("dtype")), tuple(shape), body[start:end]


def _safe_type(name: str, kind: str) -> str:
    if kind not in _SAFETENSORS_TYPES:
        raise WireError(
            f"{name} has the type {kind}; expected one of {', '.join(_SAFETENSORS_TYPES)}"
        )
    return _SAFETENSORS_TYPES[kind]


def _whole_numbers(value: Any) -> Optional[List[int]]:
    if isinstance(value, list) and all(type(item) is int for item in value):
        return value
    return None


def _bfloat16(name: str, shape: Tuple[int, ...], content: memoryview) -> np.ndarray:
    # The upper half of a float32.
    wide = array_of(name, "<u2", shape, content).astype("<u4") << 16
    return wide.view("<f4")


def _text(value: memoryview) -> str:
    try:
        return bytes(value[:4096]).decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"a name is not text: {error}") from error
