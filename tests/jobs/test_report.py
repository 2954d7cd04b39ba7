"""A report shows what the files say, asks nobody for anything, and runs nothing that is in data."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import html5lib
import pytest

from crnn.cli.main import main
from crnn.errors import shown as escaped
from crnn.jobs.report.inputs import words_of
from crnn.jobs.report.tally import Tally, Word
from crnn.metrics import align, edit_distance
from crnn.reports.html import page
from crnn.spec import ModelSpec

WORDS = Path(__file__).resolve().parents[2] / "examples" / "words_lmdb"
HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=1">',
    "\u202egnp.exe",
    "\x1b[2J\x07",
    "{{ 7 * 7 }}{% raw %}",
    "]]></style><style>*{display:none}",
    "a" * 10_000,
)


def result(**changes: Any) -> Dict[str, Any]:
    data: Dict[str, Any] = {
        "schema": "crnn-evaluation/2",
        "accuracy": 0.5,
        "correct": 2,
        "total": 4,
        "cer": 0.25,
        "ned1": 0.7,
        "misses_total": 2,
        "misses": [
            {"key": "test_1", "label": "Stones", "text": "srones", "confidence": 0.9},
            {"key": "test_3", "label": "one", "text": "", "confidence": None},
        ],
        "by_length": {
            "3": {"accuracy": 0.5, "correct": 1, "total": 2},
            "4": {"accuracy": 1.0, "correct": 1, "total": 1},
            "6": {"accuracy": 0.0, "correct": 0, "total": 1},
        },
        "stages": {"infer": {"p50": 1.0, "p90": 1.0, "p99": 1.0, "sum": 12.5}},
        "skipped": {"image cannot be decoded": 1},
        "throughput": 100.0,
        "backend": "onnxruntime",
        "device": "cpu",
        "threads": 2,
        "versions": {"crnn": "0.1", "numpy": "2"},
        "simulated": False,
        "model": {
            "path": "m.onnx",
            "sha256": "ab" * 32,
            "spec": ModelSpec.default().to_dict(),
            "spec_from": "file",
        },
        "data": "words_lmdb",
    }
    data.update(changes)
    return data


READINGS = (
    {"key": "test_1", "label": "Stones", "text": "srones", "confidence": 0.9},
    {"key": "test_2", "label": "two", "text": "two", "confidence": 0.8},
    {"key": "test_3", "label": "one", "text": "", "confidence": 0.1},
    {"key": "test_4", "label": "four", "text": "four", "confidence": 0.7},
)


def write(folder: Path, name: str, data: Any) -> Path:
    path = folder / name
    if isinstance(data, (list, tuple)):
        path.write_text("".join(json.dumps(line) + "\n" for line in data), encoding="utf-8")
    else:
        path.write_text(json.dumps(data), encoding="utf-8")
    return path


def page_of(folder: Path, *words: object) -> str:
    target = folder / "out.html"
    assert main(["report", *map(str, words), "-o", str(target)]) == 0
    return target.read_text(encoding="utf-8")


def parsed(html: str) -> Any:
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)


def text_of(html: str) -> str:
    return "".join(parsed(html).itertext())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_figures_stand_on_a_sound_page(tmp_path: Path, language: str) -> None:
    json_file = write(tmp_path, "r.json", result())
    readings = write(tmp_path, "r.jsonl", READINGS)
    text = text_of(page_of(tmp_path, json_file, readings, "--lang", language))
    assert "50.00 %" in text
    assert "2 / 4" in text
    assert "15.0 %" in text  # Wilson's interval of 2 of 4
    assert "ab" * 32 in text
    assert "image cannot be decoded" in text


@pytest.mark.parametrize(
    ("language", "confident", "probable"),
    [("en", "mean confidence", "mean probability"), ("zh", "平均置信度", "平均概率")],
)
def test_a_confidence_is_not_called_a_probability(
    tmp_path: Path, language: str, confident: str, probable: str
) -> None:
    path = write(tmp_path, "r.jsonl", READINGS)
    text = text_of(page_of(tmp_path, path, "--lang", language))
    assert confident in text
    assert probable not in text
    path = write(tmp_path, "p.jsonl", [{**row, "probability": 0.5} for row in READINGS])
    text = text_of(page_of(tmp_path, path, "--lang", language))
    assert confident not in text
    assert probable in text


def test_a_table_has_widths_and_probabilities(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(
        "key,label,text,confidence,probability,width,view,views_agree\n"
        "k1,one,ono,0.3,0.8,80,rot+3,false\n",
        encoding="utf-8",
    )
    text = text_of(page_of(tmp_path, path))
    assert "mean probability" in text
    assert "80.0" in text
    assert "80 px, rot+3" in text


def test_the_surest_mistakes_come_first(tmp_path: Path) -> None:
    html = page_of(tmp_path, write(tmp_path, "r.jsonl", READINGS))
    assert html.index("test_1") < html.index("test_3")
    assert "test_2" not in html


def test_nothing_may_be_fetched_and_one_script_may_run(tmp_path: Path) -> None:
    html = page_of(tmp_path, write(tmp_path, "r.json", result()))
    document = parsed(html)
    policy = document.find(".//meta[@http-equiv='Content-Security-Policy']").get("content")
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag, source in (("script", "script-src"), ("style", "style-src")):
        elements = document.findall(f".//{tag}")
        assert len(elements) == 1
        digest = hashlib.sha256(elements[0].text.encode()).digest()
        assert f"{source} 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert not document.findall(".//link")
    for element in document.iter():
        assert not any(name.startswith("on") or name == "style" for name in element.attrib)
        for name in ("src", "href"):
            assert element.get(name, "data:").startswith("data:")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path, text: str) -> None:
    row = {"key": f"k{text}", "label": f"l{text}", "text": f"t{text}", "confidence": 0.5}
    row["view"] = text
    model = {**result()["model"], "path": text}
    changes = {"data": text, "device": text, "command": [text], "skipped": {text: 1}}
    data = result(misses=[row], misses_total=1, correct=3, model=model, **changes)
    data["against"] = {
        "file": text,
        "total": 4,
        "differing": 1,
        "regressions": 1,
        "improvements": 0,
        "difference": -0.25,
        "interval95": [-0.5, 0.1],
        "p_value": 1.0,
        "words": [{"key": text, "label": text, "text": text, "other": text, "change": text}],
    }
    html = page_of(tmp_path, write(tmp_path, "r.json", data))
    document = parsed(html)
    assert len(document.findall(".//script")) == 1
    assert len(document.findall(".//style")) == 1
    assert not document.findall(".//img")
    shown = "".join(document.itertext())
    assert escaped(text[:900]) in shown
    assert "49" not in re.sub(r"[0-9.]+ %", "", shown).split()


@pytest.mark.parametrize(
    "name", ["crnn-evaluation", "crnn-evaluations", "crnn-bench", "crnn-bench-sweep"]
)
def test_a_newer_result_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = write(tmp_path, "r.json", result(schema=f"{name}/99"))
    assert main(["report", str(path), "-o", str(tmp_path / "o.html")]) == 1
    assert "newer kit" in capsys.readouterr().err
    assert not (tmp_path / "o.html").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("accuracy", "0.5"),
        ("accuracy", float("nan")),
        ("accuracy", 10**400),
        ("correct", -1),
        ("correct", 5),
        ("total", 10**400),
        ("by_length", {"9" * 5000: {"correct": 1, "total": 1}}),
        ("by_length", {"3": {"correct": 2, "total": 1}}),
        ("total", True),
        ("misses", {}),
        ("misses", [3]),
        ("misses", [{"key": "a", "text": 3, "label": None}]),
        ("model", []),
        ("model", {"spec": {"width": "x"}}),
        ("by_length", {"x": {"correct": 1, "total": 1}}),
        ("by_length", {"²": {"correct": 1, "total": 1}}),
        ("by_length", {"3": 3}),
        ("stages", {"infer": 3}),
        ("skipped", []),
        ("versions", 3),
        ("versions", {"crnn": 3}),
        ("simulated", "true"),
        ("simulated", 1),
        ("skipped", {"image cannot be decoded": "1"}),
        ("interval95", [0.1]),
        ("interval95", ["0.1", 0.2]),
        ("threads", "2"),
        ("device", 0),
        ("data", ["words"]),
        ("rehearsed", True),
        ("given_up", ["0"]),
        ("command", [3]),
        ("model", {"spec": {}, "path": 3}),
        ("command", "crnn"),
        ("throughput", []),
        ("against", {"words": []}),
    ],
)
def test_a_result_that_is_not_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: Any
) -> None:
    path = write(tmp_path, "r.json", result(**{key: value}))
    assert main(["report", str(path), "-o", str(tmp_path / "o.html")]) == 1
    assert "r.json" in capsys.readouterr().err or key in ("misses", "model")


@pytest.mark.parametrize("models", [[3], [{"results": 3}], [{"results": [3]}]])
def test_results_of_many_models_that_are_not_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], models: Any
) -> None:
    path = write(tmp_path, "r.json", {"schema": "crnn-evaluations/1", "models": models})
    assert main(["report", str(path), "-o", str(tmp_path / "o.html")]) == 1
    assert "is not as crnn evaluate writes it" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["benchmark", "run", "sweep", "side"])
def test_a_simulation_that_is_not_told_by_true_or_false_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    timing = {"batch": 1, "throughput": {"transfers": 1.0}, "latency": {"p50": 1.0}}
    run = {"model": {"path": "m"}, "backend": "b", "device": "d", "batches": [timing]}
    data: Dict[str, Any] = {"schema": "crnn-bench/2", "runs": [run], "machine": {}}
    if place == "side":
        side = {"name": "m", "correct": 1, "total": 2, "simulated": "true"}
        data = {"schema": "crnn-comparison/1", "sides": [side], "comparisons": []}
    elif place == "run":
        run["simulated"] = "true"
    elif place == "sweep":
        data = {"schema": "crnn-bench-sweep/1", "results": [data], "simulated": "true"}
    else:
        data["simulated"] = "true"
    path = write(tmp_path, "b.json", data)
    assert main(["report", str(path), "-o", str(tmp_path / "o.html")]) == 1
    assert "as crnn" in capsys.readouterr().err


@pytest.mark.parametrize("speed", [10**400, "fast", None, []])
def test_a_benchmark_that_is_not_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], speed: Any
) -> None:
    timing = {"batch": 1, "throughput": {"transfers": speed}, "latency": {"p50": 1.0}}
    run = {"model": {"path": "m"}, "backend": "b", "device": "d", "batches": [timing]}
    data = {"schema": "crnn-bench/2", "runs": [run], "machine": {}}
    path = write(tmp_path, "b.json", data)
    assert main(["report", str(path), "-o", str(tmp_path / "o.html")]) == 1
    assert "not a benchmark as crnn bench writes it" in capsys.readouterr().err


def test_a_table_says_as_much_as_json_lines(tmp_path: Path) -> None:
    table = tmp_path / "r.csv"
    table.write_text(
        "key,label,text,confidence,probability,rejected\n"
        "test_1,one,one,0.5,0.75,false\ntest_2,two,tvo,0.25,0.375,true\n",
        encoding="utf-8",
    )
    assert list(words_of(table)) == [
        Word("test_1", "one", "one", 0.75),
        Word("test_2", "two", "tvo", 0.375, rejected=True),
    ]


def test_readings_of_another_run_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    json_file = write(tmp_path, "r.json", result())
    readings = write(tmp_path, "r.jsonl", READINGS[:3])
    assert main(["report", str(json_file), str(readings), "-o", str(tmp_path / "o.html")]) == 1
    assert "not of one run" in capsys.readouterr().err


OTHER_LENGTH = {**READINGS[3], "label": "fours", "text": "fours"}


@pytest.mark.parametrize(
    ("row", "changed", "message"),
    [
        # As many words, as many of them right, other texts or labels: another run, or other data.
        (2, {**READINGS[2], "text": "on"}, "test_3 reads 'on'; the result before it says ''"),
        (3, OTHER_LENGTH, "it has 1 labels of 4 characters, this run 0"),
    ],
)
def test_readings_that_only_count_alike_are_refused(
    row: int,
    changed: Dict[str, Any],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = list(READINGS)
    rows[row] = changed
    json_file = write(tmp_path, "r.json", result())
    readings = write(tmp_path, "r.jsonl", rows)
    assert main(["report", str(json_file), str(readings), "-o", str(tmp_path / "o.html")]) == 1
    assert message in " ".join(capsys.readouterr().err.split())


def test_runs_over_other_words_of_the_same_names_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [{**row, "label": str(row["label"])[::-1]} for row in READINGS]
    first = write(tmp_path, "a.jsonl", READINGS)
    second = write(tmp_path, "b.jsonl", other)
    assert main(["report", str(first), str(second), "-o", str(tmp_path / "o.html")]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "4 of 4 words have another label there (one: test_1, here 'senotS'" in said


def test_two_runs_over_the_same_words_are_compared(tmp_path: Path) -> None:
    other = [dict(row) for row in READINGS]
    other[0]["text"] = "stones"
    other[1]["text"] = "tvo"
    other[3]["text"] = "four"
    first = write(tmp_path, "a.jsonl", READINGS)
    # In another order, as another tool may leave them.
    second = write(tmp_path, "b.jsonl", other[::-1])
    html = page_of(tmp_path, first, second)
    text = text_of(html)
    assert "2 of 4 words differ." in text
    assert re.search(r"right before, wrong now: 1; wrong before, right now: 1", text)


def test_runs_of_other_words_are_refused_unless_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write(tmp_path, "a.jsonl", READINGS)
    second = write(tmp_path, "b.jsonl", READINGS[1:])
    target = tmp_path / "o.html"
    assert main(["report", str(first), str(second), "-o", str(target)]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "1 words stand in one of them alone, 3 in both" in said
    text = text_of(page_of(tmp_path, first, second, "--common"))
    assert "1 words stand in one of the two alone" in text
    assert "SAME TEXT: 3 of 3 words" in text


def test_data_sets_of_one_model_are_pooled(tmp_path: Path) -> None:
    one = write(tmp_path, "a.json", result(data="IC13"))
    two = write(tmp_path, "b.json", result(data="SVT", correct=3, accuracy=0.75))
    text = text_of(page_of(tmp_path, one, two))
    assert "All together" in text
    assert "62.50 %" in text


def test_each_model_has_its_data_sets_pooled(tmp_path: Path) -> None:
    other = {**result()["model"], "path": "n.onnx", "sha256": "cd" * 32}
    paths = []
    for number, (model, data, correct) in enumerate(
        [
            (result()["model"], "IC13", 2),
            (result()["model"], "SVT", 3),
            (other, "IC13", 1),
            (other, "SVT", 1),
        ]
    ):
        changes = {"model": model, "data": data, "correct": correct}
        paths.append(write(tmp_path, f"{number}.json", result(**changes)))
    text = text_of(page_of(tmp_path, *paths))
    assert text.count("All together") == 2
    assert re.search(r"All together: m\.onnx\s+62\.50 %", text)
    assert re.search(r"All together: n\.onnx\s+25\.00 %", text)


def test_one_data_set_read_in_two_ways_is_not_pooled(tmp_path: Path) -> None:
    """The words of a set count once, whatever lexicons it was read with."""
    first = write(tmp_path, "a.json", result())
    decoding = {"lexicon": "words.txt", "words": 9}
    second = write(tmp_path, "b.json", result(decoding=decoding, correct=3))
    third = write(tmp_path, "c.json", result(decoding=decoding, data="SVT"))
    text = text_of(page_of(tmp_path, first, second, third))
    assert text.count("All together") == 1
    assert re.search(r"All together: m\.onnx, lexicon words\.txt\s+62\.50 %", text)
    assert '"lexicon": "words.txt"' in text


def test_rejected_words_are_marked_and_counted(tmp_path: Path) -> None:
    rows = [{**row, "probability": row["confidence"], "rejected": False} for row in READINGS]
    assert "rejected" not in text_of(page_of(tmp_path, write(tmp_path, "r.jsonl", rows)))
    rows[2]["rejected"] = rows[3]["rejected"] = True
    text = text_of(page_of(tmp_path, write(tmp_path, "r.jsonl", rows)))
    told = "2 of 4 words were rejected as too unsure, 1 of them read right"
    assert f"{told}; of the 2 kept, 1 are right (50.00 %)." in text
    assert re.search(r"10\.0 % rejected\s*test_3", text)
    assert re.search(r"90\.0 %\s*test_1", text)


def test_what_was_simulated_says_so(tmp_path: Path) -> None:
    html = page_of(tmp_path, write(tmp_path, "r.json", result(simulated=True)))
    assert 'class="across"' in html
    assert text_of(html).count("SIMULATED") >= 4
    assert "SIMULATED" not in text_of(page_of(tmp_path, write(tmp_path, "s.json", result())))
    rows = [{**row, "simulated": True} for row in READINGS]
    assert 'class="across"' in page_of(tmp_path, write(tmp_path, "r.jsonl", rows))


def test_pictures_come_from_the_data(tmp_path: Path) -> None:
    rows = [{"key": "test_2", "label": "x", "text": "y", "confidence": 0.5}]
    readings = write(tmp_path, "r.jsonl", rows)
    html = page_of(tmp_path, readings, "--data", WORDS)
    images = parsed(html).findall(".//img")
    assert [image.get("alt") for image in images] == ["x"]
    content = base64.b64decode(images[0].get("src").partition(",")[2])
    assert content[:4] == b"RIFF"
    assert content[8:12] == b"WEBP"


def test_no_more_words_than_asked_for(tmp_path: Path) -> None:
    rows = [{"key": f"k{n}", "label": "a", "text": "b", "confidence": n / 100} for n in range(50)]
    html = page_of(tmp_path, write(tmp_path, "r.jsonl", rows), "--top", "7")
    assert "7 of 50 are shown." in text_of(html)
    assert "k49" in html
    assert "k42" not in html


def test_the_place_of_another_om_is_said_to_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beside = write(tmp_path, "m.om.json", {"format": "crnn-om/3", "om_sha256": "ee" * 32})
    page_of(tmp_path, write(tmp_path, "r.json", result()), beside)
    assert "not shown: no result here is of that OM" in " ".join(capsys.readouterr().err.split())


def test_the_place_of_an_om_is_told(tmp_path: Path) -> None:
    sidecar = {
        "format": "crnn-om/3",
        "om_sha256": "ab" * 32,
        "onnx_sha256": "cd" * 32,
        "checkpoint_sha256": None,
        "command": ["atc", "--framework=5"],
        "versions": {"cann": "8.0"},
    }
    beside = write(tmp_path, "m.om.json", sidecar)
    text = text_of(page_of(tmp_path, write(tmp_path, "r.json", result()), beside))
    assert "cd" * 32 in text
    assert "atc --framework=5" in text


def test_a_calibration_error_and_what_is_kept() -> None:
    tally = Tally(10, ModelSpec.default().fold)
    # Ten parts of ten words: of part p (0 the least sure), p words are right, told (p + 0.5) / 10.
    for part in range(10):
        for word in range(10):
            text = "b"
            if word < part:
                text = "a"
            tally.add(Word(f"{part}-{word}", "a", text, (part + 0.5) / 10))
    found = tally.reliability()
    assert found is not None
    assert found.error == pytest.approx(0.05)
    assert found.kept[9] == pytest.approx((0.1, 0.9))
    assert found.kept[-1] == pytest.approx((1.0, 0.45))


@pytest.mark.parametrize(
    ("truth", "text"), [("ship", "hips"), ("", "ab"), ("ab", ""), ("kitten", "sitting"), ("a", "a")]
)
def test_an_alignment_has_the_fewest_edits(truth: str, text: str) -> None:
    pairs = align(truth, text)
    assert "".join(wanted for wanted, _ in pairs) == truth
    assert "".join(read for _, read in pairs) == text
    assert sum(wanted != read for wanted, read in pairs) == edit_distance(truth, text)


@pytest.mark.slow
def test_three_hundred_pictures_stay_below_two_megabytes(tmp_path: Path, shared_data: Path) -> None:
    """Photographed words, each with the probabilities of its characters, as a run leaves them."""
    place = shared_data / "IIIT5K_train_lmdb"
    rows = []
    for number in range(1, 301):
        characters = [{"probability": 0.123456} for _ in range(10)]
        row = {"key": f"test_{number}", "label": "tenletters", "text": "tenlettars"}
        rows.append({**row, "confidence": 0.5, "characters": characters})
    html = page_of(tmp_path, write(tmp_path, "r.jsonl", rows), "--data", place)
    assert html.count("data:image/webp") == 300
    assert len(html.encode()) < 2_000_000


@pytest.mark.slow
def test_many_records_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(200_000):
            text = "hello"
            if not number % 7:
                text = "hallo"
            file.write(
                f'{{"key": "test_{number}", "label": "hello", "text": "{text}",'
                f' "confidence": 0.{number % 1000:03}}}\n'
            )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    page_of(tmp_path, path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60 << 10  # kilobytes: a fifth of what a million may take


def chromium() -> Optional[str]:
    return shutil.which("chromium") or shutil.which("chromium-browser")


def browsed(file: Path, profile: Path) -> Tuple[str, str]:
    """Return the page's elements as a browser has them after its scripts, and what it logged."""
    command = [
        str(chromium()),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
        "--enable-logging=stderr",
        "--virtual-time-budget=2000",
        "--dump-dom",
        f"file://{file}",
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def with_script(html: str, script: str) -> str:
    """Return a page in which one more script may run: a reader's clicks."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html = html.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    return html.replace("</body>", f"<script>{script}</script></body>")


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium")
def test_a_browser_shows_it_and_runs_nothing_of_the_data(tmp_path: Path) -> None:
    rows: List[Dict[str, Any]] = []
    for number, text in enumerate(HOSTILE, 1):
        rows.append({"key": f"test_{number}", "label": text, "text": "x" + text, "confidence": 0.5})
    page_of(tmp_path, write(tmp_path, "r.jsonl", rows), "--data", WORDS)
    dom, said = browsed(tmp_path / "out.html", tmp_path / "profile")
    assert "CONSOLE" not in said, said
    assert "<title>Reading report</title>" in dom
    assert dom.count("data:image/webp") == len(HOSTILE)
    # What the policy is for: the same page with a script of somebody else's does not run it.
    html = (tmp_path / "out.html").read_text(encoding="utf-8")
    other = tmp_path / "other.html"
    other.write_text(html.replace("</body>", "<script>document.title='owned'</script></body>"))
    dom, said = browsed(other, tmp_path / "profile")
    assert "<title>Reading report</title>" in dom
    assert "Content Security Policy" in said


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium")
def test_hostile_texts_in_every_field_stay_texts_in_a_browser(tmp_path: Path) -> None:
    text = HOSTILE[0] + HOSTILE[1] + HOSTILE[3]
    row: Dict[str, Any] = {"key": text, "label": text, "text": f"x{text}", "view": text}
    model: Dict[str, Any] = {**result()["model"], "path": text, "sha256": text, "spec_from": text}
    changes: Dict[str, Any] = {"data": text, "device": text, "backend": text, "date": text}
    changes["command"] = [text]
    tables: Dict[str, Any] = {
        "skipped": {text: 1},
        "versions": {text: text},
        "stages": {text: {"sum": 1.0}},
    }
    tables["decoding"] = {"lexicon": text}
    data = result(misses=[row], misses_total=1, correct=3, model=model, **changes, **tables)
    batch: Dict[str, Any] = {
        "batch": text,
        "throughput": {"transfers": 1.0},
        "latency": {"p50": 1.0},
    }
    run: Dict[str, Any] = {"model": {"path": text}, "backend": text, "device": text}
    run["batches"] = [batch]
    bench: Dict[str, Any] = {"schema": "crnn-bench/1", "data": text, "runs": [run]}
    bench["machine"] = {text: text}
    page_of(tmp_path, write(tmp_path, "r.json", data), write(tmp_path, "b.json", bench))
    dom, said = browsed(tmp_path / "out.html", tmp_path / "profile")
    assert "CONSOLE" not in said, said
    assert "<title>Reading report</title>" in dom
    assert dom.count("<script>") == 1
    assert "<img" not in dom


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium")
@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext")
def test_a_printed_page_has_all(tmp_path: Path) -> None:
    rows = []
    for number in range(120):
        row = {"key": f"test_{number}", "label": f"wanted{number}", "text": f"read{number}"}
        rows.append({**row, "confidence": 0.5})
    page_of(tmp_path, write(tmp_path, "r.jsonl", rows))
    target = tmp_path / "out.pdf"
    command = [
        str(chromium()),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--print-to-pdf={target}",
        f"file://{tmp_path / 'out.html'}",
    ]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    done = subprocess.run(
        ["pdftotext", "-layout", str(target), "-"], capture_output=True, timeout=60, check=True
    )
    words = done.stdout.decode("utf-8", "replace").split()
    for printed in rows:
        assert {printed["label"], printed["text"], printed["key"]}.issubset(words)
    assert "Show rows that hold" not in " ".join(words)


def luminance(color: str) -> float:
    """Return the relative luminance of a colour: https://www.w3.org/TR/WCAG21/#dfn-relative-luminance"""
    if len(color) == 4:
        color = "#" + "".join(2 * digit for digit in color[1:])
    parts = []
    for at in (1, 3, 5):
        value = int(color[at : at + 2], 16) / 255
        linear: float = ((value + 0.055) / 1.055) ** 2.4
        if value <= 0.04045:
            linear = value / 12.92
        parts.append(linear)
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_texts_stand_out_from_the_paper_in_light_and_dark() -> None:
    """At least 4.5 to 1, as WCAG 2.1 asks for texts."""
    style = Path(page.__file__).with_name("templates") / "report.css"
    themes = re.findall(r":root\{(.*?)\}", style.read_text(encoding="utf-8"))
    assert len(themes) == 2
    for theme in themes:
        colors = dict(re.findall(r"--([\w-]+):(#\w+)", theme))
        for ink, paper in (
            ("ink", "paper"),
            ("faint", "paper"),
            ("good", "paper"),
            ("bad", "paper"),
            ("ink", "band"),
            ("warn", "warn-paper"),
        ):
            light, dark = sorted((luminance(colors[ink]), luminance(colors[paper])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium")
def test_a_browser_sorts_and_filters(tmp_path: Path) -> None:
    rows = [
        {"key": "k1", "label": "b", "text": "x", "confidence": 0.9},
        {"key": "k2", "label": "a", "text": "y", "confidence": 0.5},
        {"key": "k3", "label": "c", "text": "z", "confidence": 0.1},
    ]
    html = page_of(tmp_path, write(tmp_path, "r.jsonl", rows))
    clicks = """
    const table = document.querySelector("table.sortable");
    const heads = table.querySelectorAll("button.sort");
    const keys = () => Array.from(table.tBodies[0].rows).map((row) => row.cells[5].textContent);
    const seen = [keys()];
    for (const head of heads) { head.click(); seen.push(keys()); }
    const input = document.querySelector("input");
    input.value = "k2"; input.dispatchEvent(new Event("input"));
    const shown = Array.from(table.tBodies[0].rows).filter((row) => !row.hidden).length;
    document.title = JSON.stringify([seen, shown]);
    """
    clicked = tmp_path / "clicked.html"
    clicked.write_text(with_script(html, clicks), encoding="utf-8")
    dom, said = browsed(clicked, tmp_path / "profile")
    assert "CONSOLE" not in said, said
    found = re.search(r"<title>(.*?)</title>", dom)
    assert found is not None
    seen, shown = json.loads(found[1])
    # As written: the surest first; then by label, reading, probability and name.
    assert seen[0] == ["k1", "k2", "k3"]
    assert seen[1] == ["k2", "k1", "k3"]
    assert seen[2] == ["k1", "k2", "k3"]
    assert seen[3] == ["k3", "k2", "k1"]
    assert seen[4] == ["k1", "k2", "k3"]
    assert shown == 1


def test_a_saved_comparison_is_shown(tmp_path: Path) -> None:
    word = {"key": "test_1", "label": "Stones", "text": "srones", "other": "stones"}
    against = {
        "file": "old.jsonl",
        "total": 4,
        "differing": 1,
        "regressions": 1,
        "improvements": 0,
        "difference": -0.25,
        "interval95": [-0.5, 0.1],
        "p_value": 1.0,
        "words": [{**word, "change": "regression"}],
    }
    text = text_of(page_of(tmp_path, write(tmp_path, "r.json", result(against=against))))
    assert "against old.jsonl" in text
    assert "1 of 4 words differ." in text


def test_a_benchmark_has_its_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch = {"batch": 16, "throughput": {"transfers": 1234.5}, "latency": {"p50": 3.25}}
    run = {"model": {"path": "m.onnx"}, "backend": "onnxruntime", "device": "cpu"}
    data = {
        "schema": "crnn-bench/1",
        "data": "words_lmdb",
        "machine": {"processor": "AMD EPYC"},
        "runs": [{**run, "batches": [batch], "simulated": True}],
    }
    html = page_of(tmp_path, write(tmp_path, "b.json", data))
    text = text_of(html)
    for told in ("m.onnx · onnxruntime, cpu", "1234", "3.250", "AMD EPYC", "SIMULATED"):
        assert told in text
    del data["runs"][0]["batches"][0]["latency"]  # type: ignore[index]
    path = write(tmp_path, "broken.json", data)
    assert main(["report", str(path), "-o", str(tmp_path / "o.html")]) == 1
    assert "not a benchmark as crnn bench writes it" in " ".join(capsys.readouterr().err.split())


def benchmark(threads: int, speed: float) -> Dict[str, Any]:
    batch = {
        "batch": 16,
        "throughput": {"transfers": speed},
        "latency": {"p50": 3.25},
        "stages": {"infer": {"p50": 2.5}},
    }
    run = {"model": {"path": "m.onnx"}, "backend": "onnxruntime", "device": "cpu"}
    return {
        "schema": "crnn-bench/1",
        "data": "words_lmdb",
        "machine": {"processor": "AMD EPYC"},
        "runs": [{**run, "threads": threads, "batches": [batch]}],
    }


def test_a_sweep_of_threads_has_the_rows_and_bars_of_all(tmp_path: Path) -> None:
    results = [benchmark(1, 1000.0), benchmark(2, 1901.0)]
    data = {"schema": "crnn-bench-sweep/1", "simulated": False, "results": results}
    text = text_of(page_of(tmp_path, write(tmp_path, "s.json", data)))
    for told in ("threads 1161000", "threads 2161901", "onnxruntime 2T by 16: 1901", "2.5 ms"):
        assert told in text.replace("\n", "")
    assert "SIMULATED" not in text
    data["simulated"] = True
    assert "SIMULATED" in text_of(page_of(tmp_path, write(tmp_path, "s.json", data)))


@pytest.mark.parametrize("results", [None, [], [3], [{"runs": 3}]])
def test_a_sweep_that_is_not_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], results: Any
) -> None:
    path = write(tmp_path, "s.json", {"schema": "crnn-bench-sweep/1", "results": results})
    assert main(["report", str(path), "-o", str(tmp_path / "o.html")]) == 1
    assert "as crnn bench writes it" in " ".join(capsys.readouterr().err.split())


def test_a_table_of_data_sets_is_taken_apart(tmp_path: Path) -> None:
    one, two = result(), result(correct=3, accuracy=0.75)
    del one["data"], two["data"]
    results = [
        {"data": "IC13", "result": one},
        {"data": "SVT", "result": two},
        {"data": "IC15", "error": "does not exist"},
    ]
    data = {"schema": "crnn-evaluations/1", "models": [{"model": "m.onnx", "results": results}]}
    text = text_of(page_of(tmp_path, write(tmp_path, "all.json", data)))
    assert "m.onnx · IC13" in text
    assert "m.onnx · SVT" in text
    assert "62.50 %" in text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("r.jsonl", '{"key": "a", "text": "b"}\n{"key"\n', "line 2: not JSON"),
        ("r.jsonl", '{"key": "a", "text": "b"}\n[]\n', "line 2: not a reading"),
        ("r.jsonl", '{"key": "a", "text": "b", "label": 3}\n', "text and label as strings"),
        ("r.csv", "key,label,text,confidence\na,b,c,much\n", "line 2"),
        ("r.json", "[1]", "a JSON list"),
        ("r.json", "{", "neither a result JSON nor readings"),
        ("r.json", "{", "crnn evaluate MODEL DATA --json r.json"),
        ("r.json", '{"schema": "crnn-spec/1"}', "the schema is 'crnn-spec/1'"),
    ],
)
def test_what_is_no_result_is_told_by_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert main(["report", str(path), "-o", str(tmp_path / "o.html")]) == 1
    assert said in " ".join(capsys.readouterr().err.split())


def test_readings_as_a_table_say_that_they_were_simulated(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("key,label,text,confidence,simulated\na,b,c,0.5,true\n", encoding="utf-8")
    assert 'class="across"' in page_of(tmp_path, path)
    path.write_text("key,label,text,confidence\na,b,c,0.5\n", encoding="utf-8")
    assert 'class="across"' not in page_of(tmp_path, path)


@pytest.mark.parametrize("last", [{}, {"simulated": True}])
@pytest.mark.parametrize("with_result", [False, True])
@pytest.mark.parametrize("name", ["r.jsonl", "r.csv"])
def test_one_simulated_reading_marks_the_page(
    last: Dict[str, bool], with_result: bool, name: str, tmp_path: Path
) -> None:
    rows = [dict(row) for row in READINGS]
    rows[-1].update(last)
    path = write(tmp_path, "r.jsonl", rows)
    if name == "r.csv":
        path = tmp_path / name
        lines = ["key,label,text,confidence,simulated,more"]
        for row in rows:
            mark = str("simulated" in row).lower()
            values = [str(row["key"]), str(row["label"]), str(row["text"]), "0.5", mark, "x"]
            lines.append(",".join(values))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    given = [path]
    if with_result:
        given.insert(0, write(tmp_path, "r.json", result()))
    assert ('class="across"' in page_of(tmp_path, *given)) == bool(last)


def test_a_text_that_holds_the_mark_is_not_simulated(tmp_path: Path) -> None:
    text = '{"simulated": true}'
    path = write(tmp_path, "r.jsonl", [{**READINGS[0], "text": text, "label": text}])
    assert 'class="across"' not in page_of(tmp_path, path)


def test_characters_of_little_probability_are_marked(tmp_path: Path) -> None:
    row = {"key": "k", "label": "ab", "text": "ac", "confidence": 0.5}
    sure, unsure = {"probability": 0.9}, {"probability": 0.2}
    html = page_of(tmp_path, write(tmp_path, "r.jsonl", [{**row, "characters": [sure, unsure]}]))
    assert html.count('class="pair other unsure"') == 1
    # In sight, not in a hint that a pointer must find: a page is printed, and read on telephones.
    assert re.findall(r"<small>(.*?)</small>", html) == ["90", "20"]
    for characters in ([1], [sure, {}], "ab"):
        lines = [{**row, "characters": characters}]
        assert "unsure" not in parsed_body(page_of(tmp_path, write(tmp_path, "s.jsonl", lines)))


def parsed_body(html: str) -> str:
    return html[html.index("<main>") : html.index("</main>")]
