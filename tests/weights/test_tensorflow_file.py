"""What TensorFlow has written, and what nobody should have."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable, Dict

import numpy as np
import pytest

from crnn.errors import InputError
from crnn.weights.tensorflow_file import MAX_INDEX, read_index, read_tensorflow
from tests.foreign import TENSORFLOW

DATA = "crnn.data-00000-of-00001"


def every(name: str) -> bool:
    return True


@pytest.fixture(scope="module")
def values() -> Dict[str, np.ndarray]:
    with np.load(TENSORFLOW / "crnn.npz") as data:
        return {
            name[len("value:") :]: data[name] for name in data.files if name.startswith("value:")
        }


@pytest.mark.parametrize("name", ["crnn", "crnn.index", DATA, "crnn.meta", "crnn.pb"])
def test_variables_are_bit_equal_to_tensorflows(values: Dict[str, np.ndarray], name: str) -> None:
    found = read_tensorflow(TENSORFLOW / name, lambda variable: variable in values)
    assert len(values) == 46
    assert set(found) == set(values)
    for variable, value in values.items():
        np.testing.assert_array_equal(found[variable], value)
        assert found[variable].dtype == np.float32


def test_index_names_what_is_not_wanted_too() -> None:
    shards, variables = read_index((TENSORFLOW / "crnn.index").read_bytes())
    names = [variable.name for variable in variables]
    assert shards == 1
    assert "global_step" in names
    assert sum(name.endswith("/Momentum") for name in names) == 32
    assert names == sorted(names)


def copied(
    folder: Path, *, index: Callable[[bytes], bytes] = bytes, data: Callable[[bytes], bytes] = bytes
) -> Path:
    (folder / "crnn.index").write_bytes(index((TENSORFLOW / "crnn.index").read_bytes()))
    (folder / DATA).write_bytes(data((TENSORFLOW / DATA).read_bytes()))
    return folder / "crnn"


def without_data(folder: Path) -> Path:
    shutil.copy(TENSORFLOW / "crnn.index", folder)
    return folder / "crnn"


def of_bytes(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


BAD: Dict[str, Callable[[Path], Path]] = {
    r"none\.index does not exist": lambda folder: folder / "none",
    r"is a folder; expected .*\n.*Give one of: .*crnn": lambda folder: TENSORFLOW,
    r"does not exist; expected the data file that belongs to crnn\.index": without_data,
    r"does not end as an index file does": lambda folder: copied(
        folder, index=lambda data: data[:-1]
    ),
    r"the block at \d+ does not have its checksum": lambda folder: copied(
        folder, index=lambda data: data[:300] + b"\x00" + data[301:]
    ),
    r"cut off: it has 1000 bytes; \S+ ends at byte": lambda folder: copied(
        folder, data=lambda data: data[:1000]
    ),
    r"does not have the checksum that the index gives for": lambda folder: copied(
        folder,
        data=lambda data: data[:5000] + bytes(255 - byte for byte in data[5000:5004]) + data[5004:],
    ),
    r"is a Git LFS pointer": lambda folder: copied(
        folder, index=lambda data: b"version https://git-lfs.github.com\n"
    ),
    rf"the limit is {MAX_INDEX}": lambda folder: copied(
        folder, index=lambda data: bytes(MAX_INDEX + 1)
    ),
    r"is not within the file": of_bytes(
        "x.index", b"\xff\x7f" * 20 + (0xDB4775248B80FB57).to_bytes(8, "little")
    ),
    r"damaged, or no TensorFlow file": of_bytes("x.pb", b"\x0a\xff\xff"),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_files_are_refused_with_the_reason(tmp_path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_tensorflow(BAD[message](tmp_path), every)
