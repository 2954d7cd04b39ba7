"""Data of a model that reads at several widths: evaluate, read, prepare and score agree."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

from crnn import image as images
from crnn.cli.main import main
from crnn.labels import DIGITS_AND_LETTERS
from crnn.recognizer import Recognizer
from crnn.spec import METADATA_KEY, ModelSpec
from crnn.widths import Widths
from tests.models import write_width_model

SPEC = replace(
    ModelSpec.default(),
    characters=DIGITS_AND_LETTERS[:31],
    time_steps=25,
    widths=Widths(list=(80, 100, 128)),
)
WIDE = "0123456789abcdefghij"
SIZES = (20, 40, 60, 70, 80, 90, 100, 120, 150, 300)


class Place(NamedTuple):
    """A model that reads rows of light, and pictures that it reads as their labels."""

    model: str
    data: str
    folder: Path
    widths: Sequence[int]


def picture(text: str, width: int, height: int = 32) -> Image.Image:
    """Draw a picture that the model reads as the text at the width that fits it: a block of light
    for each character, in the row of its class.
    """
    chosen = SPEC.widths.choose(width, height)
    pixels = np.zeros((32, chosen), dtype=np.uint8)
    pixels[0] = 120
    for number, character in enumerate(text):
        left = 8 * number
        pixels[1 + DIGITS_AND_LETTERS.index(character), left : left + 4] = 255
    return Image.fromarray(pixels).resize((width, height), Image.NEAREST)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("widths")
    model = folder / "m.onnx"
    write_width_model(model)
    proto = onnx.load(str(model))
    helper.set_model_props(proto, {METADATA_KEY: SPEC.to_json()})
    onnx.save(proto, str(model))
    data = folder / "words"
    data.mkdir()
    lines: List[str] = []
    widths: List[int] = []
    for number in range(90):
        width = SIZES[number * 7 % len(SIZES)]
        chosen = SPEC.widths.choose(width, 32)
        label = WIDE[number % 7 : number % 7 + 3]
        picture(label, width).save(data / f"{number}.png")
        lines.append(f"{number}.png {label}\n")
        widths.append(chosen)
    (data / "annotation.txt").write_text("".join(lines), encoding="utf-8")
    return Place(str(model), str(data), folder, widths)


def readings(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def evaluated(tmp_path: Path, *arguments: str) -> List[Dict[str, Any]]:
    """Return the readings of an evaluation."""
    target = tmp_path / "readings.jsonl"
    assert main(["evaluate", *arguments, "--readings", str(target)]) == 0
    return readings(target)


@pytest.mark.parametrize("batch", ["1", "4", "64"])
def test_each_word_is_read_at_the_width_of_its_aspect_in_data_order(
    tmp_path: Path, place: Place, batch: str
) -> None:
    found = evaluated(tmp_path, place.model, place.data, "--batch", batch)
    assert [each["key"] for each in found] == [f"{number}.png" for number in range(90)]
    assert [each["width"] for each in found] == list(place.widths)
    again = evaluated(tmp_path, place.model, place.data, "--batch", "1")
    assert [each["text"] for each in found] == [each["text"] for each in again]


def test_the_result_has_accuracy_words_and_speed_by_width(tmp_path: Path, place: Place) -> None:
    target = tmp_path / "result.json"
    lines = tmp_path / "readings.jsonl"
    command = ["evaluate", place.model, place.data, "--json", str(target)]
    assert main([*command, "--readings", str(lines)]) == 0
    rows = tmp_path / "readings.csv"
    assert main([*command, "--readings", str(rows)]) == 0
    with rows.open(encoding="utf-8", newline="") as file:
        widths = [int(row["width"]) for row in csv.DictReader(file)]
    assert widths == [reading["width"] for reading in readings(lines)]
    result = json.loads(target.read_text("utf-8"))
    assert result["schema"] == "crnn-evaluation/2"
    assert set(result["by_width"]) == {"80", "100", "128"}
    found = readings(lines)
    for width, counts in result["by_width"].items():
        words = [each for each in found if each["width"] == int(width)]
        correct = sum(each["text"] == each["label"] for each in words)
        assert (counts["words"], counts["correct"]) == (len(words), correct)
        assert counts["accuracy"] == correct / len(words)
        assert counts["words_per_second"] > 0


def test_off_reads_as_a_model_of_one_width(tmp_path: Path, place: Place) -> None:
    fixed = tmp_path / "fixed.onnx"
    proto = onnx.load(place.model)
    helper.set_model_props(proto, {METADATA_KEY: replace(SPEC, widths=None).to_json()})
    onnx.save(proto, str(fixed))
    off = evaluated(tmp_path, place.model, place.data, "--width-rule", "off")
    assert off == evaluated(tmp_path, str(fixed), place.data)
    assert "width" not in off[0]


def test_read_gives_what_evaluate_gives_and_keeps_the_order_around_what_is_broken(
    tmp_path: Path, place: Place
) -> None:
    found = evaluated(tmp_path, place.model, place.data)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    paths = [str(Path(place.data) / each["key"]) for each in found]
    errors: List[Exception] = []
    with Recognizer(place.model, batch=4) as recognizer:
        got = list(recognizer.read_each([*paths[:50], broken, *paths[50:]], on_error=errors.append))
    assert [reading.key for reading in got] == paths
    assert [(reading.text, reading.width) for reading in got] == [
        (each["text"], each["width"]) for each in found
    ]
    assert len(errors) == 1
    with Recognizer(place.model, width_rule="off") as recognizer:
        assert recognizer.read(paths[0]).width is None


def test_an_endless_list_is_read_as_it_comes(place: Place) -> None:
    """After at most eight batches of images and one for each width the first reading is there."""
    path = str(Path(place.data) / "0.png")
    wide = str(Path(place.data) / "7.png")
    taken = 0

    def endless() -> Any:
        nonlocal taken
        yield wide
        while True:
            taken += 1
            yield path

    with Recognizer(place.model, batch=2) as recognizer:
        first = next(recognizer.read_each(endless()))
    assert first.key == wide
    assert taken <= 8 * 2 + 3


def test_the_turned_side_is_the_width_where_orientation_is_on(tmp_path: Path) -> None:
    tall = Image.new("L", (32, 128))
    exif = Image.Exif()
    exif[0x0112] = 6
    tall.save(tmp_path / "tall.png", exif=exif)
    data = (tmp_path / "tall.png").read_bytes()
    assert images.decode(data, SPEC).shape == (1, 32, 80)
    assert images.decode(data, replace(SPEC, orient=True)).shape == (1, 32, 128)


@pytest.mark.parametrize(("size", "width"), [((1, 1000), 80), ((1000, 1), 128), ((1, 1), 80)])
def test_pictures_that_no_width_fits_are_read_all_the_same(
    tmp_path: Path, place: Place, size: Any, width: int, capsys: Any
) -> None:
    Image.new("L", size).save(tmp_path / "odd.png")
    assert main(["read", place.model, str(tmp_path / "odd.png"), "--json", "-"]) == 0
    out, err = capsys.readouterr()
    [reading] = json.loads(out)["readings"]
    assert reading["width"] == width
    longer = "image longer than the widest width: 1, pressed into 128 columns"
    assert (longer in err) is (size == (1000, 1))


def test_prepare_words_what_it_remarks_as_evaluate_does(
    tmp_path: Path, place: Place, capsys: Any
) -> None:
    prepared(tmp_path, place)
    said = " ".join(capsys.readouterr().out.split())
    assert "image longer than the widest width: 27, pressed into 128 columns" in said


def test_long_lines_are_counted_once_a_run(place: Place, capsys: Any) -> None:
    assert main(["evaluate", place.model, place.data]) == 0
    assert "image longer than the widest width: 27, pressed into 128 columns" in (
        capsys.readouterr().err
    )
    assert main(["evaluate", place.model, place.data, "--width-rule", "off"]) == 0
    assert "longer" not in capsys.readouterr().err


class Bins(NamedTuple):
    """A prepared folder."""

    folder: Path
    label: Path
    info: Path


def prepared(tmp_path: Path, place: Place, *options: str) -> Bins:
    bins = Bins(tmp_path / "bins", tmp_path / "label.txt", tmp_path / "crnn.info")
    arguments = ["--label", str(bins.label), "--info", str(bins.info), "--spec", place.model]
    assert main(["prepare", place.data, str(bins.folder), *arguments, *options]) == 0
    return bins


@pytest.mark.parametrize("per_width", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_bins_of_each_samples_width_read_the_same(
    tmp_path: Path, place: Place, dtype: str, per_width: bool
) -> None:
    options = ["--dtype", dtype]
    if per_width:
        options.append("--per-width")
    bins = prepared(tmp_path, place, *options)
    told = json.loads((tmp_path / "bins.json").read_text("utf-8"))
    assert told["dtype"] == dtype
    assert told["spec"]["widths"]["list"] == [80, 100, 128]
    size = {"float32": 4, "uint8": 1}[dtype]
    for number, width in enumerate(place.widths, 1):
        path = bins.folder / f"test_{number}.bin"
        if per_width:
            path = bins.folder / f"w{width}" / f"test_{number}.bin"
        assert path.stat().st_size == 32 * width * size
    from_bins = evaluated(
        tmp_path, place.model, str(bins.folder), "--label", str(bins.label), "--batch", "4"
    )
    direct = evaluated(tmp_path, place.model, place.data)
    assert [each["key"] for each in from_bins] == [f"test_{number}" for number in range(1, 91)]
    for one, other in zip(from_bins, direct):
        assert {**one, "key": ""} == {**other, "key": ""}


@pytest.mark.parametrize("lost", ["", "{"], ids=["away", "damaged"])
def test_folders_of_widths_without_their_description_are_named(
    tmp_path: Path, place: Place, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    bins = prepared(tmp_path, place, "--per-width")
    capsys.readouterr()
    beside = tmp_path / "bins.json"
    if lost:
        beside.write_text(lost)
    else:
        beside.unlink()
    assert main(["evaluate", place.model, str(bins.folder), "--label", str(bins.label)]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "holds bins in a folder for each width (w80, w100, w128)" in said
    assert "bins.json, which tells how they were made, is missing or damaged" in said


@pytest.mark.parametrize("per_width", [False, True])
def test_each_width_has_its_info_file(tmp_path: Path, place: Place, per_width: bool) -> None:
    options: List[str] = []
    if per_width:
        options.append("--per-width")
    bins = prepared(tmp_path, place, *options)
    assert not bins.info.exists()
    listed = 0
    for width in (80, 100, 128):
        lines = (tmp_path / f"crnn_w{width}.info").read_text("utf-8").splitlines()
        assert [line.split()[0] for line in lines] == [str(number) for number in range(len(lines))]
        for line in lines:
            _, path, columns, rows = line.split()
            assert (columns, rows) == (str(width), "32")
            assert Path(path).stat().st_size == 32 * width * 4
        listed += len(lines)
    assert listed == 90


def test_a_folder_of_several_widths_is_made_anew(tmp_path: Path, place: Place) -> None:
    prepared(tmp_path, place, "--per-width")
    prepared(tmp_path, place)
    assert not (tmp_path / "bins" / "w80").exists()


def test_a_bin_that_is_missing_or_cut_is_wrong(tmp_path: Path, place: Place) -> None:
    bins = prepared(tmp_path, place)
    (bins.folder / "test_3.bin").unlink()
    (bins.folder / "test_5.bin").write_bytes(b"cut")
    target = tmp_path / "result.json"
    command = ["evaluate", place.model, str(bins.folder), "--label", str(bins.label)]
    assert main([*command, "--json", str(target)]) == 0
    result = json.loads(target.read_text("utf-8"))
    assert result["skipped"] == {"missing bin": 1, "wrong size": 1}
    assert result["total"] == 90


def refused(capsys: Any, *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == 1
    error: str = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_a_size_that_fits_two_is_refused_where_nothing_tells_the_type(
    tmp_path: Path, place: Place, capsys: Any
) -> None:
    bins = prepared(tmp_path, place, "--widths", "80,320", "--dtype", "uint8")
    spec = '{"widths": [80, 320]}'
    command = ["evaluate", place.model, str(bins.folder), "--label", str(bins.label)]
    assert main([*command, "--spec", spec]) == 0
    for path in bins.folder.iterdir():
        # What is left is 320 columns in uint8, as long as 80 in float32.
        if path.stat().st_size == 80 * 32:
            path.unlink()
    (tmp_path / "bins.json").unlink()
    error = refused(capsys, *command, "--spec", spec)
    assert "has 10240 bytes, which are 80 columns in float32 and 320 in uint8" in error


def test_the_type_is_told_by_the_sizes_where_they_can(tmp_path: Path, place: Place) -> None:
    bins = prepared(tmp_path, place)
    (tmp_path / "bins.json").unlink()
    found = evaluated(tmp_path, place.model, str(bins.folder), "--label", str(bins.label))
    assert [each["width"] for each in found] == list(place.widths)


def test_bins_of_other_widths_than_the_models_are_refused(
    tmp_path: Path, place: Place, capsys: Any
) -> None:
    bins = prepared(tmp_path, place)
    command = ["evaluate", place.model, str(bins.folder), "--label", str(bins.label)]
    error = refused(capsys, *command, "--width-rule", "off")
    assert "was prepared at the widths 80, 100, 128, and the model reads at the one" in error
    error = refused(capsys, *command, "--spec", '{"widths": [80, 100]}')
    assert "the model reads at 80, 100 by 36" in error
    shutil.rmtree(bins.folder)
    fixed = prepared(tmp_path, place, "--width-rule", "off")
    assert {path.stat().st_size for path in fixed.folder.iterdir()} == {12800}
    error = refused(capsys, *command)
    assert "was prepared at the one width 100" in error
    assert main([*command, "--width-rule", "off"]) == 0


def test_per_width_of_one_width_is_refused(tmp_path: Path, place: Place, capsys: Any) -> None:
    assert main(["prepare", place.data, str(tmp_path / "bins"), "--per-width"]) == 2
    assert "--per-width is for several widths" in capsys.readouterr().err


@pytest.mark.parametrize("style", ["ais_bench", "benchmark"])
@pytest.mark.parametrize("per_width", [False, True])
def test_raw_outputs_of_several_lengths_are_scored_alike(
    tmp_path: Path, place: Place, style: str, per_width: bool
) -> None:
    bins = prepared(tmp_path, place)
    outputs = tmp_path / "outputs"
    direct = evaluated(
        tmp_path,
        place.model,
        str(bins.folder),
        *("--label", str(bins.label), "--save-outputs", str(outputs), "--outputs-style", style),
    )
    sizes = {path.stat().st_size for path in outputs.iterdir()}
    assert sizes == {steps * 32 * 4 for steps in (20, 25, 32)}
    if per_width:
        for path in list(outputs.iterdir()):
            folder = outputs / f"run_{path.stat().st_size}"
            folder.mkdir(exist_ok=True)
            path.rename(folder / path.name)
    target = tmp_path / "scored.jsonl"
    command = ["score", str(outputs), "--label", str(bins.label), "--readings", str(target)]
    assert main([*command, "--spec", str(tmp_path / "bins.json")]) == 0
    assert readings(target) == direct


def test_an_output_that_no_width_gives_is_a_problem(
    tmp_path: Path, place: Place, capsys: Any
) -> None:
    bins = prepared(tmp_path, place)
    outputs = tmp_path / "outputs"
    command = ["evaluate", place.model, str(bins.folder), "--label", str(bins.label)]
    assert main([*command, "--save-outputs", str(outputs)]) == 0
    (outputs / "test_7_0.bin").write_bytes(bytes(60 * 32 * 4))
    target = tmp_path / "result.json"
    command = ["score", str(outputs), "--label", str(bins.label), "--json", str(target)]
    assert main([*command, "--spec", str(tmp_path / "bins.json")]) == 0
    assert json.loads(target.read_text("utf-8"))["skipped"] == {"result of another size": 1}
    assert (
        "60 time steps of 32 classes, which no width of the spec gives" in capsys.readouterr().err
    )


def test_bench_measures_batches_of_one_width_each(tmp_path: Path, place: Place) -> None:
    target = tmp_path / "bench.json"
    command = ["bench", place.model, "--data", place.data, "--batch", "3,8", "--loop", "6"]
    assert main([*command, "--warm-up", "1", "--json", str(target)]) == 0
    [run] = json.loads(target.read_text("utf-8"))["runs"]
    assert [batch["batch"] for batch in run["batches"]] == [3, 8]
