"""``crnn compile``: what ATC is given, what is put in place, and that a failure leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, List

import onnx
import pytest

from crnn.ascend.sidecar import read_sidecar
from crnn.cli.main import main
from crnn.filekind import sha256
from crnn.spec import CHECKPOINT_KEY, METADATA_KEY, ModelSpec
from tests.ascend import om_writer
from tests.cann_trees import Tree, cann_5_0_2, cann_6_0, write
from tests.conftest import ROOT
from tests.lstm_models import lstm_model, outputs_of

Atc = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    proto = lstm_model()
    onnx.helper.set_model_props(
        proto, {METADATA_KEY: ModelSpec(fold_case=False).to_json(), CHECKPOINT_KEY: "ab" * 32}
    )
    path = tmp_path / "crnn.onnx"
    onnx.save(proto, str(path))
    return path


@pytest.fixture
def atc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Atc:
    """Put an ATC on PATH that copies this OM (or from this folder, by name); gives the path of its
    notes.
    """

    def put(
        om: bytes = b"",
        *,
        tree: Callable[[Path], object] = cann_6_0,
        folder: str = "",
        **environ: str,
    ) -> Path:
        root = tmp_path / "root"
        home = tree(root).home  # type: ignore[attr-defined]
        program = next(
            home / place for place in ("bin/atc", "atc/bin/atc") if (home / place).exists()
        )
        made = tmp_path / "made.om"
        made.write_bytes(om)
        values = {
            "PATH": f"{program.parent}:/usr/bin:/bin",
            "FAKE_ATC_OM": folder or (str(made) if om else ""),
            "FAKE_ATC_LOG": str(tmp_path / "log"),
            **environ,
        }
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        for name in (
            "ASCEND_TOOLKIT_HOME",
            "ASCEND_HOME_PATH",
            "ASCEND_OPP_PATH",
            "ASCEND_INSTALL_ROOT",
        ):
            monkeypatch.delenv(name, raising=False)
        return tmp_path / "log.args"

    return put


@pytest.fixture
def no_cann(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("ASCEND_INSTALL_ROOT", str(tmp_path / "none"))
    for name in ("ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH", "ASCEND_OPP_PATH"):
        monkeypatch.delenv(name, raising=False)


def arguments(notes: Path) -> List[str]:
    return notes.read_text(encoding="utf-8").splitlines()


def test_writes_the_om_and_what_is_known_of_it(
    model: Path, atc: Atc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = atc(om_writer.static())
    out = tmp_path / "crnn_bs1"
    assert main(["compile", str(model), str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}.om\n"
    assert "ATC computes in FP16; the input is FP32, the output FP32" in said.err
    assert "no chip is listed by npu-smi: compiling for Ascend310" in said.err
    assert Path(f"{out}.om").read_bytes() == om_writer.static()
    beside = read_sidecar(Path(f"{out}.om.json"))
    assert beside.spec == ModelSpec(fold_case=False)
    assert beside.om_sha256 == sha256(Path(f"{out}.om"))
    assert (beside.onnx_sha256, beside.checkpoint_sha256) == (sha256(model), "ab" * 32)
    assert (beside.batch_sizes, beside.simulated) == ((1,), False)
    assert beside.versions["cann"] == "6.0.RC1"
    assert beside.command == (
        "atc",
        "--framework=5",
        f"--model={model}",
        f"--output={out}",
        "--input_format=NCHW",
        "--input_shape=actual_input_1:1,1,32,100",
        "--soc_version=Ascend310",
        "--log=info",
    )
    # ATC itself writes elsewhere, so that nothing half-written can stand in the OM's place.
    given = arguments(notes)
    assert given[1] == f"--model={model.resolve()}"
    assert not given[2].startswith(f"--output={tmp_path}/crnn_bs1")
    assert not Path((tmp_path / "log.pwd").read_text().strip()).exists(), (
        "ATC's working folder is left"
    )
    assert not list(tmp_path.glob("**/fusion_result.json"))


def test_gears(model: Path, atc: Atc, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = atc(om_writer.geared())
    words = [
        "compile",
        str(model),
        f"{tmp_path}/g.om",
        "--batch",
        "1,4,8,16",
        "--soc",
        "Ascend310P3",
        "--json",
        "-",
    ]
    assert main(words) == 0
    (built,) = json.loads(capsys.readouterr().out)
    assert built["path"] == f"{tmp_path}/g.om"
    assert built["batch_sizes"] == [1, 4, 8, 16]
    assert built["simulated"] is False
    assert {"--input_shape=actual_input_1:-1,1,32,100", "--dynamic_batch_size=1,4,8,16"} <= set(
        arguments(notes)
    )


def test_an_om_is_not_put_in_place_without_its_sidecar(
    model: Path, atc: Atc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atc(om_writer.static(1))
    (tmp_path / "c.om.json").mkdir()
    assert main(["compile", str(model), str(tmp_path / "c")]) == 1
    assert "c.om.json: it is a folder" in capsys.readouterr().err
    assert not (tmp_path / "c.om").exists()


def test_a_static_set_is_one_om_a_batch(
    model: Path, atc: Atc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    for batch in (1, 4):
        (folder / f"crnn_bs{batch}.om").write_bytes(om_writer.static(batch))
    atc(folder=str(folder))
    assert (
        main(["compile", str(model), str(tmp_path / "crnn"), "--batch", "1,4", "--static-set"]) == 0
    )
    assert capsys.readouterr().out.split() == [f"{tmp_path}/crnn_bs1.om", f"{tmp_path}/crnn_bs4.om"]
    for batch in (1, 4):
        assert read_sidecar(tmp_path / f"crnn_bs{batch}.om.json").batch_sizes == (batch,)


def test_a_static_set_appears_whole_or_not_at_all(
    model: Path, atc: Atc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atc(om_writer.static(1))  # good for bs1, wrong for bs4
    assert (
        main(["compile", str(model), str(tmp_path / "crnn"), "--batch", "1,4", "--static-set"]) == 3
    )
    assert (
        "crnn_bs4.om: ATC said success, but the OM does not fit the spec" in capsys.readouterr().err
    )
    assert not list(tmp_path.glob("crnn_bs*"))


def test_aipp_is_written_for_atc_and_shown(
    model: Path, atc: Atc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = atc(om_writer.aipp())
    assert main(["compile", str(model), str(tmp_path / "u8"), "--aipp"]) == 0
    assert "the input is uint8 (AIPP normalises)" in capsys.readouterr().err
    assert any(word.startswith("--insert_op_conf=/") for word in arguments(notes))
    assert main(["compile", str(model), str(tmp_path / "u8"), "--aipp", "--dry-run"]) == 0
    assert "min_chn_0: 127.5" in capsys.readouterr().out


# Notes each graph that it gets, and refuses one with an LSTM of two directions.
ONE_WAY_ATC = """\
#!/bin/sh
for word in "$@"; do
    case $word in --model=*) model=${{word#--model=}} ;; esac
done
cp "$model" {folder}/seen.onnx
if grep -q bidirectional "$model"; then
    echo "E19999: bias size cannot be set to 2"
    exit 255
fi
exec {atc} "$@"
"""


def one_way_atc(tmp_path: Path, tree: Tree) -> str:
    text = ONE_WAY_ATC.format(folder=tmp_path, atc=tree.home / "atc/bin/atc")
    return str(write(tmp_path / "wrap/atc", text, executable=True).parent)


def test_an_atc_of_5_0_gets_the_graph_as_it_is_and_forward_lstms_after_its_refusal(
    model: Path, atc: Atc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = atc(om_writer.static(), tree=cann_5_0_2)
    words = ["compile", str(model), str(tmp_path / "old"), "--cann", "5.0.2"]
    assert main(words) == 0
    said = capsys.readouterr().err
    assert "refused" not in said
    assert f"--model={model}" in arguments(notes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{one_way_atc(tmp_path, cann_5_0_2(tmp_path / 'b'))}:/usr/bin:/bin")
        assert main(words) == 0
    assert "once more with LSTMs of one direction, as CANN 5.0.2" in capsys.readouterr().err
    seen = onnx.load(str(tmp_path / "seen.onnx"))
    assert b"bidirectional" not in seen.SerializeToString()
    assert abs(outputs_of(seen, 2) - outputs_of(onnx.load(str(model)), 2)).max() < 1e-6
    assert read_sidecar(tmp_path / "old.om.json").onnx_sha256 == sha256(model)


def test_a_newer_atc_that_refuses_is_told_of_the_split(
    model: Path, atc: Atc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atc(om_writer.static())
    words = ["compile", str(model), str(tmp_path / "new"), "--cann", "6.0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{one_way_atc(tmp_path, cann_5_0_2(tmp_path / 'b'))}:/usr/bin:/bin")
        assert main(words) == 1
        assert "of two directions that it refuses: --split-bilstm" in capsys.readouterr().err
        assert main([*words, "--split-bilstm"]) == 0
    assert "each LSTM of two directions is two forward ones" in capsys.readouterr().err


def test_before_5_0_a_newer_cann_is_the_way_out(
    model: Path, atc: Atc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atc(tree=cann_5_0_2)
    words = ["compile", str(model), str(tmp_path / "older"), "--cann", "3.3"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_ATC_EXIT", "255")
        patch.setenv("FAKE_ATC_SAYS", "E19999: no")
        assert main(words) == 1
    said = capsys.readouterr().err
    assert "CANN 3.3: a standard LSTM is not known to pass an ATC before 5.0" in said
    assert "compile with CANN 5.0.2 or newer" in said
    assert "before 5.0 no split is known to help" in " ".join(said.split())


def test_paths_that_atc_refuses_are_worked_round(
    model: Path, atc: Atc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = atc(om_writer.static())
    folder = tmp_path / "mit Leerzeichen @"
    folder.mkdir()
    odd = model.rename(folder / "modèle 1.onnx")
    assert main(["compile", str(odd), str(folder / "o m")]) == 0
    assert "a path holds characters that ATC refuses" in capsys.readouterr().err
    assert (folder / "o m.om").read_bytes() == om_writer.static()
    for word in arguments(notes)[1:3]:
        assert set(" @è").isdisjoint(word)


def test_debug_keeps_graphs_and_log(model: Path, atc: Atc, tmp_path: Path) -> None:
    notes = atc(om_writer.static(), FAKE_ATC_SAYS="[INFO] GE a line of the log")
    assert main(["compile", str(model), str(tmp_path / "o"), "--debug"]) == 0
    assert "--log=debug" in arguments(notes)
    assert "DUMP_GE_GRAPH=2" in (tmp_path / "log.env").read_text()
    assert "[INFO] GE a line of the log" in (tmp_path / "o_debug/atc.log").read_text()
    assert (tmp_path / "o_debug/fusion_result.json").is_file()


@pytest.mark.parametrize(
    ("om", "environ", "code", "said"),
    [
        pytest.param(
            om_writer.static(),
            {"FAKE_ATC_EXIT": "255", "FAKE_ATC_SAYS": "E10016: Opname [x] is not found"},
            1,
            "E10016: Opname [x] is not found",
            id="ATC fails, and leaves a file",
        ),
        pytest.param(b"", {}, 1, "ATC said success but wrote no o.om", id="no file"),
        pytest.param(om_writer.static()[:500], {}, 1, "o.om", id="cut short"),
        pytest.param(b"not an OM at all" * 40, {}, 1, "o.om", id="no OM"),
        pytest.param(om_writer.static(8), {}, 3, "batch 8; expected 1", id="another batch"),
    ],
)
def test_a_failure_leaves_what_stood_there(
    om: bytes,
    environ: dict[str, str],
    code: int,
    said: str,
    model: Path,
    atc: Atc,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    atc(om, **environ)
    old = write(tmp_path / "out/o.om", "the old one")
    assert main(["compile", str(model), str(tmp_path / "out/o")]) == code
    assert said in capsys.readouterr().err
    assert [path.name for path in old.parent.iterdir()] == ["o.om"]
    assert old.read_text() == "the old one"


@pytest.mark.usefixtures("no_cann")
def test_without_atc_it_exits_4_and_says_where_it_looked(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["compile", str(model), str(tmp_path / "o")]) == 4
    said = capsys.readouterr().err
    assert f"no atc on PATH and no CANN under {tmp_path}/none" in said
    assert "Ascend-cann-toolkit" in said
    tree = cann_6_0(tmp_path / "there")
    monkeypatch.setenv("ASCEND_INSTALL_ROOT", str(tree.root))
    assert main(["compile", str(model), str(tmp_path / "o")]) == 4
    assert f"source {tree.root}/ascend-toolkit/set_env.sh" in capsys.readouterr().err


@pytest.mark.usefixtures("no_cann")
def test_dry_run_prints_the_command_alone(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "compile",
        str(model),
        "a b",
        "--batch",
        "1,4",
        "--static-set",
        "--precision",
        "force_fp32",
        "--dry-run",
    ]
    assert main([*words, "--extra=--buffer_optimize=off_optimize"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert (
        first == f"atc --framework=5 --model={model} '--output=a b_bs1' --input_format=NCHW"
        " --input_shape=actual_input_1:1,1,32,100 --soc_version=Ascend310 --log=info"
        " --precision_mode=force_fp32 --buffer_optimize=off_optimize"
    )
    assert "actual_input_1:4,1,32,100" in second
    assert main([*words, "--json", "-"]) == 0
    assert [command[0] for command in json.loads(capsys.readouterr().out)["commands"]] == [
        "atc",
        "atc",
    ]


@pytest.mark.usefixtures("no_cann")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--batch", "0"], 2, "'0' is not a whole number from 1"),
        (["--batch", "1,,4"], 2, "'' is not a whole number from 1"),
        (["--batch", "4,1"], 2, "ascending order"),
        (["--soc", "310P3"], 2, "Did you mean Ascend310P3?"),
        (["--soc", "ascend310p3"], 2, "Did you mean Ascend310P3?"),
        (["--soc", "Ascend310p3"], 2, "Did you mean Ascend310P3?"),
        (["--soc", "ASCEND_310b4"], 2, "Did you mean Ascend310B4?"),
        (["--soc", "ascend-310"], 2, "Did you mean Ascend310?"),
        (["--soc", "910proa"], 2, "Did you mean Ascend910ProA?"),
        (["--soc", "Ascend910premiuma"], 2, "Did you mean Ascend910PremiumA?"),
        (["--soc", "310p7"], 2, "Did you mean Ascend310P7?"),
        (
            ["--soc", "Foo"],
            2,
            "--soc Foo: expected a name such as Ascend310 or Ascend310P3",
        ),
        (["--precision", "fp8"], 2, "invalid choice"),
        (["--log", "loud"], 2, "invalid choice"),
        (["--extra=--soc_version=x"], 2, "Use --soc"),
        (["--cann", "new"], 2, "not a CANN version"),
        (["--tune"], 2, "depends on the CANN version"),
        (["--tune", "--cann", "6.3"], 4, "aoe --framework=5"),
        (["--tune", "--cann", "5.1", "--dry-run"], 0, "--auto_tune_mode=RL,GA"),
        (["--timeout", "0"], 2, "not a whole number from 1"),
        (["--bacth", "4"], 2, "did you mean --batch?"),
    ],
)
def test_options_that_make_no_sense(
    words: List[str],
    code: int,
    said: str,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["compile", str(model), str(tmp_path / "o"), *words]) == code
    captured = capsys.readouterr()
    assert said in captured.err + captured.out


@pytest.mark.usefixtures("no_cann")
def test_places_and_files_that_cannot_be(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.om").mkdir()
    for source, name, code, said in (
        (tmp_path / "none.onnx", "o", 1, "does not exist"),
        (write(tmp_path / "text.onnx", "hello"), "o", 1, "not an ONNX file"),
        (write(tmp_path / "om.onnx", "IMOD"), "o", 1, "om.onnx is an OM; expected an ONNX model"),
        (ROOT / "examples" / "crnn_small.pth", "o", 1, "Export it first: crnn export "),
        (model, "gone/o", 1, "does not exist"),
        (model, "folder", 1, "is a folder"),
        (model, ".om", 2, "expected a name"),
    ):
        assert main(["compile", str(source), str(tmp_path / name)]) == code
        assert said in capsys.readouterr().err


@pytest.mark.usefixtures("no_cann")
def test_a_bare_onnx_is_compiled_by_the_default_spec_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(lstm_model(), str(tmp_path / "m.onnx"))
    assert main(["compile", str(tmp_path / "m.onnx"), str(tmp_path / "o"), "--dry-run"]) == 0
    assert "the ONNX carries no spec: the default one is taken" in capsys.readouterr().err


def test_a_cann_of_unknown_version_is_said(
    model: Path,
    tmp_path: Path,
    no_cann: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write(tmp_path / "alone/atc", "#!/bin/sh\nexit 0\n", executable=True).parent
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    words = ["compile", str(model), str(tmp_path / "o"), "--dry-run"]
    assert main(words) == 0
    assert "the version of ATC's CANN is not known" in capsys.readouterr().err
    assert main([*words, "--cann", "6.0"]) == 0
    assert "is not known" not in capsys.readouterr().err


def test_the_chip_is_asked_of_npu_smi(
    model: Path,
    atc: Atc,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    smi = "| 0     310P3   | OK   | NA 32 0 / 0 |"
    atc(om_writer.static())
    write(tmp_path / "smi/npu-smi", f"#!/bin/sh\necho '{smi}'\n", executable=True)
    monkeypatch.setenv("PATH", f"{tmp_path}/smi:/usr/bin:/bin")
    assert main(["compile", str(model), str(tmp_path / "o"), "--dry-run"]) == 0
    said = capsys.readouterr()
    assert "--soc_version=Ascend310P3" in said.out
    assert "compiling for Ascend310P3, the chip that npu-smi lists" in said.err
    assert main(["compile", str(model), str(tmp_path / "o"), "--dry-run", "--cann", "5.0.4"]) == 0
    assert "--soc_version=Ascend710" in capsys.readouterr().out
