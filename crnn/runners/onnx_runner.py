"""ONNX files on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Set, Tuple, Union

import numpy as np

from crnn.errors import InputError, UnavailableError, needs
from crnn.filekind import OM, TORCH, kind_of, sha256
from crnn.fingerprint import FINGERPRINT_KEY
from crnn.machine import usable_cpus
from crnn.results import Model
from crnn.runners.base import COMPUTED, COPIED_IN, Runner, Tensor
from crnn.runners.int8 import EXACT_KEY, Int8, int8_of, way_here
from crnn.runners.onnx_file import (
    InnerSizes,
    hash_external_data,
    load_external_data,
    onnx_messages,
    quantised_operators,
    require_plain_graph,
)
from crnn.spec import ModelSpec, spec_in
from crnn.spelling import did_you_mean

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "npu": "CANNExecutionProvider",
}
PACKAGES = {"cpu": "onnxruntime", "cuda": "onnxruntime-gpu", "npu": "onnxruntime-cann"}
"""Which distribution has a provider."""

_FATAL = 4
"""The severity from which on ONNX Runtime writes to stderr."""
DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


class OnnxRunner(Runner):
    """Runs an ONNX file of one image input and one logits output.

    ``device`` is cpu, cuda or npu, or a numbered one: "cuda:1". An NPU is reached through ONNX
    Runtime's CANN provider, which has not been tried.
    """

    backend = "onnxruntime"

    def __init__(self, path: Path, *, device: str = "cpu", threads: Optional[int] = None) -> None:
        proto = load_graph(path)
        require_plain_graph(proto, path)
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        carried = spec_in(metadata, path)
        spec = carried or ModelSpec.default()
        source = "default"
        if carried:
            source = "file"
        outside = hash_external_data(proto, path)
        inputs = metadata.get(FINGERPRINT_KEY, "")
        super().__init__(Model(path, sha256(path), spec, source, outside, inputs))
        self.device = device
        self.threads = threads or usable_cpus()
        self._session: Any = None
        self._taken: Optional[str] = None
        self._ran: Set[int] = set()
        self._proto_outputs = list(proto.graph.output)
        self._inner = InnerSizes(proto)
        self._int8: Optional[Int8] = None
        if quantised_operators(proto):
            self._int8 = int8_of(proto)

    def steps(self, width: int) -> Optional[int]:
        """See `Runner`."""
        outputs = self._proto_outputs
        for output in outputs:
            if len(outputs) == 1 or output.name == self._taken:
                return steps_of(output, self.spec)
        return None

    def take(self, output: str) -> None:
        """See `Runner`."""
        self._taken = output

    def _open(self) -> None:
        with needs("onnxruntime"):
            import onnxruntime
        provider = _provider(onnxruntime, self.device)
        self.versions = {"onnxruntime": onnxruntime.__version__}
        # What it would say in colours on stderr, its errors say too.
        onnxruntime.set_default_logger_severity(_FATAL)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Threads that wait by spinning take the processors from those that decode images, and from
        # other programs; measured in benchmarks/session.py, as the defaults for all other options
        # were.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if self._int8:
            way = way_here(self._int8, onnxruntime.__version__)
            if way.exact:
                options.add_session_config_entry(EXACT_KEY, "1")
            if way.note:
                self.notes = (f"{self.model.path}: {way.note}",)
        # ONNX Runtime's errors share no base class but Exception.
        try:
            self._session = onnxruntime.InferenceSession(
                _loadable(self.model.path), options, providers=[provider]
            )
        except Exception as error:
            raise InputError(
                f"{self.model.path}: ONNX Runtime cannot load it: {_first_line(error)}"
            ) from error
        _require_started(self._session, self.device)
        self.inputs = tuple(_tensor(self.model.path, node) for node in self._session.get_inputs())
        if len(self.inputs) != 1:
            names = ", ".join(map(str, self.inputs))
            raise InputError(
                f"{self.model.path}: {len(self.inputs)} inputs ({names}); expected the image alone"
            )
        node = chosen_output(self.model.path, self._session.get_outputs(), self._taken)
        self.outputs = (_tensor(self.model.path, node),)
        if self.inputs[0].shape:
            fixed = self.inputs[0].shape[0]
        else:
            fixed = None
        if fixed is not None and fixed < 1:
            raise InputError(
                f"{self.model.path}: {self.inputs[0]} is a batch of {fixed}; expected 1 or more,"
                " or any"
            )
        if fixed is None:
            self.batch_sizes = None
        else:
            self.batch_sizes = (fixed,)

    def _run(self, images: np.ndarray) -> np.ndarray:
        # On a GPU, ONNX Runtime copies within the call: the copies count as computation.
        self.lap(COPIED_IN)
        try:
            output: np.ndarray = self._session.run([self.outputs[0].name], self._fed(images))[0]
        except Exception as error:
            size = self._inner_batch(images, str(error))
            if size in self._ran and len(images) < size:
                # The rest of the data, after whole batches.
                self.lap(COMPUTED)
                return self._padded_run(images, size)
            # Of what it raises, nothing is the kit's: the input has been checked against the
            # graph's own words.
            raise InputError(
                f"{self.model.path}: ONNX Runtime cannot run it on images {images.shape}:"
                f" {_first_line(error)}",
                hint=self._hint(images, size),
            ) from error
        self._ran.add(len(images))
        self.lap(COMPUTED)
        return output

    def _hint(self, images: np.ndarray, size: int) -> str:
        width = images.shape[3]
        if self.spec.widths is not None and width != self.spec.width and not size:
            return (
                f"Does the network take images of width {width}? Export it with that width among"
                " --widths, or name widths that it has in --spec."
            )
        return _batch_hint(size)

    def _padded_run(self, images: np.ndarray, size: int) -> np.ndarray:
        padded = np.zeros((size, *images.shape[1:]), dtype=images.dtype)
        padded[: len(images)] = images
        output: np.ndarray = self._session.run([self.outputs[0].name], self._fed(padded))[0]
        return output.take(range(len(images)), axis=self.spec.output_axes.index("N"))

    def _fed(self, images: np.ndarray) -> Dict[str, np.ndarray]:
        return {self.inputs[0].name: images}

    def _inner_batch(self, images: np.ndarray, message: str) -> int:
        """Return the first of the sizes that the graph or the error names which the graph takes; 0
        where there is none.
        """
        for size in self._inner.candidates(message):
            if size == len(images):
                continue
            tried = np.zeros((size, *images.shape[1:]), dtype=images.dtype)
            try:
                self._session.run([self.outputs[0].name], self._fed(tried))
            except Exception:  # noqa: BLE001, S112  another size may do
                continue
            return size
        return 0

    def _close(self) -> None:
        self._session = None


def _batch_hint(size: int) -> str:
    if size:
        return f"The graph holds a fixed batch inside, {size}: try --batch {size}."
    return "The graph takes neither this batch nor one that it names itself: export it again."


def chosen_output(path: Path, outputs: Sequence[Any], taken: Optional[str]) -> Any:
    """Return the output with the logits.

    Args:
        path: The model, for errors.
        outputs: What has ``name`` each, ONNX Runtime's or ONNX's own.
        taken: What ``--output`` names; None where it was not given.

    Returns:
        The only output, or the one of that name.

    Raises:
        InputError: There are several and none was named, or none is of that name.
    """
    names = [output.name for output in outputs]
    if taken in names:
        return outputs[names.index(taken)]
    if taken is not None:
        raise InputError(
            f"{path} has no output {taken!r}; it has {', '.join(names)}{did_you_mean(taken, names)}"
        )
    if len(names) != 1:
        raise InputError(
            f"{path} has {len(names)} outputs: {', '.join(map(_described, outputs))}; expected the"
            " logits alone",
            hint=f"Name the one that has the logits: --output {_likely(outputs)}",
        )
    return outputs[0]


def steps_of(output: Any, spec: ModelSpec) -> Optional[int]:
    """Return the time steps that an ONNX graph's output has.

    Args:
        output: Its ValueInfoProto.
        spec: Says which of its axes they are.

    Returns:
        T; None where the axis is open or the output has not three.
    """
    dims = output.type.tensor_type.shape.dim
    if len(dims) != len(spec.output_axes):
        return None
    steps = int(dims[spec.output_axes.index("T")].dim_value)
    return steps or None


def _described(output: Any) -> str:
    """Name an output with its type and sizes; of ONNX's own only the sizes are told."""
    if hasattr(output, "shape"):
        return f"{output.name} {output.type} ({', '.join(map(str, output.shape))})"
    dims = output.type.tensor_type.shape.dim
    sizes = ", ".join(dim.dim_param or str(dim.dim_value) for dim in dims)
    return f"{output.name} ({sizes})"


def _likely(outputs: Sequence[Any]) -> str:
    """Return the name of the first output of three axes, as logits have."""
    for output in outputs:
        if hasattr(output, "shape"):
            axes = len(output.shape)
        else:
            axes = len(output.type.tensor_type.shape.dim)
        if axes == 3:
            return str(output.name)
    return "NAME"


def _provider(onnxruntime: Any, device: str) -> Any:
    """Return what ONNX Runtime takes for a device; raise `UnavailableError` where it lacks it."""
    kind, _, number = device.partition(":")
    provider = PROVIDERS[kind]
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise UnavailableError(
            f"--device {device} needs ONNX Runtime's {provider}; this build offers"
            f" {', '.join(available)}",
            hint=f"Install {PACKAGES[kind]} in place of onnxruntime, or use --device cpu.",
        )
    if number:
        return provider, {"device_id": number}
    return provider


def _require_started(session: Any, device: str) -> None:
    # It takes the processor where a provider does not start, and says so in a line of its log.
    provider = PROVIDERS[device.partition(":")[0]]
    if provider not in session.get_providers():
        raise UnavailableError(
            f"--device {device}: ONNX Runtime's {provider} does not start here",
            hint="Its own lines above say why; --device cpu runs on the processor.",
        )


def _loadable(path: Path) -> Union[str, bytes]:
    """Return the path, or the model's content, weights included, where the path is not text (a
    name in another encoding).
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        content: bytes = load_external_data(load_graph(path), path).SerializeToString()
        return content
    return str(path)


def load_graph(path: Path) -> Any:
    """Read an ONNX file.

    Args:
        path: The file.

    Returns:
        Its ModelProto. Weights that lie in other files are not looked at: see
            `onnx_file`.

    Raises:
        InputError: It is not an ONNX file.
    """
    kind = kind_of(path)
    if kind == OM:
        raise InputError(
            f"{path} is an OM; expected an ONNX model",
            hint="Give the ONNX that it was compiled from.",
        )
    if kind == TORCH:
        hint = f"Export it first: crnn export {path} {path.with_suffix('.onnx')}"
        raise InputError(f"{path} is a PyTorch checkpoint; expected an ONNX model", hint=hint)
    with needs("onnx"):
        proto = onnx_messages().ModelProto()
        from google.protobuf.message import DecodeError
    try:
        proto.ParseFromString(path.read_bytes())
    # protobuf 3.20 may lose its own error on the way, which Python then calls a SystemError.
    except (DecodeError, SystemError) as error:
        raise InputError(
            f"{path} is not an ONNX file, an OM or a PyTorch checkpoint: {_first_line(error)}"
        ) from error
    if not proto.graph.node:
        raise InputError(
            f"{path} is not an ONNX file, an OM or a PyTorch checkpoint: it holds no graph"
        )
    return proto


def _tensor(path: Path, node: Any) -> Tensor:
    if node.type not in DTYPES:
        raise InputError(f"{path}: {node.name} is {node.type}; expected one of {', '.join(DTYPES)}")
    shape: Tuple[Optional[int], ...] = tuple(
        size if isinstance(size, int) else None for size in node.shape
    )
    return Tensor(node.name, DTYPES[node.type], shape)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    if lines:
        return lines[0]
    return type(error).__name__
