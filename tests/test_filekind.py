"""Kinds of files, told by golden first bytes and not by names."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from crnn.ascend.om_reader import read_om
from crnn.cli.main import main
from crnn.errors import InputError
from crnn.filekind import OM, ONNX, TORCH, kind_of
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"IMOD", OM),
        (b"PK\x03\x04", TORCH),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", TORCH),
        (b"\x80\x02}q", ONNX),  # a pickle that is not PyTorch's: a reader says what is wrong
        (b"\x08\x06\x12\x04crnn", ONNX),
    ],
)
def test_kind_of(head, kind, tmp_path):
    path = tmp_path / "model.txt"
    path.write_bytes(head + bytes(20))
    assert kind_of(path) == kind


def test_a_git_lfs_pointer_is_not_a_model(tmp_path):
    path = tmp_path / "model.om"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match="Git LFS pointer"):
        kind_of(path)


def om2(path: Path, prefix: str = "") -> Path:
    """An archive with the entries and the order of GE's."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{prefix}manifest.json", '{"model_num":1,"compatibility":{}}')
        archive.writestr(f"{prefix}data/model_0/model_meta.json", "{}")
    return path


@pytest.mark.parametrize("name", ["m.om2", "m.om", "m.onnx"])
@pytest.mark.parametrize("prefix", ["", "m/"])
@pytest.mark.parametrize("verb", ["inspect", "evaluate", "doctor"])
def test_an_om2_is_named_for_what_it_is(
    verb: str, prefix: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = om2(tmp_path / name, prefix)
    words = [verb, str(path)]
    if verb == "evaluate":
        words.append(str(ROOT / "examples" / "words_lmdb"))
    assert main(words) == 1
    said = capsys.readouterr().err
    assert f"{name} is an OM2, a zip archive that ATC of CANN 9.1 writes with --mode=7" in said
    assert "Compile the ONNX to an OM" in said


def test_an_om2_among_a_folders_oms_is_named(tmp_path: Path) -> None:
    om2(tmp_path / "set_bs1.om")
    with pytest.raises(InputError, match="is an OM2"):
        read_om(tmp_path / "set_bs1.om")


def test_other_zip_archives_are_no_om2(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"")
        archive.writestr("manifest.json", "{}")
    assert kind_of(path) == TORCH
