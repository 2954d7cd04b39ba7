"""The ATC stand-in: its grammar, its codes, and the file it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from onnx import TensorProto, helper, numpy_helper

from crnn.ascend.om_reader import read_om
from crnn.simulator import Knobs, aipp
from crnn.simulator.atc import compile_om
from crnn.simulator.atc_flags import FLAGS, AtcError, check, parse
from crnn.simulator.om_file import NotSimulatedError, SimulatedOm, from_bytes, to_bytes
from tests.models import write_echo_model
from tests.simulator.conftest import AIPP
from tests.simulator.programs import compile_model

ENVIRON = {"ASCEND_OPP_PATH": "/opp"}
STATIC = "--input_shape=actual_input_1:4,1,32,100"
OPEN = "--input_shape=actual_input_1:-1,1,32,100"
GEARS = "--dynamic_batch_size=1,4,8"


@pytest.fixture
def base(echo_onnx: Path, tmp_path: Path) -> List[str]:
    return [
        "--framework=5",
        f"--model={echo_onnx}",
        f"--output={tmp_path}/x",
        "--soc_version=Ascend310",
    ]


def fails(
    words: List[str], release: Tuple[int, int] = (6, 0), environ: Optional[Dict[str, str]] = None
) -> str:
    with pytest.raises(AtcError) as caught:
        compile_om(words, release, ENVIRON if environ is None else environ)
    return caught.value.code


# --- grammar


@pytest.mark.parametrize(
    "words",
    [
        ["--soc_version=Ascend310"],
        ["--soc-version=Ascend310"],
        ["--soc_version", "Ascend310"],
        ["-soc_version=Ascend310"],
        ["-soc-version", "Ascend310"],
    ],
)
def test_all_spellings_of_a_flag(words: List[str]) -> None:
    assert parse(words) == {"soc_version": "Ascend310"}


@pytest.mark.parametrize(
    "words", [["model.onnx"], ["--models=x"], ["--model"], ["-"], ["--model=x", "--model=y"]]
)
def test_words_that_are_no_flags(words: List[str]) -> None:
    with pytest.raises(AtcError, match="E10001"):
        parse(words)


@settings(max_examples=80, deadline=None)
@given(strategies.lists(strategies.text(alphabet="-=_ax1:;,", max_size=12), max_size=6))
def test_any_command_line_is_read_or_refused(words: List[str]) -> None:
    try:
        check(parse(words), (6, 0))
    except AtcError as error:
        assert error.code.startswith("E")


# --- codes: what is changed in a good command line, and the code that it ends with

CODES: Tuple[Tuple[str, List[str], str], ...] = (
    ("no framework", ["-framework"], "E10054"),
    ("no soc", ["-soc_version"], "E10054"),
    ("no output", ["-output"], "E10054"),
    ("framework of another kind", ["-framework", "--framework=3"], "E10007"),
    ("framework that is none", ["-framework", "--framework=9"], "E10007"),
    ("unknown chip", ["-soc_version", "--soc_version=310"], "E10001"),
    ("newer chip", ["-soc_version", "--soc_version=Ascend310B1"], "E10001"),
    ("log level", ["--log=verbose"], "E10010"),
    ("switch that is not a bool", ["--enable_small_channel=yes"], "E10005"),
    ("input format", ["--input_format=NHWC"], "E10001"),
    ("precision", ["--precision_mode=fp16"], "E10001"),
    ("precision of newer releases", ["--precision_mode_v2=fp16"], "E10001"),
    ("tuning of older releases", ["--auto_tune_mode=RL,GA"], "E10001"),
    ("list without its mode", ["--optypelist_for_implmode=Sigmoid"], "E10001"),
    ("bfloat16", ["--precision_mode=allow_fp32_to_bf16"], "E10001"),
    ("mode", ["--mode=1"], "E10001"),
    ("model that is not there", ["-model", "--model=/nowhere/x.onnx"], "E13000"),
    ("model with a blank in its path", ["-model", "--model=/tmp/a b.onnx"], "E10001"),
    ("output folder that is not there", ["-output", "--output=/nowhere/x"], "E13001"),
    ("no shape for an open model", ["-input_shape"], "E10001"),
    ("shape without a name", ["-input_shape", "--input_shape=4,1,32,100"], "E10002"),
    ("shape with a 0", ["-input_shape", "--input_shape=actual_input_1:0,1,32,100"], "E10002"),
    ("shape of no input", ["-input_shape", "--input_shape=other:4,1,32,100"], "E10016"),
    ("fewer dims", ["-input_shape", "--input_shape=actual_input_1:4,32,100"], "E10049"),
    (
        "another size than the graph's",
        ["-input_shape", "--input_shape=actual_input_1:4,3,32,100"],
        "E10001",
    ),
    ("range", ["-input_shape", "--input_shape=actual_input_1:1~16,1,32,100"], "E10040"),
    ("-1 without gears", ["-input_shape", OPEN], "E10001"),
    ("gears without -1", [GEARS], "E10031"),
    ("-1 elsewhere", ["-input_shape", "--input_shape=actual_input_1:1,1,32,-1", GEARS], "E10001"),
    ("one gear", ["-input_shape", OPEN, "--dynamic_batch_size=4"], "E10035"),
    (
        "101 gears",
        ["-input_shape", OPEN, "--dynamic_batch_size=" + ",".join(map(str, range(1, 102)))],
        "E10036",
    ),
    ("gear that is not a number", ["-input_shape", OPEN, "--dynamic_batch_size=1,a"], "E10037"),
    ("gear 0", ["-input_shape", OPEN, "--dynamic_batch_size=0,1"], "E10038"),
    ("gear beyond 2048", ["-input_shape", OPEN, "--dynamic_batch_size=1,4096"], "E10038"),
    ("the same gear twice", ["-input_shape", OPEN, "--dynamic_batch_size=1,4,4"], "E10039"),
    ("gears of dims", ["--dynamic_dims=1;2"], "E10001"),
    ("half input that is none", ["--input_fp16_nodes=other"], "E10016"),
    ("output type", ["--output_type=INT4"], "E10001"),
    ("AIPP file that is not there", ["--insert_op_conf=/nowhere/aipp.cfg"], "E13000"),
)


@pytest.mark.parametrize(
    ("changes", "code"), [row[1:] for row in CODES], ids=[row[0] for row in CODES]
)
def test_code(base: List[str], changes: List[str], code: str) -> None:
    words = [*base, STATIC]
    for change in changes:
        if change.startswith("--"):
            words.append(change)
        else:
            words = [word for word in words if not word.startswith(f"-{change}=")]
    assert fails(words) == code


def test_the_good_command_line(base: List[str]) -> None:
    _, om = compile_om([*base, STATIC], (6, 0), ENVIRON)
    assert (om.sizes, om.dynamic, om.outputs[0].dims, om.soc) == (
        (4,),
        False,
        (26, 4, 37),
        "Ascend310",
    )


def test_minus_one_behind_the_batch(base: List[str], tmp_path: Path) -> None:
    model = onnx.load(str(Path(base[1].partition("=")[2])))
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "width"
    onnx.save(model, str(tmp_path / "wide.onnx"))
    words = [
        word if not word.startswith("--model") else f"--model={tmp_path}/wide.onnx" for word in base
    ]
    assert fails([*words, "--input_shape=actual_input_1:1,1,32,-1", GEARS]) == "E10018"


def test_without_its_environment(base: List[str]) -> None:
    assert fails([*base, STATIC], environ={}) == "E10501"


@pytest.mark.parametrize(
    ("flag", "since", "before"),
    [
        ("--auto_tune_mode=RL,GA", None, (6, 0)),
        ("--precision_mode_v2=fp16", (7, 0), None),
        ("--deterministic=1", (7, 0), None),
        ("--op_compiler_cache_mode=enable", (5, 1), None),
    ],
)
def test_flags_have_their_releases(base: List[str], flag: str, since: Any, before: Any) -> None:
    for release in ((5, 0), (5, 1), (6, 0), (7, 0)):
        good = (since is None or release >= since) and (before is None or release < before)
        if good:
            compile_om([*base, STATIC, flag], release, ENVIRON)
        else:
            assert fails([*base, STATIC, flag], release) == "E10001"


def test_the_kits_default_flags_are_taken_from_5_to_9(base: List[str]) -> None:
    words = [word.replace("Ascend310", "Ascend310P3") for word in base]
    for release in ((5, 1), (6, 0), (7, 0), (8, 0), (8, 5), (9, 0)):
        compile_om([*words, OPEN, GEARS, "--input_format=NCHW", "--log=info"], release, ENVIRON)
    assert set(FLAGS) >= {
        "framework",
        "model",
        "output",
        "input_format",
        "input_shape",
        "dynamic_batch_size",
        "log",
    }


# --- the graph


def lstm_model(
    path: Path,
    *,
    direction: str = "forward",
    states: str = "",
    weights: str = "constant",
    opset: int = 11,
    domain: str = "",
    operator: str = "LSTM",
    **attributes: Any,
) -> Path:
    """Write a small recurrent model over (N, C, T, 1) images; ``states`` "zeros" or "chain",
    ``weights`` "input".
    """
    ways, hidden = (2 if direction == "bidirectional" else 1), 4
    shapes = {"W": (ways, 4 * hidden, 3), "R": (ways, 4 * hidden, hidden), "B": (ways, 8 * hidden)}
    constants = [
        numpy_helper.from_array(np.full(shape, 0.1, np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Squeeze", ["image"], ["flat"], axes=[3]),
        helper.make_node("Transpose", ["flat"], ["x"], perm=[2, 0, 1]),
    ]
    names = ["x", "W", "R", "B"]
    if weights == "computed":
        nodes.append(helper.make_node("Identity", ["W"], ["W2"]))
        names[1] = "W2"
    if states == "zeros":
        constants.append(numpy_helper.from_array(np.zeros((ways, 2, hidden), np.float32), "h"))
        names += ["", "h", "h"]
    elif states == "chain":
        constants += [
            numpy_helper.from_array(np.array([1], np.int64), "one"),
            numpy_helper.from_array(np.array([ways], np.int64), "ways"),
            numpy_helper.from_array(np.array([hidden], np.int64), "hidden"),
        ]
        nodes += [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("Gather", ["shape", "one"], ["batch"]),
            helper.make_node("Concat", ["ways", "batch", "hidden"], ["size"], axis=0),
            helper.make_node("ConstantOfShape", ["size"], ["h"]),
        ]
        names += ["", "h", "h"]
    nodes.append(
        helper.make_node(
            operator,
            names,
            ["y"],
            direction=direction,
            hidden_size=hidden,
            domain=domain,
            **attributes,
        )
    )
    graph = helper.make_graph(
        nodes,
        "lstm",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 5, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [5, ways, "n", hidden])],
        constants,
    )
    imports = [helper.make_opsetid("", opset)] + (
        [helper.make_opsetid(domain, 1)] if domain else []
    )
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=6), str(path))
    return path


GRAPHS: Tuple[Tuple[str, Dict[str, Any], Tuple[int, int], bool, str], ...] = (
    ("one way", {}, (5, 0), False, ""),
    ("one way, gears", {}, (5, 0), True, ""),
    ("two ways", {"direction": "bidirectional"}, (6, 0), True, ""),
    ("two ways, 5.0", {"direction": "bidirectional"}, (5, 0), False, ""),
    ("backwards, 5.0", {"direction": "reverse"}, (5, 0), False, ""),
    ("opset 14, 5.0", {"opset": 14}, (5, 0), False, "E19999"),
    ("one way, 3.3", {}, (3, 3), False, "E19999"),
    ("one way, 20.1", {}, (2, 1), False, "E19999"),
    ("zero states, static", {"states": "zeros"}, (6, 0), False, ""),
    ("zero states, gears", {"states": "zeros"}, (6, 0), True, "E19999"),
    ("states by a chain, static", {"states": "chain"}, (5, 0), False, ""),
    ("states by a chain, gears", {"states": "chain"}, (6, 0), True, "E19999"),
    ("computed weights", {"weights": "computed"}, (6, 0), False, "E19999"),
    ("clipped", {"clip": 3.0}, (6, 0), False, "E19999"),
    ("opset before 8", {"opset": 7}, (6, 0), False, "E16002"),
    ("another domain", {"domain": "com.microsoft"}, (6, 0), False, "E16005"),
)


@pytest.mark.parametrize(
    ("model", "release", "gears", "code"),
    [row[1:] for row in GRAPHS],
    ids=[row[0] for row in GRAPHS],
)
def test_graph(tmp_path: Path, model: Dict[str, Any], release: Any, gears: bool, code: str) -> None:
    path = lstm_model(tmp_path / "m.onnx", **model)
    words = [
        "--framework=5",
        f"--model={path}",
        f"--output={tmp_path}/m",
        "--soc_version=Ascend310",
    ]
    words += (
        ["--input_shape=image:-1,3,5,1", "--dynamic_batch_size=1,2"]
        if gears
        else ["--input_shape=image:2,3,5,1"]
    )
    if code:
        assert fails(words, release) == code
    else:
        _, om = compile_om(words, release, ENVIRON)
        assert om.outputs_by_size[-1][0][2] == 2


def test_an_operator_that_no_recogniser_has(tmp_path: Path) -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [2, "n"])],
    )
    path = tmp_path / "m.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6),
        str(path),
    )
    assert (
        fails(
            [
                "--framework=5",
                f"--model={path}",
                f"--output={tmp_path}/m",
                "--soc_version=Ascend310",
            ]
        )
        == "E16002"
    )


def test_no_onnx_at_all(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"version https://git-lfs")
    assert (
        fails(
            [
                "--framework=5",
                f"--model={path}",
                f"--output={tmp_path}/m",
                "--soc_version=Ascend310",
            ]
        )
        == "E19999"
    )


def test_a_graph_with_a_batch_of_its_own(tmp_path: Path) -> None:
    path = write_echo_model(tmp_path / "two.onnx", batch=2)
    words = [
        "--framework=5",
        f"--model={path}",
        f"--output={tmp_path}/m",
        "--soc_version=Ascend310",
    ]
    assert compile_om(words, (6, 0), ENVIRON)[1].sizes == (2,)
    assert fails([*words, STATIC]) == "E10001"


# --- AIPP

AIPP_ERRORS: Tuple[Tuple[str, Callable[[str], str], str], ...] = (
    ("no message", lambda text: "", "does not begin"),
    ("open brace", lambda text: text.replace("}", ""), "brace is not closed"),
    ("unknown field", lambda text: text.replace("mean_chn_0", "mean_0"), "no field mean_0"),
    (
        "mean is an integer",
        lambda text: text.replace("mean_chn_0: 0", "mean_chn_0: 127.5"),
        "127.5 is not an int",
    ),
    ("bool", lambda text: text.replace("false", "0"), "csc_switch: 0 is not a bool"),
    ("enum", lambda text: text.replace("YUV400_U8", "GRAY_U8"), "GRAY_U8 is not a format"),
    ("quoted enum", lambda text: text.replace("static", '"static"'), "is not a mode"),
    ("twice", lambda text: text.replace("}", "mean_chn_0: 1 }"), "given twice"),
    ("width", lambda text: text.replace("_w: 100", "_w: 96"), "96x32 without crop"),
    ("no size", lambda text: text.replace("src_image_size_h: 32", ""), "src_image_size is 100x0"),
    (
        "colour of gray",
        lambda text: text.replace("csc_switch: false", "csc_switch: true"),
        "must be off",
    ),
    ("channels", lambda text: text.replace("YUV400_U8", "RGB888_U8"), "has 3 channels"),
    ("crop", lambda text: text.replace("}", "crop: true }"), "crop is not simulated"),
    ("dynamic", lambda text: text.replace("static", "dynamic"), "dynamic is not simulated"),
    ("input", lambda text: text.replace("rank: 0", "rank: 1"), "has 1 inputs"),
    ("second message", lambda text: text + text, "more behind"),
    ("no mode", lambda text: text.replace("aipp_mode: static", ""), "aipp_mode is missing"),
)


@pytest.mark.parametrize(
    ("change", "said"), [row[1:] for row in AIPP_ERRORS], ids=[row[0] for row in AIPP_ERRORS]
)
def test_aipp_error(change: Callable[[str], str], said: str) -> None:
    with pytest.raises(AtcError, match=said) as caught:
        aipp.read(change(AIPP), [("image", (1, 1, 32, 100))])
    assert caught.value.code == "E10001"


def test_aipp_by_name_and_defaults() -> None:
    text = (
        "aipp_op { aipp_mode: static input_format: YUV400_U8 src_image_size_w: 100"
        " src_image_size_h: 32 "
    )
    index, found = aipp.read(
        text + 'related_input_name: "image" }', [("other", (1,)), ("image", (1, 1, 32, 100))]
    )
    assert (index, found.mean[0], found.minimum[0], found.reciprocal[0]) == (1, 0, 0.0, 1.0)


@settings(max_examples=100, deadline=None)
@given(strategies.text(alphabet='aipp_op{}: \n#"static0.5-', max_size=60))
def test_any_aipp_text_is_read_or_refused(text: str) -> None:
    try:
        aipp.parse(text)
    except AtcError as error:
        assert error.code == "E10001"


def test_aipp_and_a_half_input_exclude_each_other(base: List[str], aipp_file: Path) -> None:
    words = [*base, STATIC, f"--insert_op_conf={aipp_file}", "--input_fp16_nodes=actual_input_1"]
    assert fails(words) == "E10034"


def test_chips_by_release(base: List[str]) -> None:
    for release in ((5, 1), (7, 0), (8, 0), (8, 2)):
        compile_om([*base, STATIC], release, ENVIRON)
    for release in ((8, 3), (8, 5), (9, 1)):
        assert fails([*base, STATIC], release) == "E10001"


def test_bfloat16_is_for_the_310b_alone(base: List[str]) -> None:
    flag = "--precision_mode=allow_mix_precision_bf16"
    board = [word.replace("Ascend310", "Ascend310B4") for word in base]
    compile_om([*board, STATIC, flag], (8, 0), ENVIRON)
    assert fails([*base, STATIC, flag], (8, 0)) == "E10001"


# --- the file


@pytest.mark.parametrize("release", [(5, 0), (6, 0), (8, 0)])
@pytest.mark.parametrize("kind", ["static", "gears", "aipp"])
def test_the_kit_reads_the_file(
    echo_onnx: Path, aipp_file: Path, tmp_path: Path, release: Any, kind: str
) -> None:
    soc = "Ascend310P3" if release >= (6, 0) else "Ascend310"
    flags = [OPEN, GEARS] if kind == "gears" else [STATIC]
    flags += [f"--insert_op_conf={aipp_file}"] if kind == "aipp" else []
    om = read_om(compile_model(echo_onnx, tmp_path / "name", Knobs(soc=soc, cann=release), *flags))
    assert om.simulated
    assert (om.name, om.soc_version, om.atc_version) == ("name", soc, f"{release[0]}.{release[1]}")
    assert om.inputs[0].dtype == ("uint8" if kind == "aipp" else "float32")
    shapes = {"static": (4, 1, 32, 100), "gears": (-1, 1, 32, 100), "aipp": (4, 32, 100, 1)}
    assert om.inputs[0].shape == shapes[kind]
    assert om.outputs[0].shape == (26, 8 if kind == "gears" else 4, 37)
    assert (om.gears.sizes if om.gears else None) == (
        ((1,), (4,), (8,)) if kind == "gears" else None
    )
    assert bool(om.aipp) == (kind == "aipp")
    assert (om.header_version, om.models) == ("0x20000000", 1)
    assert [part.type for part in om.partitions] == ([8, 0, 1] if release >= (7, 0) else [0, 1])


def test_the_simulator_reads_back_what_it_wrote(base: List[str], aipp_file: Path) -> None:
    for release in ((6, 0), (7, 0)):
        _, om = compile_om([*base, OPEN, GEARS, f"--insert_op_conf={aipp_file}"], release, ENVIRON)
        assert from_bytes(to_bytes(om)) == om


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(strategies.data())
def test_damaged_files_are_read_or_refused(base: List[str], data: Any) -> None:
    content = bytearray(to_bytes(compile_om([*base, STATIC], (7, 0), ENVIRON)[1]))
    for _ in range(data.draw(strategies.integers(1, 4))):
        content[data.draw(strategies.integers(0, len(content) - 1))] = data.draw(
            strategies.integers(0, 255)
        )
    try:
        om = from_bytes(bytes(content))
    except NotSimulatedError as error:
        assert str(error)
    else:
        assert len(om.all_inputs) >= len(om.inputs)


def test_a_real_om_is_told_apart(shared_data: Path) -> None:
    for path in sorted((shared_data / "om").glob("*.om")):
        with pytest.raises(NotSimulatedError, match="a real OM"):
            from_bytes(path.read_bytes())


def test_old_and_new_output_names(base: List[str]) -> None:
    names = {
        release: compile_om([*base, STATIC], release, ENVIRON)[1].outputs[0].name
        for release in ((5, 1), (6, 0))
    }
    assert names == {(5, 1): "output_0_Transpose_output1_0", (6, 0): "Transpose_output1:0:output1"}


def test_the_command_line_is_kept(base: List[str]) -> None:
    om: SimulatedOm = compile_om([*base, STATIC, "--precision_mode=force_fp32"], (6, 0), ENVIRON)[1]
    assert om.command.startswith("atc --framework=5 ")
    assert om.precision == "force_fp32"
