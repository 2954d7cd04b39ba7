"""What kind of file a file is, told by its first bytes and not by its name."""

from __future__ import annotations

from pathlib import Path

from crnn.cann import OM_MAGIC as OM_MAGIC
from crnn.errors import InputError
from crnn.files import refuse_lfs_pointer, require_file, starts_with

OM, ONNX, TORCH = "om", "onnx", "torch"
EXPECTED = "a model: an .om (or a folder with a set of them), an .onnx or a PyTorch checkpoint"

ZIP = b"PK\x03\x04"
"""What PyTorch writes since 1.6, TorchScript too."""
OM2_FIRST_ENTRY = b"manifest.json"
"""What GE writes first into the zip archive of an OM2 (hicann/ge, gert::OM2_MANIFEST_PATH)."""
HEAD_BYTES = 256
"""The first bytes that tell a kind: a zip archive's first entry has its name within them."""
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
        InputError: It is not a readable file, is a Git LFS pointer, or an OM2.
    """
    require_file(path, EXPECTED)
    refuse_lfs_pointer(path)
    if starts_with(path, OM_MAGIC):
        return OM
    if starts_with(path, ZIP):
        with open(path, "rb") as file:
            refuse_om2(file.read(HEAD_BYTES), str(path))
    if starts_with(path, ZIP) or starts_with(path, OLD_TORCH):
        return TORCH
    return ONNX


def refuse_om2(head: bytes, where: str) -> None:
    """Name an OM2 for what it is: CANN 9.1's other kind of compiled model, a zip archive.

    Args:
        head: The file's first bytes, `HEAD_BYTES` of them where it has so many.
        where: Names the file in errors.

    Raises:
        InputError: It is an OM2.
    """
    # A zip archive's entry: 30 bytes, of which two from the 26th have the length of its name, then
    # the name.
    name_length = int.from_bytes(head[26:28], "little")
    name = head[30 : 30 + name_length]
    if not head.startswith(ZIP) or name.rpartition(b"/")[2] != OM2_FIRST_ENTRY:
        return
    raise InputError(
        f"{where} is an OM2, a zip archive that ATC of CANN 9.1 writes with --mode=7; the kit reads"
        " and runs OMs",
        hint="Compile the ONNX to an OM: ./atc_crnn.sh MODEL.onnx NAME",
    )
