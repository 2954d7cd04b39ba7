"""``crnn compile --widths``: what ATC is given, and what is refused before it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import onnx
import pytest

from crnn.ascend.sidecar import read_sidecar
from crnn.cli.main import main
from crnn.compile.to_om import CompileRequest, plan
from crnn.compile.widths import static_copy, steps_at
from crnn.errors import InputError, KitError, UsageError
from crnn.spec import ModelSpec
from crnn.widths import Widths
from tests.models import write_echo_model, write_wide_echo_model
from tests.simulated import host


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    return write_wide_echo_model(tmp_path / "wide.onnx", (80, 100, 128))


def commands(capsys: pytest.CaptureFixture[str], *words: str) -> Dict[str, Any]:
    assert main(["compile", *words, "--dry-run", "--json", "-", "--soc", "Ascend310"]) == 0
    data: Dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


def test_an_om_for_each_width_and_batch(wide: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = commands(capsys, str(wide), "m", "--widths", "all", "--batch", "1,16")["commands"]
    made = []
    for command in found:
        flags = dict(word.partition("=")[::2] for word in command[1:])
        made.append((flags["--output"], flags["--input_shape"]))
        assert "--dynamic_dims" not in flags
        assert flags["--input_format"] == "NCHW"
    assert made == [
        ("m_w80_bs1", "actual_input_1:1,1,32,80"),
        ("m_w80_bs16", "actual_input_1:16,1,32,80"),
        ("m_w100_bs1", "actual_input_1:1,1,32,100"),
        ("m_w100_bs16", "actual_input_1:16,1,32,100"),
        ("m_w128_bs1", "actual_input_1:1,1,32,128"),
        ("m_w128_bs16", "actual_input_1:16,1,32,128"),
    ]


def test_one_om_with_a_gear_for_each(wide: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(wide), "m", "--widths", "128,80", "--batch", "1,16", "--gears", "dims"]
    (command,) = commands(capsys, *words)["commands"]
    assert "--output=m" in command
    assert "--input_format=ND" in command
    assert "--input_shape=actual_input_1:-1,1,32,-1" in command
    assert "--dynamic_dims=1,80;1,128;16,80;16,128" in command


def test_aipp_has_a_file_for_each_width(wide: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = commands(capsys, str(wide), "m", "--widths", "all", "--aipp", "--batch", "4")
    assert len(found["aipp"]) == 3
    for width in (80, 100, 128):
        assert f"src_image_size_w: {width}\n" in found["aipp"][f"m_w{width}.aipp.cfg"]
    assert "--insert_op_conf=m_w80.aipp.cfg" in found["commands"][0]


def test_atc_gets_a_static_copy(wide: Path) -> None:
    todo = plan(CompileRequest(wide, Path("m"), widths=()), {})
    assert todo.spec.widths == Widths(list=(80, 100, 128))
    for job, (width, steps) in zip(todo.jobs, ((80, 21), (100, 26), (128, 33))):
        graph = todo.graph_of(job)
        onnx.checker.check_model(graph, full_check=True)
        image, logits = (value.type.tensor_type.shape.dim for value in _ends(graph))
        assert [dim.dim_value for dim in image] == [0, 1, 32, width]
        assert [dim.dim_value for dim in logits] == [steps, 0, 37]
        assert todo.spec_of(job).time_steps == steps
    # The graph itself stays as it is.
    assert _ends(onnx.load(str(wide)))[0].type.tensor_type.shape.dim[3].dim_param == "width"


def _ends(graph: Any) -> List[Any]:
    return [graph.graph.input[0], graph.graph.output[0]]


def test_a_part_of_the_widths_is_what_the_rule_chooses_from(wide: Path) -> None:
    todo = plan(CompileRequest(wide, Path("m"), widths=(80, 128)), {})
    assert todo.spec.widths == Widths(list=(80, 128))


def test_without_the_option_the_om_has_the_fixed_width(
    wide: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    todo = plan(CompileRequest(wide, Path("m")), {})
    assert todo.spec.widths is None
    assert [job.widths for job in todo.jobs] == [()]
    assert _ends(todo.graph)[0].type.tensor_type.shape.dim[3].dim_value == 100
    assert any("--widths all compiles for each" in note for note in todo.notes)


def refused(path: Path, **options: Any) -> KitError:
    with pytest.raises(KitError) as caught:
        plan(CompileRequest(path, Path("m"), **options), {})
    return caught.value


def test_what_gears_of_dims_exclude(wide: Path) -> None:
    error = refused(wide, widths=(), gears="dims", aipp=True)
    assert isinstance(error, UsageError)
    assert "--aipp and --gears dims exclude each other" in error.message
    assert "leave --gears dims out" in error.hint
    error = refused(wide, widths=(80, 100), gears="dims", split_bilstm=True)
    assert "--split-bilstm and --gears dims over widths" in error.message
    error = refused(wide, widths=(100,), gears="dims")
    assert "--gears dims needs several" in error.message
    error = refused(wide, widths=tuple(range(40, 296, 4)), gears="dims", batches=(1, 4))
    assert "2 batch sizes at 64 widths are 128 gears; ATC takes 100" in error.message


def test_a_model_that_names_no_widths(tmp_path: Path) -> None:
    free = write_wide_echo_model(tmp_path / "free.onnx")
    error = refused(free, widths=())
    assert "names no widths of its own" in error.message
    assert plan(CompileRequest(free, Path("m"), widths=(80,)), {}).spec.widths == Widths(list=(80,))


def test_a_model_of_one_width(tmp_path: Path) -> None:
    fixed = write_echo_model(tmp_path / "fixed.onnx")
    error = refused(fixed, widths=(80, 100))
    assert isinstance(error, InputError)
    assert "its width is fixed at 100, so no OM of 80 columns can come of it" in error.message
    assert "crnn export" in error.hint


def test_a_graph_that_does_not_run_at_a_width(tmp_path: Path) -> None:
    model = onnx.load(str(write_echo_model(tmp_path / "fixed.onnx")))
    # Its Slice takes 26 columns, whatever the width; below that its shapes do not fit.
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "width"
    assert steps_at(model, ModelSpec(), 100, tmp_path) == 26
    model.graph.node[3].attribute[0].ints[0] = 2
    with pytest.raises(InputError, match="does not take images of 80 columns"):
        steps_at(model, ModelSpec(), 80, tmp_path)


def test_a_copy_keeps_the_weights_and_the_metadata(wide: Path) -> None:
    model = onnx.load(str(wide))
    copy = static_copy(model, ModelSpec().at_width(80, 21))
    assert list(copy.graph.initializer) == list(model.graph.initializer)
    assert list(copy.metadata_props) == list(model.metadata_props)


@pytest.mark.slow
def test_a_set_reads_the_built_in_pictures_as_its_onnx_does(wide: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with host(tmp_path):
        widths = ["--widths", "80,128"]
        assert main(["compile", "wide.onnx", "set/m", *widths]) == 0
        assert main(["compile", "wide.onnx", "d", *widths, "--gears", "dims"]) == 0
        assert main(["doctor", "set", "--run", "--json", "set.json"]) == 0
        assert main(["doctor", "d.om", "--run", "--json", "d.json"]) == 0
    sidecar = read_sidecar(tmp_path / "set" / "m_w128_bs1.om.json")
    assert (sidecar.widths, sidecar.batch_sizes) == ((128,), (1,))
    assert sidecar.reference is not None
    assert sidecar.reference.logits.shape[0] == 33
    assert read_sidecar(tmp_path / "d.om.json").widths == (80, 128)
    for name, count in (("set", 2), ("d", 1)):
        told = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        assert json.dumps(told).count('"same": true') == count
