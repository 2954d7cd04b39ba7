"""Transparency and EXIF orientation: as in training, said once a run, or as the spec says."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest
from PIL import Image

from crnn.cli.main import main
from crnn.image import TRANSPARENT, TURNED, decode, decode_remarked
from crnn.runners.onnx_runner import OnnxRunner
from crnn.samples.lmdb_writer import new_lmdb
from crnn.spec import ModelSpec
from tests.conftest import ROOT
from tests.models import SPEC, write_echo_model
from tests.weights.checkpoints import save, split, state

WHITE, BLACK = ModelSpec(background="#ffffff"), ModelSpec(background="#000000")


def ink() -> np.ndarray:
    """A mask (32, 100) of something that is the same neither turned nor mirrored."""
    mask = np.zeros((32, 100), dtype=bool)
    mask[4:28, 10:20] = True
    mask[20:28, 20:70] = True
    return mask


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def rgba(kind: str = "PNG") -> bytes:
    """Black on nothing, the colour under which is black too."""
    pixels = np.zeros((32, 100, 4), dtype=np.uint8)
    pixels[..., 3] = 255 * ink()
    return encoded(Image.fromarray(pixels), kind, **({"lossless": True} if kind == "WEBP" else {}))


def la() -> bytes:
    pixels = np.zeros((32, 100, 2), dtype=np.uint8)
    pixels[..., 1] = 255 * ink()
    return encoded(Image.fromarray(pixels, "LA"))


def keyed_gray() -> bytes:
    return encoded(Image.fromarray(np.where(ink(), 1, 0).astype(np.uint8)), transparency=0)


def palette() -> bytes:
    image = Image.fromarray(ink().astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 0, 0, 0] + [0] * 762)
    return encoded(image, transparency=0)


def keyed_rgb() -> bytes:
    pixels = np.zeros((32, 100, 3), dtype=np.uint8)
    pixels[ink()] = (1, 0, 0)
    return encoded(Image.fromarray(pixels), transparency=(0, 0, 0))


CLEAR: Dict[str, Callable[[], bytes]] = {
    "RGBA": rgba,
    "WebP": lambda: rgba("WEBP"),
    "LA": la,
    "gray with a key": keyed_gray,
    "palette": palette,
    "RGB with a key": keyed_rgb,
}
pytestmark = pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")


@pytest.mark.parametrize("kind", CLEAR)
def test_what_is_transparent_is_put_on_the_specs_colour(kind: str) -> None:
    data = CLEAR[kind]()
    pixels, remarks = decode_remarked(data, SPEC)
    assert remarks == [TRANSPARENT]
    assert pixels.max() <= 1  # the colour under it, as in training
    on_white, remarks = decode_remarked(data, WHITE)
    assert remarks == [TRANSPARENT]
    np.testing.assert_array_equal(on_white[0] < 128, ink())
    assert decode(data, BLACK).max() <= 1
    red = decode(data, ModelSpec(background="#ff0000", color="rgb"))
    np.testing.assert_array_equal(red[0] > 128, ~ink())
    assert red[1:].max() <= 1


def test_half_transparent_is_mixed() -> None:
    pixels = np.zeros((32, 100, 4), dtype=np.uint8)
    pixels[..., 3] = 51
    assert decode(encoded(Image.fromarray(pixels)), WHITE).flat[0] == 204


OPAQUE = {
    "RGBA, all of it opaque": lambda: encoded(Image.new("RGBA", (100, 32), (9, 9, 9, 255))),
    "gray": lambda: encoded(Image.new("L", (100, 32), 9)),
    "a key that no pixel has": lambda: encoded(Image.new("L", (100, 32), 9), transparency=5),
    "JPEG": lambda: encoded(Image.new("RGB", (100, 32), (9, 9, 9)), "JPEG"),
    "CMYK": lambda: encoded(Image.new("CMYK", (100, 32), (9, 9, 9, 0)), "JPEG"),
    "16 bit": lambda: encoded(Image.fromarray(np.full((32, 100), 9 * 257, dtype=np.uint16))),
}


@pytest.mark.parametrize("kind", OPAQUE)
def test_what_is_opaque_is_neither_counted_nor_changed(kind: str) -> None:
    data = OPAQUE[kind]()
    pixels, remarks = decode_remarked(data, SPEC)
    assert list(remarks) == []
    np.testing.assert_array_equal(decode(data, WHITE), pixels)


def turned(tag: int, kind: str) -> bytes:
    """An image that is `ink` once it is turned as its tag says."""
    image = Image.fromarray(np.where(ink(), 0, 255).astype(np.uint8))
    undo: Dict[int, List[int]] = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}
    for step in undo[tag]:
        image = image.transpose(step)  # type: ignore[arg-type]
    exif = Image.Exif()
    exif[0x0112] = tag
    options: Dict[str, Any] = {"exif": exif.tobytes()}
    if kind == "JPEG":
        options["quality"] = 100
    return encoded(image, kind, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("tag", [2, 3, 4, 5, 6, 7, 8])
def test_an_image_is_turned_only_where_the_spec_says_so(tag: int, kind: str) -> None:
    data = turned(tag, kind)
    stored, remarks = decode_remarked(data, SPEC)
    assert remarks == [TURNED]
    upright, remarks = decode_remarked(data, ModelSpec(orient=True))
    assert remarks == [TURNED]
    wrong = (upright[0] < 128) != ink()
    assert wrong.mean() < 0.01
    assert ((stored[0] < 128) != ink()).mean() > 0.05


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0II*\0", b"not exif at all"])
def test_a_damaged_tag_says_nothing(exif: bytes) -> None:
    data = encoded(Image.new("L", (100, 32), 9), "JPEG", exif=exif)
    try:
        Image.open(io.BytesIO(data)).load()
    except (SyntaxError, OSError):
        pytest.skip("Pillow before 11 may refuse an image for its tag")
    pixels, remarks = decode_remarked(data, SPEC)
    assert list(remarks) == []
    np.testing.assert_array_equal(decode(data, ModelSpec(orient=True)), pixels)


def test_a_run_says_once_how_many_there_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with new_lmdb(tmp_path / "lmdb") as writer:
        for data in (rgba(), la(), turned(6, "PNG"), OPAQUE["gray"]()):
            writer.add(data, "a")
    model = write_echo_model(tmp_path / "m.onnx")
    assert main(["evaluate", str(model), str(tmp_path / "lmdb"), "--batch", "1"]) == 0
    err = capsys.readouterr().err
    assert err.count(TRANSPARENT) == 1
    assert f"{TRANSPARENT}: 2, taken by the colour under it" in err
    assert f"{TURNED}: 1, taken as stored" in err
    (tmp_path / "a.png").write_bytes(rgba())
    (tmp_path / "b.png").write_bytes(turned(6, "PNG"))
    assert main(["read", str(model), str(tmp_path / "a.png"), str(tmp_path / "b.png")]) == 0
    err = capsys.readouterr().err
    assert f"{TRANSPARENT}: 1, taken" in err
    assert f"{TURNED}: 1, taken" in err
    prepare = ["prepare", str(tmp_path / "lmdb"), str(tmp_path / "bins")]
    prepare += ["--label", str(tmp_path / "label.txt")]
    assert main(prepare) == 0
    out = capsys.readouterr().out
    assert f"{TRANSPARENT}: 2, taken by the colour under it" in out
    assert f"{TURNED}: 1, taken as stored" in out
    assert main([*prepare, "--background", "white", "--orient"]) == 0
    out = capsys.readouterr().out
    assert f"{TRANSPARENT}: 2, put on #ffffff" in out
    assert f"{TURNED}: 1, turned as it says" in out
    described = json.loads((tmp_path / "bins.json").read_text())["spec"]
    assert (described["orient"], described["background"]) == (True, "#ffffff")
    first = np.fromfile(tmp_path / "bins" / "test_1.bin", dtype="<f4").reshape(32, 100)
    np.testing.assert_array_equal(first < 0, ink())


@pytest.mark.slow
def test_training_says_so_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with new_lmdb(tmp_path / "lmdb") as writer:
        for data in (rgba(), la(), turned(6, "PNG"), OPAQUE["gray"]()):
            writer.add(data, "a")
    recipe = ["train", "synthetic", f"train={tmp_path / 'lmdb'}", "length=1 epochs", "workers=0"]
    recipe += ["batch_size=4", "hidden=4", "channels=[4,4,4,4,4,4,4]", "augment=none"]
    assert main([*recipe, "--out", str(tmp_path / "run")]) == 0
    err = capsys.readouterr().err
    assert f"of this device's words: {TRANSPARENT}: 2, taken by the colour under it" in err
    assert f"{TURNED}: 1, taken as stored" in err


def test_an_export_carries_them_to_whatever_reads_the_model(tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "m.pth", split(state()))
    arguments = ["export", str(checkpoint), str(tmp_path / "m.onnx")]
    assert main([*arguments, "--orient", "--background", "#FFFFFF"]) == 0
    with OnnxRunner(tmp_path / "m.onnx") as runner:
        assert (runner.spec.orient, runner.spec.background) == (True, "#ffffff")
    assert main([*arguments, "--background", "green"]) == 2
    assert main(arguments) == 0
    with OnnxRunner(tmp_path / "m.onnx") as runner:
        assert runner.spec == SPEC


def test_words_of_the_example_are_neither(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = write_echo_model(tmp_path / "m.onnx")
    assert main(["evaluate", str(model), str(ROOT / "examples" / "words_lmdb")]) == 0
    assert TRANSPARENT not in capsys.readouterr().err
