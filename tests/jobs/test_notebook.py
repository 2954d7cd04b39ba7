"""What a notebook shows of results: the report's own tables, and pictures beside readings."""

from __future__ import annotations

import builtins
import dataclasses
import importlib.util
from pathlib import Path
from typing import Any, List

import html5lib
import numpy as np
import pytest
from PIL import Image

import crnn
from crnn.jobs.bench import BenchRequest, bench
from crnn.jobs.report.notebook import MOST
from crnn.recognizer import PICTURES
from crnn.reports.result_json import reading_dict
from crnn.results import Reading, ReadingList
from tests.models import write_echo_model, write_images

WORDS = ["hello", "0", "aa11", "good"]
LABELS = ["hello", "1", "aa12", "good"]
HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_echo_model(tmp_path / "m.onnx")
    write_images(tmp_path / "one", WORDS, LABELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(value: Any) -> Any:
    """Return the element that a notebook gets, which is sound, alone, and without scripts."""
    html = value._repr_html_()
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    fragment = parser.parseFragment(html)
    elements = [element for element in fragment if isinstance(element.tag, str)]
    assert len(elements) == 1
    assert not elements[0].findall(".//script")
    (style,) = elements[0].findall(".//style")
    # Each rule is of this element alone: a notebook has tables of its own.
    for rule in style.text.replace("@media (prefers-color-scheme:dark){", "").split("}"):
        for selector in rule.partition("{")[0].split(","):
            assert selector.strip().startswith(".crnn-report") or not selector.strip()
    style.text = ""
    return elements[0]


def words_in(value: Any) -> str:
    return "".join(shown(value).itertext())


def test_an_evaluation_shows_its_misses(place: Path) -> None:
    outcome = crnn.evaluate("m.onnx", "one")
    text = words_in(outcome.evaluation)
    assert "m.onnx · one" in text
    assert "50.00 %" in text
    assert "aa12" in text
    assert "--readings" not in text
    assert "SIMULATED" not in text
    run = dataclasses.replace(outcome.evaluation.run, simulated=True)
    assert "SIMULATED" in words_in(dataclasses.replace(outcome.evaluation, run=run))


def test_an_outcome_shows_its_comparison_too(place: Path) -> None:
    lines = [f'{{"key": "{number}.png", "text": "hello"}}\n' for number in range(1, 5)]
    Path("old.jsonl").write_text("".join(lines))
    outcome = crnn.evaluate("m.onnx", "one", against="old.jsonl")
    assert outcome.comparison is not None
    for value in (outcome, outcome.comparison):
        assert "this run against old.jsonl" in words_in(value)
        assert "3 of 4 words differ." in words_in(value)
        assert "SIMULATED" not in words_in(value)
    simulated = dataclasses.replace(outcome.comparison, simulated=True)
    assert "SIMULATED" in words_in(simulated)


def test_a_benchmark_shows_its_speeds(place: Path) -> None:
    request = BenchRequest(Path("m.onnx"), Path("one"), batch=(1,), loop=1, warm_up=0)
    value = bench(request, lambda count: None)
    assert "m.onnx · onnxruntime, cpu" in words_in(value)
    assert len(shown(value).findall(".//figure")) == 2


def test_a_reading_stands_beside_its_picture(place: Path) -> None:
    with crnn.Recognizer("m.onnx") as recognizer:
        one = recognizer.read("one/1.png")
        data = Path("one/3.png").read_bytes()
        several = recognizer.read(["one/1.png", data, Path("one/2.png")])
    assert [reading.text for reading in several] == ["hello", "aa11", "0"]
    assert len(shown(one).findall(".//img")) == 1
    assert "hello" in words_in(one)
    pictures = [image.get("src") for image in shown(several).findall(".//img")]
    assert len(set(pictures)) == 3
    assert pictures[0] == shown(one).find(".//img").get("src")
    # Neither written nor compared: it is for notebooks.
    assert "image" not in reading_dict(one)
    assert one == dataclasses.replace(one, image=None)
    assert "image" not in repr(one)


def test_pictures_that_are_no_files_are_shown_too(place: Path) -> None:
    picture = Image.open("one/1.png")
    with crnn.Recognizer("m.onnx") as recognizer, open("one/1.png", "rb") as file:
        readings = recognizer.read([file, picture, np.asarray(picture)])
    assert len(shown(readings).findall(".//img")) == 3


def test_a_picture_that_went_away_is_missing_and_no_error(place: Path) -> None:
    with crnn.Recognizer("m.onnx") as recognizer:
        reading = recognizer.read("one/1.png")
    Path("one/1.png").unlink()
    assert not shown(reading).findall(".//img")
    assert "no picture" in words_in(reading)


def test_a_long_list_keeps_the_images_of_its_first_readings_alone(place: Path) -> None:
    data = Path("one/3.png").read_bytes()
    with crnn.Recognizer("m.onnx") as recognizer:
        readings = recognizer.read(data for _ in range(PICTURES + 3))
    kept = [reading.image is not None for reading in readings]
    assert kept == [True] * PICTURES + [False] * 3
    assert f"{len(readings) - MOST} more are not shown." in words_in(readings)


def test_hostile_readings_are_shown_and_not_obeyed() -> None:
    readings = ReadingList([Reading(HOSTILE, HOSTILE, 0.5, HOSTILE, image=HOSTILE.encode())])
    for value in (readings, readings[0]):
        text = words_in(value)
        assert "<script>alert(1)</script>" in text
        assert "\u202e" not in text
        assert "\x1b" not in text


def test_without_jinja_a_notebook_shows_text(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    taken: List[str] = []

    def without(name: str, *rest: Any) -> Any:
        if name == "jinja2":
            taken.append(name)
            return None
        return found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert Reading("a", "b", 0.5, None)._repr_html_() is None
    assert taken
    assert "text='b'" in builtins.repr(Reading("a", "b", 0.5, None))
