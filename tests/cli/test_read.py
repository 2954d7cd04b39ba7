"""``crnn read`` and `crnn.Recognizer`, with the shipped model on words rendered here and on the
shipped ones.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import List

import numpy as np
import onnx
import onnx.numpy_helper
import PIL
import pytest
from PIL import Image, ImageDraw, ImageFont

from crnn import Recognizer
from crnn.cli.main import main
from crnn.errors import InputError, UsageError
from tests.conftest import ROOT

MODEL = ROOT / "examples" / "crnn_small.pth"


def word_png(word: str) -> bytes:
    if int(PIL.__version__.partition(".")[0]) <= 10:
        pytest.skip("Pillow before 11 may lack a built-in font of any size")
    font = ImageFont.load_default(32)
    left, top, right, bottom = font.getbbox(word)
    image = Image.new("L", (int(right - left) + 12, int(bottom - top) + 12), 255)
    ImageDraw.Draw(image).text((6 - left, 6 - top), word, font=font, fill=0)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def model(shipped: Path) -> Path:
    return shipped


@pytest.fixture
def images(tmp_path: Path) -> List[str]:
    paths = []
    for word in ("house", "1984", "Zebra"):
        path = tmp_path / f"{word}.png"
        path.write_bytes(word_png(word))
        paths.append(str(path))
    return paths


@pytest.mark.parametrize("batch", ["1", "2", "16"])
def test_a_line_for_each_image(
    model: Path, images: List[str], capsys: pytest.CaptureFixture[str], batch: str
) -> None:
    assert main(["read", str(model), *images, "--batch", batch]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == images
    assert [line[1] for line in lines] == ["house", "1984", "zebra"]
    assert all(0 < float(line[2]) <= 1 for line in lines)


def test_json(model: Path, images: List[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", str(model), images[0], "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [(reading["key"], reading["text"]) for reading in data["readings"]] == [
        (images[0], "house")
    ]
    assert data["simulated"] is False


def test_what_can_be_read_is_read(
    model: Path, images: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(word_png("word")[:60])
    assert main(["read", str(model), images[0], str(broken), "missing.png", images[1]]) == 1
    out, err = capsys.readouterr()
    assert [line.split("\t")[1] for line in out.splitlines()] == ["house", "1984"]
    assert f"{broken}: " in err
    assert "missing.png does not exist" in err
    assert "2 of 4 images could not be read" in err
    assert "Traceback" not in err


def test_recognizer_reads_one_and_many(model: Path, images: List[str]) -> None:
    with Recognizer(str(model), threads=1, batch=2) as recognizer:
        reading = recognizer.read(images[0])
        assert (reading.text, reading.label) == ("house", None)
        assert [reading.text for reading in recognizer.read(images)] == ["house", "1984", "zebra"]
        assert recognizer.read(word_png("tree")).text == "tree"
        assert recognizer.read([]) == []
        with pytest.raises(InputError, match=r"nowhere\.png does not exist"):
            recognizer.read("nowhere.png")


def test_recognizer_without_a_with_block(model: Path, images: List[str]) -> None:
    recognizer = Recognizer(model)
    assert recognizer.read(images[0]).text == "house"
    recognizer.close()
    recognizer.close()


@pytest.mark.parametrize(
    "image", [3, None, Image.new("L", (9, 9)), [3]], ids=["int", "None", "PIL", "in a list"]
)
def test_what_is_no_image_is_refused_by_its_type(model: Path, image: object) -> None:
    with Recognizer(model) as recognizer, pytest.raises(
        TypeError, match=r"an image is a path .*, not \w+$"
    ):
        recognizer.read(image)  # type: ignore[call-overload]


def test_a_closed_recognizer_says_so(model: Path, images: List[str]) -> None:
    recognizer = Recognizer(model)
    recognizer.close()
    recognizer.close()
    with pytest.raises(UsageError, match="this Recognizer is closed"):
        recognizer.read(images[0])


def test_a_batch_of_none_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="batch is 0; expected a whole number from 1"):
        Recognizer(model, batch=0)


def test_what_is_not_finite_is_no_reading(
    model: Path, images: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = onnx.load(str(model))
    for weights in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == "float32":
            weights.CopyFrom(
                onnx.numpy_helper.from_array(np.full_like(values, np.inf), weights.name)
            )
    onnx.save(graph, str(tmp_path / "infinite.onnx"))
    assert main(["read", str(tmp_path / "infinite.onnx"), images[0], "--json", "-"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["readings"] == []
    assert f"{images[0]}: the model gave NaN or infinity" in err
    with Recognizer(tmp_path / "infinite.onnx", threads=1) as recognizer, pytest.raises(
        InputError, match="NaN or infinity"
    ):
        recognizer.read(images[0])
