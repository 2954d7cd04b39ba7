"""Calls in the order in which public pyACL programs make them, each in code of our own.

Huawei's samples, its wrapper library, ModelZoo's wrappers and some others keep no rule but those
that a page demands. The simulator must take them: what they do otherwise than the guide's example
is advice.
"""

from __future__ import annotations

import contextlib
import gc
import warnings
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Tuple

import numpy as np
import pytest

from tests.models import echo_images
from tests.simulator.conftest import Machine
from tests.simulator.test_models import expected

Oms = Tuple[Path, Path, Path]
HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2
HUGE_FIRST = 0
GEAR_INPUT = "ascend_mbatch_shape_data"
WORDS = ["abc", "0", "u9", ""]
IMAGES = echo_images(WORDS)


def given(answer: Tuple[Any, int]) -> Any:
    """What a call gave beside its code, which must be 0."""
    value, code = answer
    assert code == 0
    return value


@contextlib.contextmanager
def device_of(acl: Any, device: int = 0) -> Iterator[int]:
    """The caller's part: init, device, context, and their ends."""
    assert acl.init() == 0
    assert acl.rt.set_device(device) == 0
    context = given(acl.rt.create_context(device))
    yield context
    assert acl.rt.destroy_context(context) == 0
    assert acl.rt.reset_device(device) == 0
    assert acl.finalize() == 0


def clean(machine: Machine, *, advice: bool) -> None:
    """No broken rule, no leak; and whether there was advice."""
    assert machine.broken == []
    assert machine.sim.close()["leaks"] == []
    assert bool(machine.sim.record.advice) == advice


class Model:
    """A wrapper as most programs have one: buffers for all inputs and outputs, by reported size."""

    def __init__(self, acl: Any, path: Path) -> None:
        self.acl = acl
        self.model_id: Optional[int] = given(acl.mdl.load_from_file(str(path)))
        self.desc = acl.mdl.create_desc()
        assert acl.mdl.get_desc(self.desc, self.model_id) == 0
        self.inputs = self._dataset(
            acl.mdl.get_num_inputs(self.desc), acl.mdl.get_input_size_by_index
        )
        self.outputs = self._dataset(
            acl.mdl.get_num_outputs(self.desc), acl.mdl.get_output_size_by_index
        )

    def _dataset(self, count: int, size_of: Callable[[int, int], int]) -> int:
        acl = self.acl
        dataset = acl.mdl.create_dataset()
        for index in range(count):
            size = size_of(self.desc, index)
            buffer = acl.create_data_buffer(given(acl.rt.malloc(size, HUGE_FIRST)), size)
            given(acl.mdl.add_dataset_buffer(dataset, buffer))
        return int(dataset)

    def buffers(self, dataset: int) -> List[int]:
        """The data buffers of a dataset."""
        count = self.acl.mdl.get_dataset_num_buffers(dataset)
        return [self.acl.mdl.get_dataset_buffer(dataset, index) for index in range(count)]

    def write(self, images: np.ndarray) -> None:
        """Copy a batch into the first input."""
        acl, content = self.acl, images.tobytes()
        target = acl.get_data_buffer_addr(self.buffers(self.inputs)[0])
        source = acl.util.bytes_to_ptr(content)
        assert acl.rt.memcpy(target, len(content), source, len(content), HOST_TO_DEVICE) == 0

    def read(self, rows: int) -> np.ndarray:
        """Copy the logits of this many rows back."""
        acl = self.acl
        buffer = self.buffers(self.outputs)[0]
        size = rows * 26 * 37 * 4
        host = given(acl.rt.malloc_host(size))
        source = acl.get_data_buffer_addr(buffer)
        assert acl.rt.memcpy(host, size, source, size, DEVICE_TO_HOST) == 0
        content = acl.util.ptr_to_bytes(host, size)
        assert acl.rt.free_host(host) == 0
        return np.frombuffer(content, dtype=np.float32).reshape(26, rows, 37)

    def free_memory_first(self) -> None:
        """Free each buffer's memory, then destroy the buffer, then the dataset."""
        acl = self.acl
        for dataset in (self.inputs, self.outputs):
            for buffer in self.buffers(dataset):
                assert acl.rt.free(acl.get_data_buffer_addr(buffer)) == 0
                assert acl.destroy_data_buffer(buffer) == 0
            assert acl.mdl.destroy_dataset(dataset) == 0

    def unload(self, *, desc_first: bool = False) -> None:
        """Unload; as many programs do, only where the id counts as true."""
        if desc_first:
            assert self.acl.mdl.destroy_desc(self.desc) == 0
        if self.model_id:
            assert self.acl.mdl.unload(self.model_id) == 0
            self.model_id = None
        if not desc_first:
            assert self.acl.mdl.destroy_desc(self.desc) == 0


@pytest.mark.parametrize("gears", [False, True])
def test_a_wrapper_library_asks_at_its_import_and_logs(
    start: Callable[..., Machine], oms: Oms, echo_onnx: Path, gears: bool
) -> None:
    """Huawei's acllite: the run mode before init, app_log, a gear buffer of the reported 4 bytes,
    memory freed before its data buffer.
    """
    machine = start()
    acl = machine.acl
    on_host = given(acl.rt.get_run_mode()) == 1
    assert on_host
    with device_of(acl):
        stream = given(acl.rt.create_stream())
        acl.app_log(1, "model is loading")
        model = Model(acl, oms[1] if gears else oms[0])
        model.write(IMAGES)
        if gears:
            index = given(acl.mdl.get_input_index_by_name(model.desc, GEAR_INPUT))
            assert acl.mdl.get_input_size_by_index(model.desc, index) == 4
            assert acl.mdl.set_dynamic_batch_size(model.model_id, model.inputs, index, 4) == 0
        assert acl.mdl.execute(model.model_id, model.inputs, model.outputs) == 0
        assert np.array_equal(model.read(4), expected(echo_onnx, IMAGES))
        model.free_memory_first()
        model.unload()
        acl.app_log(1, "model is unloaded")
        assert acl.rt.destroy_stream(stream) == 0
    clean(machine, advice=True)


def test_the_guides_asynchronous_sample(
    start: Callable[..., Machine], oms: Oms, echo_onnx: Path
) -> None:
    """resnet50_async_imagenet_classification: callbacks, the model unloaded before its datasets,
    memory freed before its data buffers.
    """
    machine = start()
    acl = machine.acl
    found: List[np.ndarray] = []
    done: List[int] = []
    with device_of(acl) as context:

        def report(arguments: List[Any]) -> None:
            assert acl.rt.set_context(arguments[0]) == 0
            while not done:
                acl.rt.process_report(10)

        stream = given(acl.rt.create_stream())
        thread = given(acl.util.start_thread(report, [context, 100]))
        assert acl.rt.subscribe_report(thread, stream) == 0
        model = Model(acl, oms[0])
        model.write(IMAGES)
        code = acl.mdl.execute_async(model.model_id, model.inputs, model.outputs, stream)
        assert code == 0
        assert acl.rt.launch_callback(lambda _: found.append(IMAGES), model.outputs, 1, stream) == 0
        assert acl.rt.synchronize_stream(stream) == 0
        assert np.array_equal(model.read(4), expected(echo_onnx, IMAGES))
        assert len(found) == 1
        done.append(1)
        assert acl.util.stop_thread(thread) == 0
        assert acl.rt.unsubscribe_report(thread, stream) == 0
        model.unload()
        model.free_memory_first()
        assert acl.rt.destroy_stream(stream) == 0
    clean(machine, advice=True)


def test_a_deployment_kits_wrapper(
    start: Callable[..., Machine], oms: Oms, echo_onnx: Path
) -> None:
    """mmdeploy's wrapper: gears by the reported size, the desc destroyed before its model."""
    machine = start()
    acl = machine.acl
    with device_of(acl):
        model = Model(acl, oms[1])
        gears = given(acl.mdl.get_dynamic_batch(model.desc))["batch"]
        assert gears == [1, 4, 8]
        index = given(acl.mdl.get_input_index_by_name(model.desc, GEAR_INPUT))
        for rows in gears:
            images = np.concatenate([IMAGES, IMAGES])[:rows]
            model.write(images)
            assert acl.mdl.set_dynamic_batch_size(model.model_id, model.inputs, index, rows) == 0
            assert acl.mdl.execute(model.model_id, model.inputs, model.outputs) == 0
            shape = given(acl.mdl.get_cur_output_dims(model.desc, 0))["dims"]
            assert shape == [26, rows, 37]
            assert np.array_equal(model.read(rows), expected(echo_onnx, images))
        for dataset in (model.inputs, model.outputs):
            for buffer in model.buffers(dataset):
                pointer = acl.get_data_buffer_addr(buffer)
                assert acl.destroy_data_buffer(buffer) == 0
                assert acl.rt.free(pointer) == 0
            assert acl.mdl.destroy_dataset(dataset) == 0
        model.unload(desc_first=True)
    clean(machine, advice=True)


def test_a_small_wrapper_on_two_devices(
    start: Callable[..., Machine], oms: Oms, echo_onnx: Path
) -> None:
    """zixfy/pyACL-inference: ``if model_id``, memory before buffers, one device after the other."""
    machine = start(devices=2)
    acl = machine.acl
    assert acl.init() == 0
    for device in range(2):
        assert acl.rt.set_device(device) == 0
        context = given(acl.rt.create_context(device))
        model = Model(acl, oms[0])
        assert model.model_id
        model.write(IMAGES)
        assert acl.mdl.execute(model.model_id, model.inputs, model.outputs) == 0
        assert np.array_equal(model.read(4), expected(echo_onnx, IMAGES))
        model.free_memory_first()
        model.unload()
        assert acl.rt.destroy_context(context) == 0
        assert acl.rt.reset_device(device) == 0
    assert acl.finalize() == 0
    clean(machine, advice=True)


@pytest.mark.parametrize("queued", [False, True])
def test_model_zoos_wrapper(
    start: Callable[..., Machine], oms: Oms, echo_onnx: Path, queued: bool
) -> None:
    """TDNN, LSTM, CNN_Transformer and, queued, Deepsort: unloaded where the id counts as true,
    before the datasets go.
    """
    machine = start()
    acl = machine.acl
    with device_of(acl):
        model = Model(acl, oms[0])
        stream = given(acl.rt.create_stream())
        for _ in range(2):
            model.write(IMAGES)
            if queued:
                code = acl.mdl.execute_async(model.model_id, model.inputs, model.outputs, stream)
                assert acl.rt.synchronize_stream(stream) == 0
            else:
                code = acl.mdl.execute(model.model_id, model.inputs, model.outputs)
            assert code == 0
            assert np.array_equal(model.read(4), expected(echo_onnx, IMAGES))
        model.unload()
        for dataset in (model.inputs, model.outputs):
            for buffer in model.buffers(dataset):
                pointer = acl.get_data_buffer_addr(buffer)
                assert acl.destroy_data_buffer(buffer) == 0
                assert acl.rt.free(pointer) == 0
            assert acl.mdl.destroy_dataset(dataset) == 0
        assert acl.rt.destroy_stream(stream) == 0
    clean(machine, advice=True)


@pytest.mark.parametrize("release", [(5, 0), (6, 0)])
def test_arrays_where_bytes_cannot_be_passed(
    start: Callable[..., Machine], release: Tuple[int, int]
) -> None:
    """Jasper, Pelee and others: numpy_contiguous_to_ptr exactly where bytes_to_ptr is absent."""
    machine = start(cann=release)
    acl = machine.acl
    with device_of(acl):
        device = given(acl.rt.malloc(1024, HUGE_FIRST))
        turned = np.arange(256, dtype=np.float32).reshape(16, 16).T
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pointer, kept = acl.util.numpy_contiguous_to_ptr(turned)
        assert acl.rt.memcpy(device, 1024, pointer, 1024, HOST_TO_DEVICE) == 0
        assert np.array_equal(kept, turned)
        back = np.zeros((16, 16), dtype=np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target = acl.util.numpy_to_ptr(back)
        assert acl.rt.memcpy(target, 1024, device, 1024, DEVICE_TO_HOST) == 0
        assert np.array_equal(back, turned)
        assert acl.rt.free(device) == 0
    assert hasattr(acl.util, "bytes_to_ptr") == (release > (5, 0))
    clean(machine, advice=False)


def test_descs_of_tensors_are_asked(start: Callable[..., Machine], oms: Oms) -> None:
    """WeNet and FaceNet: a tensor desc set for an input, and its dims asked one by one."""
    machine = start()
    acl = machine.acl
    with device_of(acl):
        model = Model(acl, oms[0])
        desc = acl.create_tensor_desc(0, [4, 1, 32, 100], 2)
        assert given(acl.mdl.set_dataset_tensor_desc(model.inputs, desc, 0)) == model.inputs
        asked = acl.mdl.get_dataset_tensor_desc(model.inputs, 0)
        dims = []
        for index in range(acl.get_tensor_desc_num_dims(asked)):
            dims.append(given(acl.get_tensor_desc_dim_v2(asked, index)))
        assert dims == [4, 1, 32, 100]
        assert acl.get_tensor_desc_size(asked) == IMAGES.nbytes
        assert acl.destroy_tensor_desc(desc) is None
        model.free_memory_first()
        model.unload()
    clean(machine, advice=True)


def test_is_it_initialised(start: Callable[..., Machine], oms: Oms) -> None:
    """msmodelslim asks for the device to learn whether anybody has called init."""
    machine = start()
    acl = machine.acl
    _, code = acl.rt.get_device()
    assert code != 0
    with device_of(acl):
        assert given(acl.rt.get_device()) == 0
        model = Model(acl, oms[0])
        model.free_memory_first()
        model.unload(desc_first=True)
    clean(machine, advice=True)


def test_all_kinds_of_memory_are_asked(start: Callable[..., Machine]) -> None:
    """The sample memcpy_host_device asks for HBM too, on every chip."""
    machine = start(soc="Ascend310")
    acl = machine.acl
    with device_of(acl):
        before = [acl.rt.get_mem_info(kind) for kind in range(6)]
        pointer = given(acl.rt.malloc(1 << 20, HUGE_FIRST))
        after = [acl.rt.get_mem_info(kind) for kind in range(6)]
        assert all(ret == 0 for _, _, ret in (*before, *after))
        assert all(first > second for (first, _, _), (second, _, _) in zip(before, after))
        assert acl.rt.free(pointer) == 0
    clean(machine, advice=False)


def test_a_destructor_gives_back_what_the_program_forgot(
    start: Callable[..., Machine], oms: Oms
) -> None:
    """Wrappers that end in ``__del__``; only finalize must not be called from there."""
    machine = start()
    acl = machine.acl

    class Owner(Model):
        def __del__(self) -> None:
            self.free_memory_first()
            self.unload()

    with device_of(acl):
        owner = Owner(acl, oms[0])
        del owner
        gc.collect()
    clean(machine, advice=True)
