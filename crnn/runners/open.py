"""A model file to the runner that can run it, decided by what the file holds, not by its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

from crnn import dialects
from crnn.errors import InputError, UsageError
from crnn.filekind import OM, ONNX, TORCH, kind_of
from crnn.presets import SPECS
from crnn.runners.base import Runner
from crnn.spec import ModelSpec, read_spec


def open_runner(path: Path, *, device: str = "", threads: Optional[int] = None) -> Runner:
    """Choose the runner for a model file.

    Args:
        path: A model file, or a folder with the static set of OMs (NAME_bs1.om, NAME_bs4.om …).
        device: For ONNX and checkpoints cpu (default), cuda or npu, the latter two with a number
            or without (cuda:1); for an OM a chip's number (default 0), or several with commas, with
            "npu:" before them or without.
        threads: The most processor threads of a model that runs on the processor; None for all
            usable.

    Returns:
        The runner, not yet entered.

    Raises:
        InputError: The file is not a model.
        UsageError: The device does not fit the file.
    """
    if path.is_dir():
        kind = OM
    else:
        kind = kind_of(path)
    if kind == OM:
        from crnn.runners.ascend_runner import open_ascend

        return open_ascend(path, _chips(path, device))
    device = dialects.device(device or "cpu")
    if not re.fullmatch(r"cpu|(cuda|npu)(:[0-9]+)?", device):
        raise UsageError(
            f"--device {device}: {path} is not an OM, so it runs on cpu, cuda or npu, or a numbered"
            " one such as cuda:1"
        )
    if kind == TORCH:
        from crnn.runners.torch_runner import TorchRunner

        return TorchRunner(path, device=device, threads=threads)
    from crnn.runners.onnx_runner import OnnxRunner

    return OnnxRunner(path, device=device, threads=threads)


def open_rehearsal(path: Path, *, device: str = "") -> Runner:
    """Return the runner that computes an ONNX as a chip would, in float16, on this processor.

    Args:
        path: An ONNX file.
        device: "" or "cpu".

    Returns:
        The runner, not yet entered.

    Raises:
        InputError: The file is not a model.
        UsageError: The file is a model of another kind, or the device another one.
    """
    if path.is_dir() or kind_of(path) != ONNX:
        raise UsageError(
            f"--rehearse computes an ONNX on this processor, and {path} is not one: rehearse the"
            " ONNX that an OM was compiled from, or export a checkpoint first"
        )
    if dialects.device(device or "cpu") != "cpu":
        raise UsageError(f"--rehearse computes on this processor; --device {device} is another one")
    from crnn.runners.rehearsal_runner import RehearsalRunner

    return RehearsalRunner(path)


def _chips(path: Path, device: str) -> str:
    """Return the numbers of the chips that an OM is to run on."""
    if device in ("", "npu"):
        return "0"
    name = dialects.device(device)
    kind, colon, numbers = name.partition(":")
    if colon and kind == "npu":
        return numbers
    if name == "npu":
        return "0"
    if kind in ("cpu", "cuda"):
        raise UsageError(f"--device {device}: {path} is an OM, which runs on an Ascend chip alone")
    return device


def open_spec(text: str) -> ModelSpec:
    """Return the spec that an argument names.

    Args:
        text: A preset's name, a spec's JSON, a ``.om.json``, or a model file.

    Returns:
        The spec.

    Raises:
        InputError: There is none in it.
    """
    if text in SPECS:
        return SPECS[text]
    path = Path(text)
    if not path.exists():
        raise InputError(
            f"there is no file {text}, and no preset of that name; presets are {', '.join(SPECS)}"
        )
    if path.suffix == ".json":
        return read_spec(path)
    return open_runner(path).spec
