"""ONNX files on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional, Tuple, Union

import numpy as np

from crnn.errors import InputError, UnavailableError, needs
from crnn.filekind import OM, TORCH, kind_of
from crnn.files import sha256
from crnn.machine import usable_cpus
from crnn.results import Model
from crnn.runners.base import COMPUTED, COPIED_IN, Runner, Tensor
from crnn.runners.external_data import hash_external_data, load_external_data
from crnn.runners.int8 import EXACT_KEY, int8_of, way_here
from crnn.spec import ModelSpec, spec_in

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "npu": "CANNExecutionProvider",
}
PACKAGES = {"cpu": "onnxruntime", "cuda": "onnxruntime-gpu", "npu": "onnxruntime-cann"}
"""Which distribution has a provider."""

DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


class OnnxRunner(Runner):
    """Runs an ONNX file of one image input and one logits output.

    ``device`` is cpu, cuda or npu, or a numbered one: "cuda:1". An NPU is reached through ONNX
    Runtime's CANN provider, which has not been tried.
    """

    backend = "onnxruntime"

    def __init__(self, path: Path, *, device: str = "cpu", threads: Optional[int] = None) -> None:
        proto = load_graph(path)
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        carried = spec_in(metadata, path)
        spec = carried or ModelSpec.default()
        source = "default"
        if carried:
            source = "file"
        outside = hash_external_data(proto, path)
        super().__init__(Model(path, sha256(path), spec, source, outside))
        self.device = device
        self.threads = threads or usable_cpus()
        self._session: Any = None
        self._int8 = int8_of(proto)

    def _open(self) -> None:
        with needs("onnxruntime"):
            import onnxruntime
        provider = _provider(onnxruntime, self.device)
        self.versions = {"onnxruntime": onnxruntime.__version__}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Threads that wait by spinning take the processors from those that decode images, and from
        # other programs; measured in benchmarks/session.py, as the defaults for all other options
        # were.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
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
        self.outputs = tuple(_tensor(self.model.path, node) for node in self._session.get_outputs())
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            raise InputError(
                f"{self.model.path}: {len(self.inputs)} inputs and {len(self.outputs)} outputs;"
                " expected one of each"
            )
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
            output: np.ndarray = self._session.run(None, {self.inputs[0].name: images})[0]
        except Exception as error:
            # Of what it raises, nothing is the kit's: the input has been checked against the
            # graph's own words.
            raise InputError(
                f"{self.model.path}: ONNX Runtime cannot run it on images {images.shape}:"
                f" {_first_line(error)}",
                hint=(
                    "Where it is the batch that does not fit: the graph holds a fixed one inside;"
                    " try --batch 1."
                ),
            ) from error
        self.lap(COMPUTED)
        return output

    def _close(self) -> None:
        self._session = None


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
        Its ModelProto. Weights that lie in other files are not looked at: see `external_data`.

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
        import onnx
        from google.protobuf.message import DecodeError
    try:
        proto = onnx.load(str(path), load_external_data=False)
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
