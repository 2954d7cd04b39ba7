"""acl.mdl.execute and execute_async: what a dataset must be, and the run itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Tuple

import numpy as np

from crnn import cann
from crnn.simulator import models
from crnn.simulator.calls import implements
from crnn.simulator.clock import COMPUTE
from crnn.simulator.memory import Block, charged, is_poison
from crnn.simulator.models import Model
from crnn.simulator.om_file import Gear, SimulatedOm
from crnn.simulator.record import Site, line_of, site
from crnn.simulator.state import RefusedError, Simulator
from crnn.simulator.streams import Stream
from crnn.simulator.things import DataBuffer, Dataset, Thing

_PARAM = cann.ACL_ERROR_GE_PARAM_INVALID


@dataclass(frozen=True)
class Part:
    """A model's input or output in a block:

    its bytes for this batch, and the whole buffer that may be written.
    """

    block: Block
    low: int
    count: int
    size: int

    @property
    def high(self) -> int:
        """Where the bytes of this batch end."""
        return self.low + self.count


@dataclass(frozen=True)
class Execution:
    """One execution: the model, the gear, and where its inputs and outputs lie."""

    model: Model
    gear: Gear
    datasets: Tuple[Dataset, Dataset]
    inputs: List[Part]
    outputs: List[Part]

    @property
    def rows(self) -> int:
        """The rows of the batch."""
        return self.model.file.input_dims(0, self.gear)[0]

    def things(self) -> List[Thing]:
        """What must stay as it is until the run is over, and must not be run on twice at a time."""
        things: List[Thing] = [self.model]
        things.extend(self.datasets)
        for dataset in self.datasets:
            things.extend(dataset.buffers)
        return things


@implements("acl.mdl.execute")
def execute(sim: Simulator, number: int, inputs: int, outputs: int) -> None:
    """Run a model at once.

    Args:
        sim: The simulated machine.
        number: The model's number.
        inputs: The dataset of inputs, with the gear input last.
        outputs: The dataset of outputs.
    """
    run = _prepare(sim, number, inputs, outputs)
    _keep_mode(sim, run.model, "execute")
    sim.clock.work(sim.knobs.host_ms)
    for thing in run.things():
        sim.check_host_access(thing, write=True)
    for part, write in _parts(run):
        sim.check_host_access(part.block, write=write, low=part.low, high=part.high)
    _run(sim, run, site())
    assert run.model.context is not None
    device = run.model.context.device
    duration = sim.clock.compute_duration(run.rows)
    end = sim.clock.place(device, COMPUTE, sim.clock.now, duration)
    sim.clock.wait_until(end)


@implements("acl.mdl.execute_async")
def execute_async(sim: Simulator, number: int, inputs: int, outputs: int, stream: int) -> None:
    """Queue a run; runs of one model on several streams must be ordered by events.

    Args:
        sim: The simulated machine.
        number: The model's number.
        inputs: The dataset of inputs, with the gear input last.
        outputs: The dataset of outputs.
        stream: The stream; 0 is the current context's default one.
    """
    queue = sim.stream(stream)
    run = _prepare(sim, number, inputs, outputs)
    _keep_mode(sim, run.model, "execute_async")
    sim.clock.work(sim.knobs.host_ms)
    for thing in run.things():
        sim.check_task_access(thing, queue, write=True)
    for part, write in _parts(run):
        sim.check_task_access(part.block, queue, write=write, low=part.low, high=part.high)
    where = site()
    duration = sim.clock.compute_duration(run.rows)
    task = sim.streams.enqueue(
        queue,
        "execute_async",
        where,
        lambda: _run_queued(sim, run, queue, where),
        engine=COMPUTE,
        duration=duration,
    )
    for thing in run.things():
        sim.streams.touch(thing, queue, task, write=True)
    for part, write in _parts(run):
        sim.streams.touch(part.block, queue, task, write=write, low=part.low, high=part.high)


def _prepare(sim: Simulator, number: int, inputs: int, outputs: int) -> Execution:
    model = sim.model(number)
    om = model.file
    sources = sim.thing(Dataset, inputs)
    targets = sim.thing(Dataset, outputs)
    gear = _take_gear(sim, model, sources)
    _check_count(sim, sources, len(om.all_inputs), "input")
    _check_count(sim, targets, len(om.outputs), "output")
    run = Execution(
        model=model,
        gear=gear,
        datasets=(sources, targets),
        inputs=_input_parts(sim, om, sources, gear),
        outputs=_output_parts(sim, om, targets, gear),
    )
    _check_pool(sim, [*run.inputs, *run.outputs])
    for dataset in (sources, targets):
        if number not in dataset.models:
            dataset.models.append(number)
    return run


def _keep_mode(sim: Simulator, model: Model, mode: str) -> None:
    """Remember how a model was first run, and refuse the other way for ever, as GE does.

    Source: hicann/ge, DavinciModel::InitModelStream. Its inner code is outside ACL's range, so
    that a program sees 500002. Nothing but unloading the model takes it back.
    """
    if not model.mode:
        model.mode = mode
        model.first_run = site()
    if model.mode != mode:
        first = f"{model.mode} at {line_of(model.first_run)}"
        text = (
            f"model {model.number} was first run by {first}: GE then refuses {mode} for ever"
            " (NnExecute not support mix execute)"
        )
        sim.refuse("mode", text, cann.ACL_ERROR_GE_FAILURE)


def _input_parts(sim: Simulator, om: SimulatedOm, dataset: Dataset, gear: Gear) -> List[Part]:
    # A buffer must have room for the largest gear, whatever this one is.
    parts = []
    for index, buffer in enumerate(dataset.buffers):
        needed = om.input_bytes(index, gear)
        largest = om.input_bytes(index, om.largest)
        parts.append(_part(sim, buffer, needed, largest, "input"))
    return parts


def _output_parts(sim: Simulator, om: SimulatedOm, dataset: Dataset, gear: Gear) -> List[Part]:
    parts = []
    for index, buffer in enumerate(dataset.buffers):
        needed = models.output_bytes(om, index, gear)
        largest = models.output_bytes(om, index, om.largest)
        parts.append(_part(sim, buffer, needed, largest, "output"))
    return parts


def _take_gear(sim: Simulator, model: Model, dataset: Dataset) -> Gear:
    om = model.file
    if not om.dynamic:
        return om.largest
    gear = dataset.gears.pop(model.number, ())
    if not gear:
        # The real thing takes the largest gear, and so a batch that nobody meant.
        call = "set_dynamic_batch_size"
        if om.dims_gears:
            call = "set_input_dynamic_dims"
        text = f"{call} was not called since the last execution with this dataset"
        sim.broke("gear", text)
        return om.largest
    return gear


def _check_count(sim: Simulator, dataset: Dataset, wanted: int, what: str) -> None:
    if len(dataset.buffers) != wanted:
        count = len(dataset.buffers)
        text = f"the {what} dataset has {count} buffers; the model has {wanted}"
        sim.refuse("dataset", text, _PARAM)


def _part(sim: Simulator, buffer: DataBuffer, needed: int, largest: int, what: str) -> Part:
    made = f"the {what} buffer made at {line_of(buffer.where)}"
    if not buffer.alive:
        text = f"{made} was destroyed at {line_of(buffer.released or ())}"
        sim.refuse("use-after-release", text, _PARAM)
    block = sim.memory.find(buffer.pointer)
    if block is None or block.device is None:
        sim.refuse("memory", f"{made} is not in device memory", _PARAM)
    if block.released is not None:
        text = f"{made} is in memory freed at {line_of(block.released)}"
        sim.refuse("use-after-release", text, _PARAM)
    low = buffer.pointer - block.handle
    if low + buffer.size > block.size:
        text = f"{made}: {buffer.size} bytes from byte {low} of {block.size}"
        sim.refuse("overrun", text, _PARAM)
    if buffer.pointer % cann.DEVICE_ALIGNMENT:
        text = f"{made} does not begin on 64 bytes"
        sim.refuse("alignment", text, cann.ACL_ERROR_RT_ADDR_UNALIGNED)
    if buffer.size < largest:
        text = f"{made} has {buffer.size} bytes; the model needs {largest}"
        sim.refuse("size", text, _PARAM)
    return Part(block, low, needed, buffer.size)


def _check_pool(sim: Simulator, parts: List[Part]) -> None:
    """See that buffers carved from one allocation keep the documented distance; the allocation
    itself has room.
    """
    ordered = sorted(parts, key=lambda part: (part.block.handle, part.low))
    for first, second in zip(ordered, ordered[1:]):
        # The distance is what an allocation of this size would take of the device.
        end = first.low + charged(first.size)
        if first.block is second.block and second.low < end:
            made = line_of(first.block.where)
            text = (
                f"two buffers in the memory made at {made} overlap, or stand closer than documented"
            )
            sim.refuse("overrun", text, _PARAM)


def _parts(run: Execution) -> List[Tuple[Part, bool]]:
    # With each part, whether the run writes it.
    read = [(part, False) for part in run.inputs]
    written = [(part, True) for part in run.outputs]
    return read + written


def _run_queued(sim: Simulator, run: Execution, queue: Stream, where: Site) -> None:
    try:
        _run(sim, run, where)
    except RefusedError as failure:
        queue.error = failure.code


def _run(sim: Simulator, run: Execution, where: Site) -> None:
    om = run.model.file
    for index, part in enumerate(run.inputs):
        if not _filled(sim, part):
            made = f"memory made at {line_of(part.block.where)}"
            text = f"input {index}, {part.count} bytes of {made}, is not wholly filled"
            sim.broke("uninitialised", text, where=where)
    # The gear input, which comes last, is not an input of the graph.
    data = []
    for part in run.inputs[: len(om.inputs)]:
        content = part.block.view(part.low, part.count)
        data.append(content.copy())
    try:
        results = models.compute(om, data, run.gear, sim.knobs)
    except _runtime_errors() as error:
        raise RefusedError(cann.ACL_ERROR_RT_MODEL_EXECUTE, f"ONNX Runtime: {error}") from error
    for part, result in zip(run.outputs, results):
        target = part.block.view(part.low, part.count)
        target[:] = np.frombuffer(result, dtype=np.uint8)
        part.block.fill(part.low, part.high)


def _filled(sim: Simulator, part: Part) -> bool:
    if sim.knobs.run_mode == cann.ACL_DEVICE:
        # There the host writes into device memory without a call.
        content = part.block.view(part.low, part.count)
        return not is_poison(content[-64:])
    return part.block.holds(part.low, part.high)


def _runtime_errors() -> Tuple[Any, ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        state.Fail,
        state.InvalidArgument,
        state.RuntimeException,
        ValueError,
    )
