"""The library: its page is true, and a script may use it as a script."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List

import pytest

import crnn
from crnn.samples.lmdb_writer import LmdbWriter
from crnn.samples.source import open_labelled
from crnn.spec import ModelSpec
from tests.cli.test_read import word_png
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "library.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
SHOWN = re.compile(r"^ *print\(.*\)  # (.*)$", re.M)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples of the checkout and a word, where scripts run."""
    place = tmp_path_factory.mktemp("library")
    shutil.copytree(ROOT / "examples", place / "examples")
    (place / "word.png").write_bytes(word_png("tree"))
    return place


def run(code: str, place: Path, *before: str) -> subprocess.CompletedProcess[str]:
    (place / "script.py").write_text(code, encoding="utf-8")
    return subprocess.run(
        [*before, sys.executable, "script.py"],
        cwd=str(place),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_example_prints_what_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(EXAMPLES) == 4
    monkeypatch.chdir(folder)
    for code in EXAMPLES:
        if "export_onnx" in code:
            # Here, where PyTorch is imported already.
            exec(compile(code, str(PAGE), "exec"), {"__name__": "__main__"})
            printed = capsys.readouterr().out
        else:
            before: List[str] = []
            if "compile_om" in code:
                before = [sys.executable, "-m", "crnn.simulator", "--"]
            done = run(code, folder, *before)
            assert done.returncode == 0, done.stderr
            printed = done.stdout
        assert printed.splitlines() == SHOWN.findall(code)


@pytest.mark.parametrize("name", ["evaluate", "score", "compile_om"])
def test_help_names_a_class_that_holds_the_options(name: str) -> None:
    text = getattr(crnn, name).__doc__
    found = re.search(r"options: [^`]*`(crnn[\w.]+)\.(\w+)`", text)
    assert found
    request = getattr(importlib.import_module(found[1]), found[2])
    fields = {field.name for field in dataclasses.fields(request)}
    listed = text[found.end() :].partition("Returns:")[0]
    assert set(re.findall(r"``(\w+)``", listed)) <= fields


def test_every_name_is_on_the_page_and_is_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in crnn.__all__:
        assert getattr(crnn, name) is not None
        assert re.search(rf"\b{name}\b", text) or name in ("CRNN", "ModelSpec", "__version__")
    assert set(crnn.__all__) <= set(dir(crnn))
    with pytest.raises(AttributeError, match="has no attribute 'evaluates'"):
        crnn.evaluates  # noqa: B018


@pytest.mark.parametrize("name", crnn.__all__)
def test_no_public_name_is_a_rooms(name: str) -> None:
    # A room that is imported becomes an attribute of the package, in the place of the name.
    assert importlib.util.find_spec(f"crnn.{name}") is None


def test_the_functions_stay_after_the_rooms_are_imported() -> None:
    import crnn.compile.to_om
    import crnn.export.to_onnx
    import crnn.jobs.evaluate

    for name in ("evaluate", "prepare", "score", "quantize", "compile_om", "export_onnx"):
        assert getattr(crnn, name).__module__ == "crnn.library"


def test_options_are_the_verbs(folder: Path) -> None:
    words = str(folder / "examples" / "words_lmdb")
    model = str(folder / "examples" / "crnn_small.pth")
    with pytest.raises(crnn.UsageError, match="bach is not an option here; did you mean batch"):
        crnn.evaluate(model, words, bach=3)
    readings = folder / "readings.jsonl"
    outcome = crnn.evaluate(model, words, min_accuracy=0.999, readings=str(readings), batch=64)
    assert len(readings.read_text().splitlines()) == 300
    assert len(outcome.failures) == 1
    data = json.loads(json.dumps(outcome.to_dict()))
    assert data["correct"] == outcome.evaluation.correct == 298


@pytest.mark.parametrize("model", ["small.onnx", "crnn_small.pth"])
def test_several_threads_read_with_one_recognizer(folder: Path, model: str) -> None:
    path = folder / "examples" / model
    if model.endswith(".onnx"):
        crnn.export_onnx(folder / "examples" / "crnn_small.pth", path)
    images = [sample.image or b"" for sample in open_labelled(folder / "examples/words_lmdb")]
    with crnn.Recognizer(path, threads=1) as recognizer:
        alone = [recognizer.read(image).text for image in images[:80]]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda image: recognizer.read(image).text, images[:80]))
    assert together == alone
    assert len(set(alone)) > 40


THREADS = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import crnn
from crnn.samples.source import open_labelled
from crnn.spec import ModelSpec

crnn.compile_om("threads.onnx", "threads")
images = [sample.image for sample in open_labelled(Path("examples/words_lmdb"))][:40]
with crnn.Recognizer("threads.om") as recognizer:
    alone = [recognizer.read(image).text for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: recognizer.read(image).text, images))
print(together == alone, len(set(alone)) > 20)
"""


def test_several_threads_read_with_one_om(folder: Path) -> None:
    crnn.export_onnx(folder / "examples" / "crnn_small.pth", folder / "threads.onnx")
    done = run(THREADS, folder, sys.executable, "-m", "crnn.simulator", "--")
    assert done.stdout == "True True\n", done.stderr
    assert done.returncode == 0, done.stderr


def test_prepare_in_processes_needs_no_main_guard(folder: Path) -> None:
    image = word_png("tree")
    (folder / "many_lmdb").mkdir()
    writer = LmdbWriter(folder / "many_lmdb")
    for _ in range(5000):
        writer.add(image, "tree")
    writer.finish()
    code = 'import crnn\nprint("once")\nprint(crnn.prepare("many_lmdb", "bins", threads=2).bins)\n'
    done = run(code, folder)
    assert done.stdout == "once\n5000\n", done.stderr
    assert not done.stderr


def test_prepare_takes_a_table_and_a_spec_of_bytes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    shutil.copy(folder / "word.png", tmp_path / "words" / "1.png")
    table = tmp_path / "words.csv"
    table.write_text("number,picture,said\n7,1.png,tree\n", encoding="utf-8")
    spec = dataclasses.replace(ModelSpec.default(), input_dtype="uint8")
    options = {"annotation": table, "columns": ("picture", "said")}
    label = tmp_path / "label.txt"
    done = crnn.prepare(tmp_path / "words", tmp_path / "bins", label, spec=spec, **options)
    assert done.labels == 1
    assert label.read_text() == "test_1.bin:tree\n"
    assert (tmp_path / "bins" / "test_1.bin").stat().st_size == 32 * 100
    # A spec may be a model that carries it; one of float32 gets float32.
    model = folder / "examples" / "crnn_small.pth"
    crnn.prepare(tmp_path / "words", tmp_path / "bins", label, spec=model, **options)
    assert (tmp_path / "bins" / "test_1.bin").stat().st_size == 4 * 32 * 100


def test_export_takes_an_alphabet_and_words(folder: Path, tmp_path: Path) -> None:
    model, words = folder / "examples" / "crnn_small.pth", folder / "examples" / "words_lmdb"
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    done = crnn.export_onnx(model, tmp_path / "a.onnx", alphabet=digits, words=words)
    assert done.passed
    assert done.words is not None
    assert crnn.evaluate(tmp_path / "a.onnx", words).evaluation.correct == 298
    with pytest.raises(crnn.InputError, match="35 characters"):
        crnn.export_onnx(model, tmp_path / "b.onnx", alphabet=digits[1:])
    assert not (tmp_path / "b.onnx").exists()
