"""The historical ``Net`` class, in a context that the caller makes, as older scripts do."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
from pathlib import Path
from typing import Iterator, Tuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from acl_net import Net
from crnn import ctc
from crnn.ascend.pyacl import Acl, AscendError, load_acl
from crnn.errors import InputError
from crnn.simulator import Fault, Knobs
from crnn.simulator.om_file import OmTensor, SimulatedOm, to_bytes
from tests.ascend.machine import clean, machine, write_om
from tests.conftest import ROOT
from tests.models import SPEC, echo_images

WORDS = ["net", "old", "run", "4"]


@contextlib.contextmanager
def caller(device: int = 0) -> Iterator[Tuple[Acl, int]]:
    """What an older script does around its nets."""
    acl = load_acl()
    acl.init()
    acl.set_device(device)
    context = acl.create_context(device)
    try:
        yield acl, context
    finally:
        acl.destroy_context(context)
        acl.reset_device(device)
        acl.finalize()


def read(logits: np.ndarray) -> list:
    return ctc.greedy(logits, SPEC.alphabet)


def test_one_array_or_a_list(tmp_path: Path) -> None:
    with machine() as findings, caller() as (_, context):
        net = Net(context, str(write_om(tmp_path / "m.om")), 0)
        for data in (echo_images(WORDS), [echo_images(WORDS)], (echo_images(WORDS),)):
            outputs = net(data)
            assert isinstance(outputs, list)
            assert [(array.shape, array.dtype) for array in outputs] == [((26, 4, 37), np.float32)]
            assert read(outputs[0]) == WORDS
        kept = net(echo_images(WORDS))[0]
        net.forward(echo_images(WORDS[::-1]))
        assert read(kept) == WORDS  # a copy
        del net  # as older scripts give a model back
        gc.collect()
    assert findings.calls["acl.init"] == findings.calls["acl.finalize"] == 1
    clean(findings)


def test_gears_and_keywords(tmp_path: Path) -> None:
    path = write_om(tmp_path / "m.om", batches=(1, 2, 4), gears=True)
    with machine() as findings, caller() as (_, context), Net(
        context, model_path=path, device_id=0, first=False, config_path=None
    ) as net:
        for count in (2, 1, 4):
            (logits,) = net(echo_images(WORDS[:count]))
            assert logits.shape == (26, count, 37)
            assert read(logits) == WORDS[:count]
        with pytest.raises(InputError, match="has the gears 1, 2, 4; got 3 rows"):
            net(echo_images(WORDS[:3]))
    clean(findings)


def test_several_inputs_and_outputs_of_several_types(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["a", "b"], ["sum"]),
        helper.make_node("Greater", ["a", "b"], ["more"]),
        helper.make_node("Cast", ["sum"], ["half"], to=TensorProto.FLOAT16),
    ]
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("a", "b", "sum")
    ]
    more = helper.make_tensor_value_info("more", TensorProto.BOOL, [2, 3])
    half = helper.make_tensor_value_info("half", TensorProto.FLOAT16, [2, 3])
    graph = helper.make_graph(nodes, "two", tensors[:2], [tensors[2], more, half])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(model)
    inputs = tuple(OmTensor(name, "float32", (2, 3), "ND") for name in "ab")
    outputs = tuple(
        OmTensor(name, dtype, (2, 3), "ND")
        for name, dtype in (("s", "float32"), ("m", "bool"), ("h", "float16"))
    )
    om = SimulatedOm(
        "two",
        "Ascend310",
        (5, 0),
        "atc",
        "force_fp16",
        inputs,
        outputs,
        inputs,
        (2,),
        False,
        (((2, 3),) * 3,),
        None,
        model.SerializeToString(),
    )
    path = tmp_path / "two.om"
    path.write_bytes(to_bytes(om))
    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.full((2, 3), 2, dtype=np.float32)
    with machine() as findings, caller() as (_, context), Net(context, path) as net:
        total, greater, halved = net([a, b])
        with pytest.raises(InputError, match="has 2 inputs; got 1"):
            net(a)
    np.testing.assert_array_equal(total, a + b)
    np.testing.assert_array_equal(greater, a > b)
    assert greater.dtype == np.bool_
    assert halved.dtype == np.float16
    clean(findings)


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((4, 1, 32, 100), dtype=np.float64),
        np.zeros((4, 1, 32, 99), dtype=np.float32),
        np.zeros((3, 1, 32, 100), dtype=np.float32),
        np.float32(1),
    ],
    ids=["dtype", "width", "batch", "scalar"],
)
def test_what_the_model_does_not_take_is_refused(tmp_path: Path, data: np.ndarray) -> None:
    with machine() as findings, caller() as (_, context), Net(
        context, write_om(tmp_path / "m.om")
    ) as net, pytest.raises(InputError, match=r"actual_input_1 is float32 \(4, 1, 32, 100\); got"):
        net(data)
    assert "acl.mdl.execute" not in findings.calls
    clean(findings)


FORMS = {
    "flat": lambda image: image.reshape(-1),
    "without the batch": lambda image: image[0],
    "rows and columns": lambda image: image[0, 0],
    "channels last": lambda image: image.transpose(0, 2, 3, 1),
    "its bytes as uint8": lambda image: image.reshape(-1).view(np.uint8),
    "bytes": lambda image: image.tobytes(),
    "a bytearray": lambda image: bytearray(image.tobytes()),
    "not contiguous": lambda image: np.repeat(image, 2, axis=3)[:, :, :, ::2],
}


@pytest.mark.parametrize("form", FORMS)
def test_any_form_of_the_right_size_is_taken(tmp_path: Path, form: str) -> None:
    path = write_om(tmp_path / "m.om", batches=(1,))
    with machine() as findings, caller() as (_, context), Net(context, path) as net:
        (logits,) = net(FORMS[form](echo_images(["net"])))
        assert read(logits) == ["net"]
    clean(findings)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_with_gears_the_size_tells_the_batch(tmp_path: Path, count: int) -> None:
    path = write_om(tmp_path / "m.om", batches=(1, 2, 4), gears=True)
    with machine() as findings, caller() as (_, context), Net(context, path) as net:
        for data in (echo_images(WORDS[:count]).reshape(-1), echo_images(WORDS[:count]).tobytes()):
            assert read(net(data)[0]) == WORDS[:count]
        with pytest.raises(InputError, match="has the gears 1, 2, 4; got 3 rows"):
            net(echo_images(WORDS[:3]).tobytes())
    clean(findings)


@pytest.mark.parametrize(
    "data",
    [
        np.zeros(3199, dtype=np.float32),
        np.zeros(12801, dtype=np.uint8),
        np.zeros((1, 1, 100, 32), dtype=np.float32),
        np.zeros(3200, dtype=np.float64),
        np.zeros(3200, dtype=np.int32),
        b"",
    ],
    ids=["one short", "one byte more", "turned", "float64", "int32", "nothing"],
)
def test_another_size_type_or_order_is_refused(tmp_path: Path, data: np.ndarray) -> None:
    path = write_om(tmp_path / "m.om", batches=(1,))
    said = r"actual_input_1 is float32 \(1, 1, 32, 100\); got"
    with machine() as findings, caller() as (_, context), Net(context, path) as net, pytest.raises(
        InputError, match=said
    ):
        net(data)
    clean(findings)


def test_what_the_historical_class_had_is_there(tmp_path: Path) -> None:
    path = write_om(tmp_path / "m.om")
    with machine() as findings, caller() as (acl, context), Net(context, path) as net:
        logits = net(echo_images(WORDS))[0]
        assert acl.get_num_outputs(net.model_desc) == len(net.output_data) == 1
        assert acl.get_num_inputs(net.model_desc) == len(net.input_data) == 1
        assert isinstance(net.model_id, int)
        assert net.input_data[0]["size"] == 4 * 3200 * 4
        assert net.output_data[0]["size"] == 26 * 4 * 37 * 4
        (again,) = net.get_result(net.output_data)
        np.testing.assert_array_equal(again, logits)
    clean(findings)


def test_two_nets_in_contexts_of_their_own_leave_the_callers_current(tmp_path: Path) -> None:
    path = write_om(tmp_path / "m.om")
    with machine(Knobs(devices=2)) as findings, caller(0) as (acl, context):
        acl.set_device(1)
        other = acl.create_context(1)
        with Net(context, path, 0) as one, Net(other, path, 1) as two:
            assert acl.get_context() == other
            assert read(one(echo_images(WORDS))[0]) == read(two(echo_images(WORDS))[0]) == WORDS
            assert acl.get_context() == other
        acl.destroy_context(other)
        acl.reset_device(1)
        acl.set_context(context)
    clean(findings)


def test_released_once_and_then_refused(tmp_path: Path) -> None:
    with machine() as findings, caller() as (_, context):
        net = Net(context, write_om(tmp_path / "m.om"))
        net.release()
        net.release()
        with pytest.raises(InputError, match="was released"):
            net(echo_images(WORDS))
    assert findings.calls["acl.mdl.unload"] == 1
    clean(findings)


def test_a_failing_construction_gives_all_back(tmp_path: Path) -> None:
    knobs = Knobs(faults=(Fault("acl.rt.malloc", 2, 207001),))
    with machine(knobs) as findings, caller() as (_, context), pytest.raises(
        AscendError, match="207001"
    ):
        Net(context, write_om(tmp_path / "m.om"))
    clean(findings)


def test_a_config_is_for_an_acl_that_nobody_has_initialised(tmp_path: Path) -> None:
    config = tmp_path / "acl.json"
    config.write_text("{}")
    path = write_om(tmp_path / "m.om")
    with machine() as findings, caller() as (_, context), Net(
        context, path, 0, True, str(config)
    ) as net:
        net(echo_images(WORDS))
    assert findings.calls["acl.finalize"] == 1  # the caller's own
    clean(findings)


def test_an_end_without_del_is_quiet(tmp_path: Path) -> None:
    # An older script that never gives its net back: its finalize comes first, and nothing is called
    # after it.
    script = tmp_path / "old.py"
    script.write_text(
        "import acl, sys\n"
        "from acl_net import Net\n"
        "from tests.models import echo_images\n"
        "acl.init(); acl.rt.set_device(0); context, ret = acl.rt.create_context(0)\n"
        "net = Net(context, sys.argv[1])\n"
        "print(net(echo_images(['abc'] * 4))[0].shape)\n"
        "acl.rt.reset_device(0); acl.finalize()\n"
    )
    command = [
        sys.executable,
        "-m",
        "crnn.simulator",
        "--",
        sys.executable,
        str(script),
        str(write_om(tmp_path / "m.om")),
    ]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout == "(26, 4, 37)\n", done.stderr
    assert "Traceback" not in done.stderr
    assert "after acl.finalize" not in done.stderr
