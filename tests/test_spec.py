"""ModelSpec and Alphabet: golden JSON, the bits of the normalisation, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.errors import InputError
from crnn.labels import Alphabet
from crnn.spec import (
    ADDED as ADDED_TO_SPECS,
)
from crnn.spec import (
    METADATA_KEY,
    ModelSpec,
    changed_spec,
    is_new,
    numbered,
    optional_keys,
    read_spec,
    spec_in,
)
from crnn.widths import Widths, widths_of

GOLDEN = (
    '{"alphabet": "0123456789abcdefghijklmnopqrstuvwxyz", "blank": 0, "color": "gray", "divisor":'
    ' 255.0, "fold_case": true, "format": "crnn-spec/1", "height": 32, "input_dtype": "float32",'
    ' "mean": 0.5, "output_axes": "TNK", "resizer": "pil-bicubic", "std": 0.5, "time_steps": 26,'
    ' "width": 100}'
)


def test_golden_json() -> None:
    assert ModelSpec.default().to_json() == GOLDEN
    assert ModelSpec.from_json(GOLDEN) == ModelSpec.default()


@pytest.mark.parametrize(
    "given",
    [
        {"orient": True},
        {"background": "#ffffff"},
        {"orient": True, "background": "#0a0b0c"},
        {"widths": {"rule": "aspect", "factor": 36.0, "list": [80, 100, 128, 160, 200]}},
        {"widths": {"rule": "aspect", "factor": 30.0, "list": [320]}, "orient": True},
        {"temperature": 0.85},
        {"views": "5"},
        {"views": "near2,rot+5"},
    ],
)
def test_new_keys_are_written_only_where_they_are_set(given: Any) -> None:
    widths = {key: widths_of(value) for key, value in given.items() if key == "widths"}
    spec = ModelSpec(**{**given, **widths})
    data = json.loads(spec.to_json())
    assert data == {**json.loads(GOLDEN), "format": "crnn-spec/2", **given}
    assert ModelSpec.from_json(spec.to_json()) == spec


def test_table_has_the_bits_of_training() -> None:
    # torchvision: to_tensor divides by 255 in float32, then sub_(0.5).div_(0.5).
    pixels = np.arange(256).astype(np.float32)
    expected = (pixels / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    np.testing.assert_array_equal(ModelSpec.default().table, expected)
    other = (pixels - np.float32(127.5)) / np.float32(127.5)
    assert (ModelSpec.default().table != other).any(), (
        "the two formulas differ in bits, which is why it is spelt out"
    )


@given(
    st.builds(
        ModelSpec,
        height=st.integers(1, 64),
        width=st.integers(1, 640),
        color=st.sampled_from(["gray", "rgb", "bgr"]),
        mean=st.floats(-2, 2),
        std=st.floats(0.01, 2),
        characters=st.sampled_from(["ab", "字母", '"\\', "0-9"]),
        fold_case=st.booleans(),
    )
)
def test_json_round_trip(spec: ModelSpec) -> None:
    assert ModelSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": "100"}, "width is '100'; expected int"),
        ({"width": True}, "width is True"),
        ({"width": 0}, "width is 0; expected 1 to 65535"),
        ({"fold_case": 1}, "fold_case is 1; expected bool"),
        ({"color": "grey"}, "color is 'grey'; expected one of gray, rgb, bgr"),
        ({"resizer": "nearest"}, "resizer is 'nearest'; expected one of pil-bicubic, "),
        ({"input_dtype": "int8"}, "input_dtype is 'int8'; expected one of float32, "),
        ({"output_axes": "KTN"}, "output_axes is 'KTN'; expected one of TNK, NTK, NKT"),
        ({"height": 65536}, "height is 65536; expected 1 to 65535"),
        ({"time_steps": 0}, "time_steps is 0; expected 1 to 65535"),
        ({"time_steps": 8193}, "time_steps is 8193; at most 8192"),
        ({"width": 32769}, "values of an image are 1048608; at most 1048576"),
        ({"color": "rgb", "width": 10923}, "values of an image are 1048608; at most"),
        ({"divisor": 0}, "divisor is 0; pixels are divided by it"),
        ({"std": 0}, "std is 0; pixels are divided by it"),
        ({"mean": float("inf")}, "mean is inf"),
        ({"blank": 5}, "the blank has class 5, inside the alphabet"),
        ({"alphabet": "aba"}, "holds 'a' twice, at positions 0 and 2"),
        ({"alphabet": ""}, "alphabet is empty"),
        ({"extra": 1}, "unknown or missing keys: extra"),
        (dict.fromkeys("dbcae", 1), "unknown or missing keys: a, b, c, d, e$"),
        ({"format": "crnn-spec/3"}, "the format is 'crnn-spec/3'; expected 'crnn-spec/2'"),
        ({"orient": True}, "unknown or missing keys: orient"),
        ({"format": "crnn-spec/2", "orient": 1}, "orient is 1; expected bool"),
        ({"format": "crnn-spec/2", "background": "white"}, "expected a colour such as '#ffffff'"),
        ({"widths": [80]}, "unknown or missing keys: widths"),
        ({"temperature": 2.0}, "unknown or missing keys: temperature"),
        ({"format": "crnn-spec/2", "views": "near0"}, "views: there is no view 'near0'"),
        ({"format": "crnn-spec/2", "views": "4"}, "views: there is no set of 4 views"),
        ({"format": "crnn-spec/2", "views": 5}, "views is 5; expected str"),
        ({"format": "crnn-spec/2", "temperature": 0}, "temperature is 0; expected 0.01 to 100"),
        ({"format": "crnn-spec/2", "temperature": 100.5}, "temperature is 100.5; expected"),
        ({"format": "crnn-spec/2", "temperature": float("nan")}, "temperature is nan"),
        ({"format": "crnn-spec/2", "temperature": 10**400}, "expected 0.01 to 100"),
        ({"format": "crnn-spec/2", "temperature": "1"}, "temperature is '1'; expected float"),
        *[
            ({"format": "crnn-spec/2", "widths": widths}, message)
            for widths, message in (
                (True, "widths is True; expected dict"),
                ({}, r"widths is {}; expected an object of rule, factor, list"),
                ({"list": [80], "step": 4}, "expected an object of rule, factor, list"),
                ([], "list is empty"),
                ([80, "100"], "'100' is in the list; expected whole numbers"),
                ([80, True], "True is in the list"),
                ([80, 100.5], "100.5 is in the list"),
                ({"list": 80}, "list is 80; expected a list"),
                ([0, 80], "0 is in the list; expected 1 to 65535"),
                ([80, 10**30], "is in the list; expected 1 to 65535"),
                ([100, 80], "list is 100, 80; expected ascending widths, each once"),
                ([80, 80], "ascending widths, each once"),
                (list(range(8, 80)), "72 widths; at most 64"),
                ([80, 65535], "2097120; at most 1048576"),
                ({"list": [80], "rule": "height"}, "rule is 'height'; expected 'aspect'"),
                ({"list": [80], "rule": 3}, "rule is 3"),
                ({"list": [80], "factor": "36"}, "factor is '36'; expected a number"),
                ({"list": [80], "factor": 0}, "factor is 0; expected 0.001 to 65535"),
                ({"list": [80], "factor": float("nan")}, "factor is nan"),
                ({"list": [80], "factor": 10**400}, "expected 0.001 to 65535"),
            )
        ],
    ],
)
def test_what_is_no_spec(change: Any, message: str) -> None:
    data = {**json.loads(GOLDEN), **change}
    with pytest.raises(InputError, match=message):
        ModelSpec.from_json(json.dumps(data), where="here")


@pytest.mark.parametrize("text", ["", "[]", "null", "3", "{", '{"format": "crnn-spec/1"}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="^here: "):
        ModelSpec.from_json(text, where="here")


@pytest.mark.parametrize(
    "change",
    [
        {"height": 1, "width": 1, "time_steps": 1},
        {"time_steps": 8192, "width": 32768},
        {"format": "crnn-spec/2", "temperature": 0.01},
        {"format": "crnn-spec/2", "temperature": 100},
    ],
)
def test_the_ends_of_what_a_spec_may_hold(change: Any) -> None:
    spec = ModelSpec.from_dict({**json.loads(GOLDEN), **change})
    for key in set(change) - {"format"}:
        assert getattr(spec, key) == change[key]


def test_a_spec_that_is_too_deep_is_not_json(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="spec.json: not JSON"):
        read_spec(path)
    with pytest.raises(InputError, match="here: not JSON"):
        ModelSpec.from_json("[" * 100_000, where="here")


def test_a_file_that_is_not_a_spec_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"spec": {"format": "crnn-spec/9"}}))
    with pytest.raises(InputError, match="spec.json: the format is 'crnn-spec/9'"):
        read_spec(path)


def test_the_axes_of_logits_by_their_shape() -> None:
    spec = ModelSpec(characters="abcd", time_steps=5, output_axes="NKT")
    # Five time steps, five classes: every order fits, the spec's own comes first.
    assert spec.fitting_axes((5, 5, 5), 5) == ["NKT", "TNK", "NTK"]
    assert spec.fitting_axes((None, 3, 5), 3) == ["TNK"]
    assert spec.fitting_axes((5, 5), None) == []
    assert spec.output_shape(3) == (3, 5, 5)
    several = dataclasses.replace(spec, widths=Widths(list=(80, 128)))
    assert several.output_shape(3) == (3, 5, None)
    assert several.fitting_axes((3, 5, 99), 3) == ["NKT"]


@pytest.mark.parametrize("character", ["\n", "\0", "\t", "\ud800"])
def test_control_characters_are_no_letters(character: str) -> None:
    with pytest.raises(InputError, match="control character"):
        Alphabet(f"ab{character}")


@pytest.mark.parametrize("alphabet", ["abc]xyz", "^-\\]", "a.b*"])
def test_alphabets_are_sets_not_patterns(alphabet: str) -> None:
    assert Alphabet(alphabet).outside("d" + alphabet + "d") == "d"


def test_case_folding_follows_the_alphabet() -> None:
    assert Alphabet("abc").folds_case
    assert not Alphabet("abC").folds_case
    assert ModelSpec(fold_case=False).fold("AbC") == "AbC"
    assert ModelSpec().fold("ÀbC") == "àbc"


def test_the_spec_that_an_onnx_carries(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ModelSpec(width=160, time_steps=41)
    assert spec_in({METADATA_KEY: spec.to_json()}, Path("m.onnx")) == spec
    assert spec_in({"other": "{}"}, Path("m.onnx")) is None
    monkeypatch.setenv("CRNN_MAX_TEXT", str(len(spec.to_json())))
    assert spec_in({METADATA_KEY: spec.to_json()}, Path("m.onnx")) == spec
    with pytest.raises(InputError, match=r"m.onnx, metadata crnn.spec: \d+ characters"):
        spec_in({METADATA_KEY: spec.to_json() + " "}, Path("m.onnx"))
    with pytest.raises(InputError, match="m.onnx, metadata crnn.spec"):
        spec_in({METADATA_KEY: "{"}, Path("m.onnx"))


ADDED = (frozenset(["padding"]), frozenset(["colour_space", "gamma"]))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["width"], "crnn-spec/1"),
        (["width", "padding"], "crnn-spec/2"),
        (["gamma"], "crnn-spec/3"),
        (["padding", "gamma"], "crnn-spec/3"),
    ],
)
def test_a_format_takes_the_lowest_number_that_knows_its_keys(
    keys: List[str], expected: str
) -> None:
    assert numbered("crnn-spec/1", ADDED, keys) == expected


def test_a_format_reads_what_came_up_to_it() -> None:
    assert optional_keys("crnn-spec/1", ADDED, "crnn-spec/1") == frozenset()
    assert optional_keys("crnn-spec/1", ADDED, "crnn-spec/2") == {"padding"}
    assert optional_keys("crnn-spec/1", ADDED, "crnn-spec/3") == {
        "padding",
        "colour_space",
        "gamma",
    }
    for unknown in ("crnn-spec/4", "crnn-spec/02", "crnn-om/2", None, 2, ["crnn-spec/1"]):
        assert optional_keys("crnn-spec/1", ADDED, unknown) is None


def test_a_new_key_is_written_only_where_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModelSpec(width=160).to_json()
    monkeypatch.setattr("crnn.spec.ADDED", (frozenset([*ADDED_TO_SPECS[0], "width"]),))
    plain = ModelSpec()
    assert "width" not in plain.to_dict()
    assert plain.to_dict()["format"] == "crnn-spec/1"
    wide = ModelSpec(width=160)
    assert wide.to_dict()["format"] == "crnn-spec/2"
    for spec in (plain, wide):
        assert ModelSpec.from_json(spec.to_json()) == spec
    # A file of the first format does not hold what the second one added.
    with pytest.raises(InputError, match="unknown or missing keys: width"):
        ModelSpec.from_json(old)


@pytest.mark.parametrize("text", ["3", '"spec"', "[]", "null"])
def test_a_file_of_other_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spec.json"
    path.write_text(text)
    with pytest.raises(InputError, match="spec.json: the format is '(int|str|list|NoneType)'"):
        read_spec(path)


def test_steps_are_asked_of_widths_that_there_are() -> None:
    with pytest.raises(InputError, match="here: spec: width is 0; expected 1 to 65535"):
        changed_spec(ModelSpec(), {"width": 0}, where="here", steps=lambda width: 100 // width)
    with pytest.raises(InputError, match="here: the format is 'list'"):
        changed_spec(ModelSpec(), ["width"], where="here", steps=lambda width: None)


def test_a_key_is_new_whichever_format_added_it() -> None:
    found = [is_new(key, ADDED) for key in ("width", "padding", "colour_space", "gamma")]
    assert found == [False, True, True, True]


def test_a_given_spec_sets_widths_and_takes_them_away() -> None:
    own = ModelSpec.default()
    wide = changed_spec(own, {"widths": [80, 128]}, where="here", steps=lambda width: None)
    assert wide.widths == Widths(list=(80, 128))
    assert (wide.width, wide.time_steps) == (own.width, own.time_steps)
    assert wide.read_widths == (80, 128)
    again = changed_spec(wide, {"widths": None}, where="here", steps=lambda width: None)
    assert again == own
    assert again.to_json() == GOLDEN


def test_a_spec_at_one_width_has_no_others() -> None:
    spec = ModelSpec(widths=Widths(list=(80, 128)))
    assert spec.at_width(128, 33) == ModelSpec(width=128, time_steps=33)
