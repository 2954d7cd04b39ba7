"""Data in the forms that people hand over: names, collections, pipes, other files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List

import lmdb
import pytest
from PIL import Image

from crnn.cli.main import main
from crnn.errors import InputError
from crnn.samples.lmdb import lmdbs_below
from crnn.samples.source import open_labelled
from tests.conftest import ROOT
from tests.foreign import few_words_lmdb
from tests.models import echo_pixels, write_bins, write_echo_model, write_images
from tests.processes import started, uncounted

WORDS = ROOT / "examples" / "words_lmdb"


def write_lmdb(folder: Path, texts: List[str]) -> Path:
    folder.mkdir(parents=True)
    images = write_images(folder / "images", texts)
    with lmdb.open(str(folder), map_size=1 << 22) as data, data.begin(write=True) as at:
        for number, text in enumerate(texts, 1):
            at.put(b"image-%09d" % number, (images / f"{number}.png").read_bytes())
            at.put(b"label-%09d" % number, text.encode())
        at.put(b"num-samples", str(len(texts)).encode())
    shutil.rmtree(images)
    return folder


# Labels in names.

NAMES = {
    "last": {"1_hello.png": "hello", "a_b_c.jpg": "c"},
    "middle": {"115_Lube_45484.png": "Lube", "1_a_b_2.png": "a_b"},
    "text": {"hello_0.png": "hello", "a_b_17.png": "a_b", "x-y_.png": "x-y", "路_1.jpg": "路"},
    "stem": {"hello.png": "hello", "a.b.png": "a.b"},
}


@pytest.mark.parametrize("where", NAMES)
def test_labels_are_taken_from_names(where: str, tmp_path: Path) -> None:
    source = tmp_path / "images"
    source.mkdir()
    for name in NAMES[where]:
        Image.fromarray(echo_pixels("abc")[0]).save(source / name)
    words = ["dataset", "convert", "folder", str(source), str(tmp_path / "out")]
    assert main([*words, "--label-from-name", where]) == 0
    found = {sample.label for sample in open_labelled(tmp_path / "out")}
    assert found == set(NAMES[where].values())


# LMDBs in subfolders.


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    write_lmdb(folder / "evaluation" / "IC13_857", ["abc"])
    write_lmdb(folder / "evaluation" / "IC13_1015" / "deeper", ["def", "hello"])
    write_lmdb(folder / "B", ["net"])
    (folder / "README.txt").write_text("not a list of images")
    return folder


def test_a_collection_is_found_in_natural_order(collection: Path) -> None:
    assert [str(path.relative_to(collection)) for path in lmdbs_below(collection)] == [
        "B",
        "evaluation/IC13_857",
        "evaluation/IC13_1015/deeper",
    ]
    assert lmdbs_below(collection / "B") == []
    shutil.copy(collection / "B" / "data.mdb", collection / "evaluation" / "single.mdb")
    assert collection / "evaluation" / "single.mdb" in lmdbs_below(collection)


def test_a_folder_of_images_is_none(collection: Path) -> None:
    Image.fromarray(echo_pixels("abc")[0]).save(collection / "1.png")
    assert lmdbs_below(collection) == []


def test_a_collection_is_evaluated_as_several_data_sets(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_echo_model(tmp_path / "m.onnx")
    assert main(["evaluate", str(model), str(collection), "--json", str(tmp_path / "r.json")]) == 0
    said = capsys.readouterr()
    assert "3 data sets" in said.err
    for name in ("B", "IC13_857", "deeper"):
        assert name in said.err
        assert name in said.out
    assert main(["evaluate", str(model), str(collection / "B"), str(collection)]) == 0


@pytest.mark.parametrize(
    "words",
    [
        ["prepare", "DATA", "bins"],
        ["dataset", "check", "DATA"],
        ["dataset", "stats", "DATA"],
        ["quantize", "MODEL", "q.onnx", "--calibrate", "DATA"],
    ],
)
def test_who_takes_one_data_set_names_those_below(
    words: List[str],
    collection: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (collection / "README.txt").unlink()
    model = str(write_echo_model(tmp_path / "m.onnx"))
    assert main([w.replace("DATA", str(collection)).replace("MODEL", model) for w in words]) == 1
    said = capsys.readouterr().err
    assert "holds 3 LMDBs" in said
    assert "IC13_857" in said


# Folders and collections to train on, folders to quantise with.

TINY = ["channels=[4,4,6,6,8,8,8]", "hidden=8", "batch_size=2", "workers=0", "ema=null"]
TINY += ["length=1 steps", "warmup=0 steps", "precision=float32", "plot=false"]


@pytest.mark.parametrize("kind", ["folder", "collection", "list elsewhere", "weights"])
def test_training_takes_folders_and_collections(
    kind: str, collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / "images", ["abc", "def", "hello", "net"])
    pairs = {
        "folder": [f"train={images}", f"valid={images}"],
        "collection": [f"train={collection}", f"valid={collection / 'evaluation'}"],
        "list elsewhere": [f"train=[{{path: {images}, annotation: {tmp_path / 'list.txt'}}}]"],
        "weights": [
            f"train=[{{path: {collection}, weight: 3}}, {{path: {images}, weight: 1}}]",
            f"valid={images}",
        ],
    }[kind]
    if kind == "list elsewhere":
        shutil.move(str(images / "annotation.txt"), str(tmp_path / "list.txt"))
    assert main(["train", "synthetic", *TINY, *pairs, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    if kind == "folder":
        assert f"{images}: 4 words" in said
    if kind in ("collection", "weights"):
        assert f"{collection / 'evaluation' / 'IC13_1015' / 'deeper'}: 2 words" in said


@pytest.mark.parametrize("kind", ["folder", "list elsewhere", "LMDB"])
@pytest.mark.slow
def test_quantise_takes_folders(kind: str, shipped: Path, tmp_path: Path) -> None:
    more: List[str] = []
    if kind == "LMDB":
        data = few_words_lmdb(tmp_path / "words", 60)
    else:
        data = tmp_path / "images"
        assert main(["dataset", "convert", "folder", str(_extracted(tmp_path)), str(data), "--as",
                     "folder"]) == 0  # fmt: skip
    if kind == "list elsewhere":
        (listed,) = (path for path in data.iterdir() if path.is_file())
        shutil.move(str(listed), str(tmp_path / "list.txt"))
        more = ["--annotation", str(tmp_path / "list.txt")]
    words = ["quantize", str(shipped), str(tmp_path / "q.onnx"), "--calibrate", str(data)]
    assert main([*words, "--count", "20", *more]) == 0


def _extracted(folder: Path) -> Path:
    images = folder / "some"
    images.mkdir()
    lines = []
    for number, sample in enumerate(open_labelled(WORDS), 1):
        if number > 60:
            break
        (images / f"{number}.png").write_bytes(sample.image or b"")
        lines.append(f"{number}.png\t{sample.label}\n")
    (images / "list.txt").write_text("".join(lines))
    return images


# Lists from pipes.


def fifo(path: Path, content: bytes) -> List[str]:
    """Return a command that writes a pipe's content, once somebody reads."""
    os.mkfifo(path)
    program = f"open({str(path)!r}, 'wb').write({content!r})"
    return [sys.executable, "-c", program]


@pytest.mark.parametrize("verb", ["evaluate", "evaluate bins", "prepare", "convert", "bench"])
def test_lists_come_from_pipes(verb: str, tmp_path: Path) -> None:
    model = str(write_echo_model(tmp_path / "m.onnx"))
    images = write_images(tmp_path / "images", ["abc", "hello"])
    content = (images / "annotation.txt").read_bytes()
    (images / "annotation.txt").unlink()
    bins = write_bins(tmp_path, ["abc", "hello"])
    pipe = tmp_path / "pipe"
    words: Dict[str, List[str]] = {
        "evaluate": ["evaluate", model, str(images), "--annotation", str(pipe)],
        "evaluate bins": ["evaluate", model, str(bins), "--label", str(pipe)],
        "prepare": ["prepare", str(images), str(tmp_path / "b"), "--annotation", str(pipe)],
        "convert": ["dataset", "convert", "folder", str(images), str(tmp_path / "o"),
                    "--annotation", str(pipe)],
        "bench": ["bench", model, "--data", str(images), "--loop", "1", "--batch", "1",
                  "--annotation", str(pipe)],
    }  # fmt: skip
    if verb == "prepare":
        words["prepare"] += ["--label", str(tmp_path / "l.txt")]
    if verb == "evaluate bins":
        content = (tmp_path / "label.txt").read_bytes()
    command = fifo(pipe, content)
    if verb.startswith("evaluate"):
        words[verb] += ["--min-accuracy", "1"]
    before = set(Path(tempfile.gettempdir()).iterdir())
    with started(command, env=uncounted()) as writer:
        assert main(words[verb]) == 0
        assert writer.wait(timeout=60) == 0
    # Nothing that a killed command would leave behind.
    made = [path.name for path in set(Path(tempfile.gettempdir()).iterdir()) - before]
    assert [name for name in made if name.startswith("crnn-list")] == []


@pytest.mark.parametrize("shell", ["<(cat list)", "/dev/stdin < list", "/dev/stdin"])
def test_the_shells_own_forms(shell: str, tmp_path: Path) -> None:
    model = write_echo_model(tmp_path / "m.onnx")
    images = write_images(tmp_path / "images", ["abc", "hello"])
    shutil.move(str(images / "annotation.txt"), str(tmp_path / "list"))
    command = f"{sys.executable} -m crnn evaluate {model} {images} --min-accuracy 1 --label {shell}"
    if shell == "/dev/stdin":
        command = f"cat list | {command}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=str(tmp_path),
        env={**uncounted(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# Other files in an LMDB's place.


def test_a_lock_is_told_from_its_data(tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    data = lmdb.open(str(folder), map_size=1 << 20)
    with data.begin(write=True) as at:
        at.put(b"num-samples", b"0")
    for name in ("lock.mdb", "renamed"):
        shutil.copy(folder / "lock.mdb", tmp_path / name)
        with pytest.raises(InputError, match="is the lock of an LMDB, not its data") as caught:
            open_labelled(tmp_path / name)
        assert f"Give the folder, {tmp_path}" in caught.value.hint
    data.close()


OTHERS = {
    "PNG": ("w.png", "PNG", "is an image; expected an LMDB"),
    "JPEG": ("w.jpg", "JPEG", "is an image; expected an LMDB"),
    "BMP": ("w", "BMP", "is an image; expected an LMDB"),
    "TIFF": ("w.tif", "TIFF", "is an image; expected an LMDB"),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("verb", ["prepare", "evaluate"])
def test_an_image_in_an_lmdbs_place_says_what_reads_it(
    kind: str, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, form, said = OTHERS[kind]
    Image.fromarray(echo_pixels("abc")[0]).save(tmp_path / name, form)
    model = str(write_echo_model(tmp_path / "m.onnx"))
    words = {
        "prepare": ["prepare", str(tmp_path / name), str(tmp_path / "bins")],
        "evaluate": ["evaluate", model, str(tmp_path / name)],
    }[verb]
    assert main(words) == 1
    text = capsys.readouterr().err
    assert said in text
    assert f"crnn read MODEL {tmp_path / name}" in text


def test_json_and_results_are_not_data(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps({"schema": "crnn-evaluation/1"}))
    with pytest.raises(InputError, match="is a result of this kit"):
        open_labelled(tmp_path / "r.json")
