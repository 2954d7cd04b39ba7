"""acl.mdl.*: loading models, and what descs say of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from crnn import cann
from crnn.simulator import models
from crnn.simulator.calls import implements
from crnn.simulator.calls.rt_memory import Region
from crnn.simulator.memory import Block, charged, host_bytes
from crnn.simulator.models import Model, ModelDesc
from crnn.simulator.om_file import NotSimulatedError, OmTensor, SimulatedOm, from_bytes
from crnn.simulator.record import line_of, site
from crnn.simulator.state import RefusedError, Simulator
from crnn.simulator.things import ConfigHandle, Dataset

_PARAM = cann.ACL_ERROR_GE_PARAM_INVALID
_OPTION_KINDS: Dict[int, str] = {0: "i", 2: "s", 3: "k", 5: "k", 7: "k", 14: "k"}
_LOAD_TYPE, _PATH = 1, 2
_LOAD_FROM_FILE = 1

# -------------------------------------------------------------------------------------------------
# Loading
# --------------------------------------------------------------------------------------------------


@implements("acl.mdl.load_from_file")
def load_from_file(sim: Simulator, path: str) -> Tuple[int]:
    context = sim.need_context()
    return (_load(sim, context.device, read_file(path)),)


@implements("acl.mdl.load_from_mem")
def load_from_mem(sim: Simulator, address: int, size: int) -> Tuple[int]:
    context = sim.need_context()
    return (_load(sim, context.device, _read_memory(sim, address, size)),)


@implements("acl.mdl.load_from_file_with_mem")
def load_from_file_with_mem(
    sim: Simulator, path: str, work: int, work_size: int, weight: int, weight_size: int
) -> Tuple[int]:
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
    context = sim.need_context()
    om = _read_memory(sim, address, size)
    blocks = _given_memory(sim, om, (work, work_size), (weight, weight_size))
    return (_load(sim, context.device, om, blocks),)


@implements("acl.mdl.create_config_handle")
def create_config_handle(sim: Simulator) -> int:
    return sim.registry.add(ConfigHandle(sim.registry.number(), site(), sim.current)).handle


@implements("acl.mdl.set_config_opt")
def set_config_opt(sim: Simulator, handle: int, option: int, value: Any) -> None:
    config = sim.thing(ConfigHandle, handle)
    kind = str if _OPTION_KINDS.get(option) == "s" else int
    if not isinstance(value, kind):
        raise TypeError("acl.mdl.set_config_opt args parse failed!")
    if not 0 <= option <= 14:
        sim.refuse(
            "parameter",
            f"{option} is no option of a model configuration",
            cann.ACL_ERROR_INVALID_PARAM,
        )
    config.options[option] = value


@implements("acl.mdl.load_with_config")
def load_with_config(sim: Simulator, handle: int) -> Tuple[int]:
    """Load by a configuration; only loading a file into memory of CANN's own choice is
    simulated.
    """
    context = sim.need_context()
    options = sim.thing(ConfigHandle, handle).options
    path = options.get(_PATH)
    if options.get(_LOAD_TYPE) != _LOAD_FROM_FILE or not isinstance(path, str):
        raise RefusedError(
            cann.ACL_ERROR_FEATURE_UNSUPPORTED, "only load type 1, from a file, is simulated"
        )
    return (_load(sim, context.device, read_file(path)),)


@implements("acl.mdl.destroy_config_handle")
def destroy_config_handle(sim: Simulator, handle: int) -> None:
    sim.release(sim.thing(ConfigHandle, handle))


@implements("acl.mdl.unload")
def unload(sim: Simulator, number: int) -> None:
    """Unload a model after the datasets that were used with it."""
    model = sim.model(number)
    for dataset in sim.registry.living(Dataset):
        if number in dataset.models and not dataset.release_failed:
            sim.broke(
                "release-order",
                f"the dataset made at {line_of(dataset.where)} is destroyed before its model goes",
            )
    sim.release(model)
    if model.own:
        assert model.context is not None
        sim.memory.give_back(model.context.device, model.own)


@implements("acl.mdl.query_size")
def query_size(sim: Simulator, path: str) -> Tuple[int, int]:
    om = read_file(path)
    return models.work_size(om), models.weight_size(om)


def read_file(path: str) -> SimulatedOm:
    """Read an OM file; 145002 without one, 145006 for what is none that the simulator wrote."""
    if not path or not os.access(path, os.R_OK) or not Path(path).is_file():
        raise RefusedError(cann.ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID, f"{path} cannot be read")
    return _parse(Path(path).read_bytes(), path)


def _read_memory(sim: Simulator, address: int, size: int) -> SimulatedOm:
    if not size:
        raise RefusedError(cann.ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID)
    region = Region(sim, address, size, "the model")
    if region.on_device and sim.knobs.run_mode == cann.ACL_HOST:
        sim.refuse("memory", "a model is loaded from host memory", cann.ACL_ERROR_INVALID_PARAM)
    data = region.bytes if region.block is not None else host_bytes(address, size)
    return _parse(data.tobytes(), "the model in memory")


def _parse(data: bytes, name: str) -> SimulatedOm:
    try:
        return from_bytes(data)
    except NotSimulatedError as error:
        raise RefusedError(
            cann.ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID, f"{name}: {error}"
        ) from error


def _load(sim: Simulator, device: int, om: SimulatedOm, given: Optional[List[Block]] = None) -> int:
    if om.soc != sim.knobs.soc:
        text = (
            f"E10001: the model is for {om.soc}; Model soc version is not support in this device,"
            f" {sim.knobs.soc}"
        )
        raise RefusedError(_PARAM, text)
    if om.release > sim.knobs.cann:
        raise RefusedError(
            _PARAM, f"the model was compiled by CANN {om.release}, newer than {sim.knobs.version}"
        )
    own = (
        0 if given is not None else charged(models.work_size(om)) + charged(models.weight_size(om))
    )
    if own and not sim.memory.reserve(device, own):
        raise RefusedError(cann.ACL_ERROR_RT_MEMORY_ALLOCATION, f"the model needs {own} bytes")
    number = len(sim.models)
    sim.models[number] = Model(
        -1 - number, site(), sim.current, number=number, om=om, own=own, lent=given or []
    )
    return number


def _given_memory(
    sim: Simulator, om: SimulatedOm, work: Tuple[int, int], weight: Tuple[int, int]
) -> List[Block]:
    blocks = []
    for (address, size), needed, what in (
        (work, models.work_size(om), "work"),
        (weight, models.weight_size(om), "weight"),
    ):
        region = Region(sim, address, max(size, 1), f"the {what} memory")
        if not region.on_device or region.block is None:
            sim.refuse("memory", f"the {what} memory is not on the device", _PARAM)
        if address % cann.DEVICE_ALIGNMENT:
            sim.refuse(
                "alignment",
                f"the {what} memory is not aligned to 64 bytes",
                cann.ACL_ERROR_RT_ADDR_UNALIGNED,
            )
        if size < needed:
            sim.refuse(
                "size", f"the {what} memory has {size} bytes; the model needs {needed}", _PARAM
            )
        blocks.append(region.block)
    return blocks


# ------------------------------------------------------------------------------------------------
# Descs
# --------------------------------------------------------------------------------------------------


@implements("acl.mdl.create_desc")
def create_desc(sim: Simulator) -> int:
    return sim.registry.add(ModelDesc(sim.registry.number(), site(), sim.current)).handle


@implements("acl.mdl.get_desc")
def get_desc(sim: Simulator, handle: int, number: int) -> None:
    desc, model = sim.thing(ModelDesc, handle), sim.model(number)
    desc.om, desc.model = model.file, model


@implements("acl.mdl.get_desc_from_file")
def get_desc_from_file(sim: Simulator, handle: int, path: str) -> None:
    desc = sim.thing(ModelDesc, handle)
    desc.om, desc.model = read_file(path), None


@implements("acl.mdl.destroy_desc")
def destroy_desc(sim: Simulator, handle: int) -> None:
    """Destroy a desc; the documented order unloads its model first."""
    desc = sim.thing(ModelDesc, handle)
    if desc.model is not None and desc.model.alive and not desc.model.release_failed:
        sim.broke(
            "release-order",
            f"the model loaded at {line_of(desc.model.where)} is unloaded before its desc goes",
        )
    sim.release(desc)


def _om(sim: Simulator, handle: int) -> SimulatedOm:
    desc = sim.thing(ModelDesc, handle)
    if desc.om is None:
        sim.refuse(
            "handle", "the desc is empty: get_desc has not filled it", cann.ACL_ERROR_INVALID_PARAM
        )
    return desc.om


def _input(sim: Simulator, handle: int, index: int) -> OmTensor:
    return _at(sim, _om(sim, handle).all_inputs, index, "input")


def _output(sim: Simulator, handle: int, index: int) -> OmTensor:
    return _at(sim, _om(sim, handle).outputs, index, "output")


def _at(sim: Simulator, tensors: Tuple[OmTensor, ...], index: int, what: str) -> OmTensor:
    if index >= len(tensors):
        sim.refuse("parameter", f"there is no {what} {index}", cann.ACL_ERROR_INVALID_PARAM)
    return tensors[index]


@implements("acl.mdl.get_num_inputs")
def get_num_inputs(sim: Simulator, handle: int) -> int:
    return len(_om(sim, handle).all_inputs)


@implements("acl.mdl.get_num_outputs")
def get_num_outputs(sim: Simulator, handle: int) -> int:
    return len(_om(sim, handle).outputs)


@implements("acl.mdl.get_input_size_by_index")
def get_input_size_by_index(sim: Simulator, handle: int, index: int) -> int:
    om = _om(sim, handle)
    tensor = _input(sim, handle, index)
    # Of the gear input only 4 bytes are promised, though up to 8 are written.
    return 4 if tensor.name == cann.DYNAMIC_INPUT_NAME else tensor.count(max(om.sizes))


@implements("acl.mdl.get_output_size_by_index")
def get_output_size_by_index(sim: Simulator, handle: int, index: int) -> int:
    _output(sim, handle, index)
    om = _om(sim, handle)
    return models.output_bytes(om, index, max(om.sizes))


@implements("acl.mdl.get_input_dims")
def get_input_dims(sim: Simulator, handle: int, index: int) -> Tuple[Dict[str, Any]]:
    tensor = _input(sim, handle, index)
    return (_dims(tensor.name, tensor.dims),)


implements("acl.mdl.get_input_dims_v2")(get_input_dims)


@implements("acl.mdl.get_output_dims")
def get_output_dims(sim: Simulator, handle: int, index: int) -> Tuple[Dict[str, Any]]:
    """Return the dims for the largest gear."""
    tensor, om = _output(sim, handle, index), _om(sim, handle)
    return (_dims(tensor.name, models.output_dims(om, index, max(om.sizes))),)


@implements("acl.mdl.get_cur_output_dims")
def get_cur_output_dims(sim: Simulator, handle: int, index: int) -> Tuple[Dict[str, Any]]:
    """Return the dims for the gear that was last set for the model."""
    tensor, om = _output(sim, handle, index), _om(sim, handle)
    desc = sim.thing(ModelDesc, handle)
    gear = desc.model.gear if desc.model is not None and desc.model.gear else max(om.sizes)
    return (_dims(tensor.name, models.output_dims(om, index, gear)),)


def _dims(name: str, sizes: Tuple[int, ...]) -> Dict[str, Any]:
    return {"name": name, "dimCount": len(sizes), "dims": list(sizes)}


@implements("acl.mdl.get_input_data_type")
def get_input_data_type(sim: Simulator, handle: int, index: int) -> int:
    return cann.ACL_DTYPE[_input(sim, handle, index).dtype]


@implements("acl.mdl.get_output_data_type")
def get_output_data_type(sim: Simulator, handle: int, index: int) -> int:
    return cann.ACL_DTYPE[_output(sim, handle, index).dtype]


@implements("acl.mdl.get_input_format")
def get_input_format(sim: Simulator, handle: int, index: int) -> int:
    return cann.FORMAT_NUMBER[_input(sim, handle, index).layout]


@implements("acl.mdl.get_output_format")
def get_output_format(sim: Simulator, handle: int, index: int) -> int:
    return cann.FORMAT_NUMBER[_output(sim, handle, index).layout]


@implements("acl.mdl.get_input_name_by_index")
def get_input_name_by_index(sim: Simulator, handle: int, index: int) -> str:
    return _input(sim, handle, index).name


@implements("acl.mdl.get_output_name_by_index")
def get_output_name_by_index(sim: Simulator, handle: int, index: int) -> str:
    return _output(sim, handle, index).name


@implements("acl.mdl.get_input_index_by_name")
def get_input_index_by_name(sim: Simulator, handle: int, name: str) -> Tuple[int]:
    return _index(_om(sim, handle).all_inputs, name)


@implements("acl.mdl.get_output_index_by_name")
def get_output_index_by_name(sim: Simulator, handle: int, name: str) -> Tuple[int]:
    return _index(_om(sim, handle).outputs, name)


def _index(tensors: Tuple[OmTensor, ...], name: str) -> Tuple[int]:
    # Asking for a name that is not there is how a static model is told from one with gears.
    names = [tensor.name for tensor in tensors]
    if name not in names:
        raise RefusedError(cann.ACL_ERROR_INVALID_PARAM, f"there is no tensor {name}")
    return (names.index(name),)


@implements("acl.mdl.get_dynamic_batch")
def get_dynamic_batch(sim: Simulator, handle: int) -> Tuple[Dict[str, Any]]:
    om = _om(sim, handle)
    gears = list(om.sizes) if om.dynamic else []
    return ({"batchCount": len(gears), "batch": gears},)


@implements("acl.mdl.get_dynamic_hw")
def get_dynamic_hw(sim: Simulator, handle: int, index: int) -> Tuple[Dict[str, Any]]:
    """Return no gears: the simulator's ATC builds none of height and width."""
    _om(sim, handle)
    return ({"hwCount": 0, "hw": []},)


@implements("acl.mdl.get_input_dynamic_gear_count")
def get_input_dynamic_gear_count(sim: Simulator, handle: int, index: int) -> Tuple[int]:
    """Return 0 gears of dims; the index must be -1."""
    _om(sim, handle)
    if index != (1 << 64) - 1:
        sim.refuse("parameter", f"the index is {index}; expected -1", cann.ACL_ERROR_INVALID_PARAM)
    return (0,)


@implements("acl.mdl.get_input_dynamic_dims")
def get_input_dynamic_dims(sim: Simulator, handle: int, index: int, count: int) -> Tuple[List[Any]]:
    _om(sim, handle)
    if index != (1 << 64) - 1 or count:
        sim.refuse("parameter", "the model has no gears of dims", cann.ACL_ERROR_INVALID_PARAM)
    return ([],)


@implements("acl.mdl.get_aipp_type")
def get_aipp_type(sim: Simulator, number: int, index: int) -> Tuple[int, int]:
    model = sim.model(number)
    _at(sim, model.file.all_inputs, index, "input")
    static = model.file.aipp is not None and index == 0
    return (cann.AIPP_STATIC if static else cann.AIPP_NONE), (1 << 64) - 1
