"""OMs of several widths for the simulated machine, as ``crnn compile --widths`` lays them."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from crnn.ascend.om_reader import read_om
from crnn.ascend.sidecar import Sidecar, write_sidecar
from crnn.compile.aipp import aipp_config
from crnn.compile.atc import gear_flags
from crnn.filekind import sha256
from crnn.simulator import Knobs
from crnn.spec import ModelSpec, spec_in
from tests.models import write_wide_echo_model
from tests.simulator.programs import compile_model

WIDTHS = (80, 100, 128)
BATCHES = (1, 4)


def write_set(
    folder: Path,
    *,
    widths: Sequence[int] = WIDTHS,
    batches: Sequence[int] = BATCHES,
    axes: str = "TNK",
    aipp: bool = False,
) -> Path:
    """Write ``m_w80_bs1.om`` … of the echo model of any width into a folder, which is returned."""
    folder.mkdir()
    model = _model(folder, widths, axes)
    for width in widths:
        for batch in batches:
            flags = gear_flags("actual_input_1", (batch, 1, 32, width), (), "batch")
            name = folder / f"m_w{width}_bs{batch}"
            if aipp:
                config = folder / "aipp.cfg"
                config.write_text(aipp_config(ModelSpec(width=width)), encoding="ascii")
                flags.append(f"--insert_op_conf={config}")
            om = compile_model(model, name, Knobs(), *flags)
            beside(om, model, (width,), (batch,))
    return folder


def write_dims(
    path: Path,
    *,
    widths: Sequence[int] = WIDTHS,
    batches: Sequence[int] = BATCHES,
    axes: str = "TNK",
) -> Path:
    """Write one OM of that model with a gear for each batch at each width."""
    model = _model(path, widths, axes)
    rows = [(batch, width) for batch in batches for width in widths]
    flags = gear_flags("actual_input_1", (-1, 1, 32, -1), rows, "dims")
    om = compile_model(model, path.with_suffix(""), Knobs(), *flags)
    beside(om, model, widths, batches)
    return om


def beside(om: Path, model: Path, widths: Sequence[int], batches: Sequence[int]) -> None:
    """Write the file beside an OM."""
    sidecar = Sidecar(
        spec=spec_of(model),
        om_sha256=read_om(om).sha256,
        onnx_sha256=sha256(model),
        checkpoint_sha256=None,
        command=("atc",),
        versions={},
        batch_sizes=tuple(batches),
        simulated=True,
        widths=tuple(widths),
    )
    write_sidecar(om, sidecar)


def spec_of(model: Path) -> ModelSpec:
    """Return the spec that an ONNX carries."""
    import onnx

    metadata = {entry.key: entry.value for entry in onnx.load(str(model)).metadata_props}
    spec = spec_in(metadata, model)
    assert spec is not None
    return spec


def _model(place: Path, widths: Sequence[int], axes: str) -> Path:
    """Write the ONNX beside the set or the OM: a set's folder holds OMs alone."""
    return write_wide_echo_model(place.with_suffix(".onnx"), widths, axes=axes)
