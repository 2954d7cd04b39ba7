"""Pictures of the words that a run read wrong stay with its result, and beside no other's words."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np
import pytest
from PIL import Image

from crnn.cli.main import main
from tests.jobs.test_report import page_of, parsed, text_of
from tests.models import echo_pixels, write_bins, write_echo_model, write_images

WORDS = ["hello", "0", "aa11", "good"]
OTHERS = ["foot", "lamp"]
LABELS = ["hello", "1", "aa12", "good"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_echo_model(tmp_path / "m.onnx")
    write_images(tmp_path / "one", WORDS, LABELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluated(name: str, data: str = "one", *words: str) -> Path:
    path = Path(name)
    command = ["evaluate", "m.onnx", data, "--json", name, *words]
    assert main(command) == 0
    return path


def pictures(html: str) -> Dict[str, np.ndarray]:
    """Return the pictures of a page, in gray, by the name in their row."""
    return pictures_of(parsed(html))


def pictures_of(section: Any) -> Dict[str, np.ndarray]:
    found = {}
    for row in section.findall(".//tr"):
        image = row.find(".//img")
        if image is not None:
            content = base64.b64decode(image.get("src").partition(",")[2])
            key = "".join(row.findall("td")[-1].itertext())
            found[key] = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    return found


def word_on(picture: np.ndarray) -> str:
    """Return the word whose picture it is: WebP loses a little."""

    def off(word: str) -> float:
        apart: float = np.abs(picture.astype(float) - echo_pixels(word)[0]).mean()
        return apart

    return min([*WORDS, *OTHERS], key=off)


@pytest.mark.parametrize("run", [(), ("--run", "run")], ids=["at once", "in a folder"])
def test_a_report_shows_what_the_run_has_kept(
    place: Path, capsys: pytest.CaptureFixture[str], run: Sequence[str]
) -> None:
    result = evaluated("r.json", "one", "--keep-images", "misses", *run)
    assert "r.images.json: pictures of 2 words" in capsys.readouterr().err
    found = pictures(page_of(place, result))
    assert sorted(found) == ["2.png", "3.png"]
    assert word_on(found["2.png"]) == "0"
    assert word_on(found["3.png"]) == "aa11"


def test_a_part_of_a_run_has_no_result_and_no_pictures(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "m.onnx", "one", "--keep-images", "misses", "--json", "r.json"]
    assert main([*words, "--run", "run", "--shard", "2/2"]) == 0
    assert "the rest is for other jobs" in capsys.readouterr().out
    assert not list(place.glob("r.*"))
    assert main([*words, "--run", "run", "--resume"]) == 0
    assert sorted(json.loads(Path("r.images.json").read_text())["images"]) == ["2.png", "3.png"]


def test_kept_pictures_of_the_surest_words_and_of_changes(place: Path) -> None:
    earlier = place / "old.jsonl"
    lines = [{"key": f"{n}.png", "text": "old"} for n in range(1, 5)]
    earlier.write_text("".join(json.dumps(line) + "\n" for line in lines))
    evaluated("r.json", "one", "--keep-images", "misses", "--readings", "r.jsonl")
    kept = json.loads(Path("r.images.json").read_text())
    assert sorted(kept["images"]) == ["2.png", "3.png"]
    words = ["--against", "old.jsonl", "--max-differ", "9", "--keep-images", "misses"]
    evaluated("s.json", "one", *words)
    kept = json.loads(Path("s.images.json").read_text())
    assert sorted(kept["images"]) == ["1.png", "2.png", "3.png", "4.png"]


def test_pictures_of_another_run_are_not_taken(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = evaluated("r.json", "one", "--keep-images", "misses")
    data = json.loads(result.read_text())
    data["date"] = "2020-01-01T00:00:00+00:00"
    result.write_text(json.dumps(data))
    assert not pictures(page_of(place, result))
    assert "r.images.json: the pictures of another run than r.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"schema": "crnn-images/9"}', "not pictures as crnn evaluate --keep-images writes them"),
        ("[]", "not pictures as crnn evaluate --keep-images writes them"),
    ],
)
def test_a_damaged_file_of_pictures_is_named(
    place: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    result = evaluated("r.json", "one")
    Path("r.images.json").write_text(content)
    assert not pictures(page_of(place, result))
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "picture",
    [
        3,
        "é",
        "<script>",
        base64.b64encode(b"GIF89a" + bytes(40)).decode(),
        base64.b64encode(b"<svg onload=alert(1)>").decode(),
    ],
)
def test_what_is_no_picture_is_not_shown(place: Path, picture: Any) -> None:
    result = evaluated("r.json", "one", "--keep-images", "misses")
    path = Path("r.images.json")
    kept = json.loads(path.read_text())
    kept["images"]["2.png"] = picture
    path.write_text(json.dumps(kept))
    assert sorted(pictures(page_of(place, result))) == ["3.png"]


def test_words_called_alike_in_two_data_sets_have_their_own_pictures(place: Path) -> None:
    write_images(place / "two", OTHERS, ["foot", "camp"])
    results: List[Path] = []
    for data in ("one", "two"):
        results.append(evaluated(f"{data}.json", data))
    html = page_of(place, *results, "--data", "two", "--data", "one")
    rows = parsed(html).findall(".//section")
    assert len(rows) == 2
    shown = [pictures_of(section) for section in rows]
    assert word_on(shown[0]["2.png"]) == "0"
    assert word_on(shown[1]["2.png"]) == "lamp"
    # And a set that was not given has none, rather than those of the other.
    html = page_of(place, *results, "--data", "two")
    assert [sorted(pictures_of(section)) for section in parsed(html).findall(".//section")] == [
        [],
        ["2.png"],
    ]


def test_readings_alone_have_pictures_beside_a_result(place: Path) -> None:
    result = evaluated("r.json", "one", "--readings", "r.jsonl")
    html = page_of(place, "r.jsonl", result, "--data", "one")
    shown = [sorted(pictures_of(section)) for section in parsed(html).findall(".//section")]
    assert shown == [["2.png", "3.png"], ["2.png", "3.png"]]


@pytest.mark.parametrize("target", [[], ["--json", "-"]])
def test_kept_pictures_need_a_place(
    place: Path, capsys: pytest.CaptureFixture[str], target: List[str]
) -> None:
    words = ["evaluate", "m.onnx", "one", "--keep-images", "misses", *target]
    assert main(words) == 2
    assert "--json FILE" in capsys.readouterr().err


def test_bins_hold_no_pictures_to_keep(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bins(place, WORDS, LABELS)
    words = ["evaluate", "m.onnx", "input_bin", "--label", "label.txt", "--json", "r.json"]
    assert main([*words, "--keep-images", "misses"]) == 2
    assert "holds bins, which are not pictures" in " ".join(capsys.readouterr().err.split())
    assert not Path("r.json").exists()


def test_a_table_keeps_no_pictures(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "m.onnx", "one", "one", "--keep-images", "misses", "--json", "r.json"]
    assert main(words) == 2
    assert "--keep-images is for one model and one DATA" in capsys.readouterr().err


@pytest.mark.parametrize("run", [(), ("--run", "run")], ids=["at once", "in a folder"])
def test_an_lmdb_keeps_pictures_too(place: Path, run: Sequence[str]) -> None:
    lmdb = Path(__file__).resolve().parents[2] / "examples" / "words_lmdb"
    evaluated("r.json", str(lmdb), "--keep-images", "misses", *run)
    kept = json.loads(Path("r.images.json").read_text())
    assert len(kept["images"]) == 300
    assert "no picture" not in text_of(page_of(place, "r.json", "--top", "3"))
