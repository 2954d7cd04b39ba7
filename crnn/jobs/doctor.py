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
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

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
from crnn.ascend.probe import Device, Probe, probe
from crnn.ascend.sidecar import find_sidecar, sidecar_path
from crnn.cann import DEVICE_GROUP, DRIVER_VERSION_FILE
from crnn.errors import DISTRIBUTIONS, InputError, KitError
from crnn.filekind import OM, ONNX, TORCH, kind_of
from crnn.files import sha256
from crnn.runners.ascend_runner import om_files
from crnn.runners.external_data import hash_external_data
from crnn.runners.int8 import int8_of, way_here
from crnn.runners.onnx_runner import load_graph
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

# Which paths cannot do without a package, by its module.
_NEEDED_BY: Mapping[str, Tuple[str, ...]] = {
    "numpy": (ONNX, CHIP, TORCH),
    "PIL": (ONNX, TORCH),
    "lmdb": (ONNX, TORCH),
    "onnx": (ONNX, TORCH),
    "onnxruntime": (ONNX, TORCH),
    "torch": (TORCH,),
    "rich": (),
    "cv2": (),
}


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
    """Look at everything.

    Args:
        model: Asks for the path that runs it.
        ascend: Asks for the chip; without it and without a model, ONNX is asked for.
        environ: The environment's variables.
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
    checks: List[Check] = [_python(), *_packages(asked)]
    # The simulator puts all of CANN's programs in the place of the real ones, so what is found is
    # its own.
    said = _said(seen.simulated)
    for check in (*_cann(cann, environ, root), _npu_smi(), _atc(environ)):
        checks.append(dataclasses.replace(check, found=f"{check.found}{said}"))
    checks += _machine(root)
    checks += _acl(seen, cann, needed=asked == CHIP)
    if model is not None:
        checks += _model(model, asked, seen, version)
    return Diagnosis(asked, tuple(checks), seen.simulated)


def _looked(name: str, ok: object, found: str, remedy: str = "", *, needed: bool = False) -> Check:
    """Return a line with its remedy only where something is wrong."""
    if ok:
        remedy = ""
    return Check(name, bool(ok), found, remedy, needed)


def _said(simulated: bool) -> str:
    if simulated:
        return SIMULATED
    return ""


def _path_of(model: Optional[Path]) -> str:
    if model is None:
        return ONNX
    if model.is_dir():
        return CHIP
    kind = kind_of(model)
    if kind == OM:
        return CHIP
    return kind


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    ok = sys.version_info >= OLDEST_PYTHON
    return _looked("Python", ok, found, "Install Python 3.8 or later.", needed=True)


def _packages(asked: str) -> Iterator[Check]:
    for module, paths in _NEEDED_BY.items():
        distribution = DISTRIBUTIONS[module]
        needed = asked in paths
        remedy = f"pip install {distribution}"
        if not needed:
            remedy += "   (only for some commands)"
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
    found = "not set in this shell"
    if sourced:
        found = f"set, for {sourced.home}"
    yield _looked("CANN's variables", sourced, found, _source_of(cann))
    if cann.version is None:
        yield Check(
            "Python for CANN",
            False,
            "this CANN does not tell its version",
            "Compare by hand with docs/hardware.md.",
        )
    else:
        yield _python_fits(cann.version)


def _source_of(cann: Cann) -> str:
    return f"source {cann.set_env or 'acl_env_x86.sh'}"


def _python_fits(cann: Version, python: Tuple[int, int] = sys.version_info[:2]) -> Check:
    oldest, newest = python_range(cann)
    span = f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
    return _looked(
        "Python for CANN",
        oldest <= python <= newest,
        f"{python[0]}.{python[1]}; CANN {cann} is documented for {span}",
        f"Use Python {newest[0]}.{newest[1]} for what imports acl (the kit runs on 3.8 and later).",
    )


def _machine(root: Path) -> Iterator[Check]:
    driver = driver_version(root)
    yield _looked(
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
    yield _looked(
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
    yield _looked(
        f"group {DEVICE_GROUP}",
        member,
        found,
        f"sudo usermod -a -G {DEVICE_GROUP} $USER, then log in again (the driver makes the group).",
    )


def _npu_smi() -> Check:
    chips = npu_smi()
    found = "not on PATH, or it fails"
    if chips is not None:
        found = "lists no chip"
    if chips:
        found = ", ".join(f"{chip.soc} ({chip.health})" for chip in chips)
    remedy = "It comes with the driver; without it, give --soc when compiling."
    return _looked("npu-smi", chips, found, remedy)


def _acl(seen: Probe, cann: Optional[Cann], *, needed: bool) -> Iterator[Check]:
    yield _import_check(seen, cann, needed=needed)
    good = [device for device in seen.devices if not device.error]
    bad = [device for device in seen.devices if device.error]
    yield from _devices_checks(seen, good, bad, needed=needed)
    yield _memory_check(seen, good)


def _import_check(seen: Probe, cann: Optional[Cann], *, needed: bool) -> Check:
    if seen.imported:
        found = f"version {seen.version}{_said(seen.simulated)}"
        return Check("import acl", True, found, needed=needed)
    remedy = "Install CANN first."
    if cann:
        remedy = _source_of(cann)
    return Check("import acl", False, seen.error, remedy, needed)


def _devices_checks(
    seen: Probe, good: Sequence[Device], bad: Sequence[Device], *, needed: bool
) -> Iterator[Check]:
    if good:
        said = _said(seen.simulated)
        names = [f"{device.index}: {device.soc or 'name unknown'}{said}" for device in good]
        yield Check("devices", True, ", ".join(names), needed=needed)
        for device in bad[:1]:
            yield Check(f"device {device.index}", False, _first(device.error), _remedy(device))
        return
    if not seen.imported:
        remedy = "See the line on acl."
        yield Check("devices", False, "not known without acl", remedy, needed)
        return
    trouble: Union[Device, Probe] = seen
    if bad:
        trouble = bad[0]
    yield Check("devices", False, trouble.error or "none", _remedy(trouble), needed)


def _remedy(trouble: Union[Device, Probe]) -> str:
    return _first(trouble.remedy) or "Check the chips: npu-smi info."


def _memory_check(seen: Probe, good: Sequence[Device]) -> Check:
    if not any(device.memory_free for device in good):
        return Check("free device memory", False, "not known", "Look with npu-smi info.")
    free = [
        f"{device.index}: {_mib(device.memory_free)} of {_mib(device.memory_total)}"
        for device in good
    ]
    return Check("free device memory", True, ", ".join(free) + _said(seen.simulated))


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
    if cann and cann.version:
        return Check("ATC", True, f"{path} of CANN {cann.version}")
    return Check("ATC", True, path)


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
            "model",
            False,
            f"{path} is not an OM, and a chip runs nothing else",
            remedy,
            needed=True,
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
    said = _said(om.simulated)
    batches = ", ".join(map(str, om.batch_sizes or ())) or UNKNOWN
    yield Check("OM", True, f"{path}{said}, batch {batches}, sha256 {om.sha256[:16]}…", needed=True)
    if seen.imported:
        yield _same_world(om, seen)
    yield _chip(om, seen)
    yield from _om_spec(path, om, cann)


def _same_world(om: Om, seen: Probe) -> Check:
    """The simulator's files are for the simulator, a chip's for a chip."""
    name = "OM for this acl"
    if om.simulated and seen.simulated:
        return Check(name, True, "both simulated", needed=True)
    if om.simulated:
        return Check(
            name,
            False,
            "the OM was written by the simulator; no chip can load it",
            "Compile it with CANN's own ATC: ./atc_crnn.sh MODEL.onnx NAME",
            needed=True,
        )
    if seen.simulated:
        return Check(
            name,
            False,
            "the OM is ATC's own; the simulator runs only what it compiled",
            "Compile it there: python -m crnn.simulator -- crnn compile MODEL.onnx NAME",
            needed=True,
        )
    return Check(name, True, "both of CANN", needed=True)


def _chip(om: Om, seen: Probe) -> Check:
    name = "OM for this chip"
    present = sorted({device.soc for device in seen.devices if device.soc})
    if om.soc_version == UNKNOWN:
        found = "the OM does not tell its chip"
        return _looked(name, present, found, "See the lines on devices.")
    if not present:
        found = f"{om.soc_version}; no chip to compare"
        return Check(name, False, found, "See the lines on devices.")
    found = f"compiled for {om.soc_version}, here: {', '.join(present)}"
    remedy = f"Compile it again with --soc {present[0]}."
    return _looked(name, om.soc_version in present, found, remedy, needed=True)


def _om_spec(path: Path, om: Om, cann: Optional[Version]) -> Iterator[Check]:
    beside = sidecar_path(path).name
    try:
        sidecar = find_sidecar(path, om.sha256)
    except InputError as error:
        yield Check("spec", False, error.message, error.hint, needed=True)
        return
    spec = ModelSpec.default()
    where = f"the default (no {beside} stands beside it)"
    if sidecar:
        spec = sidecar.spec
        where = f"from {beside}"
    wrong = list(misfits(om, spec))
    found = "; ".join(wrong) or f"{where}, and the OM fits it"
    remedy = "Its own spec must stand beside it: compile again with crnn compile."
    yield _looked("spec", not wrong, found, remedy, needed=True)
    if sidecar:
        outside = "".join(
            f" with {name} {digest[:16]}…" for name, digest in sidecar.external_data.items()
        )
        hashes = (
            f"ONNX {sidecar.onnx_sha256[:16]}…{outside}, checkpoint"
            f" {(sidecar.checkpoint_sha256 or UNKNOWN)[:16]}"
        )
        yield Check("hashes", True, f"the OM is the one that {beside} names; {hashes}")
        yield from _release(Version.parse(sidecar.versions.get("cann", "")), cann)


def _release(made: Optional[Version], here: Optional[Version]) -> Iterator[Check]:
    """An OM is loaded by the CANN that compiled it, or a newer one."""
    if made and here:
        remedy = "Compile it with this CANN's ATC, or install the CANN that compiled it."
        found = f"compiled by {made}, here {here}"
        yield _looked("OM for this CANN", made.pair <= here.pair, found, remedy, needed=True)


def _onnx(path: Path) -> Iterator[Check]:
    try:
        proto = load_graph(path)
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        carried = spec_in(metadata, path)
        hashes = hash_external_data(proto, path)
    except KitError as error:
        yield Check("model", False, error.message, error.hint, needed=True)
        return
    found = f"{path}: ONNX, sha256 {sha256(path)[:16]}…"
    for name, outside in hashes.items():
        found += f", weights in {name}, sha256 {outside[:16]}…"
    yield Check("model", True, found, needed=True)
    where = "the default (the file carries none)"
    if carried:
        where = "in the file"
    yield Check("spec", True, where)
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
    lines = text.strip().splitlines()
    if not lines:
        return ""
    return lines[0].strip()


def _mib(size: Optional[int]) -> str:
    if size is None:
        return "unknown"
    return f"{size >> 20} MiB"


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
        table.append([mark, check.name, _one_line(check.found), _one_line(check.remedy)])
    return table


def _one_line(text: str) -> str:
    return " ".join(text.split())
