"""What a model's images are made of travels with it, and with bins; a difference is named."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import onnx
import pytest
from PIL import Image

from crnn import image
from crnn.ascend.sidecar import read_sidecar
from crnn.cli.main import main
from crnn.fingerprint import (
    FINGERPRINT_KEY,
    INPUT_KEYS,
    Fingerprint,
    differences,
    fingerprint_in,
    parse_fingerprint,
)
from crnn.patterns import MODES, SIZES, fingerprint_of, patterns
from crnn.spec import ModelSpec
from crnn.widths import Widths
from tests.conftest import ROOT
from tests.lines import joined
from tests.models import write_echo_model, write_images
from tests.simulated import simulated

SPEC = ModelSpec.default()
# The default spec's, whichever Pillow is installed.
DEFAULT = "4171b2f9bea7bdcd82c2dab5209373728addd122b3b3f2da5b12ec2ae2f9b854"
OTHERS: Dict[str, Any] = {
    "height": 48,
    "width": 128,
    "color": "rgb",
    "resizer": "pil-bilinear",
    "orient": True,
    "background": "#ffffff",
    "widths": Widths(list=(100, 160)),
    "divisor": 256.0,
    "mean": 0.25,
    "std": 0.25,
}


def carried(path: Path) -> Fingerprint:
    metadata = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    found = fingerprint_in(metadata)
    assert found is not None
    return found


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with a fingerprint."""
    plain = write_echo_model(tmp_path / "plain.onnx")
    path = tmp_path / "echo.onnx"
    assert main(["spec", "set", str(plain), "modelzoo", "-o", str(path)]) == 0
    return path


def test_the_patterns_are_of_every_form_and_size() -> None:
    found = []
    for data in patterns():
        opened = Image.open(io.BytesIO(data))
        found.append((opened.size, opened.mode))
    assert found == [(size, mode) for size in SIZES for mode in MODES]
    assert len(found) == 64


def test_the_default_specs_fingerprint_is_the_same_everywhere() -> None:
    assert fingerprint_of(SPEC) == Fingerprint(((100, DEFAULT),), (255.0, 0.5, 0.5))


def test_it_is_computed_once_a_process() -> None:
    assert fingerprint_of(SPEC) is fingerprint_of(ModelSpec())


@pytest.mark.parametrize("key", INPUT_KEYS)
def test_each_key_that_changes_an_input_changes_it(key: str) -> None:
    assert fingerprint_of(dataclasses.replace(SPEC, **{key: OTHERS[key]})) != fingerprint_of(SPEC)


def test_a_width_has_a_hash_of_its_own() -> None:
    found = fingerprint_of(dataclasses.replace(SPEC, widths=Widths(list=(80, 100))))
    assert found is not None
    assert [width for width, _ in found.pixels] == [80, 100]
    assert dict(found.pixels)[100] == DEFAULT


def test_another_order_of_resizing_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "MAX_PIXELS", 0)  # down first, as for pictures too tall
    assert fingerprint_of.__wrapped__(SPEC) != fingerprint_of(SPEC)


def test_text_and_back() -> None:
    found = fingerprint_of(SPEC)
    assert found is not None
    assert parse_fingerprint(json.loads(found.to_json())) == found


@pytest.mark.parametrize(
    "change",
    [
        {"patterns": "patterns/2"},
        {"pixels": {}},
        {"pixels": {"100": "short"}},
        {"pixels": {"w": DEFAULT}},
        {"mean": "0.5"},
        {"std": None},
    ],
)
def test_what_cannot_be_compared_is_left_alone(change: Dict[str, Any]) -> None:
    found = fingerprint_of(SPEC)
    assert found is not None
    assert parse_fingerprint({**found.to_dict(), **change}) is None


@pytest.mark.parametrize("text", ["", "[1]", "{", "null"])
def test_metadata_without_one(text: str) -> None:
    assert fingerprint_in({FINGERPRINT_KEY: text}) is None


def told(change: Dict[str, Any], **options: bool) -> List[str]:
    one, two = fingerprint_of(SPEC), fingerprint_of(dataclasses.replace(SPEC, **change))
    assert one is not None
    assert two is not None
    return list(differences(one, two, ("A", "B"), **options))


def test_nothing_is_said_of_equal_ones() -> None:
    assert told({}) == []
    assert told({"widths": Widths(list=(80, 100))}) == []


def test_a_difference_is_named() -> None:
    (said,) = told({"resizer": "pil-bilinear"})
    assert said.startswith("A and B make other pixels of the same pictures at width 100")
    assert told({"mean": 0.25}) == ["mean is 0.5 in A, 0.25 in B"]
    assert told({"width": 128}) == ["A has width 100, B 128"]


def test_pixels_have_no_normalisation() -> None:
    assert told({"mean": 0.25}, constants=False) == []


def test_a_model_keeps_its_own_where_images_are_prepared_alike(model: Path) -> None:
    proto = onnx.load(str(model))
    marked = Fingerprint(((100, "0" * 64),), (255.0, 0.5, 0.5))
    for entry in proto.metadata_props:
        if entry.key == FINGERPRINT_KEY:
            entry.value = marked.to_json()
    onnx.save(proto, str(model))
    for change, expected in (
        ('{"temperature": 2.0}', marked),
        ('{"mean": 0.25}', fingerprint_of(dataclasses.replace(SPEC, mean=0.25))),
    ):
        out = model.with_name("out.onnx")
        assert main(["spec", "set", str(model), change, "-o", str(out)]) == 0
        assert carried(out) == expected
        out.unlink()


def test_the_om_takes_the_onnxs(model: Path) -> None:
    done = simulated(ROOT, "compile", str(model), str(model.with_suffix("")))
    assert done.returncode == 0, done.stderr
    path = model.with_name("echo.om.json")
    assert json.loads(path.read_text())["format"] == "crnn-om/5"
    assert read_sidecar(path).inputs == carried(model) == fingerprint_of(SPEC)


def evaluated(
    model: Path, bins: Tuple[str, ...], capsys: pytest.CaptureFixture[str], *more: str
) -> str:
    capsys.readouterr()
    assert main(["evaluate", str(model), *bins, *more]) == 0
    return joined(capsys.readouterr().err)


NOTE = "the bins were not made as the model's images are"


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"std": 0.25}, "std is 0.25 in the bins, 0.5 in the model (their specs differ by std)"),
        ({"resizer": "pil-bilinear"}, "(their specs differ by resizer)"),
    ],
)
def test_bins_made_otherwise_are_named(
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Dict[str, Any],
    named: str,
    pack: bool,
) -> None:
    write_images(tmp_path / "images", ["tree", "4u"])
    for name, spec in (("same", SPEC), ("other", dataclasses.replace(SPEC, **change))):
        label = str(tmp_path / f"{name}.txt")
        words = ["prepare", str(tmp_path / "images"), str(tmp_path / name), "--label", label]
        assert main([*words, "--spec", spec.to_json(), *["--pack"][: int(pack)]]) == 0
    bins = [
        (str(tmp_path / name), "--label", str(tmp_path / f"{name}.txt"))
        for name in ("same", "other")
    ]
    assert NOTE not in evaluated(model, bins[0], capsys)
    said = evaluated(model, bins[1], capsys)
    assert NOTE in said
    assert named in said
    # A run that can be gone on with says so too.
    assert NOTE in evaluated(model, bins[1], capsys, "--run", str(tmp_path / "run"))
    # A spec that the user names is the user's word.
    assert NOTE not in evaluated(model, bins[1], capsys, "--spec", "modelzoo")
    # An older model and older bins say nothing.
    assert NOTE not in evaluated(model.with_name("plain.onnx"), bins[1], capsys)


def test_bins_made_by_another_order_of_resizing_are_named(
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_images(tmp_path / "images", ["tree"])
    bins = (str(tmp_path / "bins"), "--label", str(tmp_path / "label.txt"))
    with monkeypatch.context() as context:
        context.setattr(image, "MAX_PIXELS", 0)
        fingerprint_of.cache_clear()
        assert main(["prepare", str(tmp_path / "images"), *bins]) == 0
        fingerprint_of.cache_clear()
    said = evaluated(model, bins, capsys)
    assert "make other pixels of the same pictures at width 100" in said
    assert "their specs differ" not in said


def test_comparing_decodes_nothing() -> None:
    program = (
        "import sys, crnn.fingerprint, crnn.ascend.sidecar, crnn.jobs.evaluate\n"
        "print(sorted({'PIL', 'onnx', 'cv2', 'crnn.patterns'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=str(ROOT), check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"
