"""--probability, --characters, --reject and --views of evaluate and read, and crnn calibrate."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from crnn import Recognizer
from crnn.cli.main import main
from crnn.errors import UsageError
from crnn.jobs.sure import SureJob, SureOptions
from crnn.reports.sureness import rejection_lines
from crnn.runners.open import open_runner
from crnn.spec import ModelSpec
from tests.conftest import ROOT
from tests.models import write_bins, write_echo_model, write_images

WORDS = ROOT / "examples" / "words_lmdb"
CHECKPOINT = ROOT / "examples" / "crnn_small.pth"
OLD = {"key", "text", "confidence", "label"}


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fixed") / "fixed.onnx"
    assert main(["export", str(CHECKPOINT), str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wide") / "wide.onnx"
    assert main(["export", str(CHECKPOINT), str(path), "--widths", "80,128,200"]) == 0
    return path


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty words as a folder of images."""
    import lmdb

    folder = tmp_path_factory.mktemp("some")
    lines = []
    # A process can have an LMDB open once only.
    copy = shutil.copytree(WORDS, tmp_path_factory.mktemp("copy") / "words")
    with lmdb.open(str(copy), readonly=True, lock=False) as store, store.begin() as content:
        for number in range(1, 31):
            (folder / f"{number}.png").write_bytes(content.get(b"image-%09d" % number))
            label = content.get(b"label-%09d" % number).decode()
            lines.append(f"{number}.png {label}\n")
    (folder / "gt.txt").write_text("".join(lines), encoding="utf-8")
    return folder


def evaluated(model: Path, data: Path, folder: Path, *options: str) -> Dict[str, Any]:
    result, readings = folder / "result.json", folder / "readings.jsonl"
    command = ["evaluate", str(model), str(data), "--json", str(result)]
    assert main([*command, "--readings", str(readings), *options]) == 0
    data_ = json.loads(result.read_text())
    lines = readings.read_text(encoding="utf-8").splitlines()
    data_["readings"] = [json.loads(line) for line in lines]
    return data_


def test_nothing_is_new_without_the_options(fixed: Path, some: Path, tmp_path: Path) -> None:
    result = evaluated(fixed, some, tmp_path)
    assert not {"sureness", "views", "decoding"} & set(result)
    assert all(set(reading) == OLD for reading in result["readings"])


def test_probability_stands_beside_confidence(fixed: Path, tmp_path: Path) -> None:
    plain = evaluated(fixed, WORDS, tmp_path)
    result = evaluated(fixed, WORDS, tmp_path, "--probability")
    for before, reading in zip(plain["readings"], result["readings"]):
        assert {key: reading[key] for key in OLD} == before
        assert reading["probability"] >= reading["confidence"] * (1 - 1e-4)
        assert reading["probability"] <= 1
    sureness = result["sureness"]
    assert sureness["words"] == result["total"] == sum(one["count"] for one in sureness["bins"])
    assert len(sureness["bins"]) == 10
    assert [point["kept"] for point in sureness["curve"]][-1] == 1
    assert sureness["curve"][-1]["accuracy"] == pytest.approx(result["accuracy"])
    assert "rejection" not in sureness


def test_rejected_words_are_marked_and_counted_apart(
    fixed: Path, some: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = evaluated(fixed, some, tmp_path, "--reject", "0.9")
    said = capsys.readouterr().out
    rejection = result["sureness"]["rejection"]
    marked = [reading["rejected"] for reading in result["readings"]]
    below = [reading["probability"] < 0.9 for reading in result["readings"]]
    assert marked == below
    assert rejection["rejected"] == sum(marked)
    assert rejection["kept"] == result["total"] - sum(marked)
    assert rejection["kept_correct"] <= rejection["kept"]
    low, high = rejection["kept_interval95"]
    assert low <= rejection["kept_accuracy"] <= high
    assert f"{sum(marked)} rejected, below 0.9000" in said
    assert f"kept       {100 * rejection['kept_share']:.1f} %" in said
    # The accuracy itself is still that of all words.
    assert result["accuracy"] == result["correct"] / result["total"]


def test_a_threshold_is_found_on_one_set_and_used_on_another(
    fixed: Path, some: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluated(fixed, some, tmp_path, "--reject-for", "0.99")
    said = capsys.readouterr().out
    assert "found on these words" in said
    assert "transferred, found on every other word" in said
    rejection = found["sureness"]["rejection"]
    assert rejection["wanted"] == 0.99
    assert rejection["kept_accuracy"] >= 0.99
    assert set(rejection["transferred"]) >= {"kept", "kept_correct"}
    kept = tmp_path / "found.json"
    shutil.copy(tmp_path / "result.json", kept)
    used = evaluated(fixed, some, tmp_path, "--reject-from", str(kept))
    other = used["sureness"]["rejection"]
    assert other["threshold"] == rejection["threshold"]
    assert other["kept"] == rejection["kept"]
    assert other["found"]["file"] == "found.json"
    assert other["found"]["kept_accuracy"] == rejection["kept_accuracy"]
    assert "where it was found" in capsys.readouterr().out


def test_readings_are_marked_by_the_threshold_that_was_found(
    fixed: Path, some: Path, tmp_path: Path
) -> None:
    some = Path(shutil.copytree(some, tmp_path / "some"))
    lines = (some / "gt.txt").read_text(encoding="utf-8").splitlines()
    lines[3:30:9] = [line.split()[0] + " elsewhere" for line in lines[3:30:9]]
    (some / "gt.txt").write_text("\n".join(lines), encoding="utf-8")
    plain = evaluated(fixed, some, tmp_path, "--probability", "--batch", "7")
    found = evaluated(fixed, some, tmp_path, "--reject-for", "1", "--batch", "7")
    threshold = found["sureness"]["rejection"]["threshold"]
    marked = [reading["rejected"] for reading in found["readings"]]
    assert marked == [reading["probability"] < threshold for reading in found["readings"]]
    assert marked.count(True) == found["sureness"]["rejection"]["rejected"] > 0
    for reading in found["readings"]:
        del reading["rejected"]
    assert found["readings"] == plain["readings"]
    for miss in found["misses"]:
        assert miss["rejected"] is (miss["probability"] < threshold)
    assert found["misses"]
    table = tmp_path / "r.csv"
    command = ["evaluate", str(fixed), str(some), "--reject-for", "1", "--readings", str(table)]
    assert main(command) == 0
    with table.open(newline="", encoding="utf-8") as file:
        assert [row["rejected"] == "true" for row in csv.DictReader(file)] == marked


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nothing", "no threshold in it"),
        ("[]", "no threshold in it"),
        ('{"sureness": {}}', "no threshold in it"),
        ('{"sureness": {"rejection": {"threshold": "0.9"}}}', "the threshold is 0.9; expected"),
        ('{"sureness": {"rejection": {"threshold": NaN}}}', "the threshold is nan; expected"),
    ],
)
def test_a_file_without_threshold_is_refused(
    fixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    assert main(["evaluate", str(fixed), str(WORDS), "--reject-from", str(path)]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("value", ["NaN", "1e999", "-1", "1" + "0" * 400, '"1"'])
def test_what_another_set_kept_is_told_where_it_can_be(tmp_path: Path, value: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(
        f'{{"sureness": {{"rejection": {{"threshold": 0.5, "kept": 3, "kept_share": {value},'
        f' "kept_accuracy": {value}}}}}}}'
    )
    job = SureJob(SureOptions(reject_from=path))
    assert job.counter is not None
    job.counter.add(0.9, right=True)
    job.counter.add(0.4, right=False)
    found = job.finish()
    assert found is not None and found.rejection is not None
    assert found.rejection.found == {"file": "other.json", "kept": 3}
    assert list(rejection_lines(found.rejection))[-1].endswith("where it was found: other.json")


@pytest.mark.parametrize("value", [-0.1, 2.5, float("nan")])
def test_a_threshold_in_a_script_is_a_fraction_too(fixed: Path, value: float) -> None:
    with pytest.raises(UsageError, match="expected a probability from 0 to 1"):
        Recognizer(fixed, reject=value)
    with pytest.raises(UsageError, match="--reject .*: expected a fraction"):
        SureJob(SureOptions(reject=value))
    with pytest.raises(UsageError, match="--reject-for .*: expected a fraction"):
        SureJob(SureOptions(reject_for=value))


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan", "99%", ""])
def test_a_threshold_is_a_fraction(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "m.onnx", "words", f"--reject={value}"]) == 2
    assert "is not a fraction from 0 to 1" in capsys.readouterr().err


def test_characters_stand_in_the_original_picture(fixed: Path, some: Path, tmp_path: Path) -> None:
    result = evaluated(fixed, some, tmp_path, "--characters")
    for reading in result["readings"]:
        characters = reading["characters"]
        assert "".join(each["character"] for each in characters) == reading["text"]
        columns = [(each["first"], each["last"]) for each in characters]
        assert columns == sorted(columns)
        assert all(0 <= first <= last for first, last in columns)
        assert all(0 < each["probability"] <= 1 for each in characters)
    # Pictures are wider than the model's input.
    assert max(reading["characters"][-1]["last"] for reading in result["readings"]) > 100


def test_characters_of_bins_stand_in_the_bin(tmp_path: Path) -> None:
    model = write_echo_model(tmp_path / "echo.onnx")
    bins = write_bins(tmp_path, ["abc", "0"])
    label = ["--label", str(tmp_path / "label.txt")]
    result = evaluated(model, bins, tmp_path, "--characters", *label)
    columns = [each["last"] for each in result["readings"][0]["characters"]]
    assert len(columns) == 3
    assert max(columns) < 100


def test_views_keep_the_most_probable_reading(wide: Path, some: Path, tmp_path: Path) -> None:
    alone = {}
    for name in ("rot+3", "inv/near2"):
        # A list always has the word as it is: both are read, the better one is kept.
        alone[name] = evaluated(wide, some, tmp_path, "--views", name)
    one = evaluated(wide, some, tmp_path, "--views", "1", "--probability")
    both = evaluated(wide, some, tmp_path, "--views", "rot+3,inv/near2", "--batch", "7")
    assert "views" not in one
    for place, reading in enumerate(both["readings"]):
        candidates = [
            one["readings"][place],
            *[result["readings"][place] for result in alone.values()],
        ]
        best = max(candidate["probability"] for candidate in candidates)
        assert reading["probability"] == pytest.approx(best, rel=1e-4)
        assert reading["view"] in ("near1", "rot+3", "inv/near2")
    agree, disagree = both["views"]["agree"], both["views"]["disagree"]
    assert agree["words"] + disagree["words"] == both["total"]
    kept = both["views"]["kept"]
    assert sum(one["words"] for one in kept.values()) == both["total"]
    assert sum(one["correct"] for one in kept.values()) == both["correct"]


def test_the_screen_tells_of_views(
    fixed: Path, some: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    target = tmp_path / "r.json"
    words = ["evaluate", str(fixed), str(some), "--views", "3", "--json", str(target)]
    assert main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    views = json.loads(target.read_text(encoding="utf-8"))["views"]
    assert f"all agree on {views['agree']['words']} words" in said
    assert f"not on {views['disagree']['words']} (" in said


def test_the_order_of_results_and_the_readings_do_not_depend_on_the_batch(
    wide: Path, some: Path, tmp_path: Path
) -> None:
    small = evaluated(wide, some, tmp_path, "--views", "3", "--batch", "3")["readings"]
    large = evaluated(wide, some, tmp_path, "--views", "3", "--batch", "64")["readings"]
    assert [one["key"] for one in small] == [one["key"] for one in large]
    assert [(one["text"], one["view"]) for one in small] == [
        (one["text"], one["view"]) for one in large
    ]


def test_views_without_their_width_are_left_out_and_counted(
    fixed: Path, some: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = evaluated(fixed, some, tmp_path, "--views", "5")
    said = capsys.readouterr().err
    words = len(result["readings"])
    assert f"reads at one width: near2, near3: {2 * words} views of {words} words" in said
    assert set(result["views"]["kept"]) <= {"near1", "rot+3", "rot-3"}


def test_a_model_may_ask_for_views_itself(fixed: Path, some: Path, tmp_path: Path) -> None:
    model = tmp_path / "asks.onnx"
    assert main(["spec", "set", str(fixed), '{"views": "3"}', "-o", str(model)]) == 0
    assert "views" in evaluated(model, some, tmp_path)
    assert "views" not in evaluated(model, some, tmp_path, "--views", "1")


def test_bins_have_no_views(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_echo_model(tmp_path / "echo.onnx")
    bins = write_bins(tmp_path, ["abc"])
    command = ["evaluate", str(model), str(bins), "--label", str(tmp_path / "label.txt")]
    assert main([*command, "--views", "3"]) == 2
    assert "holds bins, which are prepared already" in capsys.readouterr().err
    assert main([*command, "--views", "1"]) == 0


def test_raw_outputs_are_of_one_view(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_echo_model(tmp_path / "echo.onnx")
    images = write_images(tmp_path / "images", ["abc"])
    command = ["evaluate", str(model), str(images), "--views", "3"]
    assert main([*command, "--save-outputs", str(tmp_path / "raw")]) == 2
    assert "--views 1" in capsys.readouterr().err
    assert not (tmp_path / "raw").exists()


def test_a_csv_has_the_fields_as_columns(fixed: Path, some: Path, tmp_path: Path) -> None:
    for options, more in (
        (["--probability"], ["probability"]),
        (["--reject", "0.9"], ["probability", "rejected"]),
        (["--views", "3"], ["probability", "view", "views_agree"]),
        ([], []),
    ):
        table = tmp_path / "readings.csv"
        command = ["evaluate", str(fixed), str(some), "--readings", str(table), *options]
        assert main(command) == 0
        rows = [line.split(",") for line in table.read_text().splitlines()]
        assert rows[0] == ["key", "label", "text", "confidence", *more]
        assert {len(row) for row in rows} == {len(rows[0])}
        # It can be compared with.
        assert main(["evaluate", str(fixed), str(some), *options, "--against", str(table)]) == 0


def pictures(folder: Path) -> List[str]:
    import lmdb

    found = []
    copy = shutil.copytree(WORDS, folder / "copy")
    with lmdb.open(str(copy), readonly=True, lock=False) as store, store.begin() as content:
        for number in (1, 2, 3):
            path = folder / f"{number}.png"
            path.write_bytes(content.get(b"image-%09d" % number))
            found.append(str(path))
    return found


def test_read_gives_what_it_is_asked_for(
    wide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = pictures(tmp_path)
    result = tmp_path / "read.json"
    command = ["read", str(wide), *paths, "--views", "3", "--characters", "--reject", "0.999999"]
    assert main([*command, "--json", str(result)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == paths
    assert {line.split("\t")[4] for line in lines} <= {"kept", "rejected"}
    for reading in json.loads(result.read_text())["readings"]:
        assert reading["rejected"] is (reading["probability"] < 0.999999)
        assert reading["view"] in ("near1", "rot+3", "rot-3")
        text = "".join(each["character"] for each in reading["characters"])
        assert text == reading["text"]


def test_a_recognizer_gives_what_read_gives(fixed: Path, tmp_path: Path) -> None:
    paths = pictures(tmp_path)
    with Recognizer(fixed) as plain, Recognizer(
        fixed, probability=True, characters=True, reject=0.5
    ) as sure:
        for before, reading in zip(plain.read(paths), sure.read(paths)):
            assert (before.text, before.probability) == (reading.text, None)
            assert reading.probability is not None
            assert reading.rejected is (reading.probability < 0.5)
            assert reading.characters is not None
            assert reading.confidence == pytest.approx(before.confidence, rel=1e-4)


# crnn calibrate


def spec_of(model: Path) -> ModelSpec:
    return open_runner(model).spec


def test_a_calibrated_copy_carries_its_temperature(
    fixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "calibration.json"
    for model, name in ((fixed, "copy.onnx"), (CHECKPOINT, "copy.pth")):
        copy = tmp_path / name
        command = ["calibrate", str(model), str(WORDS), "-o", str(copy), "--json", str(result)]
        assert main(command) == 0
        found = json.loads(result.read_text())
        assert found["schema"] == "crnn-calibration/1"
        assert spec_of(copy).temperature == found["temperature"] != 1
        assert spec_of(copy).to_dict()["format"] == "crnn-spec/2"
        assert found["after"]["log_loss"] <= found["before"]["log_loss"]
        assert spec_of(model).temperature == 1
    # Greedy texts and confidences stay, probabilities change.
    before = evaluated(fixed, WORDS, tmp_path, "--probability")["readings"]
    after = evaluated(tmp_path / "copy.onnx", WORDS, tmp_path, "--probability")["readings"]
    assert [(one["text"], one["confidence"]) for one in before] == [
        (one["text"], one["confidence"]) for one in after
    ]
    assert [one["probability"] for one in before] != [one["probability"] for one in after]


def test_too_few_words_or_all_right_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_echo_model(tmp_path / "echo.onnx")
    images = write_images(tmp_path / "images", ["abc"] * 120)
    copy = tmp_path / "copy.onnx"
    assert main(["calibrate", str(model), str(images), "-o", str(copy)]) == 1
    assert "120 labelled words, 0 of them read wrongly" in capsys.readouterr().err
    few = write_images(tmp_path / "few", ["abc"] * 3, ["abc", "abx", "abc"])
    assert main(["calibrate", str(model), str(few), "-o", str(copy)]) == 1
    assert "expected 100 words or more" in capsys.readouterr().err
    assert not copy.exists()


def test_the_temperature_is_found_again(tmp_path: Path) -> None:
    from crnn.scoring.temperature import GRID, TemperatureFit

    # Words of two classes at one step, whose logits are 2.5 times too extreme.
    random = np.random.default_rng(3)
    margins = random.uniform(0, 3, 20_000)
    right = random.random(20_000) < 1 / (1 + np.exp(-margins))
    fit = TemperatureFit()
    fit.add(np.stack([-np.log1p(np.exp(-2.5 * margins / each)) for each in GRID]), right)
    words = fit.gathered()
    assert words.fit().temperature == pytest.approx(2.5, rel=0.06)
    np.testing.assert_allclose(words.at(2.5), 1 / (1 + np.exp(-margins)), rtol=2e-3)
    assert not words.fit().at_end
