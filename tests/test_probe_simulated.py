"""An OM that shows its inside: compiled, run on the box, and read where its ONNX is, with the
simulator in the place of CANN.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import onnx
import pytest

from crnn.ascend.om_definition import DEFAULT_PRECISION
from crnn.ascend.sidecar import read_sidecar
from crnn.cli.main import main
from crnn.compile.probe import accepted, nodes_shown
from crnn.errors import InputError
from crnn.export.node_tensors import tensors_of
from crnn.jobs.insides import NAME, read_insides
from tests.lines import joined
from tests.lstm_models import lstm_model
from tests.models import write_bins
from tests.simulated import host, inside, ran, simulated

WORDS = ["tree", "4u", "net", "a", "b1", "ca"]

OUT_NODES = [
    ("conv", "E10001"),
    ("nobody:0", "E11017"),
    ("{first}:7", "E11016"),
    (":0", "E10001"),
]
"""What ``--out_nodes`` may not be, and the code of ATC's error."""


def save_named(path: Path) -> None:
    """Write a model whose nodes have names, as exporters write them."""
    model = lstm_model()
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type.lower()}_{number}"
    onnx.save(model, str(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probe")
    save_named(path / "m.onnx")
    write_bins(path, WORDS)
    for words in (["m.onnx", "probe", "--probe", "--batch", "4"], ["m.onnx", "m", "--batch", "4"]):
        done = simulated(path, "compile", *words)
        assert done.returncode == 0, done.stderr
    for name in ("probe", "m"):
        bins = ["input_bin", "--label", "label.txt", "--save-outputs", f"{name}_out"]
        done = simulated(path, "evaluate", f"{name}.om", *bins, "--json", f"{name}.json")
        assert done.returncode == 0, done.stderr
    return path


def test_every_node_of_floats_is_an_output(folder: Path) -> None:
    graph = onnx.load(str(folder / "m.onnx"))
    expected = list(nodes_shown(graph).values())
    sidecar = read_sidecar(folder / "probe.om.json")
    assert sidecar.probe is not None
    assert list(sidecar.probe.tensors) == expected
    assert sidecar.probe.logits == graph.graph.output[0].name
    assert json.loads((folder / "probe.om.json").read_text())["format"] == "crnn-om/6"
    assert json.loads((folder / "m.om.json").read_text())["format"] == "crnn-om/5"


def test_it_reads_what_the_plain_om_reads(folder: Path) -> None:
    names = sorted(entry.name for entry in (folder / "m_out").iterdir())
    assert sorted(entry.name for entry in (folder / "probe_out").iterdir()) == [NAME, *names]
    for name in names:
        assert (folder / "probe_out" / name).read_bytes() == (folder / "m_out" / name).read_bytes()
    assert json.loads((folder / "probe.json").read_text())["simulated"]


def test_what_the_nodes_gave_is_the_onnxs(folder: Path) -> None:
    insides = read_insides(folder / "probe_out")
    # Two batches of four; the last has two words and two rows of padding.
    assert insides.images.shape == (2, 4, 1, 32, 100)
    assert not insides.images[1, 2:].any()
    assert insides.simulated
    assert insides.precision == DEFAULT_PRECISION
    own = tensors_of(folder / "m.onnx", insides.values)
    assert set(insides.tensors) == set(own.values)
    for name, values in own.values.items():
        np.testing.assert_allclose(insides.tensors[name], values, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_pixels_for_aipp_become_values(folder: Path, tmp_path: Path) -> None:
    save_named(tmp_path / "m.onnx")
    write_bins(tmp_path, WORDS)
    assert simulated(tmp_path, "compile", "m.onnx", "u8", "--probe", "--aipp").returncode == 0
    pixels = [np.full((1, 32, 100), 8 * n, dtype=np.uint8) for n in range(1, 7)]
    for number, image in enumerate(pixels, 1):
        (tmp_path / "input_bin" / f"test_{number}.bin").write_bytes(image.tobytes())
    bins = ["input_bin", "--label", "label.txt", "--save-outputs", "out"]
    done = simulated(tmp_path, "evaluate", "u8.om", *bins)
    assert done.returncode == 0, done.stderr
    insides = read_insides(tmp_path / "out")
    assert insides.images.dtype == np.uint8
    np.testing.assert_array_equal(insides.values[3, 0], insides.spec.table[pixels[3]])


ATC = """#!/bin/sh
case "$*" in *{refused}:0*)
    echo "E19999: the node cannot be an output"; exit 1;; esac
exec "$ATC" "$@"
"""


@pytest.mark.parametrize("refused", ["lstm", "NOTHING_BUT_LOGITS"])
@pytest.mark.slow
def test_nodes_that_atc_refuses_are_left_out(folder: Path, tmp_path: Path, refused: str) -> None:
    graph = onnx.load(str(folder / "m.onnx"))
    nodes = nodes_shown(graph)
    logits = graph.graph.output[0].name
    bad = next(node for node, tensor in nodes.items() if tensor != logits)
    if refused == "NOTHING_BUT_LOGITS":
        bad = next(node for node, tensor in nodes.items() if tensor == logits)
    atc = tmp_path / "bin" / "atc"
    atc.parent.mkdir()
    atc.write_text(ATC.format(refused=bad))
    atc.chmod(atc.stat().st_mode | stat.S_IXUSR)
    with host(tmp_path):
        # Another atc stands before the simulator's.
        os.environ["ATC"] = str(shutil.which("atc"))
        os.environ["PATH"] = os.pathsep.join([str(atc.parent), os.environ["PATH"]])
        done = ran(["compile", str(folder / "m.onnx"), "p", "--probe"])
    if refused == "NOTHING_BUT_LOGITS":
        assert done.returncode == 1
        assert "the node cannot be an output" in joined(done.stderr)
        return
    assert done.returncode == 0, done.stderr
    assert f"1 nodes are not shown: {bad}" in joined(done.stderr)
    sidecar = read_sidecar(tmp_path / "p.om.json")
    assert sidecar.probe is not None
    assert list(sidecar.probe.tensors) == [tensor for node, tensor in nodes.items() if node != bad]


@pytest.mark.slow
def test_nodes_without_names_are_not_shown(tmp_path: Path) -> None:
    onnx.save(lstm_model(), str(tmp_path / "m.onnx"))
    done = simulated(tmp_path, "compile", "m.onnx", "p", "--probe")
    assert done.returncode == 1
    assert "has no name" in joined(done.stderr)


@pytest.mark.slow
def test_a_probe_once_more_is_a_probe(folder: Path) -> None:
    done = simulated(folder, "compile", "m.onnx", "again", "--like", "probe.om")
    assert done.returncode == 0, done.stderr
    old, new = (read_sidecar(folder / f"{name}.om.json") for name in ("probe", "again"))
    assert new.probe == old.probe
    asked = [
        [word for word in sidecar.command if word.startswith("--out_nodes=")]
        for sidecar in (old, new)
    ]
    assert asked[1] == asked[0] != []
    plain = simulated(folder, "compile", "m.onnx", "plain", "--like", "m.om")
    assert plain.returncode == 0, plain.stderr
    assert read_sidecar(folder / "plain.om.json").probe is None


@pytest.mark.slow
def test_the_doctor_takes_a_probe_for_a_probe(folder: Path, tmp_path: Path) -> None:
    done = simulated(folder, "doctor", "probe.om", "--run")
    said = joined(done.stdout)
    probe = read_sidecar(folder / "probe.om.json").probe
    assert probe is not None
    assert f"a probe: {len(probe.tensors)} outputs" in said
    assert "expected one of each" not in said
    assert done.returncode == 0, said
    assert "a probe" not in joined(simulated(folder, "doctor", "m.om").stdout)
    # One output less than the file beside it names is a misfit.
    about = json.loads((folder / "probe.om.json").read_text(encoding="utf-8"))
    about["probe"]["tensors"] = about["probe"]["tensors"][1:]
    shutil.copy(folder / "probe.om", tmp_path)
    (tmp_path / "probe.om.json").write_text(json.dumps(about), encoding="utf-8")
    done = simulated(tmp_path, "doctor", "probe.om")
    assert "expected one of each" in joined(done.stdout)
    assert done.returncode == 4


def test_halving_asks_for_few() -> None:
    asked: List[List[str]] = []

    def accepts(nodes: Any) -> bool:
        asked.append(list(nodes))
        return "n5" not in nodes

    nodes = [f"n{number}" for number in range(16)]
    assert accepted(nodes, "n15", accepts) == [name for name in nodes if name != "n5"]
    assert len(asked) <= 10
    assert all("n15" in each for each in asked)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch", "1,4"], "--probe takes one batch size"),
        (["--static-set"], "--probe and --static-set exclude each other"),
        (["--split-bilstm"], "--probe and --split-bilstm exclude each other"),
        (["--widths", "100"], "--probe and --widths exclude each other"),
    ],
)
def test_one_size_alone(
    words: List[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    save_named(tmp_path / "m.onnx")
    assert main(["compile", "m.onnx", "x", "--probe", "--dry-run", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("value", "code"), OUT_NODES)
@pytest.mark.slow
def test_the_simulated_atc_refuses_nodes_as_documented(
    folder: Path, tmp_path: Path, value: str, code: str
) -> None:
    first = next(iter(nodes_shown(onnx.load(str(folder / "m.onnx")))))
    extra = f"--out_nodes={value.format(first=first)}"
    done = simulated(folder, "compile", "m.onnx", str(tmp_path / "x"), f"--extra={extra}")
    assert done.returncode == 1
    assert code in done.stderr


def damage(kind: str, path: Path) -> Optional[bytes]:
    """Return what stands in the place of the file; None for nothing."""
    if kind == "absent":
        return None
    if kind == "no archive":
        return b"hello"
    if kind == "cut":
        return path.read_bytes()[:-100]
    about: Dict[str, Any] = {"format": "crnn-insides/9"}
    with np.load(str(path)) as stored:
        arrays: Dict[str, Any] = dict(stored)
    if kind == "shape":
        arrays["t0"] = arrays["t0"][:1]
    elif kind == "objects":
        arrays["t0"] = np.array([{}, {}], dtype=object)
    else:
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    np.savez(str(path.with_name("new.npz")), **arrays)
    return path.with_name("new.npz").read_bytes()


@pytest.mark.parametrize("kind", ["absent", "no archive", "cut", "shape", "objects", "format"])
def test_a_file_that_cannot_be_used(folder: Path, tmp_path: Path, kind: str) -> None:
    content = damage(kind, folder / "probe_out" / NAME)
    (folder / "probe_out" / "new.npz").unlink(missing_ok=True)
    if content is not None:
        (tmp_path / NAME).write_bytes(content)
    with pytest.raises(InputError, match="layers.npz"):
        read_insides(tmp_path)


def test_a_member_that_claims_too_much(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRNN_MAX_TENSOR_BYTES", "1000")
    with pytest.raises(InputError, match="has [0-9]+ bytes"):
        read_insides(folder / "probe_out")


def compared(folder: Path, *sides: str) -> Tuple[int, Dict[str, Any], str]:
    """Return exit code, JSON and text of a comparison where the ONNX is, without a simulator."""
    words = ["compare", *sides, "--data", "input_bin", "--label", "label.txt", "--layers"]
    with inside(folder):
        done = ran([*words, "--json", "compared.json"])
    data: Dict[str, Any] = json.loads((folder / "compared.json").read_text(encoding="utf-8"))
    return done.returncode, data, joined(done.stdout)


def test_a_healthy_om_is_not_blamed(folder: Path) -> None:
    code, data, said = compared(folder, "m.onnx", "m_out", "probe_out")
    assert code == 0
    plain, probe = data["comparisons"]
    assert "layers" not in plain
    assert probe["layers"]["first"] is None
    assert probe["layers"]["unmatched"] == []
    assert len(probe["layers"]["layers"]) > 3
    assert "probe_out: it reads what m_out reads" in said
    assert "m_out: it does not show its inside" in said


def test_an_om_without_its_suspect_says_so(folder: Path) -> None:
    _, _, said = compared(folder, "m.onnx", "probe_out")
    assert "whether it reads what the plain OM reads is not known" in said


def test_a_suspect_that_reads_otherwise_is_told_of(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(str(folder), str(tmp_path / "all"))
    changed = tmp_path / "all" / "m_out" / "test_2_0.bin"
    values = np.frombuffer(changed.read_bytes(), dtype="<f4").reshape(26, 1, 37).copy()
    values[:, 0, 5] = 99
    changed.write_bytes(values.tobytes())
    _, _, said = compared(tmp_path / "all", "m.onnx", "m_out", "probe_out")
    assert "it reads 1 words otherwise than m_out, such as test_2" in said
    assert "ATC fuses less" in said


def test_the_node_of_an_om_that_errs_is_named(folder: Path, tmp_path: Path) -> None:
    # The OM was compiled of this model; the reference is one whose LSTM is another.
    shutil.copytree(str(folder), str(tmp_path / "all"))
    model = onnx.load(str(folder / "m.onnx"))
    lstm = next(node for node in model.graph.node if node.op_type == "LSTM")
    for tensor in model.graph.initializer:
        if tensor.name == lstm.input[2]:
            value = onnx.numpy_helper.to_array(tensor) * np.float32(1.5)
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
    onnx.save(model, str(tmp_path / "all" / "m.onnx"))
    _, data, _ = compared(tmp_path / "all", "m.onnx", "probe_out")
    assert data["comparisons"][0]["layers"]["first"] == lstm.output[0]
