"""Each line of the table on machines that have or lack the thing, and the verdict for what was
asked.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import onnx
import pytest
import torch

from crnn.ascend.environment import Version
from crnn.ascend.probe import Device, Probe
from crnn.ascend.sidecar import Sidecar, write_sidecar
from crnn.cli.main import main
from crnn.errors import DISTRIBUTIONS, InputError
from crnn.filekind import sha256
from crnn.jobs.doctor.check import Check
from crnn.jobs.doctor.diagnosis import Diagnosis, diagnose, rows
from crnn.jobs.doctor.machine import python_fits
from crnn.spec import ModelSpec
from crnn.weights.checkpoint import load_checkpoint
from tests.ascend import om_writer
from tests.cann_trees import cann_6_0, nnrt_6_3, write
from tests.models import write_echo_model
from tests.weights.checkpoints import save, split, state

NOTHING = Probe(imported=False, error="'import acl' fails here: No module named 'acl'")
GOOD = Probe(
    True,
    version="1.7.0",
    devices=(Device(0, "Ascend310", 6 << 30, 8 << 30), Device(1, "Ascend310", 1, 8 << 30)),
)
SIMULATED = dataclasses.replace(GOOD, simulated=True)


@pytest.fixture(autouse=True)
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def look(
    tmp_path: Path,
    model: Optional[Path] = None,
    *,
    seen: Probe = NOTHING,
    ascend: bool = False,
    **environ: str,
) -> Diagnosis:
    values = {"PATH": str(tmp_path / "bin"), **environ}
    return diagnose(model, ascend=ascend, environ=values, root=tmp_path, ask=lambda: seen)


def line(found: Diagnosis, name: str) -> Check:
    return next(check for check in found.checks if check.name == name)


def installed(tmp_path: Path) -> Dict[str, str]:
    """A machine with everything; the variables of its CANN."""
    tree = cann_6_0(tmp_path / "usr/local/Ascend")
    write(tmp_path / "usr/local/Ascend/driver/version.info", "Version=22.0.4\n")
    for name in ("davinci0", "davinci_manager", "devmm_svm", "hisi_hdc"):
        write(tmp_path / "dev" / name)
    write(
        tmp_path / "bin/npu-smi", "#!/bin/sh\necho '| 0  310 | OK | 12.8 49 |'\n", executable=True
    )
    (tmp_path / "bin/atc").symlink_to(tree.home / "bin/atc")
    return {"ASCEND_TOOLKIT_HOME": str(tree.home)}


def make_om(tmp_path: Path, data: bytes = b"", **changes: Any) -> Path:
    om = tmp_path / "crnn.om"
    om.write_bytes(data or om_writer.static())
    values: Dict[str, Any] = {
        "spec": ModelSpec.default(),
        "om_sha256": sha256(om),
        "onnx_sha256": "0" * 64,
        "checkpoint_sha256": None,
        "command": ("atc",),
        "versions": {},
        "batch_sizes": (1,),
        "simulated": False,
    }
    write_sidecar(om, Sidecar(**{**values, **changes}))
    return om


def test_a_laptop_is_ready_for_onnx_and_not_for_a_chip(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert (found.asked, found.ready) == ("onnx", True)
    assert found.verdict == "ready for evaluating an ONNX model on the processor"
    asked = look(tmp_path, ascend=True)
    assert not asked.ready
    assert (
        asked.verdict
        == "not ready for running an OM on an Ascend chip; missing: import acl, devices"
    )
    for name in (
        "CANN",
        "driver",
        "device files",
        "npu-smi",
        "import acl",
        "devices",
        "free device memory",
        "ATC",
    ):
        assert not line(asked, name).ok
        assert line(asked, name).remedy, f"{name} has no remedy"


def test_a_box_with_everything_is_ready(tmp_path: Path) -> None:
    found = look(tmp_path, make_om(tmp_path), seen=GOOD, **installed(tmp_path))
    assert found.asked == "chip"
    others = ("Python for CANN", "JPEG decoder", "PNG decoder")
    bad = [check for check in found.checks if not check.ok and check.name not in others]
    assert bad in ([], [line(found, "group HwHiAiUser")])
    assert found.ready
    assert line(found, "CANN").found.startswith("CANN 6.0.RC1 at ")
    assert line(found, "driver").found == "22.0.4"
    assert line(found, "device files").found == "/dev/davinci0"
    assert line(found, "npu-smi").found == "Ascend310 (OK)"
    assert line(found, "devices").found == "0: Ascend310, 1: Ascend310"
    assert line(found, "free device memory").found.startswith("0: 6144 MiB of 8192 MiB, 1: ")
    assert line(found, "ATC").found.endswith("of CANN 6.0.RC1")
    assert line(found, "OM for this chip").found == "compiled for Ascend310, here: Ascend310"
    assert "the OM is the one that crnn.om.json names" in line(found, "hashes").found


def test_cann_that_is_there_but_not_sourced_names_its_script(tmp_path: Path) -> None:
    tree = cann_6_0(tmp_path / "usr/local/Ascend")
    found = look(tmp_path, ascend=True)
    script = f"source {tree.root}/ascend-toolkit/set_env.sh"
    assert line(found, "CANN").ok
    assert not line(found, "CANN's variables").ok
    assert line(found, "CANN's variables").remedy == script
    assert line(found, "import acl").remedy == script


def test_a_root_without_cann_is_named(tmp_path: Path) -> None:
    found = look(tmp_path, ascend=True, ASCEND_INSTALL_ROOT="/opt/none")
    assert line(found, "CANN").found == "none under /opt/none"


@pytest.mark.parametrize(
    ("cann", "python", "ok"),
    [
        ((6, 0), (3, 9), True),
        ((6, 0), (3, 11), False),
        ((8, 0), (3, 11), True),
        ((8, 5), (3, 13), True),
        ((9, 0), (3, 14), False),
        ((9, 1), (3, 14), True),
        ((5, 0), (3, 8), True),
    ],
)
def test_whether_this_python_fits_that_cann(
    cann: tuple[int, int], python: tuple[int, int], ok: bool
) -> None:
    check = python_fits(Version(*cann), python)
    assert check.ok == ok
    assert bool(check.remedy) == (not ok)


def test_the_candidates_of_8_0_end_at_python_3_10() -> None:
    candidate = Version.parse("8.0.RC2")
    release = Version.parse("8.0.0")
    assert candidate is not None
    assert release is not None
    assert not python_fits(candidate, (3, 11)).ok
    assert python_fits(candidate, (3, 10)).ok
    assert python_fits(release, (3, 11)).ok


def test_a_simulated_chip_is_never_shown_as_a_real_one(tmp_path: Path) -> None:
    found = look(tmp_path, ascend=True, seen=SIMULATED, **installed(tmp_path))
    assert found.ready
    assert found.simulated
    assert "SIMULATED: no chip is involved" in found.verdict
    for name in (
        "CANN",
        "CANN's variables",
        "npu-smi",
        "ATC",
        "import acl",
        "devices",
        "free device memory",
    ):
        assert "(SIMULATED)" in line(found, name).found
    assert found.to_dict()["simulated"] is True


def test_a_device_that_cannot_be_opened_is_told_with_its_remedy(tmp_path: Path) -> None:
    broken = Device(
        0,
        error="acl.rt.set_device failed with 207006",
        remedy="Join the group.\n  The log is in x.",
    )
    found = look(tmp_path, ascend=True, seen=Probe(True, devices=(broken,)))
    assert not found.ready
    assert line(found, "devices").found == "acl.rt.set_device failed with 207006"
    assert line(found, "devices").remedy == "Join the group."
    half = look(
        tmp_path,
        ascend=True,
        seen=Probe(True, devices=(*GOOD.devices[:1], dataclasses.replace(broken, index=1))),
    )
    assert half.ready
    assert not line(half, "device 1").ok


def test_missing_device_files_are_named(tmp_path: Path) -> None:
    write(tmp_path / "dev/davinci0")
    check = line(look(tmp_path, ascend=True), "device files")
    assert not check.ok
    assert "missing: /dev/davinci_manager, /dev/devmm_svm, /dev/hisi_hdc" in check.found


def test_the_inference_package_is_cann_without_atc(tmp_path: Path) -> None:
    nnrt_6_3(tmp_path / "usr/local/Ascend")
    found = look(tmp_path)
    assert line(found, "CANN").ok
    assert not line(found, "ATC").ok


@pytest.mark.parametrize(
    ("seen", "data", "name", "said"),
    [
        pytest.param(
            dataclasses.replace(GOOD, devices=(Device(0, "Ascend310P3"),)),
            b"",
            "OM for this chip",
            "compiled for Ascend310, here: Ascend310P3",
            id="another chip",
        ),
        pytest.param(
            SIMULATED,
            b"",
            "OM for this acl",
            "runs only what it compiled",
            id="a real OM, simulated",
        ),
        pytest.param(GOOD, b"IMOD" + bytes(100), "OM", "crnn.om", id="damaged"),
    ],
)
def test_an_om_that_would_not_run_here(
    seen: Probe, data: bytes, name: str, said: str, tmp_path: Path
) -> None:
    found = look(tmp_path, make_om(tmp_path, data), seen=seen)
    assert not found.ready
    assert not line(found, name).ok
    assert said in line(found, name).found


def test_an_om_of_another_spec_or_of_another_file_would_not_run(tmp_path: Path) -> None:
    found = look(tmp_path, make_om(tmp_path, spec=ModelSpec(width=160, time_steps=41)), seen=GOOD)
    assert not found.ready
    assert "the spec expects (41, N, 37)" in line(found, "spec").found
    found = look(tmp_path, make_om(tmp_path, om_sha256="1" * 64), seen=GOOD)
    assert not found.ready
    assert "belongs to another OM" in line(found, "spec").found


@pytest.mark.parametrize(
    ("made", "ok"), [("6.0.RC1", True), ("5.1.RC2", True), ("20.1.rc1", True), ("8.0.RC2", False)]
)
def test_an_om_of_a_newer_cann_would_not_run(tmp_path: Path, made: str, ok: bool) -> None:
    environ = installed(tmp_path)
    om = make_om(tmp_path, versions={"cann": made})
    check = line(look(tmp_path, om, seen=GOOD, **environ), "OM for this CANN")
    assert check.ok == ok
    assert f"compiled by {made}, here 6.0" in check.found


def test_every_om_of_a_static_set_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    for batch in (8, 16):
        (folder / f"crnn_bs{batch}.om").write_bytes(om_writer.static(batch))
    found = look(tmp_path, folder, seen=GOOD)
    assert found.asked == "chip"
    assert [check.found.split(",")[1] for check in found.checks if check.name == "OM"] == [
        " batch 8",
        " batch 16",
    ]
    with pytest.raises(InputError, match="no .om at all"):
        look(tmp_path, tmp_path / "bin")


def test_a_bare_om_is_read_by_the_default_spec(tmp_path: Path) -> None:
    om = make_om(tmp_path)
    Path(f"{om}.json").unlink()
    found = look(tmp_path, om, seen=GOOD)
    assert found.ready
    assert "the default (no crnn.om.json stands beside it)" in line(found, "spec").found


def _wide(path: Path) -> Path:
    write_echo_model(path, spec=ModelSpec(width=160, time_steps=40))
    return path


def _other_axes(path: Path) -> Path:
    return write_echo_model(path, axes="NTK", open_sizes=True, spec=None)


def _not_finite(path: Path) -> Path:
    write_echo_model(path)
    proto = onnx.load(str(path))
    proto.graph.node.append(onnx.helper.make_node("Log", ["output1"], ["logs"]))
    proto.graph.output[0].name = "logs"
    onnx.save(proto, str(path))
    return path


def _broken(path: Path) -> Path:
    write_echo_model(path)
    proto = onnx.load(str(path))
    proto.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(proto, str(path))
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_wide, "the spec (file) expects"),
        (_other_axes, "the output's are NTK"),
        (_not_finite, "NaN or infinity"),
        (_broken, "ONNX Runtime cannot load it"),
    ],
)
def test_an_onnx_that_evaluate_would_refuse_is_not_ready(
    make: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    found = look(tmp_path, make(tmp_path / "m.onnx"))
    assert not found.ready
    assert said in line(found, "run").found


def _another_network(path: Path) -> Path:
    return save(path, {"layer.weight": torch.zeros(3, 3)})


def _nan(path: Path) -> Path:
    weights = state()
    weights["cnn.conv0.weight"][0] = float("nan")
    return save(path, weights)


def _cut(path: Path) -> Path:
    save(path, state())
    path.write_bytes(path.read_bytes()[:1000])
    return path


@pytest.mark.parametrize("make", [_another_network, _nan, _cut])
def test_a_pytorch_file_that_export_would_refuse_is_not_ready(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = make(tmp_path / "m.pth")
    found = look(tmp_path, path)
    assert (found.asked, found.ready) == ("torch", False)
    with pytest.raises(InputError) as caught:
        load_checkpoint(path)
    assert line(found, "model").found == caught.value.message


def test_a_checkpoint_of_the_network_is_ready(tmp_path: Path) -> None:
    found = look(tmp_path, save(tmp_path / "m.pth", split(state())))
    assert found.ready
    assert "37 classes" in line(found, "model").found


def test_a_model_asks_for_the_path_that_runs_it(tmp_path: Path) -> None:
    model = write_echo_model(tmp_path / "m.onnx")
    assert look(tmp_path, model).asked == "onnx"
    assert look(tmp_path, model).ready
    asked = look(tmp_path, model, ascend=True, seen=GOOD)
    assert not asked.ready
    assert "is not an OM, and a chip runs nothing else" in line(asked, "model").found
    checkpoint = tmp_path / "m.pth"
    checkpoint.write_bytes(b"PK\x03\x04 and more")
    assert look(tmp_path, checkpoint).asked == "torch"
    text = write(tmp_path / "m.txt", "hello")
    assert "not an ONNX file" in line(look(tmp_path, text), "model").found
    with pytest.raises(InputError, match="does not exist"):
        look(tmp_path, tmp_path / "none.om")


def test_the_tables_rows_hold_no_line_break() -> None:
    cells: List[str] = rows([Check("a", False, "one\n  two", "three\nfour")])[0]
    assert cells == ["✗", "a", "one two", "three four"]


def test_what_nobody_asked_for_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    tree = installed(tmp_path)
    onnx_asked = look(tmp_path, None, seen=GOOD, **tree)
    chip_asked = look(tmp_path, None, seen=GOOD, ascend=True, **tree)
    own = {check.name for check in chip_asked.checks if check.name not in PYTHONS}
    assert len(own) >= 10
    for check in onnx_asked.checks:
        marks = [row[0] for row in rows([check])]
        if check.name in own:
            assert check.found.split(";")[0] == "not asked for"
            assert marks == ["-"]
            assert check.to_dict()["applies"] is False
        else:
            assert marks != ["-"]
            assert "applies" not in check.to_dict()
    assert line(onnx_asked, "driver").found == "not asked for; 22.0.4"


PYTHONS = ("Python", *DISTRIBUTIONS.values(), "JPEG decoder", "PNG decoder")


def test_nobody_is_in_a_group_for_devices_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crnn.jobs.doctor.machine.in_group", lambda: True)
    group = line(look(tmp_path, ascend=True), "group HwHiAiUser")
    assert (group.ok, group.applies) == (False, False)
    assert group.found == "there are no devices to open"


def test_a_crnn_py_in_the_way_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The historical kit's folder has one, which ``python -m crnn`` runs in silence."""
    monkeypatch.chdir(tmp_path)
    assert "python -m crnn" not in [check.name for check in look(tmp_path).checks]
    (tmp_path / "crnn.py").touch()
    found = look(tmp_path)
    assert found.ready
    assert not line(found, "python -m crnn").ok
    assert line(found, "python -m crnn").remedy.startswith("Say crnn, ")
    own = tmp_path / "crnn"
    own.mkdir()
    (own / "__init__.py").touch()
    assert "python -m crnn" not in [check.name for check in look(tmp_path).checks]


# --- the command


def test_the_table_and_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASCEND_INSTALL_ROOT", str(tmp_path))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "✓  numpy " in out
    assert "-  import acl              not asked for\n" in out
    assert out.splitlines()[-1] == "ready for evaluating an ONNX model on the processor"
    assert main(["doctor", "--ascend", "--json", "-"]) == 4
    data = json.loads(capsys.readouterr().out)
    assert (data["schema"], data["asked"], data["ready"]) == ("crnn-doctor/1", "chip", False)
    assert {"name", "ok", "needed", "found", "remedy"} == set(data["checks"][0])
    assert main(["doctor", str(tmp_path / "none.om")]) == 1
