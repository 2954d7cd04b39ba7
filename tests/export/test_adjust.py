"""A copy of an ONNX that lives for a while: what is said of it is said of the file itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.errors import InputError
from crnn.export.adjust import adjusted_file
from tests.models import write_echo_model


def test_an_error_over_a_copy_names_the_file_and_keeps_its_lines(tmp_path: Path) -> None:
    path = write_echo_model(tmp_path / "m.onnx")
    copying = adjusted_file(path, spec='{"temperature": 2.0}', output=None)
    with pytest.raises(InputError) as caught, copying as copy:
        assert copy != path
        raise InputError(f"{copy} is wrong", hint="do this", lines=[f"see {copy}"])
    assert caught.value.parts == (f"{path} is wrong", f"see {path}")
    assert caught.value.hint == "do this"
