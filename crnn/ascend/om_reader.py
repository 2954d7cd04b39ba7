"""Read an OM file without CANN: its container, its in/out information and its model definition.

Inputs and outputs come from partition 8 where there is one, else from the graph in the model
definition (partition 0). Sizes are computed from shape and dtype, as ACL computes them; the sizes
stored in a graph's tensors are memory sizes and larger. Whatever cannot be told is "unknown". A
file that is damaged, cut short, encrypted or not an OM is an `InputError`, found in bounded time
and memory: nothing is allocated by a size that the file claims without being that large.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import BinaryIO

from crnn import cann
from crnn.ascend.om import UNKNOWN, Om
from crnn.ascend.om_container import read_first, read_header, read_submodels, read_tables
from crnn.ascend.om_definition import MAX_DEFINITION, cann_of, parse_definition, precision_of
from crnn.ascend.om_inout import MAX_INOUT, parse_inout
from crnn.ascend.om_tensors import sized
from crnn.errors import InputError
from crnn.filekind import require_file, sha256


def read_om(path: Path) -> Om:
    """Read an OM file.

    Args:
        path: The file.

    Returns:
        What it holds, with its hash.

    Raises:
        InputError: It is missing, not an OM, cut short, encrypted or damaged.
    """
    require_file(path, "an OM file")
    with open(path, "rb") as file:
        om = parse_om(file, str(path))
        return dataclasses.replace(om, sha256=sha256(path))


def parse_om(file: BinaryIO, where: str = "OM") -> Om:
    """Read an OM from an open file, without its hash.

    Args:
        file: The file, which can seek.
        where: Names it in errors.

    Returns:
        What it holds.

    Raises:
        InputError: It is not an OM, cut short, encrypted or damaged.
    """
    size = file.seek(0, os.SEEK_END)
    header = read_header(file, size, where)
    if header.encrypted:
        raise InputError(
            f"{where} is encrypted: what it holds cannot be told",
            hint="Compile it without encryption, or ask whoever made it.",
        )
    partitions = read_tables(file, size, header, where)
    definition_bytes = read_first(file, partitions, cann.PARTITION_MODEL_DEF, MAX_DEFINITION, where)
    definition = parse_definition(definition_bytes, where)
    inout_bytes = read_first(file, partitions, cann.PARTITION_INOUT, MAX_INOUT, where)
    inout = parse_inout(inout_bytes, where)
    gears = inout.gears or definition.gears
    inputs = inout.inputs or definition.inputs
    outputs = inout.outputs or definition.outputs
    last_model = max((part.model for part in partitions), default=0)
    return Om(
        file=where,
        bytes=size,
        sha256=UNKNOWN,
        name=_first_told(header.name, definition.name),
        header_version=f"0x{header.version:08x}",
        model_type=cann.OM_MODEL_TYPES.get(header.model_type, f"type {header.model_type}"),
        models=1 + last_model,
        submodels=read_submodels(file, partitions),
        simulated=header.simulated or definition.simulated,
        soc_version=_first_told(definition.soc_version),
        atc_version=_first_told(definition.atc_version),
        opp_version=_first_told(definition.opp_version),
        cann_version=cann_of(definition.command),
        platform_version=_first_told(header.platform_version, definition.custom_version),
        precision=precision_of(definition.command),
        inputs=tuple(sized(tensor, gears) for tensor in inputs),
        outputs=tuple(sized(tensor, gears) for tensor in outputs),
        gears=gears,
        aipp=definition.aipp,
        work_bytes=definition.work_bytes,
        partitions=partitions,
        atc_cmdline=definition.command,
    )


def _first_told(*texts: str) -> str:
    """Return the first text that is not empty, else "unknown"."""
    for text in texts:
        if text:
            return text
    return UNKNOWN
