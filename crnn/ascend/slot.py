"""Batches through a device:

memory that is allocated once, and the two ways to send a batch through it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, NamedTuple, Sequence, Tuple

import numpy as np

from crnn import cann
from crnn.ascend.model import LoadedModel, Pinned, device_memory, make_dataset, pinned_memory
from crnn.ascend.pyacl import Acl
from crnn.ascend.release import Releases


@dataclass(frozen=True)
class Task:
    """One size of batch that a model takes:

    the arrays that go in and come out, as they lie in device memory.
    """

    model: LoadedModel
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


class Slot:
    """Memory for one batch on its way: pinned host memory, device memory, datasets and, with gears,
    a gear buffer.

    The gear buffer is the slot's own because setting a gear writes it at once, whatever the streams
    are still doing. All methods want the slot's context to be current; `held` gets what releases
    the slot.
    """

    def __init__(
        self, acl: Acl, models: Sequence[LoadedModel], on_device: bool, held: Releases
    ) -> None:
        self._acl = acl
        # On the chip's own system, host and device memory are one, and older CANN wants the kind to
        # say so.
        same = cann.ACL_MEMCPY_DEVICE_TO_DEVICE
        if on_device:
            self._kind_in = same
        else:
            self._kind_in = cann.ACL_MEMCPY_HOST_TO_DEVICE
        if on_device:
            self._kind_out = same
        else:
            self._kind_out = cann.ACL_MEMCPY_DEVICE_TO_HOST
        self._in_room = max(model.inputs[0].size for model in models)
        self._out_room = max(model.outputs[0].size for model in models)
        self._host_in: Pinned = pinned_memory(acl, self._in_room, held)
        self._host_out: Pinned = pinned_memory(acl, self._out_room, held)
        self._device_in = device_memory(acl, self._in_room, held)
        self._device_out = device_memory(acl, self._out_room, held)
        self._datasets: Dict[int, Tuple[int, int]] = {}
        for model in models:
            buffers = [(self._device_in, model.inputs[0].size)]
            if model.gears:
                buffers.append((device_memory(acl, model.gear_size, held), model.gear_size))
            inputs = make_dataset(acl, buffers, held)
            outputs = make_dataset(acl, [(self._device_out, model.outputs[0].size)], held)
            self._datasets[model.id] = (inputs, outputs)

    def add_events(self, held: Releases) -> None:
        """Create the events that `enqueue` needs."""

        def create() -> int:
            event = self._acl.create_event()
            held.push(self._acl.destroy_event, event)
            return event

        self._copied_in, self._computed, self._copied_out = create(), create(), create()

    def run(
        self,
        task: Task,
        images: np.ndarray,
        copied_in: Callable[[], None],
        computed: Callable[[], None],
    ) -> np.ndarray:
        """Send a batch through, and return its logits: a view that the slot's next batch
        overwrites.

        ``copied_in`` is called when the batch lies in device memory, ``computed`` when its logits
        do.
        """
        acl = self._acl
        inputs, outputs = self._prepare(task, images)
        acl.memcpy(
            self._device_in, self._in_room, self._host_in.pointer, task.in_bytes, self._kind_in
        )
        copied_in()
        acl.execute(task.model.id, inputs, outputs)
        computed()
        acl.memcpy(
            self._host_out.pointer, self._out_room, self._device_out, task.out_bytes, self._kind_out
        )
        return self._result(task)

    def enqueue(self, task: Task, images: np.ndarray, streams: Streams) -> None:
        """Set a batch on its way; `wait` must come before the slot's next batch.

        An event is reset by the stream that waited for it: on chips whose events are flags, the
        next batch would otherwise not wait at all.
        """
        acl = self._acl
        inputs, outputs = self._prepare(task, images)
        self._task = task
        acl.memcpy_async(
            self._device_in,
            self._in_room,
            self._host_in.pointer,
            task.in_bytes,
            self._kind_in,
            streams.copy_in,
        )
        acl.record_event(self._copied_in, streams.copy_in)
        acl.stream_wait_event(streams.compute, self._copied_in)
        acl.reset_event(self._copied_in, streams.compute)
        acl.execute_async(task.model.id, inputs, outputs, streams.compute)
        acl.record_event(self._computed, streams.compute)
        acl.stream_wait_event(streams.copy_out, self._computed)
        acl.reset_event(self._computed, streams.copy_out)
        acl.memcpy_async(
            self._host_out.pointer,
            self._out_room,
            self._device_out,
            task.out_bytes,
            self._kind_out,
            streams.copy_out,
        )
        acl.record_event(self._copied_out, streams.copy_out)

    def wait(self) -> np.ndarray:
        """Return the logits of the batch that was enqueued, when they are there:

        a view, as `run` returns.
        """
        self._acl.synchronize_event(self._copied_out)
        return self._result(self._task)

    def _prepare(self, task: Task, images: np.ndarray) -> Tuple[int, int]:
        target = self._host_in.bytes[: task.in_bytes].view(task.in_dtype).reshape(task.in_shape)
        channels_last = images.shape != task.in_shape
        np.copyto(target, images.transpose(0, 2, 3, 1) if channels_last else images)
        inputs, outputs = self._datasets[task.model.id]
        if task.model.gears:
            self._acl.set_dynamic_batch_size(
                task.model.id, inputs, task.model.gear_index, task.batch
            )
        return inputs, outputs

    def _result(self, task: Task) -> np.ndarray:
        return self._host_out.bytes[: task.out_bytes].view(task.out_dtype).reshape(task.out_shape)


def _bytes(dtype: str, shape: Tuple[int, ...]) -> int:
    return int(np.prod(shape)) * int(np.dtype(dtype).itemsize)
