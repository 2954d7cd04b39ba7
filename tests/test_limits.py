"""What a file may ask for, what a pipe may be, and how long one waits for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import numpy as np
import onnx
import pytest

from crnn import files, image, plain_yaml
from crnn.cli.arguments import listing
from crnn.cli.main import main
from crnn.decoding.lexicon import read_words
from crnn.errors import InputError, UsageError
from crnn.filekind import require_file
from crnn.files import open_input, read_bounded, utf8_lines
from crnn.labels import Alphabet
from crnn.limits import LIMITS, PREFIX, advice, limit
from crnn.runners.onnx_file import require_plain_graph
from crnn.samples.annotations import read_annotations
from crnn.samples.bins import read_labels
from crnn.samples.given import taken
from crnn.spec import ModelSpec, read_spec
from crnn.training.recipe import load_recipe
from tests.conftest import ROOT
from tests.fuzz.kinds import picture


def written(pipe: Path, data: bytes) -> threading.Thread:
    """Make a pipe that somebody else writes to."""
    os.mkfifo(pipe)
    thread = threading.Thread(target=pipe.write_bytes, args=(data,))
    thread.start()
    return thread


def test_a_pipe_is_read_where_a_list_is_expected(tmp_path: Path) -> None:
    lines = b"a.png\tone\nb.png\ttwo\n"
    for name, read in (
        ("a", lambda path: [entry.label for entry in read_annotations(listing(path)).entries]),
        ("c", lambda path: [line for _, line, _ in utf8_lines(path)]),
    ):
        thread = written(tmp_path / name, lines)
        assert [text.rpartition("\t")[2] for text in read(tmp_path / name)] == ["one", "two"]
        thread.join()
    thread = written(tmp_path / "label", b"test_1.bin:word\n")
    assert read_labels(tmp_path / "label") == ({1: "word"}, [])
    thread.join()


def test_a_pipe_that_nobody_writes_to_ends_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert files.PATIENCE == 5
    monkeypatch.setattr(files, "PATIENCE", 0.05)
    os.mkfifo(tmp_path / "pipe")
    pipe, out = str(tmp_path / "pipe"), str(tmp_path / "out")
    words = ["dataset", "convert", "folder", str(ROOT / "examples"), out, "--annotation", pipe]
    assert main(words) == 1
    told = capsys.readouterr().err
    assert "pipe is a pipe, and nobody has written to it for 0.05 s" in told
    with pytest.raises(InputError, match="nobody has written to it"):
        list(utf8_lines(tmp_path / "pipe"))


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_model_must_be_a_file(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    for words in (["inspect"], ["read"], ["export"], ["dataset", "check"]):
        more = {"read": ["a.png"], "export": [str(tmp_path / "o.onnx")]}.get(words[0], [])
        assert main([*words, str(path), *more]) == 1
        assert "is a pipe or a device" in capsys.readouterr().err
    with pytest.raises(InputError, match="pipe or a device"):
        require_file(path, "a model")
    with pytest.raises(InputError, match="pipe or a device"):
        open_input(path)


def test_lines_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"short\n" + b"a" * 20 + b"\n")
    monkeypatch.setenv("CRNN_MAX_LINE", "21")
    assert len(list(utf8_lines(path))) == 2
    monkeypatch.setenv("CRNN_MAX_LINE", "20")
    with pytest.raises(InputError, match=r"line 2 has more than 20 bytes\n.*CRNN_MAX_LINE=NUMBER"):
        list(utf8_lines(path))
    monkeypatch.delenv("CRNN_MAX_LINE")
    monkeypatch.setenv("CRNN_MAX_LINES", "1")
    with pytest.raises(InputError, match="has more than 1 lines"):
        list(utf8_lines(path))


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "hole"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="has more than"):
        read_bounded(path)
    with pytest.raises(InputError, match="line 1 has more than"):
        list(utf8_lines(path))


def test_a_limit_is_set_by_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limit("side") == 65_535
    monkeypatch.setenv("CRNN_MAX_SIDE", "70000")
    assert limit("side") == 70_000
    for wrong in ("0", "-1", "x", "1e9", "9" * 30):
        monkeypatch.setenv("CRNN_MAX_SIDE", wrong)
        with pytest.raises(UsageError, match="CRNN_MAX_SIDE is .*; expected a whole number"):
            limit("side")


def test_the_table_of_the_docs_has_every_limit() -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `CRNN_MAX_([A-Z_]+)` \| ([0-9 ]+) \| (.+) \|$", text, re.M)
    found = {name.lower(): (int(value.replace(" ", "")), what) for name, value, what in rows}
    assert found == {name: (entry.value, entry.what) for name, entry in LIMITS.items()}
    assert advice("line").endswith(f"{PREFIX}LINE=NUMBER")


def test_a_bin_that_is_a_pipe_is_a_problem_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ROOT / "examples" / "words_lmdb"
    bins, label = tmp_path / "bins", tmp_path / "label.txt"
    assert main(["prepare", str(words), str(bins), "--label", str(label)]) == 0
    (bins / "test_2.bin").unlink()
    os.mkfifo(bins / "test_2.bin")
    (bins / "test_3.bin").unlink()
    (bins / "test_3.bin").symlink_to("/dev/zero")
    model = ROOT / "examples" / "crnn_small.pth"
    assert main(["evaluate", str(model), str(bins), "--label", str(label)]) == 0
    told = capsys.readouterr().err
    assert "test_2.bin: not a plain file" in told
    assert "test_3.bin: not a plain file" in told


def test_what_a_shell_gives_as_a_pipe_is_read(tmp_path: Path) -> None:
    script = (
        'exec "$0" -m crnn dataset convert folder "$1" "$2" --annotation <(printf "a.png\\tw\\n")'
    )
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(picture())
    done = subprocess.run(
        ["bash", "-c", script, sys.executable, str(tmp_path / "images"), str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "data.mdb").is_file()


def graph(path: Path) -> Tuple[Any, Path]:
    """Three operators and a constant of 48 bytes."""
    nodes = [onnx.helper.make_node("Relu", [f"x{at}"], [f"x{at + 1}"]) for at in range(3)]
    numbers = onnx.numpy_helper.from_array(np.zeros((3, 4), np.float32), "w")
    made = onnx.helper.make_graph(nodes, "g", [], [], [numbers])
    return onnx.helper.make_model(made), path


def lines_file(path: Path) -> Path:
    path.write_bytes(b"one\ntwo\nthree\n")
    return path


def json_file(path: Path) -> Path:
    path.write_text(ModelSpec.default().to_json(), encoding="utf-8")
    return path


HELD: Dict[str, Tuple[int, Callable[[Path], object]]] = {
    "lexicon": (3, lambda path: read_words(lines_file(path))),
    "line": (6, lambda path: list(utf8_lines(lines_file(path)))),
    "lines": (3, lambda path: list(utf8_lines(lines_file(path)))),
    "text": (len(ModelSpec.default().to_json()), lambda path: read_spec(json_file(path))),
    "result": (14, lambda path: read_bounded(lines_file(path), "result")),
    "image_bytes": (14, lambda path: taken(lines_file(path))),
    "pixels": (40, lambda _: image.picture(picture((8, 5)), "L")),
    "side": (8, lambda _: image.picture(picture((8, 5)), "L")),
    "input_values": (30, lambda _: ModelSpec(height=2, width=5, color="rgb")),
    "steps": (7, lambda _: ModelSpec(time_steps=7)),
    "characters": (3, lambda _: Alphabet("abc")),
    "output_values": (28, lambda _: ModelSpec(time_steps=7, characters="abc")),
    "tensor_bytes": (48, lambda path: require_plain_graph(*graph(path))),
    "nodes": (3, lambda path: require_plain_graph(*graph(path))),
    "weights": (1_255_680, lambda _: load_recipe("quick")),
    "yaml": (8, lambda _: plain_yaml.load("a: [[1]]")),
    "yaml_depth": (3, lambda _: plain_yaml.load("a: [[1]]")),
}
"""For each limit what asks for so much, and no more."""


def test_every_limit_is_among_those_that_are_held() -> None:
    # Pixels at once are waited for, not refused.
    assert set(HELD) == set(LIMITS) - {"pixels_at_once"}


@pytest.mark.parametrize("name", HELD)
def test_a_limit_takes_as_much_and_no_more(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, ask = HELD[name]
    monkeypatch.setenv(PREFIX + name.upper(), str(most))
    ask(tmp_path / "file")
    monkeypatch.setenv(PREFIX + name.upper(), str(most - 1))
    with pytest.raises((InputError, plain_yaml.YamlError)):
        ask(tmp_path / "file")


def test_an_image_file_that_is_too_large_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lines_file(tmp_path / "a.png")
    monkeypatch.setenv("CRNN_MAX_IMAGE_BYTES", "13")
    with pytest.raises(InputError) as refused:
        taken(path)
    assert refused.value.message == f"{path} has more than 13 bytes"
