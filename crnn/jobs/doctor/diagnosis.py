"""All lines of the doctor's table, and the verdict on what was asked for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from crnn.ascend.environment import Cann, find_cann
from crnn.ascend.probe import Probe, probe
from crnn.filekind import OM, ONNX, TORCH, kind_of
from crnn.jobs.doctor.check import CHIP, Check, not_asked_for, simulated_mark
from crnn.jobs.doctor.chips import chip_checks
from crnn.jobs.doctor.machine import atc_check, cann_checks, driver_checks, npu_smi_check
from crnn.jobs.doctor.model import model_checks
from crnn.jobs.doctor.python import (
    decoder_checks,
    module_check,
    package_checks,
    python_check,
)

SCHEMA = "crnn-doctor/1"
_PATHS = {
    ONNX: "evaluating an ONNX model on the processor",
    CHIP: "running an OM on an Ascend chip",
    TORCH: "evaluating and exporting a PyTorch checkpoint",
}


@dataclass(frozen=True)
class Diagnosis:
    """All lines, for the path asked for: onnx, torch or chip.

    ``simulated`` says that acl is the kit's simulator, not a chip's.
    """

    asked: str
    checks: Tuple[Check, ...]
    simulated: bool

    @property
    def ready(self) -> bool:
        """Whether what was asked for would run."""
        return all(check.ok or not check.needed for check in self.checks)

    @property
    def verdict(self) -> str:
        """One sentence on what was asked for."""
        path = _PATHS[self.asked]
        if self.simulated and self.asked == CHIP:
            path += " (SIMULATED: no chip is involved)"
        if self.ready:
            return f"ready for {path}"
        missing = [check.name for check in self.checks if check.needed and not check.ok]
        return f"not ready for {path}; missing: {', '.join(missing)}"

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data."""
        checks = [check.to_dict() for check in self.checks]
        return {
            "schema": SCHEMA,
            "asked": self.asked,
            "ready": self.ready,
            "simulated": self.simulated,
            "verdict": self.verdict,
            "checks": checks,
        }


def diagnose(
    model: Optional[Path],
    *,
    ascend: bool,
    environ: Mapping[str, str],
    spec: Optional[str] = None,
    root: Path = Path("/"),
    ask: Callable[[], Probe] = probe,
) -> Diagnosis:
    """Look at everything.

    Args:
        model: Asks for the path that runs it.
        ascend: Asks for the chip; without it and without a model, ONNX is asked for.
        environ: The environment's variables.
        spec: What ``--spec`` names; None for the model's own.
        root: The file system's root.
        ask: Asks pyACL.

    Returns:
        A line for each thing that was looked at.

    Raises:
        InputError: The model file is missing, or is not a model at all.
    """
    asked = CHIP
    if not ascend:
        asked = _path_of(model)
    cann, seen = find_cann(environ, root), ask()
    version = None
    if cann:
        version = cann.version
    checks: List[Check] = [python_check(asked), *module_check(Path.cwd()), *package_checks(asked)]
    checks += decoder_checks()
    checks += _ascend_checks(asked, cann, seen, environ, root)
    if model is not None:
        checks += model_checks(model, asked, seen, version, spec)
    return Diagnosis(asked, tuple(checks), seen.simulated)


def _ascend_checks(
    asked: str, cann: Optional[Cann], seen: Probe, environ: Mapping[str, str], root: Path
) -> List[Check]:
    """Look at what Ascend needs; where no chip was asked for, each line says so."""
    checks: List[Check] = []
    # The simulator puts all of CANN's programs in the place of the real ones, so what is found is
    # its own.
    said = simulated_mark(seen.simulated)
    for check in (*cann_checks(cann, environ, root), npu_smi_check(), atc_check(environ)):
        checks.append(dataclasses.replace(check, found=f"{check.found}{said}"))
    checks += driver_checks(root)
    checks += chip_checks(seen, cann, needed=asked == CHIP)
    if asked == CHIP:
        return checks
    return [not_asked_for(check) for check in checks]


def _path_of(model: Optional[Path]) -> str:
    if model is None:
        return ONNX
    if model.is_dir():
        return CHIP
    kind = kind_of(model)
    if kind == OM:
        return CHIP
    return kind


def rows(checks: Sequence[Check]) -> List[List[str]]:
    """Return the lines of the table.

    Args:
        checks: What was looked at.

    Returns:
        A row for each: mark, check, what was found, remedy.
    """
    table: List[List[str]] = []
    for check in checks:
        mark = "✗"
        if check.ok:
            mark = "✓"
        if not check.applies:
            mark = "-"
        table.append([mark, check.name, _one_line(check.found), _one_line(check.remedy)])
    return table


def _one_line(text: str) -> str:
    return " ".join(text.split())
