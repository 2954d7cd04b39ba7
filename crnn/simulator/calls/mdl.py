"""acl.mdl.*: loading models, and what descs say of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from crnn import cann
from crnn.rehearsal.node import NotModelledError
from crnn.simulator import models
from crnn.simulator.calls import implements
from crnn.simulator.calls.rt_memory import Region
from crnn.simulator.memory import Block, charged
from crnn.simulator.models import Model, ModelDesc
from crnn.simulator.om_file import (
    NotSimulatedError,
    OmTensor,
    SimulatedOm,
    from_bytes,
    work_size,
)
from crnn.simulator.record import line_of, site
from crnn.simulator.state import RefusedError, Simulator
from crnn.simulator.things import ConfigHandle, Dataset

_PARAM = cann.ACL_ERROR_GE_PARAM_INVALID
_OPTION_KINDS: Dict[int, str] = {0: "i", 2: "s", 3: "k", 5: "k", 7: "k", 14: "k"}
_LOAD_TYPE, _PATH = 1, 2
_LOAD_FROM_FILE = 1
_MINUS_ONE = (1 << 64) - 1
"""-1 as an unsigned number of 64 bits, which is what the C function gets."""

# -------------------------------------------------------------------------------------------------
# Loading
# --------------------------------------------------------------------------------------------------


@implements("acl.mdl.load_from_file")
def load_from_file(sim: Simulator, path: str) -> Tuple[int]:
    """Load an OM file.

    Args:
        sim: The simulated machine.
        path: The OM file.

    Returns:
        The model's number.
    """
    context = sim.need_context()
    om = read_file(path)
    return (_load(sim, context.device, om),)


@implements("acl.mdl.load_from_mem")
def load_from_mem(sim: Simulator, address: int, size: int) -> Tuple[int]:
    """Load an OM that lies in memory.

    Args:
        sim: The simulated machine.
        address: Where the OM's bytes begin, in host memory.
        size: How many bytes the OM has.

    Returns:
        The model's number.
    """
    context = sim.need_context()
    om = _read_memory(sim, address, size)
    return (_load(sim, context.device, om),)


@implements("acl.mdl.load_from_file_with_mem")
def load_from_file_with_mem(
    sim: Simulator, path: str, work: int, work_size: int, weight: int, weight_size: int
) -> Tuple[int]:
    """Load an OM file into memory that the caller keeps.

    Args:
        sim: The simulated machine.
        path: The OM file.
        work: Device memory for the run.
        work_size: Its bytes, at least what query_size says.
        weight: Device memory for the weights.
        weight_size: Its bytes, at least what query_size says.

    Returns:
        The model's number.
    """
    context = sim.need_context()
    om = read_file(path)
    blocks = _given_memory(sim, om, (work, work_size), (weight, weight_size))
    return (_load(sim, context.device, om, blocks),)


@implements("acl.mdl.load_from_mem_with_mem")
def load_from_mem_with_mem(
    sim: Simulator,
    address: int,
    size: int,
    work: int,
    work_size: int,
    weight: int,
    weight_size: int,
) -> Tuple[int]:
    """Load an OM that lies in memory, into memory that the caller keeps.

    Args:
        sim: The simulated machine.
        address: Where the OM's bytes begin, in host memory.
        size: How many bytes the OM has.
        work: Device memory for the run.
        work_size: Its bytes, at least what query_size says.
        weight: Device memory for the weights.
        weight_size: Its bytes, at least what query_size says.

    Returns:
        The model's number.
    """
    context = sim.need_context()
    om = _read_memory(sim, address, size)
    blocks = _given_memory(sim, om, (work, work_size), (weight, weight_size))
    return (_load(sim, context.device, om, blocks),)


@implements("acl.mdl.create_config_handle")
def create_config_handle(sim: Simulator) -> int:
    """Make an empty configuration for load_with_config.

    Returns:
        The configuration's handle.
    """
    config = ConfigHandle(sim.registry.number(), site(), sim.current)
    sim.registry.add(config)
    return config.handle


@implements("acl.mdl.set_config_opt")
def set_config_opt(sim: Simulator, handle: int, option: int, value: Any) -> None:
    """Set an option of a configuration.

    Args:
        sim: The simulated machine.
        handle: The configuration.
        option: The option's number, aclmdlConfigAttr's.
        value: A number or, for a path, a str.
    """
    config = sim.thing(ConfigHandle, handle)
    kind: type = int
    if _OPTION_KINDS.get(option) == "s":
        kind = str
    if not isinstance(value, kind):
        raise TypeError("acl.mdl.set_config_opt args parse failed!")
    if not 0 <= option <= 14:
        text = f"{option} is not an option of a model configuration"
        sim.refuse("parameter", text, cann.ACL_ERROR_INVALID_PARAM)
    config.options[option] = value


@implements("acl.mdl.load_with_config")
def load_with_config(sim: Simulator, handle: int) -> Tuple[int]:
    """Load by a configuration; only loading a file into memory of CANN's own choice is
    simulated.

    Args:
        sim: The simulated machine.
        handle: The configuration.

    Returns:
        The model's number.
    """
    context = sim.need_context()
    options = sim.thing(ConfigHandle, handle).options
    path = options.get(_PATH)
    from_file = options.get(_LOAD_TYPE) == _LOAD_FROM_FILE
    if not from_file or not isinstance(path, str):
        text = "only load type 1, from a file, is simulated"
        raise RefusedError(cann.ACL_ERROR_FEATURE_UNSUPPORTED, text)
    om = read_file(path)
    return (_load(sim, context.device, om),)


@implements("acl.mdl.destroy_config_handle")
def destroy_config_handle(sim: Simulator, handle: int) -> None:
    """Destroy a configuration.

    Args:
        sim: The simulated machine.
        handle: The configuration.
    """
    config = sim.thing(ConfigHandle, handle)
    sim.release(config)


@implements("acl.mdl.unload")
def unload(sim: Simulator, number: int) -> None:
    """Unload a model; Huawei's examples destroy the datasets that were used with it before.

    Args:
        sim: The simulated machine.
        number: The model's number, as loading gave it.
    """
    model = sim.model(number)
    for dataset in sim.registry.living(Dataset):
        if number in dataset.models and not dataset.release_failed:
            made = f"the dataset made at {line_of(dataset.where)}"
            text = f"{made} is better destroyed before its model is unloaded, and was not"
            sim.advise("release-order", text)
    sim.release(model)
    if model.own:
        assert model.context is not None
        sim.memory.give_back(model.context.device, model.own)


@implements("acl.mdl.query_size")
def query_size(sim: Simulator, path: str) -> Tuple[int, int]:
    """Say how much memory a model needs.

    Args:
        sim: The simulated machine.
        path: The OM file.

    Returns:
        Bytes of work memory, and of weight memory, as the simulator charges them.
    """
    om = read_file(path)
    work = work_size(om)
    weight = models.weight_size(om)
    return work, weight


def read_file(path: str) -> SimulatedOm:
    """Read an OM file.

    Args:
        path: The file's path, as the caller gave it.

    Returns:
        What the file holds.

    Raises:
        RefusedError: 145002 where it cannot be read, 145006 where the simulator did not write it.
    """
    readable = bool(path) and os.access(path, os.R_OK)
    if not readable or not Path(path).is_file():
        raise RefusedError(cann.ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID, f"{path} cannot be read")
    data = Path(path).read_bytes()
    return _parse(data, path)


def _read_memory(sim: Simulator, address: int, size: int) -> SimulatedOm:
    if not size:
        raise RefusedError(cann.ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID)
    region = Region(sim, address, size, "the model")
    if region.on_device and sim.knobs.run_mode == cann.ACL_HOST:
        sim.refuse("memory", "a model is loaded from host memory", cann.ACL_ERROR_INVALID_PARAM)
    data = region.bytes.tobytes()
    return _parse(data, "the model in memory")


def _parse(data: bytes, name: str) -> SimulatedOm:
    try:
        return from_bytes(data)
    except NotSimulatedError as error:
        code = cann.ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID
        raise RefusedError(code, f"{name}: {error}") from error


def _load(sim: Simulator, device: int, om: SimulatedOm, given: Optional[List[Block]] = None) -> int:
    if om.soc != sim.knobs.soc:
        # The second half is GE's own wording.
        text = (
            f"E10001: the model is for {om.soc}; Model soc version is not support in this device,"
            f" {sim.knobs.soc}"
        )
        raise RefusedError(_PARAM, text)
    if om.release > sim.knobs.cann:
        text = f"the model was compiled by CANN {om.release}, newer than {sim.knobs.version}"
        raise RefusedError(_PARAM, text)
    try:
        models.require(om, sim.knobs)
    except NotModelledError as error:
        raise RefusedError(_PARAM, str(error)) from error
    own = 0
    if given is None:
        own = charged(work_size(om))
        own += charged(models.weight_size(om))
    if own and not sim.memory.reserve(device, own):
        raise RefusedError(cann.ACL_ERROR_RT_MEMORY_ALLOCATION, f"the model needs {own} bytes")
    # GE counts from 1: programs ask ``if model_id``.
    number = len(sim.models) + 1
    sim.models[number] = Model(
        # Models are found by number; the handle is one that no other thing has.
        handle=-1 - number,
        where=site(),
        context=sim.current,
        number=number,
        om=om,
        own=own,
        lent=given or [],
    )
    return number


def _given_memory(
    sim: Simulator, om: SimulatedOm, work: Tuple[int, int], weight: Tuple[int, int]
) -> List[Block]:
    return [
        _given_block(sim, work, work_size(om), "the work memory"),
        _given_block(sim, weight, models.weight_size(om), "the weight memory"),
    ]


def _given_block(sim: Simulator, given: Tuple[int, int], needed: int, what: str) -> Block:
    address, size = given
    region = Region(sim, address, max(size, 1), what)
    if not region.on_device or region.block is None:
        sim.refuse("memory", f"{what} is not on the device", _PARAM)
    if address % cann.DEVICE_ALIGNMENT:
        text = f"{what} is not aligned to 64 bytes"
        sim.refuse("alignment", text, cann.ACL_ERROR_RT_ADDR_UNALIGNED)
    if size < needed:
        text = f"{what} has {size} bytes; the model needs {needed}"
        sim.refuse("size", text, _PARAM)
    return region.block


# ------------------------------------------------------------------------------------------------
# Descs
# --------------------------------------------------------------------------------------------------


@implements("acl.mdl.create_desc")
def create_desc(sim: Simulator) -> int:
    """Make an empty model desc.

    Returns:
        The desc's handle.
    """
    desc = ModelDesc(sim.registry.number(), site(), sim.current)
    sim.registry.add(desc)
    return desc.handle


@implements("acl.mdl.get_desc")
def get_desc(sim: Simulator, handle: int, number: int) -> None:
    """Fill a desc from a loaded model.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        number: The model's number, as loading gave it.
    """
    desc = sim.thing(ModelDesc, handle)
    model = sim.model(number)
    desc.om = model.file
    desc.model = model


@implements("acl.mdl.get_desc_from_file")
def get_desc_from_file(sim: Simulator, handle: int, path: str) -> None:
    """Fill a desc from an OM file, without loading it.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        path: The OM file.
    """
    desc = sim.thing(ModelDesc, handle)
    desc.om = read_file(path)
    desc.model = None


@implements("acl.mdl.destroy_desc")
def destroy_desc(sim: Simulator, handle: int) -> None:
    """Destroy a desc; the guide's example unloads its model first.

    Args:
        sim: The simulated machine.
        handle: The model desc.
    """
    desc = sim.thing(ModelDesc, handle)
    model = desc.model
    loaded = model is not None and model.alive
    if model is not None and loaded and not model.release_failed:
        made = f"the model loaded at {line_of(model.where)}"
        text = f"{made} is better unloaded before its desc is destroyed, and was not"
        sim.advise("release-order", text)
    sim.release(desc)


def _om(sim: Simulator, handle: int) -> SimulatedOm:
    desc = sim.thing(ModelDesc, handle)
    if desc.om is None:
        text = "the desc is empty: get_desc has not filled it"
        sim.refuse("handle", text, cann.ACL_ERROR_INVALID_PARAM)
    return desc.om


def _input(sim: Simulator, handle: int, index: int) -> OmTensor:
    om = _om(sim, handle)
    return _at(sim, om.all_inputs, index, "input")


def _output(sim: Simulator, handle: int, index: int) -> OmTensor:
    om = _om(sim, handle)
    return _at(sim, om.outputs, index, "output")


def _at(sim: Simulator, tensors: Tuple[OmTensor, ...], index: int, what: str) -> OmTensor:
    if index >= len(tensors):
        sim.refuse("parameter", f"there is no {what} {index}", cann.ACL_ERROR_INVALID_PARAM)
    return tensors[index]


@implements("acl.mdl.get_num_inputs")
def get_num_inputs(sim: Simulator, handle: int) -> int:
    """Count the inputs.

    Args:
        sim: The simulated machine.
        handle: The model desc.

    Returns:
        Their number, the gear input counted.
    """
    om = _om(sim, handle)
    return len(om.all_inputs)


@implements("acl.mdl.get_num_outputs")
def get_num_outputs(sim: Simulator, handle: int) -> int:
    """Count the outputs.

    Args:
        sim: The simulated machine.
        handle: The model desc.

    Returns:
        Their number.
    """
    om = _om(sim, handle)
    return len(om.outputs)


@implements("acl.mdl.get_input_size_by_index")
def get_input_size_by_index(sim: Simulator, handle: int, index: int) -> int:
    """Say how large an input's buffer must be.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        Bytes for the largest gear.
    """
    om = _om(sim, handle)
    _at(sim, om.all_inputs, index, "input")
    return om.input_bytes(index, om.largest)


@implements("acl.mdl.get_output_size_by_index")
def get_output_size_by_index(sim: Simulator, handle: int, index: int) -> int:
    """Say how large an output's buffer must be.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        Bytes for the largest gear.
    """
    _output(sim, handle, index)
    om = _om(sim, handle)
    return models.output_bytes(om, index, om.largest)


@implements("acl.mdl.get_input_dims")
def get_input_dims(sim: Simulator, handle: int, index: int) -> Tuple[Dict[str, Any]]:
    """Return an input's dims.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        ``name``, ``dimCount`` and ``dims``, -1 where gears decide.
    """
    tensor = _input(sim, handle, index)
    dims = _dims(tensor.name, tensor.dims)
    return (dims,)


implements("acl.mdl.get_input_dims_v2")(get_input_dims)


@implements("acl.mdl.get_output_dims")
def get_output_dims(sim: Simulator, handle: int, index: int) -> Tuple[Dict[str, Any]]:
    """Return the dims for the largest gear.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        ``name``, ``dimCount`` and ``dims``.
    """
    tensor = _output(sim, handle, index)
    om = _om(sim, handle)
    sizes = models.output_dims(om, index, om.largest)
    return (_dims(tensor.name, sizes),)


@implements("acl.mdl.get_cur_output_dims")
def get_cur_output_dims(sim: Simulator, handle: int, index: int) -> Tuple[Dict[str, Any]]:
    """Return the dims for the gear that was last set for the model.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        ``name``, ``dimCount`` and ``dims``.
    """
    tensor = _output(sim, handle, index)
    om = _om(sim, handle)
    desc = sim.thing(ModelDesc, handle)
    gear = om.largest
    if desc.model is not None and desc.model.gear:
        gear = desc.model.gear
    sizes = models.output_dims(om, index, gear)
    return (_dims(tensor.name, sizes),)


def _dims(name: str, sizes: Tuple[int, ...]) -> Dict[str, Any]:
    return {"name": name, "dimCount": len(sizes), "dims": list(sizes)}


@implements("acl.mdl.get_input_data_type")
def get_input_data_type(sim: Simulator, handle: int, index: int) -> int:
    """Return an input's data type.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        aclDataType's number.
    """
    tensor = _input(sim, handle, index)
    return cann.ACL_DTYPE[tensor.dtype]


@implements("acl.mdl.get_output_data_type")
def get_output_data_type(sim: Simulator, handle: int, index: int) -> int:
    """Return an output's data type.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        aclDataType's number.
    """
    tensor = _output(sim, handle, index)
    return cann.ACL_DTYPE[tensor.dtype]


@implements("acl.mdl.get_input_format")
def get_input_format(sim: Simulator, handle: int, index: int) -> int:
    """Return an input's format.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        aclFormat's number.
    """
    tensor = _input(sim, handle, index)
    return cann.FORMAT_NUMBER[tensor.layout]


@implements("acl.mdl.get_output_format")
def get_output_format(sim: Simulator, handle: int, index: int) -> int:
    """Return an output's format.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        aclFormat's number.
    """
    tensor = _output(sim, handle, index)
    return cann.FORMAT_NUMBER[tensor.layout]


@implements("acl.mdl.get_input_name_by_index")
def get_input_name_by_index(sim: Simulator, handle: int, index: int) -> str:
    """Return an input's name.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        The name in the graph.
    """
    tensor = _input(sim, handle, index)
    return tensor.name


@implements("acl.mdl.get_output_name_by_index")
def get_output_name_by_index(sim: Simulator, handle: int, index: int) -> str:
    """Return an output's name.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        ATC's name: node, edge and, from CANN 6.0, the graph's own name.
    """
    tensor = _output(sim, handle, index)
    return tensor.name


@implements("acl.mdl.get_input_index_by_name")
def get_input_index_by_name(sim: Simulator, handle: int, name: str) -> Tuple[int]:
    """Find an input by its name.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        name: The tensor's name.

    Returns:
        Which input it is, from 0.
    """
    om = _om(sim, handle)
    return _index(om.all_inputs, name)


@implements("acl.mdl.get_output_index_by_name")
def get_output_index_by_name(sim: Simulator, handle: int, name: str) -> Tuple[int]:
    """Find an output by its name.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        name: The tensor's name.

    Returns:
        Which output it is, from 0.
    """
    om = _om(sim, handle)
    return _index(om.outputs, name)


def _index(tensors: Tuple[OmTensor, ...], name: str) -> Tuple[int]:
    # Asking for a name that is not there is how a static model is told from one with gears.
    names = [tensor.name for tensor in tensors]
    if name not in names:
        raise RefusedError(cann.ACL_ERROR_INVALID_PARAM, f"there is no tensor {name}")
    return (names.index(name),)


@implements("acl.mdl.get_dynamic_batch")
def get_dynamic_batch(sim: Simulator, handle: int) -> Tuple[Dict[str, Any]]:
    """Return the gears; none for a static model.

    Args:
        sim: The simulated machine.
        handle: The model desc.

    Returns:
        ``batchCount`` and ``batch``, the gears.
    """
    om = _om(sim, handle)
    gears: List[int] = []
    if om.dynamic:
        gears = list(om.sizes)  # empty with gears of dims
    return ({"batchCount": len(gears), "batch": gears},)


@implements("acl.mdl.get_dynamic_hw")
def get_dynamic_hw(sim: Simulator, handle: int, index: int) -> Tuple[Dict[str, Any]]:
    """Return no gears: the simulator's ATC builds none of height and width.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        ``hwCount`` and ``hw``.
    """
    _om(sim, handle)
    return ({"hwCount": 0, "hw": []},)


@implements("acl.mdl.get_input_dynamic_gear_count")
def get_input_dynamic_gear_count(sim: Simulator, handle: int, index: int) -> Tuple[int]:
    """Count the gears of dims; the index must be -1.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.

    Returns:
        Their number, 0 where --dynamic_dims was not given.
    """
    om = _om(sim, handle)
    if index != _MINUS_ONE:
        sim.refuse("parameter", f"the index is {index}; expected -1", cann.ACL_ERROR_INVALID_PARAM)
    return (len(om.dims_gears),)


@implements("acl.mdl.get_input_dynamic_dims")
def get_input_dynamic_dims(sim: Simulator, handle: int, index: int, count: int) -> Tuple[List[Any]]:
    """Return the gears of dims.

    Args:
        sim: The simulated machine.
        handle: The model desc.
        index: Which input or output, from 0, the gear input last.
        count: How many gears are expected.

    Returns:
        For each gear the dims of all inputs, one after the other: ``name``, ``dimCount`` and
        ``dims``.
    """
    om = _om(sim, handle)
    if index != _MINUS_ONE or count != len(om.dims_gears):
        text = f"the model has {len(om.dims_gears)} gears of dims, and the index is always -1"
        sim.refuse("parameter", text, cann.ACL_ERROR_INVALID_PARAM)
    return ([_dims("", om.joined_dims(gear)) for gear in om.dims_gears],)


@implements("acl.mdl.get_aipp_type")
def get_aipp_type(sim: Simulator, number: int, index: int) -> Tuple[int, int]:
    """Say whether an input has AIPP.

    Args:
        sim: The simulated machine.
        number: The model's number, as loading gave it.
        index: Which input or output, from 0, the gear input last.

    Returns:
        aclmdlInputAippType's number, and -1 as an unsigned number: an AIPP input is not attached.
    """
    model = sim.model(number)
    _at(sim, model.file.all_inputs, index, "input")
    kind = cann.AIPP_NONE
    if model.file.aipp is not None and index == 0:
        kind = cann.AIPP_STATIC
    return kind, _MINUS_ONE
