"""The historical ``Net`` class:

any OM, arrays in, arrays out, in a context that the caller has made.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from crnn import cann
from crnn.ascend import acl_state as process
from crnn.ascend.model import (
    Gear,
    Pinned,
    Port,
    device_memory,
    load_model,
    make_dataset,
    open_acl,
    pinned_memory,
)
from crnn.ascend.om_reader import read_om
from crnn.ascend.pyacl import Acl, AscendError
from crnn.ascend.release import Attempts, Held, Releases
from crnn.errors import InputError
from crnn.signals import uninterrupted


class Net(Held):
    """An OM on a chip, called with its input, or a list of its inputs, for a list of its outputs.

    ``context`` is the caller's, as are `acl.init`, `set_device` and their counterparts;
    ``device_id`` is kept for the signature's sake. ``config_path``, with ``first``, is handed to
    `acl.init` where nobody has called it yet. Inputs have the model's own dtypes, or are their
    bytes (uint8), in any shape of the right size; with gears that size tells the batch, which must
    be a gear. Outputs are copies. `release`, a ``with`` block or ``del`` give the device's memory
    back; the context must still be alive then.

    ``model_id``, ``model_desc``, ``input_data`` and ``output_data`` (a dictionary of "buffer", the
    device's address, and "size" for each input and output) are what the historical class had.
    """

    def __init__(
        self,
        context: int,
        model_path: Union[str, Path],
        device_id: int = 0,
        first: bool = True,
        config_path: Optional[str] = None,
    ) -> None:
        self.context = context
        self.model_path = str(model_path)
        self.device_id = device_id
        path = Path(model_path)
        self._acl = open_acl([path], [read_om(path)])
        self._held = Releases()
        self._lock = threading.Lock()
        # Not at exit: by then the caller has destroyed the context.
        self._finalizer = weakref.finalize(self, _give_back, self._acl, context, self._held)
        self._finalizer.atexit = False
        try:
            with uninterrupted():
                if first and config_path:
                    process.initialize(self._acl, config_path)
                with process.current(self._acl, context):
                    self._acquire(path)
        except BaseException:
            Attempts()(self.release)
            raise  # the first error is the one to tell

    def _acquire(self, path: Path) -> None:
        acl, held = self._acl, self._held
        try:
            self._model = load_model(acl, path, held)
        except AscendError as error:
            raise error.of(str(path)) from error
        if acl.get_run_mode() == cann.ACL_DEVICE:
            self._kind_in = self._kind_out = cann.ACL_MEMCPY_DEVICE_TO_DEVICE
        else:
            self._kind_in = cann.ACL_MEMCPY_HOST_TO_DEVICE
            self._kind_out = cann.ACL_MEMCPY_DEVICE_TO_HOST
        ports = (*self._model.inputs, *self._model.outputs)
        for port in ports:
            if port.dtype not in cann.ACL_DTYPE or port.size == 0:
                raise InputError(
                    f"{path}: {port.name} is {port.dtype} of {port.size} bytes, which NumPy cannot"
                    " hold"
                )
        self._host: List[Pinned] = [pinned_memory(acl, port.size, held) for port in ports]
        self._device = [device_memory(acl, port.size, held) for port in ports]
        count = len(self._model.inputs)
        inputs = [(pointer, port.size) for pointer, port in zip(self._device, self._model.inputs)]
        if self._model.gears:
            inputs.append((device_memory(acl, self._model.gear_size, held), self._model.gear_size))
        outputs = [
            (pointer, port.size) for pointer, port in zip(self._device[count:], self._model.outputs)
        ]
        self.model_id, self.model_desc = self._model.id, self._model.desc
        self.input_data, self.output_data = _places(inputs), _places(outputs)
        self._inputs, self._outputs = (
            make_dataset(acl, inputs, held),
            make_dataset(acl, outputs, held),
        )

    def __call__(self, data: Union[np.ndarray, Sequence[np.ndarray]]) -> List[np.ndarray]:
        """Run the model on one input array, or on a list or tuple of all inputs in order."""
        return self.forward(data)

    def forward(self, data: Union[np.ndarray, Sequence[np.ndarray]]) -> List[np.ndarray]:
        """Do what a call does."""
        items: Sequence[object] = [data]
        if isinstance(data, (list, tuple)):
            items = data
        arrays = self._fitted([_as_array(item) for item in items])
        with self._lock:
            if not self._finalizer.alive:
                raise InputError(f"{self.model_path}: the net was released")
            with process.current(self._acl, self.context):
                return self._run(arrays)

    def release(self) -> None:
        """Give back the model and its memory; harmless the second time."""
        with self._lock:
            if self._finalizer.detach() is not None:
                _release(self._acl, self.context, self._held)

    def get_result(self, output_data: object = None) -> List[np.ndarray]:
        """Return copies of the outputs of the last run, as a call does.

        Args:
            output_data: The historical argument; the net's own outputs are what is read.

        Returns:
            An array for each output.
        """
        with self._lock:
            if not self._finalizer.alive:
                raise InputError(f"{self.model_path}: the net was released")
            with process.current(self._acl, self.context):
                return self._results()

    def _fitted(self, arrays: Sequence[np.ndarray]) -> List[np.ndarray]:
        """Return the inputs in the model's own types and shapes: the same bytes."""
        model = self._model
        if len(arrays) != len(model.inputs):
            raise InputError(f"{self.model_path} has {len(model.inputs)} inputs; got {len(arrays)}")
        shapes: List[Tuple[Tuple[int, ...], ...]] = [gear.shapes for gear in model.gears]
        if not shapes:
            shapes = [tuple(port.dims for port in model.inputs)]
        for port, array in zip(model.inputs, arrays):
            if not _may_fit(port, array):
                raise InputError(
                    f"{self.model_path}: {port.name} is {port.dtype} {port.dims}; got {array.dtype}"
                    f" {array.shape}"
                )
        for wanted in shapes:
            fitted = _fitted_to(wanted, model.inputs, arrays)
            if fitted is not None:
                return fitted
        got = f"{arrays[0].nbytes // _row_bytes(model.inputs[0])} rows"
        if model.gears[0].by_dims:
            got = ", ".join("x".join(map(str, array.shape)) for array in arrays)
        gears = ", ".join(map(str, model.gears))
        raise InputError(f"{self.model_path} has the gears {gears}; got {got}")

    def _gear(self, arrays: Sequence[np.ndarray]) -> Optional[Gear]:
        """Return the gear of these inputs, None where there is none."""
        shapes = tuple(array.shape for array in arrays)
        return next((gear for gear in self._model.gears if gear.shapes == shapes), None)

    def _run(self, arrays: Sequence[np.ndarray]) -> List[np.ndarray]:
        acl, model = self._acl, self._model
        for array, host, device, port in zip(arrays, self._host, self._device, model.inputs):
            host.bytes[: array.nbytes] = array.reshape(-1).view(np.uint8)
            acl.memcpy(device, port.size, host.pointer, array.nbytes, self._kind_in)
        gear = self._gear(arrays)
        if gear is not None:
            model.set_gear(acl, self._inputs, gear)
        acl.execute(model.id, self._inputs, self._outputs)
        return self._results()

    def _results(self) -> List[np.ndarray]:
        acl, model = self._acl, self._model
        results = []
        start = len(model.inputs)
        for index, port in enumerate(model.outputs):
            host, device = self._host[start + index], self._device[start + index]
            shape = acl.get_cur_output_dims(model.desc, index)
            size = int(np.prod(shape)) * port.itemsize
            acl.memcpy(host.pointer, port.size, device, size, self._kind_out)
            results.append(host.bytes[:size].view(port.dtype).reshape(shape).copy())
        return results


def _places(buffers: Sequence[Tuple[int, int]]) -> List[Dict[str, int]]:
    return [{"buffer": pointer, "size": size} for pointer, size in buffers]


def _row_bytes(port: Port) -> int:
    """Return how many bytes the known axes of an input make."""
    known = [size for size in port.dims if size != -1]
    return port.itemsize * int(np.prod(known, dtype=np.int64))


def _may_fit(port: Port, array: np.ndarray) -> bool:
    """Say whether an array can be an input, at one of its gears: by its type, or as its bytes."""
    row = _row_bytes(port)
    if array.nbytes == 0 or array.nbytes % row:
        return False
    if array.nbytes != row and -1 not in port.dims:
        return False
    if str(array.dtype) == port.dtype:
        return _same_axes(array.shape, port.dims)
    return array.dtype == np.uint8


def _fitted_to(
    shapes: Sequence[Tuple[int, ...]], ports: Sequence[Port], arrays: Sequence[np.ndarray]
) -> Optional[List[np.ndarray]]:
    """Return arrays in these shapes, the same bytes; None where one has another size."""
    fitted = []
    for shape, port, array in zip(shapes, ports, arrays):
        typed = array.reshape(-1).view(port.dtype)
        if typed.size != int(np.prod(shape, dtype=np.int64)):
            return None
        if str(array.dtype) == port.dtype and not _same_axes(array.shape, shape):
            return None
        fitted.append(typed.reshape(shape))
    return fitted


def _same_axes(shape: Sequence[int], dims: Sequence[int]) -> bool:
    """Say whether an array of as many axes has the model's, but for axes of one; an array of fewer
    or more axes is taken for its bytes.
    """
    if len(shape) != len(dims) or all(size in (-1, own) for own, size in zip(shape, dims)):
        return True
    return [size for size in shape if size != 1] == [size for size in dims if size != 1]


def _as_array(item: object) -> np.ndarray:
    if isinstance(item, (bytes, bytearray, memoryview)):
        return np.frombuffer(item, dtype=np.uint8)
    return np.ascontiguousarray(item)


def _release(acl: Acl, context: int, held: Releases) -> None:
    with uninterrupted():
        attempt = Attempts()
        before = attempt(acl.get_context) or 0
        if before != context:
            attempt(acl.set_context, context)
        attempt(held.close)
        attempt(process.restore, acl, before, context)
        attempt.done()


def _give_back(acl: Acl, context: int, held: Releases) -> None:
    # Called for an object that is no more, so nobody could act on an error.
    with contextlib.suppress(AscendError):
        _release(acl, context, held)
