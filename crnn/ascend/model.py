"""A model on a device: what it takes and gives, and the buffers that carry it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence, Tuple

import numpy as np

from crnn import cann
from crnn.ascend.om import Om
from crnn.ascend.pyacl import Acl, load_acl
from crnn.ascend.release import Releases
from crnn.errors import InputError, UnavailableError


@dataclass(frozen=True)
class Port:
    """An input or output: ``dims`` at the largest gear but -1 for an input's batch, ``size`` in
    bytes at the largest.

    ``dtype`` is NumPy's name, or CANN's where NumPy has none.
    """

    name: str
    dtype: str
    dims: Tuple[int, ...]
    size: int

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return int(np.dtype(self.dtype).itemsize)


@dataclass(frozen=True)
class LoadedModel:
    """A model that a device holds; ``gears`` are its batch sizes, ascending, empty for a static
    model.

    ``inputs`` leaves out the one that carries the gear, which is always the last of the model's
    own.
    """

    path: Path
    id: int
    desc: int
    inputs: Tuple[Port, ...]
    outputs: Tuple[Port, ...]
    gears: Tuple[int, ...]
    gear_index: int
    gear_size: int


def open_acl(paths: Sequence[Path], oms: Sequence[Om]) -> Acl:
    """Import pyACL for these models.

    Args:
        paths: The OMs that are to be run.
        oms: What each of them holds, in the same order.

    Returns:
        The binding.

    Raises:
        UnavailableError: pyACL cannot be imported.
        InputError: An OM is the simulator's and pyACL is not, or the other way round.
    """
    written = [path for path, om in zip(paths, oms) if om.simulated]
    try:
        acl = load_acl()
    except UnavailableError:
        if not written:
            raise
    else:
        real = [path for path in paths if path not in written]
        if acl.simulated and real:
            raise InputError(
                f"{real[0]} was compiled by ATC itself; the simulator runs only what it has"
                " compiled",
                hint=(
                    "Compile the ONNX there: python -m crnn.simulator -- ./atc_crnn.sh model.onnx"
                    " name"
                ),
            )
        if acl.simulated or not written:
            return acl
    raise InputError(
        f"{written[0]} was written by the simulator; it runs only under python -m crnn.simulator",
        hint="Compile it for the chip where CANN is: ./atc_crnn.sh model.onnx name",
    )


def load_model(acl: Acl, path: Path, held: Releases) -> LoadedModel:
    """Load an OM into the current context.

    Args:
        acl: The binding; the context is the thread's current one.
        path: The OM.
        held: Gets what unloads the model.

    Returns:
        Its id, inputs, outputs and gears.

    Raises:
        AscendError: CANN refuses the model.
        InputError: It has gears of another kind than batches, or takes images of any size.
    """
    desc = acl.create_desc()
    held.push(acl.destroy_desc, desc)
    model = acl.load_from_file(str(path))
    held.push(acl.unload, model)
    acl.get_desc(desc, model)
    names = [acl.get_input_name_by_index(desc, index) for index in range(acl.get_num_inputs(desc))]
    gears: Tuple[int, ...] = ()
    gear_size = 0
    if names[-1] == cann.DYNAMIC_INPUT_NAME:
        gears = tuple(sorted(acl.get_dynamic_batch(desc)))
        gear_size = max(
            acl.get_input_size_by_index(desc, len(names) - 1), cann.DYNAMIC_INPUT_MIN_BYTES
        )
        names.pop()
        if not gears:
            raise InputError(
                f"{path} has gears of image sizes or of free dimensions; expected batch gears",
                hint="Compile it again with --batch 1,4,8,16, or with --static-set.",
            )
    inputs = tuple(
        _input(acl, desc, index, name, bool(gears), path) for index, name in enumerate(names)
    )
    outputs = tuple(_output(acl, desc, index) for index in range(acl.get_num_outputs(desc)))
    return LoadedModel(path, model, desc, inputs, outputs, gears, len(inputs), gear_size)


def _input(acl: Acl, desc: int, index: int, name: str, geared: bool, path: Path) -> Port:
    dims = tuple(acl.get_input_dims(desc, index))
    if -1 in dims and not geared:
        raise InputError(
            f"{path} takes images of any number or size ({name} {dims}); expected one batch, or"
            " gears",
            hint="Compile it again with --batch 16, --batch 1,4,8,16 or --static-set.",
        )
    dtype = cann.data_type(acl.get_input_data_type(desc, index)).name
    return Port(name, dtype, dims, acl.get_input_size_by_index(desc, index))


def _output(acl: Acl, desc: int, index: int) -> Port:
    name = acl.get_output_name_by_index(desc, index)
    dtype = cann.data_type(acl.get_output_data_type(desc, index)).name
    return Port(
        name,
        dtype,
        tuple(acl.get_output_dims(desc, index)),
        acl.get_output_size_by_index(desc, index),
    )


def device_memory(acl: Acl, size: int, held: Releases) -> int:
    """Allocate device memory; `held` gets what frees it."""
    pointer = acl.malloc(size)
    held.push(acl.free, pointer)
    return pointer


@dataclass(frozen=True)
class Pinned:
    """Pinned host memory:

    its address, and its bytes (uint8) as an array that must not outlive it.
    """

    pointer: int
    bytes: np.ndarray


def pinned_memory(acl: Acl, size: int, held: Releases) -> Pinned:
    """Allocate pinned host memory, the only kind that asynchronous copies take; `held` gets what
    frees it.
    """
    pointer = acl.malloc_host(size)
    held.push(acl.free_host, pointer)
    return Pinned(pointer, np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(pointer)))


def make_dataset(acl: Acl, buffers: Sequence[Tuple[int, int]], held: Releases) -> int:
    """Make a dataset over device memory, given as (address, bytes); `held` gets what destroys
    it.
    """
    dataset = acl.create_dataset()
    held.push(acl.destroy_dataset, dataset)
    for pointer, size in buffers:
        buffer = acl.create_data_buffer(pointer, size)
        held.push(acl.destroy_data_buffer, buffer)
        acl.add_dataset_buffer(dataset, buffer)
    return dataset
