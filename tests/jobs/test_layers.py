"""Two models node by node: ten planted faults are found in their places, healthy pairs are not
blamed.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Tuple

import numpy as np
import onnx
import pytest

from crnn.cli.main import main
from crnn.export.node_tensors import FLOAT32, Tensors, tensors_of
from crnn.jobs.layers import HEALTHY, TIMES, compare_layers
from crnn.reports.layers import LayerReport, plot, rows_of, verdict
from crnn.samples.source import open_source
from crnn.spec import ModelSpec
from tests.conftest import ROOT
from tests.faults import FAULTS, exported, small_scale

CHECKPOINT = ROOT / "examples" / "crnn_small.pth"


@pytest.fixture(scope="module")
def words() -> np.ndarray:
    """Eight words in two batches, (2, 4, 1, 32, 100)."""
    source = open_source(ROOT / "examples" / "words_lmdb", ModelSpec.default())
    try:
        batch = next(source.batches(8, keep=1))
        images: np.ndarray = batch.images.reshape(2, 4, 1, 32, 100).copy()
    finally:
        source.close()
    return images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layers")
    onnx.save(exported(CHECKPOINT), str(path / "sound.onnx"))
    return path


@pytest.fixture(scope="module")
def int8(folder: Path) -> Path:
    path = folder / "int8.onnx"
    assert main(["quantize", str(folder / "sound.onnx"), str(path), "--max-drop", "1"]) == 0
    return path


@pytest.fixture(scope="module")
def network(words: np.ndarray) -> Tensors:
    return tensors_of(CHECKPOINT, words)


@pytest.fixture(scope="module", params=list(FAULTS))
def fault(
    request: pytest.FixtureRequest, folder: Path, words: np.ndarray
) -> Tuple[str, str, Tensors]:
    """A fault's name, the tensor that it first shows in, and all tensors."""
    plant, place = FAULTS[request.param]
    path = folder / "faulty.onnx"
    onnx.save(plant(CHECKPOINT), str(path))
    return request.param, place, tensors_of(path, words)


@pytest.fixture(scope="module")
def sound(folder: Path, words: np.ndarray) -> Tensors:
    return tensors_of(folder / "sound.onnx", words)


def unblamed(report: LayerReport) -> None:
    assert report.first is None, verdict(report)
    assert len(report.layers) > 20
    assert "no node is beyond" in verdict(report)


def test_a_checkpoint_and_its_graph_are_not_blamed(sound: Tensors, network: Tensors) -> None:
    report = compare_layers(network, sound)
    assert report.unmatched == []
    assert [layer.name for layer in report.layers][:3] == [
        "cnn.conv0.out",
        "cnn.relu0.out",
        "cnn.pooling0.out",
    ]
    assert report.layers[-1].name == "output1"
    unblamed(report)
    back = compare_layers(sound, network)
    assert back.first is None
    assert set(back.unmatched) == {
        *("squeeze.out", "sequence.out", "rnn.0.rnn.out", "rnn.1.rnn.out"),
        *("rnn.0.embedding.rows.out", "rnn.1.embedding.rows.out", "rnn.0.embedding.steps.out"),
    }


def test_a_rehearsal_is_not_blamed(sound: Tensors, folder: Path, words: np.ndarray) -> None:
    unblamed(compare_layers(sound, tensors_of(folder / "sound.onnx", words, rehearse=True)))


@pytest.mark.slow
def test_an_int8_copy_is_not_blamed(sound: Tensors, int8: Path, words: np.ndarray) -> None:
    unblamed(compare_layers(sound, tensors_of(int8, words)))


@pytest.mark.parametrize("reference", ["graph", "checkpoint"])
def test_a_fault_is_found_in_its_place(
    sound: Tensors, network: Tensors, fault: Tuple[str, str, Tensors], reference: str
) -> None:
    name, place, faulty = fault
    first = sound
    if reference == "checkpoint":
        first = network
        place = place.replace("rnn.1.rnn.out", "rnn.1.directions.out")
    report = compare_layers(first, faulty)
    assert report.first is not None
    assert report.first.name == place
    assert report.first.turned == (name == "swapped axes")
    assert place in verdict(report)


@pytest.mark.slow
def test_a_scale_too_small_is_found(
    sound: Tensors, int8: Path, words: np.ndarray, tmp_path: Path
) -> None:
    model = onnx.load(str(int8))
    place = small_scale(model)
    onnx.save(model, str(tmp_path / "faulty.onnx"))
    report = compare_layers(sound, tensors_of(tmp_path / "faulty.onnx", words))
    assert report.first is not None
    assert report.first.name == place


def test_a_rounded_layer_of_a_rehearsal_is_healthy(
    sound: Tensors, folder: Path, words: np.ndarray, tmp_path: Path
) -> None:
    # What blames a float32 pair is nothing of a float16 one.
    path = tmp_path / "rounded.onnx"
    onnx.save(FAULTS["rounded layer"][0](CHECKPOINT), str(path))
    unblamed(compare_layers(sound, tensors_of(path, words, rehearse=True)))


def pair(one: np.ndarray, other: np.ndarray) -> LayerReport:
    made_by = {"x": "Conv"}
    return compare_layers(
        Tensors({"x": one}, made_by, FLOAT32), Tensors({"x": other}, made_by, FLOAT32)
    )


def test_the_numbers_by_hand() -> None:
    report = pair(np.array([[3.0, 4.0]]), np.array([[3.0, 4.5]]))
    (layer,) = report.layers
    assert (layer.largest, layer.relative, layer.broken) == (0.5, 0.1, 0)
    assert layer.cosine == pytest.approx(27 / (5 * np.hypot(3, 4.5)))
    assert layer.shape == (2,)


@pytest.mark.parametrize(("times", "blamed"), [(0.9, False), (1.1, True)])
def test_ten_times_a_healthy_error_is_one_too_many(times: float, blamed: bool) -> None:
    error = times * TIMES * HEALTHY[FLOAT32]
    report = pair(np.array([[1.0, 0.0]]), np.array([[1.0, error]]))
    assert (report.first is not None) == blamed


def test_what_is_infinite_in_one_alone_is_broken() -> None:
    one = np.array([[1.0, np.inf, np.inf, np.nan, 2.0]])
    other = np.array([[1.0, np.inf, 2.0, np.nan, np.nan]])
    (layer,) = pair(one, other).layers
    assert (layer.broken, layer.relative) == (3, 0.0)
    assert layer.blamed


def test_zeros_are_equal() -> None:
    (layer,) = pair(np.zeros((1, 3)), np.zeros((1, 3))).layers
    assert (layer.relative, layer.cosine, layer.blamed) == (0.0, 1.0, False)


def test_a_tensor_of_another_size_is_not_compared() -> None:
    report = pair(np.zeros((1, 3)), np.zeros((1, 4)))
    assert (report.layers, report.unmatched) == ([], ["x"])
    assert "no tensor" in verdict(report)


def test_the_table_the_json_and_the_plot(sound: Tensors) -> None:
    values = dict(sound.values)
    values["cnn.relu2.out"] = values["cnn.relu2.out"] * np.float32(1.5)
    values["cnn.conv6.out"] = values["cnn.conv6.out"] * np.float32(np.nan)
    report = compare_layers(sound, Tensors(values, sound.operators, FLOAT32))
    marks = {row[0]: row[-1] for row in rows_of(report)}
    assert marks["cnn.relu2.out"] == "FIRST"
    assert marks["cnn.conv6.out"] == "beyond"
    assert marks["cnn.conv2.out"] == ""
    data = report.to_dict()
    assert (data["schema"], data["first"]) == ("crnn-layers/1", "cnn.relu2.out")
    drawn = ElementTree.fromstring(plot(report))
    circles = [each for each in drawn.iter() if each.tag.endswith("circle")]
    assert len(circles) == len(report.layers)
