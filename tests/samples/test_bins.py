"""Bins and their labels:

golden bytes, batches of any size, and every way in which folder and labels can disagree.
"""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crnn.batch import Batch
from crnn.errors import InputError
from crnn.labels import one_line
from crnn.samples.bins import (
    BinFolder,
    LabelFile,
    bin_bytes,
    bin_index,
    bin_name,
    label_line,
    label_lines,
    read_labels,
    steps,
)
from crnn.spec import ModelSpec
from crnn.widths import Widths

# Small images, so that many files cost little: (1, 2, 3) is 24 bytes of float32 or 6 of uint8.
SPEC = replace(ModelSpec.default(), height=2, width=3)


def image(index: int) -> np.ndarray:
    return np.arange(6, dtype=np.float32).reshape(1, 2, 3) + 10 * index


@pytest.fixture
def bins(tmp_path: Path) -> Path:
    folder = tmp_path / "bins"
    folder.mkdir()
    return folder


def fill(folder: Path, *indices: int) -> None:
    for index in indices:
        (folder / bin_name(index)).write_bytes(bin_bytes(image(index)))


def labelled(folder: Path, *indices: int) -> BinFolder:
    file = folder.parent / "label.txt"
    file.write_text("".join(label_line(index, f"w{index}") for index in indices))
    return BinFolder(folder, file, SPEC)


def rows(batch: Batch) -> list[tuple[str, str | None, float | str]]:
    """Key, label and first value or problem of each row."""
    images = iter(batch.images)
    return [
        (
            key,
            label,
            batch.problems[row].reason if row in batch.problems else float(next(images)[0, 0, 0]),
        )
        for row, (key, label) in enumerate(zip(batch.keys, batch.labels))
    ]


def test_golden_bytes() -> None:
    values = np.array([[[-1.0, 1.0, 0.5]]], dtype=np.float32)
    assert bin_bytes(values) == bytes.fromhex("000080bf 0000803f 0000003f")
    assert bin_bytes(values.astype(">f4")) == bytes.fromhex("000080bf 0000803f 0000003f")
    assert bin_bytes(np.array([[[0, 7, 255]]], dtype=np.uint8)) == b"\x00\x07\xff"
    assert label_line(12, "10:30, naïve").encode() == b"test_12.bin:10:30, na\xc3\xafve\n"
    # 'C' order of (C, H, W), whatever the array's own
    turned = np.arange(6, dtype=np.uint8).reshape(1, 3, 2).transpose(0, 2, 1)
    assert bin_bytes(turned) == bytes([0, 2, 4, 1, 3, 5])


def test_line_breaks_in_labels_become_spaces() -> None:
    assert [
        one_line(label) for label in ("a\nb", "a\r\nb", "a\rb", "a\n\nb", "a\u2028b", "ab\n")
    ] == [
        "a b",
        "a b",
        "a b",
        "a  b",
        "a\u2028b",  # ends no line of the file
        "ab ",
    ]


@pytest.mark.parametrize(
    "name",
    ["test_01.bin", "test_-1.bin", "test_.bin", "Test_1.bin", "test_1.bin\n", "test_\u0661.bin"],
)
def test_names_that_are_no_bins(name: str) -> None:
    assert bin_index(name) is None
    assert bin_index("test_0.bin") == 0


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_batches_are_full_but_for_the_last(bins: Path, size: int) -> None:
    fill(bins, *range(1, 8))
    folder = labelled(bins, 5, 3, 1, 2, 4, 7, 6)
    batches = [rows(batch) for batch in folder.batches(size)]
    assert len(folder) == 7
    assert [len(batch) for batch in batches] == [size] * (7 // size) + (
        [7 % size] if 7 % size else []
    )
    assert [row for batch in batches for row in batch] == [
        (f"test_{i}", f"w{i}", 10.0 * i) for i in range(1, 8)
    ]


def test_the_order_is_that_of_the_numbers(bins: Path) -> None:
    fill(bins, 2, 10, 1, 100)
    [batch] = labelled(bins, 10, 2, 100, 1).batches(9)
    assert batch.keys == ["test_1", "test_2", "test_10", "test_100"]


def test_batches_hold_their_size_of_readable_bins_among_bad_ones(bins: Path) -> None:
    fill(bins, 1, 4, 5, 6, 8)
    (bins / "test_3.bin").write_bytes(bytes(23))
    (bins / "test_7.bin").write_bytes(bytes(25))
    (bins / "test_9.bin").mkdir()
    first, second, last = labelled(bins, *range(1, 11)).batches(2, keep=3)
    assert rows(first) == [
        ("test_1", "w1", 10.0),
        ("test_2", "w2", "missing bin"),
        ("test_3", "w3", "wrong size"),
        ("test_4", "w4", 40.0),
    ]
    assert rows(second) == [("test_5", "w5", 50.0), ("test_6", "w6", 60.0)]
    assert rows(last) == [
        ("test_7", "w7", "wrong size"),
        ("test_8", "w8", 80.0),
        ("test_9", "w9", "unreadable bin"),
        ("test_10", "w10", "missing bin"),
    ]
    assert first.images.shape == (2, 1, 2, 3)
    assert first.problems[2].detail.endswith("test_3.bin: 23 bytes; expected 24")
    assert last.problems[0].detail.endswith("test_7.bin: 25 bytes; expected 24")


def test_labels_take_a_few_bytes_each(tmp_path: Path) -> None:
    # A list of keys and one of labels would take 140 bytes each.
    lines = tmp_path / "label.txt"
    lines.write_text(
        "".join(f"test_{index}.bin:word\n" for index in range(20000, 0, -1)), encoding="utf-8"
    )
    tracemalloc.start()
    try:
        labels = LabelFile(label_lines(lines))
        assert tracemalloc.get_traced_memory()[0] < 20000 * 40
    finally:
        tracemalloc.stop()
    assert (labels.keys(0, 2), labels.texts(0, 1)) == (["test_1", "test_2"], ["word"])


def test_a_folder_takes_a_few_bytes_for_each_of_its_bins(tmp_path: Path) -> None:
    folder, count = tmp_path / "bins", 5000
    folder.mkdir()
    (folder / "test_1.bin").write_bytes(bytes(SPEC.height * SPEC.width))
    for number in range(2, count + 1):
        os.link(folder / "test_1.bin", folder / f"test_{number}.bin")
    label_file = tmp_path / "labels.txt"
    label_file.write_text("".join(label_line(number, "word") for number in range(1, count + 1)))
    # What is imported and remembered at the first time is not the folder's.
    BinFolder(folder, label_file, SPEC)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        source = BinFolder(folder, label_file, SPEC)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(source) == count
    assert after - before < 30 * count


def test_labels_in_order_take_little_memory_while_they_are_read() -> None:
    count = 100000
    tracemalloc.start()
    try:
        labels = LabelFile((index, "word") for index in range(1, count + 1))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * count  # an index alone would be that much
    shuffled = LabelFile((index, "word") for index in range(count, 0, -1))
    assert shuffled.digest() == labels.digest()
    assert shuffled.texts(0, 3) == labels.texts(0, 3)


def test_the_digest_is_that_of_all_numbers_and_labels() -> None:
    count = 70000  # more than are hashed at a time
    labels = LabelFile((index, "é") for index in range(1, count + 1))
    numbers = np.arange(1, count + 1, dtype="<u8")
    ends = np.arange(0, 2 * count + 1, 2, dtype="<u8")
    said = numbers.tobytes() + ends.tobytes() + ("é" * count).encode()
    assert labels.digest() == hashlib.sha256(said).hexdigest()
    tracemalloc.start()
    try:
        labels.digest()
        assert tracemalloc.get_traced_memory()[1] < 10 * count
    finally:
        tracemalloc.stop()


def test_the_last_label_of_an_index_counts() -> None:
    labels = LabelFile([(3, "a"), (1, "é"), (3, ""), (2, "b:c"), (3, "d")])
    assert list(labels) == [(1, "é"), (2, "b:c"), (3, "d")]
    assert labels.repeated == [3, 3]


def test_more_labels_than_are_asked_for_at_a_time_come_once_each() -> None:
    labels = [(index, f"w{index}") for index in range(1, 2502)]
    assert list(LabelFile(labels)) == labels


def test_ranges_are_read_in_steps_that_tell_where_they_end() -> None:
    found = list(steps([(3, 1003), (1003, 3500), (3500, 3501)]))
    assert found == [
        (3, 1003, True),
        (1003, 2003, False),
        (2003, 3003, False),
        (3003, 3500, True),
        (3500, 3501, True),
    ]


def test_bins_of_no_width_of_the_models_are_refused(bins: Path) -> None:
    several = replace(SPEC, widths=Widths(list=(3, 4)))
    for index, size in ((1, 7), (2, 5)):
        (bins / bin_name(index)).write_bytes(bytes(size))
    with pytest.raises(
        InputError,
        match=r"do not have the model's sizes: .*test_2\.bin has 5 bytes; expected",
    ):
        BinFolder(bins, None, several)


def test_bins_whose_size_does_not_tell_their_type_are_refused(bins: Path) -> None:
    several = replace(SPEC, widths=Widths(list=(3, 12, 48)))
    for index, width in ((1, 12), (2, 3)):
        (bins / bin_name(index)).write_bytes(bytes(2 * width * 4))
    with pytest.raises(
        InputError,
        match=r"test_2\.bin has 24 bytes, which are 3 columns in float32 and 12 in uint8",
    ):
        BinFolder(bins, None, several)


def test_trailing_bad_ones_make_a_batch_without_images(bins: Path) -> None:
    fill(bins, 1)
    first, last = labelled(bins, 1, 2).batches(1, keep=2)
    assert (len(first.images), rows(last)) == (1, [("test_2", "w2", "missing bin")])
    assert last.images.shape == (0, 1, 2, 3)


def test_uint8_bins_are_told_by_their_size(bins: Path) -> None:
    fill(bins, 3)
    for index in (1, 2):
        (bins / bin_name(index)).write_bytes(bytes(range(index, index + 6)))
    [batch] = labelled(bins, 1, 2, 3).batches(4)
    assert batch.images.dtype == np.uint8
    np.testing.assert_array_equal(batch.images[1].ravel(), range(2, 8))
    assert batch.problems[2].reason == "wrong size"  # all of a folder have one type


def test_kept_batches_stay_while_the_next_is_read(bins: Path) -> None:
    fill(bins, *range(1, 31))
    last: list[tuple[Batch, np.ndarray]] = []
    addresses = set()
    for batch in labelled(bins, *range(1, 31)).batches(2, keep=3):
        for earlier, copy in last[-3:]:
            np.testing.assert_array_equal(earlier.images, copy)
        last.append((batch, batch.images.copy()))
        addresses.add(batch.images.__array_interface__["data"][0])
    assert len(last) == 15
    assert len(addresses) == 4  # memory does not grow with the data


def test_what_belongs_to_no_label_is_named_and_other_files_do_no_harm(bins: Path) -> None:
    fill(bins, 1, 2, 12)
    for name in (
        "summary.json",
        "label.txt",
        "notes",
        "x.bin",
        "test_02.bin",
        ".hidden.bin",
        "test_1.BIN",
    ):
        (bins / name).write_bytes(b"?")
    (bins / "folder").mkdir()
    file = bins.parent / "label.txt"
    file.write_text("test_1.bin:a\ntest_1.bin:b\n")
    folder = BinFolder(bins, file, SPEC)
    [batch] = folder.batches(4)
    assert rows(batch) == [("test_1", "b", 10.0)]
    assert [(key, problem.reason) for key, problem in folder.extras()] == [
        ("test_1.bin", "label given twice"),
        ("test_2.bin", "bin without label"),
        ("test_12.bin", "bin without label"),
        (".hidden.bin", "misnamed bin"),
        ("test_02.bin", "misnamed bin"),
        ("x.bin", "misnamed bin"),
    ]


def test_labels_are_split_at_the_first_colon(tmp_path: Path) -> None:
    file = tmp_path / "label.txt"
    file.write_bytes(
        "\ufefftest_1.bin:a:b\r\n\ntest_2.bin: two words \ntest_3.bin:\ntest_4.bin:é字\u2028x".encode()  # noqa: E501
    )
    assert read_labels(file) == ({1: "a:b", 2: " two words ", 3: "", 4: "é字\u2028x"}, [])


BAD_LABELS = {
    "empty": (b"", "label.txt is empty"),
    "blank": (b"\n\r\n", "label.txt holds no labels"),
    "no colon": (
        b"test_1.bin:a\ntest_2.bin b\n",
        "line 2 is 'test_2.bin b'; expected test_{i}.bin:label",
    ),
    "other names": (b"word_1.png:a\n", "line 1 is 'word_1.png:a'"),
    "leading zeros": (b"test_01.bin:a\n", "line 1 is 'test_01.bin:a'"),
    "not UTF-8": (b"test_1.bin:a\ntest_2.bin:\xff\n", r"line 2 is not UTF-8: b'test_2.bin:\\xff"),
    "Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_bad_label_files(bins: Path, kind: str) -> None:
    content, message = BAD_LABELS[kind]
    (bins.parent / "label.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        BinFolder(bins, bins.parent / "label.txt", SPEC)


def test_folders_that_cannot_be_meant(bins: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"none of the 2 bins that .*label\.txt names stands in .*bins\n"
    ):
        labelled(bins, 1, 2)
    (bins / "test_2.bin").write_bytes(bytes(12800))
    with pytest.raises(
        InputError, match=r"test_2\.bin has 12800 bytes; expected 24 \(float32\) or 6 \(uint8\)"
    ):
        labelled(bins, 1, 2)
    file = tmp_path / "label.txt"
    for folder, message in (
        (tmp_path / "gone", "gone does not exist"),
        (file, "label.txt is a file"),
    ):
        with pytest.raises(InputError, match=f"{message}; expected a folder of bins"):
            BinFolder(folder, file, SPEC)
    with pytest.raises(InputError, match=r"none\.txt does not exist; expected a label file"):
        BinFolder(bins, tmp_path / "none.txt", SPEC)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    labels=st.dictionaries(
        st.integers(0, 10**9), st.text(st.characters(exclude_categories=["Cs"])), min_size=1
    )
)
def test_any_label_survives_the_file(tmp_path: Path, labels: dict[int, str]) -> None:
    written = {index: one_line(label) for index, label in labels.items()}
    file = tmp_path / "label.txt"
    file.write_bytes("".join(label_line(index, label) for index, label in written.items()).encode())
    assert read_labels(file) == (written, [])
