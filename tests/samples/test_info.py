"""The info file: golden bytes, natural order, paths as the user wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.errors import InputError
from crnn.samples.info import file_paths, info_line, write_info


def test_golden_bytes(tmp_path: Path) -> None:
    entries = [("./input_bin/test_1.bin", 100, 32), ("./input_bin/test_2.bin", 100, 32)]
    write_info(tmp_path / "crnn.info", entries)
    assert (
        tmp_path / "crnn.info"
    ).read_bytes() == b"0 ./input_bin/test_1.bin 100 32\n1 ./input_bin/test_2.bin 100 32\n"


def test_paths_are_in_natural_order_and_begin_as_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in ("test_10.bin", "test_9.bin", "summary.json", "test_1.BIN", "label.txt"):
        (tmp_path / "in" / name).write_bytes(b"")
    Path("in/sub.bin").mkdir()
    names = ["test_1.BIN", "test_9.bin", "test_10.bin"]
    for folder, start in (
        ("in", "in/"),
        ("./in", "./in/"),
        ("./in/", "./in/"),
        (str(tmp_path / "in"), f"{tmp_path}/in/"),
    ):
        assert file_paths(folder, (".bin",)) == [start + name for name in names]


@pytest.mark.parametrize("path", ["my bins/test_1.bin", "a\tb.bin", " a.bin", "a.bin\n", ""])
def test_white_space_in_a_path_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="white space, which separates the fields"):
        info_line(0, path, 100, 32)
