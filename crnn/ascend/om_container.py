"""An OM's container: a header of 256 bytes, then a table of partitions and their data a model.

Source of the layout: GE's public repository (`hicann/ge`), ModelFileHeader and
ModelPartitionTable; the numbers stand in `crnn.cann`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO, Dict, List, Sequence, Tuple

from crnn import cann
from crnn.ascend.om import UNKNOWN, Partition
from crnn.ascend.wire import printable
from crnn.errors import InputError
from crnn.filekind import LFS_MARK, ZIP, refuse_om2

MAX_MODELS = 256
_SUBMODEL_HEAD = 512


@dataclass(frozen=True)
class Header:
    """What the first 256 bytes say.

    ``wide`` tells the layout of the partition tables, ``payload`` how many bytes follow.
    """

    version: int
    model_type: int
    name: str
    platform_version: str
    encrypted: bool
    simulated: bool
    wide: bool
    models: int
    payload: int


def read_header(file: BinaryIO, size: int, where: str) -> Header:
    """Read and check the header.

    Args:
        file: An open OM.
        size: Its size in bytes.
        where: Names the file in errors.

    Returns:
        The header.

    Raises:
        InputError: The file is not an OM, is cut short, or promises more than it holds.
    """
    head = read(file, 0, min(size, cann.OM_HEADER_SIZE))
    _refuse_others(head, where)
    if size < cann.OM_HEADER_SIZE:
        raise InputError(
            f"{where} is cut short: {size} bytes, and an OM's header alone has"
            f" {cann.OM_HEADER_SIZE}",
            hint="Copy it again and compare sizes: ls -l",
        )
    fields = _header_fields(head)
    if fields["header_size"] != cann.OM_HEADER_SIZE:
        raise InputError(
            f"{where}: the header says that it has {fields['header_size']} bytes; expected"
            f" {cann.OM_HEADER_SIZE}",
            hint="The file is damaged, or of a CANN newer than this kit knows.",
        )
    is_flow = fields["model_type"] == cann.OM_MODEL_FLOW
    length = fields.get("model_length", 0)
    header = Header(
        version=fields["version"],
        model_type=fields["model_type"],
        name=_padded(fields["name"]),
        platform_version=_padded(fields["platform_version"]),
        encrypted=fields["encrypted"] != 0,
        simulated=fields["user_info"].startswith(cann.SIMULATED_MARK),
        wide=length != 0 or is_flow,
        models=_models(fields),
        payload=length or fields["length"],
    )
    _check_payload(header, size, where)
    return header


def _header_fields(head: bytes) -> Dict[str, Any]:
    version = struct.unpack_from("<I", head, 8)[0]
    # The older layout has no model_num: what stands there is the beginning of a text.
    layout = cann.OM_HEADER_V1
    names: Sequence[str] = cann.OM_HEADER_V1_FIELDS
    if version >= cann.OM_VERSION_2:
        layout = cann.OM_HEADER_V2
        names = cann.OM_HEADER_V2_FIELDS
    return {**dict(zip(names, layout.unpack(head))), "version": version}


def _models(fields: Dict[str, Any]) -> int:
    # GE's own rule: several models only where the header says so in either of two ways.
    if fields["version"] < cann.OM_VERSION_2:
        return 1
    if fields["model_num"] > 1 or fields["is_unknown"] == 1:
        return int(fields["model_num"])
    return 1


def _check_payload(header: Header, size: int, where: str) -> None:
    found = size - cann.OM_HEADER_SIZE
    if header.payload != found:
        problem = "is longer than it should be"
        if found < header.payload:
            problem = "is cut short"
        raise InputError(
            f"{where} {problem}: the header promises {header.payload} bytes after it, the file has"
            f" {found}",
            hint="Copy it again and compare the hashes: sha256sum",
        )
    if header.models > MAX_MODELS:
        raise InputError(
            f"{where}: the header promises {header.models} models; at most {MAX_MODELS} are"
            " believed"
        )


def _refuse_others(head: bytes, where: str) -> None:
    if head.startswith(cann.OM_MAGIC):
        return
    if head.startswith(LFS_MARK):
        raise InputError(
            f"{where} is a Git LFS pointer, not the file itself",
            hint="Fetch the file in the repository that it came from: git lfs pull",
        )
    refuse_om2(head, where)
    guess = ""
    if head.startswith(ZIP):
        guess = " (it looks like a PyTorch checkpoint or another zip archive)"
    raise InputError(
        f"{where} is not an OM: it begins with {head[:4]!r}; expected {cann.OM_MAGIC!r}{guess}",
        hint="An OM is what ATC writes: ./atc_crnn.sh model.onnx name",
    )


def read_tables(file: BinaryIO, size: int, header: Header, where: str) -> Tuple[Partition, ...]:
    """Read the partition table of each model.

    Args:
        file: An open OM.
        size: Its size in bytes.
        header: What `read_header` gave.
        where: Names the file in errors.

    Returns:
        All partitions in the order of the file; each lies within it.

    Raises:
        InputError: A table is cut short, or places a partition beyond the file.
    """
    partitions: List[Partition] = []
    position = cann.OM_HEADER_SIZE
    for model in range(max(header.models, 1)):
        parts = _read_table(file, position, size, header.wide, model, where)
        position = max(part.offset + part.size for part in parts)
        partitions += parts
    if header.models > 1 and position != size:
        raise InputError(
            f"{where} is damaged: its {header.models} models end at byte {position}, the file at"
            f" {size}"
        )
    return tuple(partitions)


def _read_table(
    file: BinaryIO, position: int, size: int, wide: bool, model: int, where: str
) -> Sequence[Partition]:
    head, entry = cann.OM_NARROW_HEAD, cann.OM_NARROW_ENTRY
    if wide:
        head, entry = cann.OM_WIDE_HEAD, cann.OM_WIDE_ENTRY
    name = f"{where}: the partition table of model {model} at byte {position}"
    if size - position < head.size:
        raise InputError(f"{name} is cut short")
    (count,) = head.unpack(read(file, position, head.size))
    start = position + head.size + count * entry.size
    if not 1 <= count <= cann.OM_MAX_PARTITIONS:
        raise InputError(
            f"{name} promises {count} partitions; expected 1 to {cann.OM_MAX_PARTITIONS}"
        )
    if start > size:
        raise InputError(f"{name} promises {count} partitions and is cut short")
    table = read(file, position + head.size, count * entry.size)
    parts = []
    for number, offset, length in entry.iter_unpack(table):
        if offset > size - start or length > size - start - offset:
            raise InputError(
                f"{name} places type {number} at {offset} with {length} bytes; only {size - start}"
                " follow it",
                hint="The file is damaged: copy or compile it again.",
            )
        parts.append(Partition(model, number, start + offset, length))
    return parts


def read_submodels(file: BinaryIO, partitions: Sequence[Partition]) -> Tuple[str, ...]:
    """Return the names of a flow model's submodels.

    Args:
        file: An open OM.
        partitions: All of its partitions.

    Returns:
        A name for each partition that holds a submodel, "unknown" where it does not tell.
    """
    names = []
    for part in partitions:
        if part.type == cann.PARTITION_FLOW_SUBMODEL:
            head = read(file, part.offset, min(part.size, _SUBMODEL_HEAD))
            names.append(_submodel_name(head))
    return tuple(names)


def _submodel_name(head: bytes) -> str:
    # The first field is the name: 10, its length, its bytes. The submodel's own OM follows.
    if len(head) <= 2 or head[0] != 10:
        return UNKNOWN
    length = head[1]
    if length >= 128 or 2 + length > len(head):
        return UNKNOWN
    return printable(head[2 : 2 + length])


def read_first(
    file: BinaryIO, partitions: Sequence[Partition], kind: int, limit: int, where: str
) -> bytes:
    """Read the first model's partition of a type.

    Args:
        file: An open OM.
        partitions: All of its partitions.
        kind: The partition's type number.
        limit: The most bytes that are read.
        where: Names the file in errors.

    Returns:
        The partition's bytes; empty if there is none.

    Raises:
        InputError: The partition is larger than the limit.
    """
    for part in partitions:
        if part.type != kind or part.model != 0:
            continue
        if part.size > limit:
            raise InputError(
                f"{where}: {part.name} has {part.size} bytes; at most {limit} are read"
            )
        return read(file, part.offset, part.size)
    return b""


def read(file: BinaryIO, offset: int, size: int) -> bytes:
    """Return ``size`` bytes from ``offset``, fewer at the file's end."""
    file.seek(offset)
    return file.read(size)


def _padded(text: bytes) -> str:
    return printable(text.split(b"\0", 1)[0])
