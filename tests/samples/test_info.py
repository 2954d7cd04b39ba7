"""The info file: golden bytes, natural order, paths as the user wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crnn.errors import InputError
from crnn.samples.bins import BINS_FORMAT
from crnn.samples.info import bins_of_size, file_paths, info_line, write_info
from crnn.spec import ModelSpec
from crnn.widths import Widths


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


def test_of_bins_of_several_widths_those_of_one(tmp_path: Path) -> None:
    folder = tmp_path / "bins"
    folder.mkdir()
    for number, width in ((1, 80), (2, 100), (10, 80)):
        (folder / f"test_{number}.bin").write_bytes(bytes(32 * width * 4))
    spec = ModelSpec(widths=Widths(list=(80, 100, 128)))
    data = {"format": "crnn-bins/1", "spec": spec.to_dict(), "dtype": "float32"}
    # Without the file beside them nothing is known of their sizes.
    assert len(bins_of_size(str(folder), 80, 32)) == 3
    data["format"] = BINS_FORMAT
    (tmp_path / "bins.json").write_text(json.dumps(data), encoding="utf-8")
    names = [Path(path).name for path in bins_of_size(str(folder), 80, 32)]
    assert names == ["test_1.bin", "test_10.bin"]
    with pytest.raises(
        InputError, match="no bin of 128 x 32 pixels .* its widths are 80, 100, 128"
    ):
        bins_of_size(str(folder), 128, 32)
