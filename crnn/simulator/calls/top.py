"""acl.*: the process, data buffers, tensor descs."""

from __future__ import annotations

import threading
from typing import Any, List, Optional, Tuple

from crnn import cann
from crnn.python37 import prod
from crnn.simulator.calls import implements
from crnn.simulator.record import line_of, site, within_finalizer
from crnn.simulator.state import RefusedError, Simulator
from crnn.simulator.things import DataBuffer, TensorDesc

_LOG_LEVELS = 3


@implements("acl.init")
def init(sim: Simulator, config: Optional[str] = None) -> None:
    """Initialise; a second time is 100002 without breaking a rule, after finalize it breaks one.

    Args:
        sim: The simulated machine.
        config: The path of acl.json, None for the defaults.
    """
    if config is not None:
        _check_config(sim, config)
    if sim.finalized:
        sim.broke("init", "acl.init after acl.finalize: a process initialises once")
    if sim.initialised:
        sim.initialised += 1
        raise RefusedError(cann.ACL_ERROR_REPEAT_INITIALIZE, "already initialised")
    sim.initialised = 1
    sim.init_where = site()
    sim.record.write({"initialised": line_of(sim.init_where)})


@implements("acl.finalize")
def finalize(sim: Simulator) -> None:
    """End, in the main thread and never from a ``__del__``; what is still alive leaks."""
    if not sim.initialised:
        code = cann.ACL_ERROR_UNINITIALIZE
        if sim.finalized:
            code = cann.ACL_ERROR_REPEAT_FINALIZE
        sim.refuse("finalize", "nothing is initialised", code)
    if threading.current_thread() is not threading.main_thread():
        sim.broke("finalize", "called in another thread than the main one")
    if within_finalizer():
        sim.broke(
            "finalize",
            "called from a __del__, whose moment at the interpreter's end is not defined",
        )
    sim.initialised = 0
    sim.finalized = True
    sim.record.write({"finalized": True})


@implements("acl.finalize_reference")
def finalize_reference(sim: Simulator) -> Tuple[int]:
    """Undo one acl.init; the last one finalizes.

    Returns:
        How many acl.init are left.
    """
    if sim.initialised > 1:
        sim.initialised -= 1
    else:
        finalize(sim)
    return (sim.initialised,)


@implements("acl.app_log")
def app_log(sim: Simulator, level: int, message: str) -> None:
    """Take a line for CANN's log, which is not kept here.

    Args:
        sim: The simulated machine.
        level: 0 to 3: debug, info, warning, error.
        message: The line.
    """
    if not 0 <= level <= _LOG_LEVELS:
        sim.broke("parameter", f"{level} is not a log level: expected 0 to {_LOG_LEVELS}")


@implements("acl.get_version")
def get_version(sim: Simulator) -> Tuple[int, int, int]:
    """Return the simulated release of CANN.

    Returns:
        Major, minor and patch.
    """
    return (*sim.knobs.release, 0)


@implements("acl.get_soc_name")
def get_soc_name(sim: Simulator) -> Optional[str]:
    """Return the chip's name; without a device set that breaks a rule and gives None.

    Returns:
        Such as ``Ascend310``.
    """
    if not any(device.count for device in sim.devices.values()):
        sim.broke("context", "no device is set")
        return None
    return sim.knobs.soc


@implements("acl.get_recent_err_msg")
def get_recent_err_msg(sim: Simulator) -> Optional[str]:
    """Return this thread's last error message, once.

    Returns:
        The message, None where there is none.
    """
    return sim.take_error()


@implements("acl.create_data_buffer")
def create_data_buffer(sim: Simulator, pointer: int, size: int) -> int:
    """Make a data buffer; what it points to is looked at when a model runs on it.

    Args:
        sim: The simulated machine.
        pointer: The memory's address.
        size: The memory's bytes.

    Returns:
        The data buffer's handle.
    """
    buffer = DataBuffer(sim.registry.number(), site(), sim.current, pointer=pointer, size=size)
    return sim.registry.add(buffer).handle


@implements("acl.destroy_data_buffer")
def destroy_data_buffer(sim: Simulator, handle: int) -> None:
    """Destroy a data buffer, not the memory.

    Args:
        sim: The simulated machine.
        handle: The data buffer.
    """
    sim.release(sim.thing(DataBuffer, handle))


@implements("acl.get_data_buffer_addr")
def get_data_buffer_addr(sim: Simulator, handle: int) -> int:
    """Return where a data buffer's memory begins.

    Args:
        sim: The simulated machine.
        handle: The data buffer.

    Returns:
        The memory's address.
    """
    return sim.thing(DataBuffer, handle).pointer


@implements("acl.get_data_buffer_size")
def get_data_buffer_size(sim: Simulator, handle: int) -> int:
    """Return how large a data buffer's memory is.

    Args:
        sim: The simulated machine.
        handle: The data buffer.

    Returns:
        The memory's bytes.
    """
    return sim.thing(DataBuffer, handle).size


implements("acl.get_data_buffer_size_v2")(get_data_buffer_size)


@implements("acl.update_data_buffer")
def update_data_buffer(sim: Simulator, handle: int, pointer: int, size: int) -> None:
    """Point a data buffer to other memory.

    Args:
        sim: The simulated machine.
        handle: The data buffer.
        pointer: The memory's address.
        size: The memory's bytes.
    """
    buffer = sim.thing(DataBuffer, handle)
    sim.check_host_access(buffer, write=True)
    buffer.pointer, buffer.size = pointer, size


@implements("acl.create_tensor_desc")
def create_tensor_desc(sim: Simulator, dtype: int, dims: Any, layout: int) -> int:
    """Make a tensor desc; 0 for a dtype that is none.

    Args:
        sim: The simulated machine.
        dtype: aclDataType's number.
        dims: A list of ints.
        layout: aclFormat's number.

    Returns:
        The tensor desc's handle.
    """
    sizes = checked_dims(dims)
    if cann.data_type(dtype).name == "undefined" and dtype != -1:
        return 0
    desc = TensorDesc(
        sim.registry.number(), site(), sim.current, dtype=dtype, dims=tuple(sizes), layout=layout
    )
    return sim.registry.add(desc).handle


@implements("acl.destroy_tensor_desc")
def destroy_tensor_desc(sim: Simulator, handle: int) -> None:
    """Destroy a tensor desc.

    Args:
        sim: The simulated machine.
        handle: The tensor desc.
    """
    sim.release(sim.thing(TensorDesc, handle))


@implements("acl.get_tensor_desc_type")
def get_tensor_desc_type(sim: Simulator, handle: int) -> int:
    """Return a tensor desc's data type.

    Args:
        sim: The simulated machine.
        handle: The tensor desc.

    Returns:
        aclDataType's number.
    """
    return sim.thing(TensorDesc, handle).dtype


@implements("acl.get_tensor_desc_format")
def get_tensor_desc_format(sim: Simulator, handle: int) -> int:
    """Return a tensor desc's format.

    Args:
        sim: The simulated machine.
        handle: The tensor desc.

    Returns:
        aclFormat's number.
    """
    return sim.thing(TensorDesc, handle).layout


@implements("acl.get_tensor_desc_num_dims")
def get_tensor_desc_num_dims(sim: Simulator, handle: int) -> int:
    """Count a tensor desc's dims.

    Args:
        sim: The simulated machine.
        handle: The tensor desc.

    Returns:
        Their number.
    """
    return len(sim.thing(TensorDesc, handle).dims)


@implements("acl.get_tensor_desc_element_count")
def get_tensor_desc_element_count(sim: Simulator, handle: int) -> int:
    """Count the elements that a tensor desc describes.

    Args:
        sim: The simulated machine.
        handle: The tensor desc.

    Returns:
        The product of the dims, 0 where one of them is open.
    """
    dims = sim.thing(TensorDesc, handle).dims
    return max(0, prod(dims))


@implements("acl.get_tensor_desc_size")
def get_tensor_desc_size(sim: Simulator, handle: int) -> int:
    """Return how large the tensor is that a tensor desc describes.

    Args:
        sim: The simulated machine.
        handle: The tensor desc.

    Returns:
        Bytes, 0 where a dim is open or the type has no size.
    """
    desc = sim.thing(TensorDesc, handle)
    size = cann.data_type(desc.dtype).size or 0
    return size * get_tensor_desc_element_count(sim, handle)


@implements("acl.get_tensor_desc_dim")
def get_tensor_desc_dim(sim: Simulator, handle: int, index: int) -> int:
    """Return one of a tensor desc's dims.

    Args:
        sim: The simulated machine.
        handle: The tensor desc.
        index: Which one, from 0.

    Returns:
        The dim.
    """
    dims = sim.thing(TensorDesc, handle).dims
    if index >= len(dims):
        text = f"there is no dim {index} among {len(dims)}"
        sim.refuse("parameter", text, cann.ACL_ERROR_INVALID_PARAM)
    return dims[index]


@implements("acl.get_tensor_desc_dim_v2")
def get_tensor_desc_dim_v2(sim: Simulator, handle: int, index: int) -> Tuple[int]:
    """Return one of a tensor desc's dims.

    Args:
        sim: The simulated machine.
        handle: The tensor desc.
        index: Which one, from 0.

    Returns:
        The dim.
    """
    return (get_tensor_desc_dim(sim, handle, index),)


@implements("acl.set_tensor_const")
def set_tensor_const(sim: Simulator, handle: int, data: int, size: int) -> None:
    """Say that a tensor desc's tensor is constant, with its bytes in host memory.

    Args:
        sim: The simulated machine.
        handle: The tensor desc.
        data: The address of the bytes.
        size: How many there are.
    """
    sim.thing(TensorDesc, handle)
    if not data or not size:
        sim.refuse("parameter", "a constant of no bytes", cann.ACL_ERROR_INVALID_PARAM)


@implements("acl.data_type_size")
def data_type_size(sim: Simulator, dtype: int) -> int:
    """Return how large a value of a type is.

    Args:
        sim: The simulated machine.
        dtype: aclDataType's number.

    Returns:
        Bytes of one value, 0 for an unknown type.
    """
    return cann.data_type(dtype).size or 0


def checked_dims(dims: Any) -> List[int]:
    """Return a list of ints as the extension takes it, or raise its exceptions.

    Args:
        dims: A list of ints.

    Returns:
        The same list.
    """
    if not isinstance(dims, list):
        raise TypeError("argument 2 is not list")
    for size in dims:
        if not isinstance(size, int):
            raise TypeError("invalid data type")
        if not -(1 << 63) <= size < 1 << 63:
            raise ValueError("PyLong_AsLongLong failed")
    return dims


def _check_config(sim: Simulator, config: str) -> None:
    import json
    from pathlib import Path

    path = Path(config)
    if not path.is_file():
        raise RefusedError(cann.ACL_ERROR_INVALID_FILE, f"{config} does not exist")
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RefusedError(cann.ACL_ERROR_PARSE_FILE, f"{config} is not JSON") from error
