"""What this machine has, line by line, and whether what is asked of it would run."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from crnn.ascend.environment import (
    Cann,
    Version,
    cann_of,
    device_nodes,
    driver_version,
    find_cann,
    in_group,
    missing_nodes,
    npu_smi,
    python_range,
    search_roots,
    sourced_cann,
)
from crnn.ascend.fit import misfits
from crnn.ascend.om import UNKNOWN, Om
from crnn.ascend.om_reader import read_om
from crnn.ascend.probe import Probe, probe
from crnn.ascend.sidecar import find_sidecar, sidecar_path
from crnn.cann import DEVICE_GROUP, DRIVER_VERSION_FILE
from crnn.errors import InputError, KitError
from crnn.filekind import OM, ONNX, TORCH, kind_of
from crnn.files import sha256
from crnn.runners.ascend import om_files
from crnn.runners.int8 import int8_of, way_here
from crnn.runners.onnx import load_graph
from crnn.spec import ModelSpec, spec_in

SCHEMA = "crnn-doctor/1"

SIMULATED = " (SIMULATED)"
OLDEST_PYTHON = (3, 8)
CHIP = "chip"
_PATHS = {
    ONNX: "evaluating an ONNX model on the processor",
    CHIP: "running an OM on an Ascend chip",
    TORCH: "evaluating and exporting a PyTorch checkpoint",
}

# Module, distribution, and the paths that cannot do without it.
_PACKAGES: Tuple[Tuple[str, str, Tuple[str, ...]], ...] = (
    ("numpy", "numpy", (ONNX, CHIP, TORCH)),
    ("PIL", "Pillow", (ONNX, TORCH)),
    ("lmdb", "lmdb", (ONNX, TORCH)),
    ("onnx", "onnx", (ONNX, TORCH)),
    ("onnxruntime", "onnxruntime", (ONNX, TORCH)),
    ("torch", "torch", (TORCH,)),
    ("rich", "rich", ()),
    ("cv2", "opencv-python-headless", ()),
)


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, whether it is as it should be, what was found, what to do.

    ``needed`` says whether what was asked for fails without it.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """All lines, for the path asked for: onnx, torch or chip. ``simulated``:

    acl is the kit's simulator, no chip.
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
        where = " (SIMULATED: no chip is involved)" if self.simulated and self.asked == CHIP else ""
        if self.ready:
            return f"ready for {_PATHS[self.asked]}{where}"
        missing = ", ".join(check.name for check in self.checks if check.needed and not check.ok)
        return f"not ready for {_PATHS[self.asked]}{where}; missing: {missing}"

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data."""
        checks = [dataclasses.asdict(check) for check in self.checks]
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
    root: Path = Path("/"),
    ask: Callable[[], Probe] = probe,
) -> Diagnosis:
    """Look at everything. A model asks for the path that runs it, ``ascend`` for the chip, neither
    for ONNX.

    ``root`` is the file system's root, ``ask`` what asks pyACL. Raises `InputError` where the model
    file is missing or no model at all.
    """
    asked = CHIP if ascend else _path_of(model)
    cann, seen = find_cann(environ, root), ask()
    checks: List[Check] = [_python(), *_packages(asked)]
    # The simulator puts all of CANN's programs in the place of the real ones, so what is found is
    # its own.
    of_cann = [*_cann(cann, environ, root), _npu_smi(), _atc(environ)]
    said = SIMULATED if seen.simulated else ""
    checks += [dataclasses.replace(check, found=f"{check.found}{said}") for check in of_cann]
    checks += _machine(root)
    checks += _acl(seen, asked, cann)
    if model is not None:
        checks += _model(model, asked, seen, cann.version if cann else None)
    return Diagnosis(asked, tuple(checks), seen.simulated)


def _path_of(model: Optional[Path]) -> str:
    if model is None:
        return ONNX
    if model.is_dir():
        return CHIP
    kind = kind_of(model)
    return CHIP if kind == OM else kind


def _python() -> Check:
    version = platform.python_version()
    ok = sys.version_info >= OLDEST_PYTHON
    return Check(
        "Python",
        ok,
        f"{version} at {sys.executable}",
        "" if ok else "Install Python 3.8 or later.",
        needed=True,
    )


def _packages(asked: str) -> Iterator[Check]:
    for module, distribution, paths in _PACKAGES:
        needed = asked in paths
        remedy = f"pip install {distribution}" + ("" if needed else "   (only for some commands)")
        # What is needed is imported, since an installed package may still be broken; torch takes
        # seconds.
        try:
            if importlib.util.find_spec(module) is None:
                raise ImportError("not installed")
            if needed:
                importlib.import_module(module)
        except ImportError as error:
            yield Check(distribution, False, str(error), remedy, needed)
        else:
            yield Check(distribution, True, _version_of(distribution, module), needed=needed)


def _version_of(distribution: str, module: str) -> str:
    from importlib import metadata

    # OpenCV comes under several names.
    for name in (distribution, distribution.replace("-headless", ""), module):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "version unknown"


def _cann(cann: Optional[Cann], environ: Mapping[str, str], root: Path) -> Iterator[Check]:
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
    script = cann.set_env or "acl_env_x86.sh"
    yield Check(
        "CANN's variables",
        sourced is not None,
        f"set, for {sourced.home}" if sourced else "not set in this shell",
        "" if sourced else f"source {script}",
    )
    if cann.version is None:
        yield Check(
            "Python for CANN",
            False,
            "this CANN does not tell its version",
            "Compare by hand with docs/hardware.md.",
        )
    else:
        yield _python_fits(cann.version)


def _python_fits(cann: Version, python: Tuple[int, int] = sys.version_info[:2]) -> Check:
    oldest, newest = python_range(cann)
    ok = oldest <= python <= newest
    span = f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
    remedy = (
        ""
        if ok
        else (
            f"Use Python {newest[0]}.{newest[1]} for what imports acl (the kit runs on 3.8 and"
            " later)."
        )
    )
    return Check(
        "Python for CANN",
        ok,
        f"{python[0]}.{python[1]}; CANN {cann} is documented for {span}",
        remedy,
    )


def _machine(root: Path) -> Iterator[Check]:
    driver = driver_version(root)
    yield Check(
        "driver",
        driver is not None,
        driver or f"no {DRIVER_VERSION_FILE}",
        (
            ""
            if driver
            else (
                "Install the driver and firmware of the card; in a container, map"
                " /usr/local/Ascend/driver."
            )
        ),
    )
    nodes, missing = device_nodes(root), missing_nodes(root)
    ok = bool(nodes) and not missing
    found = ", ".join(f"/dev/{node}" for node in nodes) or "no /dev/davinci*"
    yield Check(
        "device files",
        ok,
        f"{found}{'; missing: ' + ', '.join(missing) if nodes and missing else ''}",
        (
            ""
            if ok
            else "Load the driver (npu-smi info); in a container, map the files: docs/hardware.md."
        ),
    )
    member = in_group()
    yield Check(
        f"group {DEVICE_GROUP}",
        bool(member),
        {
            True: "this user may open the devices",
            False: "this user is not in it",
            None: "there is no such group",
        }[member],
        (
            ""
            if member
            else (
                f"sudo usermod -a -G {DEVICE_GROUP} $USER, then log in again (the driver makes the"
                " group)."
            )
        ),
    )


def _npu_smi() -> Check:
    chips = npu_smi()
    text = ", ".join(f"{chip.soc} ({chip.health})" for chip in chips or ())
    return Check(
        "npu-smi",
        bool(chips),
        text or ("lists no chip" if chips is not None else "not on PATH, or it fails"),
        "" if chips else "It comes with the driver; without it, give --soc when compiling.",
    )


def _acl(seen: Probe, asked: str, cann: Optional[Cann]) -> Iterator[Check]:
    needed = asked == CHIP
    said = SIMULATED if seen.simulated else ""
    found = f"version {seen.version}{said}" if seen.imported else seen.error
    source = f"source {cann.set_env or 'acl_env_x86.sh'}" if cann else "Install CANN first."
    yield Check("import acl", seen.imported, found, "" if seen.imported else source, needed)
    good = [device for device in seen.devices if not device.error]
    text = ", ".join(f"{device.index}: {device.soc or 'name unknown'}{said}" for device in good)
    bad = next((device for device in seen.devices if device.error), None)
    remedy = _first(bad.remedy if bad else seen.remedy) or "Check the chips: npu-smi info."
    trouble = bad.error if bad else seen.error
    if not seen.imported:
        trouble, remedy = "not known without acl", "See the line on acl."
    yield Check("devices", bool(good), text or trouble or "none", "" if good else remedy, needed)
    if bad and good:
        yield Check(f"device {bad.index}", False, _first(bad.error), remedy)
    free = [
        f"{device.index}: {_mib(device.memory_free)} of {_mib(device.memory_total)}"
        for device in good
    ]
    known = any(device.memory_free for device in good)
    yield Check(
        "free device memory",
        known,
        ", ".join(free) + said if known else "not known",
        "" if known else "Look with npu-smi info.",
    )


def _atc(environ: Mapping[str, str]) -> Check:
    path = shutil.which("atc", path=environ.get("PATH"))
    if path is None:
        return Check(
            "ATC",
            False,
            "no atc on PATH",
            "Only for compiling: ./atc_crnn.sh finds it where CANN has it.",
        )
    cann = cann_of(Path(path))
    return Check(
        "ATC", True, f"{path}{f' of CANN {cann.version}' if cann and cann.version else ''}"
    )


def _model(path: Path, asked: str, seen: Probe, cann: Optional[Version]) -> Iterator[Check]:
    if path.is_dir():
        for om in om_files(path):
            yield from _om(om, seen, cann)
        return
    if kind_of(path) == OM:
        yield from _om(path, seen, cann)
        return
    if asked == CHIP:
        remedy = f"Compile it first: ./atc_crnn.sh {path} NAME"
        yield Check(
            "model", False, f"{path} is no OM, and a chip runs nothing else", remedy, needed=True
        )
    elif asked == TORCH:
        yield Check(
            "model", True, f"{path}: a PyTorch checkpoint, sha256 {sha256(path)[:16]}…", needed=True
        )
    else:
        yield from _onnx(path)


def _om(path: Path, seen: Probe, cann: Optional[Version]) -> Iterator[Check]:
    try:
        om = read_om(path)
    except InputError as error:
        yield Check("OM", False, error.message, error.hint, needed=True)
        return
    said = SIMULATED if om.simulated else ""
    batches = ", ".join(map(str, om.batch_sizes)) if om.batch_sizes else UNKNOWN
    yield Check("OM", True, f"{path}{said}, batch {batches}, sha256 {om.sha256[:16]}…", needed=True)
    if seen.imported:
        yield _same_world(om, seen)
    yield _chip(om, seen)
    yield from _om_spec(path, om, cann)


def _same_world(om: Om, seen: Probe) -> Check:
    """The simulator's files are for the simulator, a chip's for a chip."""
    if om.simulated == seen.simulated:
        return Check(
            "OM for this acl",
            True,
            "both simulated" if om.simulated else "both of CANN",
            needed=True,
        )
    if om.simulated:
        return Check(
            "OM for this acl",
            False,
            "the OM was written by the simulator; no chip can load it",
            "Compile it with CANN's own ATC: ./atc_crnn.sh MODEL.onnx NAME",
            needed=True,
        )
    return Check(
        "OM for this acl",
        False,
        "the OM is ATC's own; the simulator runs only what it compiled",
        "Compile it there: python -m crnn.simulator -- crnn compile MODEL.onnx NAME",
        needed=True,
    )


def _chip(om: Om, seen: Probe) -> Check:
    present = sorted({device.soc for device in seen.devices if device.soc})
    if om.soc_version == UNKNOWN or not present:
        what = (
            "the OM does not tell its chip"
            if om.soc_version == UNKNOWN
            else f"{om.soc_version}; no chip to compare"
        )
        return Check(
            "OM for this chip", bool(present), what, "" if present else "See the lines on devices."
        )
    ok = om.soc_version in present
    found = f"compiled for {om.soc_version}, here: {', '.join(present)}"
    return Check(
        "OM for this chip",
        ok,
        found,
        "" if ok else f"Compile it again with --soc {present[0]}.",
        needed=True,
    )


def _om_spec(path: Path, om: Om, cann: Optional[Version]) -> Iterator[Check]:
    beside = sidecar_path(path).name
    try:
        sidecar = find_sidecar(path, om.sha256)
    except InputError as error:
        yield Check("spec", False, error.message, error.hint, needed=True)
        return
    spec = sidecar.spec if sidecar else ModelSpec.default()
    wrong = list(misfits(om, spec))
    where = f"from {beside}" if sidecar else f"the default (no {beside} stands beside it)"
    remedy = "Its own spec must stand beside it: compile again with crnn compile." if wrong else ""
    yield Check(
        "spec", not wrong, "; ".join(wrong) or f"{where}, and the OM fits it", remedy, needed=True
    )
    if sidecar:
        hashes = (
            f"ONNX {sidecar.onnx_sha256[:16]}…, checkpoint"
            f" {(sidecar.checkpoint_sha256 or UNKNOWN)[:16]}"
        )
        yield Check("hashes", True, f"the OM is the one that {beside} names; {hashes}")
        yield from _release(Version.parse(sidecar.versions.get("cann", "")), cann)


def _release(made: Optional[Version], here: Optional[Version]) -> Iterator[Check]:
    """An OM is loaded by the CANN that compiled it, or a newer one."""
    if made and here:
        ok = made.pair <= here.pair
        remedy = (
            "" if ok else "Compile it with this CANN's ATC, or install the CANN that compiled it."
        )
        yield Check("OM for this CANN", ok, f"compiled by {made}, here {here}", remedy, needed=True)


def _onnx(path: Path) -> Iterator[Check]:
    try:
        proto = load_graph(path)
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        carried = spec_in(metadata, path)
    except KitError as error:
        yield Check("model", False, error.message, error.hint, needed=True)
        return
    yield Check("model", True, f"{path}: ONNX, sha256 {sha256(path)[:16]}…", needed=True)
    yield Check("spec", True, "in the file" if carried else "the default (the file carries none)")
    yield from _int8(proto)


def _int8(proto: Any) -> Iterator[Check]:
    """How the quantised operators of a model compute on this processor."""
    found = int8_of(proto)
    if not found.operators:
        return
    try:
        import onnxruntime
    except ImportError:
        return
    way = way_here(found, onnxruntime.__version__)
    operators = ", ".join(found.operators)
    if way.note and not way.exact:
        yield Check("int8", False, f"{operators}: {way.note}", "See what was found.")
        return
    text = way.note or "exact on this processor"
    yield Check("int8", True, f"{operators}: {text}")


def _first(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _mib(size: Optional[int]) -> str:
    return "unknown" if size is None else f"{size >> 20} MiB"


def rows(checks: Sequence[Check]) -> List[List[str]]:
    """Return the lines of the table: mark, check, what was found, remedy."""
    return [
        ["✓" if check.ok else "✗", check.name, _one_line(check.found), _one_line(check.remedy)]
        for check in checks
    ]


def _one_line(text: str) -> str:
    return " ".join(text.split())
