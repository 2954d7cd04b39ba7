"""Which OM files and which chips a command line means, before anything touches a device."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import pytest

from crnn.errors import InputError, UsageError
from crnn.runners.ascend_runner import om_files, parse_devices


def folder(path: Path, names: Sequence[str]) -> Path:
    for name in names:
        (path / name).write_bytes(b"")
    return path


def test_a_folder_is_its_static_set_ascending_by_batch(tmp_path: Path) -> None:
    folder(
        tmp_path,
        ["crnn_bs16.om", "crnn_bs4.om", "crnn_bs1.om", "crnn_bs1.om.json", "crnn.om", "label.txt"],
    )
    assert [path.name for path in om_files(tmp_path)] == [
        "crnn_bs1.om",
        "crnn_bs4.om",
        "crnn_bs16.om",
    ]


def test_a_file_is_itself(tmp_path: Path) -> None:
    assert om_files(tmp_path / "any.om") == [tmp_path / "any.om"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "holds no .om at all; expected the static set"),
        (["crnn.om"], "holds crnn.om; expected"),
        (["a_bs1.om", "b_bs1.om"], "holds a, b; expected the static set of one model"),
    ],
)
def test_a_folder_without_one_set_is_refused(
    tmp_path: Path, names: Sequence[str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        om_files(folder(tmp_path, names))


@pytest.mark.parametrize(
    ("text", "numbers"), [("0", [0]), ("3", [3]), ("0,1", [0, 1]), ("2,0,1", [2, 0, 1])]
)
def test_devices(text: str, numbers: Sequence[int]) -> None:
    assert parse_devices(text) == numbers


@pytest.mark.parametrize(
    "text", ["", "cpu", "cuda", "-1", "0,", "0,0", "0,00", "0 1", "1.5", "0x1", "٣"]
)
def test_devices_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="an OM runs on chips, by their numbers"):
        parse_devices(text)
