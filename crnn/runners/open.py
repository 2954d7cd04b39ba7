"""A model file to the runner that can run it, decided by what the file holds, not by its name."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Callable, Optional, Sequence

from crnn import dialects
from crnn.errors import InputError, UsageError
from crnn.filekind import OM, ONNX, TORCH, kind_of, refuse_foreign_folder
from crnn.presets import SPECS, time_steps
from crnn.runners.base import Runner
from crnn.spec import ModelSpec, changed_spec, spec_json

NARROWEST = 8
"""The least width that every network of the presets takes."""


def open_runner(
    path: Path,
    *,
    device: str = "",
    threads: Optional[int] = None,
    more: Sequence[Path] = (),
    apart: bool = False,
) -> Runner:
    """Choose the runner for a model file.

    Args:
        path: A model file, or a folder with the static set of OMs (NAME_bs1.om, NAME_bs4.om …).
        device: For ONNX and checkpoints cpu (default), cuda or npu, the latter two with a number
            or without (cuda:1); for an OM a chip's number (default 0), or several with commas, with
            "npu:" before them or without.
        threads: The most processor threads of a model that runs on the processor; None for all
            usable.
        more: Further OMs, which with ``path`` are a static set.
        apart: Whether one chip too gets a process of its own, which can be ended whatever the chip
            does.

    Returns:
        The runner, not yet entered.

    Raises:
        InputError: The file is not a model.
        UsageError: The device does not fit the file.
    """
    kind = OM
    if path.is_dir():
        refuse_foreign_folder(path)
    else:
        kind = kind_of(path)
    if kind == OM:
        from crnn.runners.ascend_runner import open_ascend, set_of

        chips = _chips(path, device)
        if more:
            return open_ascend(set_of([path, *more]), chips, apart=apart)
        return open_ascend(path, chips, apart=apart)
    if device:
        device = dialects.device(device)
    else:
        device = "cpu"
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


_DEFAULT = ModelSpec.default()
Steps = Callable[[int], Optional[int]]
"""The time steps that a model gives for images of a width; None where it is not known."""


def unknown_steps(width: int) -> Optional[int]:
    """Return None: no model is at hand to tell.

    Args:
        width: The images' width in pixels.

    Returns:
        None.
    """
    return None


def spec_given(
    own: ModelSpec, text: Optional[str], output_axes: Optional[str], steps: Steps = unknown_steps
) -> ModelSpec:
    """Return the spec that a model is to be read by, after the options of a command.

    Args:
        own: The spec that the model carries, or the default.
        text: What ``--spec`` names (`open_spec`); None where it was not given.
        output_axes: What ``--output-axes`` says; None where it was not given.
        steps: Gives the model's time steps at a width, where a JSON says the width alone.

    Returns:
        The spec; ``own`` where neither was given.

    Raises:
        InputError: There is no spec of that name.
    """
    spec = own
    if text:
        spec = open_spec(text, own, steps)
    if output_axes:
        spec = dataclasses.replace(spec, output_axes=output_axes)
    return spec


def read_as_asked(
    runner: Runner, output: Optional[str], text: Optional[str], output_axes: Optional[str]
) -> None:
    """Have a runner read as the options of a command say.

    Args:
        runner: Not yet entered.
        output: What ``--output`` names; None where it was not given.
        text: What ``--spec`` names; None where it was not given.
        output_axes: What ``--output-axes`` says; None where it was not given.

    Raises:
        InputError: There is no such spec.
    """
    if output:
        runner.take(output)
    if text or output_axes:
        runner.read_by(spec_given(runner.spec, text, output_axes, runner.steps))


def by_width_rule(spec: ModelSpec, rule: Optional[str], where: object) -> ModelSpec:
    """Return a spec as ``--width-rule`` says.

    Args:
        spec: What the model is read by otherwise.
        rule: "off" for its fixed width alone; "aspect" or None for its own rule.
        where: The model, for the error.

    Returns:
        The spec.

    Raises:
        UsageError: "aspect" of a model that names no widths.
    """
    if rule == "off":
        return dataclasses.replace(spec, widths=None)
    if rule is not None and spec.widths is None:
        raise UsageError(
            f"--width-rule {rule}: {where} names no widths to choose from",
            hint="Export it with --widths, or name them: --spec '{\"widths\": [80, 128, 200]}'.",
        )
    return spec


def open_spec(text: str, own: ModelSpec = _DEFAULT, steps: Steps = unknown_steps) -> ModelSpec:
    """Return the spec that an argument names.

    Args:
        text: A preset's name, the file of a spec's JSON, a ``.om.json``, a model file, or the JSON
            itself. JSON may hold only the keys that differ.
        own: What they differ from: the model's own spec.
        steps: Gives the time steps of a width; None where the model does not tell: the rule of
            this kit's network is then taken, where ``own`` follows it.

    Returns:
        The spec.

    Raises:
        InputError: There is none in it.
    """
    if text in SPECS:
        return SPECS[text]

    def steps_at(width: int) -> Optional[int]:
        told = steps(width)
        usual = own.width >= NARROWEST and time_steps(own.width) == own.time_steps
        if told is None and usual and width >= NARROWEST:
            return time_steps(width)
        return told

    if text.lstrip().startswith("{"):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"--spec: not JSON: {error}") from error
        return changed_spec(own, data, where="--spec", steps=steps_at)
    path = Path(text)
    if not path.exists():
        raise InputError(
            f"there is no file {text}, and no preset of that name; presets are {', '.join(SPECS)}"
        )
    if path.suffix == ".json":
        return changed_spec(own, spec_json(path), where=str(path), steps=steps_at)
    return open_runner(path).spec
