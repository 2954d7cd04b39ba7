"""CANN, the driver and what belongs to them, as files and programs on this machine."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Iterator, Mapping, Optional, Tuple

from crnn.ascend.environment import (
    Cann,
    Version,
    cann_of,
    device_nodes,
    driver_version,
    in_group,
    missing_nodes,
    npu_smi,
    python_range,
    search_roots,
    sourced_cann,
)
from crnn.cann import DEVICE_GROUP, DRIVER_VERSION_FILE
from crnn.jobs.doctor.check import Check, looked, source_of


def cann_checks(cann: Optional[Cann], environ: Mapping[str, str], root: Path) -> Iterator[Check]:
    """Look for CANN, its variables and whether this Python fits it."""
    if cann is None:
        places = ", ".join(str(place) for place in search_roots(environ, root))
        yield Check(
            "CANN",
            False,
            f"none under {places}",
            "Install CANN's toolkit (or nnrt, to run only), or set ASCEND_INSTALL_ROOT;"
            " docs/ascend.md says which.",
        )
        return
    yield Check("CANN", True, f"{cann} {cann.architecture}".strip())
    sourced = sourced_cann(environ)
    found = "not set in this shell"
    if sourced:
        found = f"set, for {sourced.home}"
    yield looked("CANN's variables", sourced, found, source_of(cann))
    if cann.version is None:
        yield Check(
            "Python for CANN",
            False,
            "this CANN does not tell its version",
            "Compare by hand with docs/hardware.md.",
        )
    else:
        yield python_fits(cann.version)


def python_fits(cann: Version, python: Tuple[int, int] = sys.version_info[:2]) -> Check:
    """Compare a Python with those that a CANN is documented for."""
    oldest, newest = python_range(cann)
    span = f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
    return looked(
        "Python for CANN",
        oldest <= python <= newest,
        f"{python[0]}.{python[1]}; CANN {cann} is documented for {span}",
        f"Use Python {newest[0]}.{newest[1]} for what imports acl (the kit runs on 3.8 and later).",
    )


def driver_checks(root: Path) -> Iterator[Check]:
    """Look at the driver, its device files and who may open them."""
    driver = driver_version(root)
    yield looked(
        "driver",
        driver is not None,
        driver or f"no {DRIVER_VERSION_FILE}",
        "Install the driver and firmware of the card; in a container, map"
        " /usr/local/Ascend/driver.",
    )
    nodes, missing = device_nodes(root), missing_nodes(root)
    found = ", ".join(f"/dev/{node}" for node in nodes) or "no /dev/davinci*"
    if nodes and missing:
        found += f"; missing: {', '.join(missing)}"
    yield looked(
        "device files",
        nodes and not missing,
        found,
        "Load the driver (npu-smi info); in a container, map the files: docs/hardware.md.",
    )
    member = in_group()
    found = {
        True: "this user may open the devices",
        False: "this user is not in it",
        None: "there is no such group",
    }[member]
    if member and not nodes:
        yield Check(f"group {DEVICE_GROUP}", False, "there are no devices to open", applies=False)
        return
    yield looked(
        f"group {DEVICE_GROUP}",
        member,
        found,
        f"sudo usermod -a -G {DEVICE_GROUP} $USER, then log in again (the driver makes the group).",
    )


def npu_smi_check() -> Check:
    """Ask the driver's own program for the chips."""
    chips = npu_smi()
    found = "not on PATH, or it fails"
    if chips is not None:
        found = "lists no chip"
    if chips:
        found = ", ".join(f"{chip.soc} ({chip.health})" for chip in chips)
    remedy = "It comes with the driver; without it, give --soc when compiling."
    return looked("npu-smi", chips, found, remedy)


def atc_check(environ: Mapping[str, str]) -> Check:
    """Look for CANN's compiler."""
    path = shutil.which("atc", path=environ.get("PATH"))
    if path is None:
        return Check(
            "ATC",
            False,
            "no atc on PATH",
            "Only for compiling: ./atc_crnn.sh finds it where CANN has it.",
        )
    cann = cann_of(Path(path))
    if cann and cann.version:
        return Check("ATC", True, f"{path} of CANN {cann.version}")
    return Check("ATC", True, path)
