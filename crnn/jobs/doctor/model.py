"""A model file: whether it would run here, and by which spec it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Optional

import numpy as np

from crnn.ascend.environment import Version
from crnn.ascend.fit import misfits, without_probe
from crnn.ascend.om import UNKNOWN, Om
from crnn.ascend.om_reader import read_om
from crnn.ascend.probe import Probe
from crnn.ascend.sidecar import find_sidecar, sidecar_path
from crnn.errors import InputError, KitError, needs
from crnn.filekind import OM, TORCH, kind_of, sha256
from crnn.jobs.doctor.check import CHIP, Check, looked, simulated_mark
from crnn.jobs.doctor.om_set import set_checks, shown_sizes
from crnn.runners.ascend_runner import om_files
from crnn.runners.int8 import int8_of, way_here
from crnn.runners.onnx_file import hash_external_data
from crnn.runners.onnx_runner import OnnxRunner, load_graph
from crnn.runners.open import spec_given
from crnn.spec import ModelSpec, spec_in


def model_checks(
    path: Path,
    asked: str,
    seen: Probe,
    cann: Optional[Version],
    spec: Optional[str] = None,
) -> Iterator[Check]:
    """Look at a model file, or at each OM of a folder, for the path asked for."""
    if path.is_dir():
        files = om_files(path)
        for om in files:
            yield from _om(om, seen, cann, spec)
        yield from set_checks(path, files, spec)
        return
    if kind_of(path) == OM:
        yield from _om(path, seen, cann, spec)
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
        yield _checkpoint(path, spec)
    else:
        yield from _onnx(path, spec)


def _checkpoint(path: Path, spec: Optional[str]) -> Check:
    """Load it, as an export and an evaluation do: another network is a PyTorch file, too."""
    try:
        with needs("torch", extra="torch"):
            from crnn.weights.checkpoint import check_spec, load_checkpoint
        found = load_checkpoint(path)
        if spec is not None:
            given = spec_given(found.spec, spec, None)
            check_spec(path, given, found.model.config)
    except KitError as error:
        return Check("model", False, error.message, error.hint, needed=True)
    text = (
        f"{path}: a PyTorch checkpoint, {found.spec.classes} classes, sha256 {found.sha256[:16]}…"
    )
    return Check("model", True, text, needed=True)


def _om(path: Path, seen: Probe, cann: Optional[Version], spec: Optional[str]) -> Iterator[Check]:
    try:
        om = read_om(path)
    except InputError as error:
        yield Check("OM", False, error.message, error.hint, needed=True)
        return
    said = simulated_mark(om.simulated)
    sizes = shown_sizes(path, om)
    yield Check("OM", True, f"{path}{said}, {sizes}, sha256 {om.sha256[:16]}…", needed=True)
    if seen.imported:
        yield _same_world(om, seen)
    yield _chip(om, seen)
    yield from _om_spec(path, om, cann, spec)


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
        return looked(name, present, found, "See the lines on devices.")
    if not present:
        found = f"{om.soc_version}; no chip to compare"
        return Check(name, False, found, "See the lines on devices.")
    found = f"compiled for {om.soc_version}, here: {', '.join(present)}"
    remedy = f"Compile it again with --soc {present[0]}."
    return looked(name, om.soc_version in present, found, remedy, needed=True)


def _om_spec(path: Path, om: Om, cann: Optional[Version], given: Optional[str]) -> Iterator[Check]:
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
    if given is not None:
        spec, where = spec_given(spec, given, None), "the one of --spec"
    probe = None
    if sidecar:
        probe = sidecar.probe
    wrong = list(misfits(without_probe(om, probe), spec))
    found = "; ".join(wrong) or f"{where}, and the OM fits it"
    if probe is not None:
        found += (
            f"; a probe: {len(om.outputs)} outputs show its inside to crnn compare --layers, and it"
            " is not for speed"
        )
    remedy = "Its own spec must stand beside it: compile again with crnn compile."
    yield looked("spec", not wrong, found, remedy, needed=True)
    if sidecar:
        outside = "".join(
            f" with {name} {digest[:16]}…" for name, digest in sidecar.external_data.items()
        )
        checkpoint = UNKNOWN
        if sidecar.checkpoint_sha256:
            checkpoint = f"{sidecar.checkpoint_sha256[:16]}…"
        hashes = f"ONNX {sidecar.onnx_sha256[:16]}…{outside}, checkpoint {checkpoint}"
        yield Check("hashes", True, f"the OM is the one that {beside} names; {hashes}")
        yield from _release(Version.parse(sidecar.versions.get("cann", "")), cann)


def _release(made: Optional[Version], here: Optional[Version]) -> Iterator[Check]:
    """An OM is loaded by the CANN that compiled it, or a newer one."""
    if made and here:
        remedy = "Compile it with this CANN's ATC, or install the CANN that compiled it."
        found = f"compiled by {made}, here {here}"
        yield looked("OM for this CANN", made.pair <= here.pair, found, remedy, needed=True)


def _onnx(path: Path, given: Optional[str]) -> Iterator[Check]:
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
    if given is not None:
        where = "the one of --spec"
    yield Check("spec", True, where)
    yield _runs(path, given)
    yield from _int8(proto)


def _runs(path: Path, spec: Optional[str]) -> Check:
    """Run it on an empty image, as an evaluation does: many a graph loads that is another's."""
    try:
        runner = OnnxRunner(path, threads=1)
        if spec is not None:
            runner.read_by(spec_given(runner.spec, spec, None, runner.steps))
        with runner:
            channels, height, _ = runner.spec.image_shape
            shape = (1, channels, height, runner.spec.read_widths[0])
            logits = runner.run(np.zeros(shape, dtype=np.float32))
    except KitError as error:
        return Check("run", False, error.message, error.hint, needed=True)
    finite = bool(np.isfinite(logits).all())
    found = "an empty image gives logits of the spec's shape"
    if not finite:
        found = "an empty image gives NaN or infinity"
    return looked("run", finite, found, "Export it again from a sound checkpoint.", needed=True)


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
