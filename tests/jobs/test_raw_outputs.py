"""What other tools leave behind, scored as the evaluation that left the same logits scores them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Callable, Dict, Optional

import numpy as np
import pytest

from crnn.cli.console import progress
from crnn.cli.main import main
from crnn.errors import InputError
from crnn.jobs.evaluate import ScoreRequest, score
from crnn.jobs.raw_outputs import ResultFolder
from crnn.presets import SPECS
from crnn.reports.result_json import to_dict
from crnn.results import Evaluation
from tests import models

TEXTS = ["house", "a1", "", "foot", "b2b", "t", "noon"]
LABELS = ["house", "A1", "x", "foot", "b2c", "t", "nun"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    models.write_bins(folder, TEXTS, LABELS)
    models.write_echo_model(folder / "echo.onnx")
    for style in ("ais_bench", "benchmark"):
        argv = ["--save-outputs", str(folder / style), "--outputs-style", style]
        code = main(
            [
                "evaluate",
                str(folder / "echo.onnx"),
                str(folder / "input_bin"),
                "--label",
                str(folder / "label.txt"),
                "--json",
                str(folder / "evaluated.json"),
                *argv,
            ]
        )
        assert code == 0
    return folder


def scored(folder: Path, labels: Path, *, readings: Optional[Path] = None) -> Evaluation:
    return score(ScoreRequest(folder, labels, readings=readings), progress).evaluation


def evaluated(place: Path) -> Dict[str, object]:
    data: Dict[str, object] = json.loads((place / "evaluated.json").read_text(encoding="utf-8"))
    return data


SAME = (
    "accuracy",
    "correct",
    "total",
    "interval95",
    "cer",
    "ned1",
    "by_length",
    "misses_total",
    "value",
    "skipped",
)


def facts(evaluation: Evaluation) -> Dict[str, object]:
    data = json.loads(json.dumps(to_dict(evaluation)))
    return {name: data[name] for name in SAME}


def plain(place: Path, folder: Path) -> Path:
    return place / "ais_bench"


def with_summaries(place: Path, folder: Path) -> Path:
    shutil.copytree(place / "ais_bench", folder / "result")
    (folder / "result" / "sampleInfo_summary.json").write_text("{}")
    (folder / "result" / "summary.json").write_text("{}")
    return folder / "result"


def timestamped(place: Path, folder: Path) -> Path:
    shutil.copytree(place / "ais_bench", folder / "result" / "2022_09_01-10_11_12")
    (folder / "result" / "2022_09_01-10_11_12_summary.json").write_text("{}")
    return folder / "result"


def dumped(place: Path, folder: Path) -> Path:
    shutil.copytree(place / "benchmark", folder / "result" / "dumpOutput_device0")
    return folder / "result"


def half(place: Path, folder: Path) -> Path:
    (folder / "result_Files").mkdir()
    for file in (place / "ais_bench").iterdir():
        values = np.fromfile(file, dtype="<f4").astype("<f2")
        (folder / "result_Files" / file.name).write_bytes(values.tobytes())
    return folder / "result_Files"


def rewritten(
    place: Path, folder: Path, name: str, write: Callable[[Path, np.ndarray], None]
) -> Path:
    """Write the results anew, each by ``write`` under its sample's name and ``name``."""
    for file in (place / "ais_bench").iterdir():
        values = np.fromfile(file, dtype="<f4").reshape(26, 1, 37)
        write(folder / f"{file.name[: -len('_0.bin')]}{name}", values)
    return folder


def as_npy(place: Path, folder: Path) -> Path:
    return rewritten(place, folder, "_0.npy", np.save)


def as_half_npy(place: Path, folder: Path) -> Path:
    return rewritten(place, folder, "_1.npy", lambda path, x: np.save(path, x.astype("<f2")))


def as_text(place: Path, folder: Path) -> Path:
    # As ais_bench does: a row of numbers for each of the last axis but one.
    return rewritten(place, folder, "_0.txt", lambda path, x: np.savetxt(path, x[:, 0], fmt="%f"))


def as_msame(place: Path, folder: Path) -> Path:
    return rewritten(place, folder, "_output_0.bin", lambda path, x: path.write_bytes(x.tobytes()))


def as_msame_text(place: Path, folder: Path) -> Path:
    def write(path: Path, values: np.ndarray) -> None:
        path.write_text(" ".join(map(str, values.reshape(-1))) + "\n")

    return rewritten(place, folder, "_output_0.txt", write)


def bin_beside_text(place: Path, folder: Path) -> Path:
    as_text(place, folder)
    shutil.copytree(place / "ais_bench", folder, dirs_exist_ok=True)
    return folder


LAYOUTS = [plain, with_summaries, timestamped, dumped, half, as_npy, as_half_npy, as_text]
LAYOUTS += [as_msame, as_msame_text, bin_beside_text]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_scores_as_the_evaluation_did(
    place: Path, tmp_path: Path, layout: Callable[[Path, Path], Path]
) -> None:
    evaluation = scored(layout(place, tmp_path), place / "label.txt")
    data = evaluated(place)
    assert facts(evaluation) == {name: data[name] for name in SAME}
    assert evaluation.correct == 4
    assert evaluation.run.backend is None
    assert to_dict(evaluation)["backend"] == "files"


def test_missing_cut_and_unknown_files_are_counted(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    shutil.copytree(place / "ais_bench", folder)
    (folder / "test_1_0.bin").unlink()
    (folder / "test_2_0.bin").write_bytes(bytes(10))
    (folder / "test_99_0.bin").write_bytes(bytes(3848))
    evaluation = scored(folder, place / "label.txt")
    assert evaluation.skipped == {
        "missing result": 1,
        "result of another size": 1,
        "result without label": 1,
    }
    assert (evaluation.correct, evaluation.total) == (2, 7)


def test_mindspores_own_outputs_are_known_by_their_size(tmp_path: Path) -> None:
    spec = SPECS["mindspore-native"]
    folder = tmp_path / "result_Files"
    folder.mkdir()
    for name, text in (("word_1", "ab0"), ("word_2", "9")):
        logits = np.zeros((24, 37), "<f2")
        logits[:, spec.blank] = 1
        for step, character in enumerate(text):
            logits[2 * step, spec.alphabet.table.index(character)] = 2
        (folder / f"{name}_0.bin").write_bytes(logits.tobytes())
    (tmp_path / "annotation.txt").write_text("test/word_1.png,AB0\ntest/word_2.png,8\n")
    results = ResultFolder(folder, tmp_path / "annotation.txt")
    assert results.spec == spec
    assert "(24, 1, 37) float16" in results.notes[0]
    readings = tmp_path / "readings.jsonl"
    evaluation = scored(folder, tmp_path / "annotation.txt", readings=readings)
    texts = [json.loads(line)["text"] for line in readings.read_text().splitlines()]
    assert texts == ["ab0", "9"]
    assert (evaluation.correct, evaluation.total) == (1, 2)


def both(place: Path, folder: Path) -> Path:
    for name in ("test_1_0.bin", "test_1_1.bin"):
        (folder / name).write_bytes(bytes(3848))
    return folder


def two(place: Path, folder: Path) -> Path:
    for name in ("2022_09_01", "2022_09_02"):
        shutil.copytree(place / "ais_bench", folder / name)
    return folder


def sized(count: int) -> Callable[[Path, Path], Path]:
    def make(place: Path, folder: Path) -> Path:
        (folder / "test_1_0.bin").write_bytes(bytes(count))
        return folder

    return make


def strangers(place: Path, folder: Path) -> Path:
    (folder / "word_0.bin").write_bytes(bytes(3848))
    return folder


def npy(values: np.ndarray) -> Callable[[Path, Path], Path]:
    def make(place: Path, folder: Path) -> Path:
        np.save(folder / "test_1_0.npy", values)
        return folder

    return make


def word(place: Path, folder: Path) -> Path:
    (folder / "test_1_0.txt").write_text("0.5 nan? 1")
    return folder


def their_bins(place: Path, folder: Path) -> Path:
    (folder / "test_1.bin").write_bytes(bytes(12800))
    return folder


def pictures(place: Path, folder: Path) -> Path:
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda place, folder: folder / "none", "does not exist; expected a folder of results"),
        (lambda place, folder: place / "label.txt", "is a file; expected a folder of results"),
        (lambda place, folder: folder, r"holds no results \(NAME_0.bin or NAME_1.bin"),
        (npy(np.zeros(961)), r"holds 961 values; expected .*\(26, 1, 37\)"),
        (npy(np.zeros((26, 4, 37))), r"several words' worth; .*\n.*--output_batchsize_axis 1"),
        (npy(np.array(["a"] * 962)), r"expected an array of numbers"),
        (word, r"test_1_0.txt: not numbers in txt form"),
        (pictures, r"holds no results .*; it holds a.png, b.png$"),
        (two, r"2 folders in it do: 2022_09_01, 2022_09_02\nName the one"),
        (both, r"holds test_1_[01]\.bin and test_1_[01]\.bin: two outputs of one sample"),
        (sized(16 * 3848), r"several words' worth; .*\n.*--output_batchsize_axis 1"),
        (sized(1000), r"has 1000 bytes; expected \(26, 1, 37\) or \(24, 1, 37\).*\n.*--spec"),
        (sized(0), r"has 0 bytes"),
        (their_bins, r"has a result in .*\nThese are the bins that a tool reads: give the folder"),
        (strangers, r"none of the 7 names in .* has a result in .*, which begins with word_0\.bin"),
    ],
)
def test_what_cannot_be_scored(
    place: Path, tmp_path: Path, make: Callable[[Path, Path], Path], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        ResultFolder(make(place, tmp_path), place / "label.txt")


def test_two_images_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("a/1.png,x\nb/1.png,y\n")
    with pytest.raises(InputError, match="line 2: a second image of the name 1"):
        ResultFolder(tmp_path, tmp_path / "gt.txt")


def test_a_sample_may_end_as_msames_files_do(tmp_path: Path) -> None:
    logits = np.zeros((26, 1, 37), dtype="<f4")
    (tmp_path / "gt.txt").write_text("x_output.png,a\n")
    (tmp_path / "x_output_0.bin").write_bytes(logits.tobytes())
    assert list(ResultFolder(tmp_path, tmp_path / "gt.txt").labels) == ["x_output"]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01", b"1 2 3", b"x"])
@pytest.mark.parametrize("form", [".npy", ".txt"])
def test_a_broken_result_is_one_problem(
    place: Path, tmp_path: Path, form: str, content: bytes
) -> None:
    {".npy": as_npy, ".txt": as_text}[form](place, tmp_path)
    (tmp_path / f"test_2_0{form}").write_bytes(content)
    evaluation = scored(tmp_path, place / "label.txt")
    assert evaluation.skipped == {"result of another size": 1}
    assert evaluation.total == len(TEXTS)
