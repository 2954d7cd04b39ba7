"""OM files on Ascend chips, through pyACL."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import threading
from collections import deque
from pathlib import Path
from typing import Deque, Dict, Generator, Iterable, List, Optional, Sequence, Tuple, Union

import numpy as np

from crnn import cann
from crnn.ascend import acl_state as process
from crnn.ascend.fit import Size, all_widths, sizes_of, steps_of
from crnn.ascend.model import Gear, LoadedModel, load_model, open_acl
from crnn.ascend.om import Om
from crnn.ascend.om_reader import read_om
from crnn.ascend.pyacl import Acl, AscendError
from crnn.ascend.release import Attempts, Releases
from crnn.ascend.sidecar import Probe, find_sidecar, find_spec, read_sidecar, sidecar_path
from crnn.ascend.slot import Laps, Slot, Streams, Task, create_streams
from crnn.errors import InputError, UnavailableError, UsageError
from crnn.results import Model
from crnn.runners.base import COMPUTED, COPIED_IN, Runner, Tensor, no_lap
from crnn.runners.om_sizes import MEBIBYTE, Offer, offer_of, rooms_of
from crnn.signals import uninterrupted
from crnn.spec import ModelSpec

SLOTS = 4
"""Batches on their way at a time:

one copied in, one computed, one copied out, and one that the host works on.
"""


class AscendRunner(Runner):
    """Runs an OM, or a set of static ones of one network, on a chip: one image input, one logits
    output.

    `stream` overlaps copies, computation and the caller's work; the executions themselves follow
    one another, as CANN demands of a model. Threads may share a runner, they take turns; while one
    streams, the batches of the others go through the same streams, one at a time.

    Where the spec names widths, or the OMs have several, each OM is loaded when a batch first needs
    it, and the time steps of a width are those that the OM itself gives.
    """

    backend = "pyacl"

    def __init__(self, paths: Sequence[Path], device: int = 0) -> None:
        self._oms = [read_om(path) for path in paths]
        super().__init__(_model(paths, self._oms))
        self.device = f"npu:{device}"
        self._device = device
        self._paths = tuple(paths)
        self._acl: Optional[Acl] = None
        self._context = 0
        self._lock = threading.RLock()
        self._held = Releases()
        self._offer: Optional[Offer] = None
        self._loaded: Dict[int, LoadedModel] = {}
        self._needs: Dict[Path, int] = {}
        self._tasks: Dict[Size, Task] = {}
        self._streams: Optional[Streams] = None
        self._slots: List[Slot] = []
        self._streaming = False

    def steps(self, width: int) -> Optional[int]:
        """See `Runner`."""
        chosen = self._oms[0]
        for om in self._oms:
            if all_widths(sizes_of(om, self.spec) or ()) == (width,):
                chosen = om
        return steps_of(chosen, self.spec)

    def offered_widths(self) -> Optional[Tuple[int, ...]]:
        """See `Runner`."""
        offer = offer_of(self._paths, self._oms, self.spec)
        if offer is None:
            return None
        return offer.widths

    def _open(self) -> None:
        acl = open_acl(self._paths, self._oms)
        with uninterrupted():
            process.initialize(acl)
            before = acl.get_context()
            try:
                self._acquire(acl)
                process.restore(acl, before)
            except BaseException:
                attempt = Attempts()
                attempt(self._held.close)
                attempt(process.restore, acl, before)
                raise  # the first error is the one to tell
            self._acl = acl

    def _acquire(self, acl: Acl) -> None:
        """Open the device, and get all that a batch of a model that is loaded needs."""
        held = self._held
        chips = acl.get_device_count()
        if self._device >= chips:
            raise UnavailableError(
                f"--device {self._device}: this machine shows {chips}"
                f" chip{'' if chips == 1 else 's'}, numbered from 0",
                hint=f"See npu-smi info; {cann.VISIBLE_DEVICES_VARIABLE} may hide some.",
            )
        process.open_device(acl, self._device)
        held.push(process.close_device, acl, self._device)
        self._context = process.create_context(acl, self._device)
        held.push(process.destroy_context, acl, self._context)
        count = 1
        self._streams = None
        if acl.can_stream():
            self._streams = create_streams(acl, held)
            count += SLOTS
        room = (0, 0)
        self._offer = self._sizes_offered()
        if self._offer is None:
            models = [self._load_model(acl, path, om) for path, om in zip(self._paths, self._oms)]
            self._describe(acl, models)
        else:
            models, room = self._announce(acl, self._offer)
        on_device = acl.get_run_mode() == cann.ACL_DEVICE
        self._slots = [
            Slot(acl, models, on_device, self._streams, held, room) for _ in range(count)
        ]
        self._hold_streams(acl)

    def _hold_streams(self, acl: Acl) -> None:
        """Let what has been acquired until now wait for the streams before it is released."""
        if self._streams:
            # Freeing memory does not wait for what is still using it.
            for stream in self._streams:
                self._held.push(acl.synchronize_stream, stream)

    def _sizes_offered(self) -> Optional[Offer]:
        """Return what each OM takes where there are several widths; None for a model of one."""
        offer = offer_of(self._paths, self._oms, self.spec)
        if offer is None and self.spec.widths is not None:
            raise InputError(
                f"{self.model.path}: the spec ({self.model.spec_from}) names widths, and the file"
                " does not tell which it takes",
                hint="Compile it again: crnn compile MODEL.onnx NAME --widths all",
            )
        if offer is None or (self.spec.widths is None and len(offer.widths) == 1):
            return None
        return offer

    def _announce(self, acl: Acl, offer: Offer) -> Tuple[List[LoadedModel], Tuple[int, int]]:
        """Say what the OMs take before one is loaded; return those that had to be loaded for it,
        and the bytes that the largest of them takes.
        """
        self._describe_run(acl)
        self.batch_sizes = offer.common([width for width in offer.widths if self._wants(width)])
        for path in self._paths:
            self._needs[path] = sum(acl.query_size(str(path)))
        needed = sum(self._needs.values())
        count = len(self._paths)
        what = "the OM takes"
        if count > 1:
            what = f"{count} OMs, each loaded at its first batch, take"
        said = f"{self.model.path}: {what} {needed / MEBIBYTE:.1f} MiB of the chip's memory"
        self.notes = (*self.notes, said)
        told = rooms_of(self._oms)
        if told is None:
            for number in range(count):
                self._loaded[number] = self._load_model(acl, self._paths[number], self._oms[number])
        self._inputs_told(list(self._loaded.values()))
        return list(self._loaded.values()), told or (0, 0)

    def _wants(self, width: int) -> bool:
        """Say whether a word may be read at a width."""
        return width in self.spec.read_widths

    def _inputs_told(self, models: Sequence[LoadedModel]) -> None:
        """Set ``inputs`` and ``outputs`` by the files, or by models that are loaded."""
        channels, height, _ = self.spec.image_shape
        kinds: Dict[Tuple[str, bool], Tensor] = {}
        for om in self._oms:
            port, shape = om.data_inputs[0], om.data_inputs[0].shape or ()
            channels_last = shape[1:3] != (channels, height)
            kinds[port.dtype, channels_last] = Tensor(port.name, port.dtype, ())
        if models:
            kinds = {}
            for model in models:
                first = model.inputs[0]
                channels_last = first.dims[1:3] != (channels, height)
                kinds[first.dtype, channels_last] = Tensor(first.name, first.dtype, ())
        if len(kinds) > 1:
            raise InputError(
                f"{self.model.path}: the models of a set take different images: they are not a set"
            )
        ((dtype, channels_last), tensor), *_ = kinds.items()
        sizes: Tuple[Optional[int], ...] = (None, channels, height, None)
        if channels_last:
            sizes = (None, height, None, channels)
        self.inputs = (Tensor(tensor.name, dtype, sizes),)
        output = self._oms[0].outputs[0]
        known: Dict[str, Optional[int]] = {"T": None, "N": None, "K": self.spec.classes}
        logits = tuple(known[axis] for axis in self.spec.output_axes)
        self.outputs = (Tensor(output.name, output.dtype, logits),)

    def _ready(self, acl: Acl, size: Size) -> Task:
        """Return the task of a size; its OM is loaded where none has needed it yet."""
        task = self._tasks.get(size)
        if task is not None or self._offer is None:
            return self._tasks[size]
        number = self._offer.places[size]
        if number not in self._loaded:
            with uninterrupted():
                path = self._paths[number]
                model = self._load_model(acl, path, self._oms[number])
                for slot in self._slots:
                    slot.add(model, self._held)
                self._hold_streams(acl)
                self._loaded[number] = model
        self._settle(acl, self._slots[:1])
        task = wide_task(self._loaded[number], size, self.spec, self._slots[0])
        self._tasks[size] = task
        return task

    def _load_model(self, acl: Acl, path: Path, om: Om) -> LoadedModel:
        """Load an OM; an error names it, and the chip that it was compiled for."""
        try:
            return load_model(acl, path, self._held)
        except AscendError as error:
            where = f"compiled for {om.soc_version}, on {acl.get_soc_name() or 'this chip'}"
            if path in self._needs:
                where += f"; it takes {self._needs[path] / MEBIBYTE:.1f} MiB"
            raise error.of(f"{path} ({where})") from error

    def _describe(self, acl: Acl, models: Sequence[LoadedModel]) -> None:
        """Say what models of one width take and give, by what they tell of themselves."""
        tasks = [
            task for model in models for task in tasks_of(model, self.spec, self.model.spec_from)
        ]
        if len({(task.in_dtype, task.in_shape[1:]) for task in tasks}) > 1:
            raise InputError(
                f"{self.model.path}: the models of a set take different images: they are not a set"
            )
        self._tasks = {Size(task.batch, self.spec.width): task for task in tasks}
        self.batch_sizes = tuple(sorted(task.batch for task in tasks))
        self._describe_run(acl)
        task = tasks[0]
        if len(tasks) == 1:
            fixed = task.batch
        else:
            fixed = None
        in_port, out_port = task.model.inputs[0], task.model.outputs[0]
        axes: Tuple[Optional[int], ...] = task.out_shape
        at = self.spec.output_axes.index("N")
        self.inputs = (Tensor(in_port.name, task.in_dtype, (fixed, *task.in_shape[1:])),)
        self.outputs = (
            Tensor(out_port.name, task.out_dtype, (*axes[:at], fixed, *axes[at + 1 :])),
        )

    def _describe_run(self, acl: Acl) -> None:
        """Say on what the model runs, and how far a stream reads ahead."""
        self.simulated = acl.simulated
        self.versions = {
            "chip": acl.get_soc_name(),
            "pyacl": acl.get_version() if acl.has("get_version") else "",
        }
        if self._streams:
            self.ahead = SLOTS
        else:
            self.ahead = 1
        if not self._streams:
            self.notes = (
                *self.notes,
                "this CANN has no asynchronous calls: batches run one after the other",
            )

    def _input_shape(self) -> Tuple[Optional[int], ...]:
        channels, height, width = self.spec.image_shape
        nhwc = (None, height, width, channels)
        if self.inputs[0].shape[1:] == nhwc[1:]:
            return nhwc
        if self._offer is not None and self.inputs[0].shape[3] == channels:
            return (None, height, None, channels)
        return super()._input_shape()

    def _takes(self, width: int) -> bool:
        """See `Runner`; of a set it is the files that tell."""
        if self._offer is None:
            return super()._takes(width)
        return width in self._offer.widths

    def _check_widths(self) -> None:
        """See `Runner`; of a set the widths that are there can be named."""
        if self._offer is None:
            super()._check_widths()
            return
        missing = [width for width in self.spec.read_widths if not self._takes(width)]
        if missing:
            raise InputError(
                f"{self.model.path} lacks width {', '.join(map(str, missing))}, which the spec"
                f" ({self.model.spec_from}) names; it has"
                f" {', '.join(map(str, self._offer.widths))}",
                hint=(
                    "Compile it for that width too (crnn compile MODEL.onnx NAME --widths all) and"
                    " put its OMs beside these; or add --nearest-width, which lets the nearest take"
                    " its place and says so in the result."
                ),
            )

    def _sizes_at(self, width: int) -> Optional[Tuple[int, ...]]:
        """See `Runner`; the OMs of a set need not have the same batches at each width."""
        if self._offer is None:
            return super()._sizes_at(width)
        return self._offer.batches(width)

    def _measure_width(self, piece: np.ndarray) -> None:
        """Take the time steps of a width from the OM that has it, which is loaded for that."""
        batch, _, _, width = piece.shape
        with self._working() as acl:
            task = self._ready(acl, Size(batch, width))
        steps = dict(zip(self.spec.output_axes, task.out_shape))["T"]
        fits_spec = task.out_shape == self.spec.at_width(width, steps).output_shape(batch)
        if not fits_spec or (width == self.spec.width and steps != self.spec.time_steps):
            got = Tensor(self.outputs[0].name, task.out_dtype, task.out_shape)
            at_own = self.spec.at_width(width, steps_told(task.out_shape, batch, self.spec))
            raise self._misread(got, at_own.fitting_axes(task.out_shape, batch))
        self._at[width] = self.spec.at_width(width, steps)

    def _prove_axes(self, piece: np.ndarray) -> None:
        if self._offer is not None:
            if piece.shape[3] not in self._at:
                self._measure_width(piece)
            super()._prove_axes(piece)
            return
        # An output has here the shape that it is given. Where gears end at a batch of T, the file
        # tells no axes for any of them: that one is asked, whatever the batch at hand.
        batch = self.spec.time_steps
        if Size(batch, self.spec.width) in self._tasks:
            super()._prove_axes(np.zeros((batch, *piece.shape[1:]), dtype=piece.dtype))

    def _run(self, images: np.ndarray) -> np.ndarray:
        laps = None
        if self.lap is not no_lap:
            laps = Laps(*(functools.partial(self.lap, stage) for stage in (COPIED_IN, COMPUTED)))
        with self._working() as acl:
            slot = self._slots[0]
            self._settle(acl, [slot])
            task = self._ready(acl, Size(len(images), images.shape[3]))
            # A copy, for the next thread's turn overwrites it.
            return slot.run(task, images, laps).copy()

    def _stream(self, pieces: Iterable[np.ndarray]) -> Generator[np.ndarray, None, None]:
        with self._working() as acl:
            overlaps = self._streams is not None and not self._streaming
            if overlaps:
                # Batches of a stream that was given up may still be on their way.
                self._settle(acl, self._slots[1:])
                self._streaming = True
        if not overlaps:
            yield from super()._stream(pieces)
            return
        source = iter(pieces)
        free: Deque[Slot] = deque(self._slots[1:])
        busy: Deque[Slot] = deque()
        try:
            while True:
                if not free:
                    yield self._wait(busy[0])
                    free.append(busy.popleft())
                images = next(source, None)
                if images is None:
                    break
                self._enqueue(free[0], images)
                busy.append(free.popleft())
            for slot in busy:
                yield self._wait(slot)
        finally:
            self._streaming = False

    def _enqueue(self, slot: Slot, images: np.ndarray) -> None:
        """Set a batch on its way; its OM is loaded where this is its first."""
        with self._working() as acl:
            slot.enqueue(self._ready(acl, Size(len(images), images.shape[3])), images)

    def _wait(self, slot: Slot) -> np.ndarray:
        """Return the logits of a slot's batch when they are there."""
        with self._working():
            return slot.wait()

    @contextlib.contextmanager
    def _working(self) -> Generator[Acl, None, None]:
        """Hold the runner for this thread, with its context current, while the block runs."""
        with self._lock:
            if self._acl is None:
                raise InputError(f"{self.model.path}: the runner is closed")
            with process.current(self._acl, self._context):
                yield self._acl

    def _settle(self, acl: Acl, slots: Sequence[Slot]) -> None:
        """Wait for what these slots still have on its way, which nobody will ask for."""
        if not any(slot.busy for slot in slots):
            return
        assert self._streams is not None
        for stream in self._streams:
            acl.synchronize_stream(stream)
        for slot in slots:
            slot.busy = False

    def _close(self) -> None:
        with uninterrupted(), self._lock:
            acl, self._acl = self._acl, None
            if acl is None:
                return
            attempt = Attempts()
            before = attempt(acl.get_context) or 0
            if before != self._context:
                attempt(acl.set_context, self._context)
            attempt(self._held.close)
            attempt(process.restore, acl, before)
            self._slots = []
            self._tasks, self._loaded = {}, {}
            attempt.done()


def tasks_of(model: LoadedModel, spec: ModelSpec, spec_from: str) -> List[Task]:
    """Return what a model can do, or refuse it with `InputError` where it does not fit the spec."""
    _require_one_of_each(model)
    image, logits = model.inputs[0], model.outputs[0]
    channels, height, width = spec.image_shape
    layouts = [spec.image_shape, (height, width, channels)]
    where = f"{model.path}: the spec ({spec_from}) expects"
    hint = (
        f"The model is another network than its spec says: see crnn inspect {model.path}; --spec"
        " names its own."
    )
    if image.dtype not in ("float32", "float16", "uint8") or image.dims[1:] not in layouts:
        raise InputError(
            f"{where} float32, float16 or uint8 images (N,"
            f" {', '.join(map(str, spec.image_shape))}); got {image.name} {image.dtype}"
            f" {image.dims}",
            hint=hint,
        )
    gears: Sequence[Optional[Gear]] = model.gears or [None]
    tasks = []
    for gear in gears:
        batch = image.dims[0]
        if gear is not None:
            batch = gear.batch
        sizes = {"T": spec.time_steps, "N": batch, "K": spec.classes}
        in_shape = (batch, *image.dims[1:])
        out_shape = tuple(sizes[axis] for axis in spec.output_axes)
        tasks.append(Task(model, gear, batch, image.dtype, in_shape, logits.dtype, out_shape))
    if logits.dtype not in ("float32", "float16") or logits.dims != tasks[-1].out_shape:
        raise InputError(
            f"{where} float32 or float16 logits {tasks[-1].out_shape}; got {logits.name}"
            f" {logits.dtype} {logits.dims}",
            hint=_axes_hint(model, spec, tasks[-1].batch) or hint,
        )
    if image.size < tasks[-1].in_bytes or logits.size < tasks[-1].out_bytes:
        raise InputError(
            f"{model.path}: the model's own sizes contradict its shapes ({image.size},"
            f" {logits.size} bytes)"
        )
    return tasks


def wide_task(model: LoadedModel, size: Size, spec: ModelSpec, slot: Slot) -> Task:
    """Return what a model of several widths, or of a set of them, does at one of its sizes.

    Args:
        model: A loaded model that takes the size.
        size: Images a batch, and their width.
        spec: The spec that it is read by, at any width.
        slot: Has the model; none of its batches is on its way.

    Returns:
        The task, with the output's shape as the model itself tells it.

    Raises:
        InputError: The model is another one than its file said.
    """
    _require_one_of_each(model)
    image, logits = model.inputs[0], model.outputs[0]
    channels, height, _ = spec.image_shape
    layouts = [
        (size.batch, channels, height, size.width),
        (size.batch, height, size.width, channels),
    ]
    gears: Sequence[Optional[Gear]] = model.gears or [None]
    for gear in gears:
        shape = image.dims
        if gear is not None:
            shape = gear.shapes[0]
        if shape in layouts:
            out_shape = slot.output_dims(model, gear)
            task = Task(model, gear, size.batch, image.dtype, shape, logits.dtype, out_shape)
            if image.size < task.in_bytes or logits.size < task.out_bytes:
                break
            return task
    raise InputError(
        f"{model.path}: the file says that it takes batch {size.batch} at width {size.width};"
        f" loaded it has {image.name} {image.dtype} {image.dims} of {image.size} bytes and"
        f" {logits.name} of {logits.size}"
    )


def steps_told(shape: Sequence[int], batch: int, spec: ModelSpec) -> int:
    """Return the axis of an output that is neither the batch nor the classes.

    Args:
        shape: The output's, in any order of axes.
        batch: Images a batch.
        spec: Has the classes.

    Returns:
        The time steps; the spec's own where the shape is not of that kind.
    """
    left = list(shape)
    for size in (batch, spec.classes):
        if size in left:
            left.remove(size)
    if len(left) == 1 and left[0] > 0:
        return left[0]
    return spec.time_steps


def _require_one_of_each(model: LoadedModel) -> None:
    if len(model.inputs) == 1 and len(model.outputs) == 1:
        return
    names = ", ".join(port.name for port in model.outputs)
    raise InputError(
        f"{model.path}: {len(model.inputs)} inputs and {len(model.outputs)} outputs ({names});"
        " expected one of each",
        hint=(
            "Compile its ONNX again with the output that has the logits alone: crnn compile"
            " MODEL.onnx NAME --output OUTPUT"
        ),
    )


def _axes_hint(model: LoadedModel, spec: ModelSpec, batch: int) -> str:
    """Return the order of axes that an OM's output has; "" where it is the spec's, or none."""
    logits = model.outputs[0]
    fitting = spec.fitting_axes(logits.dims, batch)
    if not fitting or fitting[0] == spec.output_axes:
        return ""
    axes = fitting[0]
    return (
        f"The output's axes are {axes} (T time steps, N images, K classes): say so with"
        f" --output-axes {axes}, or output_axes in the spec; see crnn inspect {model.path}."
    )


def open_ascend(
    path: Union[Path, Sequence[Path]], device: str = "0", *, apart: bool = False
) -> Runner:
    """Return the runner for an OM, a static set (its folder or its files), on one chip or several
    ("0,1").
    """
    if isinstance(path, Path):
        paths = om_files(path)
    else:
        paths = list(path)
    devices = parse_devices(device)
    probe = _probe_of(paths)
    if probe is not None:
        from crnn.runners.probe_runner import ProbeRunner

        om = read_om(paths[0])
        return ProbeRunner(_model(paths, [om]), om, probe, devices[0])
    if len(devices) == 1 and not apart:
        runner = AscendRunner(paths, devices[0])
        if isinstance(path, Path) and path.is_dir():
            others = sorted(file.name for file in path.glob("*.om") if file not in paths)
            if others:
                runner.notes = (
                    f"{path}: the set of {len(paths)} OMs; not of it: {', '.join(others)}",
                )
            else:
                runner.notes = ()
        return runner
    from crnn.runners.devices import DevicesRunner

    return DevicesRunner(
        [functools.partial(AscendRunner, paths, number) for number in devices],
        [f"npu:{number}" for number in devices],
    )


def _probe_of(paths: Sequence[Path]) -> Optional[Probe]:
    """Return what the outputs of a probing OM are (crnn compile --probe); None for any other."""
    beside = sidecar_path(paths[0])
    if len(paths) > 1 or not beside.is_file():
        return None
    return read_sidecar(beside).probe


_SET_NAME = re.compile(r"(.+?)(?:_w([0-9]+))?_bs([0-9]+)\.om")
"""How crnn compile names an OM of a set: the model, its width where there are several, the
batch.
"""


def om_files(path: Path) -> List[Path]:
    """Return the OMs that a path stands for.

    Args:
        path: An OM, or a folder with a static set (NAME_bs1.om …, NAME_w80_bs1.om …).

    Returns:
        The OMs in the order of their widths and batches.

    Raises:
        InputError: The folder holds none.
    """
    if not path.is_dir():
        return [path]
    found = {file: _SET_NAME.fullmatch(file.name) for file in sorted(path.glob("*.om"))}
    names = sorted({match.group(1) for match in found.values() if match})
    if len(names) != 1:
        listed = ", ".join(names) or ", ".join(file.name for file in found) or "no .om at all"
        raise InputError(
            f"{path} holds {listed}; expected the static set of one model (NAME_bs1.om,"
            " NAME_bs4.om …, or NAME_w80_bs1.om …)",
            hint="Name one OM, or a folder that holds one set.",
        )
    ordered = []
    for file, match in found.items():
        if match:
            ordered.append((int(match.group(2) or 0), int(match.group(3)), file))
    return [file for _, _, file in sorted(ordered)]


def set_of(paths: Sequence[Path]) -> List[Path]:
    """Return OMs that are a static set, named one by one.

    Args:
        paths: The OMs.

    Returns:
        The same in the order of their widths and batches.

    Raises:
        InputError: They are not known to be of one ONNX, or two are of one width and batch.
    """
    origin: Dict[str, Path] = {}
    sizes: Dict[Tuple[Tuple[int, ...], Tuple[int, ...]], Path] = {}
    for path in paths:
        sidecar = find_sidecar(path, read_om(path).sha256)
        if sidecar is None:
            others = " and ".join(str(other) for other in paths if other != path)
            raise InputError(
                f"{path} has no {path.name}.json beside it, so nothing says that it is of a set"
                f" with {others}",
                hint="Evaluate one of them, or copy the file that crnn compile wrote beside each.",
            )
        origin.setdefault(sidecar.onnx_sha256, path)
        own = (sidecar.widths, sidecar.batch_sizes)
        if own in sizes:
            width = ""
            if sidecar.widths:
                width = f"width {', '.join(map(str, sidecar.widths))} and "
            raise InputError(
                f"{sizes[own]} and {path} are both of {width}batch"
                f" {', '.join(map(str, sidecar.batch_sizes))}; a set has each once"
            )
        sizes[own] = path
    if len(origin) > 1:
        raise InputError(
            f"{' and '.join(map(str, origin.values()))} are not a set: they were compiled from"
            " different ONNX models",
            hint=(
                "Evaluate one at a time, or compile all batch sizes from one model: crnn compile"
                " MODEL.onnx NAME --batch 1,4,8 --static-set"
            ),
        )
    return [sizes[own] for own in sorted(sizes)]


def parse_devices(text: str) -> List[int]:
    """Return the chips that ``--device`` names, as "0" or "0,1,2,3"."""
    words = text.split(",")
    numbers = [int(word) for word in words if re.fullmatch("[0-9]{1,3}", word)]
    if len(set(numbers)) != len(words):
        raise UsageError(
            f"--device {text}: an OM runs on chips, by their numbers; expected 0, or several as 0,1"
        )
    return numbers


def _model(paths: Sequence[Path], oms: Sequence[Om]) -> Model:
    specs = [find_spec(path, om.sha256) for path, om in zip(paths, oms)]
    for path, spec in zip(paths, specs):
        if spec != specs[0]:
            raise InputError(
                f"{path} and {paths[0]} are not a set: they are read by different specs"
            )
    sidecar = find_sidecar(paths[0], oms[0].sha256)
    inputs = ""
    if sidecar is not None and sidecar.inputs is not None:
        inputs = sidecar.inputs.to_json()
    if len(paths) == 1:
        return Model(paths[0], oms[0].sha256, *specs[0], fingerprint=inputs)
    _require_one_checkpoint(paths, oms)
    # A set's hash is that of its files' hashes, one after the other.
    together = hashlib.sha256("".join(om.sha256 for om in oms).encode()).hexdigest()
    return Model(paths[0].parent, together, *specs[0], fingerprint=inputs)


def _require_one_checkpoint(paths: Sequence[Path], oms: Sequence[Om]) -> None:
    known: Dict[str, Path] = {}
    for path, om in zip(paths, oms):
        sidecar = find_sidecar(path, om.sha256)
        if sidecar and sidecar.checkpoint_sha256:
            known.setdefault(sidecar.checkpoint_sha256, path)
    if len(known) > 1:
        raise InputError(
            f"{' and '.join(map(str, known.values()))} are not a set: they were made from different"
            " checkpoints",
            hint=(
                "Compile all batch sizes from one model: crnn compile MODEL.onnx NAME --batch 1,4,8"
                " --static-set"
            ),
        )
