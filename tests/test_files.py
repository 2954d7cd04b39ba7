"""Files appear whole or not at all."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crnn import files
from crnn.errors import InputError
from crnn.filekind import require_file
from crnn.files import (
    atomic_file,
    atomic_folder,
    json_text,
    natural_key,
    utf8_lines,
    write_text,
)
from tests.conftest import ROOT


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "f"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_file(target) as file:
        file.write(b"half")
        assert target.read_text() == "old"
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    write_text(target, "new\r\n")
    assert target.read_bytes() == b"new\r\n"
    assert os.listdir(tmp_path) == ["f"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "d"
    for content in ("old", "new"):
        with atomic_folder(target) as folder:
            (folder / content).write_text(content)
        assert os.listdir(target) == [content]
    with pytest.raises(RuntimeError), atomic_folder(target) as folder:
        (folder / "half").write_text("")
        raise RuntimeError
    assert os.listdir(target) == ["new"]
    assert os.listdir(tmp_path) == ["d"]


def test_results_are_as_readable_as_any_file(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write_text(tmp_path / "f", "x")
        with atomic_folder(tmp_path / "d"):
            pass
    finally:
        os.umask(old)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o755


def test_parent_folders_are_not_created(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="the folder .*/no does not exist\n.*mkdir -p"
    ), atomic_file(tmp_path / "no" / "f"):
        pass


def test_a_missing_file_names_its_nearest_neighbour(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("x")
    with pytest.raises(InputError, match=r"did you mean .*model\.onnx\?"):
        require_file(tmp_path / "modle.onnx", "a model")


@pytest.mark.parametrize("other", ["crnn.om", "crnn.onnx"])
def test_a_missing_checkpoint_is_not_taken_for_a_model_of_another_kind(
    other: str, tmp_path: Path
) -> None:
    (tmp_path / other).write_text("x")
    with pytest.raises(InputError) as caught:
        require_file(tmp_path / "crnn.pth", "a checkpoint")
    assert "did you mean" not in str(caught.value)
    (tmp_path / "crnn.pt").write_text("x")
    with pytest.raises(InputError, match=r"did you mean .*crnn\.pt\?"):
        require_file(tmp_path / "crnn.pth", "a checkpoint")


def test_natural_order() -> None:
    names = ["test_10", "test_2", "a1b10", "a1b9", "test_1", "test_01"]
    assert sorted(names, key=natural_key) == [
        "a1b9",
        "a1b10",
        "test_01",
        "test_1",
        "test_2",
        "test_10",
    ]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "f").symlink_to("far/f")
    (tmp_path / "d").symlink_to("far/d")
    for content in ("old", "new"):
        write_text(tmp_path / "f", content)
        with atomic_folder(tmp_path / "d") as folder:
            (folder / content).touch()
    assert (tmp_path / "f").is_symlink()
    assert (tmp_path / "far" / "f").read_text() == "new"
    assert (tmp_path / "d").is_symlink()
    assert os.listdir(tmp_path / "far" / "d") == ["new"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(pipe, "x")
        assert os.read(reader, 10) == b"x"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_pipe_that_nobody_reads_ends_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PATIENCE", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="cannot write .*/pipe: No such device"):
        write_text(tmp_path / "pipe", "x")


def test_a_device_is_written_to_and_not_replaced() -> None:
    # Replacing /dev/null, which root may, breaks a machine.
    write_text(Path("/dev/null"), "x")
    assert Path("/dev/null").is_char_device()


def test_what_the_system_refuses_is_an_error_of_the_users(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with pytest.raises(InputError, match="cannot write .*/gone/f: No such file"), atomic_file(
        gone / "f"
    ) as file:
        file.write(b"x")
        shutil.rmtree(gone)
    # The longest name that a file may have leaves no room for a longer one beside it.
    write_text(tmp_path / ("n" * 255), "x")
    assert os.listdir(tmp_path) == ["n" * 255]


def test_a_limit_on_sizes_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    # SIGXFSZ is ignored by Python, so that the write fails; the limit holds for the child alone.
    program = (
        "import resource, sys; from pathlib import Path; from crnn.files import"
        " write_text;resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        " write_text(Path(sys.argv[1]), 'x' * 99999)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "f")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"InputError: cannot write {tmp_path}/f: File too large" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_told_whatever_a_library_makes_of_it(tmp_path: Path) -> None:
    # As PyTorch does, whose archive ends in an error of its own.
    script = """
import resource, signal, sys
from pathlib import Path
from crnn.errors import InputError
from crnn.files import atomic_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with atomic_file(Path("x")) as file:
        try:
            file.write(bytes(100_000))
        except InputError:
            raise RuntimeError("unexpected pos")
except InputError as error:
    print(error.message)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=str(tmp_path),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stdout.startswith(f"cannot write {tmp_path}/x: File too large"), done.stderr
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_replaced_is_put_back(tmp_path: Path) -> None:
    target = tmp_path / "d"
    target.mkdir()
    (target / "old").write_text("")
    with pytest.raises(InputError, match="cannot write .*/d: No such file"), atomic_folder(
        target
    ) as folder:
        folder.rmdir()
    assert os.listdir(target) == ["old"]
    assert os.listdir(tmp_path) == ["d"]


def test_where_folders_cannot_be_exchanged_the_old_one_is_put_back(tmp_path: Path) -> None:
    old = tmp_path / "bins"
    old.mkdir()
    (old / "mine").write_text("mine")
    with pytest.raises(FileNotFoundError):
        files._move_aside_and_replace(tmp_path / "gone", old)
    assert [path.name for path in tmp_path.iterdir()] == ["bins"]
    assert (old / "mine").read_text() == "mine"
    new = tmp_path / "new"
    new.mkdir()
    files._move_aside_and_replace(new, old)
    assert [path.name for path in tmp_path.iterdir()] == ["bins"]
    assert list(old.iterdir()) == []


def test_json_has_sorted_keys_and_no_value_that_is_not_json() -> None:
    assert json_text({"b": "é", "a": [1, None]}) == '{"a": [1, null], "b": "é"}'
    assert json_text({"b": "é"}, ascii_only=True) == '{"b": "\\u00e9"}'
    # A file's name in another encoding.
    assert json.loads(json_text(["\udce9"])) == ["\udce9"]
    for number in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            json_text({"accuracy": number})


def test_lines_end_with_lf_or_crlf_alone(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\n\n\xff\xfe\ntw\xe2\x80\xa8o\r\r\nlast\x0b")
    assert list(utf8_lines(file)) == [
        (1, "one", b"\xef\xbb\xbfone\r\n"),
        (2, "", b"\n"),
        (3, None, b"\xff\xfe\n"),
        (4, "tw\u2028o\r", b"tw\xe2\x80\xa8o\r\r\n"),
        (5, "last\x0b", b"last\x0b"),
    ]
