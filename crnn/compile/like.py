"""An OM, or a set of them, once more as it was compiled: for another CANN or another chip."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from crnn.ascend.om_reader import read_om
from crnn.ascend.sidecar import Sidecar, find_sidecar, sidecar_path
from crnn.compile.to_om import CompilePlan, CompileRequest
from crnn.errors import InputError, UsageError
from crnn.filekind import require_file, sha256
from crnn.runners.ascend_runner import om_files

SOC, PRECISION = "--soc_version", "--precision_mode"
_OWN = (
    *("--framework", "--model", "--output", "--input_format", "--input_shape", "--log"),
    *("--dynamic_batch_size", "--dynamic_dims", "--insert_op_conf", "--auto_tune_mode"),
    *(SOC, PRECISION, "--out_nodes"),
)
"""The flags that the kit gives ATC by itself; others were ``--extra``."""


@dataclass(frozen=True)
class Recorded:
    """How an OM was compiled, or the OMs of a set, by the files beside them."""

    paths: Sequence[Path]
    sidecars: Sequence[Sidecar]
    flags: Dict[str, str]
    extra: Tuple[str, ...]

    @property
    def batches(self) -> Tuple[int, ...]:
        """All sizes of batches, ascending."""
        found = {batch for sidecar in self.sidecars for batch in sidecar.batch_sizes}
        return tuple(sorted(found))

    @property
    def widths(self) -> Optional[Tuple[int, ...]]:
        """All widths, ascending; None of a model of one."""
        found = {width for sidecar in self.sidecars for width in sidecar.widths}
        return tuple(sorted(found)) or None


def recorded(old: Path) -> Recorded:
    """Read how an OM was compiled.

    Args:
        old: An OM of ``crnn compile``, or the folder of a set.

    Returns:
        What the files beside the OMs say.

    Raises:
        InputError: There is no such file, or the OMs do not belong together.
    """
    if not old.is_dir():
        require_file(old, "an OM that crnn compile wrote, or the folder of a set")
    paths = om_files(old)
    sidecars: List[Sidecar] = []
    for path in paths:
        sidecar = find_sidecar(path, read_om(path).sha256)
        if sidecar is None:
            raise InputError(
                f"{path} has no {sidecar_path(path).name} beside it, which says how it was"
                " compiled",
                hint="Copy the file that crnn compile wrote beside the OM, or compile by hand.",
            )
        sidecars.append(sidecar)
    if len({sidecar.onnx_sha256 for sidecar in sidecars}) > 1:
        raise InputError(f"{old}: its OMs were compiled from different ONNX models")
    flags, extra = _flags(sidecars[0].command)
    for path, sidecar in zip(paths[1:], sidecars[1:]):
        others, more = _flags(sidecar.command)
        if (others.get(SOC), others.get(PRECISION), more) != (
            flags.get(SOC),
            flags.get(PRECISION),
            extra,
        ):
            raise InputError(f"{paths[0]} and {path} were compiled with different flags of ATC")
    found = Recorded(paths, sidecars, flags, extra)
    _require_whole(found, old)
    return found


def request_like(old: Recorded, request: CompileRequest) -> CompileRequest:
    """Return what is to be compiled so that it becomes as an old OM was.

    Args:
        old: How that was compiled.
        request: The ONNX, the new name, and how ATC is run; its chip is taken where it names one,
            else the old one's.

    Returns:
        The request with the old OM's sizes, precision, AIPP and further flags.

    Raises:
        InputError: It is another ONNX than the old OM was compiled from.
        UsageError: The new OM would take the old one's place.
    """
    require_file(request.model, "the ONNX that the OM was compiled from")
    given, known = sha256(request.model), old.sidecars[0].onnx_sha256
    if given != known:
        raise InputError(
            f"{request.model} is not the ONNX that {old.paths[0]} was compiled from: its SHA-256 is"
            f" {given[:16]}…, that one's {known[:16]}…",
            hint="Find that file, or compile this one without --like.",
        )
    several = len(old.paths) > 1
    gears = "batch"
    if "--dynamic_dims" in old.flags:
        gears = "dims"
    return dataclasses.replace(
        request,
        batches=old.batches,
        static_set=several and old.widths is None,
        gears=gears,
        soc=request.soc or old.flags.get(SOC),
        precision=old.flags.get(PRECISION),
        aipp="--insert_op_conf" in old.flags,
        tune="--auto_tune_mode" in old.flags,
        extra=" ".join(shlex.quote(word) for word in old.extra),
        widths=old.widths,
        probe="--out_nodes" in old.flags,
    )


def check_plan(old: Recorded, todo: CompilePlan) -> None:
    """Refuse a plan that would give another model, or overwrite the old OM.

    Args:
        old: How the old OM was compiled.
        todo: What will be done.

    Raises:
        InputError: The weights in other files are not the same, or the spec is another one.
        UsageError: An OM would take an old one's place.
    """
    first = old.sidecars[0]
    if dict(todo.external_data) != dict(first.external_data):
        raise InputError(
            f"{todo.request.model}: the files that hold its weights are not those that"
            f" {old.paths[0]} was compiled from"
        )
    if todo.spec.characters != first.spec.characters or todo.spec.blank != first.spec.blank:
        raise InputError(
            f"{old.paths[0]} is read by other classes than {todo.request.model} carries",
            hint=f"Compile with its spec: --spec {sidecar_path(old.paths[0])}",
        )
    places = {path.resolve() for path in old.paths}
    for job in todo.jobs:
        new = Path(f"{job.output}.om")
        if new.resolve() in places:
            raise UsageError(
                f"{new} is the OM that is to be compiled again; expected another name, since the"
                " old one is what the new one is compared with"
            )


def require_own_folder(todo: CompilePlan) -> None:
    """Refuse a new set among other OMs, which would be read with it.

    Args:
        todo: What will be done.

    Raises:
        UsageError: The folder of several new OMs holds another one.
    """
    new = {Path(f"{job.output}.om").resolve() for job in todo.jobs}
    folder = todo.jobs[0].output.resolve().parent
    others = [path for path in sorted(folder.glob("*.om")) if path not in new]
    if len(new) > 1 and others:
        raise UsageError(
            f"{folder} holds {others[0].name}, which is not of the new set; with --against name a"
            " place in a folder of its own, such as new/crnn"
        )


def _flags(command: Sequence[str]) -> Tuple[Dict[str, str], Tuple[str, ...]]:
    """Return ATC's flags that the kit gives by itself, with their values, and the others."""
    flags: Dict[str, str] = {}
    extra: List[str] = []
    for word in command[1:]:
        name, _, value = word.partition("=")
        if name in _OWN:
            flags[name] = value
        else:
            extra.append(word)
    return flags, tuple(extra)


def _require_whole(found: Recorded, old: Path) -> None:
    """Refuse a set in which a width lacks a batch that another one has."""
    if len(found.paths) == 1:
        return
    there = set()
    for sidecar in found.sidecars:
        there.add((sidecar.widths, sidecar.batch_sizes))
    expected = len(found.batches) * len(found.widths or (0,))
    if len(there) != expected or len(found.paths) != expected:
        raise InputError(
            f"{old} holds {len(found.paths)} OMs; a whole set of these batches and widths has"
            f" {expected}"
        )
