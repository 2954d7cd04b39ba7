"""What kind of file a file is, told by its first bytes and not by its name."""

from __future__ import annotations

from pathlib import Path

from crnn.cann import OM_MAGIC as OM_MAGIC
from crnn.files import refuse_lfs_pointer, require_file, starts_with

OM, ONNX, TORCH = "om", "onnx", "torch"
EXPECTED = "a model: an .om (or a folder with a set of them), an .onnx or a PyTorch checkpoint"

ZIP = b"PK\x03\x04"
"""What PyTorch writes since 1.6, TorchScript too."""
PICKLE = b"\x80"
"""A pickle of protocol 2 or later; the protocol's number follows."""
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""A pickle of the magic number of PyTorch's format before 1.6."""
ENCRYPTED_MINDSPORE = b"\xd8\x5e\x3a\x7f"
MINDIR = b"\x12\x09MindSpore"
"""Among the first bytes of MindSpore's MINDIR graphs."""


def kind_of(path: Path) -> str:
    """Return which kind of model a file is.

    Args:
        path: The file.

    Returns:
        `OM` or `TORCH` by the file's first bytes; `ONNX` for any others, which have no mark of
        their own.

    Raises:
        InputError: It is not a readable file, or it is a Git LFS pointer.
    """
    require_file(path, EXPECTED)
    refuse_lfs_pointer(path)
    if starts_with(path, OM_MAGIC):
        return OM
    if starts_with(path, ZIP) or starts_with(path, OLD_TORCH):
        return TORCH
    return ONNX
