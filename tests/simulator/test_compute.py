"""``--compute float16``: models run as the rehearsal has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import onnx
import pytest
from onnx import helper

from crnn.rehearsal.graph import Rehearsal
from crnn.simulator import Knobs
from crnn.simulator.models import apply_aipp
from crnn.simulator.om_file import Aipp
from crnn.simulator.report import summary
from tests.lstm_models import lstm_model
from tests.models import write_echo_model
from tests.simulator.conftest import Machine
from tests.simulator.programs import Session, compile_model, run_once

Start = Callable[..., Machine]
STATIC = "--input_shape=actual_input_1:4,1,32,100"
SHAPE = (26, 4, 37)
IMAGES = np.random.default_rng(5).uniform(-1, 1, (4, 1, 32, 100)).astype(np.float32)


@pytest.fixture(scope="module")
def lstm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lstm") / "lstm.onnx"
    onnx.save(lstm_model(), str(path))
    return path


def logits_of(start: Start, om: Path, images: np.ndarray = IMAGES, **knobs: Any) -> np.ndarray:
    machine = start(**knobs)
    session = Session(machine.acl, om)
    logits = run_once(session, session.slot(), images, SHAPE)
    session.close()
    assert machine.broken == []
    return logits


def rehearsed(path: Path, images: np.ndarray = IMAGES) -> np.ndarray:
    return Rehearsal(onnx.load(str(path))).run({"actual_input_1": images})[0]


def test_a_model_gives_the_rehearsals_values(start: Start, lstm: Path, tmp_path: Path) -> None:
    om = compile_model(lstm, tmp_path / "lstm", Knobs(), STATIC)
    half = logits_of(start, om, compute="float16")
    assert np.array_equal(half, rehearsed(lstm))
    assert (half != logits_of(start, om)).any()


@pytest.mark.parametrize("mode", ["force_fp32", "must_keep_origin_dtype"])
def test_a_model_compiled_for_float32_stays_so(
    start: Start, lstm: Path, tmp_path: Path, mode: str
) -> None:
    om = compile_model(lstm, tmp_path / "lstm", Knobs(), STATIC, f"--precision_mode={mode}")
    assert np.array_equal(logits_of(start, om, compute="float16"), logits_of(start, om))


def test_aipps_pixels_are_rehearsed_as_it_gives_them(
    start: Start, lstm: Path, aipp_file: Path, tmp_path: Path
) -> None:
    flags = (STATIC, f"--insert_op_conf={aipp_file}")
    om = compile_model(lstm, tmp_path / "lstm", Knobs(), *flags)
    pixels = np.random.default_rng(1).integers(0, 256, (4, 32, 100, 1), dtype=np.uint8)
    aipp = Aipp("YUV400_U8", 100, 32, (0,) * 4, (127.5,) * 4, (0.00784313725,) * 4)
    prepared = apply_aipp(pixels, aipp).transpose(0, 3, 1, 2)
    half = logits_of(start, om, pixels, compute="float16")
    assert np.array_equal(half, rehearsed(lstm, prepared))


def test_an_operator_that_is_not_modelled_ends_the_load(start: Start, tmp_path: Path) -> None:
    path = write_echo_model(tmp_path / "m.onnx")
    model = onnx.load(str(path))
    model.graph.node.append(helper.make_node("Erf", ["output1"], ["e"], name="erf1"))
    onnx.save(model, str(path))
    om = compile_model(path, tmp_path / "m", Knobs(), STATIC)
    for knobs, code in (({"compute": "float16"}, 145000), ({}, 0)):
        machine = start(**knobs)
        machine.ready()
        assert machine.acl.mdl.load_from_file(str(om))[1] == code
        if code:
            assert "Erf (node erf1) is not one of them" in machine.acl.get_recent_err_msg()
    machine = start(compute="float16", timing_only=True)
    machine.ready()
    assert machine.acl.mdl.load_from_file(str(om))[1] == 0


def test_the_summary_names_the_precision() -> None:
    report = {"leaks": [], "violations": [], "processes": [], "calls": {}, "devices": []}
    for compute, ends in (("float16", "leaks: 0; --compute float16"), ("float32", "leaks: 0")):
        knobs = {"soc": "Ascend310", "cann": [6, 0], "devices": 1, "compute": compute}
        assert summary({**report, "knobs": knobs})[0].endswith(ends)
