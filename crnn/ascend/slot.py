"""Batches through a device:

memory that is allocated once, and the two ways to send a batch through it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from crnn import cann
from crnn.ascend.model import Gear, LoadedModel, Pinned, device_memory, make_dataset, pinned_memory
from crnn.ascend.pyacl import LASTING_EVENT_CALL, Acl
from crnn.ascend.release import Releases


@dataclass(frozen=True)
class Task:
    """One size of batch that a model takes:

    the gear that gives it (None for a static model), and the arrays that go in and come out, as
    they lie in device memory.
    """

    model: LoadedModel
    gear: Optional[Gear]
    batch: int
    in_dtype: str
    in_shape: Tuple[int, ...]
    out_dtype: str
    out_shape: Tuple[int, ...]

    @property
    def in_bytes(self) -> int:
        """The bytes of a batch of images."""
        return _bytes(self.in_dtype, self.in_shape)

    @property
    def out_bytes(self) -> int:
        """The bytes of the logits of a batch."""
        return _bytes(self.out_dtype, self.out_shape)


class Streams(NamedTuple):
    """One stream for each thing that a chip does at the same time; events chain a batch's way
    through them.
    """

    copy_in: int
    compute: int
    copy_out: int


def create_streams(acl: Acl, held: Releases) -> Streams:
    """Create the three streams of a device.

    Args:
        acl: The binding; the context is the thread's current one.
        held: Gets what destroys the streams.

    Returns:
        The three streams.

    Raises:
        AscendError: CANN refuses.
    """

    def create() -> int:
        stream = acl.create_stream()
        held.push(acl.destroy_stream, stream)
        return stream

    return Streams(create(), create(), create())


class Laps(NamedTuple):
    """Called when a stage ends: the batch lies in device memory; its logits do."""

    copied_in: Callable[[], None]
    computed: Callable[[], None]


class Event:
    """An event that is used again for each batch of a slot.

    From CANN 8.0 on create_event_ex_with_flag makes events that may be recorded again as they are,
    and that reset_event does not take. Those of create_event must be reset by the stream that
    waited for them, for on chips whose events are flags the next batch would otherwise not wait at
    all; from 8.5 on their reset is undefined (the pages of aclrtCreateEvent and aclrtResetEvent).
    """

    def __init__(self, acl: Acl, held: Releases) -> None:
        self._acl = acl
        self._resets = not acl.has(LASTING_EVENT_CALL)
        if self._resets:
            self._event = acl.create_event()
        else:
            self._event = acl.create_event_ex_with_flag(cann.ACL_EVENT_SYNC)
        held.push(acl.destroy_event, self._event)

    def order(self, first: int, second: int) -> None:
        """Let what is enqueued next on the second stream wait for what is on the first now."""
        self.record(first)
        self._acl.stream_wait_event(second, self._event)
        if self._resets:
            self._acl.reset_event(self._event, second)

    def record(self, stream: int) -> None:
        """Let `synchronize` wait for what is on the stream now."""
        self._acl.record_event(self._event, stream)

    def synchronize(self) -> None:
        """Wait for what was recorded last."""
        self._acl.synchronize_event(self._event)


class _Room:
    """Memory for the largest input and output of some models."""

    def __init__(self, acl: Acl, in_size: int, out_size: int, held: Releases) -> None:
        self.in_size = in_size
        self.out_size = out_size
        self.host_in: Pinned = pinned_memory(acl, in_size, held)
        self.host_out: Pinned = pinned_memory(acl, out_size, held)
        self.device_in = device_memory(acl, in_size, held)
        self.device_out = device_memory(acl, out_size, held)

    def holds(self, model: LoadedModel) -> bool:
        """Whether a model's input and output find place here."""
        return model.inputs[0].size <= self.in_size and model.outputs[0].size <= self.out_size


class _Way(NamedTuple):
    """A model's way through a slot: where its arrays lie, and its datasets."""

    room: _Room
    inputs: int
    outputs: int


class Slot:
    """Memory for one batch on its way: pinned host memory, device memory, datasets and, with gears,
    a gear buffer.

    The gear buffer is the slot's own because setting a gear writes it at once, whatever the streams
    are still doing. All methods want the slot's context to be current; `held` gets what releases
    the slot. GE remembers of each loaded model whether it was first run by execute or by
    execute_async, and refuses the other for ever: with streams every batch goes through them.
    Models that are loaded later are `add`-ed; ``room`` is what the largest of them will take, in
    bytes of input and output.
    """

    def __init__(
        self,
        acl: Acl,
        models: Sequence[LoadedModel],
        on_device: bool,
        streams: Optional[Streams],
        held: Releases,
        room: Tuple[int, int] = (0, 0),
    ) -> None:
        self._acl = acl
        self._streams = streams
        self.busy = False
        """Whether a batch was set on its way that nobody has waited for."""
        self._kind_in = cann.ACL_MEMCPY_HOST_TO_DEVICE
        self._kind_out = cann.ACL_MEMCPY_DEVICE_TO_HOST
        if on_device:
            # On the chip's own system, host and device memory are one, and older CANN wants the
            # kind to say so.
            self._kind_in = cann.ACL_MEMCPY_DEVICE_TO_DEVICE
            self._kind_out = cann.ACL_MEMCPY_DEVICE_TO_DEVICE
        in_sizes = [model.inputs[0].size for model in models]
        out_sizes = [model.outputs[0].size for model in models]
        self._room = _Room(acl, max([room[0], *in_sizes]), max([room[1], *out_sizes]), held)
        self._ways: Dict[int, _Way] = {}
        for model in models:
            self.add(model, held)
        if streams:
            self._copied_in = Event(acl, held)
            self._computed = Event(acl, held)
            self._copied_out = Event(acl, held)

    def add(self, model: LoadedModel, held: Releases) -> None:
        """Make what one more model needs."""
        acl, room = self._acl, self._room
        if not room.holds(model):
            # Its file told less than CANN does.
            room = _Room(acl, model.inputs[0].size, model.outputs[0].size, held)
        buffers = [(room.device_in, model.inputs[0].size)]
        if model.gears:
            buffers.append((device_memory(acl, model.gear_size, held), model.gear_size))
        inputs = make_dataset(acl, buffers, held)
        outputs = make_dataset(acl, [(room.device_out, model.outputs[0].size)], held)
        self._ways[model.id] = _Way(room, inputs, outputs)

    def output_dims(self, model: LoadedModel, gear: Optional[Gear]) -> Tuple[int, ...]:
        """Return the sizes of a model's output at a gear; no batch of the slot may be on its way.

        Raises `AscendError` where CANN refuses.
        """
        if gear is not None:
            model.set_gear(self._acl, self._ways[model.id].inputs, gear)
        return tuple(self._acl.get_cur_output_dims(model.desc, 0))

    def run(self, task: Task, images: np.ndarray, laps: Optional[Laps]) -> np.ndarray:
        """Send a batch through, and return its logits: a view that the slot's next batch
        overwrites.

        ``laps`` are called when the stages end; without them nothing is waited for but the end.
        """
        if self._streams is None:
            return self._run_at_once(task, images, laps)
        if laps is None:
            self.enqueue(task, images)
            return self.wait()
        return self._run_in_stages(task, images, self._streams, laps)

    def _run_at_once(self, task: Task, images: np.ndarray, laps: Optional[Laps]) -> np.ndarray:
        """Run a batch by calls that wait, where there are no streams."""
        acl = self._acl
        room, inputs, outputs = self._prepare(task, images)
        acl.memcpy(room.device_in, room.in_size, room.host_in.pointer, task.in_bytes, self._kind_in)
        if laps:
            laps.copied_in()
        acl.execute(task.model.id, inputs, outputs)
        if laps:
            laps.computed()
        acl.memcpy(
            room.host_out.pointer, room.out_size, room.device_out, task.out_bytes, self._kind_out
        )
        return self._result(task)

    def _run_in_stages(
        self, task: Task, images: np.ndarray, streams: Streams, laps: Laps
    ) -> np.ndarray:
        """Run a batch through the streams, one stage after another."""
        acl = self._acl
        _, inputs, outputs = self._prepare(task, images)
        self.busy = True
        self._copy_in(task, streams)
        acl.synchronize_stream(streams.copy_in)
        laps.copied_in()
        acl.execute_async(task.model.id, inputs, outputs, streams.compute)
        acl.synchronize_stream(streams.compute)
        laps.computed()
        self._copy_out(task, streams)
        acl.synchronize_stream(streams.copy_out)
        self.busy = False
        return self._result(task)

    def enqueue(self, task: Task, images: np.ndarray) -> None:
        """Set a batch on its way through the streams; `wait` must come before the slot's next
        batch.
        """
        acl, streams = self._acl, self._streams
        assert streams is not None
        _, inputs, outputs = self._prepare(task, images)
        self._task = task
        self.busy = True
        self._copy_in(task, streams)
        self._copied_in.order(streams.copy_in, streams.compute)
        acl.execute_async(task.model.id, inputs, outputs, streams.compute)
        self._computed.order(streams.compute, streams.copy_out)
        self._copy_out(task, streams)
        self._copied_out.record(streams.copy_out)

    def wait(self) -> np.ndarray:
        """Return the logits of the batch that was enqueued, when they are there:

        a view, as `run` returns.
        """
        self._copied_out.synchronize()
        self.busy = False
        return self._result(self._task)

    def _copy_in(self, task: Task, streams: Streams) -> None:
        """Set the images on their way to the device."""
        room = self._ways[task.model.id].room
        self._acl.memcpy_async(
            room.device_in,
            room.in_size,
            room.host_in.pointer,
            task.in_bytes,
            self._kind_in,
            streams.copy_in,
        )

    def _copy_out(self, task: Task, streams: Streams) -> None:
        """Set the logits on their way to the host."""
        room = self._ways[task.model.id].room
        self._acl.memcpy_async(
            room.host_out.pointer,
            room.out_size,
            room.device_out,
            task.out_bytes,
            self._kind_out,
            streams.copy_out,
        )

    def _prepare(self, task: Task, images: np.ndarray) -> _Way:
        """Put images into pinned memory, as the model takes them, and set its gear."""
        way = self._ways[task.model.id]
        target = way.room.host_in.bytes[: task.in_bytes].view(task.in_dtype).reshape(task.in_shape)
        channels_last = images.shape != task.in_shape
        np.copyto(target, images.transpose(0, 2, 3, 1) if channels_last else images)
        if task.gear:
            task.model.set_gear(self._acl, way.inputs, task.gear)
        return way

    def _result(self, task: Task) -> np.ndarray:
        """Return the logits in pinned memory, as they were copied there last."""
        room = self._ways[task.model.id].room
        return room.host_out.bytes[: task.out_bytes].view(task.out_dtype).reshape(task.out_shape)


def _bytes(dtype: str, shape: Tuple[int, ...]) -> int:
    return int(np.prod(shape)) * int(np.dtype(dtype).itemsize)
