"""What kind of model a file is, told by what it holds and not by its name."""

from __future__ import annotations

from pathlib import Path

from crnn.cann import OM_MAGIC
from crnn.files import refuse_lfs_pointer, require_file, starts_with

OM, ONNX, TORCH = "om", "onnx", "torch"
EXPECTED = "a model: an .om (or a folder with a set of them), an .onnx or a PyTorch checkpoint"

_TORCH_MAGICS = (
    b"PK\x03\x04",  # a zip, since PyTorch 1.6
    # before: a pickle of the old format's magic number
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
)


def kind_of(path: Path) -> str:
    """Return `OM` or `TORCH` by the file's first bytes, `ONNX` for any others: those have no mark
    of their own.

    Raises `InputError` for what is no readable file, and for a Git LFS pointer.
    """
    require_file(path, EXPECTED)
    refuse_lfs_pointer(path)
    if starts_with(path, OM_MAGIC):
        return OM
    return TORCH if any(starts_with(path, magic) for magic in _TORCH_MAGICS) else ONNX
