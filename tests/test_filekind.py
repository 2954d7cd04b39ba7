"""Kinds of files, told by golden first bytes and not by names."""

from __future__ import annotations

import pytest

from crnn.errors import InputError
from crnn.filekind import OM, ONNX, TORCH, kind_of


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
