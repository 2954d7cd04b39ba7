"""The historical ``Net`` class:

any OM, arrays in, arrays out, in a context that the caller has made.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from pathlib import Path
from types import TracebackType
from typing import List, Optional, Sequence, Type, Union

import numpy as np

from crnn import cann
from crnn.ascend import acl_state as process
from crnn.ascend.model import (
    Gear,
    Pinned,
    device_memory,
    load_model,
    make_dataset,
    open_acl,
    pinned_memory,
)
from crnn.ascend.om_reader import read_om
from crnn.ascend.pyacl import Acl, AscendError
from crnn.ascend.release import Attempts, Releases
from crnn.errors import InputError
from crnn.signals import uninterrupted


class Net:
    """An OM on a chip, called with its input, or a list of its inputs, for a list of its outputs.

    ``context`` is the caller's, as are `acl.init`, `set_device` and their counterparts;
    ``device_id`` is kept for the signature's sake. ``config_path``, with ``first``, is handed to
    `acl.init` where nobody has called it yet. Inputs must have the model's own dtypes and shapes;
    with gears, their shapes must be those of a gear. Outputs are copies. `release`, a
    ``with`` block or ``del`` give the device's memory back; the context must still be alive then.
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
        same = acl.get_run_mode() == cann.ACL_DEVICE
        if same:
            self._kind_in = cann.ACL_MEMCPY_DEVICE_TO_DEVICE
        else:
            self._kind_in = cann.ACL_MEMCPY_HOST_TO_DEVICE
        if same:
            self._kind_out = cann.ACL_MEMCPY_DEVICE_TO_DEVICE
        else:
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
        self._inputs, self._outputs = (
            make_dataset(acl, inputs, held),
            make_dataset(acl, outputs, held),
        )

    def __call__(self, data: Union[np.ndarray, Sequence[np.ndarray]]) -> List[np.ndarray]:
        """Run the model on one input array, or on a list or tuple of all inputs in order."""
        return self.forward(data)

    def forward(self, data: Union[np.ndarray, Sequence[np.ndarray]]) -> List[np.ndarray]:
        """Do what a call does."""
        arrays = [
            np.ascontiguousarray(item)
            for item in (data if isinstance(data, (list, tuple)) else [data])
        ]
        self._check(arrays)
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

    def __enter__(self) -> Net:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        with contextlib.suppress(*() if error is None else (AscendError,)):
            self.release()

    def _check(self, arrays: Sequence[np.ndarray]) -> None:
        model = self._model
        if len(arrays) != len(model.inputs):
            raise InputError(f"{self.model_path} has {len(model.inputs)} inputs; got {len(arrays)}")
        for port, array in zip(model.inputs, arrays):
            if str(array.dtype) != port.dtype or not _fits(array.shape, port.dims):
                raise InputError(
                    f"{self.model_path}: {port.name} is {port.dtype} {port.dims}; got {array.dtype}"
                    f" {array.shape}"
                )
        if not model.gears or self._gear(arrays) is not None:
            return
        got = f"{arrays[0].shape[0]} rows"
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
        results = []
        start = len(model.inputs)
        for index, port in enumerate(model.outputs):
            host, device = self._host[start + index], self._device[start + index]
            shape = acl.get_cur_output_dims(model.desc, index)
            size = int(np.prod(shape)) * port.itemsize
            acl.memcpy(host.pointer, port.size, device, size, self._kind_out)
            results.append(host.bytes[:size].view(port.dtype).reshape(shape).copy())
        return results


def _fits(shape: Sequence[int], dims: Sequence[int]) -> bool:
    """Whether a shape is one of these dims, of which -1 is any size."""
    if len(shape) != len(dims):
        return False
    return all(own in (-1, size) for size, own in zip(shape, dims))


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
