"""Whether an OM fits a spec: each refusal by its words."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import List

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
