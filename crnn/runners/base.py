"""One contract for everything that turns images into logits. The base checks, the backends do."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, replace
from types import TracebackType
from typing import (
    Callable,
    Deque,
    Dict,
    Generator,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
)

import numpy as np

from crnn.errors import InputError, KitError, UsageError
from crnn.machine import versions as process_versions
from crnn.results import Model, RunInfo
from crnn.spec import OUTPUT_AXES, ModelSpec, fits
from crnn.widths import Widths, nearest_widths

R = TypeVar("R", bound="Runner")

OTHER_NETWORK = (
    "The model is another network than its spec says: see crnn inspect on it. Name its own with"
    " --spec: a preset such as mindspore-native, or a JSON file of the keys that differ."
)

COPIED_IN, COMPUTED = "host to device", "compute"
"""The stages of `Runner.run` that a backend tells; after them only the copy from the device to the
host is left.
"""


def no_lap(stage: str) -> None:
    """Time nothing: what `Runner.lap` is where nobody asks for stages."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model; ``dtype`` is NumPy's name, None in ``shape`` stands for any
    size.
    """

    name: str
    dtype: str
    shape: Tuple[Optional[int], ...]

    def __str__(self) -> str:
        return (
            f"{self.name} {self.dtype}"
            f" ({', '.join('any' if size is None else str(size) for size in self.shape)})"
        )


class Runner(ABC):
    """Turns images (N, C, H, W) into logits (T, N, K). Use it as a context manager.

    A backend implements `_open`, `_run`, `_close` and, where it can overlap work, `_stream`; it
    sets ``inputs``, ``outputs`` and ``batch_sizes`` in `_open`. It sees only batches of a size on
    offer, in its own input dtype.
    """

    backend: str = ""
    device: str = ""
    simulated: bool = False
    rehearsed: Optional[str] = None
    """The precision in which a chip's computation is rehearsed; such a runner is simulated."""
    threads: int = 1
    versions: Mapping[str, str] = {}
    """What stands below the kit, by name: the runtime, CANN."""
    notes: Tuple[str, ...] = ()
    """What a user should be told of how the model runs, a line each."""
    ahead: int = 1
    """The most batches that `stream` has taken and not yet given logits for. A producer may
    overwrite a buffer only ``ahead`` batches later.
    """

    spare: bool = False
    """Whether a device that fails, or gives nothing for a minute, is given up as long as another
    one is left; set before the runner is entered.
    """
    given_up: Mapping[str, str] = {}
    """The devices that were given up, with the reason."""

    lacking: Tuple[int, ...] = ()
    """The widths of its spec that the model lacks, where the nearest take their places."""

    inputs: Tuple[Tensor, ...] = ()
    outputs: Tuple[Tensor, ...] = ()
    batch_sizes: Optional[Tuple[int, ...]] = None
    """The batch sizes that the model takes, ascending; None for any."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.spec = model.spec
        self._axes_known = False
        self._at: Dict[int, ModelSpec] = {}
        self.lap: Callable[[str], None] = no_lap
        """Called with the stage's name when a stage of `run` ends; used for timing. `stream` may
        not call it.
        """

    def read_by(self, spec: ModelSpec) -> None:
        """Replace the spec that the model is read by, before the runner is entered."""
        self.model = replace(self.model, spec=spec, spec_from="given")
        self.spec = spec

    def steps(self, width: int) -> Optional[int]:
        """Return the time steps that the model itself says it gives.

        Args:
            width: The images' width in pixels.

        Returns:
            T for images of that width; None where the file does not tell.
        """
        return None

    def offered_widths(self) -> Optional[Tuple[int, ...]]:
        """Return the widths that the model takes, before it is entered.

        Returns:
            In pixels, ascending; None for any, and where the file does not tell.
        """
        return None

    def take_nearest(self) -> None:
        """Let the nearest width take the place of each that the spec names and the model lacks,
        before the runner is entered; ``lacking`` then says which.
        """
        there = self.offered_widths()
        if not there:
            return
        stand_ins = nearest_widths(self.spec.read_widths, there)
        if not stand_ins:
            return
        kept = {stand_ins.get(width, width) for width in self.spec.read_widths}
        source, own = self.model.spec_from, self.spec.widths or Widths()
        widths = replace(own, list=tuple(sorted(kept)))
        self.read_by(replace(self.spec, widths=widths))
        self.model = replace(self.model, spec_from=source)
        self.lacking = tuple(stand_ins)

    def _say_lacking(self) -> None:
        if self.lacking:
            lacking, taken = map(_joined_text, (self.lacking, self.spec.read_widths))
            said = f"{self.model.path} lacks width {lacking}: the nearest of {taken} is taken"
            self.notes = (*self.notes, said)

    def take(self, output: str) -> None:
        """Choose the output that has the logits, of a model with several, before the runner is
        entered.

        Args:
            output: Its name.

        Raises:
            UsageError: The backend runs models of one output alone.
        """
        raise UsageError(
            f"--output {output}: {self.model.path} is run by {self.backend}, which takes models of"
            " one output; ONNX Runtime takes an ONNX of several",
            hint="crnn compile MODEL.onnx NAME --output NAME makes an OM of one output.",
        )

    def __enter__(self: R) -> R:
        try:
            self._open()
            self._check_metadata()
            self._say_lacking()
        except BaseException:
            with contextlib.suppress(KitError):  # the first error is the one to tell
                self._close()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if error is None:
            self._close()
            return
        with contextlib.suppress(KitError):  # the first error is the one to tell
            self._close()

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return float32 logits (T, N, K), a copy the caller owns, for float32 or uint8 images (N,
        C, H, W), N > 0.
        """
        parts: List[np.ndarray] = []
        for piece, count in self._cut(images):
            self._prove_axes(piece)
            output = self._run(piece)
            self._check_output(output, piece.shape)
            parts.append(self._logits(output, count))
        return _joined(parts)

    def stream(self, batches: Iterable[np.ndarray]) -> Generator[np.ndarray, None, None]:
        """Yield what `run` would return for each batch, in order, overlapping what the backend can
        overlap.

        Close the generator (or exhaust it) before the runner is used again.
        """
        pieces = _Pieces(self, batches)
        parts: List[np.ndarray] = []
        with contextlib.closing(self._stream(pieces)) as outputs:
            for output in outputs:
                sizes = pieces.sizes[0]
                shape, count = sizes[len(parts)]
                self._check_output(output, shape)
                parts.append(self._logits(output, count))
                if len(parts) == len(sizes):
                    pieces.sizes.popleft()
                    yield _joined(parts)
                    parts = []

    def info(self) -> RunInfo:
        """Return what an entered runner runs with."""
        return run_info(
            self.model,
            backend=self.backend,
            device=self.device,
            threads=self.threads,
            versions=self.versions,
            simulated=self.simulated,
            rehearsed=self.rehearsed,
            lacking=self.lacking,
        )

    @abstractmethod
    def _open(self) -> None:
        """Acquire everything; on failure `_close` is called too."""

    @abstractmethod
    def _run(self, images: np.ndarray) -> np.ndarray:
        """Return the file's own output, which the backend may overwrite at its next call."""

    def _stream(self, pieces: Iterable[np.ndarray]) -> Generator[np.ndarray, None, None]:
        for piece in pieces:
            yield self._run(piece)

    @abstractmethod
    def _close(self) -> None:
        """Release everything that is held; harmless when called twice or after a failed `_open`."""

    def _logits(self, output: np.ndarray, count: int) -> np.ndarray:
        if output.ndim != len(self.spec.output_axes):
            raise InputError(
                f"{self.model.path}: it gave an output of shape {output.shape}; expected three"
                f" axes, {self.spec.output_axes}"
            )
        # A copy: the backend may overwrite its output at the next piece of the same batch.
        logits = output.transpose([self.spec.output_axes.index(axis) for axis in "TNK"])
        steps, rows, classes = logits.shape
        as_said = self.spec.widths is not None or steps == self.spec.time_steps
        if rows < count or classes != self.spec.classes or not as_said:
            raise InputError(
                f"{self.model.path}: it gave logits of {steps} time steps, {rows} rows and"
                f" {classes} classes; expected {self.spec.time_steps}, {count} and"
                f" {self.spec.classes}",
                hint="The model is another network than its spec says: see crnn inspect on it.",
            )
        return np.array(logits[:, :count], dtype=np.float32, order="C")

    def _check_output(self, output: np.ndarray, images: Tuple[int, ...]) -> None:
        """Refuse an output that is not of the shape that the spec says for images (N, C, H, W): a
        graph with open sizes shows its axes only now.
        """
        batch = images[0]
        spec = self._spec_at(images[3])
        if output.shape != spec.output_shape(batch):
            fitting = spec.fitting_axes(output.shape, batch)
            raise self._misread(
                Tensor(self.outputs[0].name, str(output.dtype), output.shape), fitting
            )
        if batch != spec.time_steps:
            self._axes_known = True

    def _spec_at(self, width: int) -> ModelSpec:
        """Return the spec at a width; of a model with several, once it has run at it."""
        return self._at.get(width, self.spec)

    def _measure(self, piece: np.ndarray) -> None:
        """Find out how many time steps a model of several widths gives at that of a batch."""
        width = piece.shape[3]
        lap, self.lap = self.lap, no_lap
        steps = self._measured_steps(piece)
        self.lap = lap
        if width == self.spec.width and steps != self.spec.time_steps:
            raise InputError(
                f"{self.model.path}: it gives {steps} time steps for images of width {width}; the"
                f" spec ({self.model.spec_from}) says {self.spec.time_steps}",
                hint=OTHER_NETWORK,
            )
        self._at[width] = self.spec.at_width(width, steps)

    def _measured_steps(self, piece: np.ndarray) -> int:
        """Run a batch, its first image alone where the model takes any number, and return the time
        steps of its logits.
        """
        if self._sizes_at(piece.shape[3]) is None:
            piece = piece[:1]
        output = self._run(piece)
        if output.ndim == len(self.spec.output_axes):
            sizes = dict(zip(self.spec.output_axes, output.shape))
            if (sizes["N"], sizes["K"]) == (len(piece), self.spec.classes):
                return int(sizes["T"])
        got = Tensor(self.outputs[0].name, str(output.dtype), output.shape)
        raise self._misread(got, self.spec.fitting_axes(output.shape, len(piece)))

    def _prove_axes(self, piece: np.ndarray) -> None:
        """Find out, where a batch is as long as the time, which of the two axes is which: run the
        model twice, with another first image.
        """
        if self.spec.widths is not None and piece.shape[3] not in self._at:
            self._measure(piece)
        spec = self._spec_at(piece.shape[3])
        if self._axes_known or len(piece) != spec.time_steps:
            return
        self._axes_known = True
        lap, self.lap = self.lap, no_lap
        striped = np.zeros_like(piece)
        plain = striped.copy()
        striped[0, ..., ::2] = 1
        if piece.dtype == np.uint8:
            striped *= 255
        before = np.array(self._run(plain), dtype=np.float32)
        after = np.array(self._run(striped), dtype=np.float32)
        self.lap = lap
        self._check_output(after, piece.shape)
        found = _axes_moved(before, after, spec)
        if found != self.spec.output_axes:
            raise self._misread(
                Tensor(self.outputs[0].name, str(after.dtype), after.shape), [found]
            )

    def _misread(self, got: Tensor, fitting: Sequence[str]) -> InputError:
        """Return the error for an output of another shape, or of other axes, than the spec's."""
        spec = self.spec
        expected = Tensor(got.name, got.dtype, spec.output_shape(None))
        message = (
            f"{self.model.path}: got {got}; the spec ({self.model.spec_from}) expects {expected}"
        )
        odd = spec.odd_axes(got.shape)
        if odd is not None:
            return InputError(
                f"{message}, axes {spec.output_axes}: the output's look like {odd} (T time steps, N"
                " images, K classes)",
                hint=f"Let the graph end with a Transpose to one of {', '.join(OUTPUT_AXES)}.",
            )
        steps = self._other_steps(got.shape)
        if steps is not None:
            return InputError(
                f"{message}: it gives {steps} time steps",
                hint=f"Say so: --spec '{{\"time_steps\": {steps}}}', or time_steps in the spec.",
            )
        if not fitting:
            return InputError(message, hint=OTHER_NETWORK)
        return InputError(
            f"{message}, axes {spec.output_axes}: the output's are {fitting[0]} (T time steps, N"
            " images, K classes)",
            hint=f"Say so: --output-axes {fitting[0]}, or output_axes in the spec.",
        )

    def _other_steps(self, shape: Sequence[Optional[int]]) -> Optional[int]:
        """Return the time steps of an output whose batch is open, whose classes are the spec's and
        whose time steps are not; None of any other.
        """
        if self.spec.widths is not None or len(shape) != len(self.spec.output_axes):
            return None
        sizes = dict(zip(self.spec.output_axes, shape))
        opened = sizes["N"] is None and self.inputs[0].shape[0] is None
        if not opened or sizes["K"] != self.spec.classes:
            return None
        return sizes["T"]

    def _check_images(self, images: np.ndarray) -> None:
        widths = self.spec.widths
        if widths is not None and images.ndim == 4 and len(images):
            self._check_width(images, widths.list)
            return
        if images.ndim != 4 or images.shape[1:] != self.spec.image_shape or not len(images):
            raise InputError(
                f"images have shape {images.shape}; expected (N,"
                f" {', '.join(map(str, self.spec.image_shape))})"
            )

    def _check_width(self, images: np.ndarray, widths: Sequence[int]) -> None:
        """Refuse images of a width that neither the rule nor a view can have chosen."""
        channels, height, _ = self.spec.image_shape
        if images.shape[1:3] == (channels, height) and images.shape[3] in widths:
            return
        shown = ", ".join(map(str, widths))
        raise InputError(
            f"images have shape {images.shape}; expected (N, {channels}, {height}, W), W one of"
            f" {shown}"
        )

    def _sizes_at(self, width: int) -> Optional[Tuple[int, ...]]:
        """Return the batch sizes that the model takes at a width, ascending; None for any."""
        return self.batch_sizes

    def _cut(self, images: np.ndarray) -> List[Tuple[np.ndarray, int]]:
        self._check_images(images)
        images = convert_pixels(images, self.inputs[0].dtype, self.spec)
        sizes = self._sizes_at(images.shape[3])
        if sizes is None:
            return [(images, len(images))]
        pieces = []
        start = 0
        for size in cut_batch(len(images), sizes):
            piece = images[start : start + size]
            pieces.append((_padded(piece, size), len(piece)))
            start += size
        return pieces

    def _check_metadata(self) -> None:
        image, logits = self.inputs[0], self.outputs[0]
        shape = self._input_shape()
        if not fits(image.shape, shape):
            raise InputError(
                f"{self.model.path}: got {image}; the spec ({self.model.spec_from}) expects"
                f" {Tensor(image.name, image.dtype, shape)}",
                hint=OTHER_NETWORK,
            )
        self._check_widths()
        fitting = self.spec.fitting_axes(logits.shape, None)
        if self.spec.output_axes not in fitting:
            raise self._misread(logits, fitting)

    def _check_widths(self) -> None:
        """Refuse a model that lacks widths that its spec names."""
        if self.spec.widths is None:
            return
        missing = [width for width in self.spec.widths.list if not self._takes(width)]
        if missing:
            shown = ", ".join(map(str, missing))
            raise InputError(
                f"{self.model.path}: it lacks the width {shown}, which the spec"
                f" ({self.model.spec_from}) names: it takes {self.inputs[0]}",
                hint=(
                    "Export it with these widths (crnn export --widths), name those that it has in"
                    " --spec, or read at its one width: --width-rule off."
                ),
            )

    def _takes(self, width: int) -> bool:
        """Say whether the model takes images of a width."""
        return self.inputs[0].shape[3:] in ((None,), (width,))

    def _input_shape(self) -> Tuple[Optional[int], ...]:
        if self.spec.widths is not None:
            return (None, *self.spec.image_shape[:2], None)
        return (None, *self.spec.image_shape)


class _Pieces(Iterator[np.ndarray]):
    """Batches cut to sizes that a runner's model takes; ``sizes`` are, of each piece of the batches
    that are on their way, the shape that the model runs and the images in it.
    """

    def __init__(self, runner: Runner, batches: Iterable[np.ndarray]) -> None:
        self.sizes: Deque[List[Tuple[Tuple[int, ...], int]]] = deque()
        self._runner = runner
        self._batches = iter(batches)
        self._pieces: Deque[np.ndarray] = deque()

    def __next__(self) -> np.ndarray:
        while not self._pieces:
            cut = self._runner._cut(next(self._batches))
            for piece, _ in cut:
                self._runner._prove_axes(piece)
            self.sizes.append([(piece.shape, count) for piece, count in cut])
            self._pieces.extend([piece for piece, _ in cut])
        return self._pieces.popleft()


def run_info(
    model: Model,
    *,
    backend: Optional[str] = None,
    device: Optional[str] = None,
    threads: int = 1,
    versions: Optional[Mapping[str, str]] = None,
    simulated: bool = False,
    rehearsed: Optional[str] = None,
    lacking: Sequence[int] = (),
) -> RunInfo:
    """Describe a run of a model, with the versions of the kit and of what it stands on.

    Args:
        model: What was run.
        backend: What ran it; None for another tool.
        device: Where; None for another tool.
        threads: Processor threads.
        versions: Of what stands below the kit, by name.
        simulated: Whether the Ascend simulator, or a rehearsal, stood in a chip's place.
        rehearsed: The precision of a rehearsal.
        lacking: The widths that the model lacks, where the nearest took their places.

    Returns:
        What results and benchmarks say of the run.
    """
    everything = {**process_versions(), **(versions or {})}
    return RunInfo(
        model, backend, device, threads, everything, simulated, rehearsed, tuple(lacking)
    )


def cut_batch(count: int, sizes: Sequence[int]) -> List[int]:
    """Cut ``count`` rows into ``sizes`` (ascending): the largest while it is full, then the
    smallest for the rest.

    >>> cut_batch(21, (1, 4, 8, 16))
    [16, 8]
    """
    full, rest = divmod(count, sizes[-1])
    return [sizes[-1]] * full + ([next(size for size in sizes if size >= rest)] if rest else [])


def batch_note(batch: int, sizes: Optional[Sequence[int]]) -> Tuple[str, ...]:
    """Say how a batch is run where the model does not offer it.

    >>> batch_note(10, (1, 4, 8))
    ('batches of 10 run as 8 + 4: the model takes 1, 4, 8',)

    Args:
        batch: The batch that was asked for.
        sizes: The batches that the model offers; None for any.

    Returns:
        No sentence or one.
    """
    if sizes is None or batch in sizes:
        return ()
    counts: Dict[int, int] = {}
    for size in cut_batch(batch, sizes):
        counts[size] = counts.get(size, 0) + 1
    parts = " + ".join(
        f"{count} x {size}" if count > 1 else str(size) for size, count in counts.items()
    )
    return (f"batches of {batch} run as {parts}: the model takes {', '.join(map(str, sizes))}",)


def convert_pixels(images: np.ndarray, dtype: str, spec: ModelSpec) -> np.ndarray:
    """Convert between pixels (uint8) and normalised values (float32, float16), exactly, by the
    spec's table.

    Normalised values that no pixel has cannot become uint8: `InputError`.
    """
    if images.dtype == dtype:
        return images
    if images.dtype == np.uint8:
        return spec.normalise(images).astype(dtype, copy=False)
    if dtype != "uint8":
        cast: np.ndarray = images.astype(dtype)
        return cast
    scale = np.float32(spec.std) * np.float32(spec.divisor)
    offset = np.float32(spec.mean) * np.float32(spec.divisor)
    with np.errstate(invalid="ignore"):  # NaN becomes some pixel here, and is found out below
        pixels: np.ndarray = np.clip(np.rint(images * scale + offset), 0, 255).astype(np.uint8)
    if not np.array_equal(spec.table[pixels], images):
        raise InputError(
            "the model takes uint8 pixels, and the images hold values that no pixel has under the"
            " spec's normalisation",
            hint="Prepare them again for this model, with --dtype uint8.",
        )
    return pixels


def _joined_text(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _joined(parts: List[np.ndarray]) -> np.ndarray:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts, axis=1)


def _axes_moved(before: np.ndarray, after: np.ndarray, spec: ModelSpec) -> str:
    """Return the order of axes by which only the first image's logits have moved; the spec's own
    where nothing tells.

    Shares, not equality: a device may compute the other images' logits slightly differently.
    """
    with np.errstate(invalid="ignore"):  # infinities have no difference; Scorer counts them
        moved = np.abs(after - before)
    shares: Dict[str, float] = {}
    for axes in spec.fitting_axes(moved.shape, spec.time_steps):
        shares[axes] = float(moved.take(0, axis=axes.index("N")).sum())
    return max(shares, key=lambda axes: shares[axes])


def _padded(images: np.ndarray, size: int) -> np.ndarray:
    if len(images) == size:
        return images
    padded = np.zeros((size, *images.shape[1:]), dtype=images.dtype)
    padded[: len(images)] = images
    return padded
