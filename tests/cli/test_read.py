"""``crnn read`` and `crnn.Recognizer`, with the shipped model on words rendered here and on the
shipped ones.
"""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any, Iterator, List, Optional

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
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    assert main(["export", str(MODEL), str(path)]) == 0
    return path


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
    ("image", "kind"),
    [
        (3, "not int"),
        (None, "not NoneType"),
        ([3], "not int"),
        (io.StringIO("text"), "gives str: open it with 'rb'"),
        (np.zeros((3, 32, 100), np.uint8), r"not one of uint8 \(3, 32, 100\)"),
        (np.zeros((32, 100)), r"not one of float64 \(32, 100\)"),
        (np.zeros((32, 100, 4), np.uint8), r"not one of uint8 \(32, 100, 4\)"),
    ],
)
def test_what_is_no_image_is_refused_by_its_type(model: Path, image: object, kind: str) -> None:
    with Recognizer(model) as recognizer, pytest.raises(
        TypeError, match=rf"an image is a path .*, or a PIL image.*{kind}$"
    ):
        recognizer.read(image)  # type: ignore[call-overload]


@pytest.mark.parametrize("views", [None, "3"])
def test_whatever_an_image_is_given_as_it_is_read_alike(
    model: Path, tmp_path: Path, views: Optional[str]
) -> None:
    path = tmp_path / "word.png"
    gray = Image.open(io.BytesIO(word_png("tree")))
    # No colour of it is gray, and red is not blue.
    colour = Image.merge("RGB", [gray, gray.point(lambda v: v // 2 + 90), gray.point([99] * 256)])
    colour.save(path)
    pixels = np.asarray(colour)
    with Recognizer(model, views=views) as recognizer, open(path, "rb") as file:
        data = path.read_bytes()
        expected = recognizer.read(path)
        assert expected.text == "tree"
        assert expected.key == str(path)
        given = [str(path), data, bytearray(data), memoryview(data), file, colour, pixels]
        readings = recognizer.read(iter(given))
        assert [reading.key for reading in readings] == [
            *[str(path), "", "", ""],
            str(path),
            "",
            "",
        ]
        readings.append(recognizer.read(io.BytesIO(data)))
        readings.append(recognizer.read(pixels[:, :, ::-1], channels="bgr"))
        readings.append(recognizer.read(Image.open(path)))
        for reading in readings:
            assert dataclasses.replace(reading, key=str(path)) == expected
        other = recognizer.read(pixels[:, :, ::-1])
        assert other.confidence != expected.confidence
        plain = recognizer.read(np.asarray(gray))
        assert plain == recognizer.read(gray)
        assert plain.text == "tree"


def test_a_picture_stays_as_it_was(model: Path) -> None:
    picture = Image.new("P", (40, 20))
    picture.info["transparency"] = 0
    with Recognizer(model) as recognizer:
        recognizer.read(picture)
        assert (picture.mode, picture.info) == ("P", {"transparency": 0})
        assert recognizer.remarks == {"image with transparent pixels": 1}


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((0, 5), np.uint8), "empty image"),
        (Image.new("L", (0, 3)), "empty image"),
        (np.zeros((1, 70_000), np.uint8), "image too large"),
        (Image.new("L", (70_000, 1)), "image too large"),
        (Image.new("F", (9, 9)), "floating-point pixels"),
        (io.BytesIO(b""), "empty image"),
        (io.BytesIO(b"words"), "not an image"),
    ],
)
def test_an_image_that_cannot_be_read_is_an_input_error(model: Path, image: Any, said: str) -> None:
    errors: List[InputError] = []
    with Recognizer(model) as recognizer:
        with pytest.raises(InputError, match=said):
            recognizer.read(image)
        if isinstance(image, io.BytesIO):
            image.seek(0)
        assert list(recognizer.read_each([image], on_error=errors.append)) == []
    assert [said in error.message for error in errors] == [True]


def test_a_picture_of_a_file_that_is_cut_short(model: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(word_png("tree")[:-60])
    picture = Image.open(tmp_path / "cut.png")
    with picture, Recognizer(model) as recognizer, pytest.raises(InputError, match="broken image"):
        recognizer.read(picture)


def test_images_are_taken_as_they_are_needed(model: Path, images: List[str]) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield images[0]

    with Recognizer(model, batch=4) as recognizer:
        readings = recognizer.read_each(endless())
        for _ in range(5):
            assert next(readings).text == "house"
    assert taken == 8


def test_channels_are_one_of_two(model: Path) -> None:
    with Recognizer(model) as recognizer, pytest.raises(UsageError, match="expected 'rgb' or"):
        recognizer.read(b"", channels="gray")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"views": 3}, r"views is a str, such as 'near2,rot\+3', not int"),
        ({"pattern": 5}, "pattern is a str, such as .*, not int"),
        ({"allow": ["a"]}, "allow is a str, such as .*, not list"),
        ({"lexicon": [1]}, "a lexicon is a file's path .* one of the words is of type int"),
        ({"lexicon": 5}, "a lexicon is a file's path .*, not int"),
        ({"lexicon": b"words"}, "a lexicon is a file's path .*, not bytes"),
    ],
)
def test_options_of_another_type_are_refused(model: Path, options: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        Recognizer(model, **options)


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
