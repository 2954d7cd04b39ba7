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
    """An input or output: ``dims`` at the largest gear but -1 where an input's gears decide,
    ``size`` in bytes at the largest.

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
class Gear:
    """One of the sizes that a model was compiled for: the shapes of its inputs, in order.

    ``by_dims``: it is one of --dynamic_dims, set by set_input_dynamic_dims, else one of
    --dynamic_batch_size, and ``batch`` is what it sets.
    """

    shapes: Tuple[Tuple[int, ...], ...]
    batch: int
    by_dims: bool

    def __str__(self) -> str:
        if self.by_dims:
            return " and ".join("x".join(map(str, shape)) for shape in self.shapes)
        return str(self.batch)


@dataclass(frozen=True)
class LoadedModel:
    """A model that a device holds; ``gears`` are ascending, empty for a static model.

    ``inputs`` leaves out the one that carries the gear, which is always the last of the model's
    own.
    """

    path: Path
    id: int
    desc: int
    inputs: Tuple[Port, ...]
    outputs: Tuple[Port, ...]
    gears: Tuple[Gear, ...]
    gear_index: int
    gear_size: int

    def set_gear(self, acl: Acl, dataset: int, gear: Gear) -> None:
        """Set the gear of the next execution with this dataset of inputs, which writes it at once.

        Raises `AscendError` where CANN refuses.
        """
        if not gear.by_dims:
            acl.set_dynamic_batch_size(self.id, dataset, self.gear_index, gear.batch)
            return
        dims = [size for shape in gear.shapes for size in shape]
        acl.set_input_dynamic_dims(self.id, dataset, self.gear_index, dims)


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
        InputError: It has gears of image sizes, or takes images of any size.
    """
    desc = acl.create_desc()
    held.push(acl.destroy_desc, desc)
    model = acl.load_from_file(str(path))
    held.push(acl.unload, model)
    acl.get_desc(desc, model)
    names = [acl.get_input_name_by_index(desc, index) for index in range(acl.get_num_inputs(desc))]
    geared = names[-1] == cann.DYNAMIC_INPUT_NAME
    gear_size = 0
    if geared:
        gear_size = acl.get_input_size_by_index(desc, len(names) - 1)
        names.pop()
    inputs = tuple(_input(acl, desc, index, name, geared, path) for index, name in enumerate(names))
    outputs = tuple(_output(acl, desc, index) for index in range(acl.get_num_outputs(desc)))
    gears: Tuple[Gear, ...] = ()
    if geared:
        gears = _gears(acl, desc, inputs, path)
    return LoadedModel(path, model, desc, inputs, outputs, gears, len(inputs), gear_size)


def _gears(acl: Acl, desc: int, inputs: Sequence[Port], path: Path) -> Tuple[Gear, ...]:
    batches = sorted(acl.get_dynamic_batch(desc))
    if batches:
        return tuple(_batch_gear(inputs, batch) for batch in batches)
    gears = [_dims_gear(inputs, dims, path) for dims in acl.get_input_dynamic_dims(desc)]
    if not gears:
        raise InputError(
            f"{path} has gears of image sizes (--dynamic_image_size); expected gears of batches or"
            " of dims",
            hint="Compile it again with --batch 1,4,8,16, or with --static-set.",
        )
    return tuple(sorted(gears, key=lambda gear: gear.shapes))


def _batch_gear(inputs: Sequence[Port], batch: int) -> Gear:
    shapes = []
    for port in inputs:
        shapes.append(tuple(batch if size == -1 else size for size in port.dims))
    return Gear(tuple(shapes), batch, by_dims=False)


def _dims_gear(inputs: Sequence[Port], dims: Sequence[int], path: Path) -> Gear:
    """Cut the joined dims of all inputs into their shapes; CANN joins them in the order that
    --input_shape had.
    """
    shapes = []
    start = 0
    for port in inputs:
        shape = tuple(dims[start : start + len(port.dims)])
        start += len(shape)
        fixed = [(size, own) for size, own in zip(shape, port.dims) if own != -1]
        if len(shape) != len(port.dims) or any(size != own for size, own in fixed):
            raise InputError(
                f"{path}: the gear {tuple(dims)} does not fit the input {port.name} {port.dims}",
                hint="Compile it again with --input_shape in the order of the model's inputs.",
            )
        shapes.append(shape)
    return Gear(tuple(shapes), shapes[0][0], by_dims=True)


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

    It begins on 64 bytes, as aclrtMemcpyAsync's pages ask of source and target. On the chip's own
    system aclrtMallocHost promises that from CANN 8.5 on only, so the address is rounded up here.
    """
    given = acl.malloc_host(size + cann.DEVICE_ALIGNMENT)
    held.push(acl.free_host, given)
    pointer = given + -given % cann.DEVICE_ALIGNMENT
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
