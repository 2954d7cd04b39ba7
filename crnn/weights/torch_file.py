"""PyTorch's own files, zip and older, to what was saved in them; no code of theirs is ever run."""

from __future__ import annotations

import contextlib
import pickle
import re
import struct
import tarfile
import warnings
from pathlib import Path
from typing import Any, Callable, ContextManager, List, Tuple, Union

import numpy as np
import torch

from crnn.errors import InputError
from crnn.filekind import PICKLE, ZIP, foreign, refuse_lfs_pointer, require_file

WHAT = "a PyTorch checkpoint (.pth)"
TAKES_NAMES = torch.__version__ >= torch.torch_version.TorchVersion("2.6")
"""Whether this PyTorch can be told of harmless functions in files by name, as those that do not
exist here need.
"""

# What PyTorch's readers raise on bytes that are not a checkpoint, found by fuzzing them.
_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    tarfile.TarError,
)


def read_torch_file(path: Path) -> Any:
    """Read a PyTorch file; one written on a GPU or an NPU needs neither here.

    Args:
        path: The file.

    Returns:
        The object that it holds, its tensors on the CPU wherever they were saved from.

    Raises:
        InputError: It is not a checkpoint: a folder, an empty or truncated file, a Git LFS pointer,
            a TorchScript archive, a pickle that would run code.
    """
    require_file(path, WHAT)
    refuse_lfs_pointer(path)
    try:
        # torch.load before 2.6 can be made to run code through the tar files of the very first
        # releases, in spite of weights_only (CVE-2025-32434). Nobody has a CRNN in one.
        if _is_tar(path):
            raise InputError(
                f"{path} is a tar archive; expected {WHAT}",
                hint="Unpack it and give the .pth inside.",
            )
        with open(path, "rb") as file, warnings.catch_warnings(), _extra_globals():
            # It warns of archives and pickle protocols that it then refuses with an error as well.
            warnings.simplefilter("ignore")
            loaded = torch.load(file, map_location="cpu", weights_only=True)
        # PyTorch 2.6 and newer raise of themselves.
        if isinstance(loaded, torch.jit.ScriptModule):
            raise ValueError("TorchScript")
        return loaded
    except pickle.UnpicklingError as error:
        raise _refused(path, str(error)) from error
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _is_tar(path: Path) -> bool:
    # As PyTorch tells it. tarfile.is_tarfile would unpack what looks compressed.
    try:
        with tarfile.open(path, "r:") as archive:
            return archive.next() is not None
    except tarfile.TarError:
        return False


def _refused(path: Path, message: str) -> InputError:
    name = re.search(
        r"GLOBAL (\S+) was not an allowed|GLOBAL (\S+) whose module|unrecognized function (.+)"
        r"|Unsupported class (\S+)",  # the last is PyTorch 2.1's
        message,
    )
    if not name:
        return _unreadable(path, ValueError(message))
    found = next(group for group in name.groups() if group)
    hint = (
        "Save the weights alone where the model was made: torch.save(model.state_dict(),"
        " 'weights.pth')."
    )
    if not TAKES_NAMES and any(
        found == entry[1] for entry in _allowed() if isinstance(entry, tuple)
    ):
        hint += f" PyTorch 2.6 or newer reads it as it is; here is {torch.__version__}."
    return InputError(
        f"{path} holds more than weights: loading it would call {found}, and code in a file is"
        " never run",
        hint=hint,
    )


_DAMAGED = "If it was copied or downloaded, compare its size and checksum with the original's."
_OTHERS = {
    ".ckpt": (
        "A checkpoint of MindSpore: crnn import mindspore. Of TensorFlow: crnn import tensorflow."
    ),
    ".safetensors": "Weights of MindSpore: crnn import mindspore.",
    ".pb": "A frozen graph of TensorFlow: crnn import tensorflow.",
    ".onnx": "An ONNX is exported already: crnn compile makes an OM of it, crnn evaluate reads it.",
    ".om": "An OM is compiled already: crnn evaluate reads with it.",
}


def _unreadable(path: Path, error: BaseException) -> InputError:
    with open(path, "rb") as file:
        head = file.read(8)
    if "TorchScript" in str(error):
        return InputError(
            f"{path} is a TorchScript archive (a program); expected {WHAT}",
            hint=(
                "Save its weights: torch.save(torch.jit.load('FILE').state_dict(), 'weights.pth')."
            ),
        )
    if head.startswith(ZIP):
        found = "a zip archive that is truncated, damaged or not PyTorch's"
    elif head.startswith(PICKLE):
        found = "a pickle that is truncated, damaged or not PyTorch's"
    else:
        found = f"not a PyTorch file: it begins with {head!r}"
    other = foreign(path)
    if other is not None:
        return InputError(f"{path} is {other.what}; expected {WHAT}", hint=other.remedy)
    return InputError(
        f"{path} is {found}; expected {WHAT}",
        hint=_OTHERS.get(path.suffix, _DAMAGED),
    )


def _extra_globals() -> ContextManager[None]:
    """Allow what harmless training files hold besides tensors, where this PyTorch can be told of
    it.
    """
    if TAKES_NAMES:
        return torch.serialization.safe_globals(_allowed())
    return contextlib.nullcontext()


def _allowed() -> List[Union[Callable[..., Any], Tuple[Callable[..., Any], str]]]:
    return [
        (_rebuild_npu_tensor, "torch_npu.utils.storage._rebuild_npu_tensor"),
        # Accuracies and losses are often NumPy's numbers.
        (_number, "numpy.core.multiarray.scalar"),
        (_number, "numpy._core.multiarray.scalar"),
        (_NumberType, "numpy.dtype"),
        _NumberType,
        # So are the training's arguments and paths kept beside the weights.
        (_Setting, "argparse.Namespace"),
        (_Setting, "pathlib.PosixPath"),
        (_Setting, "pathlib._local.PosixPath"),  # Python 3.13's
        _Setting,
    ]


class _Setting:
    """Stands for what no weight is in: what it was made of is passed over."""

    def __init__(self, *_: Any) -> None:
        """Take whatever the file says."""

    def __setstate__(self, state: Any) -> None:
        """Ignore the state."""


class _NumberType:
    """Stands for numpy.dtype, whose own constructor and state take far more than the name of a
    number's type.
    """

    def __init__(self, name: str, *_: Any) -> None:
        if name not in ("b1", "f2", "f4", "f8", "i4", "i8"):
            raise ValueError(f"NumPy's type {name!r}")
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """Ignore the state: it holds the byte order, and no machine that trains is big-endian."""


def _number(kind: _NumberType, data: bytes) -> Any:
    return np.frombuffer(data, np.dtype(kind.name), count=1).item()


def _rebuild_npu_tensor(
    storage: Any,
    offset: int,
    size: Tuple[int, ...],
    stride: Tuple[int, ...],
    grad: bool,
    hooks: Any,
    *_: Any,
) -> torch.Tensor:
    # How torch_npu names a tensor in files written on an NPU; on the CPU it is an ordinary tensor.
    rebuild: Callable[..., torch.Tensor] = torch._utils._rebuild_tensor_v2
    return rebuild(storage, offset, size, stride, grad, hooks)
