"""Small hand-written pyACL programs for the tests:

what any pyACL user would write, without the kit's own runner.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from crnn.simulator import Knobs
from crnn.simulator.atc import compile_om
from crnn.simulator.om_file import to_bytes

HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2


def compile_model(onnx: Path, output: Path, knobs: Knobs, *flags: str) -> Path:
    """Compile within this process; ``flags`` are ATC's."""
    words = [
        "--framework=5",
        f"--model={onnx}",
        f"--output={output}",
        f"--soc_version={knobs.soc}",
        *flags,
    ]
    target, om = compile_om(words, knobs.cann, {"ASCEND_OPP_PATH": "/opp"})
    target.write_bytes(to_bytes(om))
    return target


class Session:
    """A device, a context and a loaded model, given back in the documented order."""

    def __init__(self, acl: Any, model: Path, device: int = 0) -> None:
        self.acl, self.device = acl, device
        assert acl.init() == 0
        assert acl.rt.set_device(device) == 0
        self.context, ret = acl.rt.create_context(device)
        assert ret == 0
        self.model, ret = acl.mdl.load_from_file(str(model))
        assert ret == 0, acl.get_recent_err_msg()
        self.desc = acl.mdl.create_desc()
        assert acl.mdl.get_desc(self.desc, self.model) == 0
        self.slots: List[Slot] = []

    def slot(self) -> Slot:
        """Return new buffers for one batch in flight."""
        self.slots.append(Slot(self))
        return self.slots[-1]

    def close(self) -> None:
        """Give everything back."""
        acl = self.acl
        for slot in self.slots:
            slot.close()
        assert acl.mdl.unload(self.model) == 0
        assert acl.mdl.destroy_desc(self.desc) == 0
        assert acl.rt.destroy_context(self.context) == 0
        assert acl.rt.reset_device(self.device) == 0
        assert acl.finalize() == 0


class Slot:
    """Datasets with their device memory, and pinned memory for the image and the logits."""

    def __init__(self, session: Session) -> None:
        acl, desc = session.acl, session.desc
        self.acl = acl
        self.device: List[int] = []
        self.buffers: List[int] = []
        self.inputs, self.sizes_in = self._dataset(
            [
                max(8, acl.mdl.get_input_size_by_index(desc, i))
                for i in range(acl.mdl.get_num_inputs(desc))
            ]
        )
        self.outputs, self.sizes_out = self._dataset(
            [
                acl.mdl.get_output_size_by_index(desc, i)
                for i in range(acl.mdl.get_num_outputs(desc))
            ]
        )
        self.host_in, ret = acl.rt.malloc_host(self.sizes_in[0])
        assert ret == 0
        self.host_out, ret = acl.rt.malloc_host(self.sizes_out[0])
        assert ret == 0
        self.device_in, self.device_out = self.device[0], self.device[len(self.sizes_in)]

    def _dataset(self, sizes: Sequence[int]) -> Tuple[int, List[int]]:
        acl = self.acl
        dataset = acl.mdl.create_dataset()
        for size in sizes:
            pointer, ret = acl.rt.malloc(size, 0)
            assert ret == 0
            buffer = acl.create_data_buffer(pointer, size)
            assert acl.mdl.add_dataset_buffer(dataset, buffer) == (dataset, 0)
            self.device.append(pointer)
            self.buffers.append(buffer)
        return dataset, list(sizes)

    def write(self, images: np.ndarray) -> int:
        """Put images into the pinned input; return their bytes."""
        view(self.host_in, images.nbytes)[:] = images.reshape(-1).view(np.uint8)
        return int(images.nbytes)

    def read(self, shape: Tuple[int, ...]) -> np.ndarray:
        """Return a copy of the pinned output."""
        count = int(np.prod(shape)) * 4
        result: np.ndarray = view(self.host_out, count).view(np.float32).reshape(shape).copy()
        return result

    def close(self) -> None:
        """Give everything back."""
        acl = self.acl
        for buffer, pointer in zip(self.buffers, self.device):
            assert acl.destroy_data_buffer(buffer) == 0
            assert acl.rt.free(pointer) == 0
        for dataset in (self.inputs, self.outputs):
            assert acl.mdl.destroy_dataset(dataset) == 0
        assert acl.rt.free_host(self.host_in) == 0
        assert acl.rt.free_host(self.host_out) == 0


def view(address: int, count: int) -> np.ndarray:
    """Return real memory as bytes."""
    import ctypes

    return np.frombuffer((ctypes.c_uint8 * count).from_address(address), dtype=np.uint8)


def run_once(
    session: Session, slot: Slot, images: np.ndarray, shape: Tuple[int, ...]
) -> np.ndarray:
    """Copy in, execute, copy out, each at once."""
    acl = session.acl
    count = slot.write(images)
    assert acl.rt.memcpy(slot.device_in, slot.sizes_in[0], slot.host_in, count, HOST_TO_DEVICE) == 0
    if len(slot.sizes_in) > 1:
        assert acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, len(images)) == 0
    assert acl.mdl.execute(session.model, slot.inputs, slot.outputs) == 0
    size = int(np.prod(shape)) * 4
    assert (
        acl.rt.memcpy(slot.host_out, slot.sizes_out[0], slot.device_out, size, DEVICE_TO_HOST) == 0
    )
    return slot.read(shape)


def stream_batches(
    session: Session, batches: Sequence[np.ndarray], shape: Tuple[int, ...], depth: int = 3
) -> List[np.ndarray]:
    """Run batches over a ring of slots and three streams chained by events; return the logits in
    order.
    """
    acl = session.acl
    streams = [acl.rt.create_stream()[0] for _ in range(3)]
    slots = [session.slot() for _ in range(depth)]
    events: List[Dict[str, int]] = [
        {name: acl.rt.create_event()[0] for name in ("in", "run", "out")} for _ in range(depth)
    ]
    results: List[np.ndarray] = []
    for index in range(len(batches) + depth):
        slot, marks = slots[index % depth], events[index % depth]
        if index >= depth and index - depth < len(batches):
            assert acl.rt.synchronize_event(marks["out"]) == 0
            results.append(slot.read(shape))
        if index < len(batches):
            _enqueue(session, slot, marks, streams, batches[index], shape)
    for marks in events:
        for event in marks.values():
            assert acl.rt.destroy_event(event) == 0
    for stream in streams:
        assert acl.rt.synchronize_stream(stream) == 0
        assert acl.rt.destroy_stream(stream) == 0
    return results


def _enqueue(
    session: Session,
    slot: Slot,
    marks: Dict[str, int],
    streams: List[int],
    images: np.ndarray,
    shape: Tuple[int, ...],
) -> None:
    acl = session.acl
    copy_in, compute, copy_out = streams
    count = slot.write(images)
    assert (
        acl.rt.memcpy_async(
            slot.device_in, slot.sizes_in[0], slot.host_in, count, HOST_TO_DEVICE, copy_in
        )
        == 0
    )
    assert acl.rt.record_event(marks["in"], copy_in) == 0
    assert acl.rt.stream_wait_event(compute, marks["in"]) == 0
    assert acl.rt.reset_event(marks["in"], compute) == 0
    if len(slot.sizes_in) > 1:
        assert acl.mdl.set_dynamic_batch_size(session.model, slot.inputs, 1, len(images)) == 0
    assert acl.mdl.execute_async(session.model, slot.inputs, slot.outputs, compute) == 0
    assert acl.rt.record_event(marks["run"], compute) == 0
    assert acl.rt.stream_wait_event(copy_out, marks["run"]) == 0
    assert acl.rt.reset_event(marks["run"], copy_out) == 0
    size = int(np.prod(shape)) * 4
    assert (
        acl.rt.memcpy_async(
            slot.host_out, slot.sizes_out[0], slot.device_out, size, DEVICE_TO_HOST, copy_out
        )
        == 0
    )
    assert acl.rt.record_event(marks["out"], copy_out) == 0
