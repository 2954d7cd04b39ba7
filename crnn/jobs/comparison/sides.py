"""What a user names as a side, told apart by what it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple, Union

from crnn.cann import OM_MAGIC
from crnn.errors import InputError, UsageError
from crnn.filekind import refuse_foreign_folder, require_file, starts_with
from crnn.files import open_input
from crnn.jobs.comparison.models import ModelSide, WordData
from crnn.jobs.comparison.recorded import (
    OutputsSide,
    ReadingsSide,
    ResultSide,
    RunSide,
)
from crnn.reports.result_json import holds_readings
from crnn.runners.open import open_rehearsal, open_runner, open_spec
from crnn.spec import ModelSpec

FLOAT16 = "float16:"
"""Before an ONNX's path: it is rehearsed in float16."""
EXPECTED = (
    "a model (.pth, .onnx, .om, a folder with a set of OMs, float16:MODEL.onnx), readings (.jsonl,"
    " .csv), a result's JSON, the folder of a run or one of raw outputs"
)
_LINES = (".jsonl", ".ndjson")
_HEAD = 4096
_BLANKS = b"\xef\xbb\xbf \t\r\n"
AnySide = Union[ModelSide, ReadingsSide, RunSide, ResultSide, OutputsSide]


@dataclass(frozen=True)
class How:
    """How sides are read: the data, where models run, by which spec raw outputs are read, whether
    models keep the images of words, and whether all sides must be models.
    """

    data: Optional[WordData] = None
    device: str = ""
    threads: Optional[int] = None
    spec: Optional[str] = None
    with_images: bool = False
    models_only: bool = False


def open_sides(names: Sequence[str], how: How) -> List[AnySide]:
    """Open the sides of a comparison; no model is run yet.

    Args:
        names: As the user gave them, the reference first.
        how: How they are read.

    Returns:
        The sides in the order given. One that is named twice gets its number behind its name.

    Raises:
        InputError: There is no such file, or it is none of these.
        UsageError: A model without data.
    """
    sides: List[AnySide] = []
    waiting: List[Tuple[int, str, Path]] = []
    seen: List[str] = []
    for text in names:
        seen.append(text)
        name = text
        if seen.count(text) > 1:
            name = f"{text} ({seen.count(text)})"
        side = _open(name, text, how)
        if isinstance(side, Path):
            # By the spec of a model, which may come later.
            waiting.append((len(sides), name, side))
            continue
        sides.append(side)
    _require_device(names, sides, how.device)
    spec = _spec(sides, how)
    for place, (index, name, folder) in enumerate(waiting):
        data = how.data
        sides.insert(index + place, OutputsSide(name, folder, data, spec))
    return sides


def _require_device(names: Sequence[str], sides: Sequence[AnySide], device: str) -> None:
    """Refuse a device that no model can run on."""
    if not device or not any(isinstance(side, ModelSide) for side in sides):
        return
    if not any(takes_device(name, device) for name in names):
        raise UsageError(
            f"--device {device}: no model here runs on it; OMs take a chip's number, others cpu,"
            " cuda or npu"
        )


def _spec(sides: Sequence[AnySide], how: How) -> Optional[ModelSpec]:
    if how.spec is not None:
        return open_spec(how.spec)
    for side in sides:
        if side.spec is not None:
            return side.spec
    return None


def _open(name: str, text: str, how: How) -> Union[AnySide, Path]:
    """Return a side; of a folder of raw outputs its path."""
    if how.models_only:
        return _model(name, text, how)
    if text.startswith(FLOAT16):
        runner = open_rehearsal(rehearsed_path(text))
        return ModelSide(name, runner, _data(text, how), with_images=how.with_images)
    path = Path(text)
    if path.is_dir():
        refuse_foreign_folder(path, EXPECTED)
        if (path / "run.json").exists():
            return RunSide(name, path)
        if _holds_outputs(path):
            return path
    else:
        require_file(path, EXPECTED)
        if holds_readings(path):
            return ReadingsSide(name, path)
        _refuse_no_readings(path)
        if _is_json(path):
            return ResultSide(name, path)
    return _model(name, text, how)


def rehearsed_path(text: str) -> Path:
    """Return the ONNX that is to be rehearsed.

    Args:
        text: The side as the user named it, which begins with `FLOAT16`.

    Returns:
        Its path.

    Raises:
        UsageError: No name stands behind the colon, or it is parted from it.
    """
    name = text[len(FLOAT16) :]
    if not name.strip():
        raise UsageError(
            f"{text!r} names no file: its name follows the colon, as in {FLOAT16}MODEL.onnx"
        )
    if name != name.strip() and not Path(name).exists():
        raise UsageError(
            f"{text!r} has a space where the file's name begins or ends: write"
            f" {FLOAT16}{name.strip()}"
        )
    return Path(name)


def _refuse_no_readings(path: Path) -> None:
    """Refuse a file of readings that holds none, and blank lines alone."""
    with open_input(path) as file:
        head = file.read(_HEAD)
    if not head.strip(_BLANKS):
        raise InputError(f"{path} is empty: it holds blank lines alone; expected {EXPECTED}")
    if path.suffix.lower() in _LINES:
        raise InputError(
            f"{path}: its first line is not a reading; expected an object with key and text"
        )


def takes_device(text: str, device: str) -> bool:
    """Say whether a model may run on a device, by its kind.

    Args:
        text: The model as the user named it.
        device: A chip's number, or several with commas, which OMs take alone; else cpu, cuda or
            npu, which others take; an OM takes the last of these, too.

    Returns:
        False for a rehearsal, which this processor computes.
    """
    if text.startswith(FLOAT16):
        return False
    path = Path(text)
    numbers = re.fullmatch(r"[0-9]+(,[0-9]+)*", device) is not None
    if path.is_dir() or (path.is_file() and starts_with(path, OM_MAGIC)):
        return numbers or device.lower().startswith(("npu", "ascend"))
    return not numbers


def _model(name: str, text: str, how: How) -> ModelSide:
    device = ""
    if takes_device(text, how.device):
        device = how.device
    runner = open_runner(Path(text), device=device, threads=how.threads)
    return ModelSide(name, runner, _data(text, how), with_images=how.with_images)


def _data(text: str, how: How) -> WordData:
    if how.data is None or how.data.path == how.data.label:
        raise UsageError(f"{text} is a model: say which words it is to read, with --data")
    return how.data


def _holds_outputs(folder: Path) -> bool:
    """Say whether a folder is not a set of OMs."""
    names = [entry.name for entry in folder.iterdir()]
    if not names:
        raise InputError(f"{folder} is an empty folder; expected {EXPECTED}")
    return not any(name.endswith(".om") for name in names)


def _is_json(path: Path) -> bool:
    return any(starts_with(path, mark) for mark in (b"{", b"[", b"\xef\xbb\xbf{"))
