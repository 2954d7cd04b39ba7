"""Whether an OM fits a spec: each refusal by its words."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import List, Tuple

import pytest

from crnn.ascend.fit import misfits
from crnn.ascend.om import Om
from crnn.ascend.om_reader import read_om
from crnn.spec import ModelSpec
from tests.ascend.machine import write_om

SPEC = ModelSpec.default()


@pytest.fixture
def om(tmp_path: Path) -> Om:
    """An OM that fits."""
    made = read_om(write_om(tmp_path / "m.om"))
    assert list(misfits(made, SPEC)) == []
    return made


def with_input_dtype(om: Om, dtype: str) -> Om:
    (tensor,) = om.inputs
    return dataclasses.replace(om, inputs=(dataclasses.replace(tensor, dtype=dtype),))


def with_output_dtype(om: Om, dtype: str) -> Om:
    (tensor,) = om.outputs
    return dataclasses.replace(om, outputs=(dataclasses.replace(tensor, dtype=dtype),))


def said(om: Om) -> List[str]:
    return list(misfits(om, SPEC))


def test_two_inputs_are_named(om: Om) -> None:
    twice = dataclasses.replace(om, inputs=om.inputs * 2)
    assert said(twice) == ["2 inputs for data and 1 outputs; expected one of each"]


def test_no_output_is_named(om: Om) -> None:
    without = dataclasses.replace(om, outputs=())
    assert said(without) == ["1 inputs for data and 0 outputs; expected one of each"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "unknown"])
def test_input_dtypes_that_fit(om: Om, dtype: str) -> None:
    assert said(with_input_dtype(om, dtype)) == []


def test_another_input_dtype_is_named(om: Om) -> None:
    name = om.inputs[0].name
    expected = f"input {name} is int64; expected float32, float16 or uint8"
    assert said(with_input_dtype(om, "int64")) == [expected]


@pytest.mark.parametrize("dtype", ["float32", "float16", "unknown"])
def test_output_dtypes_that_fit(om: Om, dtype: str) -> None:
    assert said(with_output_dtype(om, dtype)) == []


def test_another_output_dtype_is_named(om: Om) -> None:
    name = om.outputs[0].name
    expected = f"output {name} is uint8; expected float32 or float16"
    assert said(with_output_dtype(om, "uint8")) == [expected]


def with_output_shape(om: Om, *shape: int) -> Om:
    (tensor,) = om.outputs
    return dataclasses.replace(om, outputs=(dataclasses.replace(tensor, shape=shape),))


def with_input_shape(om: Om, *shape: int) -> Om:
    (tensor,) = om.inputs
    return dataclasses.replace(om, inputs=(dataclasses.replace(tensor, shape=shape),))


@pytest.mark.parametrize("shape", [(4, 1, 32, 100), (4, 32, 100, 1)], ids=["as is", "AIPP's"])
def test_input_shapes_that_fit(om: Om, shape: Tuple[int, ...]) -> None:
    assert said(with_input_shape(om, *shape)) == []


def test_another_input_shape_is_named(om: Om) -> None:
    name = om.inputs[0].name
    expected = f"input {name} is (4, 1, 32, 160); the spec expects (N, 1, 32, 100)"
    assert said(with_input_shape(om, 4, 1, 32, 160)) == [expected]


@pytest.mark.parametrize("shape", [(26, 1, 63), (41, 1, 37), (26, 37), (1, 26, 37)])
def test_another_output_shape_is_named(om: Om, shape: Tuple[int, ...]) -> None:
    name = om.outputs[0].name
    given = ", ".join(map(str, shape))
    expected = f"output {name} is ({given}); the spec expects (26, N, 37)"
    assert said(with_output_shape(om, *shape)) == [expected]


def test_an_output_whose_shape_is_not_told_fits(om: Om) -> None:
    (tensor,) = om.outputs
    untold = dataclasses.replace(tensor, shape=None)
    assert said(dataclasses.replace(om, outputs=(untold,))) == []


def test_another_batch_is_named(om: Om) -> None:
    assert om.batch_sizes is not None
    found = list(misfits(om, SPEC, batches=[7, 9]))
    sizes = ", ".join(map(str, om.batch_sizes))
    assert found[0] == f"batch {sizes}; expected 7, 9"
