"""What a probing OM gave at every node, as a file that goes from the box to where its ONNX is.

``layers.npz`` in the folder of ``--save-outputs``: NumPy's own format, written with NumPy alone
(docs/formats.md).
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict

import numpy as np

from crnn.errors import InputError
from crnn.limits import limit
from crnn.runners.probe_runner import ProbeRunner
from crnn.spec import ModelSpec

NAME = "layers.npz"
FORMAT = "crnn-insides/1"
_ABOUT, _IMAGES = "about", "images"


@dataclass(frozen=True)
class Insides:
    """What a probing OM got and gave for some batches.

    ``images`` are what it took, (B, N, C, H, W); ``tensors`` what it gave, (B, …), by the names of
    the ONNX's tensors, in the order of the OM's outputs; ``precision`` is what ATC's command line
    says of it.
    """

    images: np.ndarray
    tensors: Dict[str, np.ndarray]
    spec: ModelSpec
    precision: str
    simulated: bool

    @property
    def values(self) -> np.ndarray:
        """The images as the ONNX takes them, float32."""
        if self.images.dtype == np.uint8:
            pixels: np.ndarray = self.spec.table[self.images]
            return pixels
        return self.images.astype(np.float32)


def write_insides(folder: Path, runner: ProbeRunner) -> None:
    """Write what a runner has kept.

    Args:
        folder: Where the file stands; it exists.
        runner: Has run.
    """
    if not runner.kept:
        return
    about = {
        "format": FORMAT,
        "tensors": list(runner.probe.tensors),
        "spec": runner.spec.to_dict(),
        "model": {"file": runner.model.path.name, "sha256": runner.model.sha256},
        "precision": runner.precision,
        "simulated": runner.simulated,
    }
    arrays: Dict[str, Any] = {
        _ABOUT: np.frombuffer(json.dumps(about).encode("utf-8"), dtype=np.uint8),
        _IMAGES: np.stack([images for images, _ in runner.kept]),
    }
    for number in range(len(runner.probe.tensors)):
        arrays[f"t{number}"] = np.stack([outputs[number] for _, outputs in runner.kept])
    np.savez(str(folder / NAME), **arrays)


def read_insides(folder: Path) -> Insides:
    """Read what `write_insides` wrote.

    Args:
        folder: A folder of ``--save-outputs``.

    Returns:
        What the file holds.

    Raises:
        InputError: There is no such file, or it is something else.
    """
    path = folder / NAME
    if not path.is_file():
        raise InputError(
            f"{folder} holds no {NAME}: its OM was not one of crnn compile --probe",
            hint="Compile a probe, and evaluate it on the box with --save-outputs.",
        )
    try:
        _refuse_large(path)
        with np.load(str(path), allow_pickle=False) as stored:
            return _insides(stored)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not what crnn evaluate wrote: {error}") from error


def _refuse_large(path: Path) -> None:
    most = limit("tensor_bytes")
    with zipfile.ZipFile(str(path)) as members:
        for member in members.infolist():
            if member.file_size > most:
                raise ValueError(f"{member.filename!r} has {member.file_size} bytes")


def _insides(stored: Any) -> Insides:
    about = json.loads(bytes(stored[_ABOUT]).decode("utf-8"))
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ValueError(f"expected {FORMAT}")
    images, names = stored[_IMAGES], about["tensors"]
    if images.ndim != 5 or not _are_names(names):
        raise ValueError("the images, or the names of the tensors, are of another form")
    tensors = {name: stored[f"t{number}"] for number, name in enumerate(names)}
    for name, values in tensors.items():
        if len(values) != len(images) or values.dtype.kind != "f":
            raise ValueError(f"{name!r} is not a batch of floats for each batch of images")
    spec = ModelSpec.from_dict(about["spec"])
    precision = str(about["precision"])
    return Insides(images, tensors, spec, precision, about.get("simulated") is True)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
