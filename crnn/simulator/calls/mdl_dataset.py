"""acl.mdl.*: datasets and gears."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

from crnn import cann
from crnn.simulator.calls import implements
from crnn.simulator.models import Model
from crnn.simulator.om_file import Gear, SimulatedOm
from crnn.simulator.record import line_of, site
from crnn.simulator.state import Simulator
from crnn.simulator.things import DataBuffer, Dataset, TensorDesc

_NO_GEARS = 100019
"""ACL_ERROR_MODEL_NOT_DYNAMIC, by the public list of return codes."""


@implements("acl.mdl.create_dataset")
def create_dataset(sim: Simulator) -> int:
    """Make an empty dataset.

    Returns:
        The dataset's handle.
    """
    dataset = Dataset(sim.registry.number(), site(), sim.current)
    sim.registry.add(dataset)
    return dataset.handle


@implements("acl.mdl.destroy_dataset")
def destroy_dataset(sim: Simulator, handle: int) -> None:
    """Destroy a dataset, but not the buffers in it, which Huawei's examples destroy before.

    Args:
        sim: The simulated machine.
        handle: The dataset.
    """
    dataset = sim.thing(Dataset, handle)
    left = [buffer for buffer in dataset.buffers if buffer.alive and not buffer.release_failed]
    if left:
        text = (
            f"{len(left)} data buffers of the dataset are alive, the first made at"
            f" {line_of(left[0].where)}"
        )
        sim.advise("release-order", text)
    sim.release(dataset)


@implements("acl.mdl.add_dataset_buffer")
def add_dataset_buffer(sim: Simulator, handle: int, buffer: int) -> Tuple[int]:
    """Put a data buffer behind those in a dataset.

    Args:
        sim: The simulated machine.
        handle: The dataset.
        buffer: The data buffer.

    Returns:
        The dataset's handle.
    """
    dataset = sim.thing(Dataset, handle)
    added = sim.thing(DataBuffer, buffer)
    sim.check_host_access(dataset, write=True)
    if any(added in other.buffers for other in sim.registry.living(Dataset)):
        sim.broke("handle", "the data buffer is in a dataset already")
    dataset.buffers.append(added)
    return (handle,)


@implements("acl.mdl.get_dataset_num_buffers")
def get_dataset_num_buffers(sim: Simulator, handle: int) -> int:
    """Count the buffers of a dataset.

    Args:
        sim: The simulated machine.
        handle: The dataset.

    Returns:
        How many buffers it holds.
    """
    dataset = sim.thing(Dataset, handle)
    return len(dataset.buffers)


@implements("acl.mdl.get_dataset_buffer")
def get_dataset_buffer(sim: Simulator, handle: int, index: int) -> int:
    """Return a buffer of a dataset.

    Args:
        sim: The simulated machine.
        handle: The dataset.
        index: Which buffer or input, from 0.

    Returns:
        The data buffer's handle.
    """
    dataset = sim.thing(Dataset, handle)
    _check_index(sim, dataset, index)
    return dataset.buffers[index].handle


@implements("acl.mdl.set_dataset_tensor_desc")
def set_dataset_tensor_desc(sim: Simulator, handle: int, desc: int, index: int) -> Tuple[int]:
    """Describe one of a dataset's buffers.

    Args:
        sim: The simulated machine.
        handle: The dataset.
        desc: The tensor desc.
        index: Which buffer or input, from 0.

    Returns:
        The dataset's handle.
    """
    dataset = sim.thing(Dataset, handle)
    _check_index(sim, dataset, index)
    sim.check_host_access(dataset, write=True)
    dataset.descs[index] = sim.thing(TensorDesc, desc)
    return (handle,)


@implements("acl.mdl.get_dataset_tensor_desc")
def get_dataset_tensor_desc(sim: Simulator, handle: int, index: int) -> int:
    """Return the desc of one of a dataset's buffers.

    Args:
        sim: The simulated machine.
        handle: The dataset.
        index: Which buffer or input, from 0.

    Returns:
        The tensor desc's handle, 0 where none was set.
    """
    dataset = sim.thing(Dataset, handle)
    desc = dataset.descs.get(index)
    if desc is None:
        return 0
    return desc.handle


def _check_index(sim: Simulator, dataset: Dataset, index: int) -> None:
    if index >= len(dataset.buffers):
        text = f"there is no buffer {index} in the dataset"
        sim.refuse("parameter", text, cann.ACL_ERROR_INVALID_PARAM)


@implements("acl.mdl.set_dynamic_batch_size")
def set_dynamic_batch_size(
    sim: Simulator, number: int, handle: int, index: int, batch: int
) -> None:
    """Set the gear of the next execution, by writing into the dataset's gear buffer at once.

    Args:
        sim: The simulated machine.
        number: The model's number.
        handle: The dataset.
        index: Which buffer or input, from 0.
        batch: The gear: one of the sizes that ATC was told.
    """
    model = sim.model(number)
    dataset = sim.thing(Dataset, handle)
    om = model.file
    if not batch:
        sim.refuse("gear", "a batch of 0", cann.ACL_ERROR_INVALID_PARAM)
    if not om.dynamic or om.dims_gears:
        sim.refuse("gear", "the model has no gears of batches", _NO_GEARS)
    _check_place(sim, om, dataset, index)
    if batch not in om.sizes:
        text = f"{batch} is none of the gears {om.sizes}"
        sim.refuse("gear", text, cann.ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID)
    _set_gear(sim, model, dataset, index, (batch,))


def _check_place(sim: Simulator, om: SimulatedOm, dataset: Dataset, index: int) -> None:
    if index != len(om.inputs):
        text = f"input {index} is not {cann.DYNAMIC_INPUT_NAME}"
        sim.refuse("gear", text, cann.ACL_ERROR_INVALID_PARAM)
    if index >= len(dataset.buffers):
        text = "the dataset does not hold the gear buffer yet"
        sim.refuse("gear", text, cann.ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID)


def _set_gear(sim: Simulator, model: Model, dataset: Dataset, index: int, gear: Gear) -> None:
    _write_gear(sim, dataset.buffers[index], gear)
    sim.check_host_access(dataset, write=True)
    dataset.gears[model.number] = gear
    model.gear = gear


def _write_gear(sim: Simulator, buffer: DataBuffer, gear: Gear) -> None:
    """Write a gear's numbers, of 8 bytes each where the buffer has room for them, else of 4.

    Source: hicann/ge, GeExecutor::SetDynamicBatchSize and SetDynamicDims.
    """
    block = sim.memory.find(buffer.pointer)
    usable = block is not None and block.alive
    if block is None or not usable or block.device is None:
        text = "the gear buffer is not in device memory"
        sim.refuse("gear", text, cann.ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID)
    low = buffer.pointer - block.handle
    room = min(buffer.size, block.size - low)
    each = cann.DYNAMIC_INPUT_MIN_BYTES
    if room < each * len(gear):
        text = f"the gear buffer has {room} bytes; at least {each * len(gear)} are written"
        sim.refuse("gear", text, cann.ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID)
    if room >= 2 * each * len(gear):
        each *= 2
    data = b"".join(number.to_bytes(each, "little") for number in gear)
    high = low + len(data)
    sim.check_host_access(block, write=True, low=low, high=high)
    block.view(low, len(data))[:] = list(data)
    block.fill(low, high)


@implements("acl.mdl.set_dynamic_hw_size")
def set_dynamic_hw_size(
    sim: Simulator, number: int, handle: int, index: int, height: int, width: int
) -> None:
    """Refuse: the simulator's ATC builds no gears of height and width.

    Args:
        sim: The simulated machine.
        number: The model's number.
        handle: The dataset.
        index: Which buffer or input, from 0.
        height: The height that is asked for.
        width: The width that is asked for.
    """
    sim.model(number)
    sim.refuse("gear", "the model has no gears of height and width", _NO_GEARS)


@implements("acl.mdl.set_input_dynamic_dims")
def set_input_dynamic_dims(sim: Simulator, number: int, handle: int, index: int, dims: Any) -> None:
    """Set the gear of the next execution, by writing into the dataset's gear buffer at once.

    Args:
        sim: The simulated machine.
        number: The model's number.
        handle: The dataset.
        index: Which buffer or input, from 0.
        dims: A dict as get_input_dynamic_dims gives it: the dims of all inputs.
    """
    sizes = _io_dims(dims)
    model = sim.model(number)
    dataset = sim.thing(Dataset, handle)
    om = model.file
    if not om.dims_gears:
        sim.refuse("gear", "the model has no gears of dims", _NO_GEARS)
    _check_place(sim, om, dataset, index)
    _set_gear(sim, model, dataset, index, _gear_of(sim, om, sizes))


def _gear_of(sim: Simulator, om: SimulatedOm, sizes: Sequence[int]) -> Gear:
    """Return the numbers that stand in the places of -1; everything else must be as it was
    compiled.
    """
    wrong = cann.ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID
    own = om.joined_dims(())
    if len(sizes) != len(own):
        sim.refuse("gear", f"{len(sizes)} dims; the model's inputs have {len(own)}", wrong)
    numbers = []
    for size, fixed in zip(sizes, own):
        if fixed == -1:
            numbers.append(size)
        elif size != fixed:
            sim.refuse("gear", f"dims {tuple(sizes)} do not fit {own}", wrong)
    gear = tuple(numbers)
    if gear not in om.dims_gears:
        text = f"{gear} is none of the gears {om.dims_gears}"
        sim.refuse("gear", text, cann.ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID)
    return gear


def _io_dims(value: Any) -> List[int]:
    """Return a dict's dims as the extension takes them, or raise its exceptions."""
    if not isinstance(value, dict):
        raise TypeError("argument 4 is not dict")
    if not isinstance(value.get("name", ""), str):
        raise RuntimeError("PyUnicode_AsUTF8String failed")
    dims = value.get("dims")
    if not isinstance(dims, list):
        raise TypeError("The dims of parameter 4 is not a list.")
    count = value.get("dimCount")
    if not isinstance(count, int) or count < 0:
        raise ValueError("PyLong_AsLongLong failed")
    kept = dims[:count]
    if len(kept) < count or not all(isinstance(size, int) for size in kept):
        raise TypeError("the dims of fourth parameter is not list of int")
    if any(not -(1 << 63) <= size < 1 << 63 for size in kept):
        raise ValueError("PyLong_AsLongLong failed")
    return kept
