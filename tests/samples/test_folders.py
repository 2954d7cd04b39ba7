"""Folders of images: what an annotation names is read, but nothing outside the folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crnn.batch import Sample
from crnn.errors import InputError
from crnn.samples.folders import FolderSamples, find_annotation
from crnn.samples.source import open_labelled


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for name in (
        "word_10.png",
        "word_2.png",
        "Word_1.JPG",
        "sub/inner.png",
        "image-000000003.jpg",
        "odd name.png",
    ):
        (folder / name).write_bytes(name.encode())
    (tmp_path / "secret.png").write_bytes(b"secret")
    return folder


def annotated(folder: Path, *names: str) -> FolderSamples:
    file = folder.parent / "gt.jsonl"
    file.write_text("".join(json.dumps({"filename": name, "text": "x"}) + "\n" for name in names))
    return FolderSamples(folder, file)


def test_samples_come_in_the_files_order(images: Path) -> None:
    names = ["word_10.png", "sub/inner.png", "word_2.png", "sub/../word_2.png", "odd name.png"]
    samples = annotated(images, *names)
    assert len(samples) == 5
    assert [sample for sample in samples if sample.problem is None] == [
        Sample(name, name.encode(), "x") for name in names if ".." not in name
    ]
    assert [number for number, _ in samples.numbered()] == [1, 2, 3, 4, 5]
    assert samples.extras() == []


def test_names_without_suffix_stand_for_the_image_of_that_name(images: Path) -> None:
    assert [sample.image for sample in annotated(images, "image-000000003", "word_2")] == [
        b"image-000000003.jpg",
        b"word_2.png",
    ]


UNSAFE = {
    "parent": "../secret.png",
    "parent inside": "sub/../../secret.png",
    "parent, Windows": "..\\secret.png",
    "absolute": "/etc/hostname",
    "link": "link.png",
    "link without suffix": "link",
    "through a linked folder": "out/secret.png",
    "NUL": "a\0.png",
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_no_name_leads_out_of_the_folder(images: Path, kind: str) -> None:
    (images / "link.png").symlink_to(images.parent / "secret.png")
    (images / "out").symlink_to(images.parent)
    [sample] = annotated(images, UNSAFE[kind])
    assert sample.image is None
    assert sample.problem is not None
    assert sample.problem.reason == "unsafe name"
    assert "gt.jsonl line 1" in sample.problem.detail


def test_a_link_that_stays_inside_is_followed(images: Path) -> None:
    (images / "link.png").symlink_to("word_2.png")
    assert [sample.image for sample in annotated(images, "link.png")] == [b"word_2.png"]


def test_a_folder_that_is_itself_a_link(images: Path) -> None:
    link = images.parent / "here"
    link.symlink_to(images)
    assert [sample.image for sample in annotated(link, "word_2.png")] == [b"word_2.png"]


def test_what_cannot_be_read_is_a_problem_of_its_sample(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRNN_MAX_IMAGE_BYTES", "15")
    os.mkfifo(images / "pipe.png")
    (images / "loop.png").symlink_to("loop.png")
    names = [
        "gone.png",
        "sub",
        "pipe.png",
        "loop.png",
        "x" * 300 + ".png",
        "image-000000003.jpg",
        ".",
        "word_2.png/x",
    ]
    problems = [sample.problem for sample in annotated(images, *names)]
    assert [problem.reason if problem else None for problem in problems] == [
        "missing image",
        "unreadable image",
        "unreadable image",
        "unreadable image",
        "unreadable image",
        "image too large",
        "unreadable image",
        "unreadable image",
    ]
    assert problems[0] is not None
    assert problems[0].detail == "gt.jsonl line 1: no file 'gone.png'"


def test_the_annotation_of_a_folder_is_its_only_text_file(images: Path) -> None:
    with pytest.raises(
        InputError, match=r"needs one annotation file.*; found none that ends in \.txt"
    ):
        find_annotation(images)
    (images / "gt.txt").write_text("word_2.png,two\n")
    assert [sample.label for sample in open_labelled(images)] == ["two"]
    (images / "readme.txt").write_text("hello")
    with pytest.raises(InputError, match=r"found gt\.txt, readme\.txt\n.*--annotation"):
        open_labelled(images)
    assert len(open_labelled(images, images / "gt.txt")) == 1


def test_an_annotation_goes_with_a_folder_of_images_only(images: Path, tmp_path: Path) -> None:
    (tmp_path / "lmdb").mkdir()
    (tmp_path / "lmdb" / "data.mdb").write_bytes(b"x")
    with pytest.raises(
        InputError, match="lmdb is not a folder of images; an annotation file goes with such"
    ):
        open_labelled(tmp_path / "lmdb", images / "gt.txt")
    list_alone = images / "gt.txt"
    list_alone.write_bytes(b"word_2.png two\n" * 1000)
    with pytest.raises(InputError, match=r"not an LMDB[^$]*--label .*gt\.txt"):
        next(iter(open_labelled(list_alone)))


def test_a_list_of_another_folder_is_refused_with_where_its_names_begin(images: Path) -> None:
    beside = images.parent / "list.txt"
    beside.write_text("images/word_2.png two\nimages/word_10.png ten\n")
    message = r"none of the 2 images that .*list\.txt names is in .*images; the first is 'images/w"
    with pytest.raises(InputError, match=message) as caught:
        FolderSamples(images, beside)
    assert caught.value.hint == f"The names begin in {images.parent}: give that folder."
    swapped = images / "gt.txt"
    swapped.write_text("two word_2.png\n")
    with pytest.raises(InputError, match="The columns are the other way round"):
        FolderSamples(images, swapped)
    swapped.write_text("test_1.bin two\n")
    with pytest.raises(InputError, match="the list of this folder's images"):
        FolderSamples(images, swapped)


def test_one_image_of_a_list_is_enough(images: Path) -> None:
    reasons = [sample.problem is None for sample in annotated(images, "gone.png", "word_2.png")]
    assert reasons == [False, True]
    # Faults that are not a missing file are told sample by sample.
    assert [sample.problem is None for sample in annotated(images, "../secret.png")] == [False]


def test_bins_are_not_asked_for_a_list(tmp_path: Path) -> None:
    (tmp_path / "test_1.bin").write_bytes(b"")
    with pytest.raises(InputError, match="Its bins are prepared already"):
        find_annotation(tmp_path)


def test_no_folder(images: Path) -> None:
    for name, message in (("gone", "gone does not exist"), ("word_2.png", "word_2.png is a file")):
        with pytest.raises(InputError, match=f"{message}; expected a folder of images"):
            FolderSamples(images / name, images / "gt.txt")


def test_real_images(shared_data: Path) -> None:
    toy = shared_data / "toy_lmdb"
    samples = list(FolderSamples(toy / "imgs", toy / "old_label.txt"))
    assert [sample.label for sample in samples[:2]] == ["GRAND", "HOTEL"]
    assert all(
        sample.image is not None and sample.image.startswith(b"\xff\xd8") for sample in samples
    )
