"""A network of three input channels goes all the way, from its import to its OM.

The model is the example's with its first convolution spread over red, green and blue by ITU-R
BT.601's weights, which is what Pillow's 'L' does: it reads colour images as the gray one does.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, Dict

import lmdb
import numpy as np
import pytest
import torch
from PIL import Image

from crnn.cli.main import main
from crnn.samples.lmdb import LmdbSamples
from tests.conftest import ROOT
from tests.simulated import host

LUMA = (0.299, 0.587, 0.114)
WORDS = ROOT / "examples" / "words_lmdb"
TEXTS = ("red", "green", "blue")


def coloured_weights(order: str) -> Dict[str, Any]:
    content = torch.load(ROOT / "examples" / "crnn_small.pth", weights_only=True)
    weights = dict(content.get("state_dict", content))
    name = next(name for name in weights if name.endswith("cnn.conv0.weight"))
    shares = LUMA if order == "rgb" else LUMA[::-1]
    gray = weights[name].float()
    weights[name] = torch.cat([share * gray for share in shares], dim=1)
    return {"net": weights}


@pytest.fixture(scope="module", params=["rgb", "bgr"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    order = request.param
    folder = tmp_path_factory.mktemp(order)
    torch.save(coloured_weights(order), folder / "w.pth")
    more = [] if order == "rgb" else ["--color", "bgr"]
    assert main(["import", "torch", str(folder / "w.pth"), str(folder / "k.pth"), *more]) == 0
    assert main(["export", str(folder / "k.pth"), str(folder / "m.onnx")]) == 0
    data = tinted_words(folder / "words_lmdb")
    return order, folder, data


def tinted_words(path: Path) -> Path:
    """Copy 24 words, each tinted red, green or blue, so that channels in another order show."""
    # Read as the kit does: it may hold the file open for another test of this process.
    words = itertools.islice(LmdbSamples(WORDS), 24)
    target = lmdb.open(str(path), map_size=1 << 24)
    with target, target.begin(write=True) as new:
        for index, word in enumerate(words, 1):
            new.put(b"image-%09d" % index, tinted(word.image or b"", index % 3))
            new.put(b"label-%09d" % index, (word.label or "").encode())
        new.put(b"num-samples", b"24")
    return path


def tinted(data: bytes, channel: int) -> bytes:
    import io

    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).copy()
    pixels[:, :, channel] = 255 - (255 - pixels[:, :, channel]) // 4
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def evaluated(model: Path, data: Path, *more: str) -> Any:
    result = model.parent / "result.json"
    assert main(["evaluate", str(model), str(data), "--json", str(result), *more]) == 0
    return json.loads(result.read_text())


def test_a_coloured_model_reads_lmdb_bins_and_images(made: Any) -> None:
    order, folder, data = made
    bins, label = folder / "bins", folder / "label.txt"
    words = ["prepare", str(data), str(bins), "--label", str(label)]
    assert main([*words, "--spec", str(folder / "m.onnx")]) == 0
    assert (bins / "test_1.bin").stat().st_size == 3 * 32 * 100 * 4
    by_data = evaluated(folder / "m.onnx", data)
    by_bins = evaluated(folder / "m.onnx", bins, "--label", str(label))
    assert by_data["model"]["spec"]["color"] == order
    assert by_data["accuracy"] > 0.8
    assert (by_bins["correct"], by_bins["total"]) == (by_data["correct"], by_data["total"])
    assert evaluated(folder / "k.pth", data)["correct"] == by_data["correct"]


def test_the_order_of_the_channels_is_in_the_bins(made: Any) -> None:
    order, folder, data = made
    target = folder / "one"
    words = ["prepare", str(data), str(target), "--label", str(folder / "l.txt")]
    assert main([*words, "--spec", str(folder / "m.onnx")]) == 0
    planes = np.fromfile(target / "test_3.bin", "<f4").reshape(3, 32, 100)
    brightest = int(planes.mean(axis=(1, 2)).argmax())
    assert brightest == {"rgb": 0, "bgr": 2}[order]  # the third word is tinted red


def test_a_coloured_model_reads_single_images(
    made: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder, data = made
    with lmdb.open(str(data), readonly=True, lock=False) as environment, environment.begin() as at:
        (folder / "word.png").write_bytes(at.get(b"image-000000001"))
        label = at.get(b"label-000000001").decode()
    capsys.readouterr()
    assert main(["read", str(folder / "m.onnx"), str(folder / "word.png")]) == 0
    assert capsys.readouterr().out.split("\t")[1] == label.lower()


@pytest.mark.slow
def test_a_coloured_om_reads_as_its_onnx(made: Any) -> None:
    _, folder, data = made
    bins, label = folder / "om_bins", folder / "om_label.txt"
    words = ["prepare", str(data), str(bins), "--label", str(label)]
    assert main([*words, "--spec", str(folder / "m.onnx")]) == 0
    expected = evaluated(folder / "m.onnx", data)["correct"]
    model, by_bins = str(folder / "m.onnx"), [str(bins), "--label", str(label)]
    with host(folder):
        assert main(["compile", model, "rgb", "--batch", "4"]) == 0
        assert main(["evaluate", "rgb.om", str(data), "--batch", "4", "--json", "om.json"]) == 0
        assert main(["evaluate", "rgb.om", *by_bins, "--json", "by_bins.json"]) == 0
        assert main(["compile", model, "u8", "--batch", "4", "--aipp"]) == 0
        assert main(["evaluate", "u8.om", str(data), "--batch", "4", "--json", "u8.json"]) == 0
    for name in ("om", "by_bins", "u8"):
        result = json.loads((folder / f"{name}.json").read_text())
        assert abs(result["correct"] - expected) <= 1, name
        assert result["simulated"] is True
