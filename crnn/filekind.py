"""What a file is before anyone parses it: whether it is there and is one, its hash, and its kind,
told by its first bytes and not by its name.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Optional, Tuple

from crnn.cann import OM_MAGIC as OM_MAGIC
from crnn.errors import InputError
from crnn.spelling import nearest

OM, ONNX, TORCH = "om", "onnx", "torch"
EXPECTED = "a model: an .om (or a folder with a set of them), an .onnx or a PyTorch checkpoint"

LFS_MARK = b"version https://git-lfs"

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
PACK_FORMAT = "crnn-pack/1"
PACK_MARK = PACK_FORMAT.encode("ascii") + b" "


def require_file(path: Path, what: str, *, stream: bool = False) -> None:
    """Refuse a path that is not a readable file.

    Args:
        path: The file that is to be read.
        what: What it was meant to be, for the message.
        stream: Whether a pipe will do, which `open_input` reads once.

    Raises:
        InputError: It is missing, a folder, a pipe or device, or not readable.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected {what}")
    if not path.exists():
        raise InputError(f"{path} does not exist; expected {what}{_nearest(path)}")
    if not os.access(path, os.R_OK):
        raise InputError(
            f"{path} cannot be read; expected {what}", hint=f"Check its permissions: ls -l {path}"
        )
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        if not stream:
            raise InputError(f"{path} is a pipe or a device; expected {what}, as a file")
    elif state.st_size == 0:
        raise InputError(f"{path} is empty; expected {what}")


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (nor does its folder {path.parent})"
    names = _of_its_kind(path)
    near = nearest(path.name, names)
    if near is None:
        # A name that was not written to its end, or written on.
        longer = [name for name in names if _begins(name, path.name)]
        near = nearest(path.name, longer, alike=0.0)
    if near is None:
        return ""
    return f"; did you mean {path.parent / near}?"


_ENDINGS = {".pth": "checkpoint", ".pt": "checkpoint", ".onnx": "ONNX", ".om": "OM"}


def _of_its_kind(path: Path) -> List[str]:
    """Return the names beside a path, without models of another kind: an OM is not a checkpoint."""
    asked = _ENDINGS.get(path.suffix)
    kept: List[str] = []
    for name in sorted(entry.name for entry in path.parent.iterdir()):
        kind = _ENDINGS.get(Path(name).suffix)
        if asked is None or kind in (asked, None):
            kept.append(name)
    return kept


def _begins(name: str, other: str) -> bool:
    stem = other.partition(".")[0]
    return len(stem) > 2 and name.startswith(stem)


def refuse_lfs_pointer(path: Path) -> None:
    """Refuse a Git LFS pointer, the small text file that stands where a large file was not fetched.

    Args:
        path: The file that is to be read.

    Raises:
        InputError: It is such a pointer.
    """
    # What a pipe holds can be read only once.
    if path.is_file() and starts_with(path, LFS_MARK):
        raise InputError(
            f"{path} is a Git LFS pointer, not the file itself ({path.stat().st_size} bytes of"
            " text)",
            hint=(
                "Fetch the file in the repository that it came from: git lfs pull --include"
                f" {path.name}"
            ),
        )


def starts_with(path: Path, mark: bytes) -> bool:
    """Say whether the file begins with these bytes.

    Args:
        path: The file.
        mark: The bytes.

    Returns:
        True where it does.
    """
    with open(path, "rb") as file:
        return file.read(len(mark)) == mark


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def is_pack(path: Path) -> bool:
    """Say whether a path is a pack's (`crnn.samples.pack`), by its first bytes.

    Args:
        path: Any path.

    Returns:
        False for what cannot be read too.
    """
    if not path.is_file():
        return False
    try:
        return starts_with(path, PACK_MARK)
    except OSError:
        return False


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
    other = foreign(path)
    if other is not None:
        raise InputError(f"{path} is {other.what}; expected {EXPECTED}", hint=other.remedy)
    return ONNX


@dataclass(frozen=True)
class Foreign:
    """What a file is that the kit does not run, and what to do with it, for people."""

    what: str
    remedy: str


def foreign(path: Path) -> Optional[Foreign]:
    """Tell files of other systems, and the kit's own that are not models.

    Args:
        path: A file.

    Returns:
        What it is, by its first bytes; None where it may be a model.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"{", b"[")) and _is_text(head):
        return _json(path)
    for at, mark, found in _MARKS:
        if head[at : at + len(mark)] == mark:
            return found
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return Foreign("safetensors, weights alone", _MINDSPORE)
    if text.startswith(b"model_checkpoint_path:"):
        return Foreign(
            "TensorFlow's note of its newest checkpoint", f"{_TENSORFLOW} PREFIX is what it names."
        )
    # MindSpore names itself in its ONNX files too; those begin with a whole number.
    if head[:1] == b"\x0a" and MINDIR in head[:64]:
        return Foreign(
            "a MindIR, MindSpore's compiled graph, whose weights have lost their layers' names",
            f"Take the .ckpt that it was exported from: {_MINDSPORE}",
        )
    return _message(head) or _table(path)


def refuse_foreign_folder(path: Path, expected: str = EXPECTED) -> None:
    """Refuse a folder that another system keeps a model in.

    Args:
        path: A folder, or anything else, which is let pass.
        expected: What was asked for, for the message.

    Raises:
        InputError: It is a SavedModel of TensorFlow.
    """
    if (path / "saved_model.pb").is_file():
        raise InputError(
            f"{path} is a SavedModel of TensorFlow; expected {expected}", hint=_saved(path)
        )


def _saved(folder: Path) -> str:
    return (
        f"Its weights are a checkpoint: crnn import tensorflow {folder / 'variables' / 'variables'}"
        " OUT.pth --ord-map ord_map.json"
    )


_HEAD = 4096
_MINDSPORE = "crnn import mindspore FILE OUT.pth, then crnn export."
_TENSORFLOW = "crnn import tensorflow PREFIX OUT.pth --ord-map ord_map.json, then crnn export."
_DATA = "It is what a model reads: crnn evaluate MODEL DATA, crnn read MODEL IMAGE."
AN_IMAGE = Foreign("an image", _DATA)
AN_LMDB = Foreign("an LMDB, a data set", _DATA)
_MARKS = (
    (0, b"\x89HDF\r\n\x1a\n", Foreign("HDF5, as Keras keeps weights", "The kit does not read it.")),
    (4, b"TFL3", Foreign("a TFLite model", f"Take the checkpoint: {_TENSORFLOW}")),
    (16, b"\xde\xc0\xef\xbe", AN_LMDB),
    (0, b"\x89PNG\r\n\x1a\n", AN_IMAGE),
    (0, b"\xff\xd8\xff", AN_IMAGE),
    (0, b"GIF8", AN_IMAGE),
    (0, b"BM", AN_IMAGE),
    (0, b"II*\0", AN_IMAGE),
    (0, b"MM\0*", AN_IMAGE),
    (8, b"WEBP", AN_IMAGE),
    (
        0,
        ENCRYPTED_MINDSPORE,
        Foreign("an encrypted checkpoint of MindSpore", f"Decrypt it there, then {_MINDSPORE}"),
    ),
)
"""Where a mark stands, its bytes, and what the file is then."""
_TABLE = 0xDB4775248B80FB57.to_bytes(8, "little")
"""The end of a LevelDB table, as TensorFlow writes its indices and its first checkpoints."""
_MOST_JSON = 4 << 20


def _is_text(head: bytes) -> bool:
    try:
        head[:1024].decode("utf-8")
    except UnicodeDecodeError as error:
        # A character may be cut in two by the end.
        return error.start > len(head[:1024]) - 4
    return b"\0" not in head


def _json(path: Path) -> Foreign:
    data: Any = None
    if path.stat().st_size <= _MOST_JSON:
        try:
            data = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError):
            data = None
    kind = ""
    if isinstance(data, dict):
        kind = str(data.get("format", data.get("schema", "")))
    if kind.startswith("crnn-om/"):
        return Foreign("the file beside an OM", f"Give the OM itself: {path.with_suffix('')}")
    if kind.startswith("crnn-spec/"):
        return Foreign("a spec, not a model", f"Give the model, and --spec {path}")
    if kind.startswith("crnn-"):
        return Foreign(f"a result of this kit ({kind})", "Give the model that it was made with.")
    return Foreign(
        "JSON, not a model", "Give the model; a spec's JSON is named by --spec beside the model."
    )


def _message(head: bytes) -> Optional[Foreign]:
    """Tell protocol buffers' messages that are not ONNX's: its first field is a whole number, its
    second the producer's name.
    """
    if head[:1] == b"\x0a":
        return _first_entry(head)
    if head[:1] == b"\x08" and head[2:3] == b"\x12":
        name, start = _length(head, 3)
        printable = all(32 <= byte < 127 for byte in head[start : start + min(name, 16)])
        if name and not printable:
            return Foreign("a SavedModel of TensorFlow, saved_model.pb", _saved(Path("ITS_FOLDER")))
    return None


def _first_entry(head: bytes) -> Optional[Foreign]:
    """Tell a list of named things: a GraphDef's nodes, or a checkpoint's values."""
    _, start = _length(head, 1)
    if head[start : start + 1] != b"\x0a":
        return None
    name, begin = _length(head, start + 1)
    if head[begin + name : begin + name + 1] != b"\x12":
        return None
    second, at = _length(head, begin + name + 1)
    operator = head[at : at + min(second, 32)]
    if second and operator.isalnum():
        return Foreign(
            "a frozen graph of TensorFlow",
            "crnn import tensorflow FILE.pb OUT.pth --ord-map ord_map.json, then crnn export.",
        )
    return Foreign("a checkpoint of MindSpore", _MINDSPORE)


def _length(head: bytes, at: int) -> Tuple[int, int]:
    """Read a varint, bounded by the bytes at hand."""
    value = shift = 0
    while at < len(head) and shift < 63:
        byte = head[at]
        value |= (byte & 127) << shift
        at += 1
        shift += 7
        if byte < 128:
            break
    return value, at


def _table(path: Path) -> Optional[Foreign]:
    """Tell TensorFlow's checkpoints, whose mark stands at the end, or only in the name."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - len(_TABLE)))
        end = file.read()
    if end == _TABLE:
        return Foreign("a checkpoint of TensorFlow, or its index", _TENSORFLOW)
    if ".data-0" in path.name and "-of-0" in path.name:
        return Foreign("the data of a TensorFlow checkpoint", _TENSORFLOW)
    return None


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
